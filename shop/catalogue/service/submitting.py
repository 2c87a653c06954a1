"""Make a listing and hand it in for review."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.accounts.service import selling
from shop.actor import Actor
from shop.catalogue.models import Listing, ListingStatus, Product
from shop.catalogue.schemas import NewListing
from shop.catalogue.service.origins import may_come_from
from shop.catalogue.service.products import enter_product, own_product
from shop.catalogue.service.revising import changed
from shop.clock import business_day
from shop.errors import Invalid
from shop.ids import new_id
from shop.regions.models import province_of


def submit(session: Session, *, by: Actor, wanted: NewListing, now: datetime) -> UUID:
    """Make a listing and hand it in for review; gives its id. NoSellingRight or MandateExpired for who may not list;
    CountyNotAdmitted, OriginNotYours or Invalid for goods of a county that it may not sell.

    A product that is described is made or brought up to date; one that is named stays as it is. A listing of which more
    may be ordered than its seller declared for a year carries that as a note to the reviewer.
    """
    today = business_day(now)
    refuse_old_price(wanted.price_to, today)
    described = wanted.product or own_product(session, by, wanted.product_id)
    stands = selling.standing(
        session, organisation_id=by.organisation_id, product=described.name, category=described.category, on=today,
        mandate_id=described.mandate_id if isinstance(described, Product) else None,
    )  # fmt: skip
    may_come_from(
        session,
        organisation_id=by.organisation_id,
        county=described.origin_code,
        mandate_id=stands.mandate_id,
        on=today,
        pointer="/product/origin_code" if wanted.product else "/product_id",
    )
    if wanted.product is not None:
        product = session.get_one(Product, enter_product(session, by=by, wanted=wanted.product, now=now))
    else:
        assert isinstance(described, Product)
        product = described
    product.mandate_id = stands.mandate_id
    measured = session.scalar(select(Listing.base_unit).where(Listing.product_id == product.id).limit(1))
    base_unit, pack_base_quantity = wanted.measured()
    if measured not in (None, base_unit):
        # Lots and their movements belong to the product and are counted in one unit.
        raise Invalid(
            f"Other listings of this product are measured in {measured}.",
            pointer="/pack" if wanted.pack else "/base_unit",
        )
    listing = Listing(
        id=new_id(),
        product_id=product.id,
        cooperative_id=by.organisation_id,
        status=ListingStatus.IN_REVIEW,
        revision=1,
        pack_name=wanted.pack_name,
        base_unit=base_unit,
        pack_base_quantity=pack_base_quantity,
        pack_told=wanted.pack.told() if wanted.pack else None,
        pack_grams=wanted.pack_grams,
        min_packs=wanted.min_packs,
        step_packs=wanted.step_packs,
        max_packs=wanted.max_packs,
        price_fen=wanted.tiers[0].price_fen,
        tiers=[[tier.min_packs, tier.price_fen] for tier in wanted.tiers],
        price_from=wanted.price_from,
        price_to=wanted.price_to,
        season_from=wanted.season_from,
        season_to=wanted.season_to,
        category=product.category,
        storage=product.storage,
        origin_code=product.origin_code,
        province_code=province_of(product.origin_code),
        card="",
        review_note=note_beyond(stands, wanted.max_packs, wanted.pack_grams),
    )
    session.add(listing)
    session.flush()
    changed(session, [listing.id], "listing.submitted", by=by, now=now, today=today)
    return listing.id


def refuse_old_price(price_to: date | None, today: date) -> None:
    """Invalid for prices that hold no more on this day."""
    if price_to is not None and price_to <= today:
        raise Invalid("These prices hold no more today: name a later day.", pointer="/price_to")


def note_beyond(stands: selling.Standing, max_packs: int, pack_grams: int) -> str | None:
    """What a reviewer is told of a listing that goes beyond the declared capacity; None within it."""
    if not beyond(stands, max_packs, pack_grams):
        return None
    grams = stands.declared_grams
    if grams == 0:
        return "该产品未申报年产能。 This product was not declared."
    return f"超出申报年产能（{grams} 克）。 Beyond the declared capacity of {grams} g a year."


def beyond(stands: selling.Standing, max_packs: int, pack_grams: int) -> bool:
    return stands.declared_grams is not None and max_packs * pack_grams > stands.declared_grams
