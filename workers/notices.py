"""Telling organisations what happened. Who hears of an event is who may see it, on the sides that it concerns."""

import smtplib
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.accounts.models import AUDIENCE, Kind, Membership, Organisation, User
from shop.clock import business_now, machine_now
from shop.ids import PublicId
from shop.notices import service as notices
from shop.orders.models import SupplierOrder
from shop.outbox import service as outbox
from shop.outbox.models import Event
from shop.stock.service import recalling

log = structlog.get_logger()
PART = PublicId("so")
SUBJECTS = {
    "recall_id": PublicId("rcl"),
    "allocation_id": PublicId("alc"),
    "endpoint_id": PublicId("hook"),
    "agreement_id": PublicId("agr"),
    "quotation_request_id": PublicId("rfq"),
    "alert_id": PublicId("pal"),
    "claim_id": PublicId("clm"),
    "report_id": PublicId("prep"),
    "supplier_order_id": PART,
    "application_id": PublicId("app"),
    "standing_order_id": PublicId("sto"),
    "requisition_id": PublicId("req"),
    "suspected_id": PublicId("ord"),
    "filing_id": PublicId("qfil"),
    "listing_id": PublicId("lst"),
    "photo_id": PublicId("pht"),
    "certificate_id": PublicId("crt"),
    "link_id": PublicId("ulk"),
    "mandate_id": PublicId("mnd"),
    "registration_id": PublicId("reg"),
    "unit_id": PublicId("unit"),
    "organisation_id": PublicId("org"),
}
"""What an event is about, for everybody who is told: the first of these that its payload names."""

OTHERS = {"agent_mandate": {"mandate_id": PublicId("agm")}}
"""What the payload of some events means by a name."""


class NotSent(Exception):
    """Some were put off; says how many, and never whom."""


class Recipient(NamedTuple):
    membership_id: UUID
    user_id: UUID
    organisation_id: UUID
    address: str


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


tell.takes_claim = True  # type: ignore[attr-defined]


def tell_of_recall(taken: outbox.Claim, *, recall_id: UUID, **payload: Any) -> None:
    """Write the notices of a recall, and that its buyers were told, in one commit."""
    with outbox.working(taken) as session:
        subjects = subjects_of(session, taken, payload | {"recall_id": recall_id})
        notices.tell(session, subjects=subjects, source_id=taken.event_id, kind=taken.kind, at=taken.at)
        recalling.record_told(session, recall_id=recall_id, buyer_ids=subjects, now=business_now(session))
        outbox.finish(session, taken)


tell_of_recall.takes_claim = True  # type: ignore[attr-defined]


def mail(taken: outbox.Claim, **payload: Any) -> None:
    """Mail the members of the organisations that are told, one by one, each under the claim.

    Who has the mail is remembered with the delivery, so that one who was put off costs the others nothing.
    """
    with outbox.working(taken) as session:
        subjects = subjects_of(session, taken, payload)
        done = outbox.done_for(session, taken)
        people = [person for person in members_of(session, list(subjects)) if person.membership_id not in done]
        at = machine_now(session)
        outbox.renew(session, taken)
    put_off: list[int] = []
    for person in people:
        subject, body = notices.mail_of(taken.kind, subjects[person.organisation_id])
        codes = send(taken, person, subject=subject, body=body, at=at)
        put_off += codes
        with outbox.working(taken) as session:  # and the lease is for the next one
            outbox.renew(session, taken, done_for=None if codes else person.membership_id)
    if put_off:
        raise NotSent(f"the mail server put off {len(put_off)} of {len(people)}: {sorted(set(put_off))}")
    with outbox.working(taken) as session:
        outbox.finish(session, taken)


mail.calls_out = True  # type: ignore[attr-defined]


def send(taken: outbox.Claim, person: Recipient, *, subject: str, body: str, at: datetime) -> list[int]:
    """Send one mail; gives the codes of a refusal for now. One for good is final, and only logged."""
    message_id = f"{taken.event_id.hex}.{person.organisation_id.hex}.{person.user_id.hex}"
    try:
        notices.send_mail(to=person.address, subject=subject, body=body, message_id=message_id, at=at)
    except smtplib.SMTPRecipientsRefused as error:  # its words name the recipient, and errors are kept with deliveries
        codes = [code for code, _ in error.recipients.values()]
        if min(codes) < 500:
            return codes
        log.warning("mail_refused", user=person.user_id.hex, codes=codes)
    return []


def subjects_of(session: Session, taken: outbox.Claim, payload: dict[str, Any]) -> dict[UUID, str]:
    """Who is told, and of what: a cooperative of its own part of an order, a buyer of the part that moved."""
    seen_by = session.scalar(select(Event.seen_by).where(Event.id == taken.event_id)) or []
    rows = session.execute(select(Organisation.id, Organisation.kind).where(Organisation.id.in_(seen_by)))
    told = [key for key, kind in rows if AUDIENCE[Kind(kind)] in notices.TOLD[taken.kind]]
    for name, form in (SUBJECTS | OTHERS.get(taken.kind.partition(".")[0], {})).items():
        if name in payload:
            return dict.fromkeys(told, form.format(payload[name]))
    parts = session.execute(
        select(SupplierOrder.cooperative_id, SupplierOrder.id).where(SupplierOrder.order_id == payload["order_id"])
    )
    return {cooperative: PART.format(key) for cooperative, key in parts if cooperative in told}


def members_of(session: Session, organisations: list[UUID]) -> list[Recipient]:
    """The active members who have an e-mail."""
    rows = session.execute(
        select(Membership.id, User.id, Membership.organisation_id, User.email)
        .join(Membership, Membership.user_id == User.id)
        .where(
            Membership.organisation_id.in_(organisations),
            Membership.ended_at.is_(None),
            User.status == "active",
            User.email.is_not(None),
        )
        .order_by(Membership.organisation_id, User.id)
    )
    return [Recipient(member, user, organisation, email) for member, user, organisation, email in rows if email]
