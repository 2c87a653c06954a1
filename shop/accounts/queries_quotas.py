"""Reads of quota rules, filings and the totals of a tree."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, or_, select, text
from sqlalchemy.orm import Session

from shop.accounts import queries_units
from shop.accounts.models import BudgetUnit
from shop.accounts.models_quotas import COUNTED, FilingStatus, QuotaFiling
from shop.actor import Actor
from shop.errors import NotFound
from shop.regions.models import Division, ancestors, stem_of

RULES = text(
    """
    SELECT DISTINCT ON (w.province, w.year, r.purpose)
           w.province, w.year, r.purpose, r.id, r.rate_bp, r.union_in_base
    FROM unnest(CAST(:provinces AS text[]), CAST(:years AS bigint[])) AS w(province, year)
    JOIN quota_rule r ON r.scope IN ('national', w.province)
        AND r.valid && daterange(make_date(w.year::int, 1, 1), make_date(w.year::int + 1, 1, 1))
    ORDER BY w.province, w.year, r.purpose, r.scope = 'national', lower(r.valid) DESC
    """
)
TOTALS = text(
    """
    WITH RECURSIVE tree AS (
        SELECT id, id AS branch, name AS branch_name, name, finance_level, status, opened_on
        FROM budget_unit WHERE id = :unit
        UNION ALL
        SELECT u.id, CASE WHEN tree.id = :unit THEN u.id ELSE tree.branch END,
               CASE WHEN tree.id = :unit THEN u.name ELSE tree.branch_name END,
               u.name, u.finance_level, u.status, u.opened_on
        FROM budget_unit u JOIN tree ON u.parent_id = tree.id
    ), filed AS (
        SELECT t.*, f.id AS filing, f.status AS state, coalesce(f.late, false) AS late,
               coalesce(f.base_fen, 0) AS base, coalesce(f.minimum_fen, 0) AS minimum,
               coalesce(f.reserved_fen, 0) AS kept
        FROM tree t
        LEFT JOIN quota_filing f ON f.unit_id = t.id AND f.year = :year AND f.status = ANY(:counted)
        WHERE f.id IS NOT NULL OR (t.status = 'open' AND t.opened_on < make_date(:year + 1, 1, 1))
    )
    SELECT grouping(branch) AS over_branches, grouping(finance_level) AS over_levels,
           branch, min(branch_name) AS name, finance_level,
           count(*) AS units, count(filing) AS filed, count(*) FILTER (WHERE state = 'accepted') AS accepted,
           count(*) FILTER (WHERE late) AS late,
           sum(base)::bigint AS base_fen, sum(minimum)::bigint AS minimum_fen, sum(kept)::bigint AS reserved_fen,
           (array_agg(id ORDER BY id) FILTER (WHERE filing IS NULL))[1:100] AS missing_ids,
           (array_agg(name ORDER BY id) FILTER (WHERE filing IS NULL))[1:100] AS missing_names
    FROM filed
    GROUP BY GROUPING SETS ((branch), (finance_level), ())
    ORDER BY over_branches, over_levels, branch, finance_level
    """
)

REGION_TOTALS = text(
    """
    WITH within AS (
        SELECT u.id, u.name, u.finance_level, rpad(left(u.funding_code, :below), 6, '0') AS branch
        FROM budget_unit u
        WHERE u.funding_code LIKE :stem || '%' AND u.funding_code <> '000000' AND (u.status = 'open'
              OR EXISTS (SELECT FROM quota_filing f
                         WHERE f.unit_id = u.id AND f.year = :year AND f.status = ANY(:counted)))
          AND u.opened_on < make_date(:year + 1, 1, 1)
    ), filed AS (
        SELECT w.*, f.id AS filing, f.status AS state, coalesce(f.late, false) AS late,
               coalesce(f.base_fen, 0) AS base, coalesce(f.minimum_fen, 0) AS minimum,
               coalesce(f.reserved_fen, 0) AS kept
        FROM within w
        LEFT JOIN quota_filing f ON f.unit_id = w.id AND f.year = :year AND f.status = ANY(:counted)
    )
    SELECT grouping(branch) AS over_branches, grouping(finance_level) AS over_levels, branch, finance_level,
           (SELECT d.name FROM division d WHERE d.code = branch ORDER BY d.valid_from DESC LIMIT 1) AS name,
           count(*) AS units, count(filing) AS filed, count(*) FILTER (WHERE state = 'accepted') AS accepted,
           count(*) FILTER (WHERE late) AS late,
           sum(base)::bigint AS base_fen, sum(minimum)::bigint AS minimum_fen, sum(kept)::bigint AS reserved_fen,
           (array_agg(id ORDER BY id) FILTER (WHERE filing IS NULL))[1:100] AS missing_ids,
           (array_agg(filed.name ORDER BY id) FILTER (WHERE filing IS NULL))[1:100] AS missing_names
    FROM filed
    GROUP BY GROUPING SETS ((branch), (finance_level), ())
    ORDER BY over_branches, over_levels, branch, finance_level
    """
)


def rules(session: Session, wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], dict[str, Any]]:
    """For each province and year the rules in force by purpose: the province's own before the national, the newest."""
    pairs = sorted(set(wanted))
    found: dict[tuple[str, int], dict[str, Any]] = {pair: {} for pair in pairs}
    given = {"provinces": [province for province, _ in pairs], "years": [year for _, year in pairs]}
    for row in session.execute(RULES, given):
        found[row.province, row.year][row.purpose] = row
    return found


