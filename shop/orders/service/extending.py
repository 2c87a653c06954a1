"""More time to pay an order that is to be paid first, asked for once by its buyer."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.audit import service as audit
from shop.clock import business_day
from shop.orders import queries
from shop.orders.models_holds import AlreadyExtended, NothingToExtend, PaymentExtension
from shop.outbox import service as outbox

LOCK = text("SELECT FROM supplier_order WHERE order_id = :order ORDER BY id FOR UPDATE")
EXTEND = text(
    """
    UPDATE supplier_order s SET pay_before = s.pay_before + r.minutes * interval '1 minute'
    FROM purchase_order o, hold_rule r
    WHERE o.id = :order AND s.order_id = o.id AND o.terms = 'prepaid' AND s.status = 'placed' AND s.pay_before > :now
      AND r.kind = 'extension' AND r.valid @> CAST(:day AS date)
    RETURNING s.pay_before, r.minutes
    """
)


def extend(session: Session, *, actor: Actor, order_id: UUID, reason: str, now: datetime) -> PaymentExtension:
    """Give the parts of an order that wait for their money as much longer as the rule of today says, once.

    NotFound for another's, AlreadyExtended, NothingToExtend. Supply is held no longer for it.
    """
    order = queries.order(session, actor, order_id)
    session.execute(LOCK, {"order": order.id})
    before = session.get(PaymentExtension, order.id)
    if before is not None:
        raise AlreadyExtended(pay_before=before.pay_before.isoformat())
    extended = session.execute(EXTEND, {"order": order.id, "now": now, "day": business_day(now)}).all()
    if not extended:
        raise NothingToExtend
    row = PaymentExtension(
        order_id=order.id, buyer_id=order.buyer_id, by_user_id=actor.user_id, reason=reason,
        minutes=extended[0].minutes, pay_before=max(part.pay_before for part in extended), at=now,
    )  # fmt: skip
    session.add(row)
    session.flush()
    audit.record(
        session, by=actor, action="order.payment_extended", kind="order", subject=order.id, now=now, reason=reason,
        pay_before=row.pay_before.isoformat(),
    )  # fmt: skip
    outbox.announce(
        session, "order.payment_extended", now=now, seen_by=[order.buyer_id], order_id=order.id,
        pay_before=row.pay_before.isoformat(),
    )  # fmt: skip
    return row
