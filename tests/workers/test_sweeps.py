"""What runs by the clock."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from config.settings import settings
from shop.db import in_unit_of_work, unit_of_work
from shop.errors import Refusal
from shop.ids import new_id
from shop.reporting.checks import CHECKS, RECENT
from tests.builders import an_organisation
from workers import schedule, sweeps
from workers.sweeps import RETENTION, forget_old

pytestmark = pytest.mark.usefixtures("committed")

FAILURES = """
    INSERT INTO login_failure (id, account_hash, at)
    SELECT gen_random_uuid(), '\\x00', now() - interval '2 days' FROM generate_series(1, 7)
"""
PARTIAL_INDEXES = """
    SELECT i.indexrelid::regclass::text, a.attname
    FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = %s::regclass AND i.indpred IS NOT NULL
"""
NOTICES = """
    INSERT INTO notice (id, organisation_id, source_id, kind, subject, text, text_en, at, recorded_at)
    SELECT gen_random_uuid(), :of, gen_random_uuid(), 'k', 's', 't', 't', now(), now() - age
    FROM (VALUES (interval '3 years'), (interval '1 year')) ages(age)
"""


def count(table: str) -> int:
    with unit_of_work() as session:
        return int(session.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


def test_what_is_past_its_period_is_dropped_in_batches_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    forget_batch = sweeps.forget_batch

    def counted(session: Session, *, table: str, old: str) -> int:
        dropped = forget_batch(session, table=table, old=old)
        if table == "login_failure":
            batches.append(dropped)
        return dropped

    monkeypatch.setattr(sweeps, "BATCH", 3)
    monkeypatch.setattr(sweeps, "forget_batch", counted)
    with unit_of_work() as session:
        session.execute(text(FAILURES))
        session.execute(text(NOTICES), {"of": an_organisation(session).id})
    forget_old()
    assert (batches, count("login_failure"), count("notice")) == ([3, 3, 1], 0, 1)


def test_a_table_that_fails_does_not_keep_the_others_from_being_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps, "RETENTION", (("no_such_table", "true"), *RETENTION))
    with unit_of_work() as session:
        session.execute(text(FAILURES))
    forget_old()
    assert count("login_failure") == 0


@pytest.mark.parametrize(("table", "old"), RETENTION)
def test_an_index_finds_what_is_past_its_period(table: str, old: str) -> None:
    aged = re.findall(r"(\w+) < now\(\)", old)
    with psycopg.connect(settings().database_owner_url.replace("+psycopg", "")) as connection:
        # An empty table costs the same by every partial index, so those that do not know the age are taken away.
        for name, led_by in connection.execute(PARTIAL_INDEXES, [table]).fetchall():
            if led_by not in aged:
                connection.execute(f'DROP INDEX "{name}"')
        connection.execute("SET enable_seqscan = off")
        lines = connection.execute(f"EXPLAIN SELECT ctid FROM {table} WHERE {old}").fetchall()
        connection.rollback()
    plan = "\n".join(line for (line,) in lines)
    assert f"Seq Scan on {table}" not in plan
    assert "Index Cond" in plan or "ix_person_invited" in plan


@pytest.mark.parametrize("error", [None, Refusal("no"), ValueError("no")])
def test_a_sweep_goes_on_until_nothing_is_due_and_its_failure_ends_only_itself(
    monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    left = [2, 1, 0, 5]

    def batch(session: Session) -> int:
        if error:
            raise error
        return left.pop(0)

    monkeypatch.setitem(schedule.SWEEPS, "roll_up", batch)
    schedule.run("roll_up")
    assert left == ([2, 1, 0, 5] if error else [5])


def test_each_batch_of_a_sweep_is_kept_when_a_later_one_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def batch(session: Session) -> int:
        offset = session.scalar(text("UPDATE business_clock SET offset_us = offset_us + 1 RETURNING offset_us"))
        if offset == 3:
            raise ValueError("no")
        return 1

    monkeypatch.setitem(schedule.SWEEPS, "roll_up", batch)
    schedule.run("roll_up")
    assert in_unit_of_work(lambda session: session.scalar(text("SELECT offset_us FROM business_clock"))) == 2


@pytest.mark.parametrize("name", sorted(set(schedule.SWEEPS) - {"ask_stripe"}))
def test_a_sweep_finds_nothing_to_do_in_an_empty_shop(name: str) -> None:
    found: Callable[..., Any] = schedule.SWEEPS[name]
    assert not (found() if getattr(found, "calls_out", False) else in_unit_of_work(found))


def plan_of(name: str) -> str:
    statement = f"SELECT * FROM ({CHECKS[name]}) AS offending WHERE offending.{RECENT[name]} >= '{UUID(int=0)}'"
    with psycopg.connect(settings().database_owner_url.replace("+psycopg", "")) as connection:
        connection.execute("SET enable_seqscan = off")
        return "\n".join(line for (line,) in connection.execute(f"EXPLAIN {statement}"))


@pytest.mark.parametrize("name", RECENT)
def test_a_check_of_what_is_new_finds_it_by_index(name: str) -> None:
    assert ">= '00000000-0000-0000-0000-000000000000'::uuid" in "".join(
        line for line in plan_of(name).splitlines() if "Index Cond" in line
    )


def proofs(monkeypatch: pytest.MonkeyPatch) -> list[UUID | None]:
    asked: list[UUID | None] = []
    monkeypatch.setattr(sweeps, "prove", lambda since=None: asked.append(since))
    return asked


def test_what_is_new_is_checked_at_every_ring_and_everything_once_a_night(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = proofs(monkeypatch)
    for name in ("check", "check_all", "check", "check_all"):
        schedule.run(name)
    assert [since is None for since in asked] == [False, True, False]
    with unit_of_work() as session:  # as if that had been the night before
        session.execute(text("UPDATE numbering SET last = last - 1 WHERE name = 'checked_night'"))
    schedule.run("check_all")
    assert asked[3:] == [None]


def test_the_first_id_of_an_instant_is_below_every_id_made_after_it() -> None:
    now = datetime.now(UTC)
    assert sweeps.first_id(now - timedelta(minutes=1)) < new_id() < sweeps.first_id(now + timedelta(minutes=1))
