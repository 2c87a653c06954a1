"""Sending events to the shop: signed, in the background, again when not taken, and badly when told to."""

from __future__ import annotations

import hashlib
import heapq
import hmac
import itertools
import json
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import requests

Json = dict[str, Any]

RETRY_AFTER_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Pauses before an event is sent again; Stripe's own grow to hours and end after three days."""


def signature(secret: str, body: bytes, *, at: int) -> str:
    """The Stripe-Signature header: HMAC-SHA256 over `<at>.<body>`."""
    signed = hmac.new(secret.encode(), str(at).encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={signed}"


@dataclass
class Rule:
    """What to do with the next `times` events of these types (of any, when none are named)."""

    do: Literal["drop", "twice", "late"]
    times: int = 1
    types: tuple[str, ...] = ()
    seconds: float = 2.0

    def takes(self, event: Json) -> bool:
        return self.times > 0 and (not self.types or event["type"] in self.types)


@dataclass(order=True)
class _Parcel:
    due: float
    number: int
    event: Json = field(compare=False)
    attempt: int = field(compare=False, default=1)


class Deliveries:
    """One background thread that sends events one after the other to one address; no address sends nothing."""

    def __init__(
        self,
        url: str | None,
        secret: str | None,
        *,
        retry_after_s: Sequence[float] = RETRY_AFTER_S,
        timeout_s: float = 10.0,
    ) -> None:
        if url and not secret:
            raise ValueError("Webhooks need a secret to be signed with.")
        self.url, self.secret = url, secret or ""
        self.retry_after_s, self.timeout_s = tuple(retry_after_s), timeout_s
        self.log: list[Json] = []
        self.rules: list[Rule] = []
        self.holding = False
        self.held: list[Json] = []
        self._parcels: list[_Parcel] = []
        self._numbers = itertools.count()
        self._sending = False
        self._stopped = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="stripe-stand-in-webhooks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with self._wake:
            self._stopped = True
            self._wake.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout=self.timeout_s + 1)

    def clear(self) -> None:
        """Forget rules, held events, the log, and whatever has not been sent yet."""
        with self._wake:
            self.log, self.rules, self.held, self._parcels, self.holding = [], [], [], [], False

    def take(self, event: Json) -> None:
        """Send this event as the rules say; while holding, keep it back."""
        if not self.url:
            return
        with self._wake:
            if self.holding:
                self.held.append(event)
                return
            rule = next((rule for rule in self.rules if rule.takes(event)), None)
            if rule is not None:
                rule.times -= 1
            if rule is not None and rule.do == "drop":
                self.log.append(_entry(event, attempt=0, status=None, error="dropped"))
                return
            self._put(event, after=rule.seconds if rule is not None and rule.do == "late" else 0.0)
            if rule is not None and rule.do == "twice":
                self._put(event)

    def send(self, event: Json, *, copies: int = 1) -> None:
        """Send an event again, whatever the rules say."""
        with self._wake:
            for _ in range(copies):
                self._put(event)

    def release(self, *, order: Literal["first", "last", "shuffled"], seed: int = 0, copies: int = 1) -> int:
        """Stop holding and send what was held: first come first, last come first, or shuffled by the seed."""
        with self._wake:
            events, self.held, self.holding = self.held * copies, [], False
            if order == "last":
                events.reverse()
            elif order == "shuffled":
                random.Random(seed).shuffle(events)  # noqa: S311 - an order for a test, repeatable by its seed
            for event in events:
                self._put(event)
            return len(events)

    @property
    def waiting(self) -> int:
        """How many sendings are still to come, the one under way included."""
        with self._wake:
            return len(self._parcels) + self._sending

    def settle(self, timeout_s: float = 10.0) -> bool:
        """Wait until nothing is left to send; False when that takes too long."""
        deadline = time.monotonic() + timeout_s
        while self.waiting:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def _put(self, event: Json, *, after: float = 0.0, attempt: int = 1) -> None:
        heapq.heappush(self._parcels, _Parcel(time.monotonic() + after, next(self._numbers), event, attempt))
        self._wake.notify_all()

    def _run(self) -> None:
        session = requests.Session()
        session.trust_env = False
        while (parcel := self._next()) is not None:
            entry = self._post(session, parcel)
            with self._wake:
                self._sending = False
                self.log.append(entry)
                failed = entry["status"] is None or not 200 <= entry["status"] < 300
                if failed and parcel.attempt <= len(self.retry_after_s):
                    pause = self.retry_after_s[parcel.attempt - 1]
                    self._put(parcel.event, after=pause, attempt=parcel.attempt + 1)

    def _next(self) -> _Parcel | None:
        with self._wake:
            while not self._stopped:
                if not self._parcels:
                    self._wake.wait()
                elif (pause := self._parcels[0].due - time.monotonic()) > 0:
                    self._wake.wait(pause)
                else:
                    self._sending = True
                    return heapq.heappop(self._parcels)
            return None

    def _post(self, session: requests.Session, parcel: _Parcel) -> Json:
        body = json.dumps(parcel.event, indent=2, ensure_ascii=False).encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (stand-in)",
            "Stripe-Signature": signature(self.secret, body, at=int(time.time())),
        }
        try:
            answer = session.post(
                str(self.url), data=body, headers=headers, timeout=self.timeout_s, allow_redirects=False
            )
        except requests.RequestException as error:
            return _entry(parcel.event, attempt=parcel.attempt, status=None, error=type(error).__name__)
        return _entry(parcel.event, attempt=parcel.attempt, status=answer.status_code, error=None)


def _entry(event: Json, *, attempt: int, status: int | None, error: str | None) -> Json:
    return {
        "event": event["id"],
        "type": event["type"],
        "attempt": attempt,
        "at": time.time(),
        "status": status,
        "error": error,
    }
