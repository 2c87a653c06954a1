"""Outgoing webhooks: an organisation's events, posted to its own addresses as Standard Webhooks asks.

A message is a delivery of the outbox whose consumer is `webhook:<endpoint>`, so leases, fencing and parking are the
outbox's. It is signed, carries the event's id however often it is sent, and is tried for three days. An endpoint that
fails again and again is left to rest between calls and is disabled in the end (`webhook_endpoint.disabled`), which
`410 Gone` does at once.
"""

import base64
import hashlib
import hmac
import ipaddress
import json
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import Float, Interval, Row, Select, case, cast, delete, func, literal, select, text, update
from sqlalchemy.orm import Session

from config.settings import settings
from shop.actor import Actor
from shop.clock import machine_now
from shop.errors import Invalid, NotFound, Refusal
from shop.http import outgoing
from shop.ids import PublicId, new_id
from shop.outbox import service as outbox
from shop.outbox.models import Delivery, DeliveryStatus, EndpointStatus, Event, WebhookEndpoint

PUBLISHED = (
    "agent_mandate.began",
    "agent_mandate.confirmed",
    "agent_mandate.expired",
    "agent_mandate.registered",
    "agent_mandate.revoked",
    "application.approved",
    "application.rejected",
    "application.returned",
    "application.step_approved",
    "application.submitted",
    "assist_mandate.given",
    "assist_mandate.revoked",
    "assist_mandate.used",
    "buying_mandate.active",
    "buying_mandate.proposed",
    "capacity.exceeded",
    "charge.requested",
    "charge.succeeded",
    "charge.vouched",
    "claim.closed",
    "claim.contested",
    "claim.raised",
    "claim.undefended",
    "inspection.lapsed",
    "inspection.returned",
    "inspection.signed",
    "listing_import.applied",
    "order.payment_extended",
    "order_change.agreed",
    "order_change.lapsed",
    "order_change.proposed",
    "order_change.refused",
    "order_change.withdrawn",
    "order.placed",
    "order_photo.refused",
    "order_photo.uploaded",
    "organisation.changed",
    "organisation.closed",
    "origin.granted",
    "photo.refused",
    "photo.removed",
    "photo.uploaded",
    "price_mapping.changed",
    "price_report.received",
    "prices.day_began",
    "quota.due",
    "quota_filing.accepted",
    "quota_filing.returned",
    "recall.ordered",
    "recall.released",
    "reference_prices.loaded",
    "refund.failed",
    "refund.requested",
    "refund.succeeded",
    "registration.approved",
    "registration.returned",
    "registration.submitted",
    "selling_right.expired",
    "selling_right.granted",
    "selling_right.reinstated",
    "selling_right.reminded",
    "selling_right.renewed",
    "selling_right.revoked",
    "selling_right.suspended",
    "shipment.delivered",
    "standing_order.fell_short",
    "standing_order.ran",
    "supplier_order.acceptance_due",
    "supplier_order.acceptance_overdue",
    "supplier_order.accepted",
    "supplier_order.accepted_silently",
    "supplier_order.cancelled",
    "supplier_order.claim_closed",
    "supplier_order.confirmation_due",
    "supplier_order.confirmation_overdue",
    "supplier_order.confirmed",
    "supplier_order.delivered",
    "supplier_order.disputed",
    "supplier_order.hold_lapsed",
    "supplier_order.inspected",
    "supplier_order.packed",
    "supplier_order.settled",
    "supplier_order.shipment_due",
    "supplier_order.shipment_late",
    "supplier_order.shipped",
    "supplier_order.supply_found",
    "supplier_order.supply_gone",
    "supplier_order.unpacked",
    "supply.allocated",
    "supply.offered",
    "unit_link.offered",
    "webhook_endpoint.disabled",
)
"""The kinds of events that organisations may see, and so may choose."""

CONSUMER = "webhook:"
MAX_ENDPOINTS = 10
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400))
"""Between attempts, give or take a fifth: the schedule that Standard Webhooks recommends, over three days."""
ATTEMPTS = len(PAUSES) + 1
REST_AFTER = 5
DISABLE_AFTER = 20
"""Failures in a row. Rests begin at 10 seconds, double up to 4 hours, and so last most of a day before the end."""
EVENT_ID = PublicId("evt")


class TooManyEndpoints(Refusal):
    code, status = "too_many_endpoints", 409
    title, title_zh = (
        f"An organisation has at most {MAX_ENDPOINTS} webhooks.",
        f"每个单位最多{MAX_ENDPOINTS}个回调地址。",
    )


