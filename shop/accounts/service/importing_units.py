"""Budget units by spreadsheet, known by their codes; the unit above is named by its code, in the file or before."""

from collections import Counter
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from shop.accounts import queries_units as queries
from shop.accounts.models import BudgetUnit
from shop.accounts.models_units import DEEPEST
from shop.accounts.service.bulk import Fault, Plan, SheetKind, audit_rows, before_and_after, fault, without
from shop.actor import Actor
from shop.audit.models import AuditEntry
from shop.clock import business_day
from shop.db import insert_rows
from shop.ids import new_id
from shop.outbox import service as outbox
from shop.sheets.changes import diff
from shop.sheets.mapping import Column, ParsedRow

CODE = r"[0-9A-Za-z][0-9A-Za-z._-]{0,39}"
COLUMNS = (
    Column("code", ("预算单位编码", "Unit code"), "code", required=True, pattern=CODE),
    Column("name", ("预算单位名称", "Unit name"), required=True, min=1, max=200),
    Column("parent_code", ("主管预算单位编码", "Supervising unit's code"), "code", pattern=CODE),
    Column(
        "finance_level",
        ("财政级次", "Finance level"),
        "enum",
        required=True,
        choices={
            "central": ("中央",), "province": ("省级", "省"), "prefecture": ("市级", "市", "地市级"),
            "county": ("县级", "县", "区县级", "区级"), "township": ("乡级", "乡镇级", "乡镇"),
        },
    ),
    Column("funding_code", ("资金来源区划代码", "Funding code"), "code", required=True, pattern=r"[0-9]{6}"),
)  # fmt: skip
KEPT = ("name", "code", "finance_level", "funding_code", "parent_id")
CHANGE = text(
    """
    UPDATE budget_unit u
    SET name = c.name, finance_level = c.finance_level, funding_code = c.funding_code, parent_id = c.parent_id
    FROM jsonb_to_recordset(CAST(:rows AS jsonb))
        AS c(id uuid, name text, finance_level text, funding_code text, parent_id uuid)
    WHERE u.id = c.id
    """
)


def plan(session: Session, by: Actor, rows: list[ParsedRow], now: datetime) -> Plan:
    """What the rows would do to the organisation's units and those below them; its trees are held still meanwhile."""
    tree = select(BudgetUnit).where(BudgetUnit.id.in_(select(queries.managed(by.organisation_id).c.id)))
    queries.lock_trees(session, *session.scalars(tree.with_only_columns(BudgetUnit.id)))
    units = {one.id: one for one in session.scalars(tree.execution_options(populate_existing=True))}
    counted = Counter(one.code for one in units.values() if one.code)
    known = {one.code: one for one in units.values() if one.code}
    today = business_day(now)
    funding = queries.known_divisions(session, [row.values["funding_code"] for row in rows], today)
    faults: list[Fault] = []
    for row in rows:
        code, paid_by = row.values["code"], row.values["funding_code"]
        central = row.values["finance_level"] == "central" and paid_by == queries.NATIONAL_BUDGET
        if paid_by not in funding and not central:
            faults.append(fault(row, "funding_code", "unknown_division"))
        elif not central and not queries.level_fits(row.values["finance_level"], paid_by):
            faults.append(fault(row, "funding_code", "level_differs"))
        if counted[code] > 1:
            faults.append(fault(row, "code", "ambiguous_unit"))
        elif code in known and known[code].status != "open":
            faults.append(fault(row, "code", "unit_closed"))
        faults += parent_faults(row, rows, known, counted)
    good = placed(session, without(rows, faults), units, known, by, faults)
    codes = {one.id: one.code for one in units.values()}
    existing = {
        row.values["code"]: {
            "name": one.name,
            "finance_level": one.finance_level,
            "funding_code": one.funding_code,
            "parent_code": codes.get(one.parent_id) if one.parent_id else None,
        }
        for row in good
        if (one := known.get(row.values["code"]))
    }
    change = diff(existing, good, key=("code",))
    by_code = {row.values["code"]: row.values for row in good}

    def write() -> None:
        ids: dict[str, UUID] = {code: one.id for code, one in known.items() if code}
        ids |= {row.values["code"]: new_id() for row in change.added}

        def fields(values: dict[str, Any], before: BudgetUnit | None = None) -> dict[str, Any]:
            above = values.get("parent_code")
            named = before is None or "parent_code" in values
            return {
                "id": ids[values["code"]],
                "name": values["name"],
                "finance_level": values["finance_level"],
                "funding_code": values["funding_code"],
                "parent_id": (ids[above] if above else None) if named or before is None else before.parent_id,
            }

        made = [
            fields(row.values)
            | {
                "organisation_id": by.organisation_id,
                "code": row.values["code"],
                "status": "open",
                "opened_on": today,
            }
            for row in change.added
        ]
        changed = [fields(by_code[str(one.key)], known[str(one.key)]) for one in change.changed]
        done = {row["id"]: "create" for row in made} | {row["id"]: "change" for row in changed}
        said = {ids[str(one.key)]: before_and_after(one.fields) for one in change.changed}
        said |= {row["id"]: {"after": {name: outbox.plain(row[name]) for name in KEPT}} for row in made}
        insert_rows(session, (BudgetUnit, made), (AuditEntry, audit_rows(by, "budget_unit", done, now, said)))
        if changed:
            session.execute(CHANGE, {"rows": msgspec.json.encode(changed).decode()})

    return Plan(change, faults, write)


