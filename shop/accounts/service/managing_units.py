"""Make, change, move and close the budget units of a tree."""

from contextlib import AbstractContextManager
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shop.accounts import queries_units as queries
from shop.accounts.models import BudgetUnit, Organisation
from shop.accounts.models_units import DEEPEST, UnitClosed
from shop.accounts.schemas_units import ChangeUnit, NewUnit
from shop.actor import Actor
from shop.audit import service as audit
from shop.clock import business_day
from shop.db import changed, unless_taken
from shop.errors import Invalid, NotFound, Refusal


class UnitCycle(Refusal):
    code, status = "unit_cycle", 409
    title, title_zh = "A unit cannot stand below itself.", "预算单位不能隶属于自己的下级。"


class UnitTooDeep(Refusal):
    """`allowed` is how many units may stand one below the other."""

    code, status = "unit_too_deep", 409
    title, title_zh = "The tree of units would be too deep.", "预算单位层级过深。"


class OtherTree(Refusal):
    code, status = "other_tree", 409
    title, title_zh = (
        "A unit of another organisation moves within its tree only.",
        "其他单位的预算单位只能在本树内调整。",
    )


class UnitHasSubordinates(Refusal):
    """Close or move the open units below first, or name the successor that takes them; `open_units` counts them."""

    code, status = "unit_has_subordinates", 409
    title, title_zh = "There are open units below.", "该单位下仍有未停用的下级单位。"


def code_once(session: Session) -> AbstractContextManager[None]:
    return unless_taken(session, Invalid("Another unit of the organisation has this code.", pointer="/code"))


def create(session: Session, *, by: Actor, wanted: NewUnit, now: datetime) -> BudgetUnit:
    """A new unit of the organisation, or of one that hangs below it; below `parent_id`, or a top unit without one."""
    queries.require_active(session, by)
    today = business_day(now)
    queries.require_funding(session, wanted.funding_code, wanted.finance_level, today, pointer="/funding_code")
    organisation_id = wanted.organisation_id or by.organisation_id
    if organisation_id != by.organisation_id:
        parent = session.scalar(select(Organisation.parent_id).where(Organisation.id == organisation_id))
        if parent != by.organisation_id:
            raise NotFound("No such organisation below yours.")
    made = BudgetUnit(
        organisation_id=organisation_id,
        name=wanted.name,
        code=wanted.code,
        finance_level=wanted.finance_level,
        funding_code=wanted.funding_code,
        opened_on=today,
    )
    with code_once(session):
        session.add(made)
    if wanted.parent_id:
        queries.managed_unit(session, by, wanted.parent_id)
        put_below(session, wanted.parent_id, made.id)
    elif organisation_id != by.organisation_id:
        raise Invalid("A unit of another organisation hangs below one of yours.", pointer="/parent_id")
    session.refresh(made)
    audit.record(
        session, by=by, action="create", kind="budget_unit", subject=made.id, now=now,
        after={
            "name": made.name, "code": made.code, "finance_level": made.finance_level,
            "funding_code": made.funding_code, "parent_id": made.parent_id.hex if made.parent_id else None,
        },
    )  # fmt: skip
    return made


def change(session: Session, *, by: Actor, unit_id: UUID, wanted: ChangeUnit, now: datetime) -> BudgetUnit:
    """The unit with what was given changed: its name, code, finance level or whose budget pays it."""
    queries.require_active(session, by)
    unit = open_unit(session, by, unit_id)
    given = wanted.model_dump(exclude_unset=True, exclude_none=True)
    level, funding = given.get("finance_level", unit.finance_level), given.get("funding_code", unit.funding_code)
    queries.require_funding(session, funding, level, business_day(now), pointer="/funding_code")
    before = {name: getattr(unit, name) for name, value in sorted(given.items()) if getattr(unit, name) != value}
    with code_once(session):
        for name in before:
            setattr(unit, name, given[name])
    if before:
        audit.record(
            session, by=by, action="change", kind="budget_unit", subject=unit.id, now=now,
            before=before, after={name: given[name] for name in before},
        )  # fmt: skip
    return unit


