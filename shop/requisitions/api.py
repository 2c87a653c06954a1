"""Requisitions: written, checked, handed in, decided and placed, for buying institutions."""

from datetime import datetime

from sqlalchemy.orm import Session

from shop.accounts.models_units import MandateExpired, OrganisationNotActive, UnitClosed
from shop.actor import Actor, Audience, Role
from shop.agreements.models import AgreementDrawnOn, QuoteUsed
from shop.clock import business_day
from shop.errors import Invalid, NotFound, VersionConflict
from shop.freight.service import NoLane
from shop.http import cursors
from shop.http.routes import REQUIRED, Routes, audience, roles
from shop.ids import RequisitionId
from shop.ledger.service import CreditExceeded
from shop.orders.api import placed_out
from shop.orders.models_budgets import BudgetExceeded
from shop.orders.schemas import OrderOut, PlaceOrder
from shop.orders.service import judging, placing
from shop.requisitions import queries
from shop.requisitions.models import Requisition, WrongRequisitionStatus
from shop.requisitions.schemas import (
    CheckOut,
    Decide,
    DecidedMany,
    DecidedOut,
    DecideMany,
    HeldLine,
    RecordPaper,
    RequisitionIn,
    RequisitionItem,
    RequisitionOut,
    RequisitionPage,
    RequisitionsQuery,
    Withdraw,
    chain_out,
    item_fields,
    requisition_out,
)
from shop.requisitions.service import approving, drafting, ordering
from shop.requisitions.service.approving import NotYourStep, OwnRequisition
from shop.requisitions.service.drafting import VersionMissing
from shop.stock.service.holding import Shortage

routes = Routes("/v1/buyer", tag="Requisitions")
deciding = Routes("/v1/buyer", tag="Approvals", people_only=True)
anyone = audience(Audience.BUYER)
asker = roles(Role.REQUESTER, Role.APPROVER, Role.MANAGER, of=Audience.BUYER)
manager = roles(Role.MANAGER, of=Audience.BUYER)
NAMED = (NotFound, Invalid, judging.NotOrderable, OrganisationNotActive, UnitClosed, MandateExpired)


def shown(session: Session, actor: Actor, requisition_id: RequisitionId) -> RequisitionOut:
    row = queries.one(session, actor, requisition_id)
    return requisition_out(row, queries.lines_of(session, row.id), queries.decisions_of(session, row.id))


@routes.post("/requisitions", allow=asker, answers={201: RequisitionOut}, refusals=NAMED)
def make_requisition(session: Session, actor: Actor, now: datetime, body: RequisitionIn) -> RequisitionOut:
    """Write down what is to be bought; nothing is held and nobody is asked yet."""
    return shown(session, actor, drafting.make(session, by=actor, wanted=body, now=now))


@routes.post("/requisition-checks", allow=asker, answers={200: CheckOut}, refusals=(*NAMED, NoLane))
def check_lines(session: Session, actor: Actor, now: datetime, body: PlaceOrder) -> CheckOut:
    """What an order would meet as it stands: what holds each line, its price and freight, and who would approve."""
    return checked_out(actor, body, ordering.check(session, by=actor, wanted=body, now=now), {})


@routes.get("/requisitions", allow=anyone, answers={200: RequisitionPage})
def list_requisitions(session: Session, actor: Actor, now: datetime, query: RequisitionsQuery) -> RequisitionPage:
    """The institution's requisitions, newest first; `waiting_for_me`: those whose next step the caller may take."""
    wanted = queries.visible_to(actor)
    if query.status:
        wanted = wanted.where(Requisition.status == query.status)
    if query.waiting_for_me:
        wanted = queries.waiting_for(wanted, actor, business_day(now))
    name = f"requisitions {query.status} {query.waiting_for_me}"
    if query.cursor:
        wanted = wanted.where(Requisition.id < cursors.decode_id(name, query.cursor))
    found = session.scalars(wanted.order_by(Requisition.id.desc()).limit(query.limit + 1)).all()
    page, following = cursors.cut(name, found, query.limit)
    return RequisitionPage(items=[RequisitionItem(**item_fields(row)) for row in page], next=following)


@routes.get("/requisitions/<requisition_id>", allow=anyone, answers={200: RequisitionOut}, refusals=(NotFound,))
def read_requisition(session: Session, actor: Actor, requisition_id: RequisitionId) -> RequisitionOut:
    """One requisition with its lines and every decision on any of its versions."""
    return shown(session, actor, requisition_id)


@routes.put(
    "/requisitions/<requisition_id>",
    allow=asker,
    answers={200: RequisitionOut},
    refusals=(*NAMED, WrongRequisitionStatus, VersionConflict, VersionMissing),
)
def change_requisition(
    session: Session,
    actor: Actor,
    now: datetime,
    requisition_id: RequisitionId,
    body: RequisitionIn,
    if_match: str | None,
) -> RequisitionOut:
    """Replace what is wanted, at the version given as If-Match; it is a draft again and every approval is void."""
    drafting.change(session, requisition_id=requisition_id, by=actor, wanted=body, version=if_match, now=now)
    return shown(session, actor, requisition_id)


@routes.get("/requisitions/<requisition_id>/check", allow=anyone, answers={200: CheckOut}, refusals=(*NAMED, NoLane))
def check_requisition(session: Session, actor: Actor, now: datetime, requisition_id: RequisitionId) -> CheckOut:
    """What placing it now would meet; `was_unit_fen` shows prices that have changed since it was handed in."""
    row = queries.one(session, actor, requisition_id)
    lines = queries.lines_of(session, row.id)
    wanted = drafting.order_of(row, lines)
    seen = {line.place: line.unit_fen for line in lines if line.unit_fen is not None}
    return checked_out(actor, wanted, ordering.check(session, by=actor, wanted=wanted, now=now), seen)


