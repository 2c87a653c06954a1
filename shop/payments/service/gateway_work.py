"""Record, call, record: every call to the gateway stands between two units of work.

A slow gateway holds no connection and no lock; a key made of our row's id makes a repeated call one call.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any, Literal
from uuid import UUID

import structlog
from sqlalchemy import Interval, case, func, literal, select, update
from sqlalchemy.orm import Session

from config.settings import settings
from shop.clock import business_now
from shop.db import engine, in_unit_of_work
from shop.payments import gateway as stripe
from shop.payments.models import OPEN, Charge, ChargeStatus, Method, Refund, RefundStatus, WebhookEvent
from shop.payments.service import charging, refunding, webhooks

log = structlog.get_logger()
OLD = timedelta(seconds=10)
BATCH = 200
BUDGET_S = 20.0  # of one ring of the sweep: nothing new is begun after it
PATIENCE = 3
ASKER = 7_207_003  # the advisory lock that lets one sweep ask at a time
CLOCKS_APART_S = 300
WAITING = ("requires_payment_method", "requires_confirmation")
WAITS_FOR_PAYER = (*WAITING, "requires_action")


@cache
def gateway() -> stripe.Gateway:
    """The gateway of this process, with the settings' keys."""
    chosen = settings()
    return stripe.Gateway(chosen.stripe_api, chosen.stripe_secret_key, chosen.stripe_webhook_secret)


def charge(charge_id: UUID) -> None:
    """Take the money of a charge as far as the gateway goes today, or end it there when nobody wants it any more.

    Raises Unknown when the gateway gave no answer that counts; the charge then is `unknown` and is asked about again.
    """

    def read(session: Session) -> tuple[Charge, bool]:
        asked = session.get_one(Charge, charge_id)
        wanted = charging.is_wanted(session, asked, business_now(session))
        session.execute(  # whoever comes after this knows that it was asked before
            update(Charge)
            .where(Charge.id == charge_id, Charge.asked_at.is_(None))
            .values(asked_at=func.clock_timestamp())
            .execution_options(synchronize_session=False)
        )
        return asked, wanted

    asked, wanted = in_unit_of_work(read)
    if asked.status not in OPEN or asked.method != Method.STRIPE:
        return
    try:
        made = take(asked) if wanted else give_up(asked)
    except (stripe.Declined, stripe.Refused) as no:
        log.warning("payment_refused", charge=asked.id.hex, code=no.code, error=str(no), request_id=no.request_id)
        end(charge_id, f"{no.code}: {no}", ChargeStatus.FAILED)
        return
    except stripe.Unknown:
        in_unit_of_work(lambda session: mark_unknown(session, charge_id))
        raise
    if made is None:
        end(charge_id, "no longer wanted", ChargeStatus.CANCELLED)
    elif made.status == "requires_payment_method" and made.last_error_code:
        end(charge_id, made.last_error_code, ChargeStatus.FAILED)
    elif not in_unit_of_work(lambda session: learn(session, made, business_now(session))):
        log.error("payment_not_ours", charge=asked.id.hex, payment=made.id)


def withdraw(charge_id: UUID) -> None:
    """End at the gateway what was withdrawn here; money that it had taken already is booked."""
    asked = in_unit_of_work(lambda session: session.get_one(Charge, charge_id))
    made = give_up(asked)
    if made is not None and not in_unit_of_work(lambda session: learn(session, made, business_now(session))):
        log.error("payment_not_ours", charge=asked.id.hex, payment=made.id)


def take(asked: Charge) -> stripe.Payment:
    """Ask for the payment, or find the one that was asked for, and pay it when the buyer said how.

    A payment is made with one key, whoever makes it, so that two processes which meet one charge make one payment.
    Paying it may use a new key, where the gateway keeps answering a key with its own error: one PaymentIntent is paid
    once whatever the keys.
    """
    made = known(asked) or kept(
        asked.id,
        gateway().create_payment_intent(
            amount_fen=asked.amount_fen,
            idempotency_key=f"charge-{asked.id.hex}-create",
            metadata={"charge": asked.id.hex, "order": asked.order_id.hex},
        ),
    )
    if made.status not in WAITING or made.last_error_code or not asked.payment_method:
        return made
    try:
        return gateway().confirm(
            made.id,
            payment_method=asked.payment_method,
            idempotency_key=f"charge-{asked.id.hex}" + (f"-{asked.asked}" if asked.asked else "") + "-confirm",
            return_url=f"{settings().public_url}/v1/docs",
        )
    except stripe.Refused:
        found = gateway().retrieve(made.id)  # it may have been refused because it is paid
        if found.status in WAITING:
            raise
        return found


def give_up(asked: Charge) -> stripe.Payment | None:
    """End a payment that took no money; gives it as it stands now, or None when there never was one."""
    made = known(asked)
    if made is None or made.status not in (*WAITS_FOR_PAYER, "requires_capture"):
        return made
    try:
        return gateway().cancel(made.id, idempotency_key=f"charge-{asked.id.hex}-cancel")
    except stripe.Refused:
        return gateway().retrieve(made.id)


