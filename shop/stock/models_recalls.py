"""Recalls: what is held, whom it reached, and what was done about each."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column


class RecallStatus(StrEnum):
    OPEN = "open"
    RELEASED = "released"


class Recall(Model):
    """Lots of one product that are not to be sold or eaten: those named, or all of a window of harvest days.

    Days are half-open. A window also takes in lots that are received while the recall is open. `supply_from` and
    `supply_to` span the days on which supply could be filled from what is recalled; such supply is stopped.
    """

    __tablename__ = "recall"
    __table_args__ = (
        CheckConstraint("status IN ('open', 'released')", name="status"),
        CheckConstraint("(status = 'released') = (released_at IS NOT NULL)", name="released"),
        CheckConstraint(
            "(harvested_from IS NULL) = (harvested_to IS NULL) AND harvested_to > harvested_from", name="harvest"
        ),
        CheckConstraint("(supply_from IS NULL) = (supply_to IS NULL)", name="supply"),
        Index("ix_recall_cooperative", "cooperative_id", "id"),
        Index("ix_recall_product_open", "product_id", postgresql_where=text("status = 'open'")),
    )

    id: Mapped[UUID] = id_column()
    product_id: Mapped[UUID] = mapped_column(ForeignKey("product.id"))
    cooperative_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    ordered_by_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"), index=True)
    by_user_id: Mapped[UUID]
    harvested_from: Mapped[date | None]
    harvested_to: Mapped[date | None]
    supply_from: Mapped[date | None]
    supply_to: Mapped[date | None]
    reason: Mapped[str]
    status: Mapped[str] = mapped_column(default=RecallStatus.OPEN)
    ordered_at: Mapped[datetime]
    released_at: Mapped[datetime | None]
    release_reason: Mapped[str | None]


class RecallLot(Model):
    """A lot that a recall holds."""

    __tablename__ = "recall_lot"

    recall_id: Mapped[UUID] = mapped_column(ForeignKey("recall.id"), primary_key=True)
    lot_id: Mapped[UUID] = mapped_column(ForeignKey("lot.id"), primary_key=True, index=True)
    at: Mapped[datetime]


class RecallSupply(Model):
    """A supply that a recall stops."""

    __tablename__ = "recall_supply"

    recall_id: Mapped[UUID] = mapped_column(ForeignKey("recall.id"), primary_key=True)
    supply_id: Mapped[UUID] = mapped_column(ForeignKey("supply.id"), primary_key=True, index=True)
    at: Mapped[datetime]


class Outcome(StrEnum):
    """What was done about the goods of an order line: it never left, it was stopped on its way, or it had arrived."""

    UNPACKED = "unpacked"
    HALTED = "halted"
    DELIVERED = "delivered"


class RecallLine(Model):
    """An order line that a recalled lot was bound to, with what was done about it and when its buyer was told.

    `quantity` is what the line got of the lot, `shipped` what of it had left when the recall was ordered.
    """

    __tablename__ = "recall_line"
    __table_args__ = (
        CheckConstraint("quantity > 0 AND shipped BETWEEN 0 AND quantity", name="quantity"),
        CheckConstraint("outcome IN ('unpacked', 'halted', 'delivered')", name="outcome"),
        CheckConstraint("(outcome IS NULL) = (outcome_at IS NULL)", name="outcome_at"),
        UniqueConstraint("recall_id", "lot_id", "line_id"),
        Index("ix_recall_line_waiting", "recall_id", "line_id", postgresql_where=text("outcome IS NULL")),
        Index("ix_recall_line_line", "line_id"),
        Index("ix_recall_line_buyer", "buyer_id", "recall_id"),
    )

    id: Mapped[UUID] = id_column()
    recall_id: Mapped[UUID] = mapped_column(ForeignKey("recall.id"))
    lot_id: Mapped[UUID] = mapped_column(ForeignKey("lot.id"))
    line_id: Mapped[UUID]
    buyer_id: Mapped[UUID]
    cooperative_id: Mapped[UUID]
    quantity: Mapped[int]
    shipped: Mapped[int]
    outcome: Mapped[str | None]
    outcome_at: Mapped[datetime | None]
    told_at: Mapped[datetime | None]
