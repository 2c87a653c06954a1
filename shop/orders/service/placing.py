"""Place an order: read what is ordered, price it, hold supply for every line and record it, or refuse the whole.

One transaction and a constant number of set-based statements, however many lines and cooperatives.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from shop.accounts.service.numbering import next_number
from shop.actor import Actor
from shop.agreements.models import AgreementDrawing
from shop.agreements.service import drawing, using
from shop.clock import BEIJING, business_day
from shop.db import insert_rows
from shop.errors import Refusal
from shop.ids import new_id
from shop.ledger import service as ledger
from shop.orders.models import Terms
from shop.orders.models_budgets import BudgetEntry
from shop.orders.schemas import PlaceOrder
from shop.orders.service import budgeting
from shop.orders.service.quoting import quote
from shop.orders.service.recording import Placed, dimensions_of, events_of, rows_of
from shop.outbox.models import Event
from shop.pricing.service import Basis
from shop.regions.service import attribute
from shop.stock.models import Hold
from shop.stock.service import holding


class ApprovalRequired(Refusal):
    """The order is above what this member may place alone, or still may in the window; `allowed` is that in fen."""

    code, status = "approval_required", 409
    title, title_zh = "This order needs an approval.", "该订单需要审批。"


class AboveApproval(Refusal):
    """The order costs more now than was approved; `allowed` is what was approved, in fen."""

    code, status = "above_approval", 409
    title, title_zh = "This costs more now than was approved.", "当前金额已超过审批金额，请重新提交审批。"


@dataclass(frozen=True)
class Approval:
    """What stands behind an order in the place of the member's own limit: so much was approved, goods and freight."""

    total_fen: int


def place(
    session: Session, *, actor: Actor, wanted: PlaceOrder, now: datetime, approval: Approval | None = None
) -> Placed:
    """Place the order and announce `order.placed`; above the member's own limit it takes an approval.

    Refuses the whole with NotFound (address or budget unit of another), NotOrderable (a line's listing, season,
    minimum, step or maximum), ApprovalRequired or AboveApproval, NoLane, CreditExceeded, AgreementDrawnOn,
    QuoteUsed or Shortage; and with OrganisationNotActive, UnitClosed or MandateExpired.
    """
    today = business_day(now)
    quoted = quote(session, actor=actor, wanted=wanted, on=today)
    unit, parts, total = quoted.unit, quoted.parts, quoted.total_fen
    lines = [line for part in parts for line in part.lines]
    if approval is not None:
        if total > approval.total_fen:
            raise AboveApproval(allowed=approval.total_fen, total_fen=total)
    else:
        require_limit(session, actor, total, now, in_window=unit.has_spending_limit)
    attributed = attribute(
        session, funding_code=unit.funding_code, origins=[line.listing.origin_code for line in lines], on=today
    )
    if wanted.payment_terms == Terms.ON_TERMS.value:
        ledger.reserve_credit(session, actor.organisation_id, total)
    order_id = new_id()
    drawn = (
        [budgeting.draw(session, budget_id=unit.budget_id, order_id=order_id, fen=total, now=now)]
        if unit.budget_id
        else []
    )
    agreed = drawing.take(
        session,
        [
            drawing.Draw(line.id, line.offer.under, line.offer.line, line.packs, line.goods_fen)
            for line in lines
            if line.offer is not None and line.basis is Basis.AGREEMENT
        ],
        now=now,
    )
    using.use(session, {line.id: (line.quote_id, line.packs) for line in lines if line.quote_id is not None}, now=now)
    holds = holding.take(
        session,
        [
            holding.Want(line.id, line.listing.id, actor.organisation_id, line.packs * pack, pack)
            for line in lines
            for pack in (line.listing.pack_base_quantity,)
        ],
        now=now,
    )
    shared = {
        "funding_code": unit.funding_code,
        "buyer_id": actor.organisation_id.hex,
        "budget_unit_id": unit.id.hex,
        "purpose": wanted.purpose,
        "terms": wanted.payment_terms,
        "order_id": order_id.hex,
    }
    dimensions = {
        line.id: dimensions_of(line, part, attributed[line.listing.origin_code], shared)
        for part in parts
        for line in part.lines
    }
    number = next_number(session, actor.organisation_id, "PO", now.astimezone(BEIJING).year)
    placed = Placed(
        order_id,
        number,
        wanted,
        parts,
        {code: found.bucket for code, found in attributed.items()},
        now,
        held_until=until(wanted, unit.hold_minutes, now),
        pay_before=until(wanted, unit.pay_minutes, now),
        approved=approval is not None,
        split_suspected=approval is None and unit.ordered_alone_fen + total > (actor.order_limit_fen or 0),
    )
    insert_rows(
        session,
        *rows_of(placed, actor, unit, quoted.address, dimensions),
        (Hold, holds),
        (BudgetEntry, drawn),
        (AgreementDrawing, agreed),
        (Event, events_of(placed, actor)),
    )
    return placed


def until(wanted: PlaceOrder, minutes: int | None, now: datetime) -> datetime | None:
    """So many minutes from now for an order that is to be paid first; without an end by no rule, and on terms."""
    if wanted.payment_terms == Terms.ON_TERMS.value or minutes is None:
        return None
    return now + timedelta(minutes=minutes)


def require_limit(session: Session, actor: Actor, total_fen: int, now: datetime, *, in_window: bool) -> None:
    """ApprovalRequired unless the member may order so much alone, at once and, where that is limited, in the window."""
    allowed = actor.order_limit_fen or 0
    if in_window and total_fen <= allowed:
        left = budgeting.left_of_window(session, actor=actor, now=now)
        allowed = allowed if left is None else min(allowed, left)
    if total_fen > allowed or actor.order_limit_fen is None:
        raise ApprovalRequired(allowed=allowed, total_fen=total_fen)
