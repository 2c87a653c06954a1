"""Limits per address and organisation: a fixed window of a minute, kept in the memory of each web process.

Kept in memory so that losing the broker neither opens the door nor shuts it; with n web processes a caller may reach
n times the written figure, which is still a limit. Guessing passwords has a stricter limit of its own in `accounts`.
"""

from functools import cache

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from config.settings import settings
from shop.errors import TooMany


@cache
def limiter() -> tuple[FixedWindowRateLimiter, RateLimitItemPerMinute]:
    return FixedWindowRateLimiter(MemoryStorage()), RateLimitItemPerMinute(settings().requests_per_minute)


def count(kind: str, who: str) -> None:
    """Count one request of `who`, or refuse it as one too many."""
    windows, limit = limiter()
    if not windows.hit(limit, kind, who):
        raise TooMany(retry_after=60)
