"""Quota filings by spreadsheet: a row is filed at once, or amends what was returned or accepted."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select, text, tuple_
from sqlalchemy.orm import Session

from shop.accounts.models import BudgetUnit
from shop.accounts.models_quotas import (
    FILING_NEXT,
    FIRST_YEAR,
    LAST_YEAR,
    FilingStatus,
    QuotaDeadline,
    QuotaFiling,
    QuotaFilingHistory,
    WrongFilingStatus,
)
from shop.accounts.schemas_quotas import Figures
from shop.accounts.service.assessing import Assessed, assess, grounds, judge_sharing
from shop.accounts.service.bulk import Fault, Plan, SheetKind, audit_rows, fault, without
from shop.accounts.service.filing import FIGURES, figures_of, kept
from shop.accounts.service.importing_units import CODE
from shop.actor import Actor
from shop.audit.models import AuditEntry
from shop.clock import business_day
from shop.db import insert_rows
from shop.errors import Refusal
from shop.ids import new_id
from shop.outbox import service as outbox
from shop.sheets.changes import diff
from shop.sheets.mapping import Column, ParsedRow

COLUMNS = (
    Column("unit_code", ("预算单位编码", "Unit code"), "code", required=True, pattern=CODE),
    Column("year", ("年度", "Year"), "int", required=True, min=FIRST_YEAR, max=LAST_YEAR),
    Column(
        "has_canteen",
        ("是否有食堂", "Has a canteen"),
        "enum",
        required=True,
        choices={"yes": ("是", "有", "true"), "no": ("否", "无", "false")},
    ),
    Column("canteen_fen", ("食堂年度采购额(元)", "Canteen (yuan)"), "fen", min=0, max=10**15),
    Column("shared_with", ("代填单位编码", "Filed by unit"), "code", pattern=CODE),
    Column("outsourced_to", ("食堂承包方", "Outsourced to"), min=1, max=200),
    Column("union_demand_fen", ("工会年度需求(元)", "Union (yuan)"), "fen", min=0, max=10**15),
    Column("reserved_fen", ("预留份额(元)", "Reserved (yuan)"), "fen", min=0, max=10**15),
)
AMOUNTS = ("canteen_fen", "union_demand_fen", "reserved_fen")
COLUMN_OF = {
    "/reserved_fen": "reserved_fen", "/canteen_fen": "canteen_fen", "/outsourced_to": "outsourced_to",
    "/shared_with_id": "shared_with", "/has_canteen": "has_canteen", "/year": "year",
}  # fmt: skip
CHANGE = text(
    """
    UPDATE quota_filing f
    SET status = c.status, has_canteen = c.has_canteen, shared_with_id = c.shared_with_id,
        outsourced_to = c.outsourced_to, mandate_id = c.mandate_id, canteen_fen = c.canteen_fen,
        union_demand_fen = c.union_demand_fen,
        base_fen = c.base_fen, minimum_fen = c.minimum_fen, reserved_fen = c.reserved_fen, rule_id = c.rule_id,
        late = c.late, filed_at = c.filed_at, filed_by = c.filed_by
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS c(
        id uuid, status text, has_canteen boolean, shared_with_id uuid, outsourced_to text, mandate_id uuid,
        canteen_fen bigint,
        union_demand_fen bigint, base_fen bigint, minimum_fen bigint, reserved_fen bigint, rule_id uuid, late boolean,
        filed_at timestamptz, filed_by uuid
    )
    WHERE f.id = c.id
    """
)
Key = tuple[UUID, int]


@dataclass
class Entry:
    """A row on its way into a filing."""

    row: ParsedRow
    unit: BudgetUnit
    before: QuotaFiling | None
    figures: Figures
    assessed: Assessed | None = None

    @property
    def key(self) -> Key:
        return self.unit.id, int(self.row.values["year"])


def refused(row: ParsedRow, refusal: Refusal) -> Fault:
    """A refusal as a fault of the column that it points at."""
    column = COLUMN_OF.get(refusal.pointer or "", "unit_code")
    zh, en = refusal.title_zh, refusal.detail or refusal.title
    if (allowed := refusal.facts.get("allowed")) is not None:
        yuan = f"{allowed // 100}.{allowed % 100:02d}"
        zh, en = f"{zh}（{yuan}元）", f"{en} ({yuan} yuan)"
    return Fault(row.number, column, refusal.code, zh, en)


def plan(session: Session, by: Actor, rows: list[ParsedRow], now: datetime) -> Plan:
    """What the rows would file for the organisation's own units, each row judged as if it was filed alone."""
    units = units_named(session, by, rows)
    faults: list[Fault] = []
    for row in rows:
        unit, other = units.get(row.values["unit_code"]), row.values.get("shared_with")
        if unit is None or unit.status != "open":
            faults.append(fault(row, "unit_code", "unknown_unit" if unit is None else "unit_closed"))
        if int(row.values["year"]) > business_day(now).year + 1:
            faults.append(fault(row, "year", "year_too_far"))
        if other and other not in units:
            faults.append(fault(row, "shared_with", "unknown_unit"))
    entries = entries_of(session, without(rows, faults), units)
    faults += judge(session, entries)
    codes = {one.id: one.code for one in units.values()}
    existing: dict[tuple[str, int], dict[str, Any]] = {}
    shown: list[ParsedRow] = []
    bad = {one.row for one in faults}
    by_number = {entry.row.number: entry for entry in entries if entry.row.number not in bad}
    for entry in by_number.values():
        name = {"unit_code": entry.row.values["unit_code"], "year": entry.row.values["year"]}
        after = ParsedRow(entry.row.number, name | shown_of(entry.figures, codes))
        if entry.before is not None and entry.before.status != FilingStatus.DRAFT:
            was = shown_of(figures_of(entry.before), codes)
            existing[name["unit_code"], name["year"]] = was
            same = all(after.values[field] == value for field, value in was.items())
            if not same and FilingStatus.AMENDED not in FILING_NEXT[FilingStatus(entry.before.status)]:
                faults.append(refused(entry.row, WrongFilingStatus(pointer="/unit_code")))
                continue
        shown.append(after)
    change = diff(existing, shown, key=("unit_code", "year"))
    touched = [by_number[one.number] for one in change.added] + [by_number[one.number] for one in change.changed]
    return Plan(change, faults, lambda: write(session, by, touched, now))


