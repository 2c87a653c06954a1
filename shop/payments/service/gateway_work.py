"""Record, call, record: every call to the gateway stands between two units of work.

A slow gateway holds no connection and no lock; a key made of our row's id makes a repeated call one call.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from config.settings import settings
from shop.clock import business_now
from shop.db import in_unit_of_work
from shop.payments import gateway as stripe
from shop.payments.models import OPEN, Charge, ChargeStatus, Method, Refund, RefundStatus, WebhookEvent
from shop.payments.service import charging, refunding, webhooks

log = structlog.get_logger()
OLD = timedelta(seconds=10)
BATCH = 50


@cache
def gateway() -> stripe.Gateway:
    """The gateway of this process, with the settings' keys."""
    chosen = settings()
    return stripe.Gateway(chosen.stripe_api, chosen.stripe_secret_key, chosen.stripe_webhook_secret)


def charge(charge_id: UUID) -> None:
    """Take the money of a charge that was asked for, as far as the gateway goes today.

    Raises Unknown when the gateway gave no answer that counts; the charge then is `unknown` and is asked about again.
    """
    asked = in_unit_of_work(lambda session: session.get_one(Charge, charge_id))
    if asked.status not in OPEN:
        return
    try:
        if asked.gateway_id is None:
            made = gateway().create_payment_intent(
                amount_fen=asked.amount_fen,
                idempotency_key=f"charge-{asked.id.hex}-create",
                metadata={"charge": asked.id.hex, "order": asked.order_id.hex},
            )
            in_unit_of_work(lambda session: remember(session, charge_id, made.id))
        else:
            made = gateway().retrieve(asked.gateway_id)
        if made.status in ("requires_payment_method", "requires_confirmation") and asked.payment_method:
            made = gateway().confirm(
                made.id,
                payment_method=asked.payment_method,
                idempotency_key=f"charge-{asked.id.hex}-confirm",
                return_url=f"{settings().public_url}/v1/docs",
            )
    except (stripe.Declined, stripe.Refused) as refused:
        reason = f"{refused.code}: {refused}"
        in_unit_of_work(lambda session: charging.fail(session, charge_id=charge_id, reason=reason))
        return
    except stripe.Unknown:
        in_unit_of_work(lambda session: mark_unknown(session, charge_id))
        raise
    in_unit_of_work(lambda session: learn(session, made, business_now(session)))


def remember(session: Session, charge_id: UUID, gateway_id: str) -> None:
    session.execute(update(Charge).where(Charge.id == charge_id).values(gateway_id=gateway_id))


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
        charging.fail(session, charge_id=ours.id, reason="cancelled at the gateway")
    return True


def refund(refund_id: UUID) -> None:
    """Give the money of a refund back; a transfer is given back by the platform's bank, which books it itself."""

    def read(session: Session) -> tuple[Refund, Charge]:
        asked = session.get_one(Refund, refund_id)
        return asked, session.get_one(Charge, asked.charge_id)

    asked, paid = in_unit_of_work(read)
    if asked.status != RefundStatus.PENDING:
        return
    gateway_id = None
    if paid.method == Method.STRIPE:
        assert paid.gateway_id is not None
        known = {found.metadata.get("refund"): found for found in gateway().refunds_of(paid.gateway_id)}
        made = known.get(asked.id.hex) or gateway().refund(
            paid.gateway_id,
            amount_fen=asked.amount_fen,
            idempotency_key=f"refund-{asked.id.hex}",
            metadata={"refund": asked.id.hex},
        )
        if made.status != "succeeded":
            return
        gateway_id = made.id
    in_unit_of_work(
        lambda session: refunding.finish(session, refund_id=refund_id, gateway_id=gateway_id, now=business_now(session))
    )


def ask_again() -> int:
    """Ask about everything that the gateway left open for longer than ten seconds; gives how much that was."""
    long_ago = func.clock_timestamp() - OLD

    def left_open(session: Session) -> tuple[list[UUID], list[UUID], list[str]]:
        charges = session.scalars(
            select(Charge.id)
            .where(Charge.status.in_(OPEN), Charge.method == Method.STRIPE, Charge.recorded_at < long_ago)
            .order_by(Charge.id)
            .limit(BATCH)
        ).all()
        refunds = session.scalars(
            select(Refund.id)
            .where(Refund.status == RefundStatus.PENDING, Refund.recorded_at < long_ago)
            .order_by(Refund.id)
            .limit(BATCH)
        ).all()
        events = session.scalars(
            select(WebhookEvent.id)
            .where(WebhookEvent.applied_at.is_(None), WebhookEvent.recorded_at < long_ago)
            .order_by(WebhookEvent.recorded_at)
            .limit(BATCH)
        ).all()
        return list(charges), list(refunds), list(events)

    charges, refunds, events = in_unit_of_work(left_open)
    for event_id in events:
        in_unit_of_work(lambda session, key=event_id: webhooks.apply(session, key))  # type: ignore[misc]
    for key in charges:
        carefully(charge, key)
    for key in refunds:
        carefully(refund, key)
    return len(charges) + len(refunds) + len(events)


def carefully(work: Callable[[UUID], None], key: UUID) -> None:
    """One that the gateway does not answer for must not hold up the others."""
    try:
        work(key)
    except stripe.GatewayError as error:
        log.warning("gateway_left_open", work=work.__name__, id=key.hex, error=str(error))
