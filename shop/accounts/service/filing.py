"""File a year's quota: draft, file, amend, and the review by the supervising unit or the operator."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, text
from sqlalchemy.orm import Session

from shop.accounts import queries_quotas as quotas
from shop.accounts import queries_units
from shop.accounts.models import BudgetUnit
from shop.accounts.models_quotas import (
    FILING_NEXT,
    FilingStatus,
    QuotaDeadline,
    QuotaFiling,
    QuotaFilingHistory,
    WrongFilingStatus,
)
from shop.accounts.models_units import UnitClosed
from shop.accounts.schemas_quotas import Figures, NewFiling
from shop.accounts.service.assessing import Assessed, assess, check_mandate, check_year, grounds, judge_sharing
from shop.actor import Actor, Audience
from shop.audit import service as audit
from shop.clock import business_day
from shop.db import moved, unless_taken
from shop.errors import Invalid, NotFound, Refusal
from shop.outbox import service as outbox

FIGURES = (
    "has_canteen", "shared_with_id", "outsourced_to", "mandate_id", "canteen_fen", "union_demand_fen", "reserved_fen",
)  # fmt: skip


class OwnFiling(Refusal):
    code, status = "own_filing", 409
    title, title_zh = "Whoever files does not review it.", "填报人不能审核自己的申报。"


def judged(session: Session, unit: BudgetUnit, year: int, figures: Figures) -> Assessed:
    """The figures of one unit as the rules see them, or the refusal that they meet."""
    key = (unit.id, year)
    assessed = assess(figures, grounds(session, [(unit.id, unit.funding_code, year)])[key])
    check_mandate(session, unit.id, figures)
    wrong = judge_sharing(session, {key: figures}).get(key)
    if wrong is not None:
        raise wrong
    return assessed


def figures_of(filing: QuotaFiling) -> Figures:
    return Figures(**{name: getattr(filing, name) for name in FIGURES})


def filing_unit(session: Session, by: Actor, unit_id: UUID) -> BudgetUnit:
    """An open unit of the actor's own organisation, which files for itself."""
    queries_units.require_active(session, by)
    unit = queries_units.own_unit(session, by, unit_id)
    if unit.status != "open":
        raise UnitClosed
    return unit


