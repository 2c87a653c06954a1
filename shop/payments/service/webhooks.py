"""What the gateway says by itself: verified on raw bytes, stored, then worked on, in any order, however often.

An event is a hint: it is believed only for a payment of ours, in its mode, sum and currency, and only upwards in rank.
"""

import json
from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from config.settings import settings
from shop.clock import business_now
from shop.outbox import service as outbox
from shop.payments.models import Charge, ChargeStatus, WebhookEvent
from shop.payments.service import charging

log = structlog.get_logger()
CURRENCY = "cny"
FAILED, CANCELLED = "payment_intent.payment_failed", "payment_intent.canceled"


def store(session: Session, *, event: Mapping[str, Any], raw: bytes) -> None:
    """Keep a verified event and announce it; one that came before and is not applied yet is announced again."""
    session.execute(insert(WebhookEvent).values(id=event["id"], kind=event["type"], body=raw).on_conflict_do_nothing())
    applied = session.scalar(select(WebhookEvent.applied_at).where(WebhookEvent.id == event["id"]))
    if applied is None:
        outbox.announce(session, "webhook.stored", now=business_now(session), webhook=event["id"])


def place(
    session: Session, *, gateway_id: str, metadata: Mapping[str, str], amount_fen: int, currency: str, livemode: bool
) -> Charge | None:
    """The charge of ours that a payment of the gateway is, row locked; None when it is not ours in every respect."""
    charge = session.scalars(
        select(Charge)
        .where(Charge.id == as_id(metadata.get("charge", "")))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()
    if charge is None or charge.gateway_id not in (None, gateway_id):
        return None
    if (amount_fen, currency, livemode) != (charge.amount_fen, CURRENCY, is_live()):
        return None
    if charge.gateway_id is None:
        session.execute(update(Charge).where(Charge.id == charge.id).values(gateway_id=gateway_id))
    return charge


def as_id(word: str) -> UUID:
    try:
        return UUID(hex=word)
    except ValueError:
        return UUID(int=0)


def is_live() -> bool:
    return not settings().stripe_secret_key.startswith(("sk_test_", "rk_test_"))


def apply(session: Session, event_id: str) -> str:
    """Make of a stored event what it means to us, once; gives the outcome, also kept in its row.

    `unplaceable` events stay open: the payment they tell of may be recorded a moment later, and the sweep asks again.
    """
    row = session.scalars(
        select(WebhookEvent)
        .where(WebhookEvent.id == event_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    if row.applied_at is not None:
        return row.outcome or ""
    event = json.loads(row.body)
    outcome = judge(session, event)
    row.outcome = outcome
    if outcome != "unplaceable":
        row.applied_at = session.scalar(select(func.clock_timestamp()))
    session.flush()
    return outcome


def judge(session: Session, event: Mapping[str, Any]) -> str:
    """What an event means to us, in one or two words.

    `settled`, `known`, `failed`, `outranked`, `not needed`, `unreadable`, `unplaceable` or `paid twice`.
    """
    kind, told = event["type"], event["data"]["object"]
    if not kind.startswith("payment_intent."):
        return "not needed"
    if not is_readable(told):
        return "unreadable"
    charge = place(
        session,
        gateway_id=told["id"],
        metadata=told.get("metadata") or {},
        amount_fen=told["amount"],
        currency=told["currency"],
        livemode=event["livemode"],
    )
    if charge is None:
        return astray(session, event, told)
    if kind == "payment_intent.succeeded" and told.get("amount_received") == charge.amount_fen:
        done = charging.settle_charge(session, charge_id=charge.id, now=business_now(session))
        return "settled" if done else "known"
    if kind in (FAILED, CANCELLED):
        reason = str((told.get("last_payment_error") or {}).get("code") or kind)
        status: Literal[ChargeStatus.FAILED, ChargeStatus.CANCELLED] = (
            ChargeStatus.FAILED if kind == FAILED else ChargeStatus.CANCELLED
        )
        done = charging.fail(session, charge_id=charge.id, reason=reason, status=status)
        return "failed" if done else "outranked"
    return "not needed"


def astray(session: Session, event: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    """What is made of an event that fits no payment of ours: a person hears of it when it names a charge that we know.

    Money that was taken for a charge beside the payment that is kept for it is on its way back.
    """
    charge = session.get(Charge, as_id((told.get("metadata") or {}).get("charge", "")))
    if charge is None:
        return "unplaceable"
    second = charge.gateway_id not in (None, told["id"]) and event["livemode"] == is_live()
    if second and event["type"] != "payment_intent.succeeded":
        return "not needed"
    log.error(
        "payment_astray",
        charge=charge.id.hex, webhook=event["id"], kind=event["type"], payment=told["id"], kept=charge.gateway_id,
        amount_fen=told["amount"], currency=told["currency"], livemode=event["livemode"],
    )  # fmt: skip
    if not second:
        return "unplaceable"
    outbox.announce(session, "charge.paid_twice", now=business_now(session), charge_id=charge.id, payment=told["id"])
    return "paid twice"


def is_readable(told: Mapping[str, Any]) -> bool:
    """Whether an event's payment has what every payment has, in the kinds that it has them."""
    metadata, error = told.get("metadata") or {}, told.get("last_payment_error") or {}
    return (
        isinstance(told.get("id"), str)
        and type(told.get("amount")) is int
        and isinstance(told.get("currency"), str)
        and isinstance(metadata, dict)
        and isinstance(metadata.get("charge", ""), str)
        and isinstance(error, dict)
    )
