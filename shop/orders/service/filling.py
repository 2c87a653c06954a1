"""What a cooperative does with a confirmed supplier order before it leaves: accept it, pack it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.orders import queries
from shop.orders.models import Status
from shop.orders.service.moving import move
from shop.stock.service import holding


def accept(session: Session, *, actor: Actor, supplier_order_id: UUID, now: datetime) -> None:
    """Take a confirmed supplier order on; NotFound for another's, WrongStatus unless it is confirmed."""
    part = queries.supplier_order(session, actor, supplier_order_id)
    move(session, supplier_order_id=part.id, to=Status.ACCEPTED, by=actor, now=now)


def pack(session: Session, *, actor: Actor, supplier_order_id: UUID, now: datetime) -> None:
    """Bind lots to every line, first expired first out, and call the order packed; all lines or none.

    NotFound for another's, WrongStatus unless it is accepted, LotsShort with what is missing per product.
    """
    part = queries.supplier_order(session, actor, supplier_order_id)
    move(session, supplier_order_id=part.id, to=Status.PACKED, by=actor, now=now)
    lines = queries.lines_of(session, [part.id])[part.id]
    holding.bind(
        session,
        lines=[
            holding.Line(line.id, line.product_id, part.buyer_id, line.packs * line.pack_base_quantity)
            for line in lines
        ],
        now=now,
    )
