"""Cancel what has not been packed: the status moves, supply is given back, the `ordered` fact is taken back."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid5

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.agreements.models import DrawingKind
from shop.agreements.service import drawing
from shop.facts import service as facts
from shop.facts.models import Measure
from shop.ledger import service as ledger
from shop.orders import queries
from shop.orders.models import Order, OrderLine, Status, SupplierOrder, Terms, WrongStatus
from shop.orders.models_budgets import Drawing
from shop.orders.models_holds import Outcome
from shop.orders.service import budgeting, changing, holding_on
from shop.orders.service.moving import move
from shop.orders.service.recording import finished
from shop.stock.service import holding

CANCELLABLE = (Status.PLACED, Status.CONFIRMED, Status.ACCEPTED)


def cancel_order(session: Session, *, order_id: UUID, by: Actor, reason: str, now: datetime) -> None:
    """Cancel every living part of an order, or refuse the whole with WrongStatus when one is packed already."""
    found = queries.order(session, by, order_id)
    parts: Sequence[SupplierOrder] = session.scalars(
        select(SupplierOrder)
        .where(SupplierOrder.order_id == found.id)
        .order_by(SupplierOrder.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    if all(part.status == Status.CANCELLED for part in parts):
        raise WrongStatus("The order is cancelled already.", is_now=Status.CANCELLED)
    living = [part.id for part in parts if part.status != Status.CANCELLED]
    cancel_parts(session, supplier_order_ids=living, by=by, reason=reason, now=now)


def cancel_parts(
    session: Session, *, supplier_order_ids: Sequence[UUID], by: Actor, reason: str, now: datetime
) -> None:
    """Cancel parts together, or refuse them all with WrongStatus.

    What they drew on agreements and their supply are given back in one statement each, so that rows are locked in the
    one order in which placing locks them.
    """
    lines = [
        line
        for part_id in supplier_order_ids
        for line in cancel_part(session, supplier_order_id=part_id, by=by, reason=reason, now=now)
    ]
    drawn = {line.id: line.packs for line in lines if line.agreement_id is not None}
    drawing.give_back(session, packs=drawn, kind=DrawingKind.CANCELLED, now=now)
    holding.release(session, line_ids=[line.id for line in lines])
    changing.void(session, part_ids=supplier_order_ids, by=by, now=now)
    holding_on.end_choices(session, part_ids=supplier_order_ids, outcome=Outcome.REFUNDED, now=now)


def cancel_supplier_order(session: Session, *, supplier_order_id: UUID, by: Actor, reason: str, now: datetime) -> None:
    """Cancel one part: WrongStatus unless it may still be."""
    cancel_parts(session, supplier_order_ids=[supplier_order_id], by=by, reason=reason, now=now)


def cancel_part(
    session: Session, *, supplier_order_id: UUID, by: Actor, reason: str, now: datetime
) -> Sequence[OrderLine]:
    """All of it but agreements and supply, for which it gives the lines.

    Credit comes back here, money paid follows by the event.
    """
    move(session, supplier_order_id=supplier_order_id, to=Status.CANCELLED, by=by, now=now, reason=reason)
    part, terms = session.execute(
        select(SupplierOrder, Order.terms)
        .join(Order, Order.id == SupplierOrder.order_id)
        .where(SupplierOrder.id == supplier_order_id)
    ).one()
    if terms == Terms.ON_TERMS:
        ledger.release_credit(session, part.buyer_id, part.goods_fen + part.freight_fen)
    fen = part.goods_fen + part.freight_fen
    budgeting.give_back(session, supplier_order_id=part.id, kind=Drawing.CANCELLED, fen=fen, now=now)
    lines = session.scalars(
        select(OrderLine).where(OrderLine.supplier_order_id == supplier_order_id).order_by(OrderLine.id)
    ).all()
    facts.record(
        session,
        Measure.ORDERED,
        [
            finished(line.dimensions)
            | {
                "source_id": uuid5(line.id, "cancelled"),
                "goods_fen": -line.goods_fen,
                "freight_fen": -line.freight_fen,
                "packs": -line.packs,
                "grams": -line.packs * line.pack_grams,
            }
            for line in lines
        ],
        now=now,
    )
    return lines
