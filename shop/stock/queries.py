"""What a cooperative has promised and has in store."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import TypeVar
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.catalogue.models import Listing
from shop.errors import NotFound
from shop.stock.models import Lot, Supply

Kept = TypeVar("Kept", Supply, Lot)


def page(session: Session, model: type[Kept], actor: Actor, *, after: UUID | None, limit: int) -> Sequence[Kept]:
    """The actor's own rows, newest first, one more than the limit when there are more."""
    wanted = select(model).where(model.cooperative_id == actor.organisation_id).order_by(model.id.desc())
    if after:
        wanted = wanted.where(model.id < after)
    return session.scalars(wanted.limit(limit + 1)).all()


def own(session: Session, model: type[Kept], actor: Actor, key: UUID) -> Kept:
    """One of the actor's own rows as it stands; NotFound for anybody else's."""
    found = session.scalars(
        select(model)
        .where(model.id == key, model.cooperative_id == actor.organisation_id)
        .execution_options(populate_existing=True)
    ).first()
    if found is None:
        raise NotFound("Nothing of yours here.")
    return found


def open_packs(session: Session, listing_ids: Collection[UUID], *, on: date) -> dict[UUID, int]:
    """How many packs of these listings are there to be ordered on a day; one that has no supply is left out."""
    rows = session.execute(
        select(Supply.listing_id, func.sum(Supply.open) / Listing.pack_base_quantity)
        .join(Listing, Listing.id == Supply.listing_id)
        .where(Supply.listing_id.in_(listing_ids), ~Supply.closed, Supply.ready_to > on)
        .group_by(Supply.listing_id, Listing.pack_base_quantity)
    )
    return {listing_id: int(there) for listing_id, there in rows}
