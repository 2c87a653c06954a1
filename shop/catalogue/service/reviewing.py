"""Publish what was handed in, or return it with reasons; take off the shelves what may not be sold."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session

from shop.accounts.models import Kind, Organisation
from shop.accounts.service import selling
from shop.actor import SYSTEM, Actor
from shop.catalogue import queries
from shop.catalogue.models import Listing, ListingStatus, Product
from shop.catalogue.schemas import ReviewIn, ReviewOne
from shop.catalogue.service.revising import changed, move
from shop.clock import business_day
from shop.errors import Refusal, VersionConflict


def review(session: Session, *, listing_id: UUID, by: Actor, wanted: ReviewIn, now: datetime) -> None:
    """Publish a listing, or return it to its cooperative with the reasons: a note, and what to correct by field."""
    listing, product = queries.listing(session, by, listing_id)
    if wanted.revision is not None and wanted.revision != listing.revision:
        raise VersionConflict(f"The listing is at revision {listing.revision} now.", revision=listing.revision)
    values: dict[str, Any] = {
        "review_note": wanted.note or None,
        "review_fields": [one.model_dump() for one in wanted.fields],
    }
    if wanted.decision == "approve":
        # The right may have ended since the listing was handed in.
        product.mandate_id = selling.standing(
            session,
            organisation_id=listing.cooperative_id,
            product=product.name,
            category=product.category,
            on=business_day(now),
            mandate_id=product.mandate_id,
        ).mandate_id
        to, kind = ListingStatus.LISTED, "listing.published"
        values |= {"listed_at": now, "reviewed_tiers": Listing.tiers}
    else:
        to, kind = ListingStatus.DRAFT, "listing.returned"
    move(session, [listing_id], to=to, revision=wanted.revision, **values)
    changed(session, [listing_id], kind, by=by, now=now, today=business_day(now), reason=wanted.note or None)


@dataclass(frozen=True)
class Outcome:
    """What became of one decision of many: done, or refused with its reason."""

    listing_id: UUID
    refusal: Refusal | None


def review_many(session: Session, *, decisions: Sequence[ReviewOne], by: Actor, now: datetime) -> list[Outcome]:
    """Decide each in a savepoint of its own, so that one that is refused leaves the others alone; in the given order.

    Rows are locked in the order of their ids, whatever the order of the list.
    """
    outcomes: dict[UUID, Outcome] = {}
    for one in sorted(decisions, key=lambda one: one.listing_id):
        try:
            with session.begin_nested():
                review(session, listing_id=one.listing_id, by=by, wanted=one, now=now)
            outcomes[one.listing_id] = Outcome(one.listing_id, None)
        except Refusal as refusal:
            outcomes[one.listing_id] = Outcome(one.listing_id, refusal)
    return [outcomes[one.listing_id] for one in decisions]


def delist(session: Session, *, listing_id: UUID, by: Actor, now: datetime, reason: str | None = None) -> None:
    """Take a listing off sale, a reviewer with the reason; what was ordered of it stays ordered."""
    queries.listing(session, by, listing_id)
    said: dict[str, Any] = {"review_note": reason} if reason else {}
    move(session, [listing_id], to=ListingStatus.DELISTED, **said)
    changed(session, [listing_id], "listing.delisted", by=by, now=now, today=business_day(now), reason=reason)


def lapse_prices(session: Session, *, now: datetime, limit: int = 500) -> int:
    """Take listings whose price has run out off the shelves, until their cooperative names another; gives how many."""
    today = business_day(now)
    found = session.scalars(
        select(Listing.id)
        .where(Listing.status.in_((ListingStatus.LISTED, ListingStatus.PAUSED)), Listing.price_to <= today)
        .order_by(Listing.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    move(session, found, to=ListingStatus.LAPSED)
    changed(session, found, "listing.lapsed", by=SYSTEM, now=now, today=today)
    return len(found)


def follow_right(session: Session, *, cooperative_id: UUID, now: datetime) -> int:
    """Take a seller's listings off the shelves while it may not sell, and put them back when it may; gives how many.

    An agent sells what a mandate in force names. What the rows say now decides, so that events which come twice or late
    do no harm; the organisation's is locked, so that of two who follow it the later one sees what the earlier one did.
    """
    today = business_day(now)
    row = session.execute(
        select(Organisation.kind, Organisation.status, Organisation.selling_until)
        .where(Organisation.id == cooperative_id)
        .with_for_update(key_share=True)
    ).one()
    sells = row.status == "active" and row.selling_until is not None and row.selling_until > today
    covered: Any = func.agent_mandate_of(cooperative_id, Product.mandate_id, Product.name, today).is_not(None)
    found = session.execute(
        select(Listing.id, Listing.status, covered if sells and row.kind == Kind.AGENT else literal(sells))
        .join(Product, Product.id == Listing.product_id)
        .where(
            Listing.cooperative_id == cooperative_id, Listing.status.in_((ListingStatus.LISTED, ListingStatus.PAUSED))
        )
        .order_by(Listing.id)
        .with_for_update(of=Listing)
    ).all()
    count = 0
    for before, after, kind in (
        (ListingStatus.PAUSED, ListingStatus.LISTED, "listing.resumed"),
        (ListingStatus.LISTED, ListingStatus.PAUSED, "listing.paused"),
    ):
        moving = [key for key, status, shown in found if status == before and shown == (after == ListingStatus.LISTED)]
        if moving:
            move(session, moving, to=after)
            changed(session, moving, kind, by=SYSTEM, now=now, today=today)
        count += len(moving)
    return count
