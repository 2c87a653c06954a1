"""Shipping and tracking; the full view of a supplier order, which shows its shipment."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from shop.actor import Actor, Audience, Role
from shop.http.routes import REQUIRED, Routes, audience, roles
from shop.ids import ShipmentId, SupplierOrderId
from shop.logistics import queries, service
from shop.logistics.carriers import WrongCarrier
from shop.logistics.schemas import Report, Ship, TrackingPage, event_out, shipment_out
from shop.orders import queries as orders
from shop.orders import queries_fulfilment
from shop.orders.api_fulfilment import deadlines_out, filled_out, lots_out
from shop.orders.models import Status, WrongStatus
from shop.orders.schemas_fulfilment import FilledOrderOut
from shop.stock.service.holding import LotRecalled

selling = Routes("/v1/cooperative", tag="Selling")
buying = Routes("/v1/buyer", tag="Buying")


@selling.get(
    "/supplier-orders/<supplier_order_id>", allow=audience(Audience.COOPERATIVE), answers={200: FilledOrderOut}
)
def read_supplier_order(session: Session, actor: Actor, supplier_order_id: SupplierOrderId) -> FilledOrderOut:
    """One supplier order in full: lines, destination, lots, history, shipment and acceptance note."""
    return full(session, actor, supplier_order_id)


@selling.post(
    "/supplier-orders/<supplier_order_id>/ship",
    allow=roles(Role.SHIPPER, of=Audience.COOPERATIVE),
    answers={200: FilledOrderOut},
    refusals=(WrongStatus, WrongCarrier, service.WaybillTaken, LotRecalled),
    key=REQUIRED,
)
def ship_supplier_order(
    session: Session, actor: Actor, now: datetime, supplier_order_id: SupplierOrderId, body: Ship
) -> FilledOrderOut:
    """Hand a packed supplier order to a carrier."""
    service.ship(
        session,
        actor=actor,
        supplier_order_id=supplier_order_id,
        carrier=body.carrier,
        waybill=body.waybill,
        now=now,
    )
    return full(session, actor, supplier_order_id)


@selling.post(
    "/shipments/<shipment_id>/tracking",
    allow=roles(Role.SHIPPER, of=Audience.COOPERATIVE),
    answers={200: TrackingPage},
    refusals=(service.NotYours, service.AlreadyDelivered, service.ShipmentHalted),
    key=REQUIRED,
)
def report_tracking(
    session: Session, actor: Actor, now: datetime, shipment_id: ShipmentId, body: Report
) -> TrackingPage:
    """Say what happened to a shipment that the cooperative carries itself; `delivered` ends it."""
    supplier_order_id = service.report(
        session,
        actor=actor,
        shipment_id=shipment_id,
        ref=body.ref,
        kind=body.kind_said,
        place=body.place,
        note=body.note,
        now=now,
    )
    return tracking(session, actor, supplier_order_id)


@buying.get(
    "/supplier-orders/<supplier_order_id>/tracking", allow=audience(Audience.BUYER), answers={200: TrackingPage}
)
def track(session: Session, actor: Actor, supplier_order_id: SupplierOrderId) -> TrackingPage:
    """Where a supplier order is; `shipped` lists the lots of every line, which the inspection counts."""
    return tracking(session, actor, supplier_order_id)


def full(session: Session, actor: Actor, supplier_order_id: UUID) -> FilledOrderOut:
    shipment = queries.shipment_of(session, actor, supplier_order_id)
    return filled_out(session, actor, supplier_order_id, shipment=shipment_out(shipment) if shipment else None)


def tracking(session: Session, actor: Actor, supplier_order_id: UUID) -> TrackingPage:
    session.expire_all()
    part = orders.supplier_order(session, actor, supplier_order_id)
    shipment = queries.shipment_of(session, actor, part.id)
    lines = orders.lines_of(session, [part.id])[part.id] if shipment else []
    return TrackingPage(
        supplier_order_id=part.id,
        status=Status(part.status),
        shipment=shipment_out(shipment) if shipment else None,
        events=[event_out(event) for event in queries.events_of(session, shipment.id)] if shipment else [],
        shipped=lots_out(queries_fulfilment.shipped(session, lines)),
        deadlines=deadlines_out(queries_fulfilment.dues_of(session, part.id)),
    )
