"""Which listings a cooperative and a reviewer may look at; the public ones are read by the storefront."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, false, func, or_, select
from sqlalchemy.orm import Session

from shop.actor import Actor, Audience, Role
from shop.catalogue.models import Listing, ListingRevision, ListingStatus, OriginGrant, Product, ProductPhoto
from shop.errors import NotFound


def visible_listings(actor: Actor) -> Select[Listing, Product]:
    """Listings with their products that this actor may know of.

    A cooperative sees its own, an operator all, a county reviewer those of the reviewer's counties or region.
    """
    wanted = select(Listing, Product).join(Product, Product.id == Listing.product_id)
    if actor.audience is Audience.COOPERATIVE:
        return wanted.where(Listing.cooperative_id == actor.organisation_id)
    if actor.audience is Audience.ADMIN and actor.has(Role.OPERATOR):
        return wanted
    if actor.audience is Audience.ADMIN and actor.has(Role.COUNTY_REVIEWER):
        code = Listing.origin_code
        return wanted.where(
            or_(
                code.in_(actor.regions),
                func.concat(func.left(code, 4), "00").in_(actor.regions),
                func.concat(func.left(code, 2), "0000").in_(actor.regions),
            )
        )
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


def revisions(
    session: Session, actor: Actor, listing_id: UUID, *, before: int | None, limit: int
) -> Sequence[ListingRevision]:
    """What a listing of the actor's said, newest first, one more than the limit when there are more; or NotFound."""
    listing(session, actor, listing_id)
    wanted = select(ListingRevision).where(ListingRevision.listing_id == listing_id)
    if before is not None:
        wanted = wanted.where(ListingRevision.revision < before)
    return session.scalars(wanted.order_by(ListingRevision.revision.desc()).limit(limit + 1)).all()


def sold_revision(session: Session, listing_id: UUID, revision: int) -> ListingRevision:
    """What a listing said at a revision that was on sale, for everybody; NotFound for any other."""
    kept = session.get(ListingRevision, (listing_id, revision))
    if kept is None or kept.content["status"] != ListingStatus.LISTED:
        raise NotFound("Nothing was on sale at this revision.")
    return kept


def photos(session: Session, actor: Actor, product_id: UUID) -> Sequence[ProductPhoto]:
    """The photos of a product of the cooperative, in the order of their upload; NotFound for another's product."""
    mine = select(Product.id).where(Product.id == product_id, Product.cooperative_id == actor.organisation_id)
    if session.scalar(mine) is None:
        raise NotFound("No such product of yours.")
    return session.scalars(
        select(ProductPhoto).where(ProductPhoto.product_id == product_id).order_by(ProductPhoto.id)
    ).all()


def granted_origins(session: Session, organisation_id: UUID) -> Sequence[OriginGrant]:
    """The counties that a seller's admission was ever extended to, as they were granted."""
    return session.scalars(
        select(OriginGrant).where(OriginGrant.organisation_id == organisation_id).order_by(OriginGrant.id)
    ).all()
