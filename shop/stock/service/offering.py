"""What a cooperative promises and harvests: offer supply, withdraw what nobody holds, receive lots, close windows."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.audit import service as audit
from shop.catalogue.models import Listing
from shop.clock import business_day
from shop.errors import Invalid, NotFound, Refusal
from shop.ids import new_id
from shop.ledger.service import PLATFORM_ID
from shop.outbox import service as outbox
from shop.stock import queries
from shop.stock.models import Lot, Movement, Supply
from shop.stock.schemas import ReceiveLot
from shop.stock.service import keeping, recalling

CLOSED_AT_ONCE = 500
LONGEST_WINDOW_DAYS = 1100


class NotOpen(Refusal):
    """Less is open than is to be withdrawn; `available` says how many packs are."""

    code, status = "not_enough_open", 409
    title, title_zh = "Orders hold part of this supply.", "该供应已有部分被订单占用。"


def own_listing(session: Session, by: Actor, listing_id: UUID) -> tuple[UUID, int]:
    """Product and base units per pack of a listing of the actor's cooperative; NotFound for any other."""
    row = session.execute(
        select(Listing.product_id, Listing.pack_base_quantity).where(
            Listing.id == listing_id, Listing.cooperative_id == by.organisation_id
        )
    ).first()
    if row is None:
        raise NotFound("No such listing of yours.")
    return row[0], row[1]


def offer(
    session: Session, *, by: Actor, listing_id: UUID, ready_from: date, ready_to: date, packs: int, now: datetime
) -> Supply:
    """Promise so many packs of a listing, ready within a window of business days.

    Beyond the declared yearly capacity it is still taken, and told to the platform by `capacity.exceeded`. While a
    recall stops such supply, all of it is stopped.
    """
    product_id, pack = own_listing(session, by, listing_id)
    if ready_to <= ready_from:
        raise Invalid("The window ends before it begins.", pointer="/ready_to")
    if ready_to <= business_day(now):
        raise Invalid("The window is over.", pointer="/ready_to")
    if (ready_to - ready_from).days > LONGEST_WINDOW_DAYS:
        raise Invalid(f"A window is at most {LONGEST_WINDOW_DAYS} days long.", pointer="/ready_to")
    quantity = packs * pack
    supply = Supply(
        id=new_id(),
        listing_id=listing_id,
        cooperative_id=by.organisation_id,
        ready_from=ready_from,
        ready_to=ready_to,
        promised=quantity,
        open=quantity,
        held=0,
        bound=0,
        withdrawn=0,
        closed=False,
        created_at=now,
    )
    recalling.lock_products(session, product_id, shared=True)
    session.add(supply)
    session.flush()
    recalling.stop_new_supply(session, supply, product_id=product_id, now=now)
    audit.record(session, by=by, action="supply.offered", kind="supply", subject=supply.id, now=now, quantity=quantity)
    outbox.announce(
        session, "supply.offered", now=now, seen_by=[by.organisation_id], supply_id=supply.id, listing_id=listing_id
    )
    flag_beyond_capacity(session, supply, now=now)
    return supply


PROMISED = text(
    """
    SELECT c.id, c.grams_per_year, (
        SELECT sum((s.promised - s.withdrawn) / l.pack_base_quantity * l.pack_grams)::bigint
        FROM supply s JOIN listing l ON l.id = s.listing_id JOIN product o ON o.id = l.product_id
        WHERE s.cooperative_id = p.cooperative_id AND o.name = p.name AND o.category = p.category
            AND date_trunc('year', s.ready_from) = date_trunc('year', CAST(:ready_from AS date))
    )
    FROM listing l JOIN product p ON p.id = l.product_id
    LEFT JOIN declared_capacity c ON c.organisation_id = p.cooperative_id AND c.current
        AND c.product_name = p.name AND c.category = p.category
    WHERE l.id = :listing
        AND EXISTS (SELECT FROM declared_capacity d WHERE d.organisation_id = p.cooperative_id AND d.current)
    """
)


def flag_beyond_capacity(session: Session, supply: Supply, *, now: datetime) -> None:
    """Announce `capacity.exceeded` when a year's promises of a product pass what its grower declared; nothing stops.

    `declared_grams` is null for a product that the declaration leaves out.
    """
    row = session.execute(PROMISED, {"listing": supply.listing_id, "ready_from": supply.ready_from}).first()
    if row is None or row[2] <= (row[1] or 0):
        return
    outbox.announce(
        session, "capacity.exceeded", now=now, seen_by=[supply.cooperative_id, PLATFORM_ID], supply_id=supply.id,
        organisation_id=supply.cooperative_id, declared_grams=row[1], promised_grams=row[2],
    )  # fmt: skip


