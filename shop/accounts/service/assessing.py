"""What a filing must look like: the rule that binds it, its base, its minimum, and who files for a shared canteen."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text, tuple_
from sqlalchemy.orm import Session

from shop.accounts import queries_quotas, queries_units
from shop.accounts.models_quotas import QuotaRelaxation
from shop.accounts.models_units import BuyingMandate, MandateKind
from shop.accounts.schemas_quotas import Figures
from shop.clock import business_day
from shop.db import seeing_all
from shop.errors import Invalid, Refusal
from shop.regions.models import province_of


class BelowMinimum(Refusal):
    """`allowed` is the least that may be reserved, in fen."""

    code, status = "below_minimum", 409
    title, title_zh = "Less is reserved than the rule asks for.", "预留份额低于规定比例。"


class AboveDemand(Refusal):
    """`allowed` is all the demand of the year, in fen."""

    code, status = "above_demand", 409
    title, title_zh = "More is reserved than is bought in the year.", "预留份额超过年度采购需求。"


class NoQuotaRule(Refusal):
    code, status = "no_quota_rule", 409
    title, title_zh = "No rule holds for this year.", "该年度没有适用的预留份额规定。"


class CanteenNotZero(Refusal):
    code, status = "canteen_not_zero", 409
    title, title_zh = (
        "A unit without a canteen of its own files zero for it.",
        "无食堂或共用食堂的单位，食堂采购额应为零。",
    )


class RepresentativeShares(Refusal):
    code, status = "representative_shares", 409
    title, title_zh = (
        "The unit named files for nobody: it shares a canteen itself or has none.",
        "所选单位自身共用食堂或没有食堂，不能代为填报。",
    )


class FilesForOthers(Refusal):
    """`units` counts those that name this unit."""

    code, status = "files_for_others", 409
    title, title_zh = "Other units say that this one files for them.", "其他单位已指定本单位代为填报。"


REFUSALS = (BelowMinimum, AboveDemand, NoQuotaRule, CanteenNotZero, RepresentativeShares, FilesForOthers)


@dataclass(frozen=True)
class Ground:
    """What is known before a unit's figures of a year are judged."""

    rules: Mapping[str, Any]
    relaxed_bp: int | None


@dataclass(frozen=True)
class Assessed:
    rule_id: UUID
    base_fen: int
    minimum_fen: int


def check_year(year: int, now: datetime) -> None:
    """Refuse a year that nobody plans for yet: quotas are filed for this one, the next, or one that is over."""
    allowed = business_day(now).year + 1
    if year > allowed:
        raise Invalid(f"Quotas are filed for years up to {allowed}.", pointer="/year")


