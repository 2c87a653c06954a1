"""The objects as Stripe shows them: every key, with null where nothing is known."""

from __future__ import annotations

import secrets
from typing import Any

from shop.standins.stripe.methods import TestMethod

Json = dict[str, Any]

VERSION = "2026-10-28.endive"
"""The version of the API that these shapes follow, sent by the stripe-python that the project is locked to."""


def new_id(prefix: str) -> str:
    """A random identifier, as `pi_3f…`."""
    return f"{prefix}_{secrets.token_hex(12)}"


def payment_intent(*, amount: int, currency: str, created: int) -> Json:
    """A PaymentIntent that waits for a payment method."""
    intent_id = new_id("pi")
    return {
        "id": intent_id,
        "object": "payment_intent",
        "allowed_payment_method_types": None,
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "client_secret": f"{intent_id}_secret_{secrets.token_hex(12)}",
        "confirmation_method": "automatic",
        "created": created,
        "currency": currency,
        "customer": None,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "managed_payments": {"enabled": False},
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }


def _address() -> Json:
    return dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))


def _billing_details() -> Json:
    return {"address": _address(), "email": None, "name": None, "phone": None, "tax_id": None}


def _checks() -> Json:
    return {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"}


def payment_method(method: TestMethod, *, created: int) -> Json:
    """A PaymentMethod of one of the test kinds."""
    shown: Json = {}
    if method.type == "card":
        shown = {
            "brand": method.brand,
            "checks": _checks(),
            "country": method.country,
            "display_brand": method.brand,
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": f"test{method.last4}",
            "funding": "credit",
            "generated_from": None,
            "last4": method.last4,
            "networks": {"available": [method.brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        }
    return {
        "id": new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": _billing_details(),
        method.type: shown,
        "created": created,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": method.type,
    }


def charge(intent: Json, method: Json, *, created: int, captured: bool, declined: TestMethod | None = None) -> Json:
    """The attempt to charge a PaymentIntent: paid, authorised only, or declined."""
    paid = declined is None
    return {
        "id": new_id("ch"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if paid and captured else 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": _billing_details(),
        "calculated_statement_descriptor": None,
        "captured": paid and captured,
        "created": created,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": declined.code if declined else None,
        "failure_message": declined.message if declined else None,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "on_behalf_of": None,
        "outcome": {
            "advice_code": None,
            "network_advice_code": None,
            "network_decline_code": None,
            "network_status": "approved_by_network" if paid else "declined_by_network",
            "reason": declined.decline_code if declined else None,
            "seller_message": "Payment complete." if paid else "The bank did not return any further details.",
            "type": "authorized" if paid else "issuer_declined",
        },
        "paid": paid,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": _details(intent, method),
        "receipt_email": None,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "succeeded" if paid else "failed",
        "transfer_data": None,
        "transfer_group": intent["transfer_group"],
    }


def _details(intent: Json, method: Json) -> Json:
    if method["type"] != "card":
        return {method["type"]: {"transaction_id": secrets.token_hex(8)}, "type": method["type"]}
    card = method["card"]
    unavailable = {"status": "unavailable"}
    return {
        "card": {
            "amount_authorized": intent["amount"],
            "authorization_code": None,
            "brand": card["brand"],
            "checks": _checks(),
            "country": card["country"],
            "exp_month": card["exp_month"],
            "exp_year": card["exp_year"],
            "extended_authorization": {"status": "disabled"},
            "fingerprint": card["fingerprint"],
            "funding": card["funding"],
            "incremental_authorization": unavailable,
            "installments": None,
            "last4": card["last4"],
            "mandate": None,
            "multicapture": unavailable,
            "network": card["brand"],
            "network_token": {"used": False},
            "network_transaction_id": None,
            "overcapture": {"maximum_amount_capturable": intent["amount"], "status": "unavailable"},
            "regulated_status": card["regulated_status"],
            "three_d_secure": None,
            "transaction_link_id": None,
            "wallet": None,
        },
        "type": "card",
    }


def refund(charged: Json, *, amount: int, reason: str | None, metadata: dict[str, str], created: int) -> Json:
    """Money given back from a charge."""
    kind = charged["payment_method_details"]["type"]
    return {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charged["id"],
        "created": created,
        "currency": charged["currency"],
        "customer": charged["customer"],
        "customer_account": None,
        "destination_details": {kind: {"type": "refund"} if kind == "card" else {}, "type": kind},
        "metadata": metadata,
        "payment_intent": charged["payment_intent"],
        "payment_method": charged["payment_method"],
        "reason": reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }


def balance_transaction(source: Json, *, amount: int, kind: str, created: int) -> Json:
    """What a charge (positive) or a refund (negative) did to the account's balance; no fee is taken here."""
    return {
        "id": new_id("txn"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": created + 2 * 86_400,
        "balance_type": "payments",
        "created": created,
        "currency": source["currency"],
        "description": source.get("description"),
        "exchange_rate": None,
        "fee": 0,
        "fee_details": [],
        "net": amount,
        "reporting_category": kind,
        "source": source["id"],
        "status": "pending",
        "type": kind,
    }


def event(kind: str, shown: Json, *, created: int, request_id: str | None, key: str | None) -> Json:
    """Something that happened, with the object as it was then."""
    return {
        "id": new_id("evt"),
        "object": "event",
        "api_version": VERSION,
        "created": created,
        "data": {"object": shown},
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": request_id, "idempotency_key": key},
        "type": kind,
    }


def page(items: list[Json], *, url: str, has_more: bool) -> Json:
    """One page of a list, newest first."""
    return {"object": "list", "data": items, "has_more": has_more, "url": url}
