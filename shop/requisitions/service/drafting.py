"""Write a requisition, change it, hand it in, take it back."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, text
from sqlalchemy.orm import Session

from shop.accounts.service.numbering import next_number
from shop.actor import Actor
from shop.audit import service as audit
from shop.clock import BEIJING, business_day
from shop.errors import Refusal, VersionConflict
from shop.orders.schemas import OrderLineIn, PlaceOrder, wishes_of
from shop.orders.service import judging, quoting
from shop.outbox import service as outbox
from shop.requisitions import queries
from shop.requisitions.models import (
    NEXT,
    Requisition,
    RequisitionLine,
    RequisitionStatus,
    WrongRequisitionStatus,
)
from shop.requisitions.schemas import RequisitionIn

PRICED = text(
    """
    UPDATE requisition_line l SET unit_fen = p.unit_fen
    FROM unnest(CAST(:places AS bigint[]), CAST(:prices AS bigint[])) AS p(place, unit_fen)
    WHERE l.requisition_id = :requisition AND l.place = p.place
    """
)


class VersionMissing(Refusal):
    code, status = "requisition_version_required", 428
    title, title_zh = "Send the version you read as If-Match.", "请以 If-Match 提供所读取的版本号。"


def make(session: Session, *, by: Actor, wanted: RequisitionIn, now: datetime) -> UUID:
    """Write a draft; gives its id. Refused as an order is for a unit or an address of another, or goods not on sale."""
    check(session, by, wanted, now)
    made = Requisition(
        buyer_id=by.organisation_id,
        status=RequisitionStatus.DRAFT,
        version=1,
        made_by=by.user_id,
        changed_by=by.user_id,
        created_at=now,
        step=0,
        **fields_of(wanted),
    )
    session.add(made)
    session.flush()
    write_lines(session, made.id, wanted)
    audit.record(session, by=by, action="requisition.made", kind="requisition", subject=made.id, now=now)
    return made.id


def change(
    session: Session, *, requisition_id: UUID, by: Actor, wanted: RequisitionIn, version: str | None, now: datetime
) -> None:
    """Replace what is wanted; the requisition is a draft again, and what was approved of it counts no more."""
    if version is None:
        raise VersionMissing(pointer="/header/If-Match")
    check(session, by, wanted, now)
    row = queries.locked(session, by, requisition_id)
    if version != str(row.version):
        raise VersionConflict(f"The requisition is at version {row.version} now.", version=row.version)
    was = row.status
    become(
        session,
        row,
        RequisitionStatus.DRAFT,
        version=row.version + 1,
        changed_by=by.user_id,
        submitted_by=None,
        submitted_at=None,
        chain=None,
        step=0,
        total_fen=None,
        **fields_of(wanted),
    )
    session.execute(delete(RequisitionLine).where(RequisitionLine.requisition_id == row.id))
    write_lines(session, row.id, wanted)
    audit.record(
        session, by=by, action="requisition.changed", kind="requisition", subject=row.id, now=now, was=str(was),
        version=row.version,
    )  # fmt: skip


def check(session: Session, by: Actor, wanted: RequisitionIn, now: datetime) -> None:
    """What a draft is refused for: whose unit and address it names, and goods that nobody sells."""
    today = business_day(now)
    quoting.whose_and_where(session, by, wanted, today)
    _, faults = judging.judge(session, wanted.lines, today)
    unknown = [fault for fault in faults if fault["code"] in ("not_listed", "repeated")]
    if unknown:
        raise judging.NotOrderable(errors=unknown)


def order_of(row: Requisition, lines: list[RequisitionLine]) -> PlaceOrder:
    """The order that a requisition stands for."""
    return PlaceOrder(
        lines=[
            OrderLineIn(listing_id=line.listing_id, quantity=line.packs, min_shelf_life_days=line.min_shelf_life_days)
            for line in lines
        ],
        **wishes_of(row),
        delivery_address_id=row.address_id,
        budget_unit_id=row.budget_unit_id,
        purpose=row.purpose,  # type: ignore[arg-type]
        payment_terms=row.terms,  # type: ignore[arg-type]
    )


def fields_of(wanted: RequisitionIn) -> dict[str, Any]:
    return {
        "budget_unit_id": wanted.budget_unit_id,
        "address_id": wanted.delivery_address_id,
        "purpose": wanted.purpose,
        "terms": wanted.payment_terms,
        **wishes_of(wanted),
    }


def write_lines(session: Session, requisition_id: UUID, wanted: RequisitionIn) -> None:
    session.execute(
        insert(RequisitionLine),
        [
            {
                "requisition_id": requisition_id,
                "place": place,
                "listing_id": line.listing_id,
                "packs": line.quantity,
                "min_shelf_life_days": line.min_shelf_life_days,
            }
            for place, line in enumerate(wanted.lines)
        ],
    )


def submit(session: Session, *, requisition_id: UUID, by: Actor, now: datetime) -> None:
    """Hand in a draft: it is quoted in full, the rules of the day make its chain, and the next to decide are told.

    Refused like an order: NotOrderable names every line that is held.
    """
    row = queries.locked(session, by, requisition_id)
    if row.status not in (RequisitionStatus.DRAFT, RequisitionStatus.RETURNED):
        raise WrongRequisitionStatus(requisition_status=row.status)
    today = business_day(now)
    quoted = quoting.quote(session, actor=by, wanted=order_of(row, queries.lines_of(session, row.id)), on=today)
    chain = queries.chain(
        session,
        organisation_id=by.organisation_id,
        budget_unit_id=row.budget_unit_id,
        purpose=row.purpose,
        total_fen=quoted.total_fen,
        on=today,
    )
    priced = [line for part in quoted.parts for line in part.lines]
    session.execute(
        PRICED,
        {
            "requisition": row.id,
            "places": [line.place for line in priced],
            "prices": [line.unit_fen for line in priced],
        },
    )
    # A returned version that is handed in as it is becomes another one: the decision on it stays on what it was about.
    again = row.status == RequisitionStatus.RETURNED
    number = row.number or next_number(session, by.organisation_id, "RQ", now.astimezone(BEIJING).year)
    become(
        session,
        row,
        RequisitionStatus.SUBMITTED,
        version=row.version + again,
        number=number,
        submitted_by=by.user_id,
        submitted_at=now,
        chain=chain,
        step=0,
        total_fen=quoted.total_fen,
    )
    tell(session, row, "requisition.submitted", by=by, now=now)


def withdraw(session: Session, *, requisition_id: UUID, by: Actor, reason: str, now: datetime) -> None:
    """Take a requisition back for good."""
    row = queries.locked(session, by, requisition_id)
    become(session, row, RequisitionStatus.WITHDRAWN)
    tell(session, row, "requisition.withdrawn", by=by, now=now, reason=reason)


def become(session: Session, row: Requisition, to: RequisitionStatus, **values: Any) -> None:
    """Give a locked requisition its next status, or refuse with WrongRequisitionStatus."""
    if to not in NEXT[RequisitionStatus(row.status)]:
        raise WrongRequisitionStatus(requisition_status=row.status)
    for name, value in ({"status": to} | values).items():
        setattr(row, name, value)
    session.flush()


def tell(session: Session, row: Requisition, kind: str, *, by: Actor, now: datetime, reason: str | None = None) -> None:
    """Keep who did it, and announce it to the institution."""
    audit.record(
        session, by=by, action=kind, kind="requisition", subject=row.id, now=now, reason=reason,
        version=row.version, total_fen=row.total_fen,
    )  # fmt: skip
    outbox.announce(
        session,
        kind,
        now=now,
        seen_by=[row.buyer_id],
        requisition_id=row.id,
        version=row.version,
    )
