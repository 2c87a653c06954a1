"""What a cooperative does with a confirmed supplier order before it leaves: accept it, pack it."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.clock import business_day
from shop.orders import queries, queries_fulfilment
from shop.orders.models import Order, OrderLine, Status, SupplierOrder
from shop.orders.service import changing
from shop.orders.service.moving import move
from shop.stock import queries_keeping
from shop.stock.service import documenting, holding


def accept(session: Session, *, actor: Actor, supplier_order_id: UUID, now: datetime) -> None:
    """Take a confirmed supplier order on.

    NotFound for another's, WrongStatus unless it is confirmed, ChangeIsOpen while a change waits for its answer.
    """
    part = queries_fulfilment.locked(session, actor, supplier_order_id)
    changing.refuse_while_open(session, part.id)
    move(session, supplier_order_id=part.id, to=Status.ACCEPTED, by=actor, now=now)


def pack(
    session: Session, *, actor: Actor, supplier_order_id: UUID, now: datetime, location_id: UUID | None = None
) -> None:
    """Bind lots to every line, first expired first out, and call the order packed; all lines or none.

    From one place, where one is named. A line that has to keep for some days gets lots that will when they arrive.
    NotFound for another's, WrongStatus unless it is accepted, LotsShort and LotsTooOld with what is missing, and
    DocumentsMissing for papers that a rule insists on.
    """
    part = queries.supplier_order(session, actor, supplier_order_id)
    if location_id is not None:
        queries_keeping.location(session, actor, location_id)
    move(session, supplier_order_id=part.id, to=Status.PACKED, by=actor, now=now)
    lines = queries.lines_of(session, [part.id])[part.id]
    fresh_until = keeping_until(session, part, lines, now)
    bound = holding.bind(
        session,
        lines=[
            holding.Line(
                line.id,
                line.product_id,
                part.buyer_id,
                line.packs_to_fill * line.pack_base_quantity,
                fresh_until.get(line.id),
            )
            for line in lines
            if line.packs_to_fill
        ],
        now=now,
        location_id=location_id,
    )
    documenting.refuse_without(session, [each.lot_id for each in bound], now)


def keeping_until(session: Session, part: SupplierOrder, lines: Sequence[OrderLine], now: datetime) -> dict[UUID, date]:
    """The day that each line's goods have to keep beyond: the days on the road, and those that the buyer asked for."""
    asked = {line.id: line.min_shelf_life_days for line in lines if line.min_shelf_life_days is not None}
    if not asked:
        return {}
    on = business_day(now)
    to_code = session.execute(select(Order.delivery_code).where(Order.id == part.order_id)).scalar_one()
    arrives = on + timedelta(days=queries_fulfilment.lane_days(session, lines, to_code, on))
    return {line_id: arrives + timedelta(days=days) for line_id, days in asked.items()}