class EndpointExists(Refusal):
    code, status = "endpoint_exists", 409
    title, title_zh = "This address is registered already.", "该回调地址已登记。"


class EndpointDisabled(Refusal):
    code, status = "endpoint_disabled", 409
    title, title_zh = "This webhook is disabled; enable it first.", "该回调已停用，请先启用。"


class DeliveryOpen(Refusal):
    code, status = "delivery_open", 409
    title, title_zh = "This event is being delivered already.", "该事件正在投递。"


def consumer_of(endpoint_id: UUID) -> str:
    return CONSUMER + endpoint_id.hex


def secret_of(endpoint_id: UUID) -> str:
    """The secret of an endpoint as its owner keeps it, `whsec_` and base64; made anew whenever it is needed."""
    made = hmac.digest(settings().secret_key.encode(), b"webhook endpoint " + endpoint_id.bytes, "sha256")
    return "whsec_" + base64.b64encode(made).decode()


def headers_of(endpoint_id: UUID, message_id: str, sent_at: datetime, body: bytes) -> dict[str, str]:
    """The headers of Standard Webhooks 1.0: the signature covers the id, the second of sending and the body."""
    seconds = str(int(sent_at.timestamp()))
    key = base64.b64decode(secret_of(endpoint_id).removeprefix("whsec_"))
    signature = hmac.new(key, b".".join((message_id.encode(), seconds.encode(), body)), hashlib.sha256).digest()
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": seconds,
        "webhook-signature": "v1," + base64.b64encode(signature).decode(),
    }


def is_own_network(url: str) -> bool:
    """Whether the host is written as this machine or as an address that is not public."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    with suppress(ValueError):
        return not outgoing.is_public(ipaddress.ip_address(host))
    return host == "localhost"


def register(session: Session, *, actor: Actor, url: str, kinds: Sequence[str]) -> WebhookEndpoint:
    """Register an address for kinds of events (`*` for all).

    Invalid for an address that is not https on the public internet; the embedded start and tests also take this
    machine's own. TooManyEndpoints, EndpointExists.
    """
    unknown = sorted(set(kinds) - {*PUBLISHED, "*"})
    if unknown:
        raise Invalid(f"There are no events of the kind {unknown[0]}.", pointer="/kinds")
    is_private = not settings().production and is_own_network(url)
    try:
        outgoing.check(url, allow_private=is_private)
    except outgoing.Forbidden as error:
        raise Invalid(str(error), pointer="/url") from error
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(actor.organisation_id.hex, 7))))
    mine = session.scalars(
        select(WebhookEndpoint.url).where(WebhookEndpoint.organisation_id == actor.organisation_id)
    ).all()
    if url in mine:
        raise EndpointExists(pointer="/url")
    if len(mine) >= MAX_ENDPOINTS:
        raise TooManyEndpoints(allowed=MAX_ENDPOINTS)
    made = WebhookEndpoint(
        id=new_id(), organisation_id=actor.organisation_id, url=url, kinds=sorted(set(kinds)), is_private=is_private
    )
    session.add(made)
    session.flush()
    return made


def of_organisation(session: Session, actor: Actor) -> Sequence[WebhookEndpoint]:
    """The organisation's endpoints, oldest first."""
    return session.scalars(
        select(WebhookEndpoint)
        .where(WebhookEndpoint.organisation_id == actor.organisation_id)
        .order_by(WebhookEndpoint.id)
    ).all()


def find(session: Session, actor: Actor, endpoint_id: UUID) -> WebhookEndpoint:
    """An endpoint of the actor's organisation, or NotFound."""
    found = session.scalars(
        select(WebhookEndpoint).where(
            WebhookEndpoint.id == endpoint_id, WebhookEndpoint.organisation_id == actor.organisation_id
        )
    ).first()
    if found is None:
        raise NotFound
    return found


def remove(session: Session, *, actor: Actor, endpoint_id: UUID) -> None:
    """Remove an endpoint with its log; what is under way is dropped."""
    session.delete(find(session, actor, endpoint_id))
    session.flush()
    session.execute(delete(Delivery).where(*deliveries_of(endpoint_id)))


def enable(session: Session, *, actor: Actor, endpoint_id: UUID) -> WebhookEndpoint:
    """Use an endpoint again, with nothing held against it; what was missed is sent by `redeliver`."""
    found = find(session, actor, endpoint_id)
    found.status, found.failures, found.rest_until = EndpointStatus.ACTIVE, 0, None
    session.flush()
    return found


def deliveries_of(endpoint_id: UUID) -> tuple[Any, ...]:
    return (Delivery.consumer == consumer_of(endpoint_id), text("delivery.consumer LIKE 'webhook:%'"))


