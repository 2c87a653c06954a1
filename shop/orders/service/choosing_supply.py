"""A part was paid and its supply is gone: its buyer waits for more or has the money back; silence is the latter."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, text
from sqlalchemy.orm import Session

from shop.actor import SYSTEM, Actor
from shop.clock import business_day
from shop.orders import queries
from shop.orders.models import OrderLine, Status, SupplierOrder
from shop.orders.models_holds import Chosen, NoSupplyChoice, Outcome, SupplyChoice
from shop.orders.service import cancelling, holding_on, moving
from shop.outbox import service as outbox

SUPPLY_GONE = "supply_gone"
WAIT = text(
    """
    UPDATE supply_choice SET chosen = 'wait', chosen_by = :by, chosen_at = :now,
        decide_by = CAST(:now AS timestamptz) + COALESCE(
            (SELECT minutes FROM hold_rule WHERE kind = 'wait' AND valid @> CAST(:day AS date)), 0
        ) * interval '1 minute'
    WHERE supplier_order_id = :part AND ended_at IS NULL AND chosen IS NULL
    """
)


class Waiting(NamedTuple):
    part_id: UUID
    listing_ids: frozenset[UUID]


def choose(session: Session, *, actor: Actor, supplier_order_id: UUID, chosen: Chosen, now: datetime) -> SupplyChoice:
    """Wait until there is supply, or have the money back: NotFound, NoSupplyChoice.

    Who waits may still ask for the money; waiting again does not put off the day by which it comes back by itself.
    """
    part = queries.supplier_order(session, actor, supplier_order_id)
    choice = open_choice(session, part.id, of=SupplierOrder.id == part.id)
    if choice is None:
        raise NoSupplyChoice
    if chosen is Chosen.REFUND:
        choice.chosen, choice.chosen_by, choice.chosen_at = Chosen.REFUND, actor.user_id, now
        session.flush()
        cancelling.cancel_parts(session, supplier_order_ids=[part.id], by=actor, reason=SUPPLY_GONE, now=now)
    else:
        session.execute(WAIT, {"part": part.id, "by": actor.user_id, "now": now, "day": business_day(now)})
    session.refresh(choice)
    return choice


def open_choice(
    session: Session, part_id: UUID, *, of: ColumnElement[bool], skip_locked: bool = False
) -> SupplyChoice | None:
    """The open choice of a part, which is locked first, as those do who move it."""
    locked = session.scalars(
        select(SupplierOrder.id).where(SupplierOrder.id == part_id, of).with_for_update(skip_locked=skip_locked)
    ).first()
    if locked is None:
        return None
    return session.scalars(
        select(SupplyChoice)
        .where(SupplyChoice.supplier_order_id == part_id, SupplyChoice.ended_at.is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()


def waiting(session: Session, *, limit: int = 1000) -> Sequence[Waiting]:
    """The parts that wait for supply, who paid first at the head, each with its listings."""
    rows = session.execute(
        select(SupplyChoice.supplier_order_id, func.array_agg(OrderLine.listing_id))
        .join(OrderLine, OrderLine.supplier_order_id == SupplyChoice.supplier_order_id)
        .where(SupplyChoice.ended_at.is_(None), SupplyChoice.chosen == Chosen.WAIT)
        .group_by(SupplyChoice.supplier_order_id)
        .order_by(SupplyChoice.opened_at, SupplyChoice.supplier_order_id)
        .limit(limit)
    )
    return [Waiting(part_id, frozenset(listings)) for part_id, listings in rows]


def fill(session: Session, *, supplier_order_id: UUID, now: datetime) -> bool:
    """Hold supply for a part that waits for it and confirm it; False when there is not enough for all of it."""
    choice = open_choice(session, supplier_order_id, of=SupplierOrder.status == Status.PLACED, skip_locked=True)
    if choice is None or choice.chosen != Chosen.WAIT:
        return False
    part = session.get_one(SupplierOrder, supplier_order_id, populate_existing=True)
    if not holding_on.take_again(session, parts=[part], now=now):
        return False
    holding_on.end_choices(session, part_ids=[part.id], outcome=Outcome.FILLED, now=now)
    moving.move(session, supplier_order_id=part.id, to=Status.CONFIRMED, by=SYSTEM, now=now)
    outbox.announce(
        session,
        "supplier_order.supply_found",
        now=now,
        seen_by=[part.buyer_id],
        supplier_order_id=part.id,
        order_id=part.order_id,
    )
    return True


def due(session: Session, *, now: datetime, limit: int = 100) -> Sequence[UUID]:
    """The parts whose buyers let the time pass, the longest first."""
    return session.scalars(
        select(SupplyChoice.supplier_order_id)
        .where(SupplyChoice.ended_at.is_(None), SupplyChoice.decide_by <= now)
        .order_by(SupplyChoice.decide_by)
        .limit(limit)
    ).all()


def give_up(session: Session, *, supplier_order_id: UUID, now: datetime) -> bool:
    """Cancel a part whose time to choose or to wait is over; the money goes back. False when it was ended otherwise."""
    choice = open_choice(session, supplier_order_id, of=SupplierOrder.status == Status.PLACED, skip_locked=True)
    if choice is None or choice.decide_by > now:
        return False
    cancelling.cancel_parts(session, supplier_order_ids=[supplier_order_id], by=SYSTEM, reason=SUPPLY_GONE, now=now)
    return True
