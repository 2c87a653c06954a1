"""Keep lists: make, change, retire."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.audit import service as audit
from shop.clock import business_day
from shop.db import unless_taken
from shop.errors import Invalid, Refusal, VersionConflict
from shop.http.parsing import fault
from shop.orders.service import judging
from shop.requisitions import queries_lists as queries
from shop.requisitions.models_lists import RequisitionList, RequisitionListLine
from shop.requisitions.schemas_lists import ListIn
from shop.requisitions.service.drafting import VersionMissing


class ListNameTaken(Refusal):
    code, status = "list_name_taken", 409
    title, title_zh = "You have a list of this name already.", "已有同名清单。"


def make(session: Session, *, by: Actor, wanted: ListIn, now: datetime) -> UUID:
    """Keep a list; gives its id. ListNameTaken, and Invalid for a listing that is not on sale."""
    check(session, wanted, now)
    made = RequisitionList(
        organisation_id=by.organisation_id, name=wanted.name, version=1, made_by=by.user_id, made_at=now, changed_at=now
    )
    named(session, made)
    write_lines(session, made.id, wanted)
    audit.record(
        session, by=by, action="requisition_list.made", kind="requisition_list", subject=made.id, now=now,
        name=wanted.name,
    )  # fmt: skip
    return made.id


def change(session: Session, *, list_id: UUID, by: Actor, wanted: ListIn, version: str | None, now: datetime) -> None:
    """Replace a list at the version that was read; requisitions made from it stay as they are."""
    if version is None:
        raise VersionMissing(pointer="/header/If-Match")
    row = queries.one(session, by, list_id, lock=True)
    if version != str(row.version):
        raise VersionConflict(f"The list is at version {row.version} now.", version=row.version)
    known = {key for line in queries.lines_of(session, list_id) for key in (line.listing_id, *line.substitutes)}
    check(session, wanted, now, known)
    row.name, row.version, row.changed_at = wanted.name, row.version + 1, now
    named(session, row)
    session.execute(delete(RequisitionListLine).where(RequisitionListLine.list_id == list_id))
    write_lines(session, list_id, wanted)
    audit.record(
        session, by=by, action="requisition_list.changed", kind="requisition_list", subject=list_id, now=now,
        version=row.version,
    )  # fmt: skip


def retire(session: Session, *, list_id: UUID, by: Actor, now: datetime) -> None:
    """Use a list no more; its name is free again."""
    row = queries.one(session, by, list_id, lock=True)
    row.retired_at = now
    session.flush()
    audit.record(session, by=by, action="requisition_list.retired", kind="requisition_list", subject=list_id, now=now)


def named(session: Session, row: RequisitionList) -> None:
    """Write the list, or ListNameTaken."""
    with unless_taken(session, ListNameTaken(pointer="/name")):
        session.add(row)


def check(session: Session, wanted: ListIn, now: datetime, known: set[UUID] | frozenset[UUID] = frozenset()) -> None:
    """Invalid unless everything named is on sale, in season or not; what the list named before may stay."""
    named_at = {line.listing_id: f"/lines/{place}/listing_id" for place, line in enumerate(wanted.lines)}
    named_at |= {
        key: f"/lines/{place}/substitutes/{nth}"
        for place, line in enumerate(wanted.lines)
        for nth, key in enumerate(line.substitutes)
    }
    found = judging.listings_of(session, list(named_at), business_day(now))
    sold = {key for key, row in found.items() if row.status in judging.ORDERABLE}
    faults = [
        fault(pointer, "not_listed", "this listing is not on sale")
        for key, pointer in named_at.items()
        if key not in sold and key not in known
    ]
    if faults:
        raise Invalid(errors=faults)


def write_lines(session: Session, list_id: UUID, wanted: ListIn) -> None:
    session.execute(
        insert(RequisitionListLine),
        [
            {
                "list_id": list_id,
                "place": place,
                "listing_id": line.listing_id,
                "packs": line.quantity,
                "grams_per_meal": line.grams_per_meal,
                "yield_percent": line.yield_percent if line.grams_per_meal else None,
                "substitutes": line.substitutes,
            }
            for place, line in enumerate(wanted.lines)
        ],
    )
