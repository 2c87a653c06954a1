"""Pay the cooperatives: what was accepted, once the buyer's money is in."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.actor import SYSTEM
from shop.ids import new_id
from shop.ledger import service as ledger
from shop.ledger.models import AccountKind
from shop.ledger.service import Leg, Posting
from shop.orders.models import Status, SupplierOrder
from shop.orders.models_claims import Receivable, Recovery
from shop.orders.service import moving
from shop.payments.queries import locked_parts, paid_parts, share_of


def kept_back(session: Session, due: Sequence[SupplierOrder], now: datetime) -> list[Posting]:
    """What is kept from these settlements for receivables of the same cooperatives, with its rows; the postings."""
    left = {part.id: share_of(part, prepaid=False) for part in due}
    open_ones: Sequence[Receivable] = session.scalars(
        select(Receivable)
        .where(
            Receivable.cooperative_id.in_({part.cooperative_id for part in due}),
            Receivable.recovered_fen < Receivable.amount_fen,
        )
        .order_by(Receivable.correction_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    postings = []
    for owed in open_ones:
        for part in due:
            fen = min(left[part.id], owed.amount_fen - owed.recovered_fen)
            if part.cooperative_id != owed.cooperative_id or not fen:
                continue
            kept = Recovery(
                id=new_id(), correction_id=owed.correction_id, supplier_order_id=part.id, amount_fen=fen, at=now
            )
            session.add(kept)
            owed.recovered_fen += fen
            left[part.id] -= fen
            legs = [
                Leg(part.cooperative_id, AccountKind.COOPERATIVE, -fen),
                Leg(ledger.PLATFORM_ID, AccountKind.BANK, fen),
            ]
            postings.append(Posting("recovery", kept.id, owed.order_id, legs))
    session.flush()
    return postings


def settle_order(session: Session, *, order_id: UUID, now: datetime) -> int:
    """Settle every inspected part of an order that is paid for, or of which nothing was accepted; gives how many.

    One settlement a supplier order: the ledger takes each source once. What is disputed waits. What the cooperative was
    paid for and was corrected then is kept from what it is paid now, oldest first.
    """
    inspected = locked_parts(session, (SupplierOrder.order_id == order_id) & (SupplierOrder.status == Status.INSPECTED))
    paid = paid_parts(session, order_id)
    due = [part for part in inspected if part.id in paid or not share_of(part, prepaid=False)]
    postings = [
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
    ]
    ledger.post_all(session, postings + kept_back(session, due, now), now=now)
    for part in due:
        moving.move(session, supplier_order_id=part.id, to=Status.SETTLED, by=SYSTEM, now=now)
    return len(due)
