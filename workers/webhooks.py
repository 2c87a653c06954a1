"""Sending webhooks."""

from typing import Any

from shop.clock import business_now
from shop.outbox import service as outbox
from shop.outbox import webhooks


def send(taken: outbox.Claim, **_payload: Any) -> None:
    """Post one event to one endpoint and keep what came of it, each under the claim."""
    with outbox.working(taken) as session:
        message = webhooks.prepare(session, taken)
    if message is None:
        return
    answer = webhooks.post(message)
    with outbox.working(taken) as session:
        webhooks.note(session, message, answer, now=business_now(session))


send.calls_out = True  # type: ignore[attr-defined]
send.attempts = webhooks.ATTEMPTS  # type: ignore[attr-defined]
