"""Pay the cooperatives: what was accepted, once the buyer's money is in."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.actor import SYSTEM
from shop.ledger import service as ledger
from shop.ledger.models import AccountKind
from shop.orders.models import Status, SupplierOrder
from shop.orders.service import moving
from shop.payments.models import Charge, ChargeStatus


def settle_order(session: Session, *, order_id: UUID, now: datetime) -> int:
    """Settle every inspected part of an order that a successful charge covers; gives how many.

    One settlement a supplier order: the ledger takes each source once.
    """
    paid = session.scalars(
        select(Charge.parts).where(Charge.order_id == order_id, Charge.status == ChargeStatus.SUCCEEDED)
    ).all()
    covered = sorted({part for parts in paid for part in parts})
    parts = session.scalars(
        select(SupplierOrder)
        .where(SupplierOrder.id.in_(covered), SupplierOrder.status == Status.INSPECTED)
        .order_by(SupplierOrder.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    for part in parts:
        owed = (part.accepted_goods_fen or 0) + (part.accepted_freight_fen or 0)
        ledger.post(
            session,
            kind="settlement",
            source_id=part.id,
            order_id=order_id,
            legs=[
                ledger.Leg(part.cooperative_id, AccountKind.COOPERATIVE, owed),
                ledger.Leg(ledger.PLATFORM_ID, AccountKind.BANK, -owed),
            ],
            now=now,
        )
        moving.move(session, supplier_order_id=part.id, to=Status.SETTLED, by=SYSTEM, now=now)
    return len(parts)
