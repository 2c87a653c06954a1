"""The whole shop of one machine under one parent: `python -m workers`.

The parent loads the shop once and forks web, relay, worker, caller and beat, which go on sharing what is loaded: all of
them together take little more memory than two that were started by themselves. A server that has enough runs each by
itself (see config/compose.yaml). One that dies is started again; a stop reaches them all.
"""

import argparse
import ctypes
import fcntl
import gc
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import structlog
from celery.apps.beat import Beat
from celery.apps.worker import Worker
from celery.concurrency import thread
from celery.worker import consumer
from flask import Flask
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import Server
from sqlalchemy.orm import configure_mappers

from config.settings import settings
from config.supervisor import log_file
from shop.app import create_app
from shop.logs import set_up_logs
from workers import beat, deliveries, relay, schedule
from workers.app import celery
from workers.broker import CALLS, SWEEPS, WORK

log = structlog.get_logger()
LOADED = (deliveries, schedule, thread, consumer)  # what a worker would load for itself
PAUSE = 1.0
PR_SET_PDEATHSIG = 1  # linux/prctl.h
WEB_WORKERS = 2


@cache
def application() -> Flask:
    return create_app()


def application_of_worker() -> Flask:
    """What granian's workers serve: the parent's application, which they share, where they are forked."""
    end_with_parent(signal.SIGKILL)  # else those of a killed server would serve on beside those of the next
    return application()


def serve() -> None:
    """Serve HTTP with granian, whose workers are forks of this process on Linux."""
    if sys.platform == "linux":
        multiprocessing.set_start_method("fork", force=True)
    Server(
        "shop.app:create_app",
        address=settings().host,
        port=settings().port,
        interface=Interfaces.WSGI,
        workers=WEB_WORKERS,
        blocking_threads=settings().web_threads,
        websockets=False,
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
    ).serve(target_loader=application_of_worker, wrap_loader=False)


def work(name: str, *queues: str, threads: int) -> None:
    """Work on these queues until told to stop.

    As threads: another process would hold a copy of its own of what the tasks use. What a lost one leaves undone is
    rung for again, and no statement takes longer than the database's limit.
    """
    worker = Worker(
        app=celery,
        hostname=f"{name}@shop",
        queues=list(queues),
        pool_cls="threads",
        concurrency=threads,
        loglevel="WARNING",
        without_gossip=True,
        without_mingle=True,
        quiet=True,
    )
    worker.start()
    raise SystemExit(worker.exitcode)


def ring_by_the_clock() -> None:
    """Run beat, which notes in the shop's folder when it last rang."""
    Beat(app=beat.celery, loglevel="WARNING", schedule=str(settings().var / "beat.db"), quiet=True).run()


PARTS: dict[str, Callable[[], object]] = {
    "web": serve,
    "relay": relay.main,
    "worker": lambda: work("worker", WORK, SWEEPS, threads=1),  # what only changes rows
    "caller": lambda: work("caller", CALLS, threads=4),  # what waits for somebody else more than it works
    "beat": ring_by_the_clock,
}


def end_with_parent(number: signal.Signals) -> None:
    """On Linux, have the kernel send this process a signal when its parent is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number))


def start(name: str, logs: Path | None) -> int:
    """Fork a part, which writes to `<logs>/<name>.log`; gives its process id. The fork never comes back from here."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    end_with_parent(signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    if logs is not None:
        write_to(log_file(logs, name))
    try:
        PARTS[name]()
    except Exception as error:
        log.error("part_failed", part=name, exc_info=error)
        raise SystemExit(1) from None
    raise SystemExit  # and not os._exit, which would leave behind what is removed at exit


def write_to(file: Path) -> None:
    with file.open("ab") as opened:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(opened.fileno(), stream.fileno())


def load() -> None:
    """Do once in the parent what every part would do for itself."""
    set_up_logs()
    application()
    configure_mappers()
    for one in (celery, relay.celery, beat.celery):
        one.finalize()
        one.connection_for_write().get_transport_cls()
    celery.loader.import_default_modules()
    gc.collect()
    gc.freeze()  # the collector's marks stay out of what the parts share


def main(arguments: list[str] | None = None) -> None:
    """Run until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m workers", description=__doc__)
    parser.add_argument("--logs", type=Path, help="a folder for a log of each part (none: all write to standard error)")
    parser.add_argument("--after", type=Path, help="a file: begin when nobody holds its lock")
    given = parser.parse_args(arguments)
    logs = given.logs
    load()
    if given.after is not None:
        with given.after.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
    stopping = False
    running: dict[int, str] = {}

    def told(*_: Any) -> None:
        nonlocal stopping
        stopping = True
        for pid in running:
            os.kill(pid, signal.SIGTERM)

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    for name in PARTS:
        running[start(name, logs)] = name
    while running:
        pid, status = os.wait()
        name = running.pop(pid, "")
        if name and not stopping:
            log.error("part_ended", part=name, code=os.waitstatus_to_exitcode(status))
            time.sleep(PAUSE)
            if not stopping:
                running[start(name, logs)] = name


if __name__ == "__main__":
    main()
