"""How long a supplier order that is to be paid first holds its supply, and what becomes of it when the money is late.

Whoever lets a hold lapse and whoever brings the money lock the supplier order first, so one of them comes second and
sees what the other did.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text, update
from sqlalchemy.orm import Session

from shop.clock import business_day
from shop.db import insert_rows
from shop.orders import queries
from shop.orders.models import SupplierOrder
from shop.orders.models_holds import Lasts, SupplyChoice
from shop.outbox import service as outbox
from shop.outbox.models import Event
from shop.stock.service import holding

ASKED = text(
    """
    UPDATE supplier_order s
    SET held_until = CASE :kind
        WHEN 'bank_transfer' THEN o.placed_at + r.minutes * interval '1 minute'
        ELSE LEAST(s.held_until, CAST(:now AS timestamptz) + r.minutes * interval '1 minute') END
    FROM hold_rule r, purchase_order o
    WHERE r.kind = :kind AND r.valid @> CAST(:day AS date) AND o.id = s.order_id AND o.terms = 'prepaid'
      AND s.id = ANY(CAST(:parts AS uuid[])) AND s.status = 'placed' AND s.supply_held
    """
)
HELD_LONGER = text(
    """
    UPDATE supplier_order s
    SET held_until = GREATEST(s.held_until, LEAST(
        CAST(:now AS timestamptz) + r.minutes * interval '1 minute', s.pay_before))
    FROM hold_rule r
    WHERE r.kind = 'voucher' AND r.valid @> CAST(:day AS date) AND s.id = ANY(CAST(:parts AS uuid[]))
      AND s.status = 'placed' AND s.supply_held AND s.held_until IS NOT NULL
    """
)
LAPSE = text(
    """
    WITH due AS (
        SELECT id FROM supplier_order
        WHERE id = ANY(CAST(:parts AS uuid[])) AND status = 'placed' AND supply_held AND held_until <= :now
        ORDER BY id FOR UPDATE SKIP LOCKED
    )
    UPDATE supplier_order s SET supply_held = false FROM due WHERE s.id = due.id
    RETURNING s.id, s.order_id, s.buyer_id
    """
)
OPEN_CHOICES = text(
    """
    INSERT INTO supply_choice (supplier_order_id, opened_at, decide_by)
    SELECT part, :now, CAST(:now AS timestamptz) + COALESCE(
        (SELECT minutes FROM hold_rule WHERE kind = 'choice' AND valid @> CAST(:day AS date)), 0) * interval '1 minute'
    FROM unnest(CAST(:parts AS uuid[])) part
    RETURNING supplier_order_id, decide_by
    """
)


def asked(session: Session, *, part_ids: Collection[UUID], kind: Lasts, now: datetime) -> None:
    """The money of these parts is asked for by a method: what they hold is held as its rule says.

    Counted from the placing for a transfer; asking for another method only shortens, so that nobody holds supply on by
    asking again and again.
    """
    session.execute(ASKED, {"parts": sorted(part_ids), "kind": kind, "now": now, "day": business_day(now)})


def vouched(session: Session, *, part_ids: Collection[UUID], now: datetime) -> None:
    """The bank says that the money of these parts is on its way: what they hold still is held longer, as the rule says,
    though not beyond the time to pay. What lapsed before is not held again by it."""
    session.execute(HELD_LONGER, {"parts": sorted(part_ids), "now": now, "day": business_day(now)})


def lapse(session: Session, *, part_ids: Collection[UUID], now: datetime) -> int:
    """Give back the supply of those of these parts whose hold is over and not paid; gives how many.

    They stay payable. One that is being paid, cancelled or moved at this moment is left to the next time.
    """
    over = session.execute(LAPSE, {"parts": sorted(part_ids), "now": now}).all()
    lines = queries.lines_of(session, [row.id for row in over])
    holding.release(session, line_ids=[line.id for found in lines.values() for line in found])
    events = [
        outbox.row_of(
            "supplier_order.hold_lapsed",
            now=now,
            seen_by=[row.buyer_id],
            supplier_order_id=row.id,
            order_id=row.order_id,
        )
        for row in over
    ]
    insert_rows(session, (Event, events))
    return len(over)


def take_again(session: Session, *, parts: Sequence[SupplierOrder], now: datetime) -> set[UUID]:
    """Hold supply anew for parts that hold none, at the price that they were ordered for; gives those that got it.

    Each gets all of its lines or nothing. The parts are locked by the caller; supply is locked for all of them first,
    in the order in which placing locks it.
    """
    if not parts:
        return set()
    lines = queries.lines_of(session, [part.id for part in parts])
    wants = {
        part.id: [
            holding.Want(
                line.id,
                line.listing_id,
                part.buyer_id,
                line.packs_to_fill * line.pack_base_quantity,
                line.pack_base_quantity,
            )
            for line in lines[part.id]
            if line.packs_to_fill
        ]
        for part in parts
    }
    holding.lock(session, listing_ids={want.listing_id for wanted in wants.values() for want in wanted})
    got = {part_id for part_id, wanted in wants.items() if holds(session, wanted, now)}
    session.execute(
        update(SupplierOrder)
        .where(SupplierOrder.id.in_(got))
        .values(supply_held=True, held_until=None)
        .execution_options(synchronize_session=False)
    )
    return got


def holds(session: Session, wants: Sequence[holding.Want], now: datetime) -> bool:
    """Whether supply could be held for all of these; otherwise for none."""
    try:
        with session.begin_nested():
            holding.hold(session, wants, now=now)
    except holding.Shortage:
        return False
    return True


def open_choices(session: Session, *, parts: Sequence[SupplierOrder], now: datetime) -> None:
    """Let the buyer choose what becomes of parts that are paid and for which there is no supply."""
    if not parts:
        return
    by_id = {part.id: part for part in parts}
    opened = session.execute(OPEN_CHOICES, {"parts": sorted(by_id), "now": now, "day": business_day(now)}).all()
    for row in opened:
        part = by_id[row.supplier_order_id]
        outbox.announce(
            session,
            "supplier_order.supply_gone",
            now=now,
            seen_by=[part.buyer_id],
            supplier_order_id=part.id,
            order_id=part.order_id,
            decide_by=row.decide_by.isoformat(),
        )


def end_choices(session: Session, *, part_ids: Sequence[UUID], outcome: str, now: datetime) -> None:
    """Whatever was still to be chosen for these parts is over."""
    session.execute(
        update(SupplyChoice)
        .where(SupplyChoice.supplier_order_id.in_(part_ids), SupplyChoice.ended_at.is_(None))
        .values(outcome=outcome, ended_at=now)
        .execution_options(synchronize_session=False)
    )
