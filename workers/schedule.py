"""What runs by the clock: a name, every how many seconds, and what it does. Each may run twice or late without harm.

Beat only rings; what is due is asked of the database by business time, open-ended, so a sweep that was missed for an
hour does an hour's work at the next ring.
"""

from collections.abc import Callable

import structlog

from shop.db import in_unit_of_work
from shop.errors import Refusal
from workers import sweeps
from workers.app import celery

log = structlog.get_logger()

SCHEDULE: dict[str, tuple[float, Callable[..., object]]] = {
    "roll_up": (2.0, sweeps.roll_up),
    "cancel_unpaid": (2.0, sweeps.cancel_unpaid),
    "move_shipments": (1.0, sweeps.move_shipments),
    "close_supply_windows": (5.0, sweeps.close_supply_windows),
    "rewrite_lapsed": (60.0, sweeps.rewrite_lapsed),
    "ask_stripe": (10.0, sweeps.ask_stripe),
    "forget_old": (3600.0, sweeps.forget_old),
    "drop_files": (3600.0, sweeps.drop_files),
    "check": (300.0, sweeps.check),
}

celery.conf.beat_schedule = {
    name: {"task": "workers.sweep", "schedule": seconds, "args": (name,), "options": {"expires": max(seconds, 5)}}
    for name, (seconds, _) in SCHEDULE.items()
}


@celery.task(name="workers.sweep")  # type: ignore[untyped-decorator]
def sweep(name: str) -> None:
    """Do what is due of one kind."""
    run(name)


def run(name: str) -> None:
    """The sweep without Celery: batch after batch, each a transaction of its own, until nothing is due."""
    use_case = SCHEDULE[name][1]
    try:
        if getattr(use_case, "calls_out", False):
            use_case()
            return
        for _ in range(1000):
            if not in_unit_of_work(use_case):
                return
    except Refusal as refusal:
        log.warning("sweep_refused", sweep=name, code=refusal.code, detail=refusal.detail)
    except Exception as error:
        log.error("sweep_failed", sweep=name, exc_info=error)