def visible_filings(actor: Actor) -> Select[QuotaFiling, str]:
    """Filings with the unit's name: of the organisation's units, those below and those merged into them."""
    units = select(queries_units.readable(actor.organisation_id).c.id)
    return all_filings().where(QuotaFiling.unit_id.in_(units))


def all_filings() -> Select[QuotaFiling, str]:
    """Every filing with its unit's name, for operators."""
    return select(QuotaFiling, BudgetUnit.name).join(BudgetUnit, BudgetUnit.id == QuotaFiling.unit_id)


def top_filings(actor: Actor) -> Select[QuotaFiling, str]:
    """Filings of units that nobody supervises, which the operator reviews; regions bound who may look into them."""
    wanted = all_filings().where(BudgetUnit.parent_id.is_(None), QuotaFiling.status != FilingStatus.DRAFT)
    if actor.reads_everything or not actor.regions:
        return wanted
    return wanted.where(or_(*(BudgetUnit.funding_code.startswith(stem_of(code)) for code in actor.regions)))


def one(session: Session, wanted: Select[QuotaFiling, str], filing_id: UUID) -> tuple[QuotaFiling, str]:
    """A filing out of those of a question, as it stands in the database; else NotFound."""
    found = session.execute(wanted.where(QuotaFiling.id == filing_id).execution_options(populate_existing=True)).first()
    if found is None:
        raise NotFound("No such filing of yours.")
    return found[0], found[1]


def region_totals(session: Session, actor: Actor, code: str, year: int) -> Sequence[Any]:
    """The totals of all units that a division's budgets pay, in one statement: by the divisions below, by level, whole.

    NotFound outside of what the actor may look into. Money that the central budget pays is no division's.
    """
    may = actor.reads_everything or not actor.regions or not set(ancestors(code)).isdisjoint(actor.regions)
    known = session.scalars(select(Division.code).where(Division.code == code).limit(1)).first()
    if not may or known is None:
        raise NotFound("No such division in your regions.")
    stem = stem_of(code)
    return session.execute(
        REGION_TOTALS,
        {
            "stem": stem,
            "below": min(len(stem) + 2, 6),
            "year": year,
            "counted": [str(status) for status in COUNTED],
        },
    ).all()


def totals(session: Session, unit_id: UUID, year: int) -> Sequence[Any]:
    """The totals of a tree in one statement: a row for each branch, for each finance level and for the whole."""
    return session.execute(
        TOTALS, {"unit": unit_id, "year": year, "counted": [str(status) for status in COUNTED]}
    ).all()
