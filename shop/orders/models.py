"""Orders, supplier orders, lines, acceptance, and the one table of moves."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column
from shop.errors import Refusal


class Status(StrEnum):
    PLACED = "placed"
    CONFIRMED = "confirmed"
    ACCEPTED = "accepted"
    PACKED = "packed"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    INSPECTED = "inspected"
    SETTLED = "settled"
    CANCELLED = "cancelled"
    DISPUTED = "disputed"


NEXT: dict[Status, frozenset[Status]] = {  # the whole life of a supplier order: what each status may become
    Status.PLACED: frozenset({Status.CONFIRMED, Status.CANCELLED}),
    Status.CONFIRMED: frozenset({Status.ACCEPTED, Status.CANCELLED}),
    Status.ACCEPTED: frozenset({Status.PACKED, Status.CANCELLED}),
    Status.PACKED: frozenset({Status.SHIPPED, Status.ACCEPTED}),  # back only when a lot of it is recalled
    Status.SHIPPED: frozenset({Status.DELIVERED}),
    Status.DELIVERED: frozenset({Status.INSPECTED, Status.DISPUTED}),
    Status.INSPECTED: frozenset({Status.SETTLED, Status.DISPUTED}),
    Status.DISPUTED: frozenset({Status.INSPECTED, Status.SETTLED}),
    Status.SETTLED: frozenset(),
    Status.CANCELLED: frozenset(),
}
MOVES = frozenset((start, end) for start, ends in NEXT.items() for end in ends)


class WrongStatus(Refusal):
    """The supplier order cannot make this move from where it stands; `is_now` says where that is."""

    code, status = "wrong_order_status", 409
    title, title_zh = "This order cannot do that now.", "订单当前状态不允许此操作。"


class Terms(StrEnum):
    PREPAID = "prepaid"
    ON_TERMS = "on_terms"


class Purpose(StrEnum):
    CANTEEN = "canteen"
    UNION_WELFARE = "union_welfare"
    OTHER = "other"


STATUSES = ", ".join(f"'{status}'" for status in Status)


class OrderCounter(Model):
    """The last number that an organisation gave to a kind of document in a year; taken only at issue."""

    __tablename__ = "document_counter"

    organisation_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    year: Mapped[int] = mapped_column(primary_key=True)
    last: Mapped[int]


class Order(Model):
    """What one institution ordered at once. Its supplier orders carry the life; this row never changes.

    `approved`: it came of an approved requisition. `split_suspected`: with other orders of the same member for the same
    unit in the days before, it passes what that member may order alone. `reference`: the institution's own number.
    """

    __tablename__ = "purchase_order"
    __table_args__ = (
        UniqueConstraint("buyer_id", "number"),
        Index("ix_purchase_order_unit", "budget_unit_id", "id"),
        Index("ix_purchase_order_address", "address_id"),
        Index("ix_purchase_order_placed_by", "placed_by", "placed_at", postgresql_where=text("NOT approved")),
        Index("ix_purchase_order_split", "buyer_id", "id", postgresql_where=text("split_suspected")),
        CheckConstraint("purpose IN ('canteen', 'union_welfare', 'other')", name="purpose"),
        CheckConstraint("terms IN ('prepaid', 'on_terms')", name="terms"),
        CheckConstraint("total_fen >= 0", name="total"),
    )

    id: Mapped[UUID] = id_column()
    number: Mapped[str]
    buyer_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    budget_unit_id: Mapped[UUID] = mapped_column(ForeignKey("budget_unit.id"))
    address_id: Mapped[UUID]
    delivery_code: Mapped[str]
    purpose: Mapped[str]
    terms: Mapped[str]
    reference: Mapped[str | None]
    deliver_on: Mapped[date | None]
    deliver_from: Mapped[str | None]
    deliver_to: Mapped[str | None]
    note: Mapped[str | None]
    goods_fen: Mapped[int]
    freight_fen: Mapped[int]
    total_fen: Mapped[int]
    placed_by: Mapped[UUID]
    placed_at: Mapped[datetime]
    approved: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    split_suspected: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class SupplierOrder(Model):
    """The part of an order that one cooperative fills; moves only by the table of moves, which the database keeps.

    `agreed_freight_fen`: the freight that both sides agreed on before the order was accepted; it is billed instead.
    What is to be paid first is cancelled unless it is paid by `pay_before` (null: by no day).
    Its supply is held until `held_until` as long as it is not paid, or (null) until it is accepted. `supply_held` is
    false from when that time passed until a payment holds supply anew; only what has its supply goes on.
    """

    __tablename__ = "supplier_order"
    __table_args__ = (
        CheckConstraint(f"status IN ({STATUSES})", name="status"),
        CheckConstraint(
            "agreed_freight_fen >= 0 AND agreed_freight_fen <= goods_fen + freight_fen", name="agreed_freight"
        ),
        CheckConstraint("supply_held OR status IN ('placed', 'cancelled')", name="supply_held"),
        UniqueConstraint("order_id", "cooperative_id"),
        Index("ix_supplier_order_cooperative", "cooperative_id", "id"),
        Index("ix_supplier_order_cooperative_status", "cooperative_id", "status", "id"),
        Index("ix_supplier_order_placed", "pay_before", postgresql_where=text("status = 'placed'")),
        Index(
            "ix_supplier_order_held",
            "held_until",
            postgresql_where=text("status = 'placed' AND supply_held AND held_until IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = id_column()
    order_id: Mapped[UUID] = mapped_column(ForeignKey("purchase_order.id"))
    buyer_id: Mapped[UUID]
    cooperative_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    status: Mapped[str] = mapped_column(default=Status.PLACED)
    goods_fen: Mapped[int]
    freight_fen: Mapped[int]
    pay_before: Mapped[datetime | None]
    agreed_freight_fen: Mapped[int | None]
    held_until: Mapped[datetime | None]
    supply_held: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    accepted_goods_fen: Mapped[int | None]
    accepted_freight_fen: Mapped[int | None]

    @property
    def freight_to_bill(self) -> int:
        """The freight that is billed when something is accepted."""
        return self.freight_fen if self.agreed_freight_fen is None else self.agreed_freight_fen


class OrderLine(Model):
    """A line as it was ordered: names, unit, price and attribution are kept as of the placing.

    `min_shelf_life_days` is for how long the goods have to keep when they arrive; `allocated_packs` what the line still
    gets where a harvest fell short or both sides agreed on less, which the acceptance then settles. `agreement_id`
    is the framework agreement that priced it, `quote_id` the negotiated quote; without either it was the tier.
    """

    __tablename__ = "order_line"
    __table_args__ = (
        CheckConstraint("packs > 0 AND unit_fen > 0 AND goods_fen = packs * unit_fen", name="amount"),
        CheckConstraint("min_shelf_life_days > 0", name="min_shelf_life"),
        CheckConstraint("agreement_id IS NULL OR quote_id IS NULL", name="one_basis"),
        CheckConstraint("allocated_packs >= 0 AND allocated_packs < packs", name="allocated"),
        ForeignKeyConstraint(
            ["agreement_id", "listing_id"],
            ["agreement_line.agreement_id", "agreement_line.listing_id"],
            name="fk_order_line_agreement_line",
        ),
        Index("ix_order_line_supplier_order", "supplier_order_id"),
    )

    id: Mapped[UUID] = id_column()
    supplier_order_id: Mapped[UUID] = mapped_column(ForeignKey("supplier_order.id"))
    listing_id: Mapped[UUID] = mapped_column(ForeignKey("listing.id"))
    listing_revision: Mapped[int]
    product_id: Mapped[UUID]
    packs: Mapped[int]
    pack_base_quantity: Mapped[int]
    pack_grams: Mapped[int]
    unit_fen: Mapped[int]
    goods_fen: Mapped[int]
    freight_fen: Mapped[int]
    agreement_id: Mapped[UUID | None]
    quote_id: Mapped[UUID | None] = mapped_column(ForeignKey("negotiated_quote.id"))
    min_shelf_life_days: Mapped[int | None]
    allocated_packs: Mapped[int | None]
    snapshot: Mapped[dict[str, Any]]
    dimensions: Mapped[dict[str, Any]]

    @property
    def packs_to_fill(self) -> int:
        """What is packed and sent for the line."""
        return self.packs if self.allocated_packs is None else self.allocated_packs


class OrderHistory(Model):
    """Every move of a supplier order; append-only."""

    __tablename__ = "order_history"
    __table_args__ = (UniqueConstraint("supplier_order_id", "step"),)

    id: Mapped[UUID] = id_column()
    supplier_order_id: Mapped[UUID] = mapped_column(ForeignKey("supplier_order.id"))
    step: Mapped[int]
    was: Mapped[str | None]
    status: Mapped[str]
    by_user_id: Mapped[UUID]
    reason: Mapped[str | None]
    at: Mapped[datetime]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class Acceptance(Model):
    """The acceptance note (验收单) of a supplier order: what was accepted settles the bill. One per supplier order.

    `silent`: nobody inspected in time, so all that was shipped counts as accepted. `second_user_id` is who signed
    beside `by_user_id`, where the unit demands two; `draft_id` what the device called it that sent it.
    """

    __tablename__ = "acceptance"

    id: Mapped[UUID] = id_column()
    supplier_order_id: Mapped[UUID] = mapped_column(ForeignKey("supplier_order.id"), unique=True)
    number: Mapped[str]
    by_user_id: Mapped[UUID]
    at: Mapped[datetime]
    goods_fen: Mapped[int]
    freight_fen: Mapped[int]
    note: Mapped[str | None]
    silent: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    second_user_id: Mapped[UUID | None]
    draft_id: Mapped[UUID | None]


class AcceptanceLine(Model):
    """Per line and lot: accepted, rejected and short packs, which sum to what was shipped of that lot.

    `temperature_tenths` is what was measured in the goods on arrival, in tenths of a degree Celsius.
    """

    __tablename__ = "acceptance_line"
    __table_args__ = (
        CheckConstraint("accepted >= 0 AND rejected >= 0 AND short >= 0", name="not_negative"),
        CheckConstraint("temperature_tenths BETWEEN -1000 AND 1000", name="temperature"),
        UniqueConstraint("line_id", "lot_id"),
    )

    id: Mapped[UUID] = id_column()
    acceptance_id: Mapped[UUID] = mapped_column(ForeignKey("acceptance.id"), index=True)
    line_id: Mapped[UUID] = mapped_column(ForeignKey("order_line.id"))
    lot_id: Mapped[UUID]
    accepted: Mapped[int]
    rejected: Mapped[int]
    short: Mapped[int]
    reason: Mapped[str | None]
    goods_fen: Mapped[int]
    silent: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    photo_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), default=list, server_default=text("'{}'"))
    temperature_tenths: Mapped[int | None]
