"""Shipments and what is heard of them."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column


class TrackingKind(StrEnum):
    PICKED_UP = "picked_up"
    AT_HUB = "at_hub"
    DELAYED = "delayed"
    OUT_FOR_DELIVERY = "out_for_delivery"
    DELIVERED = "delivered"


KINDS = ", ".join(f"'{kind}'" for kind in TrackingKind)


class Shipment(Model):
    """What one cooperative sent for one supplier order.

    `plan` is what the simulated carrier will report, `[{ref, kind, place, note, at}, …]`, and `next_at` when it has
    something to say next; both are empty for a carrier that reports by itself. It is halted, and not delivered, while a
    recall holds goods of it.
    """

    __tablename__ = "shipment"
    __table_args__ = (
        CheckConstraint("status IN ('in_transit', 'delivered', 'halted')", name="status"),
        CheckConstraint("(status = 'delivered') = (delivered_at IS NOT NULL)", name="delivered"),
        UniqueConstraint("cooperative_id", "carrier", "waybill"),
        Index("ix_shipment_due", "next_at", postgresql_where=text("status = 'in_transit' AND next_at IS NOT NULL")),
    )

    id: Mapped[UUID] = id_column()
    supplier_order_id: Mapped[UUID] = mapped_column(ForeignKey("supplier_order.id"), unique=True)
    cooperative_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    carrier: Mapped[str]
    waybill: Mapped[str]
    status: Mapped[str] = mapped_column(default="in_transit")
    grams: Mapped[int]
    freight_fen: Mapped[int]
    shipped_at: Mapped[datetime]
    due_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]
    plan: Mapped[list[Any]] = mapped_column(default=list)
    next_at: Mapped[datetime | None]


class TrackingEvent(Model):
    """One word of a carrier; append-only, once per carrier's own number."""

    __tablename__ = "tracking_event"
    __table_args__ = (
        UniqueConstraint("shipment_id", "carrier_ref"),
        CheckConstraint(f"kind IN ({KINDS})", name="kind"),
    )

    id: Mapped[UUID] = id_column()
    shipment_id: Mapped[UUID] = mapped_column(ForeignKey("shipment.id"))
    carrier_ref: Mapped[str]
    kind: Mapped[str]
    place: Mapped[str]
    note: Mapped[str | None]
    at: Mapped[datetime]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