def open_unit(session: Session, by: Actor, unit_id: UUID) -> BudgetUnit:
    unit = queries.managed_unit(session, by, unit_id)
    if unit.status != "open":
        raise UnitClosed
    return unit


def put_below(session: Session, parent_id: UUID, *unit_ids: UUID, pointer: str = "/parent_id") -> None:
    """Hang units below another with all trees held still; refused below themselves, too deep or below a closed one.

    `pointer` is the field that named the place.
    """
    queries.lock_trees(session, *unit_ids, parent_id)
    below_itself, depth = queries.fit(session, unit_ids, parent_id)
    if below_itself:
        raise UnitCycle(pointer=pointer)
    if depth > DEEPEST:
        raise UnitTooDeep(pointer=pointer, allowed=DEEPEST)
    open_parent = select(BudgetUnit.id).where(BudgetUnit.id == parent_id, BudgetUnit.status == "open").exists()
    below = update(BudgetUnit).where(BudgetUnit.id.in_(unit_ids), BudgetUnit.status == "open", open_parent)
    if changed(session, below.values(parent_id=parent_id)) != len(unit_ids):
        raise UnitClosed(pointer=pointer)


def move(session: Session, *, by: Actor, unit_id: UUID, parent_id: UUID | None, now: datetime) -> BudgetUnit:
    """Hang a unit below another one of the tree, or, without a parent, make it the top of a tree of its own."""
    queries.require_active(session, by)
    unit = open_unit(session, by, unit_id)
    was = unit.parent_id
    if parent_id is None:
        queries.lock_trees(session, unit_id)
        queries.managed_unit(session, by, unit_id)
        unit.parent_id = None
        session.flush()
    else:
        roots = queries.lock_trees(session, unit_id, parent_id)
        queries.managed_unit(session, by, unit_id)
        queries.managed_unit(session, by, parent_id)
        if unit.organisation_id != by.organisation_id and roots[unit_id] != roots[parent_id]:
            raise OtherTree(pointer="/parent_id")
        put_below(session, parent_id, unit_id)
    session.refresh(unit)
    audit.record(
        session,
        by=by,
        action="move",
        kind="budget_unit",
        subject=unit_id,
        now=now,
        was=was.hex if was else None,
        parent=parent_id.hex if parent_id else None,
    )
    return unit


def close(
    session: Session, *, by: Actor, unit_id: UUID, successor_id: UUID | None, reason: str, now: datetime
) -> BudgetUnit:
    """Close a unit, which then takes no new orders; its successor, if it was merged into one, takes the units below.

    A unit is never deleted: what was ordered and filed for it stays, and the successor's manager may read it.
    """
    queries.require_active(session, by)
    unit = open_unit(session, by, unit_id)
    queries.lock_trees(session, *filter(None, (unit_id, successor_id)))
    children = queries.open_children(session, unit_id)
    if successor_id is not None:
        if successor_id == unit_id:
            raise Invalid("A unit does not follow itself.", pointer="/successor_id")
        if queries.managed_unit(session, by, successor_id).status != "open":
            raise UnitClosed(pointer="/successor_id")
        if children:
            put_below(session, successor_id, *children, pointer="/successor_id")
    elif children:
        raise UnitHasSubordinates(open_units=len(children))
    open_one = update(BudgetUnit).where(BudgetUnit.id == unit_id, BudgetUnit.status == "open")
    if not changed(session, open_one.values(status="closed", successor_id=successor_id)):
        raise UnitClosed
    session.refresh(unit)
    audit.record(
        session,
        by=by,
        action="close",
        kind="budget_unit",
        subject=unit_id,
        now=now,
        reason=reason,
        successor=successor_id.hex if successor_id else None,
    )
    return unit
