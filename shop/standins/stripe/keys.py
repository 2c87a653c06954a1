"""Idempotency keys: the same key with the same parameters gets the same answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shop.standins.stripe.errors import ApiError

KEPT_S = 86_400
"""Stripe forgets keys from 24 hours on; here exactly then, or when told to."""


@dataclass(frozen=True)
class Answer:
    """An answer as it went out."""

    status: int
    body: bytes
    request_id: str


@dataclass
class _Kept:
    fingerprint: tuple[str, str, str]
    since: float
    answer: Answer | None = None


class Keys:
    """The keys met so far. A key is claimed, then either answered or let go."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()
        self._clock = clock

    def claim(self, key: str, fingerprint: tuple[str, str, str]) -> Answer | None:
        """The answer that was given before; None for a key that is new and now under way."""
        if len(key) > 255:
            raise ApiError(400, "An idempotency key has at most 255 characters.", kind="idempotency_error")
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or self._clock() - kept.since >= KEPT_S:
                self._kept[key] = _Kept(fingerprint, self._clock())
                return None
            if kept.fingerprint != fingerprint:
                what = "parameters" if kept.fingerprint[:2] == fingerprint[:2] else "endpoint"
                raise ApiError(
                    400,
                    f"The key '{key}' was first used with another {what}; a key repeats one request only.",
                    kind="idempotency_error",
                )
            if kept.answer is None:
                raise ApiError(
                    409, f"A request with the key '{key}' is still under way.", code="idempotency_key_in_use"
                )
            return kept.answer

    def keep(self, key: str, answer: Answer) -> None:
        with self._lock:
            if key in self._kept:
                self._kept[key].answer = answer

    def let_go(self, key: str) -> None:
        with self._lock:
            self._kept.pop(key, None)

    def answered(self) -> list[dict[str, Any]]:
        """The answers still kept, in a form that JSON can hold."""
        with self._lock:
            return [
                {
                    "key": key,
                    "fingerprint": kept.fingerprint,
                    "since": kept.since,
                    "status": kept.answer.status,
                    "body": kept.answer.body.decode(),
                    "request_id": kept.answer.request_id,
                }
                for key, kept in self._kept.items()
                if kept.answer is not None and self._clock() - kept.since < KEPT_S
            ]

    def take_up(self, answered: list[dict[str, Any]]) -> None:
        """Hold these answers of `answered` again."""
        with self._lock:
            for told in answered:
                method, path, tree = told["fingerprint"]
                answer = Answer(told["status"], told["body"].encode(), told["request_id"])
                self._kept[told["key"]] = _Kept((method, path, tree), told["since"], answer)

    def forget(self) -> None:
        """All keys, as if a day had passed."""
        with self._lock:
            self._kept.clear()
