"""Close a buyer or a seller, unless somebody would be left with its orders."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shop.accounts.models import Organisation
from shop.accounts.service import closing
from shop.actor import Actor
from shop.errors import Refusal
from shop.orders.models import Status, SupplierOrder

OVER = (Status.SETTLED, Status.CANCELLED)


class OpenOrders(Refusal):
    """`open_orders` counts the supplier orders that are neither settled nor cancelled."""

    code, status = "open_orders", 409
    title, title_zh = (
        "Orders are under way: end them first, or name the successor who will.",
        "仍有在途订单，请先办结，或指定承接单位。",
    )


def under_way(session: Session, party: Any, organisation_id: UUID) -> int:
    return (
        session.scalar(
            select(func.count())
            .select_from(SupplierOrder)
            .where(party == organisation_id, SupplierOrder.status.not_in(OVER))
        )
        or 0
    )


def close_buyer(
    session: Session, *, by: Actor, organisation_id: UUID, successor_id: UUID | None, reason: str, now: datetime
) -> tuple[Organisation, int]:
    """Close a buying organisation; gives it and how many of its orders are under way.

    Rights and duties go to the one that it was merged into (Civil Code, article 67): the successor's people receive,
    inspect and pay those orders in the name of the one that ordered, whose figures they count in. Without a successor
    it is refused while there are any.
    """
    organisation = closing.close_buyer(
        session, by=by, organisation_id=organisation_id, successor_id=successor_id, reason=reason, now=now
    )
    count = under_way(session, SupplierOrder.buyer_id, organisation_id)
    if count and successor_id is None:
        raise OpenOrders(pointer="/successor_id", open_orders=count)
    return organisation, count


def close_seller(session: Session, *, by: Actor, organisation_id: UUID, reason: str, now: datetime) -> Organisation:
    """Close a seller that has no orders under way; one that has is revoked first, and closed when they are over."""
    organisation = closing.close_seller(session, by=by, organisation_id=organisation_id, reason=reason, now=now)
    count = under_way(session, SupplierOrder.cooperative_id, organisation_id)
    if count:
        raise OpenOrders(
            "Orders are under way: revoke the right to sell, and close when they are over.", open_orders=count
        )
    return organisation