def draft(session: Session, *, by: Actor, wanted: NewFiling, now: datetime) -> QuotaFiling:
    """A unit's filing of a year as a draft; one draft a year, whose figures are replaced when it is sent again."""
    unit = filing_unit(session, by, wanted.unit_id)
    check_year(wanted.year, now)
    figures = Figures(**wanted.model_dump(include=set(FIGURES)))
    assessed = judged(session, unit, wanted.year, figures)
    filing = session.scalars(
        select(QuotaFiling)
        .where(QuotaFiling.unit_id == unit.id, QuotaFiling.year == wanted.year)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()
    if filing is None:
        filing = QuotaFiling(unit_id=unit.id, year=wanted.year, status=FilingStatus.DRAFT)
        fill(filing, figures, assessed)
        with unless_taken(session, Invalid("The unit has a filing of this year.", pointer="/year")):
            session.add(filing)
    elif filing.status == FilingStatus.DRAFT:
        fill(filing, figures, assessed)
        session.flush()
    else:
        raise WrongFilingStatus(filing_status=filing.status)
    audit.record(session, by=by, action="draft", kind="quota_filing", subject=filing.id, now=now)
    return filing


def fill(filing: QuotaFiling, figures: Figures, assessed: Assessed) -> None:
    for name in FIGURES:
        setattr(filing, name, getattr(figures, name))
    filing.rule_id, filing.base_fen, filing.minimum_fen = assessed.rule_id, assessed.base_fen, assessed.minimum_fen


def own_filing(session: Session, by: Actor, filing_id: UUID) -> tuple[QuotaFiling, BudgetUnit]:
    filing, _ = quotas.one(session, quotas.visible_filings(by), filing_id)
    return filing, filing_unit(session, by, filing.unit_id)


def file(session: Session, *, by: Actor, filing_id: UUID, now: datetime) -> QuotaFiling:
    """Hand in a draft; it is flagged late when the deadline of its year and level has passed."""
    filing, unit = own_filing(session, by, filing_id)
    assessed = judged(session, unit, filing.year, figures_of(filing))
    due_on = session.scalar(
        select(QuotaDeadline.due_on).where(
            QuotaDeadline.year == filing.year, QuotaDeadline.finance_level == unit.finance_level
        )
    )
    late = due_on is not None and business_day(now) > due_on
    become(
        session,
        filing,
        FilingStatus.FILED,
        by,
        now,
        late=late,
        filed_at=now,
        filed_by=by.user_id,
        rule_id=assessed.rule_id,
        base_fen=assessed.base_fen,
        minimum_fen=assessed.minimum_fen,
    )
    return filing


def amend(session: Session, *, by: Actor, filing_id: UUID, figures: Figures, now: datetime) -> QuotaFiling:
    """Hand in other figures for a filing that was returned or accepted; it waits for its review again."""
    filing, unit = own_filing(session, by, filing_id)
    assessed = judged(session, unit, filing.year, figures)
    become(
        session,
        filing,
        FilingStatus.AMENDED,
        by,
        now,
        filed_at=now,
        filed_by=by.user_id,
        rule_id=assessed.rule_id,
        base_fen=assessed.base_fen,
        minimum_fen=assessed.minimum_fen,
        **{name: getattr(figures, name) for name in FIGURES},
    )
    return filing


SUPERVISES = text(
    """
    WITH RECURSIVE up AS (
        SELECT parent_id FROM budget_unit WHERE id = :unit
        UNION ALL
        SELECT u.parent_id FROM budget_unit u JOIN up ON u.id = up.parent_id
    )
    SELECT EXISTS (SELECT FROM up JOIN budget_unit u ON u.id = up.parent_id WHERE u.organisation_id = :organisation)
    """
)


def reviewable(session: Session, by: Actor, filing_id: UUID) -> QuotaFiling:
    """A filing that the actor reviews: of a unit below one of the organisation's, or, for operators, of a top unit."""
    wanted: Select[QuotaFiling, str]
    wanted = quotas.top_filings(by) if by.audience is Audience.ADMIN else quotas.visible_filings(by)
    filing, _ = quotas.one(session, wanted, filing_id)
    if by.audience is Audience.BUYER:
        queries_units.require_active(session, by)
        given = {"unit": filing.unit_id, "organisation": by.organisation_id}
        if not session.scalar(SUPERVISES, given):
            raise NotFound("No such filing to review.")
    return filing


def review(
    session: Session, *, by: Actor, filing_id: UUID, accept: bool, reason: str | None, now: datetime
) -> QuotaFiling:
    """Accept a filing, or return it with the reason, as a manager of a unit above; whoever filed it may not."""
    filing = reviewable(session, by, filing_id)
    if filing.filed_by == by.user_id:
        raise OwnFiling
    if not accept and not reason:
        raise Invalid("Say why it is returned.", pointer="/reason")
    to = FilingStatus.ACCEPTED if accept else FilingStatus.RETURNED
    become(session, filing, to, by, now, reason=reason, reviewed_at=now)
    outbox.announce(
        session,
        f"quota_filing.{to}",
        now=now,
        seen_by=[session.get_one(BudgetUnit, filing.unit_id).organisation_id],
        filing_id=filing.id,
        unit_id=filing.unit_id,
        year=filing.year,
    )
    return filing


def become(session: Session, filing: QuotaFiling, to: FilingStatus, by: Actor, now: datetime, **values: Any) -> None:
    """Give a filing its next status, its history row and its place in the audit trail."""
    if not moved(session, filing, to, FILING_NEXT, **values):
        raise WrongFilingStatus(filing_status=filing.status)
    session.add(
        QuotaFilingHistory(
            filing_id=filing.id, status=to, figures=kept(filing), reason=filing.reason, by_user_id=by.user_id, at=now
        )
    )
    session.flush()
    audit.record(session, by=by, action=str(to), kind="quota_filing", subject=filing.id, now=now)


def kept(filing: QuotaFiling) -> dict[str, Any]:
    """The figures of a filing as its history keeps them."""
    names: Sequence[str] = (*FIGURES, "base_fen", "minimum_fen", "late")
    return {name: outbox.plain(getattr(filing, name)) for name in names}
