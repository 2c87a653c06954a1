"""Quota filings and the totals of a tree, for buying organisations; rules, deadlines, relaxations for operators."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from shop.accounts import queries_quotas as queries
from shop.accounts import queries_units
from shop.accounts.api_units import anyone, keeper, manager, paged
from shop.accounts.models_quotas import QuotaDeadline, QuotaFiling, QuotaRule, WrongFilingStatus
from shop.accounts.models_units import OrganisationNotActive, UnitClosed
from shop.accounts.schemas_quotas import (
    BranchTotals,
    DeadlineOut,
    Deadlines,
    DeadlinesQuery,
    DivisionTotals,
    Figures,
    FilingOut,
    FilingPage,
    FilingsQuery,
    LevelTotals,
    MissingUnit,
    NewFiling,
    NewRule,
    RegionSummaryOut,
    RegionSummaryQuery,
    Relax,
    RelaxationOut,
    ReviewFiling,
    RuleOut,
    RulePage,
    SetDeadline,
    SummaryOut,
    SummaryQuery,
    Totals,
    deadline_out,
    filing_out,
    relaxation_out,
    rule_out,
)
from shop.accounts.service import filing, ruling
from shop.accounts.service.assessing import REFUSALS as JUDGED
from shop.accounts.service.filing import OwnFiling
from shop.actor import Actor, Audience, Role
from shop.errors import Invalid, NotFound
from shop.http.routes import PageQuery, Routes, roles
from shop.ids import QuotaFilingId

buyer = Routes("/v1/buyer", tag="Quotas")
admin = Routes("/v1/admin", tag="Quotas")
operator = roles(Role.OPERATOR, of=Audience.ADMIN)
officer = roles(Role.OPERATOR, Role.ANALYST, Role.AUDITOR, of=Audience.ADMIN)
FILING = (NotFound, Invalid, OrganisationNotActive, UnitClosed, WrongFilingStatus, *JUDGED)
REVIEW = (NotFound, Invalid, OrganisationNotActive, WrongFilingStatus, OwnFiling)


def page_of(session: Session, wanted: Select[QuotaFiling, str], query: FilingsQuery) -> FilingPage:
    if query.year:
        wanted = wanted.where(QuotaFiling.year == query.year)
    if query.unit_id:
        wanted = wanted.where(QuotaFiling.unit_id == query.unit_id)
    if query.status:
        wanted = wanted.where(QuotaFiling.status == query.status)
    name = f"filings {query.year} {query.unit_id} {query.status}"
    page, following = paged(session, wanted, QuotaFiling.id, query, name)
    return FilingPage(items=[filing_out(*row) for row in page], next=following)


def shown(session: Session, wanted: Select[QuotaFiling, str], filing_id: QuotaFilingId) -> FilingOut:
    return filing_out(*queries.one(session, wanted, filing_id))


@buyer.get("/quota-filings", allow=anyone, answers={200: FilingPage})
def list_quota_filings(session: Session, actor: Actor, query: FilingsQuery) -> FilingPage:
    """Filings of the organisation's units, of those below them and of those merged into them, oldest first."""
    return page_of(session, queries.visible_filings(actor), query)


@buyer.get("/quota-filings/summary", allow=anyone, answers={200: SummaryOut}, refusals=(NotFound,))
def read_quota_summary(session: Session, actor: Actor, query: SummaryQuery) -> SummaryOut:
    """What was filed in a year below a unit, branch by branch and level by level, and who has not filed."""
    if not queries_units.is_readable(session, actor, query.unit_id):
        raise NotFound("No such budget unit of yours.")
    rows = queries.totals(session, query.unit_id, query.year)
    whole = next((row for row in rows if row.over_branches and row.over_levels), None)
    branches = [row for row in rows if not row.over_branches]
    own = next((row for row in branches if row.branch == query.unit_id), None)
    return SummaryOut(
        unit_id=query.unit_id,
        year=query.year,
        total=Totals(**figures(whole)),
        own=Totals(**figures(own)),
        children=[
            BranchTotals(unit_id=row.branch, name=row.name, **figures(row))
            for row in branches
            if row.branch != query.unit_id
        ],
        levels=[
            LevelTotals(finance_level=row.finance_level, **figures(row))
            for row in rows
            if row.over_branches and not row.over_levels
        ],
        missing=missing_of(whole),
        missing_count=whole.units - whole.filed if whole else 0,
    )


def figures(row: Any) -> dict[str, int]:
    """The sums of a row of totals; zeros where there is no unit to count."""
    return {name: getattr(row, name) if row is not None else 0 for name in Totals.model_fields}


@buyer.get("/quota-filings/<filing_id>", allow=anyone, answers={200: FilingOut}, refusals=(NotFound,))
def read_quota_filing(session: Session, actor: Actor, filing_id: QuotaFilingId) -> FilingOut:
    """One filing."""
    return shown(session, queries.visible_filings(actor), filing_id)


@buyer.post("/quota-filings", allow=keeper, answers={201: FilingOut}, refusals=FILING)
def draft_quota_filing(session: Session, actor: Actor, now: datetime, body: NewFiling) -> FilingOut:
    """Draft the filing of a unit and year; sent again, the figures of the draft are replaced."""
    made = filing.draft(session, by=actor, wanted=body, now=now)
    return shown(session, queries.visible_filings(actor), made.id)


