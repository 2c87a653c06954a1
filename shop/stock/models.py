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


class LocationKind(StrEnum):
    COUNTY_STORE = "county_store"
    EASTERN_WAREHOUSE = "eastern_warehouse"


class Location(Model):
    """A place where a cooperative's lots lie; where a lot names none, it lies at the cooperative's home."""

    __tablename__ = "location"
    __table_args__ = (
        CheckConstraint("kind IN ('county_store', 'eastern_warehouse')", name="kind"),
        UniqueConstraint("cooperative_id", "name"),
    )

    id: Mapped[UUID] = id_column()
    cooperative_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    kind: Mapped[str]
    name: Mapped[str]
    division_code: Mapped[str]
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class Lot(Model):
    """Harvested goods of one product at one place: received + gained = in store + bound + shipped + lost + transferred.

    `gained` and `lost` are what counts and write-offs found; `transferred` is what went to other places less what came
    from there, so a row elsewhere has received nothing and transferred less than nothing. Such a row names the lot that
    it came from as its `origin_id`, and together they are one lot. `recalls` counts the open recalls that hold it:
    while there is one, nothing of it is bound, shipped or moved.
    """

    __tablename__ = "lot"
    __table_args__ = (
        CheckConstraint("received + gained = in_store + bound + shipped + lost + transferred", name="adds_up"),
        CheckConstraint(
            "received >= 0 AND gained >= 0 AND in_store >= 0 AND bound >= 0 AND shipped >= 0 AND lost >= 0",
            name="not_negative",
        ),
        CheckConstraint("recalls >= 0", name="recalls"),
        CheckConstraint("origin_id IS NULL OR received = 0", name="elsewhere"),
        Index(
            "uq_lot_cooperative_id_code",
            "cooperative_id",
            "code",
            unique=True,
            postgresql_where=text("origin_id IS NULL"),
        ),
        UniqueConstraint("origin_id", "location_id"),
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
    gained: Mapped[int] = mapped_column(default=0, server_default="0")
    in_store: Mapped[int]
    bound: Mapped[int] = mapped_column(default=0)
    shipped: Mapped[int] = mapped_column(default=0)
    lost: Mapped[int] = mapped_column(default=0)
    transferred: Mapped[int] = mapped_column(default=0, server_default="0")
    recalls: Mapped[int] = mapped_column(default=0, server_default="0")
    location_id: Mapped[UUID | None] = mapped_column(ForeignKey("location.id"))
    origin_id: Mapped[UUID | None] = mapped_column(ForeignKey("lot.id"))
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


MOVES = (
    "received", "bound", "unbound", "shipped", "lost", "written_off", "transferred_out", "transferred_in",
    "counted_more", "counted_less",
)  # fmt: skip


class Movement(Model):
    """What happened to a lot; append-only. `kind` is one of MOVES; `lost` is not written any more."""

    __tablename__ = "movement"
    __table_args__ = (
        CheckConstraint(f"kind IN ({', '.join(repr(kind) for kind in MOVES)})", name="kind"),
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
    other_lot_id: Mapped[UUID | None]
    stock_take_id: Mapped[UUID | None]
    by_user_id: Mapped[UUID | None]
    reason: Mapped[str | None]
    note: Mapped[str | None]
    at: Mapped[datetime]


class StockTake(Model):
    """A count of lots; append-only, with its lines."""

    __tablename__ = "stock_take"
    __table_args__ = (Index("ix_stock_take_cooperative", "cooperative_id", "id"),)

    id: Mapped[UUID] = id_column()
    cooperative_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    by_user_id: Mapped[UUID]
    note: Mapped[str | None]
    at: Mapped[datetime]


class StockTakeLine(Model):
    """What was counted of a lot, and what should have been there, packed or not."""

    __tablename__ = "stock_take_line"
    __table_args__ = (
        CheckConstraint("expected >= 0 AND counted >= 0", name="not_negative"),
        UniqueConstraint("stock_take_id", "lot_id"),
    )

    id: Mapped[UUID] = id_column()
    stock_take_id: Mapped[UUID] = mapped_column(ForeignKey("stock_take.id"))
    lot_id: Mapped[UUID] = mapped_column(ForeignKey("lot.id"))
    expected: Mapped[int]
    counted: Mapped[int]
    note: Mapped[str | None]