@routes.post(
    "/requisitions/<requisition_id>/submit",
    allow=asker,
    answers={200: RequisitionOut},
    refusals=(*NAMED, NoLane, WrongRequisitionStatus),
)
def submit_requisition(session: Session, actor: Actor, now: datetime, requisition_id: RequisitionId) -> RequisitionOut:
    """Hand it in for approval: it is quoted, and the rules of the day say who decides."""
    drafting.submit(session, requisition_id=requisition_id, by=actor, now=now)
    return shown(session, actor, requisition_id)


@routes.post(
    "/requisitions/<requisition_id>/withdraw",
    allow=asker,
    answers={200: RequisitionOut},
    refusals=(NotFound, WrongRequisitionStatus),
)
def withdraw_requisition(
    session: Session, actor: Actor, now: datetime, requisition_id: RequisitionId, body: Withdraw
) -> RequisitionOut:
    """Take it back for good."""
    drafting.withdraw(session, requisition_id=requisition_id, by=actor, reason=body.reason, now=now)
    return shown(session, actor, requisition_id)


@deciding.post(
    "/requisitions/<requisition_id>/decision",
    allow=anyone,
    answers={200: RequisitionOut},
    refusals=(NotFound, WrongRequisitionStatus, VersionConflict, OwnRequisition, NotYourStep),
)
def decide_requisition(
    session: Session, actor: Actor, now: datetime, requisition_id: RequisitionId, body: Decide
) -> RequisitionOut:
    """Approve the next step of the version that was read, or return it with the reason."""
    approving.decide(
        session,
        requisition_id=requisition_id,
        by=actor,
        version=body.version,
        approve=body.decision == "approve",
        comment=body.comment,
        now=now,
    )
    return shown(session, actor, requisition_id)


@deciding.post("/requisition-decisions", allow=anyone, answers={200: DecidedMany})
def decide_requisitions(session: Session, actor: Actor, now: datetime, body: DecideMany) -> DecidedMany:
    """Take many decisions at once; each succeeds or is refused by itself, and the answer says which."""
    outcomes = approving.decide_many(session, decisions=body.decisions, by=actor, now=now)
    stands = queries.statuses(session, actor, [outcome.requisition_id for outcome in outcomes])
    return DecidedMany(
        items=[
            DecidedOut(
                requisition_id=outcome.requisition_id,
                result=outcome.refusal.code if outcome.refusal else "done",
                status=outcome.refusal.status if outcome.refusal else 200,
                requisition_status=stands.get(outcome.requisition_id),
                detail=(outcome.refusal.detail or outcome.refusal.title) if outcome.refusal else None,
                facts=outcome.refusal.facts if outcome.refusal else {},
            )
            for outcome in outcomes
        ]
    )


@deciding.post(
    "/requisitions/<requisition_id>/paper-approval",
    allow=manager,
    answers={200: RequisitionOut},
    refusals=(NotFound, Invalid, WrongRequisitionStatus, VersionConflict, OwnRequisition),
)
def record_paper_approval(
    session: Session, actor: Actor, now: datetime, requisition_id: RequisitionId, body: RecordPaper
) -> RequisitionOut:
    """Record an approval that was given on paper or in the office system, with its scan; it is marked as such."""
    approving.record_paper(
        session,
        requisition_id=requisition_id,
        by=actor,
        version=body.version,
        file_id=body.file_id,
        signed_on=body.signed_on,
        comment=body.comment,
        now=now,
    )
    return shown(session, actor, requisition_id)


@routes.post(
    "/requisitions/<requisition_id>/place",
    allow=asker,
    answers={201: OrderOut},
    refusals=(
        *NAMED,
        WrongRequisitionStatus,
        placing.ApprovalRequired,
        placing.AboveApproval,
        NoLane,
        CreditExceeded,
        BudgetExceeded,
        AgreementDrawnOn,
        QuoteUsed,
        Shortage,
    ),
    key=REQUIRED,
)
def place_requisition(session: Session, actor: Actor, now: datetime, requisition_id: RequisitionId) -> OrderOut:
    """Order what was approved, up to what was approved; a draft within the caller's own limit needs nobody."""
    return placed_out(ordering.place(session, requisition_id=requisition_id, by=actor, now=now))


def checked_out(actor: Actor, wanted: PlaceOrder, found: ordering.Checked, seen: dict[int, int]) -> CheckOut:
    lines = []
    for place, (line, held) in enumerate(zip(wanted.lines, found.lines, strict=True)):
        priced, fault = held.priced, held.fault or {}
        unit = priced.unit_fen if priced else None
        was = seen.get(place)
        lines.append(
            HeldLine(
                place=place,
                listing_id=line.listing_id,
                quantity=line.quantity,
                code=fault.get("code"),
                detail=fault.get("detail"),
                allowed=fault.get("allowed"),
                available=held.packs_there,
                unit_fen=unit,
                priced_by=priced.basis.value if priced else None,
                agreement_id=priced.agreement_id if priced else None,
                quote_id=priced.quote_id if priced else None,
                was_unit_fen=was if unit is not None and was != unit else None,
                goods_fen=priced.goods_fen if priced else None,
                freight_fen=priced.freight_fen if priced else None,
            )
        )
    return CheckOut(
        orderable=all(line.code is None for line in lines),
        within_limit=actor.order_limit_fen is not None and found.total_fen <= actor.order_limit_fen,
        goods_fen=found.goods_fen,
        freight_fen=found.freight_fen,
        total_fen=found.total_fen,
        chain=chain_out(found.chain),
        lines=lines,
    )
