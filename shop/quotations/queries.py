"""What may be read of requests for quotation, and by whom."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, exists, or_, select
from sqlalchemy.orm import Session

from shop.accounts.models import Organisation
from shop.actor import Actor
from shop.errors import NotFound
from shop.quotations.models import (
    Invitation,
    Quotation,
    QuotationAward,
    QuotationEvidence,
    QuotationLine,
    QuotationRequest,
    QuotationView,
    RequestLine,
)


def visible_to(actor: Actor) -> Select[QuotationRequest]:
    """The requests that the actor's organisation made or is asked by; every read starts here."""
    asked = exists().where(
        Invitation.request_id == QuotationRequest.id, Invitation.cooperative_id == actor.organisation_id
    )
    return select(QuotationRequest).where(or_(QuotationRequest.buyer_id == actor.organisation_id, asked))


def one(session: Session, actor: Actor, request_id: UUID) -> QuotationRequest:
    """One of them as it stands, or NotFound."""
    wanted = visible_to(actor).where(QuotationRequest.id == request_id)
    found = session.scalars(wanted.execution_options(populate_existing=True)).first()
    if found is None:
        raise NotFound("No such request for quotation of yours.")
    return found


def lines_of(session: Session, ids: Collection[UUID]) -> dict[UUID, list[RequestLine]]:
    """The lines of these requests, in one statement."""
    found: dict[UUID, list[RequestLine]] = {key: [] for key in ids}
    for line in session.scalars(
        select(RequestLine).where(RequestLine.request_id.in_(ids)).order_by(RequestLine.request_id, RequestLine.place)
    ):
        found[line.request_id].append(line)
    return found


def invited(session: Session, ids: Collection[UUID]) -> dict[UUID, dict[UUID, str]]:
    """Who is asked by these requests, by name."""
    found: dict[UUID, dict[UUID, str]] = {key: {} for key in ids}
    for row in session.execute(
        select(Invitation.request_id, Organisation.id, Organisation.name)
        .join(Organisation, Organisation.id == Invitation.cooperative_id)
        .where(Invitation.request_id.in_(ids))
        .order_by(Organisation.id)
    ):
        found[row.request_id][row.id] = row.name
    return found


def name_of(session: Session, organisation_id: UUID) -> str:
    return session.scalars(select(Organisation.name).where(Organisation.id == organisation_id)).one()


def versions_of(session: Session, request_id: UUID) -> Sequence[Quotation]:
    """Every version of every quote, oldest first. Whoever calls this has seen to it that the deadline has passed."""
    return session.scalars(
        select(Quotation).where(Quotation.request_id == request_id).order_by(Quotation.at, Quotation.id)
    ).all()


def last_of(session: Session, request_id: UUID, cooperative_id: UUID) -> Quotation | None:
    """The quote of a cooperative as it counts."""
    return session.scalars(
        select(Quotation)
        .where(Quotation.request_id == request_id, Quotation.cooperative_id == cooperative_id)
        .order_by(Quotation.version.desc())
        .limit(1)
    ).first()


def quoted_lines(session: Session, ids: Collection[UUID]) -> dict[UUID, list[QuotationLine]]:
    """The lines of these quotes, in one statement."""
    found: dict[UUID, list[QuotationLine]] = {key: [] for key in ids}
    for line in session.scalars(
        select(QuotationLine)
        .where(QuotationLine.quotation_id.in_(ids))
        .order_by(QuotationLine.quotation_id, QuotationLine.place)
    ):
        found[line.quotation_id].append(line)
    return found


def awards_of(session: Session, request_id: UUID) -> Sequence[QuotationAward]:
    return session.scalars(
        select(QuotationAward).where(QuotationAward.request_id == request_id).order_by(QuotationAward.place)
    ).all()


def views_of(session: Session, request_id: UUID) -> Sequence[QuotationView]:
    return session.scalars(
        select(QuotationView).where(QuotationView.request_id == request_id).order_by(QuotationView.id)
    ).all()


def evidence_of(session: Session, request_id: UUID) -> QuotationEvidence | None:
    return session.get(QuotationEvidence, request_id)


def next_sealed(session: Session, now: datetime) -> QuotationRequest | None:
    """The open request whose deadline passed longest ago and was not said yet, locked."""
    return session.scalars(
        select(QuotationRequest)
        .where(
            QuotationRequest.status == "open", QuotationRequest.opened_at.is_(None), QuotationRequest.deadline <= now
        )
        .order_by(QuotationRequest.deadline, QuotationRequest.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()
