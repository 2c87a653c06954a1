"""Supplier orders brought as far as a test needs them, by the use cases themselves."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.accounts.models import Organisation
from shop.actor import SYSTEM, Actor
from shop.logistics.models import TrackingKind
from shop.logistics.service import report, ship
from shop.orders.models import OrderLine, SupplierOrder
from shop.orders.queries_fulfilment import LotShare, shipped
from shop.orders.service import filling
from shop.orders.service.moving import confirm_order
from tests import builders as a

NOW = a.NOW
LATER = NOW + timedelta(days=4)


def seller_of(session: Session, cooperative_id: UUID) -> Actor:
    """A member of the cooperative with every role."""
    return a.a_member(session, session.get_one(Organisation, cooperative_id))


def confirmed(world: a.World, lines: dict[UUID, int], terms: str = "on_terms") -> list[UUID]:
    """The supplier orders of a new order, confirmed."""
    placed = world.place(lines, terms)
    confirm_order(world.session, order_id=placed.id, by=SYSTEM, now=NOW)
    return [part.id for part in placed.parts]


def part_of(session: Session, supplier_order_id: UUID) -> SupplierOrder:
    """The supplier order as it stands in the database."""
    return session.get_one(SupplierOrder, supplier_order_id, populate_existing=True)


def lines_of(session: Session, supplier_order_id: UUID) -> Sequence[OrderLine]:
    return session.scalars(
        select(OrderLine).where(OrderLine.supplier_order_id == supplier_order_id).order_by(OrderLine.id)
    ).all()


def sent_of(session: Session, supplier_order_id: UUID) -> list[LotShare]:
    return shipped(session, lines_of(session, supplier_order_id))


def accepted(session: Session, supplier_order_id: UUID) -> Actor:
    """The cooperative accepts; gives who did it."""
    seller = seller_of(session, part_of(session, supplier_order_id).cooperative_id)
    filling.accept(session, actor=seller, supplier_order_id=supplier_order_id, now=NOW)
    return seller


def packed(session: Session, supplier_order_id: UUID) -> Actor:
    seller = accepted(session, supplier_order_id)
    filling.pack(session, actor=seller, supplier_order_id=supplier_order_id, now=NOW)
    return seller


def sent_by_own_carrier(session: Session, supplier_order_id: UUID) -> tuple[Actor, UUID]:
    """Shipped with the cooperative's own carrier; gives the seller and the shipment's id."""
    seller = packed(session, supplier_order_id)
    waybill = f"OWN-{supplier_order_id.hex[-12:]}"
    shipment_id = ship(
        session, actor=seller, supplier_order_id=supplier_order_id, carrier="own", waybill=waybill, now=NOW
    )
    return seller, shipment_id


def delivered(session: Session, supplier_order_id: UUID) -> Actor:
    seller, shipment_id = sent_by_own_carrier(session, supplier_order_id)
    report(
        session,
        actor=seller,
        shipment_id=shipment_id,
        ref="1",
        kind=TrackingKind.DELIVERED,
        place="上海",
        note=None,
        now=LATER,
    )
    return seller
