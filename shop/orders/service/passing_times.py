"""What the passing of time does: reminders, word of what is late, and the end of what nobody answered.

Each step happens once, however often and late it is asked for: a step is taken off its row in the commit of its effect.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, select, text, tuple_
from sqlalchemy.orm import Session

from shop.actor import SYSTEM
from shop.db import insert_rows
from shop.orders.models import OrderLine, SupplierOrder
from shop.orders.models_times import WAITING, OrderDue, Step, Waits
from shop.orders.queries_inspections import waiting_signing
from shop.orders.service import acceptance, cancelling
from shop.outbox import service as outbox
from shop.outbox.models import Event
from shop.stock.models_recalls import Recall, RecallLine, RecallStatus

UNCONFIRMED = "unconfirmed"
AGAIN = timedelta(hours=1)  # after which it is looked again whether a recall of what lies with the buyer is over
TOLD = {
    (Waits.CONFIRMATION, Step.REMIND): "confirmation_due",
    (Waits.CONFIRMATION, Step.OVERDUE): "confirmation_overdue",
    (Waits.SHIPMENT, Step.REMIND): "shipment_due",
    (Waits.SHIPMENT, Step.OVERDUE): "shipment_late",
    (Waits.ACCEPTANCE, Step.REMIND): "acceptance_due",
    (Waits.ACCEPTANCE, Step.OVERDUE): "acceptance_overdue",
}
"""What the events are called, after `supplier_order.`."""

PASS = text(
    """
    WITH due AS (
        SELECT id FROM order_due WHERE next_step IN ('remind', 'overdue') AND next_at <= :now
        ORDER BY next_at LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    UPDATE order_due d
    SET next_step = CASE WHEN d.due_at > :now AND d.due_at IS DISTINCT FROM d.lapse_at THEN 'overdue'
                         WHEN d.lapse_at IS NOT NULL THEN 'lapse' END,
        next_at = CASE WHEN d.due_at > :now AND d.due_at IS DISTINCT FROM d.lapse_at THEN d.due_at ELSE d.lapse_at END
    FROM due, supplier_order s
    WHERE d.id = due.id AND s.id = d.supplier_order_id
    RETURNING d.waits_for, d.due_at, d.lapse_at, s.id, s.order_id, s.buyer_id, s.cooperative_id,
        CASE WHEN d.due_at > :now THEN 'remind' WHEN d.due_at IS DISTINCT FROM d.lapse_at THEN 'overdue' END AS step
    """
)


def tell(session: Session, *, now: datetime, limit: int = 500) -> int:
    """Remind whose turn it is and tell both sides of what is late, once each; gives how many rows were moved on.

    A reminder that was missed until the time was over is not made up for.
    """
    passed = session.execute(PASS, {"now": now, "limit": limit}).all()
    events = [
        outbox.row_of(
            f"supplier_order.{TOLD[Waits(row.waits_for), Step(row.step)]}",
            now=now,
            seen_by=[row.buyer_id, row.cooperative_id],
            supplier_order_id=row.id,
            order_id=row.order_id,
            due_at=row.due_at.isoformat(),
            lapse_at=row.lapse_at.isoformat() if row.lapse_at else None,
        )
        for row in passed
        if row.step
    ]
    insert_rows(session, (Event, events))
    return len(passed)


Place = tuple[datetime, UUID]


def due_to_lapse(session: Session, *, after: Place | None, now: datetime, limit: int = 100) -> Sequence[Place]:
    """What has waited in vain, oldest first: the instant and the id of each row, from behind a place."""
    wanted = select(OrderDue.next_at, OrderDue.id).where(OrderDue.next_step == Step.LAPSE, OrderDue.next_at <= now)
    if after is not None:
        wanted = wanted.where(tuple_(OrderDue.next_at, OrderDue.id) > tuple_(*after))
    found = session.execute(wanted.order_by(OrderDue.next_at, OrderDue.id).limit(limit))
    return [(at, key) for at, key in found if at is not None]


def lapse(session: Session, *, due_id: UUID, now: datetime) -> bool:
    """End one wait: the order is cancelled, or the delivery counts as accepted. False when there is nothing to end.

    What lies under an open recall is not accepted by silence, nor what waits for the second signature of its inspection
    within its hours; it is looked at again later. The supplier order is locked
    before its row, as its moves do; one that is being moved is left to the next time.
    """
    part = session.scalars(
        select(SupplierOrder)
        .join(OrderDue, OrderDue.supplier_order_id == SupplierOrder.id)
        .where(OrderDue.id == due_id)
        .with_for_update(of=SupplierOrder, skip_locked=True)
        .execution_options(populate_existing=True)
    ).first()
    if part is None:
        return False
    due = session.scalars(
        select(OrderDue).where(OrderDue.id == due_id).with_for_update().execution_options(populate_existing=True)
    ).one()
    if due.next_step != Step.LAPSE or due.next_at is None or due.next_at > now:
        return False
    waits = Waits(due.waits_for)
    if part.status not in WAITING[waits]:  # moved by a program that knows of no times
        due.next_step, due.next_at, due.ended_at = None, None, now
    elif waits is Waits.CONFIRMATION:
        cancelling.cancel_parts(session, supplier_order_ids=[part.id], by=SYSTEM, reason=UNCONFIRMED, now=now)
    elif is_recalled(session, part.id):
        due.next_at = now + AGAIN
    elif (signing := waiting_signing(session, part.id)) and (signing.lapses_at is None or signing.lapses_at > now):
        due.next_at = signing.lapses_at or now + AGAIN  # it was inspected in time
    else:
        acceptance.accept_silently(session, supplier_order_id=part.id, now=now)
    session.flush()
    return True


def is_recalled(session: Session, supplier_order_id: UUID) -> bool:
    """Whether goods of a supplier order lie under an open recall."""
    return bool(
        session.scalar(
            select(
                exists().where(
                    OrderLine.supplier_order_id == supplier_order_id,
                    RecallLine.line_id == OrderLine.id,
                    Recall.id == RecallLine.recall_id,
                    Recall.status == RecallStatus.OPEN,
                )
            )
        )
    )
