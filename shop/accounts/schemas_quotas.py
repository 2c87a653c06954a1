"""Quota rules, deadlines, filings and their totals, as JSON."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from shop.accounts.models_quotas import (
    FIRST_YEAR,
    LAST_YEAR,
    FilingStatus,
    QuotaDeadline,
    QuotaFiling,
    QuotaRelaxation,
    QuotaRule,
)
from shop.accounts.schemas_units import DivisionCode, Document, Level, Reason
from shop.http.fields import Day
from shop.http.routes import In, Out, PageQuery, Query
from shop.ids import BudgetUnitId, BuyingMandateId, QuotaFilingId, QuotaRuleId

Year = Annotated[int, Field(ge=FIRST_YEAR, le=LAST_YEAR)]
Fen = Annotated[int, Field(ge=0, le=10**15)]
Rate = Annotated[int, Field(ge=0, le=10_000, description="Basis points: 1000 is 10 %.")]


class NewRule(In):
    """A rate from a day on, and before `to`, in a province or (`national`) everywhere else."""

    scope: Annotated[str, Field(pattern=r"^(national|[1-9][0-9]0000)$")]
    purpose: Literal["canteen", "union_welfare"] = "canteen"
    rate_bp: Rate
    base: Annotated[str, Field(min_length=1, max_length=300)]
    union_in_base: bool = False
    start: Day = Field(alias="from")
    end: Day | None = Field(alias="to", default=None)
    source: Document


class RuleOut(Out):
    model_config = ConfigDict(serialize_by_alias=True)

    id: QuotaRuleId
    scope: str
    purpose: str
    rate_bp: int
    base: str
    union_in_base: bool
    start: str = Field(serialization_alias="from")
    end: str | None = Field(serialization_alias="to")
    source: str


class RulePage(Out):
    items: list[RuleOut]
    next: str | None


def rule_out(rule: QuotaRule) -> RuleOut:
    start, end = rule.valid.lower, rule.valid.upper
    assert start is not None
    return RuleOut(
        id=rule.id,
        scope=rule.scope,
        purpose=rule.purpose,
        rate_bp=rule.rate_bp,
        base=rule.base,
        union_in_base=rule.union_in_base,
        start=start.isoformat(),
        end=end.isoformat() if end else None,
        source=rule.source,
    )


class SetDeadline(In):
    """The last day on which units of a level file for a year."""

    year: Year
    finance_level: Level
    due_on: Day
    source: Document


class DeadlineOut(Out):
    year: int
    finance_level: str
    due_on: str
    source: str


class DeadlinesQuery(Query):
    year: Year


class Deadlines(Out):
    items: list[DeadlineOut]


def deadline_out(row: QuotaDeadline) -> DeadlineOut:
    return DeadlineOut(year=row.year, finance_level=row.finance_level, due_on=row.due_on.isoformat(), source=row.source)


class Relax(In):
    """A lower rate for one unit and year, with the document that approves it."""

    unit_id: BudgetUnitId
    year: Year
    rate_bp: Rate
    document: Document


class RelaxationOut(Out):
    unit_id: BudgetUnitId
    year: int
    rate_bp: int
    document: str
    approved_at: str


def relaxation_out(row: QuotaRelaxation) -> RelaxationOut:
    return RelaxationOut(
        unit_id=row.unit_id,
        year=row.year,
        rate_bp=row.rate_bp,
        document=row.document,
        approved_at=row.approved_at.isoformat(),
    )


class Figures(In):
    """What a unit files.

    Without a canteen, or with a share in another unit's (`shared_with_id`), `canteen_fen` is zero; the unit files all
    the same. `canteen_fen` is what the canteen buys in the year, `union_demand_fen` what the union does.
    """

    has_canteen: bool
    shared_with_id: BudgetUnitId | None = None
    outsourced_to: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    mandate_id: BuyingMandateId | None = None
    canteen_fen: Fen = 0
    union_demand_fen: Fen = 0
    reserved_fen: Fen = 0


class NewFiling(Figures):
    unit_id: BudgetUnitId
    year: Year


class ReviewFiling(In):
    """`reason` is needed to return a filing."""

    accept: bool
    reason: Reason | None = None


class FilingsQuery(PageQuery):
    year: Year | None = None
    unit_id: BudgetUnitId | None = None
    status: FilingStatus | None = None


class FilingOut(Out):
    """`minimum_fen` is the least to reserve: the rule's rate of `base_fen`, rounded up. `late`: after its deadline."""

    id: QuotaFilingId
    unit_id: BudgetUnitId
    unit: str
    year: int
    status: str
    has_canteen: bool
    shared_with_id: BudgetUnitId | None
    outsourced_to: str | None
    mandate_id: BuyingMandateId | None
    canteen_fen: int
    union_demand_fen: int
    base_fen: int
    minimum_fen: int
    reserved_fen: int
    rule_id: QuotaRuleId
    late: bool
    reason: str | None
    filed_at: str | None


class FilingPage(Out):
    items: list[FilingOut]
    next: str | None


def filing_out(filing: QuotaFiling, unit: str) -> FilingOut:
    return FilingOut(
        id=filing.id,
        unit_id=filing.unit_id,
        unit=unit,
        year=filing.year,
        status=filing.status,
        has_canteen=filing.has_canteen,
        shared_with_id=filing.shared_with_id,
        outsourced_to=filing.outsourced_to,
        mandate_id=filing.mandate_id,
        canteen_fen=filing.canteen_fen,
        union_demand_fen=filing.union_demand_fen,
        base_fen=filing.base_fen,
        minimum_fen=filing.minimum_fen,
        reserved_fen=filing.reserved_fen,
        rule_id=filing.rule_id,
        late=filing.late,
        reason=filing.reason,
        filed_at=filing.filed_at.isoformat() if filing.filed_at else None,
    )


class SummaryQuery(Query):
    year: Year
    unit_id: BudgetUnitId


class Totals(Out):
    """`units` counts those that are to file and those that did; `late` those that filed after their deadline."""

    units: int
    filed: int
    accepted: int
    late: int
    base_fen: int
    minimum_fen: int
    reserved_fen: int


class BranchTotals(Totals):
    unit_id: BudgetUnitId
    name: str


class LevelTotals(Totals):
    finance_level: str


class MissingUnit(Out):
    unit_id: BudgetUnitId
    name: str


class RegionSummaryQuery(Query):
    year: Year
    division_code: DivisionCode


class DivisionTotals(Totals):
    """The units that a division below pays; those of the division's own budget stand under its own code."""

    division_code: str
    name: str | None


class RegionSummaryOut(Out):
    """The units that a division's budgets pay: `total` is exactly the sum of the `divisions`, and of the `levels`.

    `missing` names the first hundred units that have not filed, `missing_count` counts all.
    """

    division_code: str
    year: int
    total: Totals
    divisions: list[DivisionTotals]
    levels: list[LevelTotals]
    missing: list[MissingUnit]
    missing_count: int


class SummaryOut(Out):
    """The tree below a unit: `total` is exactly `own` and the `children`, and exactly the sum of the `levels`.

    `missing` names the first hundred units that have not filed, `missing_count` counts all.
    """

    unit_id: BudgetUnitId
    year: int
    total: Totals
    own: Totals
    children: list[BranchTotals]
    levels: list[LevelTotals]
    missing: list[MissingUnit]
    missing_count: int
