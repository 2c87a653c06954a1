"""The one task behind every ring of beat: do what is due of one kind. When it rings stands in `workers.times`."""

import structlog

from shop.db import in_unit_of_work
from shop.errors import Refusal
from workers import sweeps
from workers.app import celery
from workers.times import EVERY

log = structlog.get_logger()
SWEEPS = {name: getattr(sweeps, name) for name in EVERY}  # a name without its function fails at the start


@celery.task(name="workers.sweep")  # type: ignore[untyped-decorator]
def sweep(name: str) -> None:
    """Do what is due of one kind."""
    run(name)


def run(name: str) -> None:
    """The sweep without Celery: batch after batch, each a transaction of its own, until nothing is due."""
    use_case = SWEEPS[name]
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
