"""The task behind every event: once, under a lease, counted, parked."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from shop.db import in_unit_of_work, unit_of_work
from shop.outbox import service as outbox
from shop.outbox.models import Delivery
from tests.builders import NOW
from workers import deliveries, subscriptions
from workers.deliveries import run

pytestmark = pytest.mark.usefixtures("committed")
CONSUMER = "tests.consume"


@pytest.fixture
def consume(monkeypatch: pytest.MonkeyPatch) -> Callable[..., UUID]:
    """Make a function the consumer of one event; gives the event's id."""

    def make(use_case: Callable[..., Any] | None, **payload: Any) -> UUID:
        known = {CONSUMER: use_case} if use_case else {}
        monkeypatch.setattr(subscriptions, "consumers", lambda: known)

        def announce(session: Session) -> UUID:
            event_id = outbox.announce(session, "test.happened", now=NOW, **payload)
            session.flush()
            session.add(Delivery(event_id=event_id, consumer=CONSUMER))
            return event_id

        return in_unit_of_work(announce)

    return make


def delivery() -> Delivery:
    with unit_of_work() as session:
        return session.scalars(select(Delivery)).one()


def let_it_be_due() -> None:
    with unit_of_work() as session:
        session.execute(text("UPDATE delivery SET due_at = clock_timestamp()"))


def test_work_is_done_once_with_the_payload_by_keyword(consume: Callable[..., UUID]) -> None:
    heard: list[dict[str, Any]] = []
    order_id = UUID(int=7)
    event_id = consume(lambda session, **payload: heard.append(payload), order_id=order_id, terms="prepaid")
    assert [run(event_id, CONSUMER) for _ in range(3)] == [True, False, False]
    assert heard == [{"order_id": order_id, "terms": "prepaid"}]
    assert (delivery().status, delivery().attempts) == ("done", 1)


def test_work_whose_lease_was_lost_leaves_nothing_behind(consume: Callable[..., UUID]) -> None:
    def slow(session: Session, **_: Any) -> None:
        session.execute(text("UPDATE business_clock SET offset_us = 77"))

    def slow_and_overtaken(taken: outbox.Claim, **_: Any) -> None:
        let_it_be_due()  # the lease passed,
        assert outbox.claim(taken.event_id, CONSUMER) is not None  # another took it
        with outbox.working(taken) as session:
            slow(session)

    slow_and_overtaken.calls_out = True  # type: ignore[attr-defined]
    event_id = consume(slow_and_overtaken)
    assert not run(event_id, CONSUMER)
    assert (delivery().status, delivery().token) == ("claimed", 2)
    with unit_of_work() as session:
        assert session.scalar(text("SELECT offset_us FROM business_clock")) == 0


@pytest.mark.parametrize("calls_out", [False, True])
def test_failures_are_counted_and_the_last_one_parks(consume: Callable[..., UUID], calls_out: bool) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("no")

    fail.calls_out = calls_out  # type: ignore[attr-defined]
    event_id = consume(fail)
    for attempt in range(1, outbox.MAX_ATTEMPTS + 1):
        assert not run(event_id, CONSUMER)
        row = delivery()
        assert (row.attempts, row.error) == (attempt, "ValueError: no")
        assert row.status == ("parked" if attempt == outbox.MAX_ATTEMPTS else "waiting")
        if row.status == "waiting":
            let_it_be_due()
    assert not run(event_id, CONSUMER)
    assert delivery().attempts == outbox.MAX_ATTEMPTS


def test_a_use_case_may_name_its_own_number_of_attempts(consume: Callable[..., UUID]) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("no")

    fail.calls_out, fail.attempts = True, 1  # type: ignore[attr-defined]
    assert not run(consume(fail), CONSUMER)
    assert delivery().status == "parked"


def test_a_consumer_that_this_worker_does_not_know_is_left_to_one_that_does(consume: Callable[..., UUID]) -> None:
    event_id = consume(None)
    for _ in range(outbox.MAX_ATTEMPTS + 1):
        assert not run(event_id, CONSUMER)
    assert (delivery().status, delivery().attempts) == ("waiting", 0)
    let_it_be_due()
    assert in_unit_of_work(lambda session: list(outbox.due(session))) == [(event_id, CONSUMER)]


def test_a_worker_that_does_not_know_a_consumer_leaves_a_claim_of_one_that_does_alone(
    consume: Callable[..., UUID],
) -> None:
    event_id = consume(None)
    assert outbox.claim(event_id, CONSUMER) is not None
    assert not run(event_id, CONSUMER)
    assert delivery().status == "claimed"


def test_a_consumer_that_no_worker_knew_for_a_day_is_parked(
    consume: Callable[..., UUID], committed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_id = consume(None)
    monkeypatch.setattr(deliveries, "UNKNOWN_FOR", timedelta(0))
    assert not run(event_id, CONSUMER)
    assert (delivery().status, delivery().error) == ("parked", "no worker knows this consumer")
