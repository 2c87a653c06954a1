"""Forget who paid by bank transfer when the written period is over; the line of the statement stays."""

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shop.payments.models import BankReceipt
from shop.retention import BATCH, Personal, kept_since


def forget(session: Session, *, now: datetime) -> int:
    """Forget a batch of names; gives how many."""
    since = kept_since(session, Personal.PAYER_NAME, now=now)
    if since is None:
        return 0
    old = (
        select(BankReceipt.id)
        .where(BankReceipt.payer_name.is_not(None), BankReceipt.booked_at < since)
        .order_by(BankReceipt.booked_at)
        .limit(BATCH)
    )
    found = session.scalars(
        update(BankReceipt)
        .where(BankReceipt.id.in_(old))
        .values(payer_name=None)
        .returning(BankReceipt.id)
        .execution_options(synchronize_session=False)
    )
    return len(found.all())
