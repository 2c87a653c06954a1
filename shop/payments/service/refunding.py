"""Give money back: once for each reason, never more than was paid."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID, uuid5

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.audit import service as audit
from shop.clock import business_day
from shop.errors import Invalid, NotFound, Refusal
from shop.facts import service as facts
from shop.facts.models import Fact, Measure
from shop.ids import new_id
from shop.ledger import service as ledger
from shop.ledger.models import AccountKind
from shop.money import split
from shop.orders import queries
from shop.orders.models import OrderLine, SupplierOrder, Terms
from shop.orders.service.recording import finished
from shop.outbox import service as outbox
from shop.payments.models import BankPayment, Charge, Method, Refund, RefundReason, RefundStatus
from shop.payments.queries import Share, by_line, overpaid, paid_by, share_of


class RefundIsDone(Refusal):
    """The money is back already."""

    code, status = "refund_done", 409
    title, title_zh = "This refund is done.", "该退款已完成。"


class RefundIsAtGateway(Refusal):
    """The gateway is giving the money back; a person does so only when it has failed."""

    code, status = "refund_at_gateway", 409
    title, title_zh = "The gateway is giving this back.", "该退款正由支付网关处理。"


class LineIsBooked(Refusal):
    """This line of the bank statement gave another refund back."""

    code, status = "bank_line_booked", 409
    title, title_zh = "This line of the bank statement is booked already.", "该银行流水已登记。"


def begin(
    session: Session,
    charge: Charge,
    supplier_order_id: UUID,
    source_id: UUID,
    amount_fen: int,
    reason: RefundReason,
    now: datetime,
) -> UUID | None:
    """Begin a refund out of a charge; gives its id, or None for nothing to refund or a source that was met before.

    The charge's sum of refunds moves by one conditional update, so no storm of refunds ever passes the charge: a
    ValueError, and nothing written, for more than is left of it.
    """
    if amount_fen <= 0:
        return None
    refund_id = session.execute(
        insert(Refund)
        .values(
            id=new_id(),
            charge_id=charge.id,
            supplier_order_id=supplier_order_id,
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


def after_cancellation(session: Session, *, supplier_order_id: UUID, now: datetime) -> None:
    """What was paid for a cancelled part goes back."""
    part = session.get_one(SupplierOrder, supplier_order_id)
    charge = paid_by(session, part)
    if charge is not None:
        begin(session, charge, part.id, part.id, share_of(part, prepaid=True), RefundReason.CANCELLED, now)


def after_inspection(session: Session, *, supplier_order_id: UUID, acceptance_id: UUID, now: datetime) -> None:
    """What was paid in advance for a part and not accepted goes back; on terms it was never asked for."""
    part = session.get_one(SupplierOrder, supplier_order_id)
    if queries.terms_of(session, part.order_id) == Terms.PREPAID:
        give_back_over(session, part, acceptance_id, RefundReason.NOT_ACCEPTED, now)


def give_back_over(session: Session, part: SupplierOrder, source_id: UUID, reason: RefundReason, now: datetime) -> None:
    """Begin a refund of what a part was paid above what it costs by now, under the lock of the charge."""
    charge = paid_by(session, part)
    if charge is None:
        return
    session.execute(select(Charge.id).where(Charge.id == charge.id).with_for_update())
    session.refresh(part)
    begin(session, charge, part.id, source_id, overpaid(session, part), reason, now)


def send(
    session: Session, *, refund_id: UUID, bank_reference: str, sent_on: date, by: Actor, now: datetime
) -> tuple[Refund, Charge, BankPayment]:
    """Book the outgoing line of the bank statement that gave a refund back, a transfer's or one the gateway could not
    make: NotFound, RefundIsDone, RefundIsAtGateway, LineIsBooked, or Invalid for a day before the refund or to come.
    """
    refund = session.scalars(
        select(Refund).where(Refund.id == refund_id).with_for_update().execution_options(populate_existing=True)
    ).first()
    if refund is None:
        raise NotFound
    if refund.status == RefundStatus.SUCCEEDED:
        raise RefundIsDone
    charge = session.get_one(Charge, refund.charge_id)
    if refund.status == RefundStatus.PENDING and charge.method == Method.STRIPE:
        raise RefundIsAtGateway
    if not business_day(refund.created_at) <= sent_on <= business_day(now):
        raise Invalid("The money was sent from the day of the refund on, and today at the latest.", pointer="/sent_on")
    line = session.scalars(
        insert(BankPayment)
        .values(
            refund_id=refund.id, buyer_id=charge.buyer_id, bank_reference=bank_reference, sent_on=sent_on, booked_at=now
        )
        .on_conflict_do_nothing(index_elements=["bank_reference"])
        .returning(BankPayment)
    ).first()
    if line is None:
        raise LineIsBooked
    finish(session, refund_id=refund.id, gateway_id=refund.gateway_id, now=now, failed_too=True)
    audit.record(
        session, by=by, action="send_refund", kind="refund", subject=refund.id, now=now,
        bank_reference=bank_reference, sent_on=sent_on.isoformat(), amount_fen=refund.amount_fen,
    )  # fmt: skip
    return refund, charge, line


def finish(
    session: Session, *, refund_id: UUID, gateway_id: str | None, now: datetime, failed_too: bool = False
) -> bool:
    """The money is back: book it and record it. False when that was done before."""
    under_way = (RefundStatus.PENDING, RefundStatus.FAILED) if failed_too else (RefundStatus.PENDING,)
    refund = session.scalars(
        update(Refund)
        .where(Refund.id == refund_id, Refund.status.in_(under_way))
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
    facts.record(
        session,
        Measure.REFUNDED,
        [
            finished(line.dimensions)
            | {
                "source_id": uuid5(refund.id, line.id.hex),
                "goods_fen": share.goods_fen,
                "freight_fen": share.freight_fen,
                "packs": share.packs,
                "grams": share.packs * line.pack_grams,
            }
            for line, share in zip(lines, shares_of(session, refund, charge, lines), strict=True)
            if share != Share()
        ],
        now=now,
    )
    outbox.announce(session, "refund.succeeded", now=now, seen_by=[charge.buyer_id], refund_id=refund.id)
    return True


def fail(session: Session, *, refund_id: UUID, reason: str, now: datetime) -> bool:
    """The gateway could not give the money back, so a person has to. False unless it was under way."""
    refund = session.scalars(
        update(Refund)
        .where(Refund.id == refund_id, Refund.status == RefundStatus.PENDING)
        .values(status=RefundStatus.FAILED, failure=reason[:500])
        .returning(Refund)
        .execution_options(populate_existing=True)
    ).first()
    if refund is None:
        return False
    charge = session.get_one(Charge, refund.charge_id)
    outbox.announce(session, "refund.failed", now=now, seen_by=[charge.buyer_id], refund_id=refund.id)
    return True


def shares_of(session: Session, refund: Refund, charge: Charge, lines: Sequence[OrderLine]) -> list[Share]:
    """A refund by line, so that paid less refunded is what stays paid, for goods and freight apart.

    A cancelled or twice paid part takes back all that its charge paid for each line; after an inspection it is what the
    line was ordered for less what is accepted and what went back before, where freight may be below zero: the lines
    that were accepted bear the freight of those that were not. The shares sum to the refund.
    """
    sources = [uuid5(charge.id, line.id.hex) for line in lines]
    paid = by_line(session, Measure.PAID, charge.order_id, Fact.source_id.in_(sources))
    partly = refund.reason in (RefundReason.NOT_ACCEPTED, RefundReason.CORRECTED)
    kept = by_line(session, Measure.ACCEPTED, charge.order_id) if partly else {}
    part = Refund.supplier_order_id == refund.supplier_order_id
    others = session.scalars(select(Refund.id).where(Refund.charge_id == charge.id, part)).all()
    earlier = [uuid5(key, line.id.hex) for key in others for line in lines] if partly else []
    back = by_line(session, Measure.REFUNDED, charge.order_id, Fact.source_id.in_(earlier)) if earlier else {}
    shares = []
    for line in lines:
        before, *less = paid.get(line.id, Share()), kept.get(line.id, Share()), back.get(line.id, Share())
        shares.append(
            Share(
                before.goods_fen - sum(each.goods_fen for each in less),
                before.freight_fen - sum(each.freight_fen for each in less),
                before.packs - sum(each.packs for each in less),
            )
        )
    if sum(share.goods_fen + share.freight_fen for share in shares) != refund.amount_fen:  # a part of a part
        weights = [max(0, share.goods_fen) for share in shares]
        return [Share(goods_fen=fen) for fen in split(refund.amount_fen, weights)]
    return shares
