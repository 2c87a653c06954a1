"""Moves of listings, and what every change leaves behind: cards, revisions, audit entries and events."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.util import identity_key

from shop.actor import Actor
from shop.audit import service as audit
from shop.audit.models import AuditEntry
from shop.catalogue import rules
from shop.catalogue.cards import write_cards
from shop.catalogue.models import NEXT, Listing, ListingRevision, ListingStatus, Product, WrongListingStatus
from shop.db import insert_rows
from shop.outbox import service as outbox
from shop.outbox.models import Event

REVIEWED_FACTS = tuple(rules.PRODUCT)

REVISED = (
    "status", "pack_name", "base_unit", "pack_base_quantity", "pack_told", "pack_grams", "min_packs", "step_packs",
    "max_packs", "price_fen", "tiers", "price_from", "price_to", "season_from", "season_to", "review_note",
    "review_fields",
)  # fmt: skip

PRODUCT_SAID = ("code", "tags", *REVIEWED_FACTS)
SAID = [
    Listing.id, Listing.product_id, Listing.revision, Listing.cooperative_id,
    *(getattr(Listing, name) for name in REVISED),
    *(getattr(Product, name).label(f"product_{name}") for name in PRODUCT_SAID),
]  # fmt: skip
"""What a change leaves behind is made from these columns: rows of many listings cost a third of objects of theirs."""


def move(
    session: Session, listing_ids: Sequence[UUID], *, to: ListingStatus, revision: int | None = None, **values: Any
) -> None:
    """Give listings their next status and revision by one conditional UPDATE, or refuse with WrongListingStatus."""
    allowed_from = [status for status, following in NEXT.items() if to in following]
    wanted = update(Listing).where(Listing.id.in_(listing_ids), Listing.status.in_(allowed_from))
    if revision is not None:
        wanted = wanted.where(Listing.revision == revision)
    moved = session.execute(
        wanted.values(status=to, revision=Listing.revision + 1, **values)
        .execution_options(synchronize_session=False)
        .returning(Listing.id)
    ).all()
    if len(moved) < len(listing_ids):
        raise WrongListingStatus(f"This listing cannot become {to} now.", wanted=str(to))


def revise(session: Session, listing_ids: Sequence[UUID]) -> None:
    """Give listings their next revision where they are."""
    session.execute(
        update(Listing)
        .where(Listing.id.in_(listing_ids))
        .values(revision=Listing.revision + 1)
        .execution_options(synchronize_session=False)
    )


def changed(
    session: Session,
    listing_ids: Sequence[UUID],
    kind: str,
    *,
    by: Actor,
    now: datetime,
    today: date,
    reason: str | None = None,
) -> None:
    """Keep what a change leaves behind for any number of listings: cards, revisions, audit entries and events."""
    write_cards(session, listing_ids, on=today)
    found = session.execute(
        select(*SAID)
        .join(Product, Product.id == Listing.product_id)
        .where(Listing.id.in_(listing_ids))
        .order_by(Listing.id)
    ).all()
    revisions, entries, events = [], [], []
    for listing in found:
        revisions.append(
            {
                "listing_id": listing.id, "revision": listing.revision, "content": content_of(listing),
                "at": now, "by_user_id": by.user_id,
            }
        )  # fmt: skip
        entries.append(
            audit.row_of(
                by=by, action=kind, kind="listing", subject=listing.id, now=now, reason=reason,
                revision=listing.revision, status=str(listing.status), price_fen=listing.price_fen,
            )
        )  # fmt: skip
        events.append(
            outbox.row_of(
                kind, now=now, seen_by=[listing.cooperative_id], listing_id=listing.id, revision=listing.revision
            )
        )
    insert_rows(session, (ListingRevision, revisions), (AuditEntry, entries), (Event, events))
    for listing in found:  # whoever holds one of them as an object reads it anew
        for model, key in ((Listing, listing.id), (Product, listing.product_id)):
            known = session.identity_map.get(identity_key(model, key))
            if known is not None:
                session.expire(known)


def content_of(listing: Any) -> dict[str, Any]:
    """Everything a revision says, as it stood; `listing` as `SAID` selects it."""
    return {name: getattr(listing, name) for name in REVISED} | {
        "product": {name: getattr(listing, f"product_{name}") for name in PRODUCT_SAID}
    }