@buyer.post("/quota-filings/<filing_id>/file", allow=keeper, answers={200: FilingOut}, refusals=FILING)
def file_quota_filing(session: Session, actor: Actor, now: datetime, filing_id: QuotaFilingId) -> FilingOut:
    """Hand in a draft; after the deadline of its year and level it is flagged late."""
    filing.file(session, by=actor, filing_id=filing_id, now=now)
    return shown(session, queries.visible_filings(actor), filing_id)


@buyer.post("/quota-filings/<filing_id>/amend", allow=keeper, answers={200: FilingOut}, refusals=FILING)
def amend_quota_filing(
    session: Session, actor: Actor, now: datetime, filing_id: QuotaFilingId, body: Figures
) -> FilingOut:
    """Hand in other figures for a filing that was returned or accepted; it is reviewed again."""
    filing.amend(session, by=actor, filing_id=filing_id, figures=body, now=now)
    return shown(session, queries.visible_filings(actor), filing_id)


@buyer.post("/quota-filings/<filing_id>/review", allow=manager, answers={200: FilingOut}, refusals=REVIEW)
def review_quota_filing(
    session: Session, actor: Actor, now: datetime, filing_id: QuotaFilingId, body: ReviewFiling
) -> FilingOut:
    """Accept the filing of a unit below one of yours, or return it with the reason."""
    filing.review(session, by=actor, filing_id=filing_id, accept=body.accept, reason=body.reason, now=now)
    return shown(session, queries.visible_filings(actor), filing_id)


@admin.get("/quota-filings", allow=officer, answers={200: FilingPage})
def list_top_filings(session: Session, actor: Actor, query: FilingsQuery) -> FilingPage:
    """Filings of units that nobody supervises, which operators review, oldest first; regions bound what is shown."""
    return page_of(session, queries.top_filings(actor), query)


@admin.get("/quota-filings/summary", allow=officer, answers={200: RegionSummaryOut}, refusals=(NotFound, Invalid))
def read_region_summary(session: Session, actor: Actor, query: RegionSummaryQuery) -> RegionSummaryOut:
    """What was filed in a year by all units that the budgets of a province, prefecture or county pay.

    By the divisions below and by finance level, and who has not filed; regions bound what may be asked for.
    """
    rows = queries.region_totals(session, actor, query.division_code, query.year)
    whole = next((row for row in rows if row.over_branches and row.over_levels), None)
    return RegionSummaryOut(
        division_code=query.division_code,
        year=query.year,
        total=Totals(**figures(whole)),
        divisions=[
            DivisionTotals(division_code=row.branch, name=row.name, **figures(row))
            for row in rows
            if not row.over_branches
        ],
        levels=[
            LevelTotals(finance_level=row.finance_level, **figures(row))
            for row in rows
            if row.over_branches and not row.over_levels
        ],
        missing=missing_of(whole),
        missing_count=whole.units - whole.filed if whole else 0,
    )


def missing_of(whole: Any) -> list[MissingUnit]:
    if whole is None:
        return []
    names = zip(whole.missing_ids or [], whole.missing_names or [], strict=True)
    return [MissingUnit(unit_id=key, name=name) for key, name in names]


@admin.post("/quota-filings/<filing_id>/review", allow=operator, answers={200: FilingOut}, refusals=REVIEW)
def review_top_filing(
    session: Session, actor: Actor, now: datetime, filing_id: QuotaFilingId, body: ReviewFiling
) -> FilingOut:
    """Accept or return the filing of a unit that nobody supervises."""
    filing.review(session, by=actor, filing_id=filing_id, accept=body.accept, reason=body.reason, now=now)
    return shown(session, queries.top_filings(actor), filing_id)


@admin.get("/quota-rules", allow=officer, answers={200: RulePage})
def list_quota_rules(session: Session, query: PageQuery) -> RulePage:
    """The quota rules with their days and sources, oldest first."""
    page, following = paged(session, select(QuotaRule), QuotaRule.id, query, "quota-rules")
    return RulePage(items=[rule_out(row[0]) for row in page], next=following)


@admin.post("/quota-rules", allow=operator, answers={201: RuleOut}, refusals=(Invalid,))
def add_quota_rule(session: Session, actor: Actor, now: datetime, body: NewRule) -> RuleOut:
    """Add a quota rule for a province or the nation, from a day to a day."""
    return rule_out(ruling.add_rule(session, by=actor, wanted=body, now=now))


@admin.get("/quota-deadlines", allow=officer, answers={200: Deadlines})
def list_quota_deadlines(session: Session, query: DeadlinesQuery) -> Deadlines:
    """The last days of a year for each finance level."""
    found = session.scalars(
        select(QuotaDeadline).where(QuotaDeadline.year == query.year).order_by(QuotaDeadline.finance_level)
    )
    return Deadlines(items=[deadline_out(row) for row in found])


@admin.put("/quota-deadlines", allow=operator, answers={200: DeadlineOut})
def set_quota_deadline(session: Session, actor: Actor, now: datetime, body: SetDeadline) -> DeadlineOut:
    """Set the last day on which units of a level file for a year."""
    return deadline_out(ruling.set_deadline(session, by=actor, wanted=body, now=now))


@admin.put("/quota-relaxations", allow=operator, answers={200: RelaxationOut}, refusals=(Invalid,))
def relax_quota(session: Session, actor: Actor, now: datetime, body: Relax) -> RelaxationOut:
    """Record an approved lower rate for one unit and year."""
    return relaxation_out(ruling.relax(session, by=actor, wanted=body, now=now))
