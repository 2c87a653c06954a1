"""The relay: numbers what was committed, makes deliveries, rings the bell. Any number may run; one works at a time.

`python -m workers.relay`
"""

import signal
import threading
import time
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from shop.db import in_unit_of_work
from shop.errors import Busy
from shop.facts.models import Fact
from shop.logs import set_up_logs
from shop.outbox import service as outbox
from shop.outbox import webhooks
from shop.outbox.models import Event
from workers.broker import PATIENCE, application
from workers.subscriptions import subscriptions

log = structlog.get_logger()
IDLE_SECONDS = 0.1
celery = application("relay", only_publishes=True)


def number_and_fan_out(session: Session) -> tuple[int, int]:
    """Number committed events and facts; gives how many events and facts got a number."""
    events = outbox.number(session, Event)
    outbox.fan_out(session, events, subscriptions())
    webhooks.fan_out(session, events)
    facts = outbox.number(session, Fact)
    return len(events), len(facts)


def ring(due: list[tuple[UUID, str]], sweeps: tuple[str, ...] = ()) -> bool:
    """Publish one message a delivery and sweep; False when the broker did not take them all (they come again later)."""
    messages: list[tuple[str, tuple[str, ...]]] = [
        ("workers.deliver", (event_id.hex, consumer)) for event_id, consumer in due
    ]
    messages += [("workers.sweep", (name,)) for name in sweeps]
    try:
        with celery.producer_or_acquire() as producer:
            for task, arguments in messages:
                celery.send_task(task, arguments, producer=producer, confirm_timeout=PATIENCE)
    except Exception as error:
        log.warning("broker_away", error=str(error), waiting=len(messages))
        return False
    return True


def turn() -> int:
    """One round; gives how much there was to do."""
    events, facts = in_unit_of_work(number_and_fan_out)
    due = in_unit_of_work(lambda session: list(outbox.due(session)))
    if due or facts:
        ring(due, ("roll_up",) if facts else ())
    return events + facts + len(due)


def main() -> None:
    """Run until told to stop."""
    set_up_logs()
    stop = threading.Event()

    def told(*_: Any) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    while not stop.is_set():
        try:
            busy = turn()
        except Busy as error:
            log.warning("database_away", detail=error.detail)
            time.sleep(1)
            continue
        except Exception as error:
            log.error("relay_turn_failed", exc_info=error)
            time.sleep(1)
            continue
        if not busy:
            stop.wait(IDLE_SECONDS)


if __name__ == "__main__":
    main()
