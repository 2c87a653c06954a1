"""What the workers do about orders."""

from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from shop.actor import SYSTEM
from shop.clock import business_now
from shop.files import images
from shop.files import service as files
from shop.orders.models import Terms
from shop.orders.service import moving, photographing
from shop.outbox import service as outbox

LEASE = timedelta(seconds=90)  # longer than the largest photo takes


def confirm_on_terms(session: Session, *, order_id: UUID, terms: str, **_newer: Any) -> None:
    """An order on terms waits for nobody's money: its credit is reserved, so it is confirmed at once."""
    if terms == Terms.ON_TERMS:
        moving.confirm_order(session, order_id=order_id, by=SYSTEM, now=business_now(session))


def make_photo(taken: outbox.Claim, *, order_photo_id: UUID, **_newer: Any) -> None:
    """Make a photo of what arrived anew, under its own id; one that cannot be made is refused."""
    with outbox.working(taken) as session:
        photo = photographing.waiting(session, order_photo_id)
        outbox.renew(session, taken, lease=LEASE)
    made = None
    if photo is not None and photo.file_id is not None:
        with suppress(images.NotAPhoto):  # no failure to be tried again: its side is told by `order_photo.refused`
            made = images.renditions(files.get(photo.file_id))
    if made is not None:
        files.put(order_photo_id, made.data["large"])
    with outbox.working(taken) as session:
        photographing.settle(session, photo_id=order_photo_id, made=made, now=business_now(session))
        outbox.finish(session, taken)


make_photo.calls_out = True  # type: ignore[attr-defined]
