"""Budgets that orders draw on, and what a member may spend without being asked."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column
from shop.errors import Refusal


class Budget(Model):
    """What a unit may order in a year for a purpose; `drawn_fen` is the sum of its entries.

    A unit without one for a purpose orders without asking a budget.
    """

    __tablename__ = "budget"
    __table_args__ = (
        CheckConstraint("drawn_fen BETWEEN 0 AND amount_fen", name="drawn"),
        CheckConstraint("purpose IN ('canteen', 'union_welfare', 'other')", name="purpose"),
        UniqueConstraint("budget_unit_id", "year", "purpose"),
        Index("ix_budget_organisation", "organisation_id", "id"),
    )

    id: Mapped[UUID] = id_column()
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    budget_unit_id: Mapped[UUID] = mapped_column(ForeignKey("budget_unit.id"))
    year: Mapped[int]
    purpose: Mapped[str]
    amount_fen: Mapped[int]
    drawn_fen: Mapped[int] = mapped_column(default=0)


class Drawing(StrEnum):
    """Why a budget was drawn on or given back to."""

    PLACED = "placed"
    CANCELLED = "cancelled"
    NOT_ACCEPTED = "not_accepted"
    CORRECTED = "corrected"


class BudgetEntry(Model):
    """What an order drew, and what its parts gave back; append-only. Negative gives back."""

    __tablename__ = "budget_entry"
    __table_args__ = (
        CheckConstraint("kind IN ('placed', 'cancelled', 'not_accepted', 'corrected')", name="kind"),
        CheckConstraint("(kind = 'corrected') = (correction_id IS NOT NULL)", name="correction"),
        CheckConstraint("(kind = 'placed') = (amount_fen >= 0)", name="sign"),
        CheckConstraint("(kind = 'placed') = (supplier_order_id IS NULL)", name="part"),
        Index("ix_budget_entry_placed", "order_id", unique=True, postgresql_where=text("kind = 'placed'")),
        Index(
            "ix_budget_entry_part",
            "supplier_order_id",
            "kind",
            unique=True,
            postgresql_where=text("correction_id IS NULL"),
        ),
        Index("ix_budget_entry_correction", "correction_id", unique=True),
        Index("ix_budget_entry_budget", "budget_id", "id"),
    )

    id: Mapped[UUID] = id_column()
    budget_id: Mapped[UUID] = mapped_column(ForeignKey("budget.id"))
    kind: Mapped[str]
    amount_fen: Mapped[int]
    order_id: Mapped[UUID] = mapped_column(ForeignKey("purchase_order.id"))
    supplier_order_id: Mapped[UUID | None] = mapped_column(ForeignKey("supplier_order.id"))
    correction_id: Mapped[UUID | None] = mapped_column(ForeignKey("correction.id"))
    at: Mapped[datetime]


class SpendingWindow(StrEnum):
    """How long a member's spending is added up: a calendar day, week (from Monday) or month in Beijing."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class SpendingLimit(Model):
    """What a member may order in a window without an approval, whatever each order comes to."""

    __tablename__ = "spending_limit"
    __table_args__ = (
        CheckConstraint("window_kind IN ('day', 'week', 'month')", name="window"),
        CheckConstraint("limit_fen >= 0", name="limit"),
    )

    membership_id: Mapped[UUID] = mapped_column(ForeignKey("membership.id"), primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"), index=True)
    window_kind: Mapped[str]
    limit_fen: Mapped[int]


class BudgetExceeded(Refusal):
    """The order is above what is left of the unit's budget for this purpose; `available_fen` is what is left."""

    code, status = "budget_exceeded", 409
    title, title_zh = "This is above what is left of the budget.", "超出该单位本用途的剩余预算。"


class BelowDrawn(Refusal):
    """A budget cannot be less than what was drawn on it; `drawn_fen` is that."""

    code, status = "below_drawn", 409
    title, title_zh = "More than that is drawn already.", "预算不能低于已使用金额。"
