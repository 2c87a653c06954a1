"""Let the holds of unpaid orders lapse."""

from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from shop.orders.models import Status, SupplierOrder
from shop.orders.service import holding_on
from shop.payments.models import Charge, ChargeStatus


def lapse_holds(session: Session, *, now: datetime, limit: int = 50) -> int:
    """Give back the supply of parts whose hold is over; gives how many.

    Where the gateway did not say whether it took the money, the supply stays held until it does.
    """
    unknown = exists().where(Charge.order_id == SupplierOrder.order_id, Charge.status == ChargeStatus.UNKNOWN)
    due = session.scalars(
        select(SupplierOrder.id)
        .where(
            SupplierOrder.status == Status.PLACED,
            SupplierOrder.supply_held,
            SupplierOrder.held_until <= now,
            ~unknown,
        )
        .order_by(SupplierOrder.held_until)
        .limit(limit)
    ).all()
    return holding_on.lapse(session, part_ids=due, now=now) if due else 0
