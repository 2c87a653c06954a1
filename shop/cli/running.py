"""`shop up`, `shop demo`, `shop openapi`: serve, play, describe."""

import fcntl
import json
import os
import secrets
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import psycopg

from config import served
from config.database import driver_url
from config.engine import Engine, EngineError
from config.supervisor import Program, Supervisor, how_it_ended, run_once

BEGAN = float(os.environ.setdefault("SHOP_BEGAN", str(time.monotonic())))
"""When the command began that the person gave (`run.py` says it): one clock for everything that it leads to."""
STOPPED = "Stopped; the data stays, and the next start goes on with it."


def say(sentence: str) -> None:
    click.echo(f"[{time.monotonic() - BEGAN:6.1f} s] {sentence}")


@click.command()
@click.option("--no-demo", is_flag=True, help="Serve an empty shop: no demo people, goods or orders.")
@click.option("--once", is_flag=True, help="Stop when everything is served and the report is printed.")
def up(no_demo: bool, once: bool) -> None:
    """Serve the whole shop on this machine: database, broker, web, workers, and the played demo."""
    if os.environ.get("SHOP_ENV", "embedded") != "embedded":
        raise click.ClickException("`shop up` is the embedded start; in production run the processes (see the README).")
    var = Path(os.environ.get("SHOP_VAR") or "var").resolve()
    var.mkdir(parents=True, exist_ok=True)
    port = int(os.environ.get("SHOP_PORT") or "8000")
    host = os.environ.get("SHOP_HOST") or "127.0.0.1"
    url = f"http://{host}:{port}"
    os.environ.update(kept_secrets(var))
    os.environ.update(
        SHOP_ENV="embedded", SHOP_VAR=str(var), SHOP_HOST=host, SHOP_PORT=str(port), SHOP_PUBLIC_URL=url,
        SHOP_REQUESTS_PER_MINUTE=os.environ.get("SHOP_REQUESTS_PER_MINUTE", "60000"),
    )  # fmt: skip
    try:
        engine = Engine(var / "engine", logs=var / "log", say=say)
        with engine, Supervisor(logs=var / "log", say=say) as supervisor:
            os.environ.update(engine.environment())
            supervisor.revive_with(engine.revive)
            say("PostgreSQL and Valkey are up.")
            serve(supervisor, var, url, no_demo, once)
        if not once:
            say(STOPPED)
    except EngineError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        say(STOPPED)


def serve(supervisor: Supervisor, var: Path, url: str, no_demo: bool, once: bool) -> None:
    """Everything after the engine. What needs the whole shop is a process that ends when it is done: this one stays."""
    with held(var / "schema.lock"):  # they load meanwhile, and begin when it is let go
        for program in programs(var, url):
            supervisor.start(program)
        run_shop("db", "migrate", "--quiet")
    with served.kept(var, os.environ):
        go_on(supervisor, var, url, no_demo, once)


def go_on(supervisor: Supervisor, var: Path, url: str, no_demo: bool, once: bool) -> None:
    """Everything after the schema: the play, and serving until told to stop."""
    say("The schema is up to date and the reference data is loaded.")
    wait_until_ready(url, var / "log")
    say(f"Serving at {url}")
    logins = logins_that_exist(var)
    keep_run(var, url, logins)
    if no_demo:
        tell(url, logins)
    else:
        run_shop("demo")
    if not once:
        say("Press Ctrl-C to stop; the data stays.")
        supervisor.serve()


@contextmanager
def held(file: Path) -> Iterator[None]:
    """Hold a file's lock; the kernel lets it go when this process is gone, whatever ended it."""
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run_shop(*words: str) -> None:
    """Run a command of `shop` as a child that writes to our terminal; raises ClickException when it ends badly."""
    sys.stdout.flush()
    if code := run_once([sys.executable, "-m", "shop", *words]):
        raise click.ClickException(f"`shop {' '.join(words)}` {how_it_ended(code)}; what is wrong stands above.")


