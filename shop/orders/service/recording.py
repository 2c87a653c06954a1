"""The rows of an order that is placed: itself, its parts, lines, history, facts and what it announces."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from shop.actor import Actor
from shop.db import Model, Rows
from shop.facts import service as facts
from shop.facts.models import Fact, Measure
from shop.ids import new_id
from shop.orders.models import Order, OrderHistory, OrderLine, Status, SupplierOrder
from shop.orders.schemas import PlaceOrder, wishes_of
from shop.orders.service.judging import Priced
from shop.orders.service.quoting import Part, Place, Unit
from shop.outbox import service as outbox


@dataclass(frozen=True)
class Placed:
    """The order as it was placed, ready to be shown."""

    id: UUID
    number: str
    wanted: PlaceOrder
    parts: list[Part]
    buckets: dict[str, str]
    placed_at: datetime
    held_until: datetime | None
    pay_before: datetime | None
    approved: bool
    split_suspected: bool

    @property
    def goods_fen(self) -> int:
        return sum(part.goods_fen for part in self.parts)

    @property
    def freight_fen(self) -> int:
        return sum(part.freight_fen for part in self.parts)

    @property
    def total_fen(self) -> int:
        return self.goods_fen + self.freight_fen


def events_of(placed: Placed, actor: Actor) -> list[dict[str, Any]]:
    """That it was placed, and when it looks like a part of a larger one, that too."""
    told = outbox.row_of(
        "order.placed",
        now=placed.placed_at,
        seen_by=[actor.organisation_id, *(part.cooperative_id for part in placed.parts)],
        order_id=placed.id,
        terms=placed.wanted.payment_terms,
    )
    if not placed.split_suspected:
        return [told]
    suspected = outbox.row_of(
        "order.split_suspected", now=placed.placed_at, seen_by=[actor.organisation_id], suspected_id=placed.id
    )
    return [told, suspected]


def dimensions_of(line: Priced, part: Part, found: Any, shared: dict[str, str]) -> dict[str, Any]:
    """What every fact of this line will carry, as of the placing; ids in hex."""
    return shared | {
        "scheme": found.scheme,
        "bucket": str(found.bucket),
        "pairing_id": found.pairing_id.hex if found.pairing_id else None,
        "east_province": found.east_province,
        "west_province": found.west_province,
        "origin_code": line.listing.origin_code,
        "cooperative_id": part.cooperative_id.hex,
        "product_id": line.listing.product_id.hex,
        "category": line.listing.category,
        "supplier_order_id": part.id.hex,
        "line_id": line.id.hex,
    }


def rows_of(
    placed: Placed, actor: Actor, unit: Unit, address: Place, dimensions: dict[UUID, dict[str, Any]]
) -> list[tuple[type[Model], Rows]]:
    """The rows of the order, its parts, lines, history and `ordered` facts."""
    wanted, now = placed.wanted, placed.placed_at
    lines = [(part, line) for part in placed.parts for line in part.lines]
    order = {
        "id": placed.id,
        "number": placed.number,
        "buyer_id": actor.organisation_id,
        "budget_unit_id": unit.id,
        "address_id": address.id,
        "delivery_code": address.division_code,
        "purpose": wanted.purpose,
        "terms": wanted.payment_terms,
        **wishes_of(wanted),
        "goods_fen": placed.goods_fen,
        "freight_fen": placed.freight_fen,
        "total_fen": placed.total_fen,
        "placed_by": actor.user_id,
        "placed_at": now,
        "approved": placed.approved,
        "split_suspected": placed.split_suspected,
    }
    parts = [
        {
            "id": part.id,
            "order_id": placed.id,
            "buyer_id": actor.organisation_id,
            "cooperative_id": part.cooperative_id,
            "status": Status.PLACED,
            "goods_fen": part.goods_fen,
            "freight_fen": part.freight_fen,
            "pay_before": placed.pay_before,
            "held_until": placed.held_until,
        }
        for part in placed.parts
    ]
    ordered = [
        {
            "id": line.id,
            "supplier_order_id": part.id,
            "listing_id": line.listing.id,
            "listing_revision": line.listing.revision,
            "product_id": line.listing.product_id,
            "packs": line.packs,
            "pack_base_quantity": line.listing.pack_base_quantity,
            "pack_grams": line.listing.pack_grams,
            "unit_fen": line.unit_fen,
            "agreement_id": line.agreement_id,
            "quote_id": line.quote_id,
            "goods_fen": line.goods_fen,
            "freight_fen": line.freight_fen,
            "min_shelf_life_days": wanted.lines[line.place].min_shelf_life_days,
            "snapshot": {
                "name": line.listing.name,
                "name_en": line.listing.name_en,
                "spec": line.listing.spec,
                "grade": line.listing.grade,
                "pack_name": line.listing.pack_name,
                "cooperative": part.cooperative_name,
            },
            "dimensions": dimensions[line.id],
        }
        for part, line in lines
    ]
    history = [
        {
            "id": new_id(),
            "supplier_order_id": part.id,
            "step": 1,
            "status": Status.PLACED,
            "by_user_id": actor.user_id,
            "at": now,
        }
        for part in placed.parts
    ]
    recorded = facts.rows_of(
        Measure.ORDERED,
        [
            finished(dimensions[line.id])
            | {
                "source_id": line.id,
                "goods_fen": line.goods_fen,
                "freight_fen": line.freight_fen,
                "packs": line.packs,
                "grams": line.grams,
            }
            for _, line in lines
        ],
        now=now,
    )
    return [(Order, [order]), (SupplierOrder, parts), (OrderLine, ordered), (OrderHistory, history), (Fact, recorded)]


def finished(dimensions: dict[str, Any]) -> dict[str, Any]:
    """A line's dimensions as a fact takes them: ids as ids."""
    return {
        name: UUID(hex=value) if name.endswith("_id") and value is not None else value
        for name, value in dimensions.items()
    }
