"""Where lots lie and what happens to them there, for cooperatives."""

from datetime import datetime

from sqlalchemy.orm import Session

from shop.actor import Actor, Audience, Role
from shop.errors import NotFound
from shop.http import cursors
from shop.http.routes import REQUIRED, Routes, audience, roles
from shop.ids import LocationId, LotId
from shop.stock import queries_keeping as queries
from shop.stock.schemas import LotOut, lot_out
from shop.stock.schemas_keeping import (
    KeepAt,
    KeepingQuery,
    LocationList,
    LocationOut,
    MovementPage,
    StockTakeOut,
    StockTakePage,
    TakeStock,
    Transfer,
    WriteOff,
    location_out,
    movement_out,
    stock_take_out,
)
from shop.stock.service import keeping
from shop.stock.service.holding import LotRecalled

routes = Routes("/v1/cooperative", tag="Stock")
storekeeper = roles(Role.LISTER, Role.SHIPPER, of=Audience.COOPERATIVE)


@routes.post("/locations", allow=storekeeper, answers={201: LocationOut}, key=REQUIRED)
def add_location(session: Session, actor: Actor, now: datetime, body: KeepAt) -> LocationOut:
    """Name a place where lots lie: a store in the county or a warehouse in the east."""
    return location_out(keeping.add_location(session, by=actor, wanted=body, now=now))


@routes.get("/locations", allow=audience(Audience.COOPERATIVE), answers={200: LocationList})
def list_locations(session: Session, actor: Actor) -> LocationList:
    """The places of the cooperative, open ones first."""
    return LocationList(items=[location_out(location) for location in queries.locations(session, actor)])


@routes.post("/locations/<location_id>/close", allow=storekeeper, answers={200: LocationOut}, key=REQUIRED)
def close_location(session: Session, actor: Actor, now: datetime, location_id: LocationId) -> LocationOut:
    """Take no more goods in at a place."""
    return location_out(keeping.close_location(session, by=actor, location_id=location_id, now=now))


@routes.post(
    "/lots/<lot_id>/transfer",
    allow=storekeeper,
    answers={201: LotOut},
    refusals=(NotFound, keeping.NotInStore, keeping.LocationClosed, LotRecalled),
    key=REQUIRED,
)
def transfer_lot(session: Session, actor: Actor, now: datetime, lot_id: LotId, body: Transfer) -> LotOut:
    """Move part of a lot to another place; it stays the same lot of the same county and households."""
    return lot_out(keeping.transfer(session, by=actor, lot_id=lot_id, wanted=body, now=now))


@routes.post(
    "/lots/<lot_id>/write-off",
    allow=storekeeper,
    answers={200: LotOut},
    refusals=(NotFound, keeping.NotInStore),
    key=REQUIRED,
)
def write_off_lot(session: Session, actor: Actor, now: datetime, lot_id: LotId, body: WriteOff) -> LotOut:
    """Take part of a lot out of store for good, with the reason."""
    return lot_out(keeping.write_off(session, by=actor, lot_id=lot_id, wanted=body, now=now))


@routes.get("/lots/<lot_id>/movements", allow=audience(Audience.COOPERATIVE), answers={200: MovementPage})
def list_movements(session: Session, actor: Actor, lot_id: LotId, query: KeepingQuery) -> MovementPage:
    """Everything that happened to a lot, newest first."""
    question = f"movements {lot_id.hex}"
    before = cursors.decode_id(question, query.cursor) if query.cursor else None
    found = queries.movements(session, actor, lot_id, before=before, limit=query.limit)
    page, following = cursors.cut(question, found, query.limit)
    return MovementPage(items=[movement_out(movement) for movement in page], next=following)


@routes.post(
    "/stock-takes",
    allow=storekeeper,
    answers={201: StockTakeOut},
    refusals=(NotFound, keeping.CountedBelowBound),
    key=REQUIRED,
)
def take_stock(session: Session, actor: Actor, now: datetime, body: TakeStock) -> StockTakeOut:
    """Enter what was counted; what was found more or less is booked."""
    take = keeping.take_stock(session, by=actor, wanted=body, now=now)
    return stock_take_out(take, queries.counts_of(session, [take.id])[take.id])


@routes.get("/stock-takes", allow=audience(Audience.COOPERATIVE), answers={200: StockTakePage})
def list_stock_takes(session: Session, actor: Actor, query: KeepingQuery) -> StockTakePage:
    """The stock takes of the cooperative with every count, newest first."""
    before = cursors.decode_id("stock-takes", query.cursor) if query.cursor else None
    found = queries.stock_takes(session, actor, before=before, limit=query.limit)
    page, following = cursors.cut("stock-takes", found, query.limit)
    counts = queries.counts_of(session, [take.id for take in page])
    return StockTakePage(items=[stock_take_out(take, counts[take.id]) for take in page], next=following)
