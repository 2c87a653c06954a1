"""How long whoever's turn it is may take: dated rules, and what is due of each supplier order."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import DATERANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column
from shop.orders.models import Status


class Waits(StrEnum):
    """What a supplier order waits for: its cooperative's yes, that it leaves, or its buyer's inspection."""

    CONFIRMATION = "confirmation"
    SHIPMENT = "shipment"
    ACCEPTANCE = "acceptance"
    SIGNATURE = "signature"
    """The second signature of an inspection, whose row is of its own (`InspectionSigning`)."""
    CLAIM = "claim"
    """How long after the acceptance a buyer may claim against it."""
    DEFENCE = "defence"
    """How long a cooperative has to answer a claim (`Claim.defend_until`)."""
    CHANGE = "change"
    """How long the other side has to answer a change that was proposed (`OrderChange.answer_by`)."""


WAITING = {  # in which statuses a supplier order waits for it
    Waits.CONFIRMATION: frozenset({Status.CONFIRMED}),
    Waits.SHIPMENT: frozenset({Status.ACCEPTED, Status.PACKED}),
    Waits.ACCEPTANCE: frozenset({Status.DELIVERED}),
}


class Step(StrEnum):
    """What comes next of what is due: a reminder, word to both sides that it is late, or that the time is over."""

    REMIND = "remind"
    OVERDUE = "overdue"
    LAPSE = "lapse"


class OrderTimeRule(Model):
    """So many hours from a day to a day, for goods of a storage class or (empty) for all.

    Whose turn it is has `hours` and is reminded `remind_hours` before they are over. After `lapse_hours` an order that
    no cooperative took on is cancelled, and a delivery that nobody inspected counts as accepted; without them it stays
    late. Goods of several classes go by the shortest time. The first signature of an inspection falls after `hours`.
    """

    __tablename__ = "order_time_rule"
    __table_args__ = (
        CheckConstraint(
            "waits_for IN ('confirmation', 'shipment', 'acceptance', 'signature', 'claim', 'defence', 'change')",
            name="waits_for",
        ),
        CheckConstraint("storage IN ('', 'ambient', 'chilled', 'frozen')", name="storage"),
        CheckConstraint(
            "hours BETWEEN 1 AND 8760 AND remind_hours BETWEEN 1 AND hours - 1 AND lapse_hours BETWEEN hours AND 8760",
            name="hours",
        ),
        CheckConstraint("waits_for IN ('confirmation', 'acceptance') OR lapse_hours IS NULL", name="lapses"),
        ExcludeConstraint(
            ("waits_for", "="),
            ("storage", "="),
            ("valid", "&&"),
            name="ex_order_time_rule_one_at_a_time",
            using="gist",
        ),
    )

    id: Mapped[UUID] = id_column()
    waits_for: Mapped[str]
    storage: Mapped[str] = mapped_column(server_default="")
    hours: Mapped[int]
    remind_hours: Mapped[int | None]
    lapse_hours: Mapped[int | None]
    source: Mapped[str]
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)


class OrderDue(Model):
    """What a supplier order waits for until when, by the rule of the day on which the wait began.

    Written in the commit of the move that begins the wait and ended in that of the move that answers it. `next_step` is
    what the passing of time does next, at `next_at`.
    """

    __tablename__ = "order_due"
    __table_args__ = (
        CheckConstraint("waits_for IN ('confirmation', 'shipment', 'acceptance')", name="waits_for"),
        CheckConstraint("next_step IN ('remind', 'overdue', 'lapse')", name="next_step"),
        CheckConstraint("(next_step IS NULL) = (next_at IS NULL)", name="next"),
        CheckConstraint("ended_at IS NULL OR next_step IS NULL", name="ended"),
        UniqueConstraint("supplier_order_id", "waits_for"),
        Index("ix_order_due_told", "next_at", postgresql_where=text("next_step IN ('remind', 'overdue')")),
        Index("ix_order_due_lapse", "next_at", "id", postgresql_where=text("next_step = 'lapse'")),
    )

    id: Mapped[UUID] = id_column()
    supplier_order_id: Mapped[UUID] = mapped_column(ForeignKey("supplier_order.id"))
    waits_for: Mapped[str]
    began_at: Mapped[datetime]
    due_at: Mapped[datetime]
    lapse_at: Mapped[datetime | None]
    next_step: Mapped[str | None]
    next_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
