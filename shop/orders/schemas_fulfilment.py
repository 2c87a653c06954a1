"""Filling, moving and accepting a supplier order, as JSON."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from shop.files import service as files
from shop.files.models import StoredFile
from shop.http.fields import across
from shop.http.routes import In, Out, Query
from shop.ids import (
    AcceptanceId,
    DraftId,
    LineId,
    LocationId,
    LotId,
    OrderId,
    OrderPhotoId,
    OrganisationId,
    ShipmentId,
    SupplierOrderId,
    UserId,
)
from shop.orders.models import Status
from shop.orders.models_inspections import OrderPhoto, PhotoState
from shop.orders.schemas import LineOut, WishesOut
from shop.stock.schemas_documents import MissingOut

Packs = Annotated[int, Field(ge=0, le=1_000_000)]


class PackQuery(Query):
    location_id: LocationId | None = None


class SupplierOrdersQuery(Query):
    status: Status | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 24
    cursor: Annotated[str, Field(max_length=400)] | None = None


class CountIn(In):
    """What was found of one lot of a line, in packs of that line.

    `temperature_tenths`: what was measured in the goods on arrival, in tenths of a degree Celsius; -185 is -18.5 °C.
    """

    line_id: LineId
    lot_id: LotId
    accepted: Packs
    rejected: Packs = 0
    short: Packs = 0
    reason: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    photo_ids: Annotated[list[OrderPhotoId], Field(max_length=12, default_factory=list)]
    temperature_tenths: Annotated[int, Field(ge=-1000, le=1000)] | None = None


class Inspect(In):
    """Either every shipped lot with its counts, or `accept_all` for a delivery that is wholly good.

    `draft_id`: the id that the device made for it. Sent again under it, it is the same inspection.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["lines"], "properties": {"lines": {"minItems": 1}}},
                {"required": ["accept_all"], "properties": {"accept_all": {"const": True}}},
            ]
        }
    )

    lines: Annotated[list[CountIn], Field(max_length=1000, default_factory=list)]
    accept_all: bool = False
    draft_id: DraftId | None = None
    note: Annotated[str, Field(min_length=1, max_length=1000)] | None = None

    @model_validator(mode="after")
    def one_of_both(self) -> Self:
        if self.accept_all == bool(self.lines):
            raise across("counts", "give either lines or accept_all", "lines", "accept_all")
        return self


class BuyerOut(Out):
    id: OrganisationId
    name: str


class DestinationOut(Out):
    """Where the goods go. `line` is empty once the address was erased."""

    division_code: str
    line: str


class LotOut(Out):
    """A lot that a line was packed from. `packs` are packs of the line, `quantity` base units (grams or pieces)."""

    line_id: LineId
    lot_id: LotId
    code: str
    best_before: str
    packs: int
    quantity: int


class MoveOut(Out):
    """A step in the life of a supplier order."""

    status: Status
    at: str
    reason: str | None


class TrackingOut(Out):
    """One word of the carrier."""

    kind: str
    place: str
    note: str | None
    at: str


class ShipmentOut(Out):
    """What is under way or has arrived; `due_at` is what was promised at shipping."""

    id: ShipmentId
    carrier: str
    waybill: str
    status: str
    shipped_at: str
    due_at: str
    delivered_at: str | None


class OrderPhotoOut(Out):
    """A photo of what arrived; `link` hands it out for a day, once it is ready."""

    id: OrderPhotoId
    status: str
    uploaded_at: str
    link: str | None


def photo_out(photo: OrderPhoto, file: StoredFile | None) -> OrderPhotoOut:
    ready = file is not None and photo.status == PhotoState.READY
    return OrderPhotoOut(
        id=photo.id,
        status=photo.status,
        uploaded_at=photo.uploaded_at.isoformat(),
        link=files.link(file) if ready and file else None,
    )


class AcceptanceLineOut(Out):
    line_id: LineId
    lot_id: LotId
    accepted: int
    rejected: int
    short: int
    reason: str | None
    goods_fen: int
    silent: bool
    photos: list[OrderPhotoOut]
    temperature_tenths: int | None


class AcceptanceOut(Out):
    """The acceptance note: `goods_fen` and `freight_fen` are what the buyer owes for this supplier order.

    `silent`: nobody inspected in time, so all that was shipped counts as accepted.
    """

    id: AcceptanceId
    number: str
    supplier_order_id: SupplierOrderId
    at: str
    goods_fen: int
    freight_fen: int
    total_fen: int
    note: str | None
    silent: bool
    signed_by: list[UserId]
    lines: list[AcceptanceLineOut]


class SupplierOrderItem(Out):
    id: SupplierOrderId
    order_id: OrderId
    order_number: str
    status: Status
    buyer: BuyerOut
    goods_fen: int
    freight_fen: int
    placed_at: str


class SupplierOrderPage(Out):
    items: list[SupplierOrderItem]
    next: str | None


class DeadlineOut(Out):
    """What is waited for and until when; after `lapses_at` the order is cancelled, or all of it counts as accepted."""

    waits_for: str
    began_at: str
    due_at: str
    lapses_at: str | None
    ended_at: str | None


class FilledOrderOut(WishesOut):
    """A supplier order as its cooperative sees it. `lots` from packing on, `shipment` from shipping on."""

    id: SupplierOrderId
    order_id: OrderId
    order_number: str
    status: Status
    buyer: BuyerOut
    destination: DestinationOut
    goods_fen: int
    freight_fen: int
    agreed_freight_fen: int | None
    accepted_goods_fen: int | None
    accepted_freight_fen: int | None
    placed_at: str
    lines: list[LineOut]
    lots: list[LotOut]
    missing_documents: list[MissingOut]
    history: list[MoveOut]
    deadlines: list[DeadlineOut]
    shipment: ShipmentOut | None
    acceptance: AcceptanceOut | None
