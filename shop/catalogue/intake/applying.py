"""Do what a trial said, batch by batch, each a transaction of its own, in statements whose number does not grow."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.audit import service as audit
from shop.audit.models import AuditEntry
from shop.catalogue import rules
from shop.catalogue.cards import enter, write_cards
from shop.catalogue.intake import looking
from shop.catalogue.intake.columns import WORDS
from shop.catalogue.intake.deciding import FACTS, TERMS, Decision, Shelf, compare
from shop.catalogue.intake.models import IntakeStatus, ListingImport, ListingImportRow, RowKind
from shop.catalogue.intake.trying import SPOIL, json_of
from shop.catalogue.models import REVIEWED, Listing, ListingStatus
from shop.catalogue.service.revising import changed, keep, move, revise
from shop.catalogue.service.submitting import note_beyond
from shop.clock import business_day
from shop.db import insert_rows
from shop.ids import new_id
from shop.outbox import service as outbox
from shop.regions.service import lists_of_counties

BATCH = 2_500
ROW = [
    ListingImportRow.number, ListingImportRow.code, ListingImportRow.pack_name, ListingImportRow.kind,
    ListingImportRow.listing_id, ListingImportRow.revision, ListingImportRow.wanted, ListingImportRow.changes,
]  # fmt: skip
PRODUCT_COLUMNS = ("id", "cooperative_id", "code", *FACTS, "tags", "mandate_id", "created_at")
MAKE_PRODUCTS = text(
    f"INSERT INTO product ({', '.join(PRODUCT_COLUMNS)}) SELECT {', '.join(PRODUCT_COLUMNS)}"  # noqa: S608 - our own names
    " FROM jsonb_populate_recordset(NULL::product, CAST(:rows AS jsonb))"
    " ON CONFLICT (cooperative_id, code) DO NOTHING RETURNING code"
)
CHANGE_PRODUCTS = text(
    "UPDATE product p SET "  # noqa: S608 - our own names
    + ", ".join(f"{name} = w.{name}" for name in (*FACTS, "tags", "mandate_id"))
    + " FROM jsonb_populate_recordset(NULL::product, CAST(:rows AS jsonb)) w WHERE p.id = w.id"
)
CHANGE_LISTINGS = text(
    "UPDATE listing l SET "  # noqa: S608 - our own names
    + ", ".join(f"{name} = w.{name}" for name in (*TERMS, "price_fen", "status", "review_note"))
    + ", revision = l.revision + 1"
    " FROM jsonb_populate_recordset(NULL::listing, CAST(:rows AS jsonb)) w WHERE l.id = w.id"
)


@dataclass(frozen=True)
class Doing:
    """One row that is still to be done, with what it does to the product and listing as they are now."""

    row: Any
    decision: Decision
    product: Any
    listing: Any


def apply_batch(session: Session, *, import_id: UUID, by: Actor, now: datetime) -> tuple[bool, float]:
    """Apply the next rows; gives whether there may be more, and how much of all is done.

    What is done is noted in the same transaction, so that a worker which takes over goes on behind it. A row whose
    product or listing was changed since the trial is refused, and so is one that its seller may no longer list.
    """
    made = session.get_one(ListingImport, import_id, with_for_update=True)
    if made.status != IntakeStatus.APPLYING:
        return False, 1.0
    rows = next_rows(session, made)
    if not rows:
        end(session, made, by, now)
        return False, 1.0
    doing, refused = sorted_out(session, made, rows, now)
    doing, beaten = enter_products(session, made, doing, by, now)
    refused |= dict.fromkeys(beaten, ("code", "changed_meanwhile"))
    apply_listings(session, made, doing, by, now)
    refuse(session, made, rows, refused)
    made.applied += len(doing)
    made.refused += len(refused)
    made.applied_to = rows[-1].code
    session.flush()
    return True, min(1.0, (made.applied + made.refused) / max(1, made.added + made.changed))


def next_rows(session: Session, made: ListingImport) -> Sequence[Any]:
    """The next rows in the order of their products' codes, each product with all of its rows."""
    todo = (
        select(*ROW)
        .where(
            ListingImportRow.import_id == made.id,
            ListingImportRow.kind.in_((RowKind.NEW, RowKind.CHANGED)),
        )
        .order_by(ListingImportRow.code, ListingImportRow.number)
    )
    rows = session.execute(todo.where(ListingImportRow.code > made.applied_to).limit(BATCH + 1)).all()
    if len(rows) <= BATCH:
        return rows
    last = rows[-1].code
    return [row for row in rows if row.code != last] or session.execute(todo.where(ListingImportRow.code == last)).all()


