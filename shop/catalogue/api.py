"""Listings for cooperatives, and their review."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from shop.accounts.service.applying import CountyNotAdmitted
from shop.accounts.service.selling import MandateExpired, NoSellingRight
from shop.actor import Actor, Audience, Role
from shop.catalogue import queries
from shop.catalogue.models import WrongListingStatus
from shop.catalogue.schemas import (
    ChangeListing,
    DelistIn,
    GrantOrigin,
    ListingOut,
    ListingPage,
    ListingsQuery,
    NewListing,
    OriginOut,
    OriginsOut,
    RevertIn,
    ReviewedMany,
    ReviewedOut,
    ReviewIn,
    ReviewMany,
    ReviewsQuery,
    RevisionPage,
    listing_out,
    revision_out,
)
from shop.catalogue.service import changing, origins, submitting
from shop.catalogue.service.reviewing import delist, review, review_many
from shop.errors import NotFound, VersionConflict
from shop.http import cursors
from shop.http.routes import REQUIRED, Routes, audience, roles
from shop.ids import ListingId, OrganisationId

selling = Routes("/v1/cooperative", tag="Selling")
reviewing = Routes("/v1/admin", tag="Review")
lister = roles(Role.LISTER, of=Audience.COOPERATIVE)
reviewer = roles(Role.OPERATOR, Role.COUNTY_REVIEWER, of=Audience.ADMIN)
operator = roles(Role.OPERATOR, of=Audience.ADMIN)


def listed(session: Session, actor: Actor, query: ListingsQuery, status: str | None = None) -> ListingPage:
    question = f"listings {status or ''} {actor.organisation_id.hex}"
    after = cursors.decode_id(question, query.cursor) if query.cursor else None
    found = queries.page(session, actor, after=after, limit=query.limit, status=status)
    page, following = cursors.cut(question, found, query.limit, lambda row: row[0].id)
    return ListingPage(
        items=[listing_out(listing, product) for listing, product in page],
        next=following,
    )


def revisions_of(session: Session, actor: Actor, listing_id: UUID, query: ListingsQuery) -> RevisionPage:
    question = f"revisions {listing_id.hex}"
    before = cursors.decode(question, query.cursor, (int,))[0] if query.cursor else None
    found = queries.revisions(session, actor, listing_id, before=before, limit=query.limit)
    page, more = found[: query.limit], len(found) > query.limit
    return RevisionPage(
        items=[revision_out(revision) for revision in page],
        next=cursors.encode(question, [page[-1].revision]) if more else None,
    )


@selling.post(
    "/listings",
    allow=lister,
    answers={201: ListingOut},
    refusals=(NotFound, NoSellingRight, MandateExpired, CountyNotAdmitted, origins.OriginNotYours),
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
    refusals=(NotFound, VersionConflict, changing.RevisionMissing, NoSellingRight, MandateExpired),
)
def change_listing(
    session: Session, actor: Actor, now: datetime, listing_id: ListingId, body: ChangeListing, if_match: str | None
) -> ListingOut:
    """Change prices, their days, quantities or season; If-Match carries the revision that was read.

    A cut, and a rise of at most 10 % above the reviewed price, is on sale at once; more goes to review first. A listing
    whose price has run out (`lapsed`) is on sale again with a price that holds.
    """
    changing.change(session, listing_id=listing_id, by=actor, wanted=body, revision=if_match, now=now)
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


@selling.get("/listings/<listing_id>/revisions", allow=audience(Audience.COOPERATIVE), answers={200: RevisionPage})
def list_own_revisions(session: Session, actor: Actor, listing_id: ListingId, query: ListingsQuery) -> RevisionPage:
    """What a listing said, revision by revision, newest first."""
    return revisions_of(session, actor, listing_id, query)


@selling.post(
    "/listings/<listing_id>/revert",
    allow=lister,
    answers={200: ListingOut},
    refusals=(
        NotFound,
        VersionConflict,
        changing.RevisionMissing,
        NoSellingRight,
        MandateExpired,
        CountyNotAdmitted,
        origins.OriginNotYours,
    ),
)
def revert_listing(
    session: Session, actor: Actor, now: datetime, listing_id: ListingId, body: RevertIn, if_match: str | None
) -> ListingOut:
    """Make a listing again what it said at a revision, its product too; If-Match carries the revision that was read.

    It is a change as any other: a new revision, that goes to review where the rules want one.
    """
    changing.revert(session, listing_id=listing_id, to=body.revision, by=actor, revision=if_match, now=now)
    return listing_out(*queries.listing(session, actor, listing_id))


@reviewing.get("/listings", allow=reviewer, answers={200: ListingPage})
def list_reviews(session: Session, actor: Actor, query: ReviewsQuery) -> ListingPage:
    """Listings by status, newest first; a county reviewer sees those of the reviewer's counties."""
    return listed(session, actor, query, query.status)


