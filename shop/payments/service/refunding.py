"""Give money back: once for each reason, never more than was paid."""

from datetime import datetime
from uuid import UUID, uuid5

from sqlalchemy import any_, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shop.facts import service as facts
from shop.facts.models import Fact, Measure
from shop.ids import new_id
from shop.ledger import service as ledger
from shop.ledger.models import AccountKind
from shop.money import split
from shop.orders.models import OrderLine, SupplierOrder
from shop.orders.service.placing import finished
from shop.outbox import service as outbox
from shop.payments.models import Charge, ChargeStatus, Refund, RefundStatus


def give_back(
    session: Session, *, part: SupplierOrder, source_id: UUID, amount_fen: int, reason: str, now: datetime
) -> UUID | None:
    """Begin a refund of what was paid for a part; gives its id, or None when nothing was paid or this reason was met.

    The charge's sum of refunds moves by one conditional update, so no storm of refunds ever passes the charge.
    """
    charge = session.scalars(
        select(Charge).where(
            Charge.order_id == part.order_id,
            Charge.status == ChargeStatus.SUCCEEDED,
            literal(part.id) == any_(Charge.parts),
        )
    ).first()
    if charge is None or amount_fen <= 0:
        return None
    refund_id = session.execute(
        insert(Refund)
        .values(
            id=new_id(),
            charge_id=charge.id,
            supplier_order_id=part.id,
            source_id=source_id,
            reason=reason,
            status=RefundStatus.PENDING,
            amount_fen=amount_fen,
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=["charge_id", "source_id"])
        .returning(Refund.id)
    ).scalar_one_or_none()
    if refund_id is None:
        return None
    taken = session.execute(
        update(Charge)
        .where(Charge.id == charge.id, Charge.refunded_fen + amount_fen <= Charge.amount_fen)
        .values(refunded_fen=Charge.refunded_fen + amount_fen)
        .returning(Charge.id)
        .execution_options(synchronize_session=False)
    ).first()
    if taken is None:
        raise ValueError(f"refund of {amount_fen} fen would pass what is left of charge {charge.id}")
    outbox.announce(session, "refund.requested", now=now, seen_by=[charge.buyer_id], refund_id=refund_id)
    return refund_id


def finish(session: Session, *, refund_id: UUID, gateway_id: str | None, now: datetime) -> bool:
    """The money is back: book it and record it. False when that was done before."""
    refund = session.scalars(
        update(Refund)
        .where(Refund.id == refund_id, Refund.status == RefundStatus.PENDING)
        .values(status=RefundStatus.SUCCEEDED, gateway_id=gateway_id, done_at=now)
        .returning(Refund)
        .execution_options(populate_existing=True)
    ).first()
    if refund is None:
        return False
    charge = session.get_one(Charge, refund.charge_id)
    ledger.post(
        session,
        kind="refund",
        source_id=refund.id,
        order_id=charge.order_id,
        legs=[
            ledger.Leg(charge.buyer_id, AccountKind.BUYER, refund.amount_fen),
            ledger.Leg(ledger.PLATFORM_ID, AccountKind.BANK, -refund.amount_fen),
        ],
        now=now,
    )
    lines = session.scalars(
        select(OrderLine).where(OrderLine.supplier_order_id == refund.supplier_order_id).order_by(OrderLine.id)
    ).all()
    weights = refused_fen(session, list(lines))
    shares = split(refund.amount_fen, weights)
    facts.record(
        session,
        Measure.REFUNDED,
        [
            finished(line.dimensions)
            | {
                "source_id": uuid5(refund.id, line.id.hex),
                "goods_fen": share,
                "freight_fen": 0,
                "packs": 0,
                "grams": 0,
            }
            for line, share in zip(lines, shares, strict=True)
            if share
        ],
        now=now,
    )
    outbox.announce(session, "refund.succeeded", now=now, seen_by=[charge.buyer_id], refund_id=refund.id)
    return True


def refused_fen(session: Session, lines: list[OrderLine]) -> list[int]:
    """What each line was ordered for and not billed: how a refund is dealt to the lines."""
    billed = {
        line_id: int(fen)
        for line_id, fen in session.execute(
            select(Fact.line_id, func.sum(Fact.amount_fen))
            .where(Fact.measure == Measure.ACCEPTED, Fact.line_id.in_([line.id for line in lines]))
            .group_by(Fact.line_id)
        )
    }
    return [max(0, line.goods_fen + line.freight_fen - billed.get(line.id, 0)) for line in lines]


def after_cancellation(session: Session, *, supplier_order_id: UUID, now: datetime) -> None:
    """What was paid for a cancelled part goes back."""
    part = session.get_one(SupplierOrder, supplier_order_id)
    give_back(
        session, part=part, source_id=part.id, amount_fen=part.goods_fen + part.freight_fen, reason="cancelled", now=now
    )


def after_inspection(session: Session, *, supplier_order_id: UUID, acceptance_id: UUID, now: datetime) -> None:
    """What a prepaid part was paid for and not accepted goes back."""
    part = session.get_one(SupplierOrder, supplier_order_id)
    owed = (part.accepted_goods_fen or 0) + (part.accepted_freight_fen or 0)
    over = part.goods_fen + part.freight_fen - owed
    give_back(session, part=part, source_id=acceptance_id, amount_fen=over, reason="not accepted", now=now)
