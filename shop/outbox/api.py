"""The feed: what happened to an organisation, in numbered order, for programs that follow along.

Or posted to an address of theirs, as Standard Webhooks asks.
"""

from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as Uuid
from sqlalchemy.orm import Session
from sqlalchemy.sql import cast

from shop.actor import Actor, Role
from shop.errors import Invalid, NotFound
from shop.http import cursors
from shop.http.routes import ANY_MEMBER, NO_KEY, In, Out, Query, Routes, roles
from shop.ids import EndpointId, EventId
from shop.outbox import webhooks
from shop.outbox.models import DeliveryStatus, EndpointStatus, Event, WebhookEndpoint

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


webhook_routes = Routes("/v1/me/webhooks", tag="Webhooks")
KEEPERS = roles(Role.MANAGER, Role.LISTER, Role.SELLER_FINANCE, Role.OPERATOR, helpers=False)


class RegisterEndpoint(In):
    """An https address, and the kinds of events it is to hear; `*` is every kind."""

    url: Annotated[str, Field(min_length=10, max_length=2000)]
    kinds: Annotated[list[Annotated[str, Field(min_length=1, max_length=80)]], Field(min_length=1, max_length=50)]


class EndpointOut(Out):
    """An endpoint. `failures` are those in a row; a success sets them to 0."""

    id: EndpointId
    url: str
    kinds: list[str]
    status: EndpointStatus
    failures: int
    created_at: str


class NewEndpointOut(EndpointOut):
    """A new endpoint with the secret that its messages are signed with, shown this once."""

    secret: str


class EndpointList(Out):
    items: list[EndpointOut]


class LogQuery(Query):
    limit: Annotated[int, Field(ge=1, le=100)] = 24
    cursor: Annotated[str, Field(max_length=400)] | None = None


class SentOut(Out):
    """One event for one endpoint. `error` is what the last attempt met, `next_at` when the next one is due."""

    event_id: EventId
    kind: str
    at: str
    status: DeliveryStatus
    attempts: int
    error: str | None
    done_at: str | None
    next_at: str | None


class SentPage(Out):
    items: list[SentOut]
    next: str | None


class Redeliver(In):
    event_id: EventId


def endpoint_fields(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "kinds": endpoint.kinds,
        "status": EndpointStatus(endpoint.status),
        "failures": endpoint.failures,
        "created_at": endpoint.created_at.isoformat(),
    }


@webhook_routes.post(
    "",
    allow=KEEPERS,
    answers={201: NewEndpointOut},
    refusals=(Invalid, webhooks.TooManyEndpoints, webhooks.EndpointExists),
    key=NO_KEY,
)
def register_endpoint(session: Session, actor: Actor, body: RegisterEndpoint) -> NewEndpointOut:
    """Register an address for events.

    Messages are signed as Standard Webhooks 1.0 asks (`webhook-id`, `webhook-timestamp`, `webhook-signature`); the
    answer shows the secret, once. Whoever loses it removes the endpoint and registers it again. No Idempotency-Key is
    taken, because the answer must not be kept; the same address a second time is refused.
    """
    made = webhooks.register(session, actor=actor, url=body.url, kinds=body.kinds)
    return NewEndpointOut(**endpoint_fields(made), secret=webhooks.secret_of(made.id))


@webhook_routes.get("", allow=KEEPERS, answers={200: EndpointList})
def list_endpoints(session: Session, actor: Actor) -> EndpointList:
    """The organisation's endpoints."""
    return EndpointList(items=[EndpointOut(**endpoint_fields(row)) for row in webhooks.of_organisation(session, actor)])


@webhook_routes.delete("/<endpoint_id>", allow=KEEPERS, answers={204: None}, refusals=(NotFound,))
def remove_endpoint(session: Session, actor: Actor, endpoint_id: EndpointId) -> None:
    """Remove an endpoint with its log."""
    webhooks.remove(session, actor=actor, endpoint_id=endpoint_id)


@webhook_routes.post("/<endpoint_id>/enable", allow=KEEPERS, answers={200: EndpointOut}, refusals=(NotFound,))
def enable_endpoint(session: Session, actor: Actor, endpoint_id: EndpointId) -> EndpointOut:
    """Use an endpoint again that was disabled, or end its rest."""
    return EndpointOut(**endpoint_fields(webhooks.enable(session, actor=actor, endpoint_id=endpoint_id)))


@webhook_routes.get("/<endpoint_id>/deliveries", allow=KEEPERS, answers={200: SentPage}, refusals=(NotFound,))
def list_sent(session: Session, actor: Actor, endpoint_id: EndpointId, query: LogQuery) -> SentPage:
    """What was sent to an endpoint and what came of it, newest event first."""
    endpoint = webhooks.find(session, actor, endpoint_id)
    question = f"webhooks {endpoint.id.hex}"
    before = cursors.decode_id(question, query.cursor) if query.cursor else None
    found = webhooks.log_of(session, endpoint.id, before=before, limit=query.limit + 1)
    page, following = cursors.cut(question, found, query.limit, lambda row: row.event_id)
    return SentPage(
        items=[
            SentOut(
                event_id=row.event_id,
                kind=row.kind,
                at=row.at.isoformat(),
                status=DeliveryStatus(row.status),
                attempts=row.attempts,
                error=row.error,
                done_at=row.done_at.isoformat() if row.done_at else None,
                next_at=row.next_at.isoformat() if row.next_at else None,
            )
            for row in page
        ],
        next=following,
    )


@webhook_routes.post(
    "/<endpoint_id>/redeliver",
    allow=KEEPERS,
    answers={202: None},
    refusals=(NotFound, webhooks.EndpointDisabled, webhooks.DeliveryOpen),
)
def redeliver_event(session: Session, actor: Actor, endpoint_id: EndpointId, body: Redeliver) -> None:
    """Send an event to the endpoint again, under the same id."""
    webhooks.redeliver(session, actor=actor, endpoint_id=endpoint_id, event_id=body.event_id)
