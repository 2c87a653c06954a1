"""What the workers do about listings and photos."""

from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.accounts.models_mandates import AgentMandate
from shop.catalogue import cards
from shop.catalogue.service import photos, reviewing, selling_figures
from shop.clock import business_day, business_now
from shop.files import images
from shop.files import service as files
from shop.orders import queries as orders
from shop.outbox import service as outbox

LEASE = timedelta(seconds=90)  # longer than the largest photo takes


def follow_right(session: Session, *, organisation_id: UUID, **_newer: Any) -> None:
    """The listings of a seller are shown while it may sell, and only then."""
    reviewing.follow_right(session, cooperative_id=organisation_id, now=business_now(session))


def follow_organisation(session: Session, *, organisation_id: UUID, **_newer: Any) -> None:
    """The listings of an organisation carry the name that it has now, and are shown while it may sell as what it is."""
    now = business_now(session)
    reviewing.follow_right(session, cooperative_id=organisation_id, now=now)
    cards.rewrite(session, cooperative_id=organisation_id, on=business_day(now))


def follow_mandate(session: Session, *, mandate_id: UUID, **_newer: Any) -> None:
    """The listings of an agent are shown while a mandate in force names what they sell, and only then."""
    agent_id = session.scalar(select(AgentMandate.agent_id).where(AgentMandate.id == mandate_id))
    if agent_id is not None:
        reviewing.follow_right(session, cooperative_id=agent_id, now=business_now(session))


def make_renditions(taken: outbox.Claim, *, photo_id: UUID, **_newer: Any) -> None:
    """Make a photo anew in its sizes and show it; one that cannot be made is refused, one that is gone left alone."""
    with outbox.working(taken) as session:
        photo = photos.waiting(session, photo_id)
        outbox.renew(session, taken, lease=LEASE)
    made = None
    if photo is not None and photo.file_id is not None:
        with suppress(images.NotAPhoto):  # no failure to be tried again: its cooperative is told by `photo.refused`
            made = images.renditions(files.get(photo.file_id))
    if made is not None:
        files.publish(photo_id, made.data)
    with outbox.working(taken) as session:
        shown = photos.settle(session, photo_id=photo_id, made=made, now=business_now(session))
        outbox.finish(session, taken)
    if made is not None and not shown:
        files.withdraw(photo_id, images.SIZES)  # it was taken away while it was made


make_renditions.calls_out = True  # type: ignore[attr-defined]


def drop_renditions(taken: outbox.Claim, *, photo_id: UUID, **_newer: Any) -> None:
    """Take a photo that was removed out of the store."""
    files.withdraw(photo_id, images.SIZES)
    with outbox.working(taken) as session:
        outbox.finish(session, taken)


drop_renditions.calls_out = True  # type: ignore[attr-defined]


def add_sold(session: Session, *, supplier_order_id: UUID, **_newer: Any) -> None:
    """What is confirmed counts as sold."""
    sold = orders.sold_grams(session, supplier_order_id)
    selling_figures.add_sold(session, sold, now=business_now(session))


def take_back_sold(session: Session, *, supplier_order_id: UUID, **_newer: Any) -> None:
    """What was confirmed and is cancelled then was not sold after all."""
    if orders.was_confirmed(session, supplier_order_id):
        unsold = {key: -grams for key, grams in orders.sold_grams(session, supplier_order_id).items()}
        selling_figures.add_sold(session, unsold, now=business_now(session))