def sorted_out(
    session: Session, made: ListingImport, rows: Sequence[Any], now: datetime
) -> tuple[list[Doing], dict[int, tuple[str, str]]]:
    """The rows that may be done, their products and listings locked; and what is wrong with each of the others."""
    shelf = looking.shelf(session, made.organisation_id, {row.code for row in rows}, hold=True)
    rights = looking.rights(session, made.organisation_id, business_day(now))
    listings = {one.id: one for found in shelf.listings.values() for one in found}
    doing: list[Doing] = []
    refused: dict[int, tuple[str, str]] = {}
    for row in rows:
        product, listing = shelf.products.get(row.code), listings.get(row.listing_id)
        decision = compare(row.wanted, product, listing, rights)
        if decision.kind is RowKind.ERROR:
            (column, code, _), *_ = decision.faults
            refused[row.number] = (column, code)
        elif is_stale(row, decision, product, shelf):
            refused[row.number] = ("code", "changed_meanwhile")
        else:
            doing.append(Doing(row, decision, product, listing))
    return doing, refused


def is_stale(row: Any, now: Decision, product: Any, shelf: Shelf) -> bool:
    """Whether a row would do something else now than its trial said."""
    if row.kind == RowKind.NEW and product is not None and shelf.listings.get((product.id, row.pack_name)):
        return True
    return (row.kind, row.revision, row.changes) != (now.kind, now.revision, now.changes)


def enter_products(
    session: Session, made: ListingImport, doing: list[Doing], by: Actor, now: datetime
) -> tuple[list[Doing], list[int]]:
    """Make the products that are new and bring up to date those whose facts differ or that get another listing.

    Gives the rows to go on with, and the numbers of those whose product somebody else made this moment.
    """
    touched = {one.row.code: one for one in doing if one.decision.kind is RowKind.NEW or one.decision.reviewed_facts}
    tags = lists_of_counties(
        session, {one.row.wanted["product"]["origin_code"] for one in touched.values()}, business_day(now)
    )
    fresh: list[dict[str, Any]] = []
    known: list[dict[str, Any]] = []
    entries: list[dict[str, Any]] = []
    for code, one in touched.items():
        facts = one.row.wanted["product"]
        assert one.decision.stands is not None
        kept = facts | {"tags": tags[facts["origin_code"]], "mandate_id": one.decision.stands.mandate_id}
        if one.product is None:
            fresh.append(
                {"id": new_id(), "cooperative_id": made.organisation_id, "code": code, "created_at": now} | kept
            )
            continue
        known.append({"id": one.product.id} | kept)
        if differ := one.decision.reviewed_facts:
            entries.append(
                audit.row_of(
                    by=by, action="product.changed", kind="product", subject=one.product.id, now=now,
                    before={name: both[0] for name, both in differ.items()},
                    after={name: both[1] for name, both in differ.items()},
                )
            )  # fmt: skip
    if known:
        session.execute(CHANGE_PRODUCTS, {"rows": encoded(known)})
    insert_rows(session, (AuditEntry, entries))
    there = set(session.scalars(MAKE_PRODUCTS, {"rows": encoded(fresh)})) if fresh else set()
    ids = {row["code"]: row["id"] for row in fresh if row["code"] in there}
    beaten = [one.row.number for one in doing if one.product is None and one.row.code not in ids]
    for one in doing:
        one.decision.product_id = one.product.id if one.product is not None else ids.get(one.row.code)
    return [one for one in doing if one.decision.product_id is not None], beaten


def apply_listings(session: Session, made: ListingImport, doing: list[Doing], by: Actor, now: datetime) -> None:
    """Make and change the listings, and send to review what else shows a fact that changed."""
    today = business_day(now)
    new = [new_listing(made, one) for one in doing if one.listing is None]
    if new:
        enter(session, new, on=today)
        keep(session, [row["id"] for row in new], "listing.submitted", by=by, now=now)
    terms = [new_terms(one) for one in doing if one.listing is not None]
    if terms:
        session.execute(CHANGE_LISTINGS, {"rows": encoded(terms)})
    submitted = [one.row.listing_id for one in doing if one.listing is not None and one.decision.reviewed]
    stay = [one.row.listing_id for one in doing if not one.decision.reviewed]
    again, unlooked, hidden = others_of(session, doing, today)
    if again:
        move(session, again, to=ListingStatus.IN_REVIEW)
    if unlooked:
        revise(session, unlooked)
    for ids, kind in ((submitted + again, "listing.submitted"), (stay + unlooked, "listing.changed")):
        if ids:
            changed(session, ids, kind, by=by, now=now, today=today)
    if hidden:
        write_cards(session, hidden, on=today)


