"""What may be read of shipments, and by whom, and what a trip is made of."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.errors import NotFound
from shop.logistics.models import Shipment, TrackingEvent
from shop.orders import queries as orders
from shop.orders.models import SupplierOrder
from shop.regions.models import Division


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


def names_of(session: Session, codes: Sequence[str], on: date) -> dict[str, str]:
    """What these divisions are called on a day; a code that is not known stands for itself."""
    found: dict[str, str] = dict(
        session.execute(
            select(Division.code, Division.name).where(Division.code.in_(codes), Division.in_force(on))
        ).all()
    )
    return {code: code for code in codes} | found