def share(fen: int, rate_bp: int) -> int:
    """The least whole fen that are at least the rate of an amount."""
    return -(-fen * rate_bp // 10_000)


def assess(figures: Figures, ground: Ground) -> Assessed:
    """The rule, base and minimum of these figures, or the refusal that they meet."""
    rule = ground.rules.get("canteen")
    if rule is None:
        raise NoQuotaRule(pointer="/year")
    if figures.canteen_fen and (not figures.has_canteen or figures.shared_with_id):
        detail = "A canteen that is shared with another unit is filed by that unit." if figures.shared_with_id else ""
        raise CanteenNotZero(detail, pointer="/canteen_fen")
    if not figures.has_canteen and (figures.outsourced_to or figures.mandate_id):
        raise Invalid("Only a canteen can be outsourced.", pointer="/outsourced_to")
    base = figures.canteen_fen + (figures.union_demand_fen if rule.union_in_base else 0)
    minimum = share(base, rule.rate_bp if ground.relaxed_bp is None else min(rule.rate_bp, ground.relaxed_bp))
    welfare = ground.rules.get("union_welfare")
    if welfare is not None and not rule.union_in_base:
        minimum += share(figures.union_demand_fen, welfare.rate_bp)
    if figures.reserved_fen < minimum:
        raise BelowMinimum(pointer="/reserved_fen", allowed=minimum)
    demand = figures.canteen_fen + figures.union_demand_fen
    if figures.reserved_fen > demand:
        raise AboveDemand(pointer="/reserved_fen", allowed=demand)
    return Assessed(rule.id, base, minimum)


def grounds(session: Session, units: Iterable[tuple[UUID, str, int]]) -> dict[tuple[UUID, int], Ground]:
    """The ground of every (unit, funding code, year), in two statements."""
    wanted = list(units)
    rules = queries_quotas.rules(session, [(province_of(funding), year) for _, funding, year in wanted])
    relaxed = {
        (unit_id, year): rate
        for unit_id, year, rate in session.execute(
            select(QuotaRelaxation.unit_id, QuotaRelaxation.year, QuotaRelaxation.rate_bp).where(
                tuple_(QuotaRelaxation.unit_id, QuotaRelaxation.year).in_([(unit, year) for unit, _, year in wanted])
            )
        )
    }
    return {
        (unit, year): Ground(rules[province_of(funding), year], relaxed.get((unit, year)))
        for unit, funding, year in wanted
    }


SHARING = text(
    """
    SELECT w.unit_id, w.year, r.status = 'open' AS is_open,
           coalesce(f.shared_with_id IS NOT NULL OR NOT f.has_canteen, false) AS shares,
           (SELECT count(*) FROM quota_filing o WHERE o.shared_with_id = w.unit_id AND o.year = w.year) AS others
    FROM unnest(CAST(:units AS uuid[]), CAST(:years AS bigint[]), CAST(:with AS uuid[])) AS w(unit_id, year, with_id)
    LEFT JOIN budget_unit r ON r.id = w.with_id
    LEFT JOIN quota_filing f ON f.unit_id = w.with_id AND f.year = w.year
    """
)


def judge_sharing(session: Session, filed: Mapping[tuple[UUID, int], Figures]) -> dict[tuple[UUID, int], Refusal]:
    """What is wrong with who files for whom, by unit and year; a representative is an open unit of the same tree.

    The units are held, so that two filings cannot name each other at once.
    """
    named = {key: figures.shared_with_id for key, figures in filed.items() if figures.shared_with_id}
    units = {unit for unit, _ in filed}
    queries_units.lock_units(session, units | set(named.values()))
    roots = queries_units.roots_of(session, units | set(named.values())) if named else {}
    keys = sorted(filed)
    given = {
        "units": [unit for unit, _ in keys],
        "years": [year for _, year in keys],
        "with": [filed[key].shared_with_id for key in keys],
    }
    wrong: dict[tuple[UUID, int], Refusal] = {}
    with seeing_all(session):  # units of several organisations share a canteen, and none reads what is filed above it
        found = session.execute(SHARING, given).all()
    for row in found:
        key, figures = (row.unit_id, row.year), filed[row.unit_id, row.year]
        other = figures.shared_with_id
        if other:
            beside = filed.get((other, row.year))
            shares = (beside.shared_with_id or not beside.has_canteen) if beside else row.shares
            if not row.is_open or other == row.unit_id or roots.get(other) != roots[row.unit_id]:
                wrong[key] = Invalid("An open unit of the same tree files for this one.", pointer="/shared_with_id")
            elif shares:
                wrong[key] = RepresentativeShares(pointer="/shared_with_id")
        if (other or not figures.has_canteen) and row.others and key not in wrong:
            wrong[key] = FilesForOthers(pointer="/shared_with_id" if other else "/has_canteen", units=row.others)
    return wrong


def check_mandate(session: Session, unit_id: UUID, figures: Figures) -> None:
    """Refuse a mandate that is not of a caterer of this unit."""
    if figures.mandate_id is None:
        return
    found = session.scalar(
        select(BuyingMandate.id).where(
            BuyingMandate.id == figures.mandate_id,
            BuyingMandate.unit_id == unit_id,
            BuyingMandate.kind == MandateKind.CATERER,
        )
    )
    if found is None:
        raise Invalid("The unit gave no such mandate to a caterer.", pointer="/mandate_id")
