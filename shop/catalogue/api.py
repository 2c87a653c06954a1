"""Listings for cooperatives, and their review."""

from datetime import datetime

from sqlalchemy.orm import Session

from shop.accounts.service.selling import MandateExpired, NoSellingRight
from shop.actor import Actor, Audience, Role
from shop.catalogue import queries
from shop.catalogue.models import WrongListingStatus
from shop.catalogue.schemas import (
    ChangeListing,
    ListingOut,
    ListingPage,
    ListingsQuery,
    NewListing,
    ReviewIn,
    ReviewsQuery,
    listing_out,
)
from shop.catalogue.service import submitting
from shop.catalogue.service.reviewing import delist, review
from shop.errors import NotFound, VersionConflict
from shop.http import cursors
from shop.http.routes import REQUIRED, Routes, audience, roles
from shop.ids import ListingId

selling = Routes("/v1/cooperative", tag="Selling")
reviewing = Routes("/v1/admin", tag="Review")
lister = roles(Role.LISTER, of=Audience.COOPERATIVE)
reviewer = roles(Role.OPERATOR, Role.COUNTY_REVIEWER, of=Audience.ADMIN)


def listed(session: Session, actor: Actor, query: ListingsQuery, status: str | None = None) -> ListingPage:
    question = f"listings {status or ''} {actor.organisation_id.hex}"
    after = cursors.decode_id(question, query.cursor) if query.cursor else None
    found = queries.page(session, actor, after=after, limit=query.limit, status=status)
    page, following = cursors.cut(question, found, query.limit, lambda row: row[0].id)
    return ListingPage(
        items=[listing_out(listing, product) for listing, product in page],
        next=following,
    )


@selling.post(
    "/listings",
    allow=lister,
    answers={201: ListingOut},
    refusals=(NotFound, NoSellingRight, MandateExpired),
    key=REQUIRED,
)
def submit_listing(session: Session, actor: Actor, now: datetime, body: NewListing) -> ListingOut:
    """Hand in a listing for review.

    The product of this cooperative and code is made or brought up to date; when a fact of it changes, its other
    listings that are on sale go back to review. `product_id` names one that is to stay as it is.
    """
    made = submitting.submit(session, by=actor, wanted=body, now=now)
    return listing_out(*queries.listing(session, actor, made))


@selling.get("/listings", allow=audience(Audience.COOPERATIVE), answers={200: ListingPage})
def list_own_listings(session: Session, actor: Actor, query: ListingsQuery) -> ListingPage:
    """The cooperative's listings, newest first."""
    return listed(session, actor, query)


@selling.get("/listings/<listing_id>", allow=audience(Audience.COOPERATIVE), answers={200: ListingOut})
def read_own_listing(session: Session, actor: Actor, listing_id: ListingId) -> ListingOut:
    """One listing of the cooperative with its revision."""
    return listing_out(*queries.listing(session, actor, listing_id))


@selling.patch(
    "/listings/<listing_id>",
    allow=lister,
    answers={200: ListingOut},
    refusals=(NotFound, VersionConflict, submitting.RevisionMissing, NoSellingRight, MandateExpired),
)
def change_listing(
    session: Session, actor: Actor, now: datetime, listing_id: ListingId, body: ChangeListing, if_match: str | None
) -> ListingOut:
    """Change prices, quantities or season; If-Match carries the revision that was read.

    A cut, and a rise of at most 10 % above the reviewed price, is on sale at once; more goes to review first.
    """
    submitting.change(session, listing_id=listing_id, by=actor, wanted=body, revision=if_match, now=now)
    return listing_out(*queries.listing(session, actor, listing_id))


@selling.post(
    "/listings/<listing_id>/delist",
    allow=lister,
    answers={200: ListingOut},
    refusals=(NotFound, WrongListingStatus),
)
def delist_listing(session: Session, actor: Actor, now: datetime, listing_id: ListingId) -> ListingOut:
    """Take a listing off sale."""
    delist(session, listing_id=listing_id, by=actor, now=now)
    return listing_out(*queries.listing(session, actor, listing_id))


@reviewing.get("/listings", allow=reviewer, answers={200: ListingPage})
def list_reviews(session: Session, actor: Actor, query: ReviewsQuery) -> ListingPage:
    """Listings by status, newest first; a county reviewer sees those of the reviewer's counties."""
    return listed(session, actor, query, query.status)


@reviewing.post(
    "/listings/<listing_id>/review",
    allow=reviewer,
    answers={200: ListingOut},
    refusals=(NotFound, WrongListingStatus, VersionConflict, NoSellingRight, MandateExpired),
)
def review_listing(session: Session, actor: Actor, now: datetime, listing_id: ListingId, body: ReviewIn) -> ListingOut:
    """Publish a listing or return it with a note; with `revision`, only what was looked at."""
    review(session, listing_id=listing_id, by=actor, wanted=body, now=now)
    return listing_out(*queries.listing(session, actor, listing_id))
