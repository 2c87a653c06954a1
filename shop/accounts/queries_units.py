"""Which budget units, mandates and links an organisation may see and manage; every read of them starts here."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, Select, and_, or_, select, text
from sqlalchemy.orm import Session

from shop.accounts.models import Address, BudgetUnit, Organisation
from shop.accounts.models_units import WHY_NOT, BuyingMandate, MandateStatus, OrganisationNotActive, UnitLink
from shop.actor import Actor
from shop.errors import Invalid, NotFound
from shop.regions.models import Division, prefecture_of, province_of

MUNICIPALITIES = ("11", "12", "31", "50")
NATIONAL_BUDGET = "000000"
"""The funding code of a central unit, whose budget is no division's."""


def managed(organisation_id: UUID) -> CTE:
    """The ids of the organisation's units and of all that stand below them."""
    tree = select(BudgetUnit.id).where(BudgetUnit.organisation_id == organisation_id).cte("managed", recursive=True)
    return tree.union(select(BudgetUnit.id).join(tree, BudgetUnit.parent_id == tree.c.id))


def readable(organisation_id: UUID) -> CTE:
    """The managed units, those that were merged into them, and those of organisations merged into this one."""
    merged = select(Organisation.id).where(Organisation.successor_id == organisation_id)
    tree = (
        select(BudgetUnit.id)
        .where(or_(BudgetUnit.organisation_id == organisation_id, BudgetUnit.organisation_id.in_(merged)))
        .cte("readable", recursive=True)
    )
    below_or_before = or_(BudgetUnit.parent_id == tree.c.id, BudgetUnit.successor_id == tree.c.id)
    return tree.union(select(BudgetUnit.id).join(tree, below_or_before))


def visible_units(actor: Actor) -> Select[BudgetUnit]:
    """The units that this buyer may know of."""
    return select(BudgetUnit).where(BudgetUnit.id.in_(select(readable(actor.organisation_id).c.id)))


def managed_unit(session: Session, actor: Actor, unit_id: UUID) -> BudgetUnit:
    """A unit that the actor's organisation has or supervises, as it stands in the database; else NotFound."""
    wanted = select(BudgetUnit).where(
        BudgetUnit.id == unit_id, BudgetUnit.id.in_(select(managed(actor.organisation_id).c.id))
    )
    found = session.scalars(wanted.execution_options(populate_existing=True)).first()
    if found is None:
        raise NotFound("No such budget unit of yours.")
    return found


def own_unit(session: Session, actor: Actor, unit_id: UUID) -> BudgetUnit:
    """A unit of the actor's own organisation, as it stands in the database; else NotFound."""
    wanted = select(BudgetUnit).where(BudgetUnit.id == unit_id, BudgetUnit.organisation_id == actor.organisation_id)
    found = session.scalars(wanted.execution_options(populate_existing=True)).first()
    if found is None:
        raise NotFound("No such budget unit of yours.")
    return found


def is_readable(session: Session, actor: Actor, unit_id: UUID) -> bool:
    """Whether the actor may know of a unit."""
    return session.scalars(visible_units(actor).where(BudgetUnit.id == unit_id)).first() is not None


def require_active(session: Session, actor: Actor) -> None:
    """Refuse what an organisation that is not approved yet, or suspended, may not do."""
    status = session.scalar(select(Organisation.status).where(Organisation.id == actor.organisation_id))
    if status != "active":
        raise OrganisationNotActive(WHY_NOT.get(status or "", ""), organisation_status=status)


def known_divisions(session: Session, codes: Iterable[str], on: date) -> set[str]:
    """Those of the codes that name a division on a day."""
    wanted = sorted(set(codes))
    if not wanted:
        return set()
    found = session.scalars(
        select(Division.code).where(
            Division.code.in_(wanted),
            Division.in_force(on),
        )
    )
    return set(found)


def require_division(session: Session, code: str, on: date, *, pointer: str) -> None:
    if not known_divisions(session, [code], on):
        raise Invalid("No division has this code today.", pointer=pointer)


