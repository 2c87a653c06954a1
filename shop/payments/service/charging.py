"""Ask a buyer for the money of an order, and take note that it came."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid5

from sqlalchemy import (
    ColumnElement,
    Date,
    any_,
    case,
    cast,
    exists,
    func,
    literal,
    literal_column,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shop.actor import SYSTEM, Actor
from shop.audit import service as audit
from shop.errors import Invalid, NotFound, Refusal
from shop.facts import service as facts
from shop.facts.models import Fact, Measure
from shop.facts.service import DIMENSIONS
from shop.ids import new_id
from shop.ledger import service as ledger
from shop.ledger.models import AccountKind
from shop.money import split
from shop.orders import queries
from shop.orders.models import Order, Status, SupplierOrder, Terms
from shop.orders.models_holds import HoldRule, Lasts
from shop.orders.service import cancelling, holding_on, moving
from shop.outbox import service as outbox
from shop.payments.gateway import MAX_AMOUNT_FEN
from shop.payments.models import NOT_PAID, OPEN, BankReceipt, Charge, ChargeStatus, Method, RefundReason
from shop.payments.queries import locked_parts, overpaid, paid_parts, share_of
from shop.payments.service import refunding

FINISHED = (Status.INSPECTED, Status.SETTLED)
MINUTE: ColumnElement[timedelta] = literal_column("interval '1 minute'")


class NothingToPay(Refusal):
    """Nothing of this order is to be paid now: all of it is cancelled, paid, or (on terms) not inspected yet."""

    code, status = "nothing_to_pay", 409
    title, title_zh = "There is nothing to pay now.", "当前没有应付款项。"


class AlreadyAsked(Refusal):
    """A payment of this order is open, or this notice is paid; `reference` names it."""

    code, status = "payment_open", 409
    title, title_zh = "A payment of this order is open or done already.", "该订单已有付款单。"


class AmountDiffers(Refusal):
    """The transfer is not what the notice asks for; nothing was booked. `asked_fen` and `received_fen` say both."""

    code, status = "amount_differs", 409
    title, title_zh = "The amount is not what the notice asks for.", "到账金额与付款通知不一致。"


SUMS = ("goods_fen", "freight_fen", "packs", "grams")


def new_reference() -> str:
    """A code that people can type: XF, ten digits, two check digits (ISO 7064 MOD 97-10)."""
    body = f"{secrets.randbelow(10**10):010d}"
    return f"XF{body}{98 - int(body) * 100 % 97:02d}"


def request(
    session: Session, *, actor: Actor, order_id: UUID, method: Method, payment_method: str | None, now: datetime
) -> Charge:
    """Ask for the money of an order: NotFound, NothingToPay, AlreadyAsked, or Invalid for a sum the method cannot take.

    Prepaid orders are charged for what is placed, orders on terms for what was accepted once every living part is
    inspected. One payment of an order may be open at a time; one at the gateway that waits for its payer makes way.
    """
    order = queries.order(session, actor, order_id)
    session.execute(  # charges before parts, as whoever settles one locks them
        select(Charge.id).where(Charge.order_id == order.id).order_by(Charge.id).with_for_update()
    ).all()
    parts = locked_parts(session, SupplierOrder.order_id == order.id)
    paid = paid_parts(session, order.id)
    covered, amount = what_is_due(order, [part for part in parts if part.id not in paid])
    if amount <= 0:
        raise NothingToPay
    if method is Method.STRIPE and amount > MAX_AMOUNT_FEN:
        raise Invalid(f"The gateway takes at most {MAX_AMOUNT_FEN} fen at once; pay by transfer.", pointer="/method")
    make_way(session, order.id, now)
    charge_id = session.execute(
        insert(Charge)
        .values(
            id=new_id(),
            order_id=order.id,
            buyer_id=order.buyer_id,
            parts=[part.id for part in covered],
            method=method,
            status=ChargeStatus.PENDING,
            amount_fen=amount,
            refunded_fen=0,
            reference=new_reference(),
            payment_method=payment_method,
            created_at=now,
        )
        .on_conflict_do_nothing()
        .returning(Charge.id)
    ).scalar_one_or_none()
    if charge_id is None:
        raise AlreadyAsked(
            reference=session.scalar(
                select(Charge.reference).where(Charge.order_id == order.id, Charge.status.in_(OPEN))
            )
        )
    holding_on.asked(session, part_ids=[part.id for part in covered], kind=Lasts(method), now=now)
    charge = session.get_one(Charge, charge_id)
    if method is Method.STRIPE:
        outbox.announce(session, "charge.requested", now=now, seen_by=[order.buyer_id], charge_id=charge.id)
    return charge


def make_way(session: Session, order_id: UUID, now: datetime) -> None:
    """Withdraw the payment of an order that waits for its payer at the gateway; the worker ends it there.

    One whose money the gateway is taking, or may have taken, stays.
    """
    withdrawn = session.scalars(
        update(Charge)
        .where(
            Charge.order_id == order_id,
            Charge.method == Method.STRIPE,
            Charge.status == ChargeStatus.PENDING,
            Charge.payment_method.is_(None) | Charge.action_url.is_not(None),
        )
        .values(status=ChargeStatus.CANCELLED, failure="replaced", client_secret=None)
        .returning(Charge.id)
        .execution_options(synchronize_session=False)
    ).all()
    for charge_id in withdrawn:
        outbox.announce(session, "charge.withdrawn", now=now, charge_id=charge_id)


def what_is_due(order: Order, parts: Sequence[SupplierOrder]) -> tuple[list[SupplierOrder], int]:
    """The parts to be paid for now, and the sum."""
    if order.terms == Terms.PREPAID:
        covered = [part for part in parts if part.status == Status.PLACED]
        return covered, sum(share_of(part, prepaid=True) for part in covered)
    living = [part for part in parts if part.status != Status.CANCELLED]
    if any(part.status not in FINISHED for part in living):
        return [], 0
    return living, sum(share_of(part, prepaid=False) for part in living)


def receive_transfer(
    session: Session, *, reference: str, amount_fen: int, payer_name: str, by: Actor, now: datetime
) -> Charge:
    """Book a bank transfer that names a payment notice; the payer's name is evidence and never a condition.

    NotFound for a reference that no notice has, AmountDiffers unless the sum is the notice's to the fen: more or less
    than that is for the bank to send back. A transfer for a notice whose order was cancelled or paid otherwise
    meanwhile is booked and given back.
    """
    charge = session.scalars(
        select(Charge).where(Charge.reference == reference, Charge.method == Method.BANK_TRANSFER).with_for_update()
    ).first()
    if charge is None:
        raise NotFound("No payment notice has this reference.")
    if charge.amount_fen != amount_fen:
        raise AmountDiffers(asked_fen=charge.amount_fen, received_fen=amount_fen)
    if not settle_charge(session, charge_id=charge.id, now=now):
        raise AlreadyAsked("This notice is paid already.", reference=reference)
    receipt = BankReceipt(
        id=new_id(), charge_id=charge.id, buyer_id=charge.buyer_id, payer_name=payer_name, booked_at=now
    )
    session.add(receipt)
    audit.record(
        session, by=by, action="book_receipt", kind="charge", subject=charge.id, now=now, receipt=receipt.id.hex
    )
    session.refresh(charge)
    return charge


def settle_charge(session: Session, *, charge_id: UUID, now: datetime) -> bool:
    """The money of a charge is in: book it, record it, confirm what it pays. False when that was done before.

    Parts that were cancelled or paid otherwise while the money was on its way are refunded. Those whose hold lapsed
    hold supply anew, and where it is gone their buyer chooses what becomes of them.
    """
    charge = session.scalars(
        update(Charge)
        .where(Charge.id == charge_id, Charge.status.in_(NOT_PAID))
        .values(status=ChargeStatus.SUCCEEDED, paid_at=now, failure=None, client_secret=None)
        .returning(Charge)
        .execution_options(populate_existing=True)
    ).first()
    if charge is None:
        return False
    prepaid = queries.terms_of(session, charge.order_id) == Terms.PREPAID
    parts = locked_parts(session, SupplierOrder.id.in_(charge.parts))
    paid_before = paid_parts(session, charge.order_id, but=charge.id)  # read after the lock that every charge takes
    ledger.post(
        session,
        kind="payment",
        source_id=charge.id,
        order_id=charge.order_id,
        legs=[
            ledger.Leg(ledger.PLATFORM_ID, AccountKind.BANK, charge.amount_fen),
            ledger.Leg(charge.buyer_id, AccountKind.BUYER, -charge.amount_fen),
        ],
        now=now,
    )
    record_paid(session, charge, Measure.ORDERED if prepaid else Measure.ACCEPTED, now)
    lapsed = [p for p in parts if p.status == Status.PLACED and not p.supply_held and p.id not in paid_before]
    held_anew = holding_on.take_again(session, parts=lapsed, now=now)
    without = [part for part in lapsed if part.id not in held_anew]
    holding_on.open_choices(session, parts=without, now=now)
    for part in parts:
        share = share_of(part, prepaid=prepaid)
        if part.id in paid_before:
            refunding.begin(session, charge, part.id, part.id, share, RefundReason.PAID_TWICE, now)
        elif not prepaid:
            ledger.release_credit(session, part.buyer_id, share)
            over = overpaid(session, part)  # it was corrected after the money was asked for
            refunding.begin(session, charge, part.id, uuid5(charge.id, part.id.hex), over, RefundReason.CORRECTED, now)
        elif part in without:
            continue
        elif part.status == Status.PLACED:
            moving.move(session, supplier_order_id=part.id, to=Status.CONFIRMED, by=SYSTEM, now=now)
        elif part.status == Status.CANCELLED:
            refunding.begin(session, charge, part.id, part.id, share, RefundReason.CANCELLED, now)
    withdraw_notices(session, charge.order_id, "paid otherwise")
    outbox.announce(session, "charge.succeeded", now=now, seen_by=[charge.buyer_id], charge_id=charge.id)
    return True


def withdraw_notices(session: Session, order_id: UUID, reason: str, *, part: UUID | None = None) -> None:
    """Take back what asks for a transfer for an order, or for one part of it.

    One that is being paid at this moment is left alone. A transfer that comes all the same is booked, and given back
    as far as it pays for nothing.
    """
    waiting = (
        select(Charge.id)
        .where(
            Charge.order_id == order_id,
            Charge.method == Method.BANK_TRANSFER,
            Charge.status == ChargeStatus.PENDING,
            literal(part) == any_(Charge.parts) if part else true(),
        )
        .with_for_update(skip_locked=True)
    )
    session.execute(
        update(Charge)
        .where(Charge.id.in_(waiting))
        .values(status=ChargeStatus.CANCELLED, failure=reason)
        .execution_options(synchronize_session=False)
    )


def is_wanted(session: Session, charge: Charge, now: datetime) -> bool:
    """Whether a charge still asks for what is to be paid: nothing of it cancelled, too late or paid otherwise."""
    if paid_parts(session, charge.order_id, but=charge.id) & set(charge.parts):
        return False
    return not session.scalar(select(is_over(now)).where(Charge.id == charge.id))


def is_over(now: datetime) -> ColumnElement[bool]:
    """Whether the time in which a charge may be paid has passed, or what it pays for is no longer to be paid."""
    gone = exists().where(
        SupplierOrder.id == any_(Charge.parts),
        (SupplierOrder.status != Status.PLACED) | (SupplierOrder.pay_before <= now),
    )
    return case((is_on_terms(), is_old(now)), else_=gone)


def is_on_terms() -> ColumnElement[bool]:
    return exists().where(Order.id == Charge.order_id, Order.terms == Terms.ON_TERMS)


def is_old(now: datetime) -> ColumnElement[bool]:
    """Whether a payment of an order on terms has been open for longer than the rule of its day lets it.

    In advance the order's own time ends it. Another one may be asked for then; money that comes all the same is booked,
    and given back if it pays nothing.
    """
    return exists().where(
        HoldRule.kind == Lasts.NOTICE,
        HoldRule.valid.contains(cast(func.timezone("Asia/Shanghai", Charge.created_at), Date)),
        Charge.created_at + HoldRule.minutes * MINUTE <= now,
    )


def withdraw_old_notices(session: Session, *, now: datetime, limit: int = 50) -> int:
    """Take back notices of orders on terms that nobody paid in their period; gives how many."""
    old = (
        select(Charge.id)
        .where(
            Charge.status == ChargeStatus.PENDING,
            Charge.method == Method.BANK_TRANSFER,
            is_on_terms(),
            is_old(now),
        )
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    done = session.scalars(
        update(Charge)
        .where(Charge.id.in_(old))
        .values(status=ChargeStatus.CANCELLED, failure="not paid in its period")
        .returning(Charge.id)
        .execution_options(synchronize_session=False)
    )
    return len(done.all())


def record_paid(session: Session, charge: Charge, of: Measure, now: datetime) -> None:
    """One `paid` fact a line, with the sums that the line was ordered (prepaid) or is accepted (on terms) with.

    What was corrected between the asking and the money was paid all the same: it is added to the lines that it was
    taken back of, and goes back.
    """
    rows = session.scalars(
        select(Fact)
        .where(Fact.measure == of, Fact.order_id == charge.order_id, Fact.supplier_order_id.in_(charge.parts))
        .order_by(Fact.id)
    )
    lines: dict[UUID, list[Fact]] = {}
    for fact in rows:
        if of is Measure.ACCEPTED or fact.amount_fen > 0:
            lines.setdefault(fact.line_id, []).append(fact)
    paid = {key: {name: sum(getattr(fact, name) for fact in found) for name in SUMS} for key, found in lines.items()}
    over = charge.amount_fen - sum(sums["goods_fen"] + sums["freight_fen"] for sums in paid.values())
    if over > 0 and lines:
        weights = [-sum(min(0, fact.amount_fen) for fact in found) for found in lines.values()]
        for key, share in zip(lines, split(over, weights), strict=True):
            paid[key]["goods_fen"] += share
    facts.record(
        session,
        Measure.PAID,
        [
            {name: getattr(found[0], name) for name in DIMENSIONS}
            | {"source_id": uuid5(charge.id, key.hex)}
            | paid[key]
            for key, found in lines.items()
            if any(paid[key].values())
        ],
        now=now,
    )


def cancel_unpaid(session: Session, *, now: datetime, limit: int = 50) -> int:
    """Cancel prepaid parts whose money did not come in time; gives how many.

    A payment at the gateway that is pending or unknown protects its order: the money may be on its way.
    """
    protected = exists().where(
        Charge.order_id == SupplierOrder.order_id,
        Charge.status.in_((ChargeStatus.UNKNOWN, ChargeStatus.SUCCEEDED))
        | ((Charge.status == ChargeStatus.PENDING) & (Charge.method == Method.STRIPE)),
    )
    late = session.scalars(
        select(SupplierOrder.id)
        .join(Order, Order.id == SupplierOrder.order_id)
        .where(
            SupplierOrder.status == Status.PLACED,
            SupplierOrder.pay_before <= now,
            Order.terms == Terms.PREPAID,
            ~protected,
        )
        .order_by(SupplierOrder.id)
        .limit(limit)
        .with_for_update(of=SupplierOrder, skip_locked=True)
    ).all()
    cancelling.cancel_parts(session, supplier_order_ids=late, by=SYSTEM, reason="unpaid", now=now)
    return len(late)


def fail(
    session: Session, *, charge_id: UUID, reason: str, status: Literal[ChargeStatus.FAILED, ChargeStatus.CANCELLED]
) -> bool:
    """The payment will not come by this charge; another one may be asked for. False unless it was open."""
    changed = session.execute(
        update(Charge)
        .where(Charge.id == charge_id, Charge.status.in_(OPEN))
        .values(status=status, failure=reason[:500], client_secret=None)
        .returning(Charge.id)
        .execution_options(synchronize_session=False)
    ).first()
    return changed is not None
