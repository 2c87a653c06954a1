"""Shipping and tracking as JSON."""

from typing import Annotated, Literal

from pydantic import Field

from shop.http.routes import In, Out
from shop.ids import SupplierOrderId
from shop.logistics.models import Shipment, TrackingEvent, TrackingKind
from shop.orders.models import Status
from shop.orders.schemas_fulfilment import DeadlineOut, LotOut, ShipmentOut, TrackingOut


class Ship(In):
    """Who carries: a carrier of the cooperative's own brings its waybill, the simulated one makes its own."""

    carrier: Literal["simulated", "own"] = "simulated"
    waybill: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{4,40}$")] | None = None


class Report(In):
    """What a cooperative says of its own carriage. `ref` is its own number for it: said twice, it is kept once."""

    ref: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    kind: Literal["picked_up", "at_hub", "delayed", "out_for_delivery", "delivered"]
    place: Annotated[str, Field(min_length=1, max_length=100)]
    note: Annotated[str, Field(min_length=1, max_length=500)] | None = None

    @property
    def kind_said(self) -> TrackingKind:
        return TrackingKind(self.kind)


class TrackingPage(Out):
    """Where a supplier order is: its shipment (null before it leaves), what was heard of it and what it consists of.

    `deadlines` say what is waited for and until when.
    """

    supplier_order_id: SupplierOrderId
    status: Status
    shipment: ShipmentOut | None
    events: list[TrackingOut]
    shipped: list[LotOut]
    deadlines: list[DeadlineOut]


def shipment_out(shipment: Shipment) -> ShipmentOut:
    return ShipmentOut(
        id=shipment.id,
        carrier=shipment.carrier,
        waybill=shipment.waybill,
        status=shipment.status,
        shipped_at=shipment.shipped_at.isoformat(),
        due_at=shipment.due_at.isoformat(),
        delivered_at=shipment.delivered_at.isoformat() if shipment.delivered_at else None,
    )


def event_out(event: TrackingEvent) -> TrackingOut:
    return TrackingOut(kind=event.kind, place=event.place, note=event.note, at=event.at.isoformat())
