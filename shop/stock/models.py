"""Supply, lots, holds and movements; every quantity is in base units and every row adds up by a CHECK."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column


class Supply(Model):
    """A quantity of a listing ready within a window.

    promised = open + stopped + held + bound + withdrawn, none below zero. `recalls` counts the open recalls that stop
    it: while there is one, what would be open is `stopped`, so whoever reads `open` sells nothing of it.
    """

    __tablename__ = "supply"
    __table_args__ = (
        CheckConstraint("promised = open + stopped + held + bound + withdrawn", name="adds_up"),
        CheckConstraint(
            "open >= 0 AND stopped >= 0 AND held >= 0 AND bound >= 0 AND withdrawn >= 0", name="not_negative"
        ),
        CheckConstraint("recalls >= 0 AND CASE recalls WHEN 0 THEN stopped = 0 ELSE open = 0 END", name="recalls"),
        CheckConstraint("ready_to > ready_from", name="window"),
        Index(
            "ix_supply_open", "listing_id", "ready_to", postgresql_include=["open"], postgresql_where=text("NOT closed")
        ),
        Index("ix_supply_cooperative", "cooperative_id", "id"),
        Index("ix_supply_ready_to", "ready_to", postgresql_where=text("NOT closed")),
    )

    id: Mapped[UUID] = id_column()
    listing_id: Mapped[UUID] = mapped_column(ForeignKey("listing.id"))
    cooperative_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    ready_from: Mapped[date]
    ready_to: Mapped[date]
    promised: Mapped[int]
    open: Mapped[int]
    stopped: Mapped[int] = mapped_column(default=0, server_default="0")
    held: Mapped[int] = mapped_column(default=0)
    bound: Mapped[int] = mapped_column(default=0)
    withdrawn: Mapped[int] = mapped_column(default=0)
    closed: Mapped[bool] = mapped_column(default=False)
    recalls: Mapped[int] = mapped_column(default=0, server_default="0")
    created_at: Mapped[datetime]


class Lot(Model):
    """Harvested goods of one product: received = in store + bound + shipped + lost, none below zero.

    `recalls` counts the open recalls that hold the lot: while there is one, nothing of it is bound or shipped.
    """

    __tablename__ = "lot"
    __table_args__ = (
        CheckConstraint("received = in_store + bound + shipped + lost", name="adds_up"),
        CheckConstraint("in_store >= 0 AND bound >= 0 AND shipped >= 0 AND lost >= 0", name="not_negative"),
        CheckConstraint("recalls >= 0", name="recalls"),
        UniqueConstraint("cooperative_id", "code"),
        Index("ix_lot_cooperative", "cooperative_id", "id"),
        Index("ix_lot_fefo", "product_id", "best_before", "id", postgresql_where=text("in_store > 0")),
        Index("ix_lot_harvest", "product_id", "harvested_on"),
    )

    id: Mapped[UUID] = id_column()
    product_id: Mapped[UUID] = mapped_column(ForeignKey("product.id"))
    cooperative_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    code: Mapped[str]
    harvested_on: Mapped[date]
    best_before: Mapped[date]
    received: Mapped[int]
    in_store: Mapped[int]
    bound: Mapped[int] = mapped_column(default=0)
    shipped: Mapped[int] = mapped_column(default=0)
    lost: Mapped[int] = mapped_column(default=0)
    recalls: Mapped[int] = mapped_column(default=0, server_default="0")
    created_at: Mapped[datetime]


class HoldStatus(StrEnum):
    ACTIVE = "active"
    BOUND = "bound"
    RELEASED = "released"


class Hold(Model):
    """Supply kept for an order line, until it is bound to lots at packing or released."""

    __tablename__ = "hold"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint("status IN ('active', 'bound', 'released')", name="status"),
        Index("ix_hold_line", "line_id"),
        Index("ix_hold_supply_active", "supply_id", postgresql_where=text("status = 'active'")),
    )

    id: Mapped[UUID] = id_column()
    supply_id: Mapped[UUID] = mapped_column(ForeignKey("supply.id"))
    line_id: Mapped[UUID]
    buyer_id: Mapped[UUID]
    quantity: Mapped[int]
    status: Mapped[str] = mapped_column(default=HoldStatus.ACTIVE)
    at: Mapped[datetime]


class Movement(Model):
    """What happened to a lot; append-only. `kind`: received, bound, shipped, lost, unbound."""

    __tablename__ = "movement"
    __table_args__ = (
        CheckConstraint("kind IN ('received', 'bound', 'unbound', 'shipped', 'lost')", name="kind"),
        CheckConstraint("quantity > 0", name="quantity"),
        Index("ix_movement_lot", "lot_id", "id"),
        Index("ix_movement_line", "line_id"),
    )

    id: Mapped[UUID] = id_column()
    lot_id: Mapped[UUID] = mapped_column(ForeignKey("lot.id"))
    kind: Mapped[str]
    quantity: Mapped[int]
    line_id: Mapped[UUID | None]
    buyer_id: Mapped[UUID | None]
    at: Mapped[datetime]
