"""Quota rules, deadlines and relaxations: dated data that operators add, with their sources."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import Range, insert
from sqlalchemy.orm import Session

from shop.accounts.models import BudgetUnit
from shop.accounts.models_quotas import QuotaDeadline, QuotaRelaxation, QuotaRule
from shop.accounts.schemas_quotas import NewRule, Relax, SetDeadline
from shop.actor import Actor
from shop.audit import service as audit
from shop.db import unless_taken
from shop.errors import Invalid


def add_rule(session: Session, *, by: Actor, wanted: NewRule, now: datetime) -> QuotaRule:
    """A new rule; Invalid when another one of its scope and purpose holds on one of its days."""
    if wanted.end is not None and wanted.end <= wanted.start:
        raise Invalid("A rule ends after it begins.", pointer="/to")
    made = QuotaRule(
        scope=wanted.scope,
        purpose=wanted.purpose,
        rate_bp=wanted.rate_bp,
        base=wanted.base,
        union_in_base=wanted.union_in_base,
        valid=Range(wanted.start, wanted.end),
        source=wanted.source,
    )
    with unless_taken(session, Invalid("A rule of this scope holds on some of these days.", pointer="/from")):
        session.add(made)
    audit.record(session, by=by, action="add", kind="quota_rule", subject=made.id, now=now)
    return made


def set_deadline(session: Session, *, by: Actor, wanted: SetDeadline, now: datetime) -> QuotaDeadline:
    """The last day for a year and level, new or put elsewhere."""
    known = session.get(
        QuotaDeadline, (wanted.year, wanted.finance_level), with_for_update=True, populate_existing=True
    )
    before = {"due_on": known.due_on.isoformat(), "source": known.source} if known else None
    session.execute(
        insert(QuotaDeadline)
        .values(**wanted.model_dump())
        .on_conflict_do_update(
            index_elements=["year", "finance_level"], set_={"due_on": wanted.due_on, "source": wanted.source}
        )
    )
    audit.record(
        session,
        by=by,
        action="set",
        kind="quota_deadline",
        subject=by.organisation_id,
        now=now,
        year=wanted.year,
        finance_level=wanted.finance_level,
        before=before,
        after={"due_on": wanted.due_on.isoformat(), "source": wanted.source},
    )
    return session.get_one(QuotaDeadline, (wanted.year, wanted.finance_level), populate_existing=True)


def relax(session: Session, *, by: Actor, wanted: Relax, now: datetime) -> QuotaRelaxation:
    """An approved lower rate for one unit and year; approving it again with other words replaces it."""
    if session.scalar(select(BudgetUnit.id).where(BudgetUnit.id == wanted.unit_id)) is None:
        raise Invalid("No such budget unit.", pointer="/unit_id")
    known = session.get(QuotaRelaxation, (wanted.unit_id, wanted.year), with_for_update=True, populate_existing=True)
    before = {"rate_bp": known.rate_bp, "document": known.document} if known else None
    values = {"rate_bp": wanted.rate_bp, "document": wanted.document, "approved_by": by.user_id, "approved_at": now}
    session.execute(
        insert(QuotaRelaxation)
        .values(unit_id=wanted.unit_id, year=wanted.year, **values)
        .on_conflict_do_update(index_elements=["unit_id", "year"], set_=values)
    )
    audit.record(
        session,
        by=by,
        action="relax",
        kind="budget_unit",
        subject=wanted.unit_id,
        now=now,
        year=wanted.year,
        before=before,
        after={"rate_bp": wanted.rate_bp, "document": wanted.document},
    )
    return session.get_one(QuotaRelaxation, (wanted.unit_id, wanted.year), populate_existing=True)
