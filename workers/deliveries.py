"""The one task behind every event: claim the delivery, call the use case, mark it done, in one commit."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
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


@celery.task(name="workers.deliver_all")  # type: ignore[untyped-decorator]
def deliver_all(wanted: list[tuple[str, str]]) -> None:
    """Do these deliveries, as (event, consumer), one after the other, each in a commit of its own."""
    run_all([(UUID(event_id), consumer) for event_id, consumer in wanted])


def run(event_id: UUID, consumer: str) -> bool:
    """The task without Celery; True when this call did the work."""
    return run_all([(event_id, consumer)]) == 1


def run_all(wanted: list[tuple[UUID, str]]) -> int:
    """Claim what of this changes rows alone together, and do everything one by one; gives how much was done."""
    known = [(event_id, consumer) for event_id, consumer in wanted if is_known(event_id, consumer)]
    alone = {consumer for _, consumer in known if has_own_claim(consumer_of(consumer))}
    together = [one for one in known if one[1] not in alone]
    done = 0
    for taken in outbox.claim_all(together) if together else ():
        done += logged(taken.consumer, partial(outbox.deliver_claimed, taken, work_of(taken)))
    for event_id, consumer in known:
        if consumer in alone:
            done += logged(consumer, partial(run_with_claim, event_id, consumer, consumer_of(consumer)))
    return done


def is_known(event_id: UUID, consumer: str) -> bool:
    """Whether this worker knows the consumer; where it does not, the delivery is left to one that does."""
    try:
        consumer_of(consumer)
    except KeyError:  # this worker is older than the relay that fanned out, or the consumer was renamed or dropped
        log.warning("consumer_unknown", consumer=consumer)
        in_unit_of_work(lambda session: outbox.leave(session, event_id, consumer, for_at_most=UNKNOWN_FOR))
        return False
    return True


def has_own_claim(use_case: Callable[..., Any]) -> bool:
    """Whether a use case opens units of work of its own under its claim, which may then last as long as it says."""
    return getattr(use_case, "calls_out", False) or getattr(use_case, "takes_claim", False)


def work_of(taken: outbox.Claim) -> Callable[[Session, outbox.Claim], None]:
    use_case = consumer_of(taken.consumer)

    def work(session: Session, taken: outbox.Claim) -> None:
        structlog.contextvars.bind_contextvars(
            request_id=taken.request_id, event=taken.event_id.hex, consumer=taken.consumer
        )
        use_case(session, **arguments(taken))

    return work


def logged(consumer: str, deliver: Callable[[], bool]) -> bool:
    """Whether a delivery was done; why not is in the log, and the delivery comes again."""
    try:
        return deliver()
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
