"""The rollup holds every numbered fact exactly once."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from shop.db import in_unit_of_work, unit_of_work
from shop.facts.models import Measure
from shop.reporting import rollup
from tests.reporting.helpers import PAIRING, a_fact, number, roll, rolled


def a_mixture(session: Session, facts: int) -> None:
    """Facts of every measure over months, provinces, pairings, categories and signs."""
    chance = random.Random(7)
    for _ in range(facts):
        paired = chance.random() < 0.5
        a_fact(
            session,
            chance.choice(list(Measure)),
            datetime(2024, chance.randint(1, 12), 15, tzinfo=UTC),
            goods_fen=chance.randint(-5_000, 20_000),
            freight_fen=chance.randint(0, 500),
            bucket="paired" if paired else "other",
            pairing_id=PAIRING if paired else None,
            west_province=chance.choice(["610000", "620000"]),
            category=chance.choice(["fruit", "meat"]),
            purpose=chance.choice(["canteen", "other"]),
        )


def total(session: Session) -> tuple[int, int]:
    """Amount and number of the facts in the rollup, which every grain tells alike."""
    sums = {
        tuple(row) for row in session.execute(text("SELECT sum(amount_fen), sum(facts) FROM rollup GROUP BY grain"))
    }
    ((amount, facts),) = sums
    return int(amount), int(facts)


def test_only_numbered_facts_are_added_and_each_once(session: Session) -> None:
    a_mixture(session, 60)
    assert roll(session) == 0
    number(session)
    assert roll(session) == 60
    before = rolled(session)
    assert roll(session) == 0
    assert rolled(session) == before
    expected = session.execute(text("SELECT sum(amount_fen), count(*) FROM fact")).one()
    assert total(session) == tuple(expected)


def test_a_rollup_made_in_steps_equals_one_made_anew(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollup, "BATCH", 7)
    for _ in range(5):
        a_mixture(session, 20)
        number(session)
        assert roll(session) == 20
    kept = rolled(session)
    monkeypatch.undo()
    session.execute(text("DELETE FROM rollup"))
    session.execute(text("UPDATE rollup_mark SET upto_no = 0"))
    assert roll(session) == 100
    assert rolled(session) == kept


def test_many_at_once_add_every_fact_once(committed: str) -> None:
    with unit_of_work() as session:
        a_mixture(session, 200)
        number(session)
    with ThreadPoolExecutor(8) as pool:
        done = Counter(pool.map(lambda _: in_unit_of_work(rollup.roll_up), range(8)))
    assert done == {200: 1, 0: 7}
    with unit_of_work() as session:
        expected = session.execute(text("SELECT sum(amount_fen), count(*) FROM fact")).one()
        assert total(session) == tuple(expected)
