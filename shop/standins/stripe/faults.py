"""Faults on demand: the API fails before it did anything, or, worse, after."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal

How = Literal["500", "500_kept", "429", "reset", "timeout", "slow"]


@dataclass
class Fault:
    """How the next `times` calls fail.

    how      500: an error in front of the API, the idempotency key keeps the true answer. 500_kept: an error of the API
             itself, which the key keeps and repeats, so that only looking shows what was done. 429: too many requests.
             reset: the connection breaks. timeout: silence for `seconds`, then the connection closes. slow: the true
             answer, after `seconds`.
    when     after: the work was done, only the answer is lost. before: nothing was done.
    every    only each n-th matching call fails (1: each).
    method   only calls with this HTTP method, POST unless told otherwise; "" means any.
    path     only calls whose path starts so.
    """

    how: How
    times: int = 1
    when: Literal["after", "before"] = "after"
    every: int = 1
    method: str = "POST"
    path: str = "/v1/"
    seconds: float = 30.0
    met: int = 0

    def strikes(self, method: str, path: str) -> bool:
        """Whether this call fails; counts it."""
        if self.times <= 0 or (self.method and method != self.method) or not path.startswith(self.path):
            return False
        self.met += 1
        if self.met % self.every:
            return False
        self.times -= 1
        return True


class Plan:
    """The faults that are still to come; the first that fits a call strikes."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def next(self, method: str, path: str) -> Fault | None:
        with self._lock:
            struck = next((fault for fault in self._faults if fault.strikes(method, path)), None)
            self._faults = [fault for fault in self._faults if fault.times > 0]
            return struck

    def left(self) -> int:
        with self._lock:
            return sum(fault.times for fault in self._faults)
