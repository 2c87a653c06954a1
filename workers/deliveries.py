"""The one task behind every event: claim the delivery, call the use case, mark it done, in one commit."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from shop.db import in_unit_of_work
from shop.errors import Refusal
from shop.outbox import service as outbox
from workers.app import celery
from workers.subscriptions import consumer_of

log = structlog.get_logger()
UNKNOWN_FOR = timedelta(days=1)
"""How old an event is when a consumer that no worker knows is given up: longer than any rolling deploy takes."""


@celery.task(name="workers.deliver")  # type: ignore[untyped-decorator]
def deliver(event_id: str, consumer: str) -> None:
    """Do what `consumer` does about an event, unless it is done, taken or parked."""
    run(UUID(event_id), consumer)


def run(event_id: UUID, consumer: str) -> bool:
    """The task without Celery; True when this call did the work."""
    try:
        use_case = consumer_of(consumer)
    except KeyError:  # this worker is older than the relay that fanned out, or the consumer was renamed or dropped
        log.warning("consumer_unknown", consumer=consumer)
        in_unit_of_work(lambda session: outbox.leave(session, event_id, consumer, for_at_most=UNKNOWN_FOR))
        return False

    def work(session: Session, taken: outbox.Claim) -> None:
        structlog.contextvars.bind_contextvars(request_id=taken.request_id, event=taken.event_id.hex, consumer=consumer)
        use_case(session, **arguments(taken))

    try:
        if getattr(use_case, "calls_out", False) or getattr(use_case, "takes_claim", False):
            return run_with_claim(event_id, consumer, use_case)
        return outbox.deliver(event_id, consumer, work)
    except Refusal as refusal:
        log.warning("work_refused", consumer=consumer, code=refusal.code, detail=refusal.detail)
        return False
    except Exception as error:
        log.error("work_failed", consumer=consumer, exc_info=error)
        return False
    finally:
        structlog.contextvars.clear_contextvars()


def arguments(taken: outbox.Claim) -> dict[str, Any]:
    """The event's payload by keyword, ids as ids."""
    return {
        name: UUID(hex=value) if name.endswith("_id") and isinstance(value, str) and len(value) == 32 else value
        for name, value in taken.payload.items()
    }


def run_with_claim(event_id: UUID, consumer: str, use_case: Callable[..., Any]) -> bool:
    """Work that opens its own units of work, each under the same claim, such as around a call to another party.

    A use case may name its own `lease` and number of `attempts`.
    """
    attempts = getattr(use_case, "attempts", outbox.MAX_ATTEMPTS)
    taken = outbox.claim(event_id, consumer, lease=getattr(use_case, "lease", outbox.LEASE), attempts=attempts)
    if taken is None:
        return False
    try:
        use_case(taken, **arguments(taken))
    except outbox.Fenced:
        return False
    except Exception as error:
        outbox.postpone(taken, f"{type(error).__name__}: {error}", attempts=attempts)
        raise
    return True
