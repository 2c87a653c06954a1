"""Events, numbering, deliveries."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from shop.db import engine, in_unit_of_work, unit_of_work
from shop.outbox import service as outbox
from shop.outbox.models import Delivery, Event
from tests.builders import NOW

pytestmark = pytest.mark.usefixtures("committed")


def announced(kind: str = "order.placed", **payload: Any) -> UUID:
    return in_unit_of_work(lambda session: outbox.announce(session, kind, now=NOW, **payload))


def numbered() -> list[tuple[UUID, int]]:
    def run(session: Session) -> list[tuple[UUID, int]]:
        found = list(outbox.number(session, Event))
        outbox.fan_out(session, found, {"order.placed": ["orders.confirm"]})
        return found

    return in_unit_of_work(run)


def status(event_id: UUID) -> tuple[str, int]:
    with unit_of_work() as session:
        row = session.execute(select(Delivery.status, Delivery.attempts).where(Delivery.event_id == event_id)).one()
        return row.status, row.attempts


def test_an_event_that_is_undone_is_never_numbered() -> None:
    class Undo(Exception):
        pass

    def announce_and_fail(session: Session) -> None:
        outbox.announce(session, "order.placed", now=NOW)
        raise Undo

    with pytest.raises(Undo):
        in_unit_of_work(announce_and_fail)
    assert numbered() == []


def test_a_slow_transaction_gets_its_number_after_those_that_committed_before_it() -> None:
    with Session(engine()) as slow, slow.begin():
        early = outbox.announce(slow, "order.placed", now=NOW)
        late = announced()
        assert numbered() == [(late, 1)]
    assert numbered() == [(early, 2)]


def test_numbers_are_given_once() -> None:
    announced()
    numbered()
    assert numbered() == []


def test_a_delivery_is_done_once_however_often_the_bell_rings() -> None:
    event_id = announced()
    numbered()
    calls: list[int] = []
    results = [
        outbox.deliver(event_id, "orders.confirm", lambda session, taken: calls.append(taken.token)) for _ in range(3)
    ]
    assert (results, calls, status(event_id)) == ([True, False, False], [1], ("done", 1))


def test_a_failure_undoes_its_work_and_comes_again_until_it_is_parked() -> None:
    event_id = announced()
    numbered()

    def fail(session: Session, taken: outbox.Claim) -> None:
        session.execute(text("UPDATE business_clock SET offset_us = 77"))
        raise ValueError("no")

    for _ in range(outbox.MAX_ATTEMPTS):
        with unit_of_work() as session:
            session.execute(text("UPDATE delivery SET due_at = clock_timestamp()"))
        with pytest.raises(ValueError, match="no"):
            outbox.deliver(event_id, "orders.confirm", fail)
    assert status(event_id) == ("parked", outbox.MAX_ATTEMPTS)
    with unit_of_work() as session:
        assert session.scalar(text("SELECT offset_us FROM business_clock")) == 0
        assert [row[2:] for row in outbox.parked(session)] == [("orders.confirm", 8, "ValueError: no")]


def test_parked_work_goes_back_when_asked() -> None:
    event_id = announced()
    numbered()
    in_unit_of_work(lambda session: outbox.park(session, event_id, "orders.confirm", "stuck"))
    assert in_unit_of_work(lambda session: outbox.retry_parked(session, event_id)) == 1
    assert outbox.deliver(event_id, "orders.confirm", lambda session, taken: None)


def test_a_sleeper_whose_claim_was_taken_over_is_fenced_off() -> None:
    event_id = announced()
    numbered()
    sleeper = outbox.claim(event_id, "orders.confirm", lease=timedelta(seconds=-1))
    assert sleeper is not None
    assert outbox.deliver(event_id, "orders.confirm", lambda session, taken: None)
    with pytest.raises(outbox.Fenced), outbox.working(sleeper):
        pytest.fail("the sleeper was let in")


def test_work_that_kills_its_process_is_parked_after_its_last_attempt() -> None:
    event_id = announced()
    numbered()
    for _ in range(outbox.MAX_ATTEMPTS):
        assert outbox.claim(event_id, "orders.confirm", lease=timedelta(seconds=-1)) is not None
    assert outbox.claim(event_id, "orders.confirm") is None
    assert status(event_id)[0] == "parked"


def test_what_nobody_claims_is_rung_again() -> None:
    event_id = announced()
    numbered()
    first = in_unit_of_work(lambda session: list(outbox.due(session)))
    assert first == [(event_id, "orders.confirm")]
    assert in_unit_of_work(lambda session: list(outbox.due(session))) == []
    with unit_of_work() as session:
        session.execute(text("UPDATE delivery SET due_at = clock_timestamp() - interval '3 hours'"))
    assert in_unit_of_work(lambda session: list(outbox.due(session))) == first


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event SET payload = '{}'",
        "UPDATE event SET posted_no = 99",
        "DELETE FROM event",
        "TRUNCATE event CASCADE",
    ],
)
def test_the_database_refuses_to_change_an_event(statement: str) -> None:
    announced()
    numbered()
    with pytest.raises(DBAPIError), unit_of_work() as session:
        session.execute(text(statement))
