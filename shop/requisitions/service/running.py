"""Run standing orders: each cycle once, with an outcome for every line, and word of whatever fell short."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from shop.accounts import queries_people
from shop.actor import Actor, Role
from shop.agreements.models import AgreementDrawnOn, QuoteUsed
from shop.clock import business_day
from shop.db import insert_rows
from shop.errors import NotFound, Refusal
from shop.ids import new_id
from shop.orders.schemas import OrderLineIn
from shop.orders.service import placing
from shop.outbox import service as outbox
from shop.outbox.models import Event
from shop.requisitions import queries_lists, queries_standing
from shop.requisitions.models_lists import RequisitionListLine
from shop.requisitions.models_standing import StandingOrder, StandingRun, StandingRunLine
from shop.requisitions.schemas import RequisitionIn
from shop.requisitions.schemas_lists import WorkedLine
from shop.requisitions.service import drafting, ordering
from shop.requisitions.service.working_out import shelf_of, work_out
from shop.stock.service.holding import Shortage

ASKERS = (Role.REQUESTER, Role.APPROVER, Role.MANAGER)
PAUSING = frozenset({"member_ended", "list_retired", "unit_closed", "mandate_expired", "organisation_not_active"})
"""Refusals that the next cycle would meet again: the standing order waits until somebody takes it up."""
MOST_MISSED, TRIES = 60, 3


@dataclass(frozen=True)
class Ran:
    """What became of a cycle."""

    result: str
    requisition_id: UUID | None = None
    code: str | None = None
    detail: str | None = None
    worked: Sequence[WorkedLine] = ()
    lines: Sequence[RequisitionListLine] = field(default=())


class CannotRun(Exception):
    """There is nobody in whose name to order, or nothing to order."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


def run_next(session: Session, *, now: datetime) -> int:
    """Run the standing order that has been due for longest; gives 1, or 0 when none is due.

    Of cycles that passed while nothing ran the last is ordered and the others are noted as missed. The row is locked
    and a cycle is unique, so two who run at once run each cycle once.
    """
    today = business_day(now)
    row = queries_standing.next_due(session, today)
    if row is None:
        return 0
    passed = (today - row.run_on).days // row.every_days
    cycles = [row.run_on + timedelta(days=n * row.every_days) for n in range(max(0, passed - MOST_MISSED), passed + 1)]
    if row.ends_on is not None:
        cycles = [cycle for cycle in cycles if cycle <= row.ends_on]
    for cycle in cycles[:-1]:
        keep(session, row, cycle, Ran("missed", code="missed", detail="nothing ran on this day"), now)
    if cycles:
        ran = run_cycle(session, row, cycles[-1], now)
        keep(session, row, cycles[-1], ran, now)
        if ran.code in PAUSING:
            row.status, row.paused_because = "paused", ran.code
    row.run_on += timedelta(days=(passed + 1) * row.every_days)
    if row.status == "active" and row.ends_on is not None and row.run_on > row.ends_on:
        row.status = "ended"
    session.flush()
    return 1


def run_cycle(session: Session, row: StandingOrder, cycle: date, now: datetime) -> Ran:
    """Order one cycle as its member would: placed within what they may order alone, else handed in for approval."""
    lines: Sequence[RequisitionListLine] = ()
    worked: Sequence[WorkedLine] = ()
    try:
        actor = who_orders(session, row)
        lines = queries_lists.lines_of(session, in_use(session, actor, row.list_id))
        for last in (*[False] * (TRIES - 1), True):
            shelf = shelf_of(session, lines, on=business_day(now))
            worked = work_out(shelf, lines, heads=row.headcount, meals=row.meals)
            try:
                result, requisition_id = order(session, actor, wanted_of(row, cycle, worked), now)
                return Ran(result, requisition_id, worked=worked, lines=lines)
            except (Shortage, AgreementDrawnOn, QuoteUsed):  # somebody else took it since it was read
                if last:
                    raise
        raise AssertionError
    except (CannotRun, Refusal) as refused:
        return Ran("refused", code=refused.code, detail=refused.detail or str(refused), worked=worked, lines=lines)


def order(session: Session, actor: Actor, wanted: RequisitionIn, now: datetime) -> tuple[str, UUID]:
    """Place what is wanted, or hand it in for approval; all of it or nothing."""
    with session.begin_nested():
        requisition_id = drafting.make(session, by=actor, wanted=wanted, now=now)
        try:
            with session.begin_nested():
                ordering.place(session, requisition_id=requisition_id, by=actor, now=now)
            return "placed", requisition_id
        except placing.ApprovalRequired:
            drafting.submit(session, requisition_id=requisition_id, by=actor, now=now)
            return "submitted", requisition_id


def who_orders(session: Session, row: StandingOrder) -> Actor:
    actor = queries_people.acting_member(session, row.membership_id)
    if actor is None or not actor.has(*ASKERS):
        raise CannotRun("member_ended", "whoever set this up may order no more")
    return actor


def in_use(session: Session, actor: Actor, list_id: UUID) -> UUID:
    try:
        return queries_lists.one(session, actor, list_id).id
    except NotFound:
        raise CannotRun("list_retired", "its list is in use no more") from None


def wanted_of(row: StandingOrder, cycle: date, worked: Sequence[WorkedLine]) -> RequisitionIn:
    lines = [
        OrderLineIn(listing_id=line.listing_id, quantity=line.quantity)
        for line in worked
        if line.listing_id is not None and line.quantity is not None
    ]
    if not lines:
        raise CannotRun("nothing_orderable", "nothing of the list could be ordered")
    return RequisitionIn(
        lines=lines,
        budget_unit_id=row.budget_unit_id,
        delivery_address_id=row.address_id,
        purpose=row.purpose,  # type: ignore[arg-type]
        payment_terms=row.terms,  # type: ignore[arg-type]
        reference=row.reference,
        note=row.note,
        deliver_on=cycle + timedelta(days=row.lead_days),
    )


def outcome_of(ran: Ran, line: WorkedLine) -> dict[str, Any]:
    """What a line came to; of a run that was refused nothing was ordered, whatever it was worked out to."""
    passed = [one.model_dump(mode="json") for one in line.passed_over]
    if ran.requisition_id is None or line.listing_id is None:
        return {"outcome": "left_out", "listing_id": None, "packs": None, "passed_over": passed}
    outcome = "substituted" if line.instead_of is not None else "as_listed"
    return {"outcome": outcome, "listing_id": line.listing_id, "packs": line.quantity, "passed_over": passed}


def keep(session: Session, row: StandingOrder, cycle: date, ran: Ran, now: datetime) -> None:
    """Keep what became of a cycle, and tell the institution where anything is other than the list says."""
    run = {
        "id": new_id(),
        "standing_order_id": row.id,
        "cycle": cycle,
        "at": now,
        "result": ran.result,
        "requisition_id": ran.requisition_id,
        "code": ran.code,
        "detail": ran.detail,
    }
    lines = [
        {
            "run_id": run["id"],
            "place": line.place,
            "wanted_listing_id": ran.lines[line.place].listing_id,
            "needed_grams": line.needed_grams,
            **outcome_of(ran, line),
        }
        for line in ran.worked
    ]
    fell_short = ran.result in ("refused", "missed") or any(line["outcome"] == "left_out" for line in lines)
    told = outbox.row_of(
        "standing_order.fell_short" if fell_short else "standing_order.ran",
        now=now,
        seen_by=[row.organisation_id],
        standing_order_id=row.id,
        run_id=run["id"],
    )
    insert_rows(session, (StandingRun, [run]), (StandingRunLine, lines), (Event, [told]))
