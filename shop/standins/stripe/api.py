"""The calls of the API: which path and method, which parameters, which use of the account."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shop.standins.stripe.account import Account, Call
from shop.standins.stripe.errors import ApiError, invalid
from shop.standins.stripe.form import (
    Spec,
    Tree,
    amount,
    boolean,
    group,
    integer,
    metadata,
    moments,
    one_of,
    read,
    several,
    text,
)

Json = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """One call: who it is put to, the identifier in its path ("" where there is none), its parameters."""

    account: Account
    id: str
    wanted: Tree
    call: Call

    def intent(self) -> Json:
        """The PaymentIntent in the path."""
        return self.account.find("payment_intent", self.id, param="intent")


Work = Callable[[Asked], Json]


@dataclass(frozen=True)
class Route:
    method: str
    path: re.Pattern[str]
    spec: Spec
    required: tuple[str, ...]
    work: Work


ROUTES: list[Route] = []

_known_currency = one_of("cny", "hkd", "usd", "eur", "sgd")


def _currency(value: object, param: str) -> object:
    return _known_currency(str(value).lower(), param)


def _enabled(value: object, param: str) -> bool:
    if value != "true":
        raise invalid(param, "The stand-in takes automatic_payment_methods only as enabled.")
    return True


def _no_longer(_: object, param: str) -> object:
    """Since 2026-09-30 a PaymentIntent says which types it takes; it is no longer told."""
    raise invalid(
        param,
        "payment_method_types is no longer supported: use allowed_payment_method_types, or leave it to the dashboard.",
        "payment_method_types_no_longer_supported",
    )


_EXPAND: Spec = {"expand": several(text)}
_PAGE: Spec = {**_EXPAND, "limit": integer, "starting_after": text, "ending_before": text, "created": moments}
_METHOD: Spec = {
    "payment_method_types": _no_longer,
    "payment_method": text,
    "payment_method_data": group({"type": one_of("card", "alipay", "wechat_pay")}, required=("type",)),
    "payment_method_options": group(
        {"wechat_pay": group({"client": one_of("web", "ios", "android")}, required=("client",))}
    ),
    "return_url": text,
    "error_on_requires_action": boolean,
}
_TYPES = several(text)


def route(method: str, path: str, spec: Spec, required: tuple[str, ...] = ()) -> Callable[[Work], Work]:
    """Enter a call; `{}` in the path is an identifier handed to the work."""
    pattern = re.compile("^" + path.replace("{}", "([A-Za-z0-9_]+)") + "$")

    def enter(work: Work) -> Work:
        ROUTES.append(Route(method, pattern, spec, required, work))
        return work

    return enter


def find(method: str, path: str) -> tuple[Route, str]:
    """The route and the identifier in the path, or Stripe's answer for an address it does not know."""
    for candidate in ROUTES:
        found = candidate.path.match(path)
        if found and candidate.method == method:
            return candidate, "".join(found.groups())
    raise ApiError(404, f"Unrecognized request URL ({method}: {path}). The stand-in does not know this call.")


def perform(account: Account, chosen: Route, named: str, tree: Tree, call: Call) -> Json:
    """The object that the call answers with, expanded as asked."""
    wanted = read(tree, chosen.spec, required=chosen.required)
    paths = wanted.pop("expand", [])
    return account.expand(chosen.work(Asked(account, named, wanted, call)), paths)


@route(
    "POST",
    "/v1/payment_intents",
    {
        **_EXPAND,
        **_METHOD,
        "amount": amount,
        "currency": _currency,
        "allowed_payment_method_types": _TYPES,
        "excluded_payment_method_types": _TYPES,
        "automatic_payment_methods": group(
            {"enabled": _enabled, "allow_redirects": one_of("always", "never")}, required=("enabled",)
        ),
        "capture_method": one_of("automatic", "automatic_async", "manual"),
        "confirm": boolean,
        "customer": text,
        "description": text,
        "metadata": metadata,
        "receipt_email": text,
        "transfer_group": text,
    },
    ("amount", "currency"),
)
def _create_intent(asked: Asked) -> Json:
    return asked.account.create_intent(asked.wanted, asked.call)


