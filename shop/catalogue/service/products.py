"""What a cooperative grows or makes: entered with its listing, changed under the reviewer's eyes."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.audit import service as audit
from shop.catalogue.cards import write_cards
from shop.catalogue.models import Listing, ListingStatus, Product
from shop.catalogue.schemas import ProductIn
from shop.catalogue.service.revising import REVIEWED_FACTS, changed, move
from shop.clock import business_day
from shop.errors import Invalid, NotFound
from shop.ids import new_id
from shop.regions.service import is_county, lists_of


def own_product(session: Session, by: Actor, product_id: UUID | None, today: date) -> Product:
    """The cooperative's product of this id, locked; NotFound for any other, Invalid when its county is no more."""
    product = session.scalars(
        select(Product)
        .where(Product.id == product_id, Product.cooperative_id == by.organisation_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()
    if product is None:
        raise NotFound("No such product of yours.")
    if not is_county(session, product.origin_code, today):
        raise Invalid("The product's origin is no county on this day.", pointer="/product_id")
    return product


def enter_product(session: Session, *, by: Actor, wanted: ProductIn, now: datetime) -> UUID:
    """The id of the cooperative's product of this code, made or brought up to date.

    What was reviewed as part of a listing cannot be changed behind the reviewer's back: when a fact of the product
    changes, its other listings that are on sale go back to review.
    """
    today = business_day(now)
    if not is_county(session, wanted.origin_code, today):
        raise Invalid("This code is no county on this day.", pointer="/product/origin_code")
    facts = {name: getattr(wanted, name) for name in REVIEWED_FACTS}
    facts["tags"] = lists_of(session, wanted.origin_code, today)
    made = session.execute(
        upsert(Product)
        .values(id=new_id(), cooperative_id=by.organisation_id, code=wanted.code, created_at=now, **facts)
        .on_conflict_do_nothing(index_elements=["cooperative_id", "code"])
        .returning(Product.id)
    ).scalar_one_or_none()
    if made is not None:
        return made
    product = session.scalars(
        select(Product)
        .where(Product.cooperative_id == by.organisation_id, Product.code == wanted.code)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    before = {name: getattr(product, name) for name in REVIEWED_FACTS if getattr(product, name) != facts[name]}
    for name, value in facts.items():
        setattr(product, name, value)
    session.flush()
    if before:
        audit.record(
            session, by=by, action="product.changed", kind="product", subject=product.id, now=now,
            before=before, after={name: facts[name] for name in before},
        )  # fmt: skip
        # An UPDATE locks in the order it finds; the rows are locked first, in primary-key order.
        others = session.execute(
            select(Listing.id, Listing.status)
            .where(Listing.product_id == product.id)
            .order_by(Listing.id)
            .with_for_update()
        ).all()
        shown = [key for key, status in others if status in (ListingStatus.LISTED, ListingStatus.PAUSED)]
        move(session, shown, to=ListingStatus.IN_REVIEW)
        changed(session, shown, "listing.submitted", by=by, now=now, today=today)
        write_cards(session, [listing_id for listing_id, _ in others], on=today)
    return product.id
