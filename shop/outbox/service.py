"""Announce, number, deliver."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, Interval, case, cast, func, literal, select, text, true, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from shop.db import in_unit_of_work, insert_rows, unit_of_work
from shop.errors import NotFound
from shop.ids import new_id
from shop.outbox.models import OPEN, Delivery, DeliveryStatus, Event, Numbering

MAX_ATTEMPTS = 8
LEASE = timedelta(seconds=30)
RING_AGAIN = timedelta(seconds=20)
RUNG_AT_MOST = 100  # messages on their way at once: what waits behind them waits in the table, not twice in the broker
NUMBERER = 7_207_001  # the advisory lock that lets one numberer work at a time


class Fenced(Exception):
    """The claim is no longer ours: its lease passed and another worker took it, so nothing of ours may be kept."""


@dataclass(frozen=True)
class Claim:
    """A delivery taken for a while: what happened, for whom, and the token that proves the claim is still ours."""

    event_id: UUID
    consumer: str
    token: int
    attempts: int
    kind: str
    payload: Mapping[str, Any]
    at: datetime
    request_id: str | None


def plain(value: Any) -> Any:
    return value.hex if isinstance(value, UUID) else value


def announce(session: Session, kind: str, *, now: datetime, seen_by: Iterable[UUID] = (), **payload: Any) -> UUID:
    """Record that something happened, in the commit of what happened; gives the event's id."""
    row = row_of(kind, now=now, seen_by=seen_by, **payload)
    insert_rows(session, (Event, [row]))
    event_id: UUID = row["id"]
    return event_id


def row_of(kind: str, *, now: datetime, seen_by: Iterable[UUID] = (), **payload: Any) -> dict[str, Any]:
    """The row of an announcement, for a caller that inserts it among others of its own."""
    return {
        "id": new_id(),
        "kind": kind,
        "payload": {name: plain(value) for name, value in payload.items()},
        "seen_by": sorted(set(seen_by)),
        "at": now,
        "request_id": structlog.contextvars.get_contextvars().get("request_id"),
    }


def number(session: Session, model: type[Any], *, limit: int = 5000) -> Sequence[tuple[UUID, int]]:
    """Give the committed, unnumbered rows of `model` their `posted_no`, in the order of their ids; (id, number) pairs.

    One numberer works at a time (advisory lock until commit), so numbers appear in commit order: whoever has read up to
    a number will never find a smaller one later.
    """
    session.execute(select(func.pg_advisory_xact_lock(NUMBERER)))
    table = model.__table__
    found = session.scalars(
        select(table.c.id).where(table.c.posted_no.is_(None)).order_by(table.c.id).limit(limit)
    ).all()
    if not found:
        return []
    last = session.execute(
        upsert(Numbering)
        .values(name=table.name, last=len(found))
        .on_conflict_do_update(index_elements=["name"], set_={"last": Numbering.last + len(found)})
        .returning(Numbering.last)
    ).scalar_one()
    first = last - len(found) + 1
    session.execute(
        text(
            f"UPDATE {table.name} AS t SET posted_no = n.no"  # noqa: S608 - the name is a model's own
            " FROM unnest(CAST(:ids AS uuid[]), CAST(:nos AS bigint[])) AS n(id, no) WHERE t.id = n.id"
        ),
        {"ids": list(found), "nos": list(range(first, last + 1))},
    )
    return list(zip(found, range(first, last + 1), strict=True))


def fan_out(session: Session, numbered: Sequence[tuple[UUID, int]], subscriptions: Mapping[str, Sequence[str]]) -> int:
    """Make the deliveries of newly numbered events; gives how many."""
    if not numbered:
        return 0
    events = session.execute(select(Event.id, Event.kind).where(Event.id.in_([key for key, _ in numbered])))
    rows = [
        {"event_id": event_id, "consumer": consumer, "status": DeliveryStatus.WAITING}
        for event_id, kind in events
        for consumer in (*subscriptions.get(kind, ()), *subscriptions.get("*", ()))
    ]
    if rows:
        session.execute(upsert(Delivery).on_conflict_do_nothing(), rows)
    return len(rows)


