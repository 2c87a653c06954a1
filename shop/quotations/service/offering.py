"""Quote for a request, as a cooperative that is asked: sealed until the deadline, and replaced at will before it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shop.accounts import queries_units
from shop.actor import Actor
from shop.audit import service as audit
from shop.catalogue.models import Listing, ListingStatus, Product
from shop.db import unless_taken
from shop.errors import Invalid, NotFound, VersionConflict
from shop.ids import new_id
from shop.quotations import queries
from shop.quotations.models import (
    DeadlinePassed,
    Quotation,
    QuotationLine,
    QuotationRequest,
    RequestStatus,
    WrongRequestStatus,
)
from shop.quotations.schemas import SubmitQuote

ON_SALE = (ListingStatus.LISTED, ListingStatus.PAUSED)


def submit(session: Session, *, by: Actor, request_id: UUID, wanted: SubmitQuote, now: datetime) -> UUID:
    """Quote for some or all lines with listings of one's own; gives the quote's id. One without lines takes it back.

    The packs are as many as hold what is asked for and may be ordered; a later quote replaces the one before.
    """
    queries_units.require_active(session, by)
    row = queries.one(session, by, request_id)
    if row.buyer_id == by.organisation_id:
        raise NotFound("No such request for quotation of yours.")
    if row.status != RequestStatus.OPEN:
        raise WrongRequestStatus(request_status=row.status)
    if now >= row.deadline:
        raise DeadlinePassed(deadline=row.deadline.isoformat())
    lines = lines_of(session, by, row, wanted)
    version = session.scalar(
        select(func.coalesce(func.max(Quotation.version), 0) + 1).where(
            Quotation.request_id == row.id, Quotation.cooperative_id == by.organisation_id
        )
    )
    made = Quotation(
        id=new_id(),
        request_id=row.id,
        buyer_id=row.buyer_id,
        cooperative_id=by.organisation_id,
        version=version,
        opens_at=row.deadline,
        note=wanted.note,
        by_user_id=by.user_id,
        at=now,
    )
    with unless_taken(session, VersionConflict()):
        session.add(made)
    session.add_all(QuotationLine(quotation_id=made.id, request_id=row.id, **line) for line in lines)
    session.flush()
    audit.record(
        session, by=by, action="quotation.submitted", kind="quotation", subject=made.id, now=now, version=made.version
    )
    return made.id


def lines_of(session: Session, by: Actor, row: QuotationRequest, wanted: SubmitQuote) -> list[dict[str, Any]]:
    """The lines as they are kept, with their listings as they are now; NotFound or Invalid names the first at fault."""
    asked = {line.place: line for line in queries.lines_of(session, [row.id])[row.id]}
    found = {
        listing.id: (listing, product)
        for listing, product in session.execute(
            select(Listing, Product)
            .join(Product, Product.id == Listing.product_id)
            .where(
                Listing.id.in_([line.listing_id for line in wanted.lines]),
                Listing.cooperative_id == by.organisation_id,
                Listing.status.in_(ON_SALE),
            )
        )
    }
    kept: dict[int, dict[str, Any]] = {}
    for place, line in enumerate(wanted.lines):
        pair, asked_for = found.get(line.listing_id), asked.get(line.place)
        if pair is None:
            raise NotFound("No such listing of yours.", pointer=f"/lines/{place}/listing_id")
        if asked_for is None or line.place in kept:
            raise Invalid("The request has no such line, or it is above.", pointer=f"/lines/{place}/place")
        listing, product = pair
        if listing.base_unit != asked_for.base_unit:
            raise Invalid("This listing is measured in another unit.", pointer=f"/lines/{place}/listing_id")
        packs = packs_for(listing, asked_for.quantity)
        if packs > listing.max_packs:
            raise Invalid("More is asked for than may be ordered of it.", pointer=f"/lines/{place}/listing_id")
        kept[line.place] = {
            "place": line.place,
            "listing_id": listing.id,
            "listing_revision": listing.revision,
            "name": product.name,
            "spec": product.spec,
            "grade": product.grade,
            "pack_name": listing.pack_name,
            "base_unit": listing.base_unit,
            "pack_base_quantity": listing.pack_base_quantity,
            "pack_grams": listing.pack_grams,
            "origin_code": listing.origin_code,
            "storage": listing.storage,
            "packs": packs,
            "unit_fen": line.unit_fen,
        }
    return list(kept.values())


def packs_for(listing: Listing, quantity: int) -> int:
    """The fewest packs that hold so much and may be ordered: at least the minimum, in whole steps from it."""
    packs = max(listing.min_packs, -(-quantity // listing.pack_base_quantity))
    return listing.min_packs + -(-(packs - listing.min_packs) // listing.step_packs) * listing.step_packs
