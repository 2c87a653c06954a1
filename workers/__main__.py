"""Relay, worker and caller of one machine under one parent: `python -m workers`.

The parent loads the shop once and forks them, so that together they take little more memory than one of them; a server
that has enough runs each by itself (see config/compose.yaml). One that dies is started again; a stop reaches them all.
"""

import ctypes
import gc
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import structlog

from shop.logs import set_up_logs
from workers import deliveries, relay, schedule
from workers.app import celery

log = structlog.get_logger()
LOADED = (deliveries, schedule)  # the tasks, which a worker would load for itself
QUIET = ("--loglevel", "WARNING", "--without-gossip", "--without-mingle")
PAUSE = 1.0
PR_SET_PDEATHSIG = 1  # linux/prctl.h

WORKER = ("worker", "--queues", "work,sweeps", "--concurrency", "1", "--hostname", "worker@shop", *QUIET)
"""Everything that only changes rows."""
CALLER = (
    "worker",
    "--queues",
    "calls",
    "--pool",
    "threads",
    "--concurrency",
    "4",
    "--hostname",
    "caller@shop",
    *QUIET,
)
"""What waits for somebody else: it waits more than it works, so its tasks are threads."""

PARTS: dict[str, Callable[[], object]] = {
    "relay": relay.main,
    "worker": lambda: celery.worker_main(list(WORKER)),
    "caller": lambda: celery.worker_main(list(CALLER)),
}


def start(part: Callable[[], object]) -> int:
    """Fork a part; gives its process id."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))
            if os.getppid() != parent:
                os._exit(1)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        part()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException as error:
        log.error("part_failed", exc_info=error)
    finally:
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Run until told to stop."""
    set_up_logs()
    gc.collect()
    gc.freeze()  # the collector's marks stay out of what the parts share
    stopping = False
    running: dict[int, str] = {}

    def told(*_: Any) -> None:
        nonlocal stopping
        stopping = True
        for pid in running:
            os.kill(pid, signal.SIGTERM)

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    for name, part in PARTS.items():
        running[start(part)] = name
    while running:
        pid, status = os.wait()
        name = running.pop(pid, "")
        if name and not stopping:
            log.error("part_ended", part=name, code=os.waitstatus_to_exitcode(status))
            time.sleep(PAUSE)
            if not stopping:
                running[start(PARTS[name])] = name


if __name__ == "__main__":
    main()