def kept_secrets(var: Path) -> dict[str, str]:
    """Secrets of this folder's shop, made at the first start and readable by its owner only."""
    file = var / "secrets.json"
    if not file.exists():
        made = {
            "SHOP_SECRET_KEY": secrets.token_urlsafe(48),
            "SHOP_STRIPE_SECRET_KEY": "sk_test_" + secrets.token_hex(12),
            "SHOP_STRIPE_WEBHOOK_SECRET": "whsec_" + secrets.token_hex(16),
            "SHOP_DEMO_PASSWORD": "demo-" + secrets.token_hex(4),
        }
        file.touch(mode=0o600)
        file.write_text(json.dumps(made, indent=1))
    found: dict[str, str] = json.loads(file.read_text())
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def programs(var: Path, url: str) -> list[Program]:
    """The processes of the shop, in the order in which they start."""
    stripe = free_port()
    os.environ["SHOP_STRIPE_API"] = f"http://127.0.0.1:{stripe}"
    python = sys.executable
    return [
        Program(
            "stripe",
            [python, "-m", "shop.standins.stripe", "--port", str(stripe), "--webhook-url", f"{url}/webhooks/stripe",
             "--webhook-secret", os.environ["SHOP_STRIPE_WEBHOOK_SECRET"],
             "--api-key", os.environ["SHOP_STRIPE_SECRET_KEY"], "--file", str(var / "stripe.json")],
        ),
        Program(
            "shop",
            [python, "-m", "workers", "--logs", str(var / "log"), "--after", str(var / "schema.lock")],
            grace=40,
        ),
    ]  # fmt: skip


def wait_until_ready(url: str, logs: Path, limit: float = 60) -> None:
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:  # noqa: S310 - our own address
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.1)
    raise click.ClickException(f"The shop did not become ready in {limit:.0f} s; look into the logs in {logs}.")


def keep_run(var: Path, url: str, logins: list[dict[str, Any]]) -> None:
    file = var / "run.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps({"url": url, "logins": logins}, ensure_ascii=False, indent=1))


def logins_that_exist(var: Path) -> list[dict[str, Any]]:
    """Those of the last run whose people are still in the database."""
    try:
        kept: list[dict[str, Any]] = json.loads((var / "run.json").read_text())["logins"]
    except (OSError, ValueError, KeyError):
        return []
    address = driver_url(os.environ["SHOP_DATABASE_CHECKER_URL"])
    with psycopg.connect(address, options="-c app.sees=all") as connection:  # everybody's rows, see migration 0010
        found = connection.execute(
            "SELECT email FROM person WHERE status = 'active' AND email = ANY(%s)",
            ([login["email"] for login in kept],),
        )
        known = {email for (email,) in found}
    return [login for login in kept if login["email"] in known]


def tell(url: str, logins: list[dict[str, Any]]) -> None:
    """Where to go and who to be."""
    click.echo(f"\n  Catalogue  {url}/v1/public/listings\n  API        {url}/v1/docs\n  Health     {url}/readyz\n")
    for login in logins:
        click.echo(f"  {login['role']:<18} {login['email']:<36} {login['password']}")
    click.echo("")


def tell_report() -> None:
    """The procurement report of the demo year, and whether everything adds up."""
    from shop.cli.watching import prove, show
    from shop.db import in_unit_of_work
    from shop.reporting import service

    found = in_unit_of_work(
        lambda session: service.summary(
            session, measure="accepted", group_by="east_province,west_province", start=None, end=None
        )
    )
    click.echo("Procurement accepted, by eastern and western province, in yuan:")
    show(found.rows, found.total_fen)
    if prove():
        click.secho("The demo does not add up: see above.", fg="red")


@click.command()
def demo() -> None:
    """Play the demo year against the shop that is served from SHOP_VAR, and print its logins and its report.

    A year that was played is left as it is, one that was interrupted goes on.
    """
    from shop.cli import reference
    from shop.demo import parties, player

    var = Path(os.environ.get("SHOP_VAR") or "var")
    url = str(json.loads((var / "run.json").read_text())["url"])
    reference.load_demo_freight()
    logins = parties.make(os.environ["SHOP_DEMO_PASSWORD"])
    keep_run(var, url, logins)
    player.play(url, logins, say=say)
    tell(url, logins)
    tell_report()


@click.command()
@click.option("--check", "only_check", is_flag=True, help="Only say whether the committed file is the generated one.")
def openapi(only_check: bool) -> None:
    """Write the OpenAPI document to config/openapi.json."""
    os.environ.setdefault("SHOP_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/none")
    os.environ.setdefault("SHOP_BROKER_URL", "redis://127.0.0.1:1/0")
    from shop.app import VERSION, operations
    from shop.http.openapi import document

    file = Path(__file__).resolve().parents[2] / "config" / "openapi.json"
    text = json.dumps(document(operations(), version=VERSION), ensure_ascii=False, indent=1) + "\n"
    if not only_check:
        file.write_text(text, encoding="utf-8")
        click.echo(f"Wrote {file.name} ({len(operations())} operations).")
    elif not file.exists() or file.read_text(encoding="utf-8") != text:
        raise click.ClickException("config/openapi.json is not what the code says: run `python3 run.py shop openapi`.")
    else:
        click.echo("config/openapi.json is what the code says.")
