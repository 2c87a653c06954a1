"""What happens to lots in store: places, transfers, write-offs, stock takes. Every change of a lot is a movement.

A lot that is moved keeps its county, households, dates and code: what lies elsewhere is a row of its own that names the
lot it came from (`origin_id`), and together they are the lot as it was harvested.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from shop.accounts.queries_units import known_divisions
from shop.actor import Actor
from shop.audit import service as audit
from shop.clock import business_day
from shop.db import insert_rows
from shop.errors import Invalid, Refusal
from shop.http.parsing import fault
from shop.ids import new_id
from shop.stock import queries, queries_keeping
from shop.stock.models import Location, Lot, Movement, StockTake, StockTakeLine
from shop.stock.schemas_keeping import CountLot, KeepAt, TakeStock, Transfer, WriteOff
from shop.stock.service import recalling
from shop.stock.service.holding import LotRecalled


class NotInStore(Refusal):
    """Less of the lot is in store, unbound; `available` says how much, in base units."""

    code, status = "not_in_store", 409
    title, title_zh = "Less than that is in store.", "该批次库存不足。"


class CountedBelowBound(Refusal):
    """More is packed for orders than was counted; `lots` names each lot with what is packed and what was counted."""

    code, status = "counted_below_bound", 409
    title, title_zh = "More is packed than was counted.", "盘点数量少于已装箱数量。"


class LocationClosed(Refusal):
    code, status = "location_closed", 409
    title, title_zh = "This place is closed.", "该库点已停用。"


def add_location(session: Session, *, by: Actor, wanted: KeepAt, now: datetime) -> Location:
    """A store in the county or a warehouse in the east, under a name that the cooperative uses once."""
    if not known_divisions(session, [wanted.division_code], business_day(now)):
        raise Invalid("No such division.", pointer="/division_code")
    key = session.scalar(
        upsert(Location)
        .values(
            id=new_id(),
            cooperative_id=by.organisation_id,
            kind=wanted.kind,
            name=wanted.name,
            division_code=wanted.division_code,
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=["cooperative_id", "name"])
        .returning(Location.id)
    )
    if key is None:
        raise Invalid("There is a place of this name already.", pointer="/name")
    audit.record(session, by=by, action="location.added", kind="location", subject=key, now=now, name=wanted.name)
    return session.get_one(Location, key)


def close_location(session: Session, *, by: Actor, location_id: UUID, now: datetime) -> Location:
    """Take no more goods in at a place; what lies there stays until it is packed, moved or written off."""
    found = queries_keeping.location(session, by, location_id, lock=True)
    if found.closed_at is None:
        found.closed_at = now
        session.flush()
        audit.record(session, by=by, action="location.closed", kind="location", subject=found.id, now=now)
    return found


def open_location(session: Session, by: Actor, location_id: UUID) -> Location:
    """A place of the actor's that takes goods in, and does until the commit."""
    found = queries_keeping.location(session, by, location_id, lock=True)
    if found.closed_at is not None:
        raise LocationClosed(pointer="/location_id")
    return found


LOCK_LOTS = text("SELECT id FROM lot WHERE id = ANY(CAST(:lots AS uuid[])) ORDER BY id FOR UPDATE")


def locked(session: Session, by: Actor, lot_ids: Sequence[UUID]) -> dict[UUID, Lot]:
    """Lots of the actor's as they stand, kept so until the commit; NotFound for any other."""
    session.execute(LOCK_LOTS, {"lots": sorted(lot_ids)})
    return {key: queries.own(session, Lot, by, key) for key in sorted(lot_ids)}


def there(session: Session, lot: Lot, location_id: UUID | None) -> UUID:
    """The row of the same harvest at another place: the first row when it is at home there, else one made for it."""
    origin = session.get_one(Lot, lot.origin_id or lot.id)
    if origin.location_id == location_id:
        return origin.id
    made = upsert(Lot).values(
        id=new_id(),
        product_id=lot.product_id,
        cooperative_id=lot.cooperative_id,
        code=lot.code,
        harvested_on=lot.harvested_on,
        best_before=lot.best_before,
        received=0,
        in_store=0,
        location_id=location_id,
        origin_id=origin.id,
        created_at=lot.created_at,
    )
    session.execute(made.on_conflict_do_nothing(index_elements=["origin_id", "location_id"]))
    return session.scalars(select(Lot.id).where(Lot.origin_id == origin.id, Lot.location_id == location_id)).one()


