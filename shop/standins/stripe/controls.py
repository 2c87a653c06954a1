"""The controls at /_control, JSON in and out: make the stand-in misbehave, and read what it did.

GET  /_control                     counts: effects by kind, faults left, sendings waiting, events held
GET  /_control/effects             what was done, in order: charge, authorise, capture, cancel, refund, decline;
                                   ?effect=, ?payment_intent=, ?metadata.KEY= choose
GET  /_control/deliveries          every sending of an event, with the shop's answer
POST /_control/faults              how the next calls fail: the fields of `faults.Fault`; {} clears
POST /_control/webhooks            how the next events are sent: the fields of `webhooks.Rule`; {} clears
POST /_control/webhooks/hold       keep events back
POST /_control/webhooks/release    send what was kept: {order: first | last | shuffled, seed, copies}
POST /_control/webhooks/send       send one event again: {event, copies}
POST /_control/payment_intents/ID/action   the payer finishes the extra step: {outcome: succeeded | failed}
POST /_control/keys/forget         idempotency keys are a day old
POST /_control/reset               everything as at the start
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from shop.standins.stripe.account import Account, Call
from shop.standins.stripe.errors import ApiError
from shop.standins.stripe.faults import Fault, Plan
from shop.standins.stripe.keys import Keys
from shop.standins.stripe.webhooks import Deliveries, Rule

Json = dict[str, Any]


class Controls:
    """The controls over one stand-in."""

    def __init__(self, account: Account, keys: Keys, plan: Plan, deliveries: Deliveries) -> None:
        self.account, self.keys, self.plan, self.deliveries = account, keys, plan, deliveries

    def handle(self, method: str, path: str, query: Mapping[str, str], body: bytes) -> Json:
        """The answer of one control, or ApiError 400 or 404."""
        if method == "GET":
            reads: dict[str, Callable[[], Json]] = {
                "/_control": self._counts,
                "/_control/effects": lambda: self._effects(query),
                "/_control/deliveries": lambda: {"deliveries": list(self.deliveries.log)},
            }
            if path in reads:
                return reads[path]()
            raise ApiError(404, f"There is no control {path} to read.")
        try:
            told = json.loads(body or b"{}")
            if not isinstance(told, dict):
                raise ValueError("a control takes a JSON object")
            return self._do(path, told)
        except (TypeError, KeyError, ValueError) as error:
            raise ApiError(400, f"This control cannot be read: {error!r}") from error

    def _do(self, path: str, told: Json) -> Json:
        match path:
            case "/_control/faults":
                if told:
                    self.plan.add(_fault(told))
                else:
                    self.plan.clear()
            case "/_control/webhooks":
                if told:
                    self.deliveries.rules.append(_rule(told))
                else:
                    self.deliveries.rules.clear()
            case "/_control/webhooks/hold":
                self.deliveries.holding = True
            case "/_control/webhooks/release":
                return {"released": self.deliveries.release(**{"order": "first", **told})}
            case "/_control/webhooks/send":
                event = self.account.find("event", told["event"], param="event")
                self.deliveries.send(event, copies=told.get("copies", 1))
            case "/_control/keys/forget":
                self.keys.forget()
            case "/_control/reset":
                self.reset()
            case _:
                return self._action(path, told)
        return self._counts()

    def _action(self, path: str, told: Json) -> Json:
        found = re.fullmatch(r"/_control/payment_intents/(\w+)/action", path)
        if found is None:
            raise ApiError(404, f"There is no control {path}.")
        if told["outcome"] not in ("succeeded", "failed"):
            raise ValueError("outcome is succeeded or failed")
        with self.account.lock:
            intent = self.account.find("payment_intent", found[1])
            succeeded = told["outcome"] == "succeeded"
            return self.account.expand(self.account.complete_action(intent, succeeded=succeeded, call=Call()), [])

    def reset(self) -> None:
        """Everything as at the start."""
        with self.account.lock:
            self.account.clear()
        self.keys.forget()
        self.plan.clear()
        self.deliveries.clear()

    def _counts(self) -> Json:
        with self.account.lock:
            effects = Counter(effect["effect"] for effect in self.account.effects)
        return {
            "effects": dict(effects),
            "faults_left": self.plan.left(),
            "sendings_waiting": self.deliveries.waiting,
            "events_held": len(self.deliveries.held),
        }

    def _effects(self, query: Mapping[str, str]) -> Json:
        def chosen(effect: Json) -> bool:
            return all(
                effect["metadata"].get(name[9:]) == value if name.startswith("metadata.") else effect.get(name) == value
                for name, value in query.items()
            )

        with self.account.lock:
            effects = [effect for effect in self.account.effects if chosen(effect)]
        return {"effects": effects, "count": len(effects)}


def _fault(told: Json) -> Fault:
    fault = Fault(**told)
    if fault.how not in ("500", "500_kept", "429", "reset", "timeout", "slow") or fault.when not in ("after", "before"):
        raise ValueError("how is 500, 500_kept, 429, reset, timeout or slow; when is after or before")
    return fault


def _rule(told: Json) -> Rule:
    rule = Rule(**{**told, "types": tuple(told.get("types", ()))})
    if rule.do not in ("drop", "twice", "late"):
        raise ValueError("do is drop, twice or late")
    return rule
