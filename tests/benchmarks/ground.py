"""The ground of the benchmarks: an engine in a temporary folder, the served shop, the hello server, CPU time."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import processes

ROOT = Path(__file__).resolve().parents[2]
TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


@contextmanager
def engine() -> Iterator[dict[str, str]]:
    """A durable engine with a migrated, referenced, empty shop; its addresses stand in the environment."""
    from config.engine import temporary_engine

    with temporary_engine(durable=True) as (running, folder):
        os.environ.update(running.environment())
        os.environ.update(SHOP_ENV="test", SHOP_VAR=str(folder / "var"), SHOP_REQUESTS_PER_MINUTE="100000000")
        from migrations.manage import upgrade
        from shop.cli import reference

        upgrade()
        list(reference.load())
        yield running.environment() | {"postgres": str(running.pids()["postgres"])}


@contextmanager
def served(argv: list[str], port: int, path: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server process that answers `path`."""
    log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
    process = subprocess.Popen(argv, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).read()
                break
            except (urllib.error.URLError, OSError):
                if process.poll() is not None:
                    log.seek(0)
                    raise RuntimeError(log.read().decode()[-2000:]) from None
                time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait(20)
        log.close()


@contextmanager
def hello() -> Iterator[tuple[int, int]]:
    """The yardstick: port and process id."""
    port = free_port()
    argv = [sys.executable, "-m", "gunicorn", "-k", "gthread", "-w", "2", "--threads", "4", "-b", f"127.0.0.1:{port}",
            "--no-control-socket", "--log-level", "error", "tests.benchmarks.hello:app"]  # fmt: skip
    with served(argv, port, "/") as process:
        yield port, process.pid


@contextmanager
def shop() -> Iterator[tuple[int, int]]:
    """The shop as it is served for real: port and process id."""
    port = free_port()
    with served(processes.web(port), port, "/healthz") as process:
        yield port, process.pid


def family(pid: int) -> list[int]:
    """A process and everything below it."""
    found = [pid]
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return found
    for child in children:
        found += family(int(child))
    return found


def cpu_ms(pid: int) -> float:
    """CPU time of a process and its living children, in milliseconds."""
    ticks = 0
    for one in family(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks * 1000 / TICKS


def memory_mb(pid: int) -> float:
    """Proportional memory (PSS) of a process and everything below it."""
    total = 0
    for one in family(pid):
        try:
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        except OSError:
            continue
    return total / 1024
