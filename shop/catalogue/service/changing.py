"""Change a listing, or make it again what it once was; what must be looked at again (`rules`) goes to review."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.orm import Session

from shop.accounts.service import selling
from shop.actor import Actor
from shop.catalogue import queries, rules
from shop.catalogue.models import Listing, ListingRevision, ListingStatus, Product
from shop.catalogue.schemas import ChangeListing, ProductIn, day_of
from shop.catalogue.service.origins import may_come_from
from shop.catalogue.service.products import change_product
from shop.catalogue.service.revising import changed
from shop.catalogue.service.submitting import beyond, note_beyond, refuse_old_price
from shop.clock import business_day
from shop.errors import Invalid, NotFound, Refusal, VersionConflict

DAYS = ("price_from", "price_to")


class RevisionMissing(Refusal):
    code, status = "precondition_required", 428
    title, title_zh = "Send the revision you read as If-Match.", "请以 If-Match 提供所读取的版本号。"


def at_revision(session: Session, by: Actor, listing_id: UUID, revision: str | None) -> tuple[Listing, Product]:
    """The actor's listing with its product while it is at `revision`; else RevisionMissing or VersionConflict."""
    if revision is None:
        raise RevisionMissing(pointer="/header/If-Match")
    listing, product = queries.listing(session, by, listing_id)
    if revision != str(listing.revision):
        raise VersionConflict(f"The listing is at revision {listing.revision} now.", revision=listing.revision)
    return listing, product


def change(
    session: Session, *, listing_id: UUID, by: Actor, wanted: ChangeListing, revision: str | None, now: datetime
) -> None:
    """Change a listing that is still at `revision`, or refuse with VersionConflict."""
    listing, product = at_revision(session, by, listing_id, revision)
    given = wanted.model_dump(exclude_none=True)
    given |= {name: None for name in DAYS if name in wanted.model_fields_set and getattr(wanted, name) is None}
    if wanted.tiers:
        given["tiers"] = [[tier.min_packs, tier.price_fen] for tier in wanted.tiers]
    apply(session, listing, product, given, by=by, now=now)


def revert(session: Session, *, listing_id: UUID, to: int, by: Actor, revision: str | None, now: datetime) -> None:
    """Make a listing what it said at revision `to`, its product's facts too, as a new revision.

    Whatever differs from now goes by the same rules as any other change. Photos, and what revisions did not keep yet
    then, stay as they are; days of prices that are over are not taken up again. NotFound for a revision that never was;
    where the product's facts change, it is refused as a submission is.
    """
    listing, product = at_revision(session, by, listing_id, revision)
    kept = session.get(ListingRevision, (listing_id, to))
    if kept is None:
        raise NotFound("The listing never was at this revision.", pointer="/revision")
    said, today = kept.content, business_day(now)
    facts = {
        name: said["product"][name]
        for name in rules.PRODUCT
        if name in ProductIn.model_fields and name in said["product"]
    }
    looked_at_again = False
    if any(getattr(product, name) != value for name, value in facts.items()):
        stands = selling.standing(
            session,
            organisation_id=listing.cooperative_id,
            product=facts["name"],
            category=facts["category"],
            on=today,
            mandate_id=product.mandate_id,
        )
        product.mandate_id = stands.mandate_id
        may_come_from(
            session,
            organisation_id=listing.cooperative_id,
            county=facts["origin_code"],
            mandate_id=stands.mandate_id,
            on=today,
            pointer="/revision",
        )
        looked_at_again = change_product(session, product, facts, by=by, now=now, apart_from=listing_id)
    given = {name: said[name] for name in rules.LISTING if name not in DAYS}
    begin, end = (day_of(said.get(name)) for name in DAYS)
    if end is None or end > today:
        given |= {"price_from": begin, "price_to": end}
    apply(session, listing, product, given, by=by, now=now, looked_at_again=looked_at_again)


def apply(
    session: Session,
    listing: Listing,
    product: Product,
    given: dict[str, Any],
    *,
    by: Actor,
    now: datetime,
    looked_at_again: bool = False,
) -> None:
    """Write what is given into a listing as its next revision, on sale or handed in for review by the rules.

    A listing whose price has run out is on sale again with the change, where no rule wants a review. Invalid for what
    does not hang together, VersionConflict when somebody changed it meanwhile.
    """
    today = business_day(now)
    after = {name: given[name] if name in given else getattr(listing, name) for name in rules.LISTING}
    refuse_unfit(after, today)
    fields = [name for name, value in after.items() if value != getattr(listing, name)]
    grows = after["max_packs"] > listing.max_packs
    values = dict(after)
    is_beyond = False
    if grows or listing.status != ListingStatus.LISTED:
        stands = selling.standing(
            session,
            organisation_id=listing.cooperative_id,
            product=product.name,
            category=product.category,
            on=today,
            mandate_id=product.mandate_id,
        )
        product.mandate_id = stands.mandate_id
        is_beyond = beyond(stands, after["max_packs"], listing.pack_grams)
        values["review_note"] = note_beyond(stands, after["max_packs"], listing.pack_grams) or listing.review_note
    because = rules.needs_review(
        fields,
        reviewed=listing.reviewed_tiers or listing.tiers,
        wanted=after["tiers"],
        grows=grows,
        beyond=is_beyond,
        on=today,
    )
    stands_reviewed = listing.status in (ListingStatus.LISTED, ListingStatus.LAPSED)
    stays = stands_reviewed and not because and not looked_at_again
    # What was decided above holds for this revision only, so the UPDATE asks for it again.
    done = session.execute(
        update(Listing)
        .where(Listing.id == listing.id, Listing.revision == listing.revision)
        .values(
            **values,
            price_fen=after["tiers"][0][1],
            status=ListingStatus.LISTED if stays else ListingStatus.IN_REVIEW,
            revision=Listing.revision + 1,
        )
        .execution_options(synchronize_session=False)
        .returning(Listing.id)
    ).first()
    if done is None:
        raise VersionConflict
    kind = "listing.changed" if stays else "listing.submitted"
    changed(session, [listing.id], kind, by=by, now=now, today=today)


def refuse_unfit(after: dict[str, Any], today: date) -> None:
    """Invalid, with the field at fault, for packs, tiers and days that do not hang together."""
    if after["max_packs"] < after["min_packs"]:
        raise Invalid("max_packs is below min_packs.", pointer="/max_packs")
    if after["tiers"][0][0] > after["min_packs"]:
        raise Invalid("The first tier begins at min_packs or below.", pointer="/tiers")
    if None not in (after["price_from"], after["price_to"]) and after["price_to"] <= after["price_from"]:
        raise Invalid("The prices end before they begin.", pointer="/price_to")
    refuse_old_price(after["price_to"], today)
