"""What may be read of a supplier order that is being filled: its lots, its history, its acceptance."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.catalogue.models import Product
from shop.errors import NotFound
from shop.freight import service as freight
from shop.money import split
from shop.orders import queries
from shop.orders.models import Acceptance, AcceptanceLine, OrderHistory, OrderLine, SupplierOrder
from shop.orders.models_times import OrderDue
from shop.stock.models import Lot, Movement

DAYS_WITHOUT_A_LANE = 5
"""How long a trip is taken to last when one of its lanes has ended since the order was placed."""


@dataclass(frozen=True)
class LotShare:
    """What a line got of a lot: `packs` of the line, `quantity` in base units."""

    line_id: UUID
    lot_id: UUID
    code: str
    best_before: date
    packs: int
    quantity: int


def locked(session: Session, actor: Actor, supplier_order_id: UUID) -> SupplierOrder:
    """One supplier order of the actor's, as it stands now and kept so until the commit; NotFound otherwise."""
    found = session.scalars(
        queries.visible_to(actor)
        .where(SupplierOrder.id == supplier_order_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()
    if found is None:
        raise NotFound
    return found


def packed(session: Session, lines: Sequence[OrderLine]) -> list[LotShare]:
    """The lots that these lines are packed from, whether or not they are on their way."""
    return shares(session, lines, plus="bound", minus="unbound")


def shipped(session: Session, lines: Sequence[OrderLine]) -> list[LotShare]:
    """The lots that were sent for these lines."""
    return shares(session, lines, plus="shipped")


def shares(session: Session, lines: Sequence[OrderLine], *, plus: str, minus: str | None = None) -> list[LotShare]:
    """What each line got of each lot, by the movements of these kinds; ordered by line, then by date and lot.

    A lot need not hold whole packs. What is to be filled of a line is dealt to its lots by largest remainder, so that
    they sum to it and a pack filled from two lots counts with the one that gave more of it; a lot that gave less than
    any pack's larger part is not in the list, its movement is.
    """
    kinds = (plus, minus) if minus else (plus,)
    quantity = func.sum(case((Movement.kind == plus, Movement.quantity), else_=-Movement.quantity))
    rows = session.execute(
        select(Movement.line_id, Lot.id, Lot.code, Lot.best_before, quantity.label("quantity"))
        .join(Lot, Lot.id == Movement.lot_id)
        .where(Movement.line_id.in_([line.id for line in lines]), Movement.kind.in_(kinds))
        .group_by(Movement.line_id, Lot.id)
        .having(quantity > 0)
        .order_by(Movement.line_id, Lot.best_before, Lot.id)
    ).all()
    by_line: dict[UUID | None, list[Any]] = {}
    for row in rows:
        by_line.setdefault(row.line_id, []).append(row)
    found = []
    for line in sorted(lines, key=lambda line: line.id):
        mine = by_line.get(line.id)
        if not mine:
            continue
        whole = split(line.packs_to_fill, [int(row.quantity) for row in mine])
        found += [
            LotShare(line.id, row.id, row.code, row.best_before, packs, int(row.quantity))
            for row, packs in zip(mine, whole, strict=True)
            if packs
        ]
    return found


def history_of(session: Session, supplier_order_id: UUID) -> Sequence[OrderHistory]:
    """Its moves, first to last."""
    return session.scalars(
        select(OrderHistory).where(OrderHistory.supplier_order_id == supplier_order_id).order_by(OrderHistory.step)
    ).all()


def dues_of(session: Session, supplier_order_id: UUID) -> Sequence[OrderDue]:
    """What was and is waited for of a supplier order, first to last."""
    return session.scalars(
        select(OrderDue)
        .where(OrderDue.supplier_order_id == supplier_order_id)
        .order_by(OrderDue.began_at, OrderDue.id)
        .execution_options(populate_existing=True)
    ).all()


def acceptance_of(session: Session, supplier_order_id: UUID) -> tuple[Acceptance, Sequence[AcceptanceLine]] | None:
    """The acceptance note of a supplier order with its lines, if it was inspected."""
    note = session.scalars(select(Acceptance).where(Acceptance.supplier_order_id == supplier_order_id)).first()
    if note is None:
        return None
    lines = session.scalars(
        select(AcceptanceLine)
        .where(AcceptanceLine.acceptance_id == note.id)
        .order_by(AcceptanceLine.line_id, AcceptanceLine.lot_id)
    ).all()
    return note, lines


def lane_days(session: Session, lines: Sequence[OrderLine], to_code: str, on: date) -> int:
    """The days that the slowest of these lines takes to a place, by the lanes of that day."""
    storage = dict(
        session.execute(
            select(Product.id, Product.storage).where(Product.id.in_([line.product_id for line in lines]))
        ).all()
    )
    parcels = [
        freight.Parcel(line.id, line.dimensions["origin_code"], storage[line.product_id], line.packs * line.pack_grams)
        for line in lines
    ]
    try:
        quotes = freight.quote(session, parcels=parcels, to_code=to_code, on=on)
    except freight.NoLane:
        return DAYS_WITHOUT_A_LANE
    return max(quote.days for quote in quotes.values())
