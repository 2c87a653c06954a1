"""Photos of goods."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from shop.actor import Actor, Audience, Role
from shop.catalogue import queries
from shop.catalogue.schemas import ArrangePhotos, PhotosOut, UploadedPhotoOut
from shop.catalogue.service import photos
from shop.errors import Busy, NotFound
from shop.files import images
from shop.files import service as files
from shop.http.routes import Routes, audience, roles, work_of
from shop.ids import PhotoId, ProductId, new_id

routes = Routes("/v1/cooperative", tag="Selling")
lister = roles(Role.LISTER, of=Audience.COOPERATIVE)
NAMED_WITHIN = timedelta(days=1)


def photos_of(session: Session, actor: Actor, product_id: UUID) -> PhotosOut:
    return PhotosOut(
        items=[
            UploadedPhotoOut(id=photo.id, status=photo.status, uploaded_at=photo.uploaded_at.isoformat())
            for photo in queries.photos(session, actor, product_id)
        ]
    )


@routes.get(
    "/products/<product_id>/photos",
    allow=audience(Audience.COOPERATIVE),
    answers={200: PhotosOut},
    refusals=(NotFound,),
)
def list_photos(session: Session, actor: Actor, product_id: ProductId) -> PhotosOut:
    """The photos of a product in the order in which they are shown, then those to come, and how far each is."""
    return photos_of(session, actor, product_id)


@routes.post(
    "/products/<product_id>/photos",
    allow=lister,
    answers={201: PhotosOut},
    refusals=(
        NotFound, images.NotAPhoto, images.PhotoTooLarge, images.PhotoTooSmall, photos.TooManyPhotos, Busy,
    ),
    raw_body=True,
    calls_out=True,
    max_body=images.MAX_PHOTO,
)  # fmt: skip
def upload_photo(actor: Actor, now: datetime, product_id: ProductId, raw: bytes) -> PhotosOut:
    """Upload a photo: the body is the JPEG, PNG or WebP itself, at most 10 MB and 40 megapixels; the same is kept once.

    It is made anew without place, camera and other metadata, and shown when that is done; listings that are on sale are
    reviewed with it again. The first photo is the one on the card.
    """
    work_of(actor, lambda session: photos.check(session, by=actor, product_id=product_id))
    images.measure(raw)
    file_id = new_id()

    def register(session: Session) -> None:
        files.register(
            session,
            file_id=file_id,
            organisation_id=actor.organisation_id,
            name=f"{file_id.hex}.photo",
            media_type="application/octet-stream",
            data=raw,
            kept_for=NAMED_WITHIN,
        )

    def add(session: Session) -> PhotosOut:
        photos.add(session, by=actor, product_id=product_id, file_id=file_id, data=raw, now=now)
        return photos_of(session, actor, product_id)

    work_of(actor, register)
    files.put(file_id, raw)
    return work_of(actor, add)


@routes.put("/products/<product_id>/photos", allow=lister, answers={200: PhotosOut}, refusals=(NotFound,))
def arrange_photos(
    session: Session, actor: Actor, now: datetime, product_id: ProductId, body: ArrangePhotos
) -> PhotosOut:
    """Put the photos that are shown into another order; the first is the one on the card. No review is needed."""
    photos.arrange(session, by=actor, product_id=product_id, photo_ids=body.photo_ids, now=now)
    return photos_of(session, actor, product_id)


@routes.delete("/products/<product_id>/photos/<photo_id>", allow=lister, answers={200: PhotosOut}, refusals=(NotFound,))
def remove_photo(session: Session, actor: Actor, now: datetime, product_id: ProductId, photo_id: PhotoId) -> PhotosOut:
    """Take a photo away."""
    photos.remove(session, by=actor, product_id=product_id, photo_id=photo_id, now=now)
    return photos_of(session, actor, product_id)