def known(asked: Charge) -> stripe.Payment | None:
    """The payment that a charge has at the gateway as it stands now, looked for where it was asked for before."""
    if asked.gateway_id is not None:
        return gateway().retrieve(asked.gateway_id)
    if asked.asked_at is None and asked.status != ChargeStatus.UNKNOWN:
        return None
    began = int(asked.recorded_at.timestamp()) - CLOCKS_APART_S
    found = gateway().find_by_metadata({"charge": asked.id.hex}, created_from=began)
    return kept(asked.id, min(found, key=rank)) if found else None


def rank(payment: stripe.Payment) -> tuple[bool, bool, int]:
    """Of several payments for one charge the one that took its money comes first, then the oldest that is not over."""
    return payment.status != "succeeded", payment.status == "canceled", payment.created


def end(charge_id: UUID, reason: str, status: Literal[ChargeStatus.FAILED, ChargeStatus.CANCELLED]) -> None:
    in_unit_of_work(lambda session: charging.fail(session, charge_id=charge_id, reason=reason, status=status))


def kept(charge_id: UUID, made: stripe.Payment) -> stripe.Payment:
    """Keep the gateway's id before the next call, in a commit of its own; gives the payment that is kept.

    Where another process kept another one first, only that one is ever paid, and this one is ended; so is one whose
    charge was withdrawn meanwhile.
    """

    def remember(session: Session) -> tuple[str | None, str]:
        which = update(Charge).where(Charge.id == charge_id, Charge.gateway_id.is_(None))
        session.execute(which.values(gateway_id=made.id).execution_options(synchronize_session=False))
        first, status = session.execute(select(Charge.gateway_id, Charge.status).where(Charge.id == charge_id)).one()
        return first, status

    first, status = in_unit_of_work(remember)
    if first == made.id and status in (*OPEN, ChargeStatus.SUCCEEDED):
        return made
    assert first is not None
    if first != made.id:
        log.error("payment_made_twice", charge=charge_id.hex, kept=first, ended=made.id)
    with suppress(stripe.Refused):
        gateway().cancel(made.id, idempotency_key=f"ended-{made.id}-cancel")
    return gateway().retrieve(first)


def mark_unknown(session: Session, charge_id: UUID) -> None:
    session.execute(
        update(Charge)
        .where(Charge.id == charge_id, Charge.status == ChargeStatus.PENDING)
        .values(status=ChargeStatus.UNKNOWN)
    )


def learn(session: Session, payment: stripe.Payment, now: datetime) -> bool:
    """Believe what the gateway says of a payment when it is ours, in mode, sum and currency; False when it is not."""
    ours = webhooks.place(
        session,
        gateway_id=payment.id,
        metadata=payment.metadata,
        amount_fen=payment.amount_fen,
        currency=payment.currency,
        livemode=payment.livemode,
    )
    if ours is None:
        return False
    if payment.status == "succeeded" and payment.amount_received_fen == ours.amount_fen:
        charging.settle_charge(session, charge_id=ours.id, now=now)
    elif payment.status == "canceled":
        charging.fail(session, charge_id=ours.id, reason="cancelled at the gateway", status=ChargeStatus.CANCELLED)
    elif payment.status in WAITS_FOR_PAYER:
        session.execute(
            update(Charge)
            .where(Charge.id == ours.id, Charge.status.in_(OPEN))
            .values(action_url=payment.action_url, client_secret=payment.client_secret)
        )
    return True


def refund(refund_id: UUID) -> None:
    """Give the money of a refund back; a transfer's stays open until an operator books that it was sent."""

    def read(session: Session) -> tuple[Refund, Charge]:
        asked = session.get_one(Refund, refund_id)
        return asked, session.get_one(Charge, asked.charge_id)

    asked, paid = in_unit_of_work(read)
    if asked.status != RefundStatus.PENDING or paid.method != Method.STRIPE:
        return
    made = give_back(asked, paid)
    if made.status in ("failed", "canceled"):
        log.error("refund_failed", refund=asked.id.hex, amount_fen=asked.amount_fen, at_gateway=made.id)
        in_unit_of_work(
            lambda session: refunding.fail(
                session, refund_id=refund_id, reason=f"{made.id} {made.status}", now=business_now(session)
            )
        )
    elif made.status == "succeeded":
        in_unit_of_work(
            lambda session: refunding.finish(
                session, refund_id=refund_id, gateway_id=made.id, now=business_now(session)
            )
        )