def log_of(session: Session, endpoint_id: UUID, *, before: UUID | None, limit: int) -> Sequence[Row[Any]]:
    """What was sent to an endpoint, newest event first."""
    wanted: Select[Any] = (
        select(
            Delivery.event_id,
            Event.kind,
            Event.at,
            Delivery.status,
            Delivery.attempts,
            Delivery.error,
            Delivery.done_at,
            case((Delivery.status == DeliveryStatus.WAITING, Delivery.due_at)).label("next_at"),
        )
        .join(Event, Event.id == Delivery.event_id)
        .where(*deliveries_of(endpoint_id))
        .order_by(Delivery.event_id.desc())
        .limit(limit)
    )
    return session.execute(wanted.where(Delivery.event_id < before) if before else wanted).all()


def redeliver(session: Session, *, actor: Actor, endpoint_id: UUID, event_id: UUID) -> None:
    """Send an event to the endpoint once more, under the same id; every attempt is its own again.

    NotFound for an event that was never meant for it, EndpointDisabled, DeliveryOpen.
    """
    endpoint = find(session, actor, endpoint_id)
    if endpoint.status != EndpointStatus.ACTIVE:
        raise EndpointDisabled
    one = (*deliveries_of(endpoint_id), Delivery.event_id == event_id)
    free = (DeliveryStatus.DONE, DeliveryStatus.PARKED, DeliveryStatus.WAITING)
    again = session.execute(
        update(Delivery)
        .where(*one, Delivery.status.in_(free))
        .values(
            status=DeliveryStatus.WAITING, attempts=0, due_at=func.clock_timestamp(), error=None, done_at=None,
        )
        .returning(Delivery.event_id)
        .execution_options(synchronize_session=False)
    ).first()  # fmt: skip
    if again is None:
        raise DeliveryOpen if session.scalar(select(Delivery.event_id).where(*one)) else NotFound


def fan_out(session: Session, events: Sequence[tuple[UUID, int]]) -> int:
    """Make the deliveries of newly numbered events to the endpoints that chose them; gives how many."""
    if not events:
        return 0
    made = session.execute(
        text(
            """
            INSERT INTO delivery (event_id, consumer, status, attempts, token)
            SELECT e.id, 'webhook:' || replace(w.id::text, '-', ''), 'waiting', 0, 0
            FROM event e
            JOIN webhook_endpoint w ON w.organisation_id = ANY(e.seen_by) AND w.status = 'active'
             AND (e.kind = ANY(w.kinds) OR '*' = ANY(w.kinds))
            WHERE e.id = ANY(CAST(:ids AS uuid[]))
            ON CONFLICT DO NOTHING
            """
        ),
        {"ids": [event_id for event_id, _ in events]},
    )
    return int(made.rowcount)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Message:
    """What is posted, where to, and under which claim."""

    claim: outbox.Claim
    endpoint_id: UUID
    url: str
    allow_private: bool
    headers: Mapping[str, str]
    body: bytes


def prepare(session: Session, taken: outbox.Claim) -> Message | None:
    """The signed message of a claim; None when nothing is to be sent now, with the delivery left as it should be.

    While an endpoint rests only one call at a time tries it; the others wait without using up an attempt.
    """
    endpoint_id = UUID(hex=taken.consumer.removeprefix(CONSUMER))
    found = session.get(WebhookEndpoint, endpoint_id)
    if found is None or found.status != EndpointStatus.ACTIVE:
        outbox.park(session, taken.event_id, taken.consumer, "not sent: the endpoint is disabled")
        return None
    if found.failures >= REST_AFTER and not may_try(session, found):
        wait_without_attempt(session, taken, found.id)
        return None
    message_id = EVENT_ID.format(taken.event_id)
    told = {"type": taken.kind, "timestamp": taken.at.isoformat(), "data": dict(taken.payload)}
    body = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
    return Message(
        taken,
        found.id,
        found.url,
        found.is_private and not settings().production,
        headers_of(found.id, message_id, machine_now(session), body),
        body,
    )


def may_try(session: Session, endpoint: WebhookEndpoint) -> bool:
    """Take the one try that a resting endpoint is due, for as long as a call may take."""
    taken = session.execute(
        update(WebhookEndpoint)
        .where(
            WebhookEndpoint.id == endpoint.id,
            func.coalesce(WebhookEndpoint.rest_until, func.clock_timestamp()) <= func.clock_timestamp(),
        )
        .values(rest_until=func.clock_timestamp() + cast(literal(outbox.LEASE), Interval))
        .returning(WebhookEndpoint.id)
        .execution_options(synchronize_session=False)
    ).first()
    return taken is not None


