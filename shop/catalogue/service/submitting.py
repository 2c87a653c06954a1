"""Make a listing and change it; what must be looked at again goes to review."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shop.accounts.service import selling
from shop.actor import Actor
from shop.catalogue import queries
from shop.catalogue.models import Listing, ListingStatus, Product
from shop.catalogue.schemas import ChangeListing, NewListing
from shop.catalogue.service.products import enter_product, own_product
from shop.catalogue.service.revising import changed
from shop.clock import business_day
from shop.errors import Invalid, Refusal, VersionConflict
from shop.ids import new_id
from shop.regions.models import province_of

RISE_WITHOUT_REVIEW = 10
"""By how many per cent a price may rise above the reviewed one without another review; any cut may be made."""


class RevisionMissing(Refusal):
    code, status = "precondition_required", 428
    title, title_zh = "Send the revision you read as If-Match.", "请以 If-Match 提供所读取的版本号。"


def stays_listed(reviewed: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]]) -> bool:
    """Whether new tiers may stand without a review: at every quantity at most 10 % dearer than the reviewed tiers.

    Compared with what was last reviewed, not with what was last shown, so that small rises do not add up unseen.
    """
    return all(
        100 * price_at(wanted, packs) <= (100 + RISE_WITHOUT_REVIEW) * price_at(reviewed, packs)
        for packs in {tier[0] for tier in (*reviewed, *wanted)}
    )


def price_at(tiers: Sequence[Sequence[int]], packs: int) -> int:
    return next((fen for minimum, fen in reversed(tiers) if minimum <= packs), tiers[0][1])


def submit(session: Session, *, by: Actor, wanted: NewListing, now: datetime) -> UUID:
    """Make a listing and hand it in for review; gives its id. NoSellingRight or MandateExpired for who may not list.

    A product that is described is made or brought up to date; one that is named stays as it is. A listing of which more
    may be ordered than its seller declared for a year carries that as a note to the reviewer.
    """
    today = business_day(now)
    described = wanted.product or own_product(session, by, wanted.product_id, today)
    stands = selling.standing(
        session, organisation_id=by.organisation_id, product=described.name, category=described.category, on=today
    )
    if wanted.product is not None:
        product = session.get_one(Product, enter_product(session, by=by, wanted=wanted.product, now=now))
    else:
        assert isinstance(described, Product)
        product = described
    product.mandate_id = stands.mandate_id
    measured = session.scalar(select(Listing.base_unit).where(Listing.product_id == product.id).limit(1))
    if measured not in (None, wanted.base_unit):
        # Lots and their movements belong to the product and are counted in one unit.
        raise Invalid(f"Other listings of this product are measured in {measured}.", pointer="/base_unit")
    listing = Listing(
        id=new_id(),
        product_id=product.id,
        cooperative_id=by.organisation_id,
        status=ListingStatus.IN_REVIEW,
        revision=1,
        pack_name=wanted.pack_name,
        base_unit=wanted.base_unit,
        pack_base_quantity=wanted.pack_base_quantity,
        pack_grams=wanted.pack_grams,
        min_packs=wanted.min_packs,
        step_packs=wanted.step_packs,
        max_packs=wanted.max_packs,
        price_fen=wanted.tiers[0].price_fen,
        tiers=[[tier.min_packs, tier.price_fen] for tier in wanted.tiers],
        season_from=wanted.season_from,
        season_to=wanted.season_to,
        category=product.category,
        storage=product.storage,
        origin_code=product.origin_code,
        province_code=province_of(product.origin_code),
        search_text="",
        grams=[],
        card="",
        review_note=note_beyond(stands, wanted.max_packs, wanted.pack_grams),
    )
    session.add(listing)
    session.flush()
    changed(session, [listing.id], "listing.submitted", by=by, now=now, today=today)
    return listing.id


def note_beyond(stands: selling.Standing, max_packs: int, pack_grams: int) -> str | None:
    """What a reviewer is told of a listing that goes beyond the declared capacity; None within it."""
    if not beyond(stands, max_packs, pack_grams):
        return None
    grams = stands.declared_grams
    return f"超出申报年产能（{grams} 克）。 Beyond the declared capacity of {grams} g a year."


def beyond(stands: selling.Standing, max_packs: int, pack_grams: int) -> bool:
    return stands.declared_grams is not None and max_packs * pack_grams > stands.declared_grams


def change(
    session: Session, *, listing_id: UUID, by: Actor, wanted: ChangeListing, revision: str | None, now: datetime
) -> None:
    """Change a listing that is still at `revision`, or refuse with VersionConflict.

    A listing on sale stays so when its price is cut or rises by at most 10 % above the reviewed one; otherwise, and
    when it was not on sale, or more may be ordered now and that is beyond the declared capacity, it goes to review.
    """
    if revision is None:
        raise RevisionMissing(pointer="/header/If-Match")
    listing, product = queries.listing(session, by, listing_id)
    if revision != str(listing.revision):
        raise VersionConflict(f"The listing is at revision {listing.revision} now.", revision=listing.revision)
    given: dict[str, Any] = wanted.model_dump(exclude_none=True, exclude={"tiers"})
    tiers = [[tier.min_packs, tier.price_fen] for tier in wanted.tiers] if wanted.tiers else listing.tiers
    least = given.get("min_packs", listing.min_packs)
    if given.get("max_packs", listing.max_packs) < least:
        raise Invalid("max_packs is below min_packs.", pointer="/max_packs")
    if tiers[0][0] > least:
        raise Invalid("The first tier begins at min_packs or below.", pointer="/tiers")
    reviewed = listing.reviewed_tiers or listing.tiers
    stays = listing.status == ListingStatus.LISTED and stays_listed(reviewed, tiers)
    most = given.get("max_packs", listing.max_packs)
    if not stays or most > listing.max_packs:
        stands = selling.standing(
            session,
            organisation_id=listing.cooperative_id,
            product=product.name,
            category=product.category,
            on=business_day(now),
        )
        stays = stays and not beyond(stands, most, listing.pack_grams)
        given["review_note"] = note_beyond(stands, most, listing.pack_grams) or listing.review_note
    status = ListingStatus.LISTED if stays else ListingStatus.IN_REVIEW
    # What was decided above holds for this revision only, so the UPDATE asks for it again.
    done = session.execute(
        update(Listing)
        .where(Listing.id == listing_id, Listing.revision == listing.revision)
        .values(**given, tiers=tiers, price_fen=tiers[0][1], status=status, revision=Listing.revision + 1)
        .execution_options(synchronize_session=False)
        .returning(Listing.id)
    ).first()
    if done is None:
        raise VersionConflict
    kind = "listing.changed" if stays else "listing.submitted"
    changed(session, [listing_id], kind, by=by, now=now, today=business_day(now))