@route("GET", "/v1/payment_intents", {**_PAGE, "customer": text})
def _list_intents(asked: Asked) -> Json:
    return asked.account.page("payment_intent", "/v1/payment_intents", asked.wanted, _same(asked, "customer"))


@route("GET", "/v1/payment_intents/search", {**_EXPAND, "query": text, "limit": integer}, ("query",))
def _search_intents(asked: Asked) -> Json:
    return asked.account.search(asked.wanted)


@route("GET", "/v1/payment_intents/{}", {**_EXPAND, "client_secret": text})
def _retrieve_intent(asked: Asked) -> Json:
    return asked.intent()


@route("POST", "/v1/payment_intents/{}", {**_EXPAND, "amount": amount, "description": text, "metadata": metadata})
def _update_intent(asked: Asked) -> Json:
    return asked.account.update_intent(asked.intent(), asked.wanted)


@route("POST", "/v1/payment_intents/{}/confirm", {**_EXPAND, **_METHOD})
def _confirm_intent(asked: Asked) -> Json:
    return asked.account.confirm_intent(asked.intent(), asked.wanted, asked.call)


@route("POST", "/v1/payment_intents/{}/capture", {**_EXPAND, "amount_to_capture": amount, "metadata": metadata})
def _capture_intent(asked: Asked) -> Json:
    return asked.account.capture_intent(asked.intent(), asked.wanted, asked.call)


@route(
    "POST",
    "/v1/payment_intents/{}/cancel",
    {
        **_EXPAND,
        "cancellation_reason": one_of("abandoned", "duplicate", "fraudulent", "requested_by_customer"),
    },
)
def _cancel_intent(asked: Asked) -> Json:
    return asked.account.cancel_intent(asked.intent(), asked.wanted, asked.call)


@route(
    "POST",
    "/v1/refunds",
    {
        **_EXPAND,
        "amount": amount,
        "charge": text,
        "payment_intent": text,
        "reason": one_of("duplicate", "fraudulent", "requested_by_customer"),
        "metadata": metadata,
    },
)
def _create_refund(asked: Asked) -> Json:
    return asked.account.create_refund(asked.wanted, asked.call)


@route("GET", "/v1/refunds", {**_PAGE, "charge": text, "payment_intent": text})
def _list_refunds(asked: Asked) -> Json:
    return asked.account.page("refund", "/v1/refunds", asked.wanted, _same(asked, "charge", "payment_intent"))


@route("GET", "/v1/charges", {**_PAGE, "payment_intent": text, "customer": text})
def _list_charges(asked: Asked) -> Json:
    return asked.account.page("charge", "/v1/charges", asked.wanted, _same(asked, "payment_intent", "customer"))


@route("GET", "/v1/balance_transactions", {**_PAGE, "source": text, "type": text})
def _list_balance(asked: Asked) -> Json:
    chosen = _same(asked, "source", "type")
    return asked.account.page("balance_transaction", "/v1/balance_transactions", asked.wanted, chosen)


@route("GET", "/v1/events", {**_PAGE, "type": text, "types": several(text)})
def _list_events(asked: Asked) -> Json:
    kinds = asked.wanted.get("types") or [asked.wanted[name] for name in ("type",) if name in asked.wanted]

    def chosen(event: Json) -> bool:
        return not kinds or any(
            event["type"].startswith(kind[:-1]) if kind.endswith("*") else event["type"] == kind for kind in kinds
        )

    return asked.account.page("event", "/v1/events", asked.wanted, chosen)


def _same(asked: Asked, *names: str) -> Callable[[Json], bool]:
    return lambda item: all(item[name] == asked.wanted[name] for name in names if name in asked.wanted)


def _retrieve(kind: str, param: str) -> Work:
    return lambda asked: asked.account.find(kind, asked.id, param=param)


for _path, _kind, _param in (
    ("refunds", "refund", "refund"),
    ("charges", "charge", "id"),
    ("payment_methods", "payment_method", "payment_method"),
    ("balance_transactions", "balance_transaction", "id"),
    ("events", "event", "id"),
):
    route("GET", f"/v1/{_path}/{{}}", _EXPAND)(_retrieve(_kind, _param))
