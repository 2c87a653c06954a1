"""Where lots lie, how they came and went, and what was counted."""

from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.errors import NotFound
from shop.stock import queries
from shop.stock.models import Location, Lot, Movement, StockTake, StockTakeLine

Paged = TypeVar("Paged", Movement, StockTake)


def location(session: Session, actor: Actor, location_id: UUID, *, lock: bool = False) -> Location:
    """A place of the actor's own, or NotFound."""
    wanted = select(Location).where(Location.id == location_id, Location.cooperative_id == actor.organisation_id)
    found = session.scalars(wanted.with_for_update(key_share=True) if lock else wanted).first()
    if found is None:
        raise NotFound("No such place of yours.", pointer="/location_id")
    return found


def locations(session: Session, actor: Actor) -> Sequence[Location]:
    """The places of the actor's cooperative, open ones first."""
    return session.scalars(
        select(Location)
        .where(Location.cooperative_id == actor.organisation_id)
        .order_by(Location.closed_at.is_not(None), Location.name)
    ).all()


def movements(session: Session, actor: Actor, lot_id: UUID, *, before: UUID | None, limit: int) -> Sequence[Movement]:
    """What happened to a lot of the actor's, newest first, one more than the limit when there are more."""
    queries.own(session, Lot, actor, lot_id)
    return newest(session, select(Movement).where(Movement.lot_id == lot_id), Movement, before, limit)


def stock_takes(session: Session, actor: Actor, *, before: UUID | None, limit: int) -> Sequence[StockTake]:
    """The stock takes of the cooperative, newest first."""
    wanted = select(StockTake).where(StockTake.cooperative_id == actor.organisation_id)
    return newest(session, wanted, StockTake, before, limit)


def counts_of(session: Session, take_ids: Sequence[UUID]) -> dict[UUID, list[StockTakeLine]]:
    """The counts of stock takes, in one statement."""
    found: dict[UUID, list[StockTakeLine]] = {key: [] for key in take_ids}
    wanted = select(StockTakeLine).where(StockTakeLine.stock_take_id.in_(take_ids)).order_by(StockTakeLine.id)
    for line in session.scalars(wanted):
        found[line.stock_take_id].append(line)
    return found


def newest(
    session: Session, wanted: Select[Paged], model: type[Paged], before: UUID | None, limit: int
) -> Sequence[Paged]:
    wanted = wanted.order_by(model.id.desc()).limit(limit + 1)
    found: Sequence[Paged] = session.scalars(wanted.where(model.id < before) if before else wanted).all()
    return found