def require_funding(session: Session, code: str, finance_level: str, on: date, *, pointer: str) -> None:
    """Refuse a funding code that names no division; a central unit may name the national budget, 000000."""
    if code == NATIONAL_BUDGET and finance_level == "central":
        return
    require_division(session, code, on, pointer=pointer)
    if not level_fits(finance_level, code):
        raise Invalid("The finance level is not that of the division whose budget pays.", pointer=pointer)


def level_fits(finance_level: str, code: str) -> bool:
    """Whether a division of this code has a budget of this level; below a municipality a district counts as either."""
    match finance_level:
        case "province":
            return code == province_of(code)
        case "prefecture":
            return code != province_of(code) and (code == prefecture_of(code) or code[:2] in MUNICIPALITIES)
        case "county" | "township":
            return code != prefecture_of(code)
        case _:
            return True


def orderable_units(session: Session, organisation_id: UUID, on: date) -> Sequence[BudgetUnit]:
    """The open units that an organisation may order for on a day: its own, and those it has a mandate for."""
    mandated = select(BuyingMandate.unit_id).where(
        BuyingMandate.organisation_id == organisation_id,
        BuyingMandate.status == MandateStatus.ACTIVE,
        BuyingMandate.valid.contains(on),
    )
    wanted = select(BudgetUnit).where(
        or_(BudgetUnit.organisation_id == organisation_id, BudgetUnit.id.in_(mandated)), BudgetUnit.status == "open"
    )
    return session.scalars(wanted.order_by(BudgetUnit.id)).all()


def delivery_addresses(session: Session, organisation_id: UUID, on: date) -> Sequence[Address]:
    """Where an organisation may have its orders brought on a day: its own places and those of units it orders for."""
    mandated = (
        select(BudgetUnit.organisation_id)
        .join(BuyingMandate, BuyingMandate.unit_id == BudgetUnit.id)
        .where(
            BuyingMandate.organisation_id == organisation_id,
            BuyingMandate.status == MandateStatus.ACTIVE,
            BuyingMandate.valid.contains(on),
            BudgetUnit.status == "open",
        )
    )
    wanted = select(Address).where(
        or_(Address.organisation_id == organisation_id, Address.organisation_id.in_(mandated)),
        Address.retired_at.is_(None),
    )
    own_first = (Address.organisation_id != organisation_id, Address.id)
    return session.scalars(wanted.order_by(*own_first)).all()


def visible_links(actor: Actor) -> Select[UnitLink, str, str]:
    """Offers that the organisation made or was made, with the names of the parent unit and of who was asked."""
    return (
        select(UnitLink, BudgetUnit.name, Organisation.name)
        .join(BudgetUnit, BudgetUnit.id == UnitLink.parent_id)
        .join(Organisation, Organisation.id == UnitLink.organisation_id)
        .where(or_(UnitLink.organisation_id == actor.organisation_id, UnitLink.offered_by_id == actor.organisation_id))
    )


def visible_mandates(actor: Actor) -> Select[BuyingMandate, str, str]:
    """Mandates that the organisation gave or holds, with the names of the unit and of the holder."""
    return (
        select(BuyingMandate, BudgetUnit.name, Organisation.name)
        .join(BudgetUnit, BudgetUnit.id == BuyingMandate.unit_id)
        .join(Organisation, Organisation.id == BuyingMandate.organisation_id)
        .where(
            or_(
                BuyingMandate.organisation_id == actor.organisation_id,
                BudgetUnit.organisation_id == actor.organisation_id,
            )
        )
    )


def buyer_by_code(session: Session, uscc: str, *, kinds: Iterable[str], pointer: str) -> UUID:
    """The active organisation of these kinds that has a code; Invalid when there is none."""
    found = session.scalar(
        select(Organisation.id).where(
            and_(Organisation.uscc == uscc, Organisation.kind.in_(list(kinds)), Organisation.status == "active")
        )
    )
    if found is None:
        raise Invalid("No active organisation of this kind has this code.", pointer=pointer)
    return found


