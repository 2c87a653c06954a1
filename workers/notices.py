"""Telling organisations what happened. Who hears of an event is who may see it, on the sides that it concerns."""

import smtplib
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.accounts.models import AUDIENCE, Kind, Membership, Organisation, User
from shop.clock import machine_now
from shop.ids import PublicId
from shop.notices import service as notices
from shop.orders.models import SupplierOrder
from shop.outbox import service as outbox
from shop.outbox.models import Event

log = structlog.get_logger()
PART = PublicId("so")
SUBJECTS = {
    "endpoint_id": PublicId("hook"),
    "supplier_order_id": PART,
    "application_id": PublicId("app"),
    "filing_id": PublicId("qfil"),
    "link_id": PublicId("ulk"),
    "mandate_id": PublicId("mnd"),
    "registration_id": PublicId("reg"),
    "unit_id": PublicId("unit"),
    "organisation_id": PublicId("org"),
}
"""What an event is about, for everybody who is told: the first of these that its payload names."""


def tell(taken: outbox.Claim, **payload: Any) -> None:
    """Write the notices of an event. It takes the claim itself, because a notice is told once per event."""
    with outbox.working(taken) as session:
        notices.tell(
            session,
            subjects=subjects_of(session, taken, payload),
            source_id=taken.event_id,
            kind=taken.kind,
            at=taken.at,
        )
        outbox.finish(session, taken)


tell.calls_out = True  # type: ignore[attr-defined]


def mail(taken: outbox.Claim, **payload: Any) -> None:
    """Mail the members of the organisations that are told, one by one, each under the claim."""
    with outbox.working(taken) as session:
        subjects = subjects_of(session, taken, payload)
        people = members_of(session, list(subjects))
        at = machine_now(session)
    for user_id, organisation_id, address in people:
        subject, body = notices.mail_of(taken.kind, subjects[organisation_id])
        send(taken, to=address, subject=subject, body=body, user_id=user_id, organisation_id=organisation_id, at=at)
    with outbox.working(taken) as session:
        outbox.finish(session, taken)


mail.calls_out = True  # type: ignore[attr-defined]


def send(
    taken: outbox.Claim, *, to: str, subject: str, body: str, user_id: UUID, organisation_id: UUID, at: datetime
) -> None:
    with outbox.working(taken) as session:
        outbox.renew(session, taken)
    message_id = f"{taken.event_id.hex}.{organisation_id.hex}.{user_id.hex}"
    try:
        notices.send_mail(to=to, subject=subject, body=body, message_id=message_id, at=at)
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        if min(codes) < 500:  # for now: the delivery comes again
            raise
        log.warning("mail_refused", user=user_id.hex, codes=codes)


def subjects_of(session: Session, taken: outbox.Claim, payload: dict[str, Any]) -> dict[UUID, str]:
    """Who is told, and of what: a cooperative of its own part of an order, a buyer of the part that moved."""
    seen_by = session.scalar(select(Event.seen_by).where(Event.id == taken.event_id)) or []
    rows = session.execute(select(Organisation.id, Organisation.kind).where(Organisation.id.in_(seen_by)))
    told = [key for key, kind in rows if AUDIENCE[Kind(kind)] in notices.TOLD[taken.kind]]
    for name, form in SUBJECTS.items():
        if name in payload:
            return dict.fromkeys(told, form.format(payload[name]))
    parts = session.execute(
        select(SupplierOrder.cooperative_id, SupplierOrder.id).where(SupplierOrder.order_id == payload["order_id"])
    )
    return {cooperative: PART.format(key) for cooperative, key in parts if cooperative in told}


def members_of(session: Session, organisations: list[UUID]) -> list[tuple[UUID, UUID, str]]:
    """(person, organisation, e-mail) of the active members who have one."""
    rows = session.execute(
        select(User.id, Membership.organisation_id, User.email)
        .join(Membership, Membership.user_id == User.id)
        .where(
            Membership.organisation_id.in_(organisations),
            Membership.ended_at.is_(None),
            User.status == "active",
            User.email.is_not(None),
        )
        .order_by(Membership.organisation_id, User.id)
    )
    return [(user_id, organisation_id, email) for user_id, organisation_id, email in rows if email]
