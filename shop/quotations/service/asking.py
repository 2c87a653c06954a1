"""Ask cooperatives for quotes, take a request back, and say when its quotes can be read."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shop.accounts import queries_units
from shop.accounts.models import SELLERS, Address, Organisation
from shop.accounts.service.numbering import next_number
from shop.actor import Actor
from shop.audit import service as audit
from shop.clock import BEIJING
from shop.db import insert_rows, moved
from shop.errors import Invalid, NotFound
from shop.http.parsing import fault
from shop.ids import new_id
from shop.outbox import service as outbox
from shop.quotations import queries
from shop.quotations.models import (
    NEXT,
    Invitation,
    QuotationRequest,
    QuotationView,
    RequestLine,
    RequestStatus,
    Seen,
    WrongRequestStatus,
)
from shop.quotations.schemas import AskForQuotes

MOST_DAYS = 366


def ask(session: Session, *, by: Actor, wanted: AskForQuotes, now: datetime) -> UUID:
    """Ask the cooperatives that are named, all at once and each of the same; gives the request's id."""
    queries_units.require_active(session, by)
    address = session.scalars(
        select(Address).where(
            Address.id == wanted.delivery_address_id,
            Address.organisation_id == by.organisation_id,
            Address.retired_at.is_(None),
        )
    ).first()
    if address is None:
        raise NotFound("No such delivery address of yours.", pointer="/delivery_address_id")
    if not now < wanted.deadline <= now + timedelta(days=MOST_DAYS):
        raise Invalid("The deadline lies between now and a year ahead.", pointer="/deadline")
    selling = set(
        session.scalars(
            select(Organisation.id).where(
                Organisation.id.in_(wanted.cooperative_ids),
                Organisation.kind.in_(SELLERS),
                Organisation.status == "active",
            )
        )
    )
    faults = [
        fault(f"/cooperative_ids/{place}", "not_selling", "no active seller has this id")
        for place, key in enumerate(wanted.cooperative_ids)
        if key not in selling
    ]
    if faults:
        raise Invalid(errors=faults)
    made = QuotationRequest(
        id=new_id(),
        buyer_id=by.organisation_id,
        number=next_number(session, by.organisation_id, "RFQ", now.astimezone(BEIJING).year),
        title=wanted.title,
        address_id=address.id,
        delivery_code=address.division_code,
        deadline=wanted.deadline,
        valid_days=wanted.valid_days,
        note=wanted.note,
        made_by=by.user_id,
        made_at=now,
    )
    session.add(made)
    session.flush()
    session.add_all(
        [
            *(
                RequestLine(request_id=made.id, place=place, **line.model_dump())
                for place, line in enumerate(wanted.lines)
            ),
            *(
                Invitation(request_id=made.id, cooperative_id=key, buyer_id=by.organisation_id)
                for key in wanted.cooperative_ids
            ),
        ]
    )
    session.flush()
    audit.record(
        session, by=by, action="quotation.requested", kind="quotation_request", subject=made.id, now=now,
        number=made.number, cooperatives=sorted(key.hex for key in selling),
    )  # fmt: skip
    tell(session, made, "quotation.requested", [by.organisation_id, *selling], now)
    return made.id


def cancel(session: Session, *, by: Actor, request_id: UUID, reason: str, now: datetime) -> None:
    """Take an open request back; nothing of it is awarded any more."""
    row = own(session, by, request_id)
    if not moved(session, row, RequestStatus.CANCELLED, NEXT, closed_by=by.user_id, closed_at=now, reason=reason):
        raise WrongRequestStatus(request_status=row.status)
    audit.record(
        session, by=by, action="quotation.cancelled", kind="quotation_request", subject=row.id, now=now, reason=reason
    )
    tell(session, row, "quotation.cancelled", [by.organisation_id, *queries.invited(session, [row.id])[row.id]], now)


def own(session: Session, by: Actor, request_id: UUID) -> QuotationRequest:
    row = queries.one(session, by, request_id)
    if row.buyer_id != by.organisation_id:
        raise NotFound("No such request for quotation of yours.")
    return row


def open_due(session: Session, *, now: datetime) -> int:
    """Tell one buyer that a deadline has passed and the quotes can be read; gives 1, or 0 when nobody is to be told."""
    row = queries.next_sealed(session, now)
    if row is None:
        return 0
    session.execute(update(QuotationRequest).where(QuotationRequest.id == row.id).values(opened_at=now))
    tell(session, row, "quotation.opened", [row.buyer_id], now)
    return 1


def tell(session: Session, row: QuotationRequest, kind: str, seen_by: list[UUID], now: datetime) -> None:
    outbox.announce(session, kind, now=now, seen_by=seen_by, quotation_request_id=row.id)


def note_view(session: Session, *, by: Actor, row: QuotationRequest, what: Seen, now: datetime) -> None:
    """Keep that somebody read something of a request."""
    view = {
        "id": new_id(),
        "request_id": row.id,
        "buyer_id": row.buyer_id,
        "organisation_id": by.organisation_id,
        "user_id": by.user_id,
        "what": what,
        "at": now,
    }
    insert_rows(session, (QuotationView, [view]))