ROOTS = text(
    """
    WITH RECURSIVE up AS (
        SELECT id AS unit, id, parent_id FROM budget_unit WHERE id = ANY(CAST(:units AS uuid[]))
        UNION ALL
        SELECT up.unit, u.id, u.parent_id FROM budget_unit u JOIN up ON u.id = up.parent_id
    )
    SELECT unit, id FROM up WHERE parent_id IS NULL
    """
)
ABOVE = text(
    """
    WITH RECURSIVE up AS (
        SELECT u.id, u.parent_id FROM budget_unit u
        WHERE u.id IN (SELECT parent_id FROM budget_unit WHERE id = ANY(CAST(:units AS uuid[])))
            AND u.id <> ALL(CAST(:units AS uuid[]))
        UNION
        SELECT u.id, u.parent_id FROM budget_unit u JOIN up ON u.id = up.parent_id
    )
    SELECT id, parent_id FROM up
    """
)
PATHS = text(
    """
    WITH RECURSIVE up AS (
        SELECT id, parent_id FROM budget_unit WHERE id = :parent
        UNION ALL
        SELECT u.id, u.parent_id FROM budget_unit u JOIN up ON u.id = up.parent_id
    ), down AS (
        SELECT id, 1 AS level FROM budget_unit WHERE id = ANY(CAST(:units AS uuid[]))
        UNION ALL
        SELECT u.id, down.level + 1 FROM budget_unit u JOIN down ON u.parent_id = down.id
    )
    SELECT EXISTS (SELECT FROM up WHERE id = ANY(CAST(:units AS uuid[]))) AS below_itself,
           (SELECT count(*) FROM up) + (SELECT max(level) FROM down) AS depth
    """
)


def roots_of(session: Session, unit_ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """The top unit of the tree that each unit stands in."""
    found = session.execute(ROOTS, {"units": sorted(set(unit_ids))})
    return {row.unit: row.id for row in found}


def parents_above(session: Session, unit_ids: Iterable[UUID]) -> dict[UUID, UUID | None]:
    """The units that stand above these and are none of them, each with the one above it."""
    return {row.id: row.parent_id for row in session.execute(ABOVE, {"units": sorted(unit_ids)})}


def fit(session: Session, unit_ids: Iterable[UUID], parent_id: UUID) -> tuple[bool, int]:
    """Whether one of these units would stand below itself under a parent, and how deep the tree would then be."""
    row = session.execute(PATHS, {"units": sorted(unit_ids), "parent": parent_id}).one()
    return bool(row.below_itself), int(row.depth)


def open_children(session: Session, unit_id: UUID) -> list[UUID]:
    return list(
        session.scalars(
            select(BudgetUnit.id)
            .where(BudgetUnit.parent_id == unit_id, BudgetUnit.status == "open")
            .order_by(BudgetUnit.id)
        )
    )


def lock_units(session: Session, unit_ids: Iterable[UUID]) -> None:
    """Take the rows of units for this transaction, in one order; orders may still name them meanwhile."""
    session.execute(
        select(BudgetUnit.id)
        .where(BudgetUnit.id.in_(sorted(set(unit_ids))))
        .order_by(BudgetUnit.id)
        .with_for_update(key_share=True)
    )


def lock_trees(session: Session, *unit_ids: UUID) -> dict[UUID, UUID]:
    """Hold the trees of these units still for this transaction, by their top units; gives each unit's top unit.

    A tree may have been put below another one while its lock was waited for: then that one's top is taken too.
    """
    held: set[UUID] = set()
    while True:
        roots = roots_of(session, unit_ids)
        wanted = set(roots.values()) - held
        if not wanted:
            return roots
        lock_units(session, wanted)
        held |= wanted


def page_after(question: Any, column: Any, after: UUID | None, limit: int) -> Any:
    """A list in the order of its ids after a place, one more than the limit when there are more."""
    if after is not None:
        question = question.where(column > after)
    return question.order_by(column).limit(limit + 1)


def own_addresses(actor: Actor) -> Select[Address]:
    """The organisation's own places of delivery that are in use."""
    return select(Address).where(Address.organisation_id == actor.organisation_id, Address.retired_at.is_(None))