def due(
    session: Session, *, at_most: int = RUNG_AT_MOST, only: ColumnElement[bool] | None = None
) -> Sequence[tuple[UUID, str]]:
    """Deliveries whose bell is to be rung now, however long they have been due; rung again if nobody takes them.

    Only so many are on their way at once: ringing for all of a backlog, and again when it is not worked off in time,
    would bury the workers in bells for work that is done already. `only` narrows it to the deliveries of one queue,
    each of which has its own share of what is on its way.
    """
    only = true() if only is None else only
    on_their_way = session.scalar(
        select(func.count())
        .select_from(Delivery)
        .where(Delivery.status == DeliveryStatus.SENT, Delivery.due_at > func.statement_timestamp(), only)
    )
    limit = at_most - (on_their_way or 0)
    if limit <= 0:
        return []
    chosen = (
        select(Delivery.event_id, Delivery.consumer)
        .where(Delivery.status.in_(OPEN), Delivery.due_at <= func.statement_timestamp(), only)
        .order_by(Delivery.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .subquery()
    )
    rows = session.execute(
        update(Delivery)
        .where(Delivery.event_id == chosen.c.event_id, Delivery.consumer == chosen.c.consumer)
        .values(
            due_at=func.clock_timestamp() + cast(literal(RING_AGAIN), Interval),
            status=DeliveryStatus.SENT,
        )
        .returning(Delivery.event_id, Delivery.consumer)
        .execution_options(synchronize_session=False)
    )
    return [(event_id, consumer) for event_id, consumer in rows]


CLAIM = text(
    """
    WITH taken AS (
        UPDATE delivery AS d
           SET status = 'claimed', token = d.token + 1, attempts = d.attempts + 1,
               due_at = clock_timestamp() + CAST(:lease AS interval)
          FROM unnest(CAST(:events AS uuid[]), CAST(:consumers AS text[])) AS w (event_id, consumer)
         WHERE d.event_id = w.event_id AND d.consumer = w.consumer
           AND (d.status IN ('waiting', 'sent') OR d.status = 'claimed' AND d.due_at <= clock_timestamp())
        RETURNING d.event_id, d.consumer, d.token, d.attempts)
    SELECT t.*, e.kind, e.payload, e.at, e.request_id
      FROM taken AS t JOIN event AS e ON e.id = t.event_id
     ORDER BY e.posted_no, t.consumer
    """
)


def claim_all(
    wanted: Sequence[tuple[UUID, str]], *, lease: timedelta = LEASE, attempts: int = MAX_ATTEMPTS
) -> list[Claim]:
    """Take those of these deliveries that are free, in one commit, in the order of their events.

    Attempts are counted here, before the work, so that work which kills its process is parked too.
    """

    def take(session: Session) -> list[Claim]:
        values = {"events": [key for key, _ in wanted], "consumers": [name for _, name in wanted], "lease": lease}
        claims = [Claim(**row) for row in session.execute(CLAIM, values).mappings()]
        for given_up in claims:
            if given_up.attempts > attempts:
                park(session, given_up.event_id, given_up.consumer, "given up: every attempt ended without a word")
        return [taken for taken in claims if taken.attempts <= attempts]

    return in_unit_of_work(take)


def claim(event_id: UUID, consumer: str, *, lease: timedelta = LEASE, attempts: int = MAX_ATTEMPTS) -> Claim | None:
    """Take a delivery for the time of the lease, in a commit of its own; None when it is done, taken or parked."""
    return next(iter(claim_all([(event_id, consumer)], lease=lease, attempts=attempts)), None)


UNDER = "event_id = :event_id AND consumer = :consumer AND token = :token"
OURS = text(f"SELECT token FROM delivery WHERE {UNDER} AND status IN ('claimed', 'sent') FOR UPDATE")  # noqa: S608
FINISH = text(
    f"UPDATE delivery SET status = 'done', done_at = clock_timestamp(), error = NULL WHERE {UNDER}"  # noqa: S608
)


def under(taken: Claim) -> dict[str, Any]:
    return {"event_id": taken.event_id, "consumer": taken.consumer, "token": taken.token}


@contextmanager
def working(taken: Claim) -> Iterator[Session]:
    """A unit of work under a claim: Fenced unless the claim is still ours; nobody else works on it meanwhile."""
    with unit_of_work() as session:
        if session.execute(OURS, under(taken)).first() is None:
            raise Fenced
        yield session


def done_for(session: Session, taken: Claim) -> frozenset[UUID]:
    """The recipients for whom this delivery is done already."""
    found = session.scalar(
        select(Delivery.done_for).where(Delivery.event_id == taken.event_id, Delivery.consumer == taken.consumer)
    )
    return frozenset(found or ())


def renew(session: Session, taken: Claim, *, lease: timedelta = LEASE, done_for: UUID | None = None) -> None:
    """Hold a claim for longer, in a unit of work of `working`, so that long work is not taken over while it lives.

    `done_for`: one more recipient who has theirs and is not served again, however often the delivery comes.
    """
    done = {} if done_for is None else {"done_for": func.array_append(Delivery.done_for, done_for)}
    session.execute(
        update(Delivery)
        .where(Delivery.event_id == taken.event_id, Delivery.consumer == taken.consumer, Delivery.token == taken.token)
        .values(status=DeliveryStatus.CLAIMED, due_at=func.clock_timestamp() + cast(literal(lease), Interval), **done)
        .execution_options(synchronize_session=False)
    )


def finish(session: Session, taken: Claim) -> None:
    """Mark the delivery done in the transaction of its effect."""
    session.execute(FINISH, under(taken))


def leave(session: Session, event_id: UUID, consumer: str, *, for_at_most: timedelta) -> None:
    """Leave a delivery to a worker that knows its consumer: it rings again, and no attempt is counted.

    Parked when its event is older than `for_at_most`. What somebody else has claimed is left alone.
    """
    recorded_at = select(Event.recorded_at).where(Event.id == event_id).scalar_subquery()
    too_old = recorded_at < func.clock_timestamp() - cast(literal(for_at_most), Interval)
    session.execute(
        update(Delivery)
        .where(
            Delivery.event_id == event_id,
            Delivery.consumer == consumer,
            Delivery.status.in_((DeliveryStatus.WAITING, DeliveryStatus.SENT)),
        )
        .values(
            status=case((too_old, DeliveryStatus.PARKED), else_=DeliveryStatus.WAITING),
            due_at=func.clock_timestamp() + cast(literal(RING_AGAIN), Interval),
            error="no worker knows this consumer",
        )
        .execution_options(synchronize_session=False)
    )


def park(session: Session, event_id: UUID, consumer: str, error: str) -> None:
    """Set a delivery aside for a person to look at."""
    session.execute(
        update(Delivery)
        .where(Delivery.event_id == event_id, Delivery.consumer == consumer)
        .values(status=DeliveryStatus.PARKED, error=error[:2000])
    )


def postpone(taken: Claim, error: str, *, attempts: int = MAX_ATTEMPTS) -> None:
    """Give the delivery back after a failure, for later; parked with its error after the last attempt."""

    def give_back(session: Session) -> None:
        if taken.attempts >= attempts:
            park(session, taken.event_id, taken.consumer, error)
            return
        wait = timedelta(seconds=min(0.5 * 2**taken.attempts, 60))
        session.execute(
            update(Delivery)
            .where(
                Delivery.event_id == taken.event_id, Delivery.consumer == taken.consumer, Delivery.token == taken.token
            )
            .values(
                status=DeliveryStatus.WAITING,
                due_at=func.clock_timestamp() + cast(literal(wait), Interval),
                error=error[:2000],
            )
        )

    in_unit_of_work(give_back)


def deliver(event_id: UUID, consumer: str, work: Callable[[Session, Claim], None]) -> bool:
    """Claim, do, mark: `work` runs in one transaction with the mark. True when this call did it."""
    taken = claim(event_id, consumer)
    return taken is not None and deliver_claimed(taken, work)


def deliver_claimed(taken: Claim, work: Callable[[Session, Claim], None]) -> bool:
    """Do and mark, under a claim; False when the claim is no longer ours.

    A failure gives the delivery back with a growing pause and is raised again for the log.
    """
    try:
        with working(taken) as session:
            work(session, taken)
            finish(session, taken)
    except Fenced:
        return False
    except Exception as error:
        postpone(taken, f"{type(error).__name__}: {error}")
        raise
    return True


def parked(session: Session) -> Sequence[tuple[UUID, str, str, int, str | None]]:
    """What was set aside: event, kind, consumer, attempts, error."""
    rows = session.execute(
        select(Event.id, Event.kind, Delivery.consumer, Delivery.attempts, Delivery.error)
        .join(Event, Event.id == Delivery.event_id)
        .where(Delivery.status == DeliveryStatus.PARKED)
        .order_by(Event.id)
    )
    return [(key, kind, consumer, attempts, error) for key, kind, consumer, attempts, error in rows]


def retry_parked(session: Session, event_id: UUID, consumer: str | None = None) -> int:
    """Put parked deliveries of an event back to work; NotFound when there are none."""
    wanted = [Delivery.event_id == event_id, Delivery.status == DeliveryStatus.PARKED]
    if consumer:
        wanted.append(Delivery.consumer == consumer)
    changed = session.execute(
        update(Delivery)
        .where(*wanted)
        .values(status=DeliveryStatus.WAITING, attempts=0, due_at=func.clock_timestamp(), error=None)
    ).rowcount  # type: ignore[attr-defined]
    if not changed:
        raise NotFound("No parked work of this event.")
    return int(changed)


def backlog(session: Session) -> dict[str, int]:
    """How much is waiting: unnumbered events, open deliveries, parked deliveries."""
    row = session.execute(
        select(
            select(func.count()).select_from(Event).where(Event.posted_no.is_(None)).scalar_subquery(),
            select(func.count()).select_from(Delivery).where(Delivery.status.in_(OPEN)).scalar_subquery(),
            select(func.count()).select_from(Delivery).where(Delivery.status == "parked").scalar_subquery(),
        )
    ).one()
    return {"unnumbered": row[0], "open": row[1], "parked": row[2]}
