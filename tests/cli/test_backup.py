"""Backup and restore: everything comes back, also what row level security guards."""

from pathlib import Path

from click.testing import CliRunner
from sqlalchemy import text

from shop.cli import shop
from shop.db import in_unit_of_work, unit_of_work
from tests import builders as a
from tests.orders import journey
from tests.walk.sides import checksum


def test_a_restored_shop_is_the_one_that_was_backed_up(committed: str, tmp_path: Path) -> None:
    with unit_of_work() as session:
        world = a.World(session)
        (part,) = journey.confirmed(world, {world.offer(100, lots=50).id: 5})
        journey.delivered(session, part)
    before = in_unit_of_work(checksum)
    file = tmp_path / "shop.dump"
    run = CliRunner()
    made = run.invoke(shop, ["db", "backup", str(file)])
    assert made.exit_code == 0, made.output
    assert file.stat().st_mode & 0o777 == 0o600
    in_unit_of_work(lambda session: session.execute(text("UPDATE organisation SET name = 'lost'")))
    in_unit_of_work(lambda session: session.execute(text("DELETE FROM address")))
    assert in_unit_of_work(checksum) != before
    back = run.invoke(shop, ["db", "restore", "--yes", str(file)])
    assert back.exit_code == 0, back.output
    assert in_unit_of_work(checksum) == before
    guards = text("SELECT count(*) FROM pg_class WHERE relrowsecurity AND relforcerowsecurity")
    assert (in_unit_of_work(lambda session: session.scalar(guards)) or 0) > 20
