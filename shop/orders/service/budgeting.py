"""Draw an order on its unit's budget, give back what was cancelled or not accepted, and keep budgets and limits."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from shop.accounts import queries_units
from shop.accounts.models import Membership
from shop.actor import Actor
from shop.audit import service as audit
from shop.clock import BEIJING
from shop.db import seeing_all
from shop.errors import NotFound
from shop.ids import new_id
from shop.orders.models_budgets import (
    BelowDrawn,
    Budget,
    BudgetEntry,
    BudgetExceeded,
    Drawing,
    SpendingLimit,
    SpendingWindow,
)
from shop.orders.schemas_budgets import SetBudget, SetSpendingLimit

DRAW = text(
    "UPDATE budget SET drawn_fen = drawn_fen + :fen WHERE id = :budget AND drawn_fen + :fen <= amount_fen RETURNING id"
)
GIVE_BACK = text(
    """
    WITH due AS (
        SELECT CAST(:part AS uuid) AS part, e.budget_id, e.order_id
        FROM supplier_order s JOIN budget_entry e ON e.order_id = s.order_id AND e.kind = 'placed'
        WHERE s.id = :part
    ), noted AS (
        INSERT INTO budget_entry (id, budget_id, kind, amount_fen, order_id, supplier_order_id, correction_id, at)
        SELECT :id, budget_id, :kind, - CAST(:fen AS bigint), order_id, part, CAST(:correction AS uuid), :at FROM due
        ON CONFLICT DO NOTHING RETURNING budget_id
    )
    UPDATE budget b SET drawn_fen = drawn_fen - CAST(:fen AS bigint) FROM noted n WHERE b.id = n.budget_id
    """
)
SPENT = text(
    """
    SELECT coalesce(sum(o.total_fen), 0) FROM purchase_order o
    WHERE o.placed_by = :user AND o.buyer_id = :buyer AND o.placed_at >= :since AND NOT o.approved
    """
)


def draw(session: Session, *, budget_id: UUID, order_id: UUID, fen: int, now: datetime) -> dict[str, Any]:
    """Draw on a budget under its lock, or refuse with BudgetExceeded; gives the row of the entry, to be inserted."""
    if session.execute(DRAW, {"budget": budget_id, "fen": fen}).first() is None:
        left = session.scalar(select(Budget.amount_fen - Budget.drawn_fen).where(Budget.id == budget_id))
        raise BudgetExceeded(available_fen=left or 0, wanted_fen=fen)
    return {
        "id": new_id(),
        "budget_id": budget_id,
        "kind": Drawing.PLACED,
        "amount_fen": fen,
        "order_id": order_id,
        "at": now,
    }


def give_back(
    session: Session,
    *,
    supplier_order_id: UUID,
    kind: Drawing,
    fen: int,
    now: datetime,
    correction_id: UUID | None = None,
) -> None:
    """Give back to the budget that the order drew on, if it drew on one; once for each part and reason or correction.

    Whoever ends a part may be another organisation, which does not see the budget.
    """
    if fen:
        with seeing_all(session):
            session.execute(
                GIVE_BACK,
                {
                    "id": new_id(), "part": supplier_order_id, "kind": kind, "fen": fen, "at": now,
                    "correction": correction_id,
                },
            )  # fmt: skip


def window_began(window: SpendingWindow, now: datetime) -> datetime:
    """When the calendar window began that an instant lies in."""
    day = now.astimezone(BEIJING).replace(hour=0, minute=0, second=0, microsecond=0)
    if window is SpendingWindow.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if window is SpendingWindow.MONTH else day


def left_of_window(session: Session, *, actor: Actor, now: datetime) -> int | None:
    """What the member may still order in the window without an approval, with the limit's row locked; None: no limit.

    The lock makes two orders of one member wait for each other, so that they do not both see what is left.
    """
    limit = session.execute(
        select(SpendingLimit.window_kind, SpendingLimit.limit_fen)
        .where(SpendingLimit.membership_id == actor.membership_id)
        .with_for_update()
    ).first()
    if limit is None:
        return None
    since = window_began(SpendingWindow(limit.window_kind), now)
    spent = session.execute(SPENT, {"user": actor.user_id, "buyer": actor.organisation_id, "since": since}).scalar_one()
    return max(0, int(limit.limit_fen) - int(spent))


def set_budget(session: Session, *, by: Actor, wanted: SetBudget, now: datetime) -> Budget:
    """Set what a unit may order in a year for a purpose; BelowDrawn when more is drawn already."""
    unit = queries_units.own_unit(session, by, wanted.budget_unit_id)
    key = {"budget_unit_id": unit.id, "year": wanted.year, "purpose": wanted.purpose}
    session.execute(
        upsert(Budget)
        .values(id=new_id(), organisation_id=by.organisation_id, amount_fen=0, drawn_fen=0, **key)
        .on_conflict_do_nothing()
    )
    row = session.scalars(select(Budget).filter_by(**key).with_for_update().execution_options(populate_existing=True))
    budget = row.one()
    if wanted.amount_fen < budget.drawn_fen:
        raise BelowDrawn(drawn_fen=budget.drawn_fen, pointer="/amount_fen")
    audit.record(
        session, by=by, action="budget.set", kind="budget", subject=budget.id, now=now, reason=wanted.reason,
        before=budget.amount_fen, after=wanted.amount_fen,
    )  # fmt: skip
    budget.amount_fen = wanted.amount_fen
    session.flush()
    return budget


def set_spending_limit(session: Session, *, by: Actor, wanted: SetSpendingLimit, now: datetime) -> None:
    """Set, change or lift what a member may order in a window without an approval."""
    member = session.scalars(
        select(Membership).where(
            Membership.id == wanted.member_id,
            Membership.organisation_id == by.organisation_id,
            Membership.ended_at.is_(None),
        )
    ).first()
    if member is None:
        raise NotFound("No such member of yours.", pointer="/member_id")
    if wanted.limit_fen is None:
        session.execute(delete(SpendingLimit).where(SpendingLimit.membership_id == member.id))
    else:
        values = {"window_kind": wanted.window, "limit_fen": wanted.limit_fen}
        session.execute(
            upsert(SpendingLimit)
            .values(membership_id=member.id, organisation_id=by.organisation_id, **values)
            .on_conflict_do_update(index_elements=["membership_id"], set_=values)
        )
    audit.record(
        session, by=by, action="spending_limit.set", kind="membership", subject=member.id, now=now,
        window=wanted.window, limit_fen=wanted.limit_fen,
    )  # fmt: skip


def entries_of(session: Session, budget_id: UUID, after: UUID | None, limit: int) -> Sequence[Any]:
    """The entries of a budget, oldest first."""
    wanted = select(BudgetEntry).where(BudgetEntry.budget_id == budget_id)
    if after is not None:
        wanted = wanted.where(BudgetEntry.id > after)
    return session.scalars(wanted.order_by(BudgetEntry.id).limit(limit)).all()
