"""Propose an agreement, answer a proposal, take one back or end it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from shop.accounts import queries_units
from shop.accounts.models import BUYERS
from shop.actor import Actor, Audience
from shop.agreements import queries
from shop.agreements.models import NEXT, AgreementLine, AgreementStatus, FrameworkAgreement, WrongAgreementStatus
from shop.agreements.schemas import ProposeAgreement, ProposeToBuyer
from shop.audit import service as audit
from shop.catalogue.models import Listing, ListingStatus, Product
from shop.clock import business_day
from shop.db import moved
from shop.errors import Invalid, NotFound
from shop.ids import new_id
from shop.outbox import service as outbox

ON_SALE = (ListingStatus.LISTED, ListingStatus.PAUSED)


def propose(session: Session, *, by: Actor, wanted: ProposeAgreement, now: datetime) -> UUID:
    """Propose prices to the other side, who may accept them as they stand; gives the agreement's id.

    A buyer proposes to the cooperative whose listings these are, a cooperative to the buyer that it names.
    """
    queries_units.require_active(session, by)
    if wanted.valid_to <= business_day(now):
        raise Invalid("The last day has passed.", pointer="/valid_to")
    listings = listings_of(session, by, wanted)
    (cooperative_id,) = {row.cooperative_id for row in listings}
    buyer_id = by.organisation_id
    if isinstance(wanted, ProposeToBuyer):
        buyer_id = queries_units.buyer_by_code(session, wanted.buyer_uscc, kinds=BUYERS, pointer="/buyer_uscc")
    made = FrameworkAgreement(
        id=new_id(),
        buyer_id=buyer_id,
        cooperative_id=cooperative_id,
        proposed_by=by.organisation_id,
        reference=wanted.reference,
        valid=Range(wanted.valid_from, wanted.valid_to),
        ceiling_fen=wanted.ceiling_fen,
        note=wanted.note,
        proposed_by_user_id=by.user_id,
        proposed_at=now,
    )
    session.add(made)
    session.flush()
    session.add_all(
        AgreementLine(
            agreement_id=made.id,
            place=place,
            listing_id=row.id,
            listing_revision=row.revision,
            name=row.name,
            pack_name=row.pack_name,
            pack_base_quantity=row.pack_base_quantity,
            unit_fen=line.unit_fen,
            ceiling_packs=line.ceiling_packs,
        )
        for place, (line, row) in enumerate(zip(wanted.lines, listings, strict=True))
    )
    session.flush()
    note(session, by, made, now)
    return made.id


def listings_of(session: Session, by: Actor, wanted: ProposeAgreement) -> list[Any]:
    """The listings of the lines in their order, all on sale, all of one cooperative: a seller's own."""
    columns = (
        Listing.id, Listing.cooperative_id, Listing.status, Listing.revision, Listing.pack_name,
        Listing.pack_base_quantity, Product.name,
    )  # fmt: skip
    ids = [line.listing_id for line in wanted.lines]
    found = {
        row.id: row
        for row in session.execute(
            select(*columns).join(Product, Product.id == Listing.product_id).where(Listing.id.in_(ids))
        )
    }
    of_seller = by.audience is Audience.COOPERATIVE
    listings: list[Any] = []
    for place, key in enumerate(ids):
        row, pointer = found.get(key), f"/lines/{place}/listing_id"
        if row is None or (of_seller and row.cooperative_id != by.organisation_id):
            raise NotFound("No such listing of yours." if of_seller else "No such listing on sale.", pointer=pointer)
        if row.status not in ON_SALE:
            raise NotFound("No such listing on sale.", pointer=pointer)
        if ids.index(key) != place:
            raise Invalid("This listing is on another line already.", pointer=pointer)
        if listings and row.cooperative_id != listings[0].cooperative_id:
            raise Invalid("An agreement is with one cooperative.", pointer=pointer)
        listings.append(row)
    return listings


def answer(session: Session, *, by: Actor, agreement_id: UUID, accept: bool, reason: str | None, now: datetime) -> None:
    """Accept or decline what the other side proposed; accepted, its prices hold on its days."""
    queries_units.require_active(session, by)
    row = queries.one(session, by, agreement_id)
    if row.proposed_by == by.organisation_id:
        raise WrongAgreementStatus("Whoever proposed it does not answer it.", agreement_status=row.status)
    assert row.valid.upper is not None
    if accept and row.valid.upper <= business_day(now):
        raise WrongAgreementStatus("The last day has passed.", agreement_status=row.status)
    become(
        session, by, row, AgreementStatus.ACCEPTED if accept else AgreementStatus.DECLINED, now,
        answered_by_user_id=by.user_id, answered_at=now, reason=reason,
    )  # fmt: skip


def end(session: Session, *, by: Actor, agreement_id: UUID, reason: str, now: datetime) -> None:
    """Take back what one's own side proposed, or end what was agreed, as either side; orders placed before stand."""
    row = queries.one(session, by, agreement_id)
    proposed = row.status == AgreementStatus.PROPOSED
    if proposed and row.proposed_by != by.organisation_id:
        raise WrongAgreementStatus("Decline what was proposed.", agreement_status=row.status)
    become(
        session, by, row, AgreementStatus.WITHDRAWN if proposed else AgreementStatus.ENDED, now,
        ended_by_user_id=by.user_id, ended_at=now, reason=reason,
    )  # fmt: skip


def become(
    session: Session, by: Actor, row: FrameworkAgreement, to: AgreementStatus, now: datetime, **values: Any
) -> None:
    if not moved(session, row, to, NEXT, **values):
        raise WrongAgreementStatus(agreement_status=row.status)
    note(session, by, row, now)


def note(session: Session, by: Actor, row: FrameworkAgreement, now: datetime) -> None:
    """Put what an agreement became into the trail, and tell the other side."""
    audit.record(
        session, by=by, action=f"agreement.{row.status}", kind="agreement", subject=row.id, now=now, reason=row.reason
    )
    other = row.cooperative_id if by.organisation_id == row.buyer_id else row.buyer_id
    outbox.announce(session, f"agreement.{row.status}", now=now, seen_by=[other], agreement_id=row.id)
