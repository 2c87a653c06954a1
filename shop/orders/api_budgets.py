"""Budgets of units, and what members may spend without being asked."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.actor import Actor, Audience, Role
from shop.errors import NotFound
from shop.http import cursors
from shop.http.routes import Routes, audience, roles
from shop.ids import BudgetId
from shop.orders.models_budgets import BelowDrawn, Budget, SpendingLimit
from shop.orders.schemas_budgets import (
    BudgetOut,
    BudgetPage,
    BudgetsQuery,
    EntriesQuery,
    EntryPage,
    SetBudget,
    SetSpendingLimit,
    SpendingLimits,
    budget_out,
    entry_out,
    limit_out,
)
from shop.orders.service import budgeting

routes = Routes("/v1/buyer", tag="Budgets", people_only=True)
keeper = roles(Role.FINANCE, Role.MANAGER, of=Audience.BUYER)
manager = roles(Role.MANAGER, of=Audience.BUYER)


@routes.get("/budgets", allow=audience(Audience.BUYER), answers={200: BudgetPage})
def list_budgets(session: Session, actor: Actor, query: BudgetsQuery) -> BudgetPage:
    """The budgets of the institution's units, oldest first."""
    name = f"budgets {query.year}"
    wanted = select(Budget).where(Budget.organisation_id == actor.organisation_id)
    if query.year:
        wanted = wanted.where(Budget.year == query.year)
    if query.cursor:
        wanted = wanted.where(Budget.id > cursors.decode_id(name, query.cursor))
    found = session.scalars(wanted.order_by(Budget.id).limit(query.limit + 1)).all()
    page, following = cursors.cut(name, found, query.limit)
    return BudgetPage(items=[budget_out(row) for row in page], next=following)


@routes.put("/budgets", allow=keeper, answers={200: BudgetOut}, refusals=(NotFound, BelowDrawn))
def set_budget(session: Session, actor: Actor, now: datetime, body: SetBudget) -> BudgetOut:
    """Set what a unit may order in a year for a purpose; orders above what is left are refused from then on."""
    return budget_out(budgeting.set_budget(session, by=actor, wanted=body, now=now))


@routes.get(
    "/budgets/<budget_id>/entries",
    allow=audience(Audience.BUYER),
    answers={200: EntryPage},
    refusals=(NotFound,),
)
def list_budget_entries(session: Session, actor: Actor, budget_id: BudgetId, query: EntriesQuery) -> EntryPage:
    """What drew on a budget and what was given back to it, oldest first; their sum is `drawn_fen`."""
    own = select(Budget.id).where(Budget.id == budget_id, Budget.organisation_id == actor.organisation_id)
    if session.scalar(own) is None:
        raise NotFound("No such budget of yours.")
    name = f"entries {budget_id.hex}"
    after = cursors.decode_id(name, query.cursor) if query.cursor else None
    found = budgeting.entries_of(session, budget_id, after, query.limit + 1)
    page, following = cursors.cut(name, found, query.limit)
    return EntryPage(items=[entry_out(row) for row in page], next=following)


def limits_of(session: Session, actor: Actor) -> SpendingLimits:
    found = session.scalars(
        select(SpendingLimit)
        .where(SpendingLimit.organisation_id == actor.organisation_id)
        .order_by(SpendingLimit.membership_id)
        .execution_options(populate_existing=True)
    )
    return SpendingLimits(items=[limit_out(row) for row in found])


@routes.get("/spending-limits", allow=keeper, answers={200: SpendingLimits})
def list_spending_limits(session: Session, actor: Actor) -> SpendingLimits:
    """Which members have a limit to what they order in a window without an approval."""
    return limits_of(session, actor)


@routes.put("/spending-limits", allow=manager, answers={200: SpendingLimits}, refusals=(NotFound,))
def set_spending_limit(session: Session, actor: Actor, now: datetime, body: SetSpendingLimit) -> SpendingLimits:
    """Set, change or lift what a member may order in a day, week or month without an approval."""
    budgeting.set_spending_limit(session, by=actor, wanted=body, now=now)
    return limits_of(session, actor)
