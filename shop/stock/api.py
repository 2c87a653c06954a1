"""Supply and lots, for cooperatives."""

from datetime import datetime

from sqlalchemy.orm import Session

from shop.actor import Actor, Audience, Role
from shop.errors import NotFound
from shop.http import cursors
from shop.http.routes import REQUIRED, Routes, audience, roles
from shop.ids import SupplyId
from shop.stock import queries
from shop.stock.models import Lot, Supply
from shop.stock.schemas import (
    LotOut,
    LotPage,
    OfferSupply,
    ReceiveLot,
    StockQuery,
    SupplyOut,
    SupplyPage,
    Withdraw,
    lot_out,
    supply_out,
)
from shop.stock.service import offering

routes = Routes("/v1/cooperative", tag="Stock")
lister = roles(Role.LISTER, of=Audience.COOPERATIVE)
storekeeper = roles(Role.LISTER, Role.SHIPPER, of=Audience.COOPERATIVE)


@routes.post("/supplies", allow=lister, answers={201: SupplyOut}, refusals=(NotFound,), key=REQUIRED)
def offer_supply(session: Session, actor: Actor, now: datetime, body: OfferSupply) -> SupplyOut:
    """Promise packs of a listing for a window of days."""
    made = offering.offer(
        session,
        by=actor,
        listing_id=body.listing_id,
        ready_from=body.ready_from,
        ready_to=body.ready_to,
        packs=body.packs,
        now=now,
    )
    return supply_out(made)


@routes.get("/supplies", allow=audience(Audience.COOPERATIVE), answers={200: SupplyPage})
def list_supplies(session: Session, actor: Actor, query: StockQuery) -> SupplyPage:
    """The cooperative's supplies, newest first."""
    after = cursors.decode_id("supplies", query.cursor) if query.cursor else None
    found = queries.page(session, Supply, actor, after=after, limit=query.limit)
    page, following = cursors.cut("supplies", found, query.limit)
    return SupplyPage(
        items=[supply_out(supply) for supply in page],
        next=following,
    )


@routes.post(
    "/supplies/<supply_id>/withdraw",
    allow=lister,
    answers={200: SupplyOut},
    refusals=(NotFound, offering.NotOpen),
    key=REQUIRED,
)
def withdraw_supply(session: Session, actor: Actor, now: datetime, supply_id: SupplyId, body: Withdraw) -> SupplyOut:
    """Take back packs that no order holds."""
    return supply_out(offering.withdraw(session, by=actor, supply_id=supply_id, packs=body.packs, now=now))


@routes.post("/lots", allow=storekeeper, answers={201: LotOut}, refusals=(NotFound,), key=REQUIRED)
def receive_lot(session: Session, actor: Actor, now: datetime, body: ReceiveLot) -> LotOut:
    """Bring a harvest into store; its code is used once by a cooperative."""
    made = offering.receive(
        session,
        by=actor,
        wanted=body,
        now=now,
    )
    return lot_out(made)


@routes.get("/lots", allow=audience(Audience.COOPERATIVE), answers={200: LotPage})
def list_lots(session: Session, actor: Actor, query: StockQuery) -> LotPage:
    """The cooperative's lots, newest first."""
    after = cursors.decode_id("lots", query.cursor) if query.cursor else None
    found = queries.page(session, Lot, actor, after=after, limit=query.limit)
    page, following = cursors.cut("lots", found, query.limit)
    return LotPage(
        items=[lot_out(lot) for lot in page],
        next=following,
    )
