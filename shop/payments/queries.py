"""What is read of payments."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, any_, exists, func, literal, select
from sqlalchemy.orm import Session

from shop.facts.models import Fact, Measure
from shop.orders.models import Status, SupplierOrder
from shop.payments.models import BankPayment, Charge, ChargeStatus, Refund, RefundReason


def refunds(
    session: Session, *, status: str | None, method: str | None, after: UUID | None, limit: int
) -> Sequence[tuple[Refund, Charge, BankPayment | None]]:
    """Refunds that fit, oldest first, each with the charge it comes out of and the bank's line that sent it, if any."""
    wanted = (
        select(Refund, Charge, BankPayment)
        .join(Charge, Charge.id == Refund.charge_id)
        .outerjoin(BankPayment, BankPayment.refund_id == Refund.id)
    )
    for column, value in ((Refund.status, status), (Charge.method, method)):
        if value is not None:
            wanted = wanted.where(column == value)
    if after is not None:
        wanted = wanted.where(Refund.id > after)
    found = session.execute(wanted.order_by(Refund.id).limit(limit))
    return [(refund, charge, line) for refund, charge, line in found]


def share_of(part: SupplierOrder, *, prepaid: bool) -> int:
    """What a charge asks for a part: as ordered when paid in advance, as accepted on terms."""
    if prepaid:
        return part.goods_fen + part.freight_fen
    return (part.accepted_goods_fen or 0) + (part.accepted_freight_fen or 0)


def overpaid(session: Session, part: SupplierOrder) -> int:
    """What was paid for a part, less what went back or is on its way, above what it costs as it stands."""
    paid = session.scalar(
        select(func.coalesce(func.sum(Fact.amount_fen), 0)).where(
            Fact.order_id == part.order_id, Fact.measure == Measure.PAID, Fact.supplier_order_id == part.id
        )
    )
    back = session.scalar(
        select(func.coalesce(func.sum(Refund.amount_fen), 0))
        .join(Charge, Charge.id == Refund.charge_id)
        .where(Charge.order_id == part.order_id, Refund.supplier_order_id == part.id)
    )
    if part.status == Status.CANCELLED:
        costs = 0
    else:
        costs = share_of(part, prepaid=part.accepted_goods_fen is None)
    return int(paid or 0) - int(back or 0) - costs


def locked_parts(session: Session, which: ColumnElement[bool]) -> Sequence[SupplierOrder]:
    """These supplier orders as they stand now, row locked in the order of their ids."""
    return session.scalars(
        select(SupplierOrder)
        .where(which)
        .order_by(SupplierOrder.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()


def paid_parts(session: Session, order_id: UUID, *, but: UUID | None = None) -> set[UUID]:
    """The parts of an order that a successful charge covers, one charge left out."""
    found = session.scalars(
        select(Charge.parts).where(
            Charge.order_id == order_id, Charge.status == ChargeStatus.SUCCEEDED, Charge.id.is_distinct_from(but)
        )
    )
    return {part for parts in found for part in parts}


def paid_by(session: Session, part: SupplierOrder) -> Charge | None:
    """The successful charge that a part is paid by, leaving out one that paid it a second time."""
    second = exists().where(
        Refund.charge_id == Charge.id,
        Refund.supplier_order_id == part.id,
        Refund.reason == RefundReason.PAID_TWICE,
    )
    return session.scalars(
        select(Charge).where(
            Charge.order_id == part.order_id,
            Charge.status == ChargeStatus.SUCCEEDED,
            literal(part.id) == any_(Charge.parts),
            ~second,
        )
    ).first()


@dataclass(frozen=True)
class Share:
    """What is paid, accepted or refunded of one line."""

    goods_fen: int = 0
    freight_fen: int = 0
    packs: int = 0


def by_line(session: Session, measure: Measure, order_id: UUID, *which: ColumnElement[bool]) -> dict[UUID, Share]:
    """What was recorded of a measure for the lines of an order."""
    rows = session.execute(
        select(Fact.line_id, func.sum(Fact.goods_fen), func.sum(Fact.freight_fen), func.sum(Fact.packs))
        .where(Fact.order_id == order_id, Fact.measure == measure, *which)
        .group_by(Fact.line_id)
    )
    return {line_id: Share(int(goods), int(freight), int(packs)) for line_id, goods, freight, packs in rows}