def units_named(session: Session, by: Actor, rows: list[ParsedRow]) -> dict[str, BudgetUnit]:
    """The organisation's own units that the rows name, by code."""
    codes = {row.values["unit_code"] for row in rows} | {row.values.get("shared_with") for row in rows}
    found = session.scalars(
        select(BudgetUnit)
        .where(BudgetUnit.organisation_id == by.organisation_id, BudgetUnit.code.in_(codes - {None}))
        .execution_options(populate_existing=True)
    )
    return {one.code: one for one in found if one.code}


def entries_of(session: Session, rows: list[ParsedRow], units: dict[str, BudgetUnit]) -> list[Entry]:
    """The rows with their units, what was filed before, and the figures that they name or leave as they are."""
    keys = [(units[row.values["unit_code"]].id, int(row.values["year"])) for row in rows]
    found = session.scalars(
        select(QuotaFiling)
        .where(tuple_(QuotaFiling.unit_id, QuotaFiling.year).in_(keys))
        .order_by(QuotaFiling.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    before = {(one.unit_id, one.year): one for one in found}
    entries = []
    for row, key in zip(rows, keys, strict=True):
        filing, values = before.get(key), row.values
        given: dict[str, Any] = {"has_canteen": values["has_canteen"] == "yes"}
        given |= {name: values[name] or 0 for name in AMOUNTS if name in values}
        if "outsourced_to" in values:
            given["outsourced_to"] = values["outsourced_to"]
        if "shared_with" in values:
            given["shared_with_id"] = units[values["shared_with"]].id if values["shared_with"] else None
        stays = {name: getattr(filing, name) for name in FIGURES} if filing else {}
        if stays and not (given["has_canteen"] and given.get("outsourced_to", stays["outsourced_to"])):
            stays["mandate_id"] = None
        entries.append(Entry(row, units[values["unit_code"]], filing, Figures(**stays | given)))
    return entries


def judge(session: Session, entries: list[Entry]) -> list[Fault]:
    """What the rules say against the entries, in a constant number of statements; the others get their minimum."""
    faults: list[Fault] = []
    known = grounds(session, [(entry.unit.id, entry.unit.funding_code, entry.key[1]) for entry in entries])
    for entry in entries:
        try:
            entry.assessed = assess(entry.figures, known[entry.key])
        except Refusal as refusal:
            faults.append(refused(entry.row, refusal))
    sound = {entry.key: entry.figures for entry in entries if entry.assessed}
    wrong = judge_sharing(session, sound) if sound else {}
    return faults + [refused(entry.row, wrong[entry.key]) for entry in entries if entry.key in wrong]


def shown_of(figures: Figures, codes: dict[UUID, str | None]) -> dict[str, Any]:
    """The figures as the columns of the sheet name them."""
    return {
        "has_canteen": "yes" if figures.has_canteen else "no",
        "shared_with": codes.get(figures.shared_with_id, figures.shared_with_id.hex)
        if figures.shared_with_id
        else None,
        "outsourced_to": figures.outsourced_to,
        **{name: getattr(figures, name) for name in AMOUNTS},
    }


def write(session: Session, by: Actor, entries: list[Entry], now: datetime) -> None:
    """File or amend, with a history row and an audit entry each."""
    years = sorted({entry.key[1] for entry in entries})
    due = {
        (row.year, row.finance_level): row.due_on
        for row in session.scalars(select(QuotaDeadline).where(QuotaDeadline.year.in_(years)))
    }
    made: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    history: list[dict[str, Any]] = []
    for entry in entries:
        assert entry.assessed is not None
        before, year = entry.before, entry.key[1]
        amends = before is not None and before.status != FilingStatus.DRAFT
        due_on = due.get((year, entry.unit.finance_level))
        late = before.late if amends and before else due_on is not None and business_day(now) > due_on
        status = FilingStatus.AMENDED if amends else FilingStatus.FILED
        figures = {name: getattr(entry.figures, name) for name in FIGURES}
        computed = {"base_fen": entry.assessed.base_fen, "minimum_fen": entry.assessed.minimum_fen, "late": late}
        filing = {
            "id": before.id if before else new_id(),
            "unit_id": entry.unit.id,
            "year": year,
            "status": status,
            "rule_id": entry.assessed.rule_id,
            "filed_at": now,
            "filed_by": by.user_id,
            **figures,
            **computed,
        }
        (changed if before else made).append(filing)
        history.append(
            {
                "id": new_id(),
                "filing_id": filing["id"],
                "status": status,
                "figures": {name: outbox.plain(value) for name, value in (figures | computed).items()},
                "by_user_id": by.user_id,
                "at": now,
            }
        )
    was = {entry.before.id: kept(entry.before) for entry in entries if entry.before}
    said = {
        row["filing_id"]: {"after": row["figures"]}
        | ({"before": was[row["filing_id"]]} if row["filing_id"] in was else {})
        for row in history
    }
    audits = audit_rows(by, "quota_filing", {row["filing_id"]: str(row["status"]) for row in history}, now, said)
    insert_rows(session, (QuotaFiling, made), (QuotaFilingHistory, history), (AuditEntry, audits))
    if changed:
        session.execute(CHANGE, {"rows": msgspec.json.encode(changed).decode()})


FILINGS = SheetKind(COLUMNS, ("unit_code", "year"), plan)
