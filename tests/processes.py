"""The commands of processes that run each by itself, as those of the image and of config/compose.yaml do."""

import sys
from pathlib import Path

CELERY = (sys.executable, "-m", "celery", "-A")
LOUD = ("--loglevel", "WARNING")


def web(port: int) -> list[str]:
    from workers.__main__ import WEB_WORKERS  # which reads the settings

    return [
        sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port),
        "--workers", str(WEB_WORKERS), "--blocking-threads", "4", "--respawn-failed-workers", "--no-ws",
        "--log-level", "warning", "--factory", "shop.app:create_app",
    ]  # fmt: skip


def relay() -> list[str]:
    return [sys.executable, "-m", "workers.relay"]


def worker() -> list[str]:
    """What only changes rows, in processes."""
    return [*CELERY, "workers.app:celery", "worker", "--queues", "work,sweeps", "--concurrency", "1", *LOUD]


def caller() -> list[str]:
    """What waits for somebody else, in threads."""
    threads = ("--pool", "threads", "--concurrency", "4")
    return [*CELERY, "workers.app:celery", "worker", "--queues", "calls", *threads, "--hostname", "caller@%h", *LOUD]


def beat(folder: Path) -> list[str]:
    return [*CELERY, "workers.beat:celery", "beat", "--schedule", str(folder / "beat.db"), "--pidfile", "", *LOUD]


def all_in_one(logs: Path) -> list[str]:
    """All of them under one parent, as `run.py` serves the shop."""
    return [sys.executable, "-m", "workers", "--logs", str(logs)]
