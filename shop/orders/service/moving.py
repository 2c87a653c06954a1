"""Give supplier orders their next status: one conditional update, one history row, one event, and what is due."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.errors import NotFound
from shop.ids import new_id
from shop.orders.models import NEXT, OrderHistory, Status, SupplierOrder, WrongStatus
from shop.orders.service import keeping_times
from shop.outbox import service as outbox


def move(
    session: Session,
    *,
    supplier_order_id: UUID,
    to: Status,
    by: Actor,
    now: datetime,
    reason: str | None = None,
    told: Mapping[str, Any] | None = None,
    called: str | None = None,
) -> None:
    """Give a supplier order its next status with its history row and event, or refuse with WrongStatus.

    The event is `supplier_order.<status>`, or as the move is `called`, and carries the ids of both orders and whatever
    `told` adds.
    """
    starts = [status for status, following in NEXT.items() if to in following]
    old = (
        select(SupplierOrder.id, SupplierOrder.status)
        .where(SupplierOrder.id == supplier_order_id)
        .with_for_update()
        .cte("old")
    )
    row = session.execute(
        update(SupplierOrder)
        .where(SupplierOrder.id == old.c.id, old.c.status.in_(starts))
        .values(status=to)
        .returning(SupplierOrder.order_id, SupplierOrder.buyer_id, SupplierOrder.cooperative_id, old.c.status)
        .execution_options(synchronize_session=False)
    ).first()
    if row is None:
        stands = session.scalar(select(SupplierOrder.status).where(SupplierOrder.id == supplier_order_id))
        if stands is None:
            raise NotFound
        raise WrongStatus(f"A supplier order that is {stands} cannot become {to}.", is_now=stands)
    step = select(func.count() + 1).select_from(OrderHistory).where(OrderHistory.supplier_order_id == supplier_order_id)
    session.execute(
        insert(OrderHistory).values(
            id=new_id(),
            supplier_order_id=supplier_order_id,
            step=step.scalar_subquery(),
            was=row.status,
            status=to,
            by_user_id=by.user_id,
            reason=reason,
            at=now,
        )
    )
    keeping_times.follow(session, supplier_order_id=supplier_order_id, was=row.status, to=to, now=now)
    outbox.announce(
        session,
        f"supplier_order.{called or to}",
        now=now,
        seen_by=[row.buyer_id, row.cooperative_id],
        supplier_order_id=supplier_order_id,
        order_id=row.order_id,
        **(told or {}),
    )


def confirm_order(session: Session, *, order_id: UUID, by: Actor, now: datetime) -> Sequence[UUID]:
    """Confirm every placed supplier order of an order, whatever became of the others; gives those confirmed now."""
    placed = session.scalars(
        select(SupplierOrder.id)
        .where(SupplierOrder.order_id == order_id, SupplierOrder.status == Status.PLACED)
        .order_by(SupplierOrder.id)
        .with_for_update()
    ).all()
    for key in placed:
        move(session, supplier_order_id=key, to=Status.CONFIRMED, by=by, now=now)
    return placed
