"""Quota rules and deadlines as dated data, and what units file under them, year by year."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import DATERANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column
from shop.errors import Refusal

NATIONAL = "national"
FIRST_YEAR, LAST_YEAR = 2021, 2100


class FilingStatus(StrEnum):
    DRAFT, FILED, RETURNED, ACCEPTED, AMENDED = "draft", "filed", "returned", "accepted", "amended"


FILING_NEXT = {
    FilingStatus.DRAFT: {FilingStatus.FILED},
    FilingStatus.FILED: {FilingStatus.ACCEPTED, FilingStatus.RETURNED},
    FilingStatus.RETURNED: {FilingStatus.AMENDED},
    FilingStatus.ACCEPTED: {FilingStatus.AMENDED},
    FilingStatus.AMENDED: {FilingStatus.ACCEPTED, FilingStatus.RETURNED},
}
"""The life of a filing: what each status may become. An amended one waits for its review like a filed one."""

COUNTED = (FilingStatus.FILED, FilingStatus.ACCEPTED, FilingStatus.AMENDED)
"""What stands in totals, and what a reminder need not ask for."""


class WrongFilingStatus(Refusal):
    """The filing is not in a status from which this may be done; `filing_status` says where it is."""

    code, status = "wrong_filing_status", 409
    title, title_zh = "The filing cannot do this now.", "该申报当前状态不允许此操作。"


class QuotaRule(Model):
    """The share of a year's demand to be reserved: `rate_bp` basis points, in a scope, from a day to a day.

    `scope` is `national` or the code of a province. For `canteen` the base is the yearly procurement of canteen food,
    with the union's demand in it where `union_in_base`.
    """

    __tablename__ = "quota_rule"
    __table_args__ = (
        CheckConstraint("scope = 'national' OR scope ~ '^[1-9][0-9]0000$'", name="scope"),
        CheckConstraint("purpose IN ('canteen', 'union_welfare')", name="purpose"),
        CheckConstraint("rate_bp BETWEEN 0 AND 10000", name="rate"),
        CheckConstraint("NOT isempty(valid)", name="valid"),
        ExcludeConstraint(
            ("scope", "="),
            ("purpose", "="),
            ("valid", "&&"),
            name="ex_quota_rule_one_at_a_time",
            using="gist",
        ),
    )

    id: Mapped[UUID] = id_column()
    scope: Mapped[str]
    purpose: Mapped[str]
    rate_bp: Mapped[int]
    base: Mapped[str]
    union_in_base: Mapped[bool]
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)
    source: Mapped[str]


class QuotaDeadline(Model):
    """The last day on which units of a finance level file for a year."""

    __tablename__ = "quota_deadline"

    year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    finance_level: Mapped[str] = mapped_column(primary_key=True)
    due_on: Mapped[date]
    source: Mapped[str]


class QuotaRelaxation(Model):
    """A lower rate that was approved for one unit and year, with the document that says so."""

    __tablename__ = "quota_relaxation"
    __table_args__ = (CheckConstraint("rate_bp BETWEEN 0 AND 10000", name="rate"),)

    unit_id: Mapped[UUID] = mapped_column(ForeignKey("budget_unit.id"), primary_key=True)
    year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    rate_bp: Mapped[int]
    document: Mapped[str]
    approved_by: Mapped[UUID]
    approved_at: Mapped[datetime]


class QuotaFiling(Model):
    """What a unit reserves in a year. `base_fen` is what the rule's rate is of, `minimum_fen` the least to reserve.

    A unit in a shared canteen names the unit that files for it (`shared_with_id`) and has no canteen amount itself, so
    that nothing counts twice. `outsourced_to` names a caterer, `mandate_id` its mandate where it buys here.
    """

    __tablename__ = "quota_filing"
    __table_args__ = (
        UniqueConstraint("unit_id", "year"),
        CheckConstraint("status IN ('draft', 'filed', 'returned', 'accepted', 'amended')", name="status"),
        CheckConstraint("canteen_fen >= 0 AND union_demand_fen >= 0 AND reserved_fen >= 0", name="amounts"),
        CheckConstraint("base_fen >= 0 AND minimum_fen >= 0", name="computed"),
        CheckConstraint("shared_with_id <> unit_id", name="not_itself"),
        CheckConstraint("(has_canteen AND shared_with_id IS NULL) OR canteen_fen = 0", name="counted_once"),
        Index("ix_quota_filing_shared_with", "shared_with_id", "year"),
        Index("ix_quota_filing_year", "year", "status"),
    )

    id: Mapped[UUID] = id_column()
    unit_id: Mapped[UUID] = mapped_column(ForeignKey("budget_unit.id"))
    year: Mapped[int]
    status: Mapped[str] = mapped_column(default=FilingStatus.DRAFT)
    has_canteen: Mapped[bool]
    shared_with_id: Mapped[UUID | None] = mapped_column(ForeignKey("budget_unit.id"))
    outsourced_to: Mapped[str | None]
    mandate_id: Mapped[UUID | None] = mapped_column(ForeignKey("buying_mandate.id"))
    canteen_fen: Mapped[int]
    union_demand_fen: Mapped[int]
    base_fen: Mapped[int]
    minimum_fen: Mapped[int]
    reserved_fen: Mapped[int]
    rule_id: Mapped[UUID] = mapped_column(ForeignKey("quota_rule.id"))
    late: Mapped[bool] = mapped_column(default=False)
    reason: Mapped[str | None]
    filed_at: Mapped[datetime | None]
    filed_by: Mapped[UUID | None]
    reviewed_at: Mapped[datetime | None]


class QuotaFilingHistory(Model):
    """Each step of a filing with the figures it had then; append-only."""

    __tablename__ = "quota_filing_history"
    __table_args__ = (Index("ix_quota_filing_history_filing", "filing_id", "id"),)

    id: Mapped[UUID] = id_column()
    filing_id: Mapped[UUID] = mapped_column(ForeignKey("quota_filing.id"))
    status: Mapped[str]
    figures: Mapped[dict[str, Any]]
    reason: Mapped[str | None]
    by_user_id: Mapped[UUID]
    at: Mapped[datetime]


class QuotaReminder(Model):
    """That a unit was reminded of a year's filing at a mark: once each."""

    __tablename__ = "quota_reminder"
    __table_args__ = (CheckConstraint("mark IN ('days_30', 'days_7', 'overdue')", name="mark"),)

    unit_id: Mapped[UUID] = mapped_column(ForeignKey("budget_unit.id"), primary_key=True)
    year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    mark: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
