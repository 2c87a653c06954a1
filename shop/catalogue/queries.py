"""Which listings a cooperative and a reviewer may look at; the public ones are read by the storefront."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, false, select
from sqlalchemy.orm import Session

from shop.actor import Actor, Audience, Role
from shop.catalogue.models import (
    Certificate,
    Listing,
    ListingRevision,
    ListingStatus,
    OriginGrant,
    Product,
    ProductPhoto,
)
from shop.errors import NotFound
from shop.files.models import StoredFile
from shop.regions.models import lies_in


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
        return wanted.where(lies_in(Listing.origin_code, actor.regions))
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
    """What a listing said at a revision that could be ordered, for everybody; NotFound for any other.

    A pause follows the seller's right a moment later, so that an order may name the revision of a pause.
    """
    kept = session.get(ListingRevision, (listing_id, revision))
    if kept is None or kept.content["status"] not in (ListingStatus.LISTED, ListingStatus.PAUSED):
        raise NotFound("Nothing was on sale at this revision.")
    return kept


def own_product(session: Session, actor: Actor, product_id: UUID) -> None:
    """NotFound for what is no product of the cooperative."""
    mine = select(Product.id).where(Product.id == product_id, Product.cooperative_id == actor.organisation_id)
    if session.scalar(mine) is None:
        raise NotFound("No such product of yours.")


def photos(session: Session, actor: Actor, product_id: UUID) -> Sequence[ProductPhoto]:
    """The photos of a product of the cooperative: those that are shown in their order, then the others as they came.

    NotFound for another's product.
    """
    own_product(session, actor, product_id)
    found = session.scalars(
        select(ProductPhoto).where(ProductPhoto.product_id == product_id).order_by(ProductPhoto.id)
    ).all()
    shown: list[dict[str, Any]] = session.scalar(select(Product.photos).where(Product.id == product_id)) or []
    place = {one["id"].rpartition("_")[2]: n for n, one in enumerate(shown)}
    return sorted(found, key=lambda photo: place.get(photo.id.hex, len(place)))


def visible_certificates(actor: Actor) -> Select[Certificate, Product]:
    """Certificates with their products that this actor may know of, as with listings."""
    wanted = select(Certificate, Product).join(Product, Product.id == Certificate.product_id)
    if actor.audience is Audience.COOPERATIVE:
        return wanted.where(Product.cooperative_id == actor.organisation_id)
    if actor.audience is Audience.ADMIN and actor.has(Role.OPERATOR):
        return wanted
    if actor.audience is Audience.ADMIN and actor.has(Role.COUNTY_REVIEWER):
        return wanted.where(lies_in(Product.origin_code, actor.regions))
    return wanted.where(false())


def certificate(session: Session, actor: Actor, certificate_id: UUID) -> tuple[Certificate, Product]:
    """One certificate with its product; NotFound when it is not the actor's to see."""
    row = session.execute(visible_certificates(actor).where(Certificate.id == certificate_id)).first()
    if row is None:
        raise NotFound("No such certificate of yours.")
    return row[0], row[1]


def certificates(
    session: Session,
    actor: Actor,
    *,
    product_id: UUID | None = None,
    certificate_id: UUID | None = None,
    status: str | None = None,
    after: UUID | None = None,
    limit: int = 100,
) -> Sequence[Any]:
    """Certificates with their products and papers, oldest first, one more than the limit when there are more."""
    wanted = (
        visible_certificates(actor).add_columns(StoredFile).outerjoin(StoredFile, StoredFile.id == Certificate.file_id)
    )
    for column, value in (
        (Certificate.product_id, product_id),
        (Certificate.id, certificate_id),
        (Certificate.status, status),
    ):
        if value is not None:
            wanted = wanted.where(column == value)
    if after is not None:
        wanted = wanted.where(Certificate.id > after)
    return session.execute(wanted.order_by(Certificate.id).limit(limit + 1)).all()


def granted_origins(session: Session, organisation_id: UUID) -> Sequence[OriginGrant]:
    """The counties that a seller's admission was ever extended to, as they were granted."""
    return session.scalars(
        select(OriginGrant).where(OriginGrant.organisation_id == organisation_id).order_by(OriginGrant.id)
    ).all()