def others_of(session: Session, doing: Sequence[Doing], today: date) -> tuple[list[UUID], list[UUID], list[UUID]]:
    """The listings that no row names of products whose facts change: to be reviewed again; to be revised where they
    are, because a revision says what the product said too; and those that nobody sees, whose card is written anew."""
    facts: dict[UUID, set[str]] = {}
    for one in doing:
        if one.product is not None and one.decision.reviewed_facts:
            facts.setdefault(one.product.id, set()).update(one.decision.reviewed_facts)
    done = {one.row.listing_id for one in doing}
    again: list[UUID] = []
    unlooked: list[UUID] = []
    hidden: list[UUID] = []
    for key, product_id, status in session.execute(
        select(Listing.id, Listing.product_id, Listing.status)
        .where(Listing.product_id.in_(list(facts)))
        .order_by(Listing.id)
    ):
        if key in done:
            continue
        if status not in (*REVIEWED, ListingStatus.IN_REVIEW):
            hidden.append(key)
        elif status in REVIEWED and rules.needs_review(
            facts[product_id], reviewed=[[1, 1]], wanted=[[1, 1]], grows=False, beyond=False, on=today
        ):
            again.append(key)
        else:
            unlooked.append(key)
    return again, unlooked, hidden


def new_listing(made: ListingImport, one: Doing) -> dict[str, Any]:
    wanted, stands = one.row.wanted, one.decision.stands
    assert stands is not None
    return {
        "id": one.row.listing_id,
        "product_id": one.decision.product_id,
        "cooperative_id": made.organisation_id,
        "status": ListingStatus.IN_REVIEW,
        "revision": 1,
        "price_fen": wanted["tiers"][0][1],
        "price_from": None,
        "price_to": None,
        "listed_at": None,
        "review_note": note_beyond(stands, wanted["max_packs"], wanted["pack_grams"]),
    } | {name: wanted[name] for name in ("pack_name", "base_unit", "pack_base_quantity", "pack_grams", *TERMS)}


def new_terms(one: Doing) -> dict[str, Any]:
    wanted, stands, listing = one.row.wanted, one.decision.stands, one.listing
    note = note_beyond(stands, wanted["max_packs"], wanted["pack_grams"]) if stands is not None else None
    return {
        "id": listing.id,
        "price_fen": wanted["tiers"][0][1],
        "status": ListingStatus.IN_REVIEW if one.decision.reviewed else ListingStatus.LISTED,
        "review_note": note or listing.review_note,
    } | {name: wanted[name] for name in TERMS}


def encoded(rows: Iterable[dict[str, Any]]) -> str:
    return msgspec.json.encode(list(rows)).decode()


def refuse(session: Session, made: ListingImport, rows: Sequence[Any], refused: dict[int, tuple[str, str]]) -> None:
    """Mark the rows that were not done, with the reason, so that they stand among the failed rows."""
    if not refused:
        return
    titles = {name: title for title, name in made.mapping.items()}
    errors = []
    for row in rows:
        if row.number in refused:
            column, code = refused[row.number]
            said = (
                row.wanted | row.wanted["product"] | {"code": row.code, "origin": row.wanted["product"]["origin_code"]}
            )
            value = str(said.get(column, ""))
            errors.append(
                {
                    "row": row.number, "column": column, "title": titles.get(column, column), "value": value,
                    "code": code, "message": WORDS[code][0], "message_en": WORDS[code][1],
                }
            )  # fmt: skip
    session.execute(
        SPOIL,
        {
            "id": made.id,
            "numbers": [error["row"] for error in errors],
            "errors": [json_of([error]) for error in errors],
        },
    )


def end(session: Session, made: ListingImport, by: Actor, now: datetime) -> None:
    """Note that all is done, and tell."""
    made.status, made.applied_at = IntakeStatus.APPLIED, now
    audit.record(
        session, by=by, action="apply", kind="listing_import", subject=made.id, now=now,
        applied=made.applied, refused=made.refused,
    )  # fmt: skip
    outbox.announce(
        session, "listing_import.applied", now=now, seen_by=[made.organisation_id], import_id=made.id,
        applied=made.applied, refused=made.refused,
    )  # fmt: skip
    session.flush()