@reviewing.get("/listings/<listing_id>", allow=reviewer, answers={200: ListingOut})
def read_listing_to_review(session: Session, actor: Actor, listing_id: ListingId) -> ListingOut:
    """One listing as it stands."""
    return listing_out(*queries.listing(session, actor, listing_id))


@reviewing.get("/listings/<listing_id>/revisions", allow=reviewer, answers={200: RevisionPage})
def list_revisions(session: Session, actor: Actor, listing_id: ListingId, query: ListingsQuery) -> RevisionPage:
    """What a listing said, revision by revision, newest first."""
    return revisions_of(session, actor, listing_id, query)


@reviewing.post(
    "/listings/<listing_id>/review",
    allow=reviewer,
    answers={200: ListingOut},
    refusals=(NotFound, WrongListingStatus, VersionConflict, NoSellingRight, MandateExpired),
)
def review_listing(session: Session, actor: Actor, now: datetime, listing_id: ListingId, body: ReviewIn) -> ListingOut:
    """Publish a listing, or return it with the reasons; with `revision`, only what was looked at."""
    review(session, listing_id=listing_id, by=actor, wanted=body, now=now)
    return listing_out(*queries.listing(session, actor, listing_id))


@reviewing.post("/listing-reviews", allow=reviewer, answers={200: ReviewedMany})
def review_listings(session: Session, actor: Actor, now: datetime, body: ReviewMany) -> ReviewedMany:
    """Decide many at once; each succeeds or is refused by itself, and the answer says which."""
    outcomes = review_many(session, decisions=body.decisions, by=actor, now=now)
    return ReviewedMany(
        items=[
            ReviewedOut(
                listing_id=outcome.listing_id,
                result=outcome.refusal.code if outcome.refusal else "done",
                status=outcome.refusal.status if outcome.refusal else 200,
                detail=(outcome.refusal.detail or outcome.refusal.title) if outcome.refusal else None,
                facts=outcome.refusal.facts if outcome.refusal else {},
            )
            for outcome in outcomes
        ]
    )


@reviewing.post(
    "/listings/<listing_id>/delist", allow=reviewer, answers={200: ListingOut}, refusals=(NotFound, WrongListingStatus)
)
def delist_anybodys_listing(
    session: Session, actor: Actor, now: datetime, listing_id: ListingId, body: DelistIn
) -> ListingOut:
    """Take a listing off sale with the reason; its cooperative may change it and hand it in again."""
    delist(session, listing_id=listing_id, by=actor, now=now, reason=body.reason)
    return listing_out(*queries.listing(session, actor, listing_id))


def origins_of(session: Session, organisation_id: UUID) -> OriginsOut:
    return OriginsOut(
        items=[
            OriginOut(
                county_code=grant.county_code,
                valid_from=grant.valid.lower,
                valid_to=grant.valid.upper,
                document=grant.document,
            )
            for grant in queries.granted_origins(session, organisation_id)
        ]
    )


@selling.get("/origins", allow=audience(Audience.COOPERATIVE), answers={200: OriginsOut})
def list_own_origins(session: Session, actor: Actor) -> OriginsOut:
    """The counties besides its own whose goods the cooperative may list."""
    return origins_of(session, actor.organisation_id)


@reviewing.post(
    "/sellers/<organisation_id>/origins",
    allow=operator,
    answers={201: OriginsOut},
    refusals=(NotFound, CountyNotAdmitted, origins.OriginGranted),
)
def grant_origin(
    session: Session, actor: Actor, now: datetime, organisation_id: OrganisationId, body: GrantOrigin
) -> OriginsOut:
    """Extend a seller's admission to goods of another county that a list admits."""
    origins.grant(session, seller_id=organisation_id, wanted=body, by=actor, now=now)
    return origins_of(session, organisation_id)
