"""What may be read of orders, and by whom."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Select, exists, false, func, select
from sqlalchemy.orm import Session

from shop.actor import Actor, Audience
from shop.errors import NotFound
from shop.orders.models import Order, OrderHistory, OrderLine, Status, SupplierOrder


def visible_orders(actor: Actor) -> Select[Order]:
    """The group orders this actor may know of."""
    if actor.audience is Audience.BUYER:
        return select(Order).where(Order.buyer_id == actor.organisation_id)
    if actor.reads_everything:
        return select(Order)
    return select(Order).where(false())


def visible_to(actor: Actor) -> Select[SupplierOrder]:
    """The supplier orders this actor may know of; every read starts here."""
    if actor.audience is Audience.BUYER:
        return select(SupplierOrder).where(SupplierOrder.buyer_id == actor.organisation_id)
    if actor.audience is Audience.COOPERATIVE:
        return select(SupplierOrder).where(SupplierOrder.cooperative_id == actor.organisation_id)
    if actor.reads_everything:
        return select(SupplierOrder)
    return select(SupplierOrder).where(false())


def supplier_order(session: Session, actor: Actor, supplier_order_id: UUID) -> SupplierOrder:
    """One supplier order of the actor's, or NotFound."""
    found = session.scalars(visible_to(actor).where(SupplierOrder.id == supplier_order_id)).first()
    if found is None:
        raise NotFound
    return found


def order(session: Session, actor: Actor, order_id: UUID) -> Order:
    """One order of the actor's, or NotFound."""
    found = session.scalars(visible_orders(actor).where(Order.id == order_id)).first()
    if found is None:
        raise NotFound
    return found


def lines_of(session: Session, supplier_order_ids: Sequence[UUID]) -> dict[UUID, list[OrderLine]]:
    """The lines of these supplier orders, in one statement."""
    found: dict[UUID, list[OrderLine]] = {key: [] for key in supplier_order_ids}
    for line in session.scalars(
        select(OrderLine).where(OrderLine.supplier_order_id.in_(supplier_order_ids)).order_by(OrderLine.id)
    ):
        found[line.supplier_order_id].append(line)
    return found


def ordered_lines(session: Session, order_id: UUID) -> Sequence[OrderLine]:
    """All lines of an order, whichever part they stand in, as they were ordered."""
    return session.scalars(
        select(OrderLine)
        .join(SupplierOrder, SupplierOrder.id == OrderLine.supplier_order_id)
        .where(SupplierOrder.order_id == order_id)
        .order_by(OrderLine.id)
    ).all()


def terms_of(session: Session, order_id: UUID) -> str:
    """The payment terms of an order."""
    return session.execute(select(Order.terms).where(Order.id == order_id)).scalar_one()


def sold_grams(session: Session, supplier_order_id: UUID) -> dict[UUID, int]:
    """How many grams of each listing a supplier order is for."""
    rows = session.execute(
        select(OrderLine.listing_id, func.sum(OrderLine.packs * OrderLine.pack_grams))
        .where(OrderLine.supplier_order_id == supplier_order_id)
        .group_by(OrderLine.listing_id)
    )
    return {listing_id: int(grams) for listing_id, grams in rows}


def was_confirmed(session: Session, supplier_order_id: UUID) -> bool:
    """Whether a supplier order was confirmed, whatever became of it since."""
    return bool(
        session.scalar(
            select(
                exists().where(
                    OrderHistory.supplier_order_id == supplier_order_id, OrderHistory.status == Status.CONFIRMED
                )
            )
        )
    )
