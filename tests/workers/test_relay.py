"""A turn of the relay: numbers, deliveries, bells, with and without a broker."""

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from config.settings import settings
from shop.db import in_unit_of_work, unit_of_work
from shop.outbox import service as outbox
from tests.builders import NOW
from workers import relay
from workers.broker import application

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[Any, ...]]]:
    """What was published: (task, arguments)."""
    messages: list[tuple[str, tuple[Any, ...]]] = []
    monkeypatch.setattr(relay.celery, "send_task", lambda name, args, **_: messages.append((name, args)))
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


def test_a_turn_numbers_what_was_committed_and_rings_for_it_once(rung: list[tuple[str, tuple[Any, ...]]]) -> None:
    event = announce()
    assert (relay.turn(), relay.turn()) == (2, 0)
    assert rung == [("workers.deliver", (event, "payments.apply_webhook"))]


def test_a_silent_broker_stops_the_numbering_for_two_seconds_at_most(silent_broker: None) -> None:
    turns = []
    for _ in range(2):
        announce()
        began = time.monotonic()
        relay.turn()
        turns.append(time.monotonic() - began)
    assert max(turns) < 2.5  # the first turn also loads what publishing needs
    with unit_of_work() as session:
        assert session.scalar(text("SELECT count(posted_no) FROM event")) == 2
        assert session.scalar(text("SELECT count(*) FROM delivery WHERE status = 'sent'")) == 2  # they are rung again
