"""The account behind the stand-in: what it holds, and the life of a payment and of a refund.

Every public method runs under `lock`, which the server takes, so an answer is a picture of one moment.
"""

from __future__ import annotations

import copy
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from shop.standins.stripe import methods, objects
from shop.standins.stripe.errors import ApiError, invalid, missing, no_such, unexpected_state
from shop.standins.stripe.methods import Outcome, TestMethod

Json = dict[str, Any]

OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
KINDS = {
    "payment_intent": "payment_intent",
    "charge": "charge",
    "refund": "refund",
    "event": "event",
    "payment_method": "PaymentMethod",
    "balance_transaction": "balance transaction",
}


@dataclass(frozen=True)
class Call:
    """The API call that caused a change; it stands in events and in the log of effects."""

    request_id: str | None = None
    idempotency_key: str | None = None


@dataclass
class Account:
    """All that the account holds. `announce` is told of every event, in order."""

    announce: Callable[[Json], None]
    base_url: str = ""
    clock: Callable[[], float] = time.time
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.held: dict[str, dict[str, Json]] = {kind: {} for kind in KINDS}
        self.fates: dict[str, TestMethod] = {}
        self.effects: list[Json] = []

    def clear(self) -> None:
        """Forget everything."""
        self.__post_init__()

    # Reading

    def find(self, kind: str, wanted: str, *, param: str = "id", status: int = 404) -> Json:
        """The object itself, or Stripe's answer for one that is not there."""
        found = self.held[kind].get(wanted)
        if found is None:
            raise no_such(KINDS[kind], wanted, param, status)
        return found

    def expand(self, shown: Json, paths: list[str]) -> Json:
        """A copy with the named ids replaced by the objects they name, as `latest_charge.balance_transaction`."""
        shown = copy.deepcopy(shown)
        for path in paths:
            self._expand(shown, path.split("."), path)
        return shown

    def _expand(self, shown: Any, steps: list[str], path: str) -> None:
        if isinstance(shown, list):
            for item in shown:
                self._expand(item, steps, path)
            return
        if not isinstance(shown, dict) or steps[0] not in shown:
            raise invalid("expand", f"This property cannot be expanded ({path}).")
        value = shown[steps[0]]
        if isinstance(value, str):
            value = next((copy.deepcopy(held[value]) for held in self.held.values() if value in held), None)
            if value is None:
                raise invalid("expand", f"This property cannot be expanded ({path}).")
            shown[steps[0]] = value
        if steps[1:] and value is not None:
            self._expand(value, steps[1:], path)

    def page(self, kind: str, url: str, wanted: Json, chosen: Callable[[Json], bool]) -> Json:
        """The newest first, `limit` (1 to 100, usually 10) of them, after or before a cursor."""
        limit = wanted.get("limit", 10)
        if not 1 <= limit <= 100:
            raise invalid("limit", "This value must be between 1 and 100.", "parameter_invalid_integer")
        span = wanted.get("created", {})
        found = [item for item in reversed(self.held[kind].values()) if _within(item["created"], span) and chosen(item)]
        places = {item["id"]: place for place, item in enumerate(found)}
        if after := wanted.get("starting_after"):
            self.find(kind, after, param="starting_after", status=400)
            found = found[places[after] + 1 :] if after in places else []
        elif before := wanted.get("ending_before"):
            self.find(kind, before, param="ending_before", status=400)
            earlier = found[: places.get(before, 0)]
            return objects.page(earlier[-limit:], url=url, has_more=len(earlier) > limit)
        return objects.page(found[:limit], url=url, has_more=len(found) > limit)

    def search(self, wanted: Json) -> Json:
        """PaymentIntents by `metadata['key']:'value'`, `status:'…'` and `currency:'…'`, joined by AND.

        Stripe's own search lags behind by up to a minute; this one does not, so no rule may rest on it being fresh.
        """
        clauses = []
        for clause in re.split(r"\s+AND\s+", wanted["query"].strip()):
            found = re.fullmatch(r"""(?:metadata\[(["'])(.+?)\1\]|(status|currency)):(["'])(.*)\4""", clause)
            if found is None:
                raise invalid("query", f"The stand-in cannot read this part of the query: {clause}")
            clauses.append((found[2], found[3], found[5]))

        def chosen(intent: Json) -> bool:
            return all((intent["metadata"].get(key) if key else intent[name]) == value for key, name, value in clauses)

        page = self.page("payment_intent", "/v1/payment_intents/search", {"limit": wanted.get("limit", 10)}, chosen)
        return {**page, "object": "search_result", "next_page": None}

    # Changing

    def create_intent(self, wanted: Json, call: Call) -> Json:
        """A new PaymentIntent, confirmed at once where `confirm` says so."""
        types = _types(wanted)
        intent = objects.payment_intent(amount=wanted["amount"], currency=wanted["currency"], created=self.now())
        intent["payment_method_types"] = types
        intent["allowed_payment_method_types"] = wanted.get("allowed_payment_method_types")
        intent["excluded_payment_method_types"] = wanted.get("excluded_payment_method_types")
        if "allowed_payment_method_types" not in wanted:
            redirects = wanted.get("automatic_payment_methods", {}).get("allow_redirects", "always")
            intent["automatic_payment_methods"] = {"allow_redirects": redirects, "enabled": True}
        for key in ("capture_method", "customer", "description", "metadata", "receipt_email", "transfer_group"):
            if key in wanted:
                intent[key] = wanted[key]
        confirming = wanted.get("confirm", False)
        if not confirming:
            for key in ("return_url", "error_on_requires_action"):
                if key in wanted:
                    raise invalid(key, f"{key} is taken only together with confirm=true.")
        if "payment_method" in wanted or "payment_method_data" in wanted:
            method = self._method(intent, wanted)
            intent["payment_method"] = method["id"]
            intent["status"] = "requires_confirmation"
        if confirming:
            self._may_confirm(intent, wanted, intent["payment_method"])
        self.held["payment_intent"][intent["id"]] = intent
        self._event("payment_intent.created", intent, call)
        if confirming:
            return self._pay(intent, wanted, call)
        return intent

    def update_intent(self, intent: Json, wanted: Json) -> Json:
        """Metadata and description at any time, the amount while nothing has been paid."""
        if "amount" in wanted and intent["status"] not in OPEN:
            raise unexpected_state(
                f"The amount cannot be changed while the PaymentIntent has the status {intent['status']}.", intent
            )
        if "metadata" in wanted:
            if wanted["metadata"]:
                joined = {**intent["metadata"], **wanted["metadata"]}
                intent["metadata"] = {key: value for key, value in joined.items() if value != ""}
            else:
                intent["metadata"] = {}
        for key in ("amount", "description"):
            if key in wanted:
                intent[key] = wanted[key]
        return intent

    def confirm_intent(self, intent: Json, wanted: Json, call: Call) -> Json:
        """Try to take (or to authorise) the money."""
        if intent["status"] not in OPEN:
            raise unexpected_state(
                f"You cannot confirm this PaymentIntent because it has the status {intent['status']}.", intent
            )
        chosen = intent["payment_method"]
        if "payment_method" in wanted or "payment_method_data" in wanted:
            chosen = self._method(intent, wanted)["id"]
        self._may_confirm(intent, wanted, chosen)
        intent["payment_method"] = chosen
        return self._pay(intent, wanted, call)

    def complete_action(self, intent: Json, *, succeeded: bool, call: Call) -> Json:
        """The payer has finished the extra step: 3-D Secure, or the wallet's own page."""
        if intent["status"] != "requires_action":
            raise unexpected_state("This PaymentIntent asks for no action of the payer.", intent)
        intent["next_action"] = None
        if succeeded:
            return self._charged(intent, call)
        self._fail(
            intent,
            {
                "type": "card_error" if intent["payment_method_types"] == ["card"] else "invalid_request_error",
                "code": "payment_intent_authentication_failure",
                "message": "The provided PaymentMethod has failed authentication.",
            },
        )
        self._event("payment_intent.payment_failed", intent, call)
        return intent

    def capture_intent(self, intent: Json, wanted: Json, call: Call) -> Json:
        """Take what was authorised, or a part of it; the rest goes back to the payer and makes no refund."""
        if intent["status"] != "requires_capture":
            raise unexpected_state(
                f"This PaymentIntent could not be captured because it has the status {intent['status']}.", intent
            )
        taken: int = wanted["amount_to_capture"] if "amount_to_capture" in wanted else intent["amount_capturable"]
        if taken > intent["amount_capturable"]:
            raise ApiError(
                400,
                "The amount to capture is larger than the amount that can be captured.",
                code="amount_too_large",
                param="amount_to_capture",
                kept=True,
            )
        charge = self.held["charge"][intent["latest_charge"]]
        charge.update(captured=True, amount_captured=taken)
        charge["balance_transaction"] = self._balance(charge, taken, "charge")
        intent.update(status="succeeded", amount_capturable=0, amount_received=taken)
        if "metadata" in wanted:
            intent["metadata"] = {**intent["metadata"], **wanted["metadata"]}
        self._effect("capture", intent, call, amount=taken, charge=charge["id"])
        self._event("charge.captured", charge, call)
        self._event("payment_intent.succeeded", intent, call)
        return intent

    def cancel_intent(self, intent: Json, wanted: Json, call: Call) -> Json:
        """End a payment that took no money; an authorisation is given up without a refund."""
        if intent["status"] not in (*OPEN, "requires_capture"):
            raise unexpected_state(
                f"You cannot cancel this PaymentIntent because it has the status {intent['status']}.", intent
            )
        released = intent["amount_capturable"]
        intent.update(
            status="canceled",
            canceled_at=self.now(),
            cancellation_reason=wanted.get("cancellation_reason"),
            amount_capturable=0,
            next_action=None,
        )
        self._effect("cancel", intent, call, amount=released, charge=intent["latest_charge"])
        self._event("payment_intent.canceled", intent, call)
        return intent

    def create_refund(self, wanted: Json, call: Call) -> Json:
        """Give money back, at most what was captured and not yet given back."""
        charge = self._charge_to_refund(wanted)
        left = charge["amount_captured"] - charge["amount_refunded"]
        if left == 0:
            raise ApiError(
                400, f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded", kept=True
            )
        amount = wanted.get("amount", left)
        if amount > left:
            raise ApiError(
                400,
                f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left}).",
                param="amount",
                kept=True,
            )
        refund = objects.refund(
            charge,
            amount=amount,
            reason=wanted.get("reason"),
            metadata=wanted.get("metadata", {}),
            created=self.now(),
        )
        refund["balance_transaction"] = self._balance(refund, -amount, "refund")
        self.held["refund"][refund["id"]] = refund
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
        intent = self.held["payment_intent"][charge["payment_intent"]]
        self._effect(
            "refund", intent, call, amount=amount, charge=charge["id"], refund=refund["id"], metadata=refund["metadata"]
        )
        self._event("refund.created", refund, call)
        self._event("charge.refunded", charge, call)
        return refund

    def _charge_to_refund(self, wanted: Json) -> Json:
        if ("charge" in wanted) == ("payment_intent" in wanted):
            raise invalid("payment_intent", "Name the charge or the PaymentIntent to refund: one of them.")
        if "charge" in wanted:
            charge = self.find("charge", wanted["charge"], param="charge")
        else:
            intent = self.find("payment_intent", wanted["payment_intent"], param="payment_intent")
            if intent["latest_charge"] is None:
                raise ApiError(
                    400, f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.", kept=True
                )
            charge = self.held["charge"][intent["latest_charge"]]
        if not (charge["paid"] and charge["captured"]):
            raise ApiError(
                400,
                f"Charge {charge['id']} took no money: there is nothing to refund. An authorisation is cancelled.",
                kept=True,
            )
        return charge

    # Steps

    def now(self) -> int:
        return int(self.clock())

    def _method(self, intent: Json, wanted: Json) -> Json:
        """The payment method that is meant; the test names make a new one at every use, as Stripe does."""
        data = wanted.get("payment_method_data")
        if data is not None:
            fate = methods.WALLETS.get(data["type"])
            if fate is None:
                raise invalid("payment_method_data[type]", "Card numbers are not taken: use a test payment method.")
            method = self._new_method(fate)
        elif wanted["payment_method"] in methods.CARDS:
            method = self._new_method(methods.CARDS[wanted["payment_method"]])
        else:
            method = self.find("payment_method", wanted["payment_method"], param="payment_method", status=400)
        if method["type"] not in intent["payment_method_types"]:
            raise ApiError(
                400,
                f"The PaymentMethod has the type {method['type']}, but this PaymentIntent takes only: "
                f"{', '.join(intent['payment_method_types'])} (capture_method is {intent['capture_method']}).",
                code="payment_intent_incompatible_payment_method",
                param="payment_method",
                kept=True,
            )
        return method

    def _new_method(self, fate: TestMethod) -> Json:
        method = objects.payment_method(fate, created=self.now())
        self.held["payment_method"][method["id"]] = method
        self.fates[method["id"]] = fate
        return method

    def _may_confirm(self, intent: Json, wanted: Json, method_id: str | None) -> None:
        if method_id is None:
            raise unexpected_state("This PaymentIntent has no payment method to confirm it with.", intent)
        redirects = (intent["automatic_payment_methods"] or {}).get("allow_redirects", "always") != "never"
        if redirects and methods.REDIRECTING & set(intent["payment_method_types"]) and "return_url" not in wanted:
            raise invalid(
                "return_url",
                "Some payment methods of this PaymentIntent redirect the payer: provide a return_url, or set "
                "automatic_payment_methods[allow_redirects] to never.",
            )
        options = wanted.get("payment_method_options", {})
        if self.held["payment_method"][method_id]["type"] == "wechat_pay" and "wechat_pay" not in options:
            raise missing("payment_method_options[wechat_pay][client]")

    def _pay(self, intent: Json, wanted: Json, call: Call) -> Json:
        method = self.held["payment_method"][intent["payment_method"]]
        fate = self.fates[method["id"]]
        if fate.outcome is Outcome.DECLINED:
            self._decline(intent, method, fate, call)
        if fate.outcome is Outcome.ASKS_THE_PAYER:
            if wanted.get("error_on_requires_action"):
                asked = TestMethod(
                    "card",
                    Outcome.DECLINED,
                    code="authentication_required",
                    decline_code="authentication_required",
                    message="Your card was declined. This transaction requires authentication.",
                )
                self._decline(intent, method, asked, call)
            intent.update(status="requires_action", next_action=_next_action(self.base_url, intent, method, wanted))
            self._event("payment_intent.requires_action", intent, call)
            return intent
        return self._charged(intent, call)

    def _charged(self, intent: Json, call: Call) -> Json:
        captured = intent["capture_method"] != "manual"
        method = self.held["payment_method"][intent["payment_method"]]
        charge = objects.charge(intent, method, created=self.now(), captured=captured)
        self.held["charge"][charge["id"]] = charge
        intent.update(latest_charge=charge["id"], last_payment_error=None, next_action=None)
        if captured:
            charge["balance_transaction"] = self._balance(charge, charge["amount"], "charge")
            intent.update(status="succeeded", amount_received=intent["amount"])
        else:
            intent.update(status="requires_capture", amount_capturable=intent["amount"])
        effect = "charge" if captured else "authorise"
        self._effect(effect, intent, call, amount=intent["amount"], charge=charge["id"])
        self._event("charge.succeeded", charge, call)
        changed = "payment_intent.succeeded" if captured else "payment_intent.amount_capturable_updated"
        self._event(changed, intent, call)
        return intent

    def _decline(self, intent: Json, method: Json, fate: TestMethod, call: Call) -> None:
        charge = objects.charge(intent, method, created=self.now(), captured=False, declined=fate)
        self.held["charge"][charge["id"]] = charge
        refusal = ApiError(
            402,
            fate.message,
            kind="card_error",
            code=fate.code,
            kept=True,
            charge=charge["id"],
            decline_code=fate.decline_code,
            payment_method=method,
        )
        intent["latest_charge"] = charge["id"]
        self._fail(intent, dict(refusal.error))
        self._effect("decline", intent, call, amount=intent["amount"], charge=charge["id"])
        self._event("charge.failed", charge, call)
        self._event("payment_intent.payment_failed", intent, call)
        refusal.error["payment_intent"] = intent
        raise refusal

    def _fail(self, intent: Json, error: Json) -> None:
        error["payment_method"] = self.held["payment_method"][intent["payment_method"]]
        intent.update(status="requires_payment_method", payment_method=None, last_payment_error=error, next_action=None)

    def _balance(self, source: Json, amount: int, kind: str) -> str:
        made = objects.balance_transaction(source, amount=amount, kind=kind, created=self.now())
        self.held["balance_transaction"][made["id"]] = made
        return str(made["id"])

    def _effect(self, effect: str, intent: Json, call: Call, **more: Any) -> None:
        self.effects.append(
            {
                "number": len(self.effects) + 1,
                "at": self.clock(),
                "effect": effect,
                "payment_intent": intent["id"],
                "currency": intent["currency"],
                "metadata": dict(intent["metadata"]),
                "idempotency_key": call.idempotency_key,
                "request": call.request_id,
                **more,
            }
        )

    def _event(self, kind: str, shown: Json, call: Call) -> None:
        made = objects.event(
            kind, copy.deepcopy(shown), created=self.now(), request_id=call.request_id, key=call.idempotency_key
        )
        self.held["event"][made["id"]] = made
        self.announce(made)