def wait_without_attempt(session: Session, taken: outbox.Claim, endpoint_id: UUID) -> None:
    """Give a delivery back until the rest is over, a little spread out, as if it had not been tried."""
    until = select(WebhookEndpoint.rest_until).where(WebhookEndpoint.id == endpoint_id).scalar_subquery()
    spread = timedelta(seconds=1 + random.random() * 30)  # noqa: S311 - spreads load, guards nothing
    give_back(session, taken, due_at=until + cast(literal(spread), Interval), attempts=Delivery.attempts - 1)


def give_back(session: Session, taken: outbox.Claim, **values: Any) -> None:
    session.execute(
        update(Delivery)
        .where(Delivery.event_id == taken.event_id, Delivery.consumer == taken.consumer, Delivery.token == taken.token)
        .values(status=DeliveryStatus.WAITING, **values)
        .execution_options(synchronize_session=False)
    )


def post(message: Message) -> outgoing.Response | outgoing.OutgoingError:
    """Send it: the answer, or why there was none. Speaks to the network, so outside any unit of work."""
    try:
        return outgoing.post(message.url, message.body, message.headers, allow_private=message.allow_private)
    except outgoing.OutgoingError as error:
        return error


def note(
    session: Session, message: Message, answer: outgoing.Response | outgoing.OutgoingError, *, now: datetime
) -> None:
    """Keep what came of it: done, later, or given up; and what it says about the endpoint. `now` is business time."""
    if isinstance(answer, outgoing.Response) and 200 <= answer.status < 300:
        outbox.finish(session, message.claim)
        session.execute(
            update(WebhookEndpoint)
            .where(WebhookEndpoint.id == message.endpoint_id, WebhookEndpoint.failures > 0)
            .values(failures=0, rest_until=None)
            .execution_options(synchronize_session=False)
        )
        return
    is_gone = isinstance(answer, outgoing.Response) and answer.status == 410
    why = f"answered {answer.status}" if isinstance(answer, outgoing.Response) else str(answer)
    disabled = count_failure(session, message.endpoint_id, at_once=is_gone, now=now)
    attempts = message.claim.attempts
    if disabled or attempts >= ATTEMPTS or isinstance(answer, outgoing.Forbidden):
        outbox.park(session, message.claim.event_id, message.claim.consumer, why)
        return
    pause = PAUSES[attempts - 1] * (0.8 + 0.4 * random.random())  # noqa: S311 - spreads load, guards nothing
    if isinstance(answer, outgoing.Response):
        pause = max(pause, asked_pause(answer))
    give_back(session, message.claim, due_at=func.clock_timestamp() + cast(literal(pause), Interval), error=why)


def asked_pause(answer: outgoing.Response) -> timedelta:
    """What a Retry-After in seconds asks for, up to a day."""
    asked = answer.headers.get("retry-after", "")
    return timedelta(seconds=min(int(asked), 86_400)) if asked.isascii() and asked.isdigit() else timedelta()


def count_failure(session: Session, endpoint_id: UUID, *, at_once: bool, now: datetime) -> bool:
    """Count a failure against an endpoint; True when it is disabled now, which is announced once."""
    doubled = func.power(2, func.least(WebhookEndpoint.failures + 1 - REST_AFTER, 20), type_=Float)
    rest = func.make_interval(0, 0, 0, 0, 0, 0, func.least(10 * doubled, 4 * 3600))
    row = session.execute(
        update(WebhookEndpoint)
        .where(WebhookEndpoint.id == endpoint_id)
        .values(
            failures=WebhookEndpoint.failures + 1,
            rest_until=case(
                (
                    WebhookEndpoint.failures + 1 >= REST_AFTER,
                    func.clock_timestamp() + rest,
                )
            ),
        )
        .returning(WebhookEndpoint.failures, WebhookEndpoint.status, WebhookEndpoint.organisation_id)
        .execution_options(synchronize_session=False)
    ).first()
    if row is None:
        return True
    if row.status == EndpointStatus.DISABLED:
        return True
    if not at_once and row.failures < DISABLE_AFTER:
        return False
    session.execute(
        update(WebhookEndpoint)
        .where(WebhookEndpoint.id == endpoint_id)
        .values(status=EndpointStatus.DISABLED)
        .execution_options(synchronize_session=False)
    )
    outbox.announce(
        session, "webhook_endpoint.disabled", now=now, seen_by=[row.organisation_id], endpoint_id=endpoint_id
    )
    return True
