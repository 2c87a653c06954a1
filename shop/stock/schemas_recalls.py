"""Recalls and traces as JSON; quantities in base units."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from shop.http.fields import Day
from shop.http.routes import In, Out, Query
from shop.ids import LineId, LotId, OrganisationId, ProductId, RecallId
from shop.stock.models_recalls import Recall, RecallLine, RecallStatus
from shop.stock.queries_recalls import Reached

Reason = Annotated[str, Field(min_length=1, max_length=1000)]


class OrderRecall(In):
    """Which lots to recall: some that are named, or all of a product harvested from a day until (and without) another.

    With `hold_supply`, supply that could be filled from them is not sold while the recall is open.
    """

    lot_ids: Annotated[list[LotId], Field(min_length=1, max_length=1000)] | None = None
    product_id: ProductId | None = None
    harvested_from: Day | None = None
    harvested_to: Day | None = None
    reason: Reason
    hold_supply: bool = True

    @model_validator(mode="after")
    def hangs_together(self) -> Self:
        window = [self.product_id, self.harvested_from, self.harvested_to]
        if self.lot_ids is not None and window != [None] * 3:
            raise PydanticCustomError("scope", "give either lot_ids or a product's harvest")
        if self.lot_ids is None and None in window:
            raise PydanticCustomError("scope", "give lot_ids, or product_id, harvested_from and harvested_to")
        return self


class ReleaseRecall(In):
    reason: Reason


class RecallsQuery(Query):
    limit: Annotated[int, Field(ge=1, le=100)] = 24
    cursor: Annotated[str, Field(max_length=400)] | None = None


class RecallItem(Out):
    """A recall; the days of a harvest are half-open, and null where lots were named."""

    id: RecallId
    status: RecallStatus
    product_id: ProductId
    cooperative_id: OrganisationId
    ordered_by_id: OrganisationId
    harvested_from: date | None
    harvested_to: date | None
    holds_supply: bool
    reason: str
    ordered_at: str
    released_at: str | None
    release_reason: str | None


class RecallPage(Out):
    items: list[RecallItem]
    next: str | None


class RecalledLotOut(Out):
    id: LotId
    code: str
    harvested_on: date
    best_before: date
    in_store: int


class ReachedOut(Out):
    """A buyer, its lines, what they got of the recalled lots and how much of it had left; `told_at` once it is told."""

    buyer_id: OrganisationId
    name: str
    lines: int
    quantity: int
    shipped: int
    waiting: int
    told_at: str | None


class ProgressOut(Out):
    """How many lines were unpacked, halted on their way or had been delivered, and how many wait for that."""

    waiting: int
    unpacked: int
    halted: int
    delivered: int
    buyers: int
    buyers_told: int


class RecallOut(Out):
    recall: RecallItem
    lots: list[RecalledLotOut]
    buyers: list[ReachedOut]
    progress: ProgressOut


class RecallLineOut(Out):
    """An order line that got something of a recalled lot, and what was done about it."""

    line_id: LineId
    lot_id: LotId
    buyer_id: OrganisationId
    quantity: int
    shipped: int
    outcome: str | None
    outcome_at: str | None
    told_at: str | None


class RecallLinePage(Out):
    items: list[RecallLineOut]
    next: str | None


class TracedLineOut(Out):
    line_id: LineId
    buyer_id: OrganisationId
    buyer: str
    quantity: int
    shipped: int
    last_at: str


class TraceOut(Out):
    """Where a lot went: every order line and its buyer."""

    lot_id: LotId
    lines: list[TracedLineOut]


def recall_item(recall: Recall) -> RecallItem:
    return RecallItem(
        id=recall.id,
        status=RecallStatus(recall.status),
        product_id=recall.product_id,
        cooperative_id=recall.cooperative_id,
        ordered_by_id=recall.ordered_by_id,
        harvested_from=recall.harvested_from,
        harvested_to=recall.harvested_to,
        holds_supply=recall.supply_from is not None,
        reason=recall.reason,
        ordered_at=recall.ordered_at.isoformat(),
        released_at=recall.released_at.isoformat() if recall.released_at else None,
        release_reason=recall.release_reason,
    )


def recall_out(recall: Recall, lots: Sequence[Any], reached: Sequence[Reached], done: dict[str, int]) -> RecallOut:
    return RecallOut(
        recall=recall_item(recall),
        lots=[
            RecalledLotOut(
                id=lot.id,
                code=lot.code,
                harvested_on=lot.harvested_on,
                best_before=lot.best_before,
                in_store=lot.in_store,
            )
            for lot in lots
        ],
        buyers=[
            ReachedOut(
                buyer_id=buyer.buyer_id,
                name=buyer.name,
                lines=buyer.lines,
                quantity=buyer.quantity,
                shipped=buyer.shipped,
                waiting=buyer.waiting,
                told_at=buyer.told_at.isoformat() if buyer.told_at else None,
            )
            for buyer in reached
        ],
        progress=ProgressOut(
            **done, buyers=len(reached), buyers_told=sum(buyer.told_at is not None for buyer in reached)
        ),
    )


def recall_line_out(line: RecallLine) -> RecallLineOut:
    return RecallLineOut(
        line_id=line.line_id,
        lot_id=line.lot_id,
        buyer_id=line.buyer_id,
        quantity=line.quantity,
        shipped=line.shipped,
        outcome=line.outcome,
        outcome_at=line.outcome_at.isoformat() if line.outcome_at else None,
        told_at=line.told_at.isoformat() if line.told_at else None,
    )


def trace_out(lot_id: LotId, lines: Sequence[Any]) -> TraceOut:
    return TraceOut(
        lot_id=lot_id,
        lines=[
            TracedLineOut(
                line_id=line.line_id,
                buyer_id=line.buyer_id,
                buyer=line.name,
                quantity=line.quantity,
                shipped=line.shipped,
                last_at=line.last_at.isoformat(),
            )
            for line in lines
        ],
    )
