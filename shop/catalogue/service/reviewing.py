"""Publish what was handed in, or return it with reasons; take off the shelves what may not be sold."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.accounts.models import Organisation
from shop.accounts.service import selling
from shop.actor import SYSTEM, Actor
from shop.catalogue import queries
from shop.catalogue.models import Listing, ListingStatus
from shop.catalogue.schemas import ReviewIn
from shop.catalogue.service.revising import changed, move
from shop.clock import business_day
from shop.errors import VersionConflict


def review(session: Session, *, listing_id: UUID, by: Actor, wanted: ReviewIn, now: datetime) -> None:
    """Publish a listing or return it to its cooperative with a note."""
    listing, product = queries.listing(session, by, listing_id)
    if wanted.revision is not None and wanted.revision != listing.revision:
        raise VersionConflict(f"The listing is at revision {listing.revision} now.", revision=listing.revision)
    values: dict[str, Any] = {"review_note": wanted.note or None}
    if wanted.decision == "approve":
        # The right may have ended since the listing was handed in.
        selling.standing(
            session,
            organisation_id=listing.cooperative_id,
            product=product.name,
            category=product.category,
            on=business_day(now),
        )
        to, kind = ListingStatus.LISTED, "listing.published"
        values |= {"listed_at": now, "reviewed_tiers": Listing.tiers}
    else:
        to, kind = ListingStatus.DRAFT, "listing.returned"
    move(session, [listing_id], to=to, revision=wanted.revision, **values)
    changed(session, [listing_id], kind, by=by, now=now, today=business_day(now), reason=wanted.note or None)


def delist(session: Session, *, listing_id: UUID, by: Actor, now: datetime) -> None:
    """Take a listing off sale; what was ordered of it stays ordered."""
    queries.listing(session, by, listing_id)
    move(session, [listing_id], to=ListingStatus.DELISTED)
    changed(session, [listing_id], "listing.delisted", by=by, now=now, today=business_day(now))


def follow_right(session: Session, *, cooperative_id: UUID, now: datetime) -> int:
    """Take a seller's listings off the shelves while it may not sell, and put them back when it may; gives how many.

    What the organisation's row says now decides, so that events which come twice or late do no harm; the row is locked,
    so that of two who follow it the later one sees what the earlier one did.
    """
    today = business_day(now)
    row = session.execute(
        select(Organisation.status, Organisation.selling_until)
        .where(Organisation.id == cooperative_id)
        .with_for_update(key_share=True)
    ).one()
    sells = row.status == "active" and row.selling_until is not None and row.selling_until > today
    before, after, kind = (
        (ListingStatus.PAUSED, ListingStatus.LISTED, "listing.resumed")
        if sells
        else (ListingStatus.LISTED, ListingStatus.PAUSED, "listing.paused")
    )
    found = session.scalars(
        select(Listing.id)
        .where(Listing.cooperative_id == cooperative_id, Listing.status == before)
        .order_by(Listing.id)
        .with_for_update()
    ).all()
    move(session, found, to=after)
    changed(session, found, kind, by=SYSTEM, now=now, today=today)
    return len(found)
