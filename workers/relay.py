"""The relay: numbers what was committed, makes deliveries, rings the bell. Any number may run; one works at a time.

`python -m workers.relay`
"""

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import not_, or_
from sqlalchemy.orm import Session

from shop.db import in_unit_of_work
from shop.errors import Busy
from shop.facts.models import Fact
from shop.logs import set_up_logs
from shop.outbox import service as outbox
from shop.outbox import webhooks
from shop.outbox.models import Delivery, Event
from workers.broker import CALLS, PATIENCE, SWEEPS, WORK, application
from workers.subscriptions import calling_out, subscriptions

log = structlog.get_logger()
GATHER_SECONDS, MANY = 0.1, 100
"""Between two turns it waits so long, that a bell may ring for several deliveries, unless there is so much to do."""
TOGETHER, BELLS = 8, 4
"""At most so many deliveries are rung for together; while there are few, they are spread over so many bells."""
CALLS_AT_MOST = 20  # calls on their way at once: a few seconds' work when all is well, few bells too many when not
celery = application("relay", only_publishes=True)


def number_and_fan_out(session: Session) -> tuple[int, int]:
    """Number committed events and facts; gives how many events and facts got a number."""
    events = outbox.number(session, Event)
    outbox.fan_out(session, events, subscriptions())
    webhooks.fan_out(session, events)
    facts = outbox.number(session, Fact)
    return len(events), len(facts)


def calls_out(consumer: str) -> bool:
    return consumer.startswith(webhooks.CONSUMER) or consumer in calling_out()


def find_due() -> list[tuple[UUID, str]]:
    """What is to be rung for now, of each queue as much as may be on its way there."""
    apart = or_(Delivery.consumer.startswith(webhooks.CONSUMER), Delivery.consumer.in_(calling_out()))
    return [
        *in_unit_of_work(lambda session: outbox.due(session, only=not_(apart))),
        *in_unit_of_work(lambda session: outbox.due(session, only=apart, at_most=CALLS_AT_MOST)),
    ]


def batched(items: Sequence[tuple[UUID, str]], size: int) -> Iterator[Sequence[tuple[UUID, str]]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def ring(due: list[tuple[UUID, str]], sweeps: tuple[str, ...] = ()) -> bool:
    """Publish one message a delivery and sweep; False when the broker did not take them all (they come again later)."""
    calls = [one for one in due if calls_out(one[1])]
    work = [one for one in due if not calls_out(one[1])]
    # a call waits for somebody else, and what stood behind it on its bell would wait too
    messages: list[tuple[str, tuple[Any, ...], str]] = [
        ("workers.deliver", (event_id.hex, consumer), CALLS) for event_id, consumer in calls
    ]
    size = min(TOGETHER, -(-len(work) // BELLS)) or 1
    messages += [
        ("workers.deliver_all", ([(event_id.hex, consumer) for event_id, consumer in together],), WORK)
        for together in batched(work, size)
    ]
    messages += [("workers.sweep", (name,), SWEEPS) for name in sweeps]
    try:
        with celery.producer_or_acquire() as producer:
            for task, arguments, queue in messages:
                celery.send_task(task, arguments, queue=queue, producer=producer, confirm_timeout=PATIENCE)
    except Exception as error:
        log.warning("broker_away", error=str(error), waiting=len(messages))
        return False
    return True


def turn() -> int:
    """One round; gives how much there was to do."""
    events, facts = in_unit_of_work(number_and_fan_out)
    due = find_due()
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
        if busy < MANY:
            stop.wait(GATHER_SECONDS)


if __name__ == "__main__":
    main()
