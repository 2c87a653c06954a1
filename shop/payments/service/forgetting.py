"""Forget who paid by bank transfer when the written period is over; the line of the statement stays."""

from datetime import datetime

from sqlalchemy.orm import Session

from shop.payments.models import BankReceipt
from shop.retention import Personal, forget_column


def forget(session: Session, *, now: datetime) -> int:
    """Forget a batch of names; gives how many."""
    return forget_column(
        session, Personal.PAYER_NAME, BankReceipt.payer_name, since=BankReceipt.booked_at, empty=None, now=now
    )
