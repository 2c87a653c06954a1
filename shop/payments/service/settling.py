"""Pay the cooperatives: what was accepted, once the buyer's money is in."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from shop.actor import SYSTEM
from shop.ledger import service as ledger
from shop.ledger.models import AccountKind
from shop.ledger.service import Leg, Posting
from shop.orders.models import Status, SupplierOrder
from shop.orders.service import moving
from shop.payments.queries import locked_parts, paid_parts, share_of


def settle_order(session: Session, *, order_id: UUID, now: datetime) -> int:
    """Settle every inspected part of an order that is paid for, or of which nothing was accepted; gives how many.

    One settlement a supplier order: the ledger takes each source once.
    """
    inspected = locked_parts(session, (SupplierOrder.order_id == order_id) & (SupplierOrder.status == Status.INSPECTED))
    paid = paid_parts(session, order_id)
    due = [part for part in inspected if part.id in paid or not share_of(part, prepaid=False)]
    ledger.post_all(
        session,
        [
            Posting(
                "settlement",
                part.id,
                order_id,
                [
                    Leg(part.cooperative_id, AccountKind.COOPERATIVE, share_of(part, prepaid=False)),
                    Leg(ledger.PLATFORM_ID, AccountKind.BANK, -share_of(part, prepaid=False)),
                ],
            )
            for part in due
        ],
        now=now,
    )
    for part in due:
        moving.move(session, supplier_order_id=part.id, to=Status.SETTLED, by=SYSTEM, now=now)
    return len(due)
