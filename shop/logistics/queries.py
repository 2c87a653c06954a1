"""What may be read of shipments, and by whom, and what a trip is made of."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.catalogue.models import Product
from shop.errors import NotFound
from shop.freight import service as freight
from shop.logistics.models import Shipment, TrackingEvent
from shop.orders import queries as orders
from shop.orders.models import OrderLine, SupplierOrder
from shop.regions.models import Division

DAYS_WITHOUT_A_LANE = 5
"""How long a trip is taken to last when one of its lanes has ended since the order was placed."""


def visible_to(actor: Actor) -> Select[Shipment]:
    """The shipments this actor may know of: those of the supplier orders that they may know of."""
    mine = orders.visible_to(actor).with_only_columns(SupplierOrder.id)
    return select(Shipment).where(Shipment.supplier_order_id.in_(mine))


def shipment_of(session: Session, actor: Actor, supplier_order_id: UUID) -> Shipment | None:
    """The shipment of a supplier order, if it was shipped and the actor may know of it."""
    return session.scalars(
        visible_to(actor)
        .where(Shipment.supplier_order_id == supplier_order_id)
        .execution_options(populate_existing=True)
    ).first()


def locked(session: Session, actor: Actor, shipment_id: UUID) -> Shipment:
    """One shipment of the actor's, as it stands now and kept so until the commit; NotFound otherwise."""
    found = session.scalars(
        visible_to(actor)
        .where(Shipment.id == shipment_id)
        .with_for_update(of=Shipment)
        .execution_options(populate_existing=True)
    ).first()
    if found is None:
        raise NotFound
    return found


def events_of(session: Session, shipment_id: UUID) -> Sequence[TrackingEvent]:
    """What was heard of a shipment, by the carrier's time."""
    return session.scalars(
        select(TrackingEvent)
        .where(TrackingEvent.shipment_id == shipment_id)
        .order_by(TrackingEvent.at, TrackingEvent.id)
    ).all()


def lane_days(session: Session, lines: Sequence[OrderLine], to_code: str, on: date) -> int:
    """The days that the slowest of these lines takes to a place, by the lanes of that day."""
    storage = dict(
        session.execute(
            select(Product.id, Product.storage).where(Product.id.in_([line.product_id for line in lines]))
        ).all()
    )
    parcels = [
        freight.Parcel(line.id, line.dimensions["origin_code"], storage[line.product_id], line.packs * line.pack_grams)
        for line in lines
    ]
    try:
        quotes = freight.quote(session, parcels=parcels, to_code=to_code, on=on)
    except freight.NoLane:
        return DAYS_WITHOUT_A_LANE
    return max(quote.days for quote in quotes.values())


def names_of(session: Session, codes: Sequence[str], on: date) -> dict[str, str]:
    """What these divisions are called on a day; a code that is not known stands for itself."""
    found: dict[str, str] = dict(
        session.execute(
            select(Division.code, Division.name).where(Division.code.in_(codes), Division.in_force(on))
        ).all()
    )
    return {code: code for code in codes} | found
