"""The test suite on an engine of its own: what `python3 run.py test` runs.

The engine lives in a temporary folder and is gone afterwards. To run the suite against servers instead, name them:
SHOP_TEST_DATABASE_URL (a PostgreSQL superuser; roles and a database `shop_tests` are made there), SHOP_TEST_BROKER_URL
(redis:// or amqp://). The addresses of a shop that is set up in this shell are never used.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from config.database import ROLES, addresses, prepare_server, secret_for_tests
from config.engine import EngineError, temporary_engine

FIXED_SEED = "1"  # the plain suite draws the same examples every day; the deep one others every time


@contextlib.contextmanager
def services() -> Iterator[dict[str, str]]:
    """The environment of a test run: the addresses of the named servers, and of an own engine for the rest."""
    named = {"SHOP_BROKER_URL": os.environ.get("SHOP_TEST_BROKER_URL", "")}
    if server := os.environ.get("SHOP_TEST_DATABASE_URL", ""):
        secret = secret_for_tests(server)
        prepare_server(server, database="shop_tests", passwords=dict.fromkeys(ROLES, secret))
        named |= addresses(server, database="shop_tests", secret=secret)
        named["PGPASSWORD"] = secret  # all three roles have it, so a test may change the role in an address
    with temporary_engine() as (engine, folder):
        given = {name: value for name, value in named.items() if value}
        yield {**os.environ, **engine.environment(), **given, "SHOP_ENV": "test", "SHOP_VAR": os.fspath(folder / "var")}


def pytest_arguments(arguments: list[str]) -> list[str]:
    """Pytest's arguments for ours: `--deep [name]` selects the full counts, everything else is handed on."""
    deep = "--deep" in arguments
    seed = os.environ.get("SHOP_SEED") or (str(random.SystemRandom().randrange(2**31)) if deep else FIXED_SEED)
    chosen = ["-n", "2", "--dist", "worksteal", f"--hypothesis-seed={seed}", "-m", "deep" if deep else "not deep"]
    rest = list(arguments)
    if deep:
        at = rest.index("--deep")
        rest.pop(at)
        if at < len(rest) and not rest[at].startswith("-"):
            chosen += ["-k", rest.pop(at)]
    return [*chosen, *rest]


def main(arguments: list[str]) -> int:
    """Run pytest and return its exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    chosen = pytest_arguments(arguments)
    seed = next(part for part in chosen if part.startswith("--hypothesis-seed=")).partition("=")[2]
    print(f"Seed {seed}; the same again: SHOP_SEED={seed}", flush=True)  # noqa: T201
    with services() as environment:
        running = subprocess.Popen(
            [sys.executable, "-m", "pytest", *chosen],
            env={**environment, "SHOP_SEED": seed},
            cwd=Path(__file__).parents[1],
        )
        try:
            return running.wait()
        except KeyboardInterrupt:
            return running.wait()  # Ctrl-C reached pytest too, which ends by itself
        finally:
            if running.poll() is None:
                running.terminate()
                running.wait()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except EngineError as error:
        sys.exit(f"\n{error}")
