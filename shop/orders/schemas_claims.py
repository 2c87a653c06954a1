"""Claims, their evidence and their outcome, as JSON."""

from typing import Annotated, Literal

from pydantic import Field

from shop.http.routes import In, Out, PageQuery
from shop.ids import ClaimId, CorrectionId, FileId, LineId, LotId, OrderPhotoId, OrganisationId, SupplierOrderId, UserId
from shop.orders.schemas_fulfilment import OrderPhotoOut

Statement = Annotated[str, Field(min_length=1, max_length=2000)]
Files = Annotated[list[FileId], Field(max_length=12, default_factory=list)]


class ClaimLineIn(In):
    """So many of the accepted packs of a lot, and why."""

    line_id: LineId
    lot_id: LotId
    packs: Annotated[int, Field(ge=1, le=1_000_000)]
    reason: Annotated[str, Field(min_length=1, max_length=500)]
    photo_ids: Annotated[list[OrderPhotoId], Field(max_length=12, default_factory=list)]


class NewClaim(In):
    """A `return` gives the packs back; in a `dispute` they stay and are said to be less than what was accepted."""

    kind: Literal["return", "dispute"]
    statement: Statement
    lines: Annotated[list[ClaimLineIn], Field(min_length=1, max_length=200)]
    file_ids: Files


class NewAnswer(In):
    """The cooperative agrees, and everything claimed is taken back, or contests it with its evidence."""

    agree: bool
    statement: Statement
    file_ids: Files
    photo_ids: Annotated[list[OrderPhotoId], Field(max_length=12, default_factory=list)]


class Grant(In):
    line_id: LineId
    lot_id: LotId
    packs: Annotated[int, Field(ge=0, le=1_000_000)]


class Decide(In):
    """How many packs of each claimed lot are taken back (those not named: none), and why."""

    grants: Annotated[list[Grant], Field(max_length=200)]
    reason: Statement


class ClaimsQuery(PageQuery):
    status: Literal["open", "contested", "undefended", "agreed", "decided", "withdrawn"] | None = None


class ClaimLineOut(Out):
    line_id: LineId
    lot_id: LotId
    packs: int
    granted: int | None
    reason: str
    photos: list[OrderPhotoOut]


class PaperOut(Out):
    """A paper that a side put before the platform; `link` hands it out for a day."""

    side: str
    name: str
    media_type: str
    link: str


class CorrectionOut(Out):
    """What is taken back of the acceptance note."""

    id: CorrectionId
    number: str
    at: str
    goods_fen: int
    freight_fen: int
    total_fen: int


class ClaimOut(Out):
    """A claim as both sides and the platform see it. The cooperative answers by `defend_until`."""

    id: ClaimId
    number: str
    kind: str
    status: str
    supplier_order_id: SupplierOrderId
    buyer_id: OrganisationId
    cooperative_id: OrganisationId
    statement: str
    raised_by: UserId
    raised_at: str
    defend_until: str | None
    answer: str | None
    answered_at: str | None
    answer_photos: list[OrderPhotoOut]
    decision: str | None
    closed_at: str | None
    lines: list[ClaimLineOut]
    papers: list[PaperOut]
    correction: CorrectionOut | None


class ClaimPage(Out):
    items: list[ClaimOut]
    next: str | None
