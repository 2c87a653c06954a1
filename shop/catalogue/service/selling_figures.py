"""What was sold of a listing: the figure that best selling goes by."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from shop.catalogue.cards import entries, write_cards
from shop.catalogue.models import Listing
from shop.catalogue.words import doublings
from shop.clock import business_day

ADD = text(
    """
    UPDATE search_entry e SET sold_grams = e.sold_grams + w.grams
    FROM unnest(CAST(:ids AS uuid[]), CAST(:grams AS bigint[])) AS w(id, grams) WHERE e.listing_id = w.id
    """
)


def add_sold(session: Session, grams: Mapping[UUID, int], *, now: datetime) -> None:
    """Add to what was sold of listings, or take from it; a listing whose figure passed a doubling gets new places.

    Whoever calls it does so once for each thing that was sold.
    """
    ids = sorted(grams)
    session.execute(select(Listing.id).where(Listing.id.in_(ids)).order_by(Listing.id).with_for_update(key_share=True))
    before = {row.listing_id: row.sold_grams for row in session.execute(entries(ids))}
    session.execute(ADD, {"ids": ids, "grams": [grams[key] for key in ids]})
    moved = [key for key in before if doublings(before[key]) != doublings(before[key] + grams[key])]
    if moved:
        write_cards(session, moved, on=business_day(now))
