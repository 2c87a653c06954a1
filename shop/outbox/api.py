"""The feed: what happened to an organisation, in numbered order, for programs that follow along."""

from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import ARRAY, select
from sqlalchemy.dialects.postgresql import UUID as Uuid
from sqlalchemy.orm import Session
from sqlalchemy.sql import cast

from shop.actor import Actor
from shop.http.routes import ANY_MEMBER, Out, Query, Routes
from shop.ids import EventId
from shop.outbox.models import Event

routes = Routes("/v1", tag="Events")


class EventsQuery(Query):
    after: Annotated[int, Field(ge=0, le=2**62)] = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class EventOut(Out):
    """One announcement. Ids in the payload are in hex, without their prefix."""

    no: int
    id: EventId
    kind: str
    at: str
    payload: dict[str, Any]


class EventPage(Out):
    items: list[EventOut]
    next_after: int


@routes.get("/events", allow=ANY_MEMBER, answers={200: EventPage})
def read_events(session: Session, actor: Actor, query: EventsQuery) -> EventPage:
    """What happened after a number, oldest first.

    Ask again with `next_after`: numbers are given after commit, so nothing that committed late is ever skipped.
    """
    mine = Event.seen_by.contains(cast([actor.organisation_id], ARRAY(Uuid(as_uuid=True))))
    rows = session.execute(
        select(Event.posted_no, Event.id, Event.kind, Event.at, Event.payload)
        .where(mine, Event.posted_no > query.after)
        .order_by(Event.posted_no)
        .limit(query.limit)
    ).all()
    items = [
        EventOut(no=no or 0, id=key, kind=kind, at=at.isoformat(), payload=payload)
        for no, key, kind, at, payload in rows
    ]
    return EventPage(items=items, next_after=items[-1].no if items else query.after)
