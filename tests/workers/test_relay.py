"""A turn of the relay: numbers, deliveries, bells, with and without a broker."""

import socket
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from config.settings import settings
from shop.db import in_unit_of_work, unit_of_work
from shop.outbox import service as outbox
from tests.builders import NOW
from workers import relay
from workers.beat import celery as beat
from workers.broker import application
from workers.schedule import SWEEPS
from workers.times import APART

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What was rung for: (queue, consumer)."""
    messages: list[tuple[str, str]] = []

    def publish(_name: str, arguments: tuple[Any, ...], *, queue: str, **_: Any) -> None:
        asked = [arguments] if queue == "calls" else arguments[0]
        messages.extend((queue, consumer) for _, consumer in asked)

    monkeypatch.setattr(relay.celery, "send_task", publish)
    return messages


@pytest.fixture(params=["redis", "amqp"])
def silent_broker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A broker that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        monkeypatch.setenv("SHOP_BROKER_URL", f"{request.param}://127.0.0.1:{listener.getsockname()[1]}//")
        settings.cache_clear()
        monkeypatch.setattr(relay, "celery", application("relay", only_publishes=True))
        yield


def announce() -> str:
    return in_unit_of_work(
        lambda session: outbox.announce(session, "webhook.stored", now=NOW, webhook="evt_1")  # heard by one consumer
    ).hex


def test_a_turn_numbers_what_was_committed_and_rings_for_it_once(rung: list[tuple[str, str]]) -> None:
    announce()
    assert (relay.turn(), relay.turn()) == (2, 0)
    assert rung == [("work", "payments.apply_webhook")]


def test_work_that_calls_out_is_rung_for_in_a_queue_of_its_own(rung: list[tuple[str, str]]) -> None:
    in_unit_of_work(lambda session: outbox.announce(session, "order.placed", now=NOW, order_id=uuid4()))
    in_unit_of_work(lambda session: outbox.announce(session, "job.requested", now=NOW, job_id=uuid4()))
    relay.turn()
    assert sorted(rung) == [
        ("calls", "jobs.run"),
        ("calls", "notices.mail"),
        ("work", "notices.tell"),
        ("work", "orders.confirm_on_terms"),
    ]
    assert relay.calls_out("webhook:" + uuid4().hex)


def test_calls_that_pile_up_do_not_keep_other_work_from_being_rung_for(rung: list[tuple[str, str]]) -> None:
    for _ in range(outbox.RUNG_AT_MOST + 1):
        in_unit_of_work(lambda session: outbox.announce(session, "charge.requested", now=NOW, charge_id=uuid4()))
    relay.turn()
    assert len(rung) == relay.CALLS_AT_MOST
    announce()
    relay.turn()
    assert rung[relay.CALLS_AT_MOST :] == [("work", "payments.apply_webhook")]


def test_a_bell_rings_for_several_deliveries_and_few_are_spread_over_the_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bells: list[int] = []
    monkeypatch.setattr(relay.celery, "send_task", lambda _, arguments, **__: bells.append(len(arguments[0])))
    for _ in range(6):
        announce()
    relay.turn()
    assert bells == [2, 2, 2]
    bells.clear()
    for _ in range(50):
        announce()
    relay.turn()
    assert bells == [relay.TOGETHER] * 6 + [2]


@pytest.mark.parametrize(
    ("task", "named", "queue"),
    [
        ("workers.deliver", "calls", "calls"),
        ("workers.deliver", None, "work"),
        ("workers.sweep", "calls", "calls"),
        ("workers.sweep", None, "sweeps"),
    ],
)
def test_a_task_goes_to_the_queue_that_its_sender_names(task: str, named: str | None, queue: str) -> None:
    options = {"queue": named} if named else {}
    assert relay.celery.amqp.router.route(options, task)["queue"].name == queue


def test_the_sweeps_that_take_their_time_are_rung_for_apart() -> None:
    assert {name for name, sweep in SWEEPS.items() if getattr(sweep, "calls_out", False)} == APART
    queues = {entry["args"][0]: entry["options"]["queue"] for entry in beat.conf.beat_schedule.values()}
    assert {name for name, queue in queues.items() if queue == "calls"} == APART


def test_a_silent_broker_stops_the_numbering_for_two_seconds_at_most(silent_broker: None) -> None:
    turns = []
    for _ in range(2):
        announce()
        began = time.monotonic()
        relay.turn()
        turns.append(time.monotonic() - began)
    assert turns[0] < 10  # it also loads what publishing needs
    assert turns[1] < 2
    with unit_of_work() as session:
        assert session.scalar(text("SELECT count(posted_no) FROM event")) == 2
        assert session.scalar(text("SELECT count(*) FROM delivery WHERE status = 'sent'")) == 2  # they are rung again
