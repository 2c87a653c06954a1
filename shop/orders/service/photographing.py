"""Photos of what arrived: taken in, made anew by a worker, and kept for the two sides and the platform."""

import hashlib
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.errors import Refusal
from shop.files import images
from shop.files import service as files
from shop.files.images import Renditions
from shop.orders import queries_fulfilment
from shop.orders.models_inspections import OrderPhoto, PhotoState
from shop.outbox import service as outbox

MOST_PHOTOS = 60


class TooManyOrderPhotos(Refusal):
    code, status = "too_many_order_photos", 409
    title, title_zh = f"Each side adds at most {MOST_PHOTOS} photos.", f"每一方最多上传{MOST_PHOTOS}张照片。"


def check(session: Session, *, by: Actor, supplier_order_id: UUID) -> None:
    """NotFound for another's supplier order, TooManyOrderPhotos when the side has as many as it may; locks it."""
    part = queries_fulfilment.locked(session, by, supplier_order_id)
    there = session.scalar(
        select(func.count()).where(
            OrderPhoto.supplier_order_id == part.id, OrderPhoto.organisation_id == by.organisation_id
        )
    )
    if (there or 0) >= MOST_PHOTOS:
        raise TooManyOrderPhotos(allowed=MOST_PHOTOS)


def add(session: Session, *, by: Actor, supplier_order_id: UUID, file_id: UUID, data: bytes, now: datetime) -> None:
    """Have an uploaded file made into a photo of a supplier order; the same bytes of one side are one photo."""
    sha256 = hashlib.sha256(data).digest()
    part = queries_fulfilment.locked(session, by, supplier_order_id)  # two uploads are counted one after the other
    known = select(OrderPhoto.id).where(
        OrderPhoto.supplier_order_id == part.id,
        OrderPhoto.organisation_id == by.organisation_id,
        OrderPhoto.sha256 == sha256,
    )
    if session.scalar(known) is not None:
        return
    check(session, by=by, supplier_order_id=part.id)
    files.keep(session, organisation_id=by.organisation_id, file_ids=[file_id])
    photo = OrderPhoto(
        supplier_order_id=part.id,
        organisation_id=by.organisation_id,
        status=PhotoState.WAITING,
        file_id=file_id,
        sha256=sha256,
        uploaded_by=by.user_id,
        uploaded_at=now,
    )
    session.add(photo)
    session.flush()
    outbox.announce(session, "order_photo.uploaded", now=now, seen_by=[by.organisation_id], order_photo_id=photo.id)


def waiting(session: Session, photo_id: UUID) -> OrderPhoto | None:
    """The photo while it waits, locked; None when it was made."""
    return session.scalars(
        select(OrderPhoto).where(OrderPhoto.id == photo_id, OrderPhoto.status == PhotoState.WAITING).with_for_update()
    ).first()


def settle(session: Session, *, photo_id: UUID, made: Renditions | None, now: datetime) -> None:
    """Keep a photo as it was made anew (and put in the store under its own id), or refuse it; the upload is let go."""
    photo = waiting(session, photo_id)
    if photo is None:
        return
    uploaded = photo.file_id
    if made is None:
        photo.status, photo.file_id = PhotoState.REFUSED, None
        outbox.announce(
            session, "order_photo.refused", now=now, seen_by=[photo.organisation_id],
            supplier_order_id=photo.supplier_order_id,
        )  # fmt: skip
    else:
        files.register(
            session, file_id=photo.id, organisation_id=photo.organisation_id, name=f"{photo.id.hex}.webp",
            media_type=images.MEDIA_TYPE, data=made.data["large"],
        )  # fmt: skip
        photo.status, photo.file_id = PhotoState.READY, photo.id
    if uploaded is not None:
        files.let_go(session, uploaded)
