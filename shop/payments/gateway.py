"""The way to Stripe: the few calls the shop makes, with typed answers and three kinds of failure.

A caller holds no transaction while it calls. The idempotency key comes from the caller's own row and was stored before,
so a call may be made again as often as needed within 24 hours; after that, look first (`find_by_metadata`,
`refunds_of`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import urlsplit

import requests
import stripe

if TYPE_CHECKING:
    from stripe.params import (
        PaymentIntentCancelParams,
        PaymentIntentConfirmParams,
        PaymentIntentCreateParams,
        RefundCreateParams,
    )

TIMEOUT_S = (2.0, 5.0)
"""To connect, and to wait for the answer."""

MAX_RETRIES = 1
PAUSE_S = 0.5
"""The first pause before the library asks again; each further one is at most twice as long, up to 5 seconds."""

MAX_WAIT_S = 15
"""The longest a caller waits in all, as long as what comes does not come in drops."""

SIGNATURE_TOLERANCE_S = 300
MAX_AMOUNT_FEN = 99_999_999
"""The most that one PaymentIntent takes: Stripe's amounts have at most eight digits, 999,999.99 yuan."""

CaptureMethod = Literal["automatic", "manual"]
RefundReason = Literal["duplicate", "fraudulent", "requested_by_customer"]
CancelReason = Literal["abandoned", "duplicate", "fraudulent", "requested_by_customer"]


