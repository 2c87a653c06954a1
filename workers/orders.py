"""What the workers do about orders."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from shop.actor import SYSTEM
from shop.clock import business_now
from shop.orders.models import Terms
from shop.orders.service import moving


def confirm_on_terms(session: Session, *, order_id: UUID, terms: str, **_newer: Any) -> None:
    """An order on terms waits for nobody's money: its credit is reserved, so it is confirmed at once."""
    if terms == Terms.ON_TERMS:
        moving.confirm_order(session, order_id=order_id, by=SYSTEM, now=business_now(session))
