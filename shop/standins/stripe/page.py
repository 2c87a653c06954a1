"""The page where a payer pays, instead of Stripe's own form: choose a test payment method, or finish its step."""

from __future__ import annotations

from html import escape
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from shop.standins.stripe import methods

Json = dict[str, Any]


def choices(intent: Json) -> list[str]:
    """The names a payer may choose among for this PaymentIntent."""
    cards = list(methods.CARDS) if "card" in intent["payment_method_types"] else []
    return cards + [name for name in methods.WALLETS if name in intent["payment_method_types"]]


def render(intent: Json, *, return_url: str) -> str:
    """The page: buttons that suit the status of the PaymentIntent."""
    asks = intent["status"] == "requires_action"
    if asks:
        offered = [("approve", "批准 Approve"), ("fail", "拒绝 Fail")]
    elif intent["status"] in ("requires_payment_method", "requires_confirmation"):
        offered = [(name, name) for name in choices(intent)]
    else:
        offered = []
    buttons = "".join(
        f'<p><button name="choice" value="{escape(value)}">{escape(label)}</button></p>' for value, label in offered
    )
    amount = f"{intent['amount'] / 100:,.2f} {intent['currency'].upper()}"
    error = (intent["last_payment_error"] or {}).get("message", "")
    return (
        '<!doctype html><html lang="zh"><meta charset="utf-8"><title>Stripe stand-in</title>'
        '<meta name="viewport" content="width=device-width">'
        f"<h1>{escape(amount)}</h1><p>{escape(intent['id'])} · {escape(intent['status'])}</p><p>{escape(error)}</p>"
        f'<form method="post">{buttons}<input type="hidden" name="client_secret" '
        f'value="{escape(intent["client_secret"])}"><input type="hidden" name="return_url" '
        f'value="{escape(return_url)}"></form><p>测试支付,不动用真实资金。A test: no money moves.</p></html>'
    )


def returned(return_url: str, intent: Json) -> str:
    """The address the payer comes back to, with what Stripe adds to it."""
    parts = urlsplit(return_url)
    status = {"succeeded": "succeeded", "requires_capture": "succeeded"}.get(intent["status"], "failed")
    added = urlencode(
        {
            "payment_intent": intent["id"],
            "payment_intent_client_secret": intent["client_secret"],
            "redirect_status": status,
        }
    )
    return urlunsplit(parts._replace(query=f"{parts.query}&{added}" if parts.query else added))
