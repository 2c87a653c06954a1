"""The demo, its first half month with a few products, on a served shop."""

import pytest

from shop.cli import reference
from shop.db import checker_engine, in_unit_of_work
from shop.demo import parties, player
from shop.reporting import service as reporting
from shop.reporting.checks import run_checks
from tests.e2e.conftest import Served

PASSWORD = "a password of the demo"


def test_the_demo_is_played_through_http_and_its_report_adds_up(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in reference.load():
        pass
    reference.load_demo_freight()
    said: list[str] = []
    for _ in range(2):
        player.play(served.url, parties.make(PASSWORD), say=said.append, steps=1, products=16)

    assert "13 orders" in said[-2]
    assert "played before" in said[-1]
    with checker_engine().connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        assert run_checks(connection) == []
    report = in_unit_of_work(
        lambda session: reporting.summary(
            session, measure="accepted", group_by="east_province,west_province", start=None, end=None
        )
    )
    assert report.rows
    assert report.total_fen == sum(row["amount_fen"] for row in report.rows)
