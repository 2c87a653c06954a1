"""Moves of listings, and what every change leaves behind: cards, revisions, audit entries and events."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import inspect, text, update
from sqlalchemy.orm import Session

from shop.actor import NOBODY, Actor
from shop.audit import service as audit
from shop.audit.models import AuditEntry
from shop.catalogue import rules
from shop.catalogue.cards import write_cards
from shop.catalogue.models import NEXT, Listing, ListingStatus, Product, WrongListingStatus
from shop.ids import new_ids
from shop.outbox import service as outbox
from shop.outbox.models import Event

REVIEWED_FACTS = tuple(rules.PRODUCT)

REVISED = (
    "status", "pack_name", "base_unit", "pack_base_quantity", "pack_told", "pack_grams", "min_packs", "step_packs",
    "max_packs", "price_fen", "tiers", "price_from", "price_to", "season_from", "season_to", "review_note",
    "review_fields",
)  # fmt: skip

PRODUCT_SAID = ("code", "tags", *REVIEWED_FACTS)


def object_of(alias: str, names: Sequence[str]) -> str:
    return ", ".join(f"'{name}', {alias}.{name}" for name in names)


CONTENT = (
    f"jsonb_build_object({object_of('l', REVISED)}, 'product', jsonb_build_object({object_of('p', PRODUCT_SAID)}))"
)
"""Everything a revision says of a listing `l` and its product `p`, as they stand."""


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


ENTRY, EVENT = (
    tuple(column.key for column in model.__table__.columns if column.key not in own)
    for model, own in (
        (AuditEntry, {"id", "subject_id", "change", "recorded_at"}),
        (Event, {"id", "payload", "seen_by", "recorded_at", "posted_no"}),
    )
)
KEEP = text(
    f"""
    WITH said AS (
        SELECT w.entry_id, w.event_id, l.id, l.cooperative_id, l.product_id, l.revision, l.status, l.price_fen,
            {CONTENT} AS content
        FROM unnest(CAST(:ids AS uuid[]), CAST(:entry_ids AS uuid[]), CAST(:event_ids AS uuid[]))
                AS w(listing_id, entry_id, event_id)
            JOIN listing l ON l.id = w.listing_id
            JOIN product p ON p.id = l.product_id
    ), revised AS (
        INSERT INTO listing_revision (listing_id, revision, content, at, by_user_id)
        SELECT id, revision, content, :now, :user_id FROM said
    ), noted AS (
        INSERT INTO audit_entry (id, subject_id, change, {", ".join(ENTRY)})
        SELECT s.entry_id, s.id,
            jsonb_build_object('revision', s.revision, 'status', s.status, 'price_fen', s.price_fen),
            {", ".join(f"e.{name}" for name in ENTRY)}
        FROM said s CROSS JOIN jsonb_populate_record(NULL::audit_entry, CAST(:entry AS jsonb)) e
    )
    INSERT INTO event (id, payload, seen_by, {", ".join(EVENT)})
    SELECT s.event_id, jsonb_build_object('listing_id', replace(CAST(s.id AS text), '-', ''), 'revision', s.revision),
        ARRAY[s.cooperative_id], {", ".join(f"e.{name}" for name in EVENT)}
    FROM said s CROSS JOIN jsonb_populate_record(NULL::event, CAST(:event AS jsonb)) e
    """  # noqa: S608 - names of our own models and columns
)


def changed(
    session: Session,
    listing_ids: Collection[UUID],
    kind: str,
    *,
    by: Actor,
    now: datetime,
    today: date,
    reason: str | None = None,
) -> None:
    """Keep what a change leaves behind for any number of listings: cards, revisions, audit entries and events."""
    write_cards(session, listing_ids, on=today)
    keep(session, listing_ids, kind, by=by, now=now, reason=reason)


def keep(
    session: Session, listing_ids: Collection[UUID], kind: str, *, by: Actor, now: datetime, reason: str | None = None
) -> None:
    """Keep the revisions, audit entries and events of a change whose cards are written, in one statement.

    The database makes them of the rows as they stand: sending them out and back as JSON costs as much again.
    """
    ids = sorted(listing_ids)
    entry = audit.row_of(by=by, action=kind, kind="listing", subject=NOBODY, now=now, reason=reason)
    values = {
        "ids": ids, "entry_ids": new_ids(len(ids)), "event_ids": new_ids(len(ids)), "now": now, "user_id": by.user_id,
        "entry": msgspec.json.encode(entry).decode(),
        "event": msgspec.json.encode(outbox.row_of(kind, now=now)).decode(),
    }  # fmt: skip
    session.execute(KEEP, values)
    for held in list(session.identity_map.values()):
        model, (key, *_), *_ = inspect(held).key
        if model is Product or (model is Listing and key in listing_ids):  # who holds it reads it anew
            session.expire(held)
