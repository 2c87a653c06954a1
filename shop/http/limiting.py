"""Limits per address and organisation: so many requests in each minute, counted in the memory of each web process.

In memory, so that losing the broker neither opens the door nor shuts it; with n web processes a caller may reach n
times the written figure, which is still a limit. Guessing passwords has a stricter limit of its own in `accounts`.
A plain table of counters, emptied every minute: the library tried for this started a timer thread every other request.
"""

import threading
import time

from config.settings import settings
from shop.errors import TooMany

WINDOW = 60.0


class Counters:
    """Requests of this minute by who made them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._counted: dict[tuple[str, str], int] = {}

    def hit(self, kind: str, who: str, limit: int) -> float | None:
        """Count one; the seconds to wait when it is one too many, else None."""
        now = time.monotonic()
        with self._lock:
            if now - self._began >= WINDOW:
                self._began, self._counted = now, {}
            counted = self._counted.get((kind, who), 0) + 1
            self._counted[kind, who] = counted
            return None if counted <= limit else WINDOW - (now - self._began)


counters = Counters()


def count(kind: str, who: str) -> None:
    """Count one request of `who`, or refuse it as one too many."""
    wait = counters.hit(kind, who, settings().requests_per_minute)
    if wait is not None:
        raise TooMany(retry_after=int(wait) + 1)
