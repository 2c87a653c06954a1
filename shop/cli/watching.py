"""`shop check`, `shop report`, `shop outbox`: look at a running shop."""

import uuid

import click

from shop.db import checker_engine, in_unit_of_work
from shop.money import yuan
from shop.outbox import service as outbox_service


def prove() -> int:
    """Run every check on one snapshot and say what was found; gives how many are broken."""
    from shop.reporting.checks import run_checks

    with checker_engine().connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        findings = run_checks(connection)
    for finding in findings:
        click.secho(f"BROKEN {finding.name}: {finding.rows} rows, for instance {finding.sample}", fg="red")
    if not findings:
        click.echo("Everything adds up: money, stock, facts, rollups.")
    return len(findings)


@click.command()
def check() -> None:
    """Prove that money, stock, facts and rollups add up; exit 1 and name what does not."""
    if prove():
        raise SystemExit(1)


@click.group()
def report() -> None:
    """Totals."""


@report.command()
@click.option("--group-by", default="east_province,west_province", show_default=True)
@click.option("--from", "start", default=None, help="First month, YYYY-MM.")
@click.option("--to", "end", default=None, help="First month no longer counted, YYYY-MM.")
@click.option("--measure", default="accepted", show_default=True)
def procurement(group_by: str, start: str | None, end: str | None, measure: str) -> None:
    """Procurement by pairing, month, category, …"""
    from shop.reporting import service

    found = in_unit_of_work(
        lambda session: service.summary(session, measure=measure, group_by=group_by, start=start, end=end)
    )
    show(found.rows, found.total_fen)


def show(rows: list[dict[str, object]], total_fen: int) -> None:
    """A table on the terminal; Chinese characters count as two columns."""
    from unicodedata import east_asian_width

    def width(text: str) -> int:
        return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)

    def pad(text: str, to: int) -> str:
        return text + " " * (to - width(text))

    shown = [
        [str(value) for key, value in row.items() if not key.endswith("_fen")] + [yuan(int(str(row["amount_fen"])))]
        for row in rows
    ]
    if shown:
        widths = [max(width(line[column]) for line in shown) for column in range(len(shown[0]))]
        for line in shown:
            words = [pad(text, to) for text, to in zip(line[:-1], widths, strict=False)]
            click.echo("  ".join(words) + "  " + line[-1].rjust(widths[-1]))
    click.echo(f"Total {yuan(total_fen)} yuan in {len(rows)} rows.")


@click.group()
def outbox() -> None:
    """Work that the workers do, and what was set aside."""


@outbox.command()
def status() -> None:
    """How much is waiting."""
    for name, waiting in in_unit_of_work(outbox_service.backlog).items():
        click.echo(f"{name}: {waiting}")


@outbox.command()
def parked() -> None:
    """List work that failed too often, with its last error."""
    for event_id, kind, consumer, attempts, error in in_unit_of_work(outbox_service.parked):
        click.echo(f"{event_id}  {kind} → {consumer}  {attempts} attempts  {error}")


@outbox.command()
@click.argument("event", type=uuid.UUID)
@click.option("--consumer", default=None, help="Only this consumer's delivery.")
def retry(event: uuid.UUID, consumer: str | None) -> None:
    """Put the parked work of EVENT back in the queue."""
    done = in_unit_of_work(lambda session: outbox_service.retry_parked(session, event, consumer))
    click.echo(f"{done} deliveries are waiting again.")