def transfer(session: Session, *, by: Actor, lot_id: UUID, wanted: Transfer, now: datetime) -> Lot:
    """Move part of a lot to another place; gives the lot as it lies there.

    NotFound, LocationClosed, NotInStore, and LotRecalled for what a recall holds.
    """
    lot = queries.own(session, Lot, by, lot_id)
    open_location(session, by, wanted.location_id)
    if lot.location_id == wanted.location_id:
        raise Invalid("The lot lies there already.", pointer="/location_id")
    recalling.lock_products(session, lot.product_id, shared=True)
    target_id = there(session, lot, wanted.location_id)
    rows = locked(session, by, [lot.id, target_id])
    lot, target = rows[lot_id], rows[target_id]
    refuse_more(lot, wanted.quantity)
    quantity = wanted.quantity
    lot.in_store, lot.transferred = lot.in_store - quantity, lot.transferred + quantity
    target.in_store, target.transferred = target.in_store + quantity, target.transferred - quantity
    session.flush()
    moved(session, by, lot, "transferred_out", quantity, now, other_lot_id=target.id)
    moved(session, by, target, "transferred_in", quantity, now, other_lot_id=lot.id)
    audit.record(
        session, by=by, action="lot.transferred", kind="lot", subject=lot.id, now=now, quantity=quantity,
        to=target.id.hex,
    )  # fmt: skip
    return target


def write_off(session: Session, *, by: Actor, lot_id: UUID, wanted: WriteOff, now: datetime) -> Lot:
    """Take out of store what is not for sale any more, with its reason; recalled goods too. NotFound, NotInStore."""
    lot = locked(session, by, [lot_id])[lot_id]
    if lot.in_store < wanted.quantity:
        raise NotInStore(available=lot.in_store, pointer="/quantity")
    lot.in_store, lot.lost = lot.in_store - wanted.quantity, lot.lost + wanted.quantity
    session.flush()
    moved(session, by, lot, "written_off", wanted.quantity, now, reason=wanted.reason, note=wanted.note)
    audit.record(
        session, by=by, action="lot.written_off", kind="lot", subject=lot.id, now=now, reason=wanted.reason,
        quantity=wanted.quantity,
    )  # fmt: skip
    return lot


def refuse_more(lot: Lot, quantity: int) -> None:
    if lot.recalls:
        raise LotRecalled(lots=[f"lot_{lot.id.hex}"])
    if lot.in_store < quantity:
        raise NotInStore(available=lot.in_store, pointer="/quantity")


def take_stock(session: Session, *, by: Actor, wanted: TakeStock, now: datetime) -> StockTake:
    """Record what was counted of lots; what was found more or less is booked, and every count kept.

    A count is of everything that lies there, packed or not. NotFound; CountedBelowBound when more is packed than was
    counted: unpack first.
    """
    faults = [
        fault(f"/counts/{place}/lot_id", "repeated", "this lot is counted above already")
        for place, count in enumerate(wanted.counts)
        if count.lot_id in {earlier.lot_id for earlier in wanted.counts[:place]}
    ]
    if faults:
        raise Invalid(errors=faults)
    rows = locked(session, by, [count.lot_id for count in wanted.counts])
    short = [count for count in wanted.counts if count.counted < rows[count.lot_id].bound]
    if short:
        raise CountedBelowBound(
            lots=[
                {
                    "lot_id": f"lot_{count.lot_id.hex}",
                    "bound": rows[count.lot_id].bound,
                    "counted": count.counted,
                }
                for count in short
            ]
        )
    take = StockTake(id=new_id(), cooperative_id=by.organisation_id, by_user_id=by.user_id, note=wanted.note, at=now)
    session.add(take)
    session.flush()
    lines = [counted(session, by, take, rows[count.lot_id], count, now) for count in wanted.counts]
    insert_rows(session, (StockTakeLine, lines))
    audit.record(session, by=by, action="stock.counted", kind="stock_take", subject=take.id, now=now, lots=len(lines))
    return take


def counted(session: Session, by: Actor, take: StockTake, lot: Lot, count: CountLot, now: datetime) -> dict[str, Any]:
    expected = lot.in_store + lot.bound
    change = count.counted - expected
    if change > 0:
        lot.in_store, lot.gained = lot.in_store + change, lot.gained + change
    elif change < 0:
        lot.in_store, lot.lost = lot.in_store + change, lot.lost - change
    if change:
        session.flush()
        kind = "counted_more" if change > 0 else "counted_less"
        moved(session, by, lot, kind, abs(change), now, note=count.note, stock_take_id=take.id)
    return {
        "id": new_id(), "stock_take_id": take.id, "lot_id": lot.id, "expected": expected, "counted": count.counted,
        "note": count.note,
    }  # fmt: skip


def moved(session: Session, by: Actor, lot: Lot, kind: str, quantity: int, now: datetime, **more: Any) -> None:
    session.add(
        Movement(id=new_id(), lot_id=lot.id, kind=kind, quantity=quantity, by_user_id=by.user_id, at=now, **more)
    )
    session.flush()
