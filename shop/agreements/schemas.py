"""Framework agreements as JSON."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from shop.agreements.models import (
    AgreementDrawing,
    AgreementLine,
    FrameworkAgreement,
    NegotiatedQuote,
    NegotiatedQuoteUse,
)
from shop.http.fields import Day, across
from shop.http.routes import In, Out, PageQuery
from shop.ids import AgreementId, LineId, ListingId, NegotiatedQuoteId, OrganisationId

MAX_LINES = 200
Fen = Annotated[int, Field(ge=1, le=10**15)]
UnitFen = Annotated[int, Field(ge=1, le=10**9)]
Reason = Annotated[str, Field(min_length=1, max_length=500)]
StatusWord = Literal["proposed", "accepted", "declined", "withdrawn", "ended"]
SideWord = Literal["buyer", "cooperative"]
KindWord = Literal["placed", "cancelled", "not_accepted", "corrected"]


class AgreementLineIn(In):
    """The price of a pack of a listing, and the most packs that may be ordered at it."""

    listing_id: ListingId
    unit_fen: UnitFen
    ceiling_packs: Annotated[int, Field(ge=1, le=10**9)] | None = None


class ProposeAgreement(In):
    """Prices for orders placed from `valid_from` until (and without) `valid_to`.

    `reference` is the number of the paper behind it. There is a ceiling in any case: `ceiling_fen` for the goods of all
    orders together, or `ceiling_packs` on every line, or both.
    """

    reference: Annotated[str, Field(min_length=1, max_length=64)]
    valid_from: Day
    valid_to: Day
    ceiling_fen: Fen | None = None
    note: Reason | None = None
    lines: Annotated[list[AgreementLineIn], Field(min_length=1, max_length=MAX_LINES)]

    @model_validator(mode="after")
    def hangs_together(self) -> Self:
        if self.valid_to <= self.valid_from:
            raise across("days", "valid_to is after valid_from", "valid_to")
        if self.ceiling_fen is None and any(line.ceiling_packs is None for line in self.lines):
            raise across("ceiling", "give ceiling_fen, or ceiling_packs on every line", "ceiling_fen")
        return self


class ProposeToBuyer(ProposeAgreement):
    """The same to a buyer, by its unified social credit code."""

    buyer_uscc: Annotated[str, Field(min_length=18, max_length=18)]


class AnswerAgreement(In):
    """`reason`: why it is declined."""

    accept: bool
    reason: Reason | None = None

    @model_validator(mode="after")
    def says_why(self) -> Self:
        if not self.accept and self.reason is None:
            raise across("reason", "say why it is declined", "reason")
        return self


class EndAgreement(In):
    reason: Reason


class AgreementsQuery(PageQuery):
    status: StatusWord | None = None


class PartyOut(Out):
    id: OrganisationId
    name: str


class AgreementLineOut(Out):
    """`drawn_packs`: what orders have drawn of the line, less what came back."""

    listing_id: ListingId
    listing_revision: int
    name: str
    pack_name: str
    unit_fen: int
    ceiling_packs: int | None
    drawn_packs: int


class AgreementOut(Out):
    """`drawn_fen`: what orders have drawn at these prices, goods alone. `reason`: why it was declined or ended."""

    id: AgreementId
    status: StatusWord
    reference: str
    buyer: PartyOut
    cooperative: PartyOut
    proposed_by: SideWord
    valid_from: str
    valid_to: str
    ceiling_fen: int | None
    drawn_fen: int
    note: str | None
    proposed_at: str
    answered_at: str | None
    ended_at: str | None
    reason: str | None
    lines: list[AgreementLineOut]


class AgreementPage(Out):
    items: list[AgreementOut]
    next: str | None


class DrawingOut(Out):
    """What a line of an order drew, or (negative) gave back."""

    line_id: LineId
    listing_id: ListingId
    kind: KindWord
    packs: int
    fen: int
    at: str


class NegotiatedQuoteOut(Out):
    """A price for one line of an order of at most so many packs; `line_id` is the line that was ordered at it."""

    id: NegotiatedQuoteId
    buyer_id: OrganisationId
    cooperative_id: OrganisationId
    listing_id: ListingId
    unit_fen: int
    packs: int
    valid_from: str
    valid_to: str
    line_id: LineId | None


class NegotiatedQuotePage(Out):
    items: list[NegotiatedQuoteOut]
    next: str | None


class DrawingPage(Out):
    items: list[DrawingOut]
    next: str | None


def agreement_out(row: FrameworkAgreement, lines: Sequence[AgreementLine], names: Mapping[UUID, str]) -> AgreementOut:
    first, last = row.valid.lower, row.valid.upper
    assert first is not None
    assert last is not None
    shown: dict[str, Any] = {
        name: getattr(row, name) for name in ("id", "status", "reference", "ceiling_fen", "drawn_fen", "note", "reason")
    }
    return AgreementOut(
        **shown,
        buyer=PartyOut(id=row.buyer_id, name=names[row.buyer_id]),
        cooperative=PartyOut(id=row.cooperative_id, name=names[row.cooperative_id]),
        proposed_by="buyer" if row.proposed_by == row.buyer_id else "cooperative",
        valid_from=first.isoformat(),
        valid_to=last.isoformat(),
        proposed_at=row.proposed_at.isoformat(),
        answered_at=row.answered_at.isoformat() if row.answered_at else None,
        ended_at=row.ended_at.isoformat() if row.ended_at else None,
        lines=[
            AgreementLineOut(
                listing_id=line.listing_id,
                listing_revision=line.listing_revision,
                name=line.name,
                pack_name=line.pack_name,
                unit_fen=line.unit_fen,
                ceiling_packs=line.ceiling_packs,
                drawn_packs=line.drawn_packs,
            )
            for line in lines
        ],
    )


def drawing_out(row: AgreementDrawing, listing_id: UUID) -> DrawingOut:
    kind: Any = row.kind
    return DrawingOut(
        line_id=row.order_line_id, listing_id=listing_id, kind=kind, packs=row.packs, fen=row.fen,
        at=row.at.isoformat(),
    )  # fmt: skip


def negotiated_quote_out(row: NegotiatedQuote, use: NegotiatedQuoteUse | None) -> NegotiatedQuoteOut:
    first, last = row.valid.lower, row.valid.upper
    assert first is not None
    assert last is not None
    return NegotiatedQuoteOut(
        id=row.id,
        buyer_id=row.buyer_id,
        cooperative_id=row.cooperative_id,
        listing_id=row.listing_id,
        unit_fen=row.unit_fen,
        packs=row.packs,
        valid_from=first.isoformat(),
        valid_to=last.isoformat(),
        line_id=use.order_line_id if use else None,
    )