class GatewayError(Exception):
    """A call that did not give the answer asked for. `code` is Stripe's, `request_id` finds the call in its log."""

    def __init__(self, message: str, *, code: str | None = None, request_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.request_id = request_id


class Declined(GatewayError):
    """The payer's bank or wallet said no. Final for this attempt; `decline_code` tells why, where the bank does."""

    def __init__(
        self, message: str, *, code: str | None, decline_code: str | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(message, code=code, request_id=request_id)
        self.decline_code = decline_code


class Refused(GatewayError):
    """Stripe refused the call itself: a mistake of ours, final. Nothing was done by this call."""


class Unknown(GatewayError):
    """No answer that can be relied on: it may have been done or not. Ask again with the same key, or look."""


class InvalidSignature(Exception):
    """A webhook that was not signed with our secret, or too long ago, or that holds no event."""


@dataclass(frozen=True)
class Payment:
    """A PaymentIntent as Stripe last told it, amounts in the smallest unit of `currency`, `created` in Unix seconds.

    `status` is Stripe's: requires_payment_method, requires_confirmation, requires_action, processing, requires_capture,
    succeeded, canceled. `action_url` is where the payer has to go, where it is known.
    """

    id: str
    status: str
    amount_fen: int
    amount_capturable_fen: int
    amount_received_fen: int
    currency: str
    capture_method: str
    client_secret: str | None
    action_url: str | None
    latest_charge: str | None
    last_error_code: str | None
    metadata: dict[str, str]
    created: int
    livemode: bool


@dataclass(frozen=True)
class Refund:
    """Money given back. `status` is pending, requires_action, succeeded, failed or canceled."""

    id: str
    status: str
    amount_fen: int
    currency: str
    payment_intent: str | None
    metadata: dict[str, str]
    created: int


class Gateway:
    """One account at Stripe. Make one for each process; threads may share it."""

    def __init__(
        self,
        api_base: str,
        secret_key: str,
        webhook_secret: str,
        *,
        timeout_s: tuple[float, float] = TIMEOUT_S,
        max_retries: int = MAX_RETRIES,
    ) -> None:
        """Refuses with ValueError an empty key or secret, plain http to another machine, and a long wait."""
        parts = urlsplit(api_base)
        local = parts.hostname in ("127.0.0.1", "localhost", "::1")
        if parts.scheme != "https" and not (parts.scheme == "http" and local):
            raise ValueError("Stripe is reached by https, or by http on this machine.")
        if not secret_key.strip() or not webhook_secret.strip():
            raise ValueError("Stripe needs a secret key and a webhook secret.")
        pauses = sum(min(PAUSE_S * 2**number, 5) for number in range(max_retries))
        longest = sum(timeout_s) * (1 + max_retries) + pauses
        if not all(0 < seconds <= 10 for seconds in timeout_s) or longest > MAX_WAIT_S:
            raise ValueError("A call to Stripe waits at most 10 seconds once, and 15 with all its repetitions.")
        self.livemode = not secret_key.startswith(("sk_test_", "rk_test_"))
        self._webhook_secret = webhook_secret
        session = requests.Session()
        session.max_redirects = 0
        session.trust_env = not local  # no proxy and no .netrc stands between two processes of one machine
        stripe.enable_telemetry = False  # which would keep an id in the home of whoever runs the shop
        self._client = stripe.StripeClient(
            secret_key,
            base_addresses={"api": api_base.rstrip("/")},
            http_client=stripe.RequestsClient(timeout=timeout_s, session=session),
            max_network_retries=max_retries,
        )

    def create_payment_intent(
        self,
        *,
        amount_fen: int,
        idempotency_key: str,
        metadata: Mapping[str, str],
        currency: str = "cny",
        capture_method: CaptureMethod = "automatic",
        payment_method_types: Sequence[str] | None = None,
        description: str | None = None,
    ) -> Payment:
        """Ask for a payment. `payment_method_types` narrows what the payer may use; otherwise all that is switched on.

        `manual` capture only authorises, and only cards can do that.
        """
        params: PaymentIntentCreateParams = {
            "amount": amount_fen,
            "currency": currency,
            "metadata": dict(metadata),
            "capture_method": "manual" if capture_method == "manual" else "automatic_async",
        }
        if payment_method_types is not None:
            params["allowed_payment_method_types"] = list(payment_method_types)
        else:
            params["automatic_payment_methods"] = {"enabled": True}
        if description is not None:
            params["description"] = description
        with _failures():
            return _payment(self._client.v1.payment_intents.create(params, {"idempotency_key": idempotency_key}))

    def confirm(
        self, payment_intent: str, *, payment_method: str, idempotency_key: str, return_url: str | None = None
    ) -> Payment:
        """Pay with a known payment method. A payer who has to do something more is told by status and `action_url`."""
        params: PaymentIntentConfirmParams = {"payment_method": payment_method}
        if return_url is not None:
            params["return_url"] = return_url
        with _failures():
            return _payment(
                self._client.v1.payment_intents.confirm(payment_intent, params, {"idempotency_key": idempotency_key})
            )

    def cancel(
        self, payment_intent: str, *, idempotency_key: str, reason: CancelReason = "requested_by_customer"
    ) -> Payment:
        """End a payment that took no money; an authorisation is given up. Refused once money was taken."""
        params: PaymentIntentCancelParams = {"cancellation_reason": reason}
        with _failures():
            return _payment(
                self._client.v1.payment_intents.cancel(payment_intent, params, {"idempotency_key": idempotency_key})
            )

    def refund(
        self,
        payment_intent: str,
        *,
        amount_fen: int,
        idempotency_key: str,
        metadata: Mapping[str, str],
        reason: RefundReason = "requested_by_customer",
    ) -> Refund:
        """Give back a part or all of what was taken; Stripe refuses more than that."""
        params: RefundCreateParams = {
            "payment_intent": payment_intent,
            "amount": amount_fen,
            "reason": reason,
            "metadata": dict(metadata),
        }
        with _failures():
            return _refund(self._client.v1.refunds.create(params, {"idempotency_key": idempotency_key}))

    def retrieve(self, payment_intent: str) -> Payment:
        """The payment as it stands now."""
        with _failures():
            return _payment(self._client.v1.payment_intents.retrieve(payment_intent))

    def find_by_metadata(
        self, metadata: Mapping[str, str], *, created_from: int, created_until: int | None = None
    ) -> list[Payment]:
        """The payments made in this span (Unix seconds, end excluded) that carry all of this metadata, newest first.

        It walks Stripe's list, which is always fresh, and not its search, which lags; so keep the span short.
        """
        span: dict[str, int] = {"gte": created_from}
        if created_until is not None:
            span["lt"] = created_until
        with _failures():
            pages = self._client.v1.payment_intents.list({"created": cast(Any, span), "limit": 100})
            found = [_payment(intent) for intent in pages.auto_paging_iter()]
        return [payment for payment in found if metadata.items() <= payment.metadata.items()]

    def refunds_of(self, payment_intent: str) -> list[Refund]:
        """Every refund of a payment, newest first."""
        with _failures():
            pages = self._client.v1.refunds.list({"payment_intent": payment_intent, "limit": 100})
            return [_refund(refund) for refund in pages.auto_paging_iter()]

    def verify_webhook(self, raw: bytes, signature: str) -> dict[str, Any]:
        """The event in a webhook's body, or InvalidSignature. Its mode and its amounts are for the caller to compare.

        Only the raw bytes are judged; nothing of an unsigned body is read.
        """
        try:
            stripe.WebhookSignature.verify_header(raw, signature, self._webhook_secret, SIGNATURE_TOLERANCE_S)
        except (stripe.SignatureVerificationError, UnicodeError, TypeError, ValueError) as error:
            raise InvalidSignature("The webhook is not signed with our secret.") from error
        try:
            event = json.loads(raw, parse_constant=_no_constant)
            storable = _is_storable(event)
        except (ValueError, RecursionError) as error:
            raise InvalidSignature("The webhook holds no event.") from error
        if not (storable and _is_event(event)):
            raise InvalidSignature("The webhook holds no event.")
        return cast(dict[str, Any], event)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number.")


def _is_storable(value: object) -> bool:
    """Whether PostgreSQL can keep every text in it: no NUL; a lone surrogate raises UnicodeError, a ValueError."""
    if isinstance(value, str):
        return b"\x00" not in value.encode()
    if isinstance(value, dict):
        return all(_is_storable(key) and _is_storable(inner) for key, inner in value.items())
    return all(map(_is_storable, value)) if isinstance(value, list) else True


def _is_event(event: object) -> bool:
    """Whether this has what every event has: an id, a type, a moment, a mode and an object."""
    if not isinstance(event, dict) or event.get("object") != "event":
        return False
    data = event.get("data")
    return (
        isinstance(event.get("id"), str)
        and isinstance(event.get("type"), str)
        and type(event.get("created")) is int
        and isinstance(event.get("livemode"), bool)
        and isinstance(data, dict)
        and isinstance(data.get("object"), dict)
    )


@contextmanager
def _failures() -> Iterator[None]:
    """Turn what the library raises into the three kinds."""
    try:
        yield
    except stripe.StripeError as error:
        raise _failure(error) from error


def _failure(error: stripe.StripeError) -> GatewayError:
    """Only an answer that says so is final: a decline is 402, a refusal another 4xx; all else stays open."""
    message, code, request_id = error.user_message or type(error).__name__, error.code, error.request_id
    told = error.error
    if code is None and told is not None:
        code = told.to_dict().get("code")
    if isinstance(error, stripe.CardError):
        decline_code = told.to_dict().get("decline_code") if told is not None else None
        return Declined(message, code=code, decline_code=decline_code, request_id=request_id)
    status = error.http_status
    if status is None or status in (408, 409, 425, 429) or not 400 <= status < 500 or told is None:
        return Unknown(message, code=code, request_id=request_id)
    return Refused(message, code=code, request_id=request_id)


def _payment(intent: stripe.PaymentIntent) -> Payment:
    charge = intent.latest_charge
    failure = intent.last_payment_error
    return Payment(
        id=intent.id,
        status=intent.status,
        amount_fen=intent.amount,
        amount_capturable_fen=intent.amount_capturable,
        amount_received_fen=intent.amount_received,
        currency=intent.currency,
        capture_method=intent.capture_method,
        client_secret=intent.client_secret,
        action_url=_action_url(intent),
        latest_charge=charge.id if isinstance(charge, stripe.Charge) else charge,
        last_error_code=failure.code if failure is not None else None,
        metadata=_plain(intent.metadata),
        created=intent.created,
        livemode=intent.livemode,
    )


def _action_url(intent: stripe.PaymentIntent) -> str | None:
    action = intent.next_action
    if action is None:
        return None
    told = action.to_dict().get(action.type)
    if not isinstance(told, dict):
        return None
    return told.get("url") or told.get("hosted_instructions_url")


def _refund(refund: stripe.Refund) -> Refund:
    intent = refund.payment_intent
    return Refund(
        id=refund.id,
        status=refund.status or "pending",
        amount_fen=refund.amount,
        currency=refund.currency,
        payment_intent=intent.id if isinstance(intent, stripe.PaymentIntent) else intent,
        metadata=_plain(refund.metadata),
        created=refund.created,
    )


def _plain(metadata: stripe.StripeObject | None) -> dict[str, str]:
    return {} if metadata is None else dict(metadata.to_dict())