def give_back(asked: Refund, paid: Charge) -> stripe.Refund:
    """The refund at the gateway: the one that is there already, else a new one.

    One key for all repetitions, also the sweep's: unlike a payment, a refund of a part could be made twice.
    """
    if paid.gateway_id is None:
        raise AssertionError(f"charge {paid.id} succeeded at the gateway and has no payment there")
    for found in gateway().refunds_of(paid.gateway_id):
        if found.metadata.get("refund") == asked.id.hex:
            return found
    return gateway().refund(
        paid.gateway_id,
        amount_fen=asked.amount_fen,
        idempotency_key=f"refund-{asked.id.hex}",
        metadata={"refund": asked.id.hex},
    )


def give_back_second(charge_id: UUID, payment: str) -> None:
    """Give back all of a payment that took the money of a charge beside the one that is booked.

    Nothing of it was ever booked, so nothing is booked now. One key for the payment: it goes back once.
    """
    booked = in_unit_of_work(lambda session: session.get_one(Charge, charge_id)).gateway_id
    made = gateway().retrieve(payment)
    if made.id == booked or made.metadata.get("charge") != charge_id.hex or not made.amount_received_fen:
        raise AssertionError(f"{payment} is no second payment of charge {charge_id}")
    if gateway().refunds_of(payment):
        return
    gateway().refund(
        payment,
        amount_fen=made.amount_received_fen,
        idempotency_key=f"second-{payment}",
        metadata={"charge": charge_id.hex},
        reason="duplicate",
    )


def ask_again() -> int:
    """Go on with everything that was left open for longer than ten seconds; gives how much that was.

    One by one, each marked as asked before it is: what fails, fails alone and waits for twice as long, up to a minute
    where money may have moved and hours where somebody else has to do something first. A gateway that does not answer
    three times running is left alone until the next ring; so is all that is left after `BUDGET_S`. One sweep at a time.
    """
    with one_at_a_time() as mine:
        return ask_all() if mine else 0


@contextmanager
def one_at_a_time() -> Iterator[bool]:
    """Whether this sweep is the only one: a lock of a session outside any transaction, let go when its process dies."""
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        mine = bool(connection.scalar(select(func.pg_try_advisory_lock(ASKER))))
        try:
            yield mine
        finally:
            if mine:
                connection.execute(select(func.pg_advisory_unlock(ASKER)))


def ask_all() -> int:
    asked = 0
    silences = 0
    ends = time.monotonic() + BUDGET_S
    by_gateway = select(Charge.id).where(Charge.method == Method.STRIPE)
    steps: tuple[tuple[type[Any], Any, Callable[[datetime], Any], Callable[[Any], object]], ...] = (
        (WebhookEvent, WebhookEvent.applied_at.is_(None), lambda _: literal(timedelta(hours=1), Interval), apply),
        (Charge, Charge.status.in_(OPEN) & (Charge.method == Method.STRIPE), patience, charge),
        (
            Refund,
            (Refund.status == RefundStatus.PENDING) & Refund.charge_id.in_(by_gateway),
            lambda _: literal(timedelta(hours=1), Interval),
            refund,
        ),
    )
    for model, left_open, longest, work in steps:
        for _ in range(BATCH):
            if silences == PATIENCE or time.monotonic() > ends:
                break
            key = in_unit_of_work(partial(next_open, model=model, left_open=left_open, longest=longest))
            if key is None:
                break
            asked += 1
            silences = silences + 1 if carefully(work, key) else 0
    return asked


def patience(now: datetime) -> Any:
    """The longest pause between two questions about a charge: hours while it waits for its payer, whose deed the
    gateway tells by itself; a minute where the answer was lost, or the time to pay is over and the stock waits."""
    soon = (Charge.status == ChargeStatus.UNKNOWN) | charging.is_over(now)
    return case((soon, literal(timedelta(minutes=1), Interval)), else_=literal(timedelta(hours=4), Interval))


def next_open(session: Session, *, model: type[Any], left_open: Any, longest: Callable[[datetime], Any]) -> Any:
    """The one that waits longest for its next question, marked as asked now; None when none is due."""
    last = func.coalesce(model.asked_at, model.recorded_at)
    pause = func.greatest(literal(OLD, Interval), func.least(last - model.recorded_at, longest(business_now(session))))
    chosen = (
        select(model.id)
        .where(left_open, last + pause < func.clock_timestamp())
        .order_by(last)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    return session.scalar(
        update(model)
        .where(model.id == chosen)
        .values(asked_at=func.clock_timestamp(), asked=model.asked + 1)
        .returning(model.id)
        .execution_options(synchronize_session=False)
    )


def apply(event_id: str) -> None:
    in_unit_of_work(lambda session: webhooks.apply(session, event_id))


def carefully(work: Callable[[Any], object], key: Any) -> bool:
    """Do one; True when the gateway was silent. Whatever happens to it must not hold up the others."""
    try:
        work(key)
    except stripe.Unknown as error:
        log.warning("gateway_silent", work=work.__name__, id=str(key), error=str(error))
        return True
    except Exception as error:
        log.error("money_left_open", work=work.__name__, id=str(key), exc_info=error)
    return False
