"""Changes of a supplier order before it is accepted, as JSON."""

from typing import Annotated

from pydantic import Field

from shop.http.routes import In, Out
from shop.ids import LineId, OrderChangeId, SupplierOrderId, UserId

Words = Annotated[str, Field(min_length=1, max_length=1000)]


class ChangeLineIn(In):
    """So many packs of a line instead of what was ordered: fewer, or none."""

    line_id: LineId
    packs: Annotated[int, Field(ge=0, le=1_000_000)]


class ProposeChange(In):
    """Fewer packs, and from a cooperative another freight; the order never costs more by it."""

    lines: Annotated[list[ChangeLineIn], Field(max_length=200, default_factory=list)]
    freight_fen: Annotated[int, Field(ge=0, le=10**12)] | None = None
    reason: Words


class AnswerChange(In):
    agree: bool
    reason: Words | None = None


class ChangeLineOut(Out):
    line_id: LineId
    packs_before: int
    packs: int


class ChangeOut(Out):
    """A change as both sides see it. The sums are what all of the supplier order would cost, before and after."""

    id: OrderChangeId
    supplier_order_id: SupplierOrderId
    side: str
    status: str
    reason: str
    lines: list[ChangeLineOut]
    goods_fen_before: int
    goods_fen: int
    freight_fen_before: int
    freight_fen: int
    proposed_by: UserId
    proposed_at: str
    answer_by: str | None
    answer: str | None
    ended_by: UserId | None
    ended_at: str | None


class Changes(Out):
    items: list[ChangeOut]
