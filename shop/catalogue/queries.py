"""Which listings a cooperative and a reviewer may look at; the public ones are read by the storefront."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, false, select
from sqlalchemy.orm import Session

from shop.actor import Actor, Audience, Role
from shop.catalogue.models import Listing, Product
from shop.errors import NotFound


def visible_listings(actor: Actor) -> Select[Listing, Product]:
    """Listings with their products that this actor may know of.

    A cooperative sees its own, an operator all, a county reviewer those of the reviewer's counties.
    """
    wanted = select(Listing, Product).join(Product, Product.id == Listing.product_id)
    if actor.audience is Audience.COOPERATIVE:
        return wanted.where(Listing.cooperative_id == actor.organisation_id)
    if actor.audience is Audience.ADMIN and actor.has(Role.OPERATOR):
        return wanted
    if actor.audience is Audience.ADMIN and actor.has(Role.COUNTY_REVIEWER):
        return wanted.where(Listing.origin_code.in_(actor.regions))
    return wanted.where(false())


def listing(session: Session, actor: Actor, listing_id: UUID) -> tuple[Listing, Product]:
    """One listing with its product, as it stands in the database; NotFound when it is not the actor's to see."""
    row = session.execute(
        visible_listings(actor).where(Listing.id == listing_id).execution_options(populate_existing=True)
    ).first()
    if row is None:
        raise NotFound("No such listing of yours.")
    return row[0], row[1]


def page(session: Session, actor: Actor, *, after: UUID | None, limit: int, status: str | None = None) -> Sequence[Any]:
    """Listings with products, newest first, one more than the limit when there are more."""
    wanted = visible_listings(actor).order_by(Listing.id.desc()).limit(limit + 1)
    if status:
        wanted = wanted.where(Listing.status == status)
    if after:
        wanted = wanted.where(Listing.id < after)
    return session.execute(wanted).all()
