"""How long supply is held for an order that is to be paid first, and what becomes of one that was paid too late."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import DATERANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column
from shop.errors import Refusal


class Lasts(StrEnum):
    """What lasts for the minutes of a rule: a hold until the money comes by a method, or the buyer's choice.

    An order that is placed to be paid first holds its supply as for a transfer until another method is asked for; what
    is ordered on terms is held until it is accepted, and has no rule.
    """

    BANK_TRANSFER = "bank_transfer"
    STRIPE = "stripe"
    CHOICE = "choice"
    WAIT = "wait"


class HoldRule(Model):
    """So many minutes from a day to a day."""

    __tablename__ = "hold_rule"
    __table_args__ = (
        CheckConstraint("kind IN ('bank_transfer', 'stripe', 'choice', 'wait')", name="kind"),
        CheckConstraint("minutes BETWEEN 5 AND 129600", name="minutes"),
        ExcludeConstraint(("kind", "="), ("valid", "&&"), name="ex_hold_rule_one_at_a_time", using="gist"),
    )

    id: Mapped[UUID] = id_column()
    kind: Mapped[str]
    minutes: Mapped[int]
    source: Mapped[str]
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)


class Chosen(StrEnum):
    WAIT = "wait"
    REFUND = "refund"


class Outcome(StrEnum):
    FILLED = "filled"
    REFUNDED = "refunded"


class SupplyChoice(Model):
    """A supplier order was paid when its supply was no longer held and no longer there: its buyer chooses.

    One per supplier order, since what is filled or refunded does not come back to it. Refunded when `decide_by` passes.
    """

    __tablename__ = "supply_choice"
    __table_args__ = (
        CheckConstraint("chosen IN ('wait', 'refund')", name="chosen"),
        CheckConstraint("outcome IN ('filled', 'refunded')", name="outcome"),
        CheckConstraint("(ended_at IS NULL) = (outcome IS NULL)", name="ended"),
        Index("ix_supply_choice_due", "decide_by", postgresql_where=text("ended_at IS NULL")),
        Index(
            "ix_supply_choice_waiting",
            "opened_at",
            "supplier_order_id",
            postgresql_where=text("ended_at IS NULL AND chosen = 'wait'"),
        ),
    )

    supplier_order_id: Mapped[UUID] = mapped_column(ForeignKey("supplier_order.id"), primary_key=True)
    opened_at: Mapped[datetime]
    decide_by: Mapped[datetime]
    chosen: Mapped[str | None]
    chosen_by: Mapped[UUID | None]
    chosen_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    ended_at: Mapped[datetime | None]


class NoSupplyChoice(Refusal):
    """Nothing is to be chosen for this part: its supply is held, it is not paid, or it was filled or refunded."""

    code, status = "no_supply_choice", 409
    title, title_zh = "There is nothing to choose for this order.", "该订单没有待选择的缺货处理。"
