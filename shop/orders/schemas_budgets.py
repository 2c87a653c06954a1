"""Budgets and spending limits as JSON."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from shop.http.routes import In, Out, Query
from shop.ids import BudgetId, BudgetUnitId, MembershipId, OrderId, SupplierOrderId
from shop.orders.models_budgets import Budget, BudgetEntry, SpendingLimit

MOST_FEN = 10**15


class SetBudget(In):
    """What a unit may order in a year for a purpose, and why it is that."""

    budget_unit_id: BudgetUnitId
    year: Annotated[int, Field(ge=1996, le=2100)]
    purpose: Literal["canteen", "union_welfare", "other"]
    amount_fen: Annotated[int, Field(ge=0, le=MOST_FEN)]
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class SetSpendingLimit(In):
    """What a member may order in a calendar day, week or month without an approval; both null lift the limit."""

    member_id: MembershipId
    window: Literal["day", "week", "month"] | None
    limit_fen: Annotated[int, Field(ge=0, le=MOST_FEN)] | None

    @model_validator(mode="after")
    def hangs_together(self) -> Self:
        if (self.window is None) != (self.limit_fen is None):
            raise PydanticCustomError("window", "give both window and limit_fen, or null for both")
        return self


class BudgetsQuery(Query):
    limit: Annotated[int, Field(ge=1, le=100)] = 24
    cursor: Annotated[str, Field(max_length=400)] | None = None
    year: Annotated[int, Field(ge=1996, le=2100)] | None = None


class EntriesQuery(Query):
    limit: Annotated[int, Field(ge=1, le=100)] = 24
    cursor: Annotated[str, Field(max_length=400)] | None = None


class BudgetOut(Out):
    """`left_fen` is what may still be ordered."""

    id: BudgetId
    budget_unit_id: BudgetUnitId
    year: int
    purpose: str
    amount_fen: int
    drawn_fen: int
    left_fen: int


class BudgetPage(Out):
    items: list[BudgetOut]
    next: str | None


class EntryOut(Out):
    """What an order drew, or, negative, what a part of it gave back."""

    kind: Literal["placed", "cancelled", "not_accepted"]
    amount_fen: int
    order_id: OrderId
    supplier_order_id: SupplierOrderId | None
    at: str


class EntryPage(Out):
    items: list[EntryOut]
    next: str | None


class SpendingLimitOut(Out):
    member_id: MembershipId
    window: Literal["day", "week", "month"]
    limit_fen: int


class SpendingLimits(Out):
    items: list[SpendingLimitOut]


def budget_out(row: Budget) -> BudgetOut:
    return BudgetOut(
        id=row.id,
        budget_unit_id=row.budget_unit_id,
        year=row.year,
        purpose=row.purpose,
        amount_fen=row.amount_fen,
        drawn_fen=row.drawn_fen,
        left_fen=row.amount_fen - row.drawn_fen,
    )


def entry_out(row: BudgetEntry) -> EntryOut:
    return EntryOut(
        kind=row.kind,  # type: ignore[arg-type]
        amount_fen=row.amount_fen,
        order_id=row.order_id,
        supplier_order_id=row.supplier_order_id,
        at=row.at.isoformat(),
    )


def limit_out(row: SpendingLimit) -> SpendingLimitOut:
    return SpendingLimitOut(
        member_id=row.membership_id,
        window=row.window_kind,  # type: ignore[arg-type]
        limit_fen=row.limit_fen,
    )
