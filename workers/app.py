"""The Celery application of the workers."""

import gc
from typing import Any

from celery.signals import worker_init, worker_process_init

from shop.db import forget_connections
from shop.logs import set_up_logs
from workers.broker import application

COLLECT_AFTER = 50_000
"""Objects between two looks for rings of them: with the usual 700, a third of an import's time went into looking
through rows that are held on purpose. Nearly everything is freed by its count alone and never waits for a look."""
celery = application("workers", "workers.deliveries", "workers.schedule")


@worker_init.connect  # type: ignore[untyped-decorator]
def share_what_is_loaded(**_: Any) -> None:
    """Keep the collector's marks out of what is loaded, so that the forked processes go on sharing it."""
    set_up_logs()  # where tasks are threads, no process is made that would do it
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 20)


@worker_process_init.connect  # type: ignore[untyped-decorator]
def own_connections(**_: Any) -> None:
    forget_connections()
    set_up_logs()