def parent_faults(
    row: ParsedRow, rows: list[ParsedRow], known: dict[str, BudgetUnit], counted: Counter[str]
) -> list[Fault]:
    above = row.values.get("parent_code")
    if not above or any(other.values["code"] == above for other in rows):
        return []
    if above not in known:
        return [fault(row, "parent_code", "unknown_unit")]
    if counted[above] > 1:
        return [fault(row, "parent_code", "ambiguous_unit")]
    return [fault(row, "parent_code", "unit_closed")] if known[above].status != "open" else []


def placed(
    session: Session,
    rows: list[ParsedRow],
    units: dict[UUID, BudgetUnit],
    known: dict[str, BudgetUnit],
    by: Actor,
    faults: list[Fault],
) -> list[ParsedRow]:
    """The rows whose units fit the tree that all of them would make; what does not is told to `faults`.

    A row that is left out leaves its unit where it was, so the rest is looked at again until nothing more is wrong.
    """
    before: dict[Any, Any] = {one.id: one.parent_id for one in units.values()} | queries.parents_above(session, units)
    while True:
        keys: dict[Any, Any] = {row.values["code"]: row.values["code"] for row in rows}
        keys |= {code: one.id for code, one in known.items()}
        after = dict(before)
        for row in rows:
            code = row.values["code"]
            if "parent_code" in row.values or code not in known:
                after[keys[code]] = keys.get(row.values.get("parent_code"))
        deep = too_deep(after)
        wrong: list[Fault] = []
        for row in rows:
            key, parent, unit = keys[row.values["code"]], row.values.get("parent_code"), known.get(row.values["code"])
            path = path_up(key, after)
            if parent and parent not in keys:
                wrong.append(fault(row, "parent_code", "parent_wrong"))
            elif path is None:
                wrong.append(fault(row, "parent_code", "unit_cycle"))
            elif key in deep:
                wrong.append(fault(row, "parent_code", "unit_too_deep"))
            elif unit and unit.organisation_id != by.organisation_id and top(path) != top(path_up(key, before)):
                wrong.append(fault(row, "parent_code", "other_tree"))
        if not wrong:
            return rows
        faults += wrong
        rows = without(rows, wrong)


def path_up(key: Any, above: dict[Any, Any]) -> list[Any] | None:
    """A unit and those above it, at most one more than may be; None when it stands below itself."""
    path = [key]
    while (key := above.get(key)) is not None and len(path) <= DEEPEST:
        if key in path:
            return None
        path.append(key)
    return path


def too_deep(above: dict[Any, Any]) -> set[Any]:
    """Every unit on a path that is longer than may be."""
    paths = (path_up(key, above) for key in above)
    return {key for path in paths if path and len(path) > DEEPEST for key in path}


def top(path: list[Any] | None) -> Any:
    return path[-1] if path else None


UNITS = SheetKind(COLUMNS, ("code",), plan)