def withdraw(session: Session, *, by: Actor, supply_id: UUID, packs: int, now: datetime) -> Supply:
    """Take back so many packs that nobody holds, or refuse with NotOpen; what is held stays held."""
    supply = queries.own(session, Supply, by, supply_id)
    _, pack = own_listing(session, by, supply.listing_id)
    quantity = packs * pack
    done = session.execute(
        update(Supply)
        .where(Supply.id == supply_id, Supply.closed.is_(False), Supply.open >= quantity)
        .values(open=Supply.open - quantity, withdrawn=Supply.withdrawn + quantity)
        .execution_options(synchronize_session=False)
        .returning(Supply.id)
    ).first()
    supply = queries.own(session, Supply, by, supply_id)
    if done is None:
        raise NotOpen(available=0 if supply.closed else supply.open // pack)
    audit.record(
        session, by=by, action="supply.withdrawn", kind="supply", subject=supply_id, now=now, quantity=quantity
    )
    return supply


def own_goods(session: Session, by: Actor, wanted: ReceiveLot) -> tuple[UUID, int]:
    """The product that a lot is of, and how many base units it holds; NotFound for what is not the actor's."""
    if wanted.listing_id is not None:
        product_id, pack = own_listing(session, by, wanted.listing_id)
    else:
        # Base units of a product are those of its listings, which share one; without a listing there are none yet.
        found = session.execute(
            select(Listing.product_id).where(
                Listing.product_id == wanted.product_id, Listing.cooperative_id == by.organisation_id
            )
        ).first()
        if found is None:
            raise NotFound("No such product of yours.")
        product_id, pack = found[0], 1
    if wanted.packs is not None:
        return product_id, wanted.packs * pack
    assert wanted.quantity is not None
    return product_id, wanted.quantity


def receive(session: Session, *, by: Actor, wanted: ReceiveLot, now: datetime) -> Lot:
    """Bring a harvest into store as a lot of its product, with the movement that says so.

    A lot of a harvest that is recalled is held from the start.
    """
    product_id, quantity = own_goods(session, by, wanted)
    if wanted.harvested_on > business_day(now):
        raise Invalid("A harvest lies in the past.", pointer="/harvested_on")
    if wanted.best_before <= wanted.harvested_on:
        raise Invalid("The lot ends before it is harvested.", pointer="/best_before")
    if wanted.location_id is not None:
        keeping.open_location(session, by, wanted.location_id)
    recalling.lock_products(session, product_id, shared=True)
    lot_id = session.execute(
        upsert(Lot)
        .values(
            id=new_id(),
            product_id=product_id,
            cooperative_id=by.organisation_id,
            code=wanted.code,
            harvested_on=wanted.harvested_on,
            best_before=wanted.best_before,
            received=quantity,
            in_store=quantity,
            bound=0,
            shipped=0,
            lost=0,
            location_id=wanted.location_id,
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=["cooperative_id", "code"], index_where=text("origin_id IS NULL"))
        .returning(Lot.id)
    ).scalar_one_or_none()
    if lot_id is None:
        raise Invalid("There is a lot of this code already.", pointer="/code")
    session.execute(insert(Movement).values(id=new_id(), lot_id=lot_id, kind="received", quantity=quantity, at=now))
    recalling.hold_new_lot(session, lot_id, now=now)
    audit.record(session, by=by, action="lot.received", kind="lot", subject=lot_id, now=now, quantity=quantity)
    return queries.own(session, Lot, by, lot_id)


CLOSE = text(
    """
    WITH over AS MATERIALIZED (
        SELECT id FROM supply WHERE NOT closed AND ready_to <= :today ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    UPDATE supply s SET withdrawn = s.withdrawn + s.open + s.stopped, open = 0, stopped = 0, closed = true
    FROM over WHERE s.id = over.id
    """
)


def close_windows(session: Session, *, now: datetime) -> int:
    """Close supplies whose window is over: what is open counts as withdrawn, what is held stays. Gives how many."""
    closed: int = session.execute(CLOSE, {"today": business_day(now), "limit": CLOSED_AT_ONCE}).rowcount  # type: ignore[attr-defined]
    return closed
