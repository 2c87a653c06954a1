"""Photos of goods: taken in, made anew by a worker, shown and taken away."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shop.actor import SYSTEM, Actor
from shop.audit import service as audit
from shop.catalogue.models import PhotoStatus, Product, ProductPhoto
from shop.catalogue.service.products import change_product, own_product
from shop.errors import Invalid, NotFound, Refusal
from shop.files import service as files
from shop.files.images import Renditions
from shop.ids import PhotoId, PublicId
from shop.outbox import service as outbox

MOST_PHOTOS = 8
PUBLIC = next(meta for meta in PhotoId.__metadata__ if isinstance(meta, PublicId))  # type: ignore[attr-defined]


class TooManyPhotos(Refusal):
    code, status = "too_many_photos", 409
    title, title_zh = "A product has at most eight photos.", "每个产品最多八张照片。"


def check(session: Session, *, by: Actor, product_id: UUID) -> None:
    """NotFound for another's product, TooManyPhotos for one that has as many as it may."""
    own_product(session, by, product_id)
    if session.scalar(select(func.count()).where(ProductPhoto.product_id == product_id)) >= MOST_PHOTOS:  # type: ignore[operator]
        raise TooManyPhotos(allowed=MOST_PHOTOS)


def add(session: Session, *, by: Actor, product_id: UUID, file_id: UUID, data: bytes, now: datetime) -> UUID:
    """Have an uploaded file made into a photo of the product; gives the photo's id. The same bytes are one photo."""
    sha256 = hashlib.sha256(data).digest()
    own_product(session, by, product_id)  # locked: two uploads are counted one after the other
    there = session.scalar(
        select(ProductPhoto.id).where(ProductPhoto.product_id == product_id, ProductPhoto.sha256 == sha256)
    )
    if there is not None:
        return there
    check(session, by=by, product_id=product_id)
    files.keep(session, organisation_id=by.organisation_id, file_ids=[file_id])
    photo = ProductPhoto(
        product_id=product_id,
        cooperative_id=by.organisation_id,
        file_id=file_id,
        sha256=sha256,
        uploaded_by=by.user_id,
        uploaded_at=now,
    )
    session.add(photo)
    session.flush()
    audit.record(
        session, by=by, action="photo.uploaded", kind="product", subject=product_id, now=now, photo=photo.id.hex
    )
    outbox.announce(session, "photo.uploaded", now=now, seen_by=[by.organisation_id], photo_id=photo.id)
    return photo.id


def waiting(session: Session, photo_id: UUID) -> ProductPhoto | None:
    """The photo while it waits, locked; None when it was made, or taken away meanwhile."""
    return session.scalars(
        select(ProductPhoto)
        .where(ProductPhoto.id == photo_id, ProductPhoto.status == PhotoStatus.WAITING)
        .with_for_update()
    ).first()


def settle(session: Session, *, photo_id: UUID, made: Renditions | None, now: datetime) -> bool:
    """Show a photo whose renditions are published, or refuse one that could not be made; False when it is gone.

    The upload itself is let go. A new photo is a change of the product: what is on sale goes to review with it.
    """
    photo = waiting(session, photo_id)
    if photo is None:
        return False
    product = session.get_one(Product, photo.product_id)
    assert photo.file_id is not None
    uploaded, photo.file_id = photo.file_id, None
    photo.status = PhotoStatus.READY if made else PhotoStatus.REFUSED
    files.let_go(session, uploaded)  # now that nothing names it
    if made is None:
        outbox.announce(session, "photo.refused", now=now, seen_by=[photo.cooperative_id], photo_id=photo_id)
        return True
    session.refresh(product, with_for_update=True)
    shown = [*product.photos, told(photo_id, made)]
    change_product(session, product, {"photos": shown}, by=SYSTEM, now=now)
    return True


def arrange(session: Session, *, by: Actor, product_id: UUID, photo_ids: Sequence[UUID], now: datetime) -> None:
    """Show the photos of a product in this order, the first on its card; those on sale stay there.

    Invalid unless every photo that is shown is named once. Photos that are still made come behind them.
    """
    product = own_product(session, by, product_id)
    shown = {one["id"]: one for one in product.photos}
    wanted = [PUBLIC.format(photo_id) for photo_id in photo_ids]
    for place, public in enumerate(wanted):
        if public not in shown or public in wanted[:place]:
            raise Invalid("This is no photo that is shown, or it was named before.", pointer=f"/photo_ids/{place}")
    if len(wanted) < len(shown):
        raise Invalid("Name every photo that is shown.", pointer="/photo_ids")
    change_product(session, product, {"photos": [shown[public] for public in wanted]}, by=by, now=now)


def told(photo_id: UUID, made: Renditions) -> dict[str, Any]:
    public = PUBLIC.format(photo_id)
    path = f"/v1/public/photos/{public}"
    return {
        "id": public, "thumb": f"{path}/thumb", "large": f"{path}/large", "width": made.width, "height": made.height
    }  # fmt: skip


def remove(session: Session, *, by: Actor, product_id: UUID, photo_id: UUID, now: datetime) -> None:
    """Take a photo away, from the store too; NotFound for one that is none of this product of the actor's."""
    product = own_product(session, by, product_id)
    photo = session.scalars(
        select(ProductPhoto).where(ProductPhoto.id == photo_id, ProductPhoto.product_id == product_id).with_for_update()
    ).first()
    if photo is None:
        raise NotFound("No such photo of this product.")
    session.delete(photo)
    session.flush()
    if photo.file_id is not None:
        files.let_go(session, photo.file_id)
    audit.record(
        session, by=by, action="photo.removed", kind="product", subject=product_id, now=now, photo=photo_id.hex
    )
    left = [one for one in product.photos if one["id"] != PUBLIC.format(photo_id)]
    change_product(session, product, {"photos": left}, by=by, now=now)
    outbox.announce(session, "photo.removed", now=now, seen_by=[by.organisation_id], photo_id=photo_id)
