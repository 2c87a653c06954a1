"""What a cooperative grows or makes: entered with its listing, changed under the reviewer's eyes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.audit import service as audit
from shop.catalogue import rules
from shop.catalogue.cards import write_cards
from shop.catalogue.models import REVIEWED, Listing, ListingStatus, Product
from shop.catalogue.schemas import ProductIn
from shop.catalogue.service.revising import REVIEWED_FACTS, changed, move, revise
from shop.clock import business_day
from shop.errors import NotFound
from shop.ids import new_id
from shop.regions.service import lists_of


def own_product(session: Session, by: Actor, product_id: UUID | None) -> Product:
    """The cooperative's product of this id, locked; NotFound for any other."""
    product = session.scalars(
        select(Product)
        .where(Product.id == product_id, Product.cooperative_id == by.organisation_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()
    if product is None:
        raise NotFound("No such product of yours.")
    return product


def enter_product(session: Session, *, by: Actor, wanted: ProductIn, now: datetime) -> UUID:
    """The id of the cooperative's product of this code, made or brought up to date.

    Where it may come from is the caller's to ask (`origins`). What was reviewed as part of a listing cannot be changed
    behind the reviewer's back: when a fact of the product changes, its other listings on sale go back to review.
    """
    facts = {name: getattr(wanted, name) for name in REVIEWED_FACTS if name in ProductIn.model_fields}
    facts["standard"] = wanted.standard.model_dump() if wanted.standard else None
    facts["acceptance"] = [criterion.model_dump() for criterion in wanted.acceptance or ()]
    tags = lists_of(session, wanted.origin_code, business_day(now))
    made = session.execute(
        upsert(Product)
        .values(id=new_id(), cooperative_id=by.organisation_id, code=wanted.code, created_at=now, tags=tags, **facts)
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
    left_out = {name for name in ("standard", "acceptance") if getattr(wanted, name) is None}
    facts = {name: value for name, value in facts.items() if name not in left_out}
    product.tags = tags
    session.flush()
    change_product(session, product, facts, by=by, now=now)
    return product.id


def ids_of(photos: Sequence[Mapping[str, Any]]) -> set[str]:
    return {photo["id"] for photo in photos}


def change_product(
    session: Session,
    product: Product,
    facts: dict[str, Any],
    *,
    by: Actor,
    now: datetime,
    apart_from: UUID | None = None,
) -> bool:
    """Write facts of a product, and whatever that does to its listings; gives whether they have to be reviewed again.

    `apart_from` is a listing that the caller changes in the same breath. Where no review is wanted, those on sale stay
    there with a new revision, because a revision says what the product said too.
    """
    today = business_day(now)
    session.refresh(product, with_for_update=True)
    before = {name: getattr(product, name) for name, value in facts.items() if getattr(product, name) != value}
    if not before:
        return False
    for name in before:
        setattr(product, name, facts[name])
    session.flush()
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
    other_photos = ids_of(before.get("photos", [])) != ids_of(facts.get("photos", []))
    same: rules.Tiers = [[1, 1]]
    again = bool(
        rules.needs_review(before, reviewed=same, wanted=same, grows=False, beyond=False, others=other_photos, on=today)
    )
    shown = [key for key, status in others if status in REVIEWED and key != apart_from]
    if again:
        move(session, shown, to=ListingStatus.IN_REVIEW)
    else:
        revise(session, shown)
    changed(session, shown, "listing.submitted" if again else "listing.changed", by=by, now=now, today=today)
    # Who has looked at one in review and approves that revision is told that it says something else now.
    looked_at = [key for key, status in others if status == ListingStatus.IN_REVIEW and key != apart_from]
    revise(session, looked_at)
    changed(session, looked_at, "listing.changed", by=by, now=now, today=today)
    write_cards(session, [listing_id for listing_id, _ in others], on=today)
    return again
