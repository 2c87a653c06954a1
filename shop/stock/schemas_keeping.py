"""Places, transfers, write-offs and stock takes as JSON; quantities in base units."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from shop.http.routes import In, Out, Query
from shop.ids import LineId, LocationId, LotId, MovementId, OrganisationId, StockTakeId
from shop.stock.models import Location, Movement, StockTake, StockTakeLine

Quantity = Annotated[int, Field(ge=1, le=100_000_000_000)]
Note = Annotated[str, Field(min_length=1, max_length=500)]


class KeepAt(In):
    kind: Literal["county_store", "eastern_warehouse"]
    name: Annotated[str, Field(min_length=1, max_length=100)]
    division_code: Annotated[str, Field(pattern=r"^[0-9]{6}$")]


class Transfer(In):
    location_id: LocationId
    quantity: Quantity


class WriteOff(In):
    quantity: Quantity
    reason: Literal["expired", "spoiled", "damaged", "pest", "sample", "recalled", "other"]
    note: Note | None = None


class CountLot(In):
    """What was counted of a lot, packed or not."""

    lot_id: LotId
    counted: Annotated[int, Field(ge=0, le=100_000_000_000)]
    note: Note | None = None


class TakeStock(In):
    counts: Annotated[list[CountLot], Field(min_length=1, max_length=500)]
    note: Note | None = None


class KeepingQuery(Query):
    limit: Annotated[int, Field(ge=1, le=100)] = 24
    cursor: Annotated[str, Field(max_length=400)] | None = None


class LocationOut(Out):
    id: LocationId
    kind: str
    name: str
    division_code: str
    closed_at: str | None


class LocationList(Out):
    items: list[LocationOut]


class MovementOut(Out):
    """Something that happened to a lot: with the order line and buyer, or the lot at the other place, or the reason."""

    id: MovementId
    kind: str
    quantity: int
    line_id: LineId | None
    buyer_id: OrganisationId | None
    other_lot_id: LotId | None
    stock_take_id: StockTakeId | None
    reason: str | None
    note: str | None
    at: str


class MovementPage(Out):
    items: list[MovementOut]
    next: str | None


class CountOut(Out):
    lot_id: LotId
    expected: int
    counted: int
    note: str | None


class StockTakeOut(Out):
    id: StockTakeId
    at: str
    note: str | None
    counts: list[CountOut]


class StockTakePage(Out):
    items: list[StockTakeOut]
    next: str | None


def location_out(location: Location) -> LocationOut:
    return LocationOut(
        id=location.id,
        kind=location.kind,
        name=location.name,
        division_code=location.division_code,
        closed_at=location.closed_at.isoformat() if location.closed_at else None,
    )


def movement_out(movement: Movement) -> MovementOut:
    return MovementOut(
        **{name: getattr(movement, name) for name in MovementOut.model_fields if name != "at"},
        at=movement.at.isoformat(),
    )


def stock_take_out(take: StockTake, counts: Sequence[StockTakeLine]) -> StockTakeOut:
    return StockTakeOut(
        id=take.id,
        at=take.at.isoformat(),
        note=take.note,
        counts=[
            CountOut(lot_id=line.lot_id, expected=line.expected, counted=line.counted, note=line.note)
            for line in counts
        ],
    )