def _types(wanted: Json) -> list[str]:
    """The types a new PaymentIntent offers: the allowed ones that this account has and that can be captured so."""
    asked = wanted.get("allowed_payment_method_types")
    if asked is not None and "automatic_payment_methods" in wanted:
        raise invalid("allowed_payment_method_types", "Send this or automatic_payment_methods, not both.")
    excluded = wanted.get("excluded_payment_method_types") or []
    fitting = [name for name in methods.TYPES if (asked is None or name in asked) and name not in excluded]
    if wanted.get("capture_method") == "manual":
        fitting = [name for name in fitting if name in methods.CAPTURED_LATER]
    if not fitting:
        raise ApiError(
            400,
            "None of the payment methods asked for can be used with these parameters: the account has "
            f"{', '.join(methods.TYPES)}, and only cards take capture_method=manual.",
            code="payment_intent_invalid_parameter",
            param="allowed_payment_method_types",
        )
    return fitting


def _next_action(base_url: str, intent: Json, method: Json, wanted: Json) -> Json:
    """Where the payer goes: the stand-in's own page."""
    page = f"{base_url}/_pay/{intent['id']}?client_secret={intent['client_secret']}"
    if "return_url" not in wanted and method["type"] != "wechat_pay":
        return {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": page}}
    if method["type"] == "wechat_pay":
        return {
            "type": "wechat_pay_display_qr_code",
            "wechat_pay_display_qr_code": {
                "data": page,
                "hosted_instructions_url": page,
                "image_data_url": "",
                "image_url_png": "",
                "image_url_svg": "",
            },
        }
    kind = "alipay_handle_redirect" if method["type"] == "alipay" else "redirect_to_url"
    return {"type": kind, kind: {"return_url": wanted["return_url"], "url": page}}


def _within(moment: int, span: Json) -> bool:
    return (
        ("gt" not in span or moment > span["gt"])
        and ("gte" not in span or moment >= span["gte"])
        and ("lt" not in span or moment < span["lt"])
        and ("lte" not in span or moment <= span["lte"])
    )
