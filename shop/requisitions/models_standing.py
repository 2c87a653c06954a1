"""Standing orders: a saved list that is ordered again and again, and what became of each time."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column


class StandingOrder(Model):
    """A list for so many heads and meals, ordered every so many days in the name of a member.

    `run_on`: the business day on which the next cycle is ordered, to be delivered `lead_days` later. `paused_because`:
    the code of what the workers paused it for; null when somebody did.
    """

    __tablename__ = "standing_order"
    __table_args__ = (
        CheckConstraint("status IN ('active', 'paused', 'ended')", name="status"),
        CheckConstraint("purpose IN ('canteen', 'union_welfare', 'other')", name="purpose"),
        CheckConstraint("terms IN ('prepaid', 'on_terms')", name="terms"),
        CheckConstraint("headcount > 0 AND meals > 0", name="heads"),
        CheckConstraint("every_days BETWEEN 1 AND 366 AND lead_days BETWEEN 0 AND 60", name="rhythm"),
        CheckConstraint("paused_because IS NULL OR status = 'paused'", name="paused"),
        Index("ix_standing_order_due", "run_on", "id", postgresql_where=text("status = 'active'")),
        Index("ix_standing_order_organisation", "organisation_id", "id"),
    )

    id: Mapped[UUID] = id_column()
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    list_id: Mapped[UUID] = mapped_column(ForeignKey("requisition_list.id"))
    membership_id: Mapped[UUID] = mapped_column(ForeignKey("membership.id"))
    budget_unit_id: Mapped[UUID] = mapped_column(ForeignKey("budget_unit.id"))
    address_id: Mapped[UUID] = mapped_column(ForeignKey("address.id"))
    headcount: Mapped[int]
    meals: Mapped[int]
    purpose: Mapped[str]
    terms: Mapped[str]
    reference: Mapped[str | None]
    note: Mapped[str | None]
    every_days: Mapped[int]
    lead_days: Mapped[int]
    run_on: Mapped[date]
    ends_on: Mapped[date | None]
    status: Mapped[str] = mapped_column(default="active")
    paused_because: Mapped[str | None]
    version: Mapped[int] = mapped_column(default=1)
    made_at: Mapped[datetime]


class StandingRun(Model):
    """What became of one cycle; append-only, one a cycle. `code` and `detail` say why where it was not placed."""

    __tablename__ = "standing_run"
    __table_args__ = (
        CheckConstraint("result IN ('placed', 'submitted', 'refused', 'missed')", name="result"),
        CheckConstraint("(result IN ('placed', 'submitted')) = (requisition_id IS NOT NULL)", name="requisition"),
        UniqueConstraint("standing_order_id", "cycle"),
    )

    id: Mapped[UUID] = id_column()
    standing_order_id: Mapped[UUID] = mapped_column(ForeignKey("standing_order.id"))
    cycle: Mapped[date]
    at: Mapped[datetime]
    result: Mapped[str]
    requisition_id: Mapped[UUID | None] = mapped_column(ForeignKey("requisition.id"))
    code: Mapped[str | None]
    detail: Mapped[str | None]


class StandingRunLine(Model):
    """What became of one line of the list; `listing_id` and `packs` are null where nothing could be ordered."""

    __tablename__ = "standing_run_line"
    __table_args__ = (
        CheckConstraint("outcome IN ('as_listed', 'substituted', 'left_out')", name="outcome"),
        CheckConstraint("(outcome = 'left_out') = (listing_id IS NULL)", name="listing"),
        CheckConstraint("(listing_id IS NULL) = (packs IS NULL)", name="packs"),
    )

    run_id: Mapped[UUID] = mapped_column(ForeignKey("standing_run.id"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)
    wanted_listing_id: Mapped[UUID] = mapped_column(ForeignKey("listing.id"))
    outcome: Mapped[str]
    listing_id: Mapped[UUID | None] = mapped_column(ForeignKey("listing.id"))
    packs: Mapped[int | None]
    needed_grams: Mapped[int | None]
    passed_over: Mapped[list[Any]]
