"""Read the monthly sheet of what households brought: try it, then take it. The same sheet again changes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shop.accounts.models import Organisation
from shop.accounts.service.importing import MOST_ROWS, ImportHasErrors, TooManyRows
from shop.actor import Actor
from shop.audit import service as audit
from shop.clock import business_day
from shop.db import insert_rows
from shop.ids import new_id
from shop.sheets import mapping, reader
from shop.sheets.changes import Change, diff
from shop.sheets.mapping import Column, Parsed, ParsedRow, RowError
from shop.sheets.reader import Sheet
from shop.stock import queries_contributions as queries
from shop.stock.models_contributions import Contribution

HOUSEHOLD = r"(?![0-9]{11}$)(?![0-9]{15}$)(?![0-9]{17}[0-9Xx]$)[A-Za-z0-9-]{1,32}"
"""A household's code: no name, and neither a telephone's nor an identity card's number."""

COLUMNS = (
    Column("lot", ("批次号", "Lot"), required=True, min=1, max=64),
    Column("household", ("农户编号", "Household"), "code", required=True, pattern=HOUSEHOLD),
    Column("brought_on", ("交货日期", "Date"), "date", required=True, min=date(2000, 1, 1)),
    Column("grams", ("重量(公斤)", "Weight (kg)"), "grams", required=True, min=1, unit="kg"),
    Column("paid_fen", ("已付金额(元)", "Paid (yuan)"), "fen", required=True, min=0),
    Column("certificate", ("合格证编号", "Certificate"), max=64),
)
KEY = ("lot", "household", "brought_on")
FAULTS = {
    "unknown_lot": ("没有这个批次", "You have no lot of this code"),
    "in_the_future": ("日期在今天之后", "The day is after today"),
    "more_than_lot": ("农户合计超过批次重量（{limit} 克）", "More than the lot weighs ({limit} g)"),
}


@dataclass(frozen=True)
class Trial:
    """What a sheet would do and everything that is wrong with it."""

    rows: int
    change: Change
    errors: list[RowError]
    error_count: int


def take_in(session: Session, *, by: Actor, data: bytes, dry_run: bool, valid_rows: bool, now: datetime) -> Trial:
    """What the sheet does; written unless it is a dry run. ImportHasErrors unless only `valid_rows` are wanted.

    All of a lot's households together bring no more than the lot weighs. SheetError, TooManyRows.
    """
    session.execute(  # so that two sheets of a cooperative do not cross
        select(Organisation.id).where(Organisation.id == by.organisation_id).with_for_update(key_share=True)
    )
    sheet = reader.read(data)
    if len(sheet.rows) > MOST_ROWS:
        raise TooManyRows(allowed=MOST_ROWS)
    parsed = mapping.parse(sheet, COLUMNS, key=KEY)
    rows = [] if parsed.mapping.errors else parsed.rows
    lots = queries.by_code(session, by, sorted({row.values["lot"] for row in rows}))
    known = stored(session, lots)
    faults = wrong(session, sheet, parsed, rows, lots, known, business_day(now))
    bad = {fault.row for fault in faults}
    good = [row for row in rows if row.number not in bad]
    change = diff(
        {key: {name: getattr(one, name) for name in known_names(parsed)} for key, one in known.items()}, good, key=KEY
    )
    errors = sorted([*parsed.errors, *faults], key=lambda one: one.row)
    trial = Trial(len(sheet.rows), change, errors, parsed.error_count + len(faults))
    if dry_run:
        return trial
    if trial.error_count and not valid_rows:
        raise ImportHasErrors(error_count=trial.error_count)
    write(session, by, lots, known, change, now)
    return trial


def known_names(parsed: Parsed) -> list[str]:
    return [name for name in parsed.mapping.found if name not in KEY]


def stored(session: Session, lots: dict[str, UUID]) -> dict[tuple[str, str, date], Contribution]:
    """What is known of these lots, by the key of the sheet."""
    codes = {key: code for code, key in lots.items()}
    rows = session.scalars(select(Contribution).where(Contribution.lot_id.in_(codes)).order_by(Contribution.id))
    return {(codes[one.lot_id], one.household, one.brought_on): one for one in rows}


def wrong(
    session: Session,
    sheet: Sheet,
    parsed: Parsed,
    rows: Sequence[ParsedRow],
    lots: dict[str, UUID],
    known: dict[tuple[str, str, date], Contribution],
    today: date,
) -> list[RowError]:
    """Rows of unknown lots or days to come, and those of lots that weigh less than their households brought."""
    found = [fault(sheet, parsed, row, "lot", "unknown_lot") for row in rows if row.values["lot"] not in lots]
    found += [
        fault(sheet, parsed, row, "brought_on", "in_the_future") for row in rows if row.values["brought_on"] > today
    ]
    bad = {one.row for one in found}
    weights = queries.grams_of(session, sorted(lots.values()))
    after = {key: one.grams for key, one in known.items()}
    after |= {tuple(row.values[name] for name in KEY): row.values["grams"] for row in rows if row.number not in bad}
    brought: dict[str, int] = {}
    for (code, *_), grams in after.items():
        brought[code] = brought.get(code, 0) + grams
    for row in rows:
        code = row.values["lot"]
        if row.number not in bad and brought[code] > weights[lots[code]]:
            found.append(fault(sheet, parsed, row, "grams", "more_than_lot", weights[lots[code]]))
    return found


def fault(sheet: Sheet, parsed: Parsed, row: ParsedRow, column: str, code: str, limit: object = "") -> RowError:
    place = parsed.mapping.found[column]
    cells = next(one.cells for one in sheet.rows if one.number == row.number)
    zh, en = FAULTS[code]
    value = str(cells[place.index])[:80]
    return RowError(row.number, column, place.title, value, code, zh.format(limit=limit), en.format(limit=limit))


def write(
    session: Session,
    by: Actor,
    lots: dict[str, UUID],
    known: dict[tuple[str, str, date], Contribution],
    change: Change,
    now: datetime,
) -> None:
    made: list[dict[str, Any]] = [
        {
            "id": new_id(),
            "lot_id": lots[row.values["lot"]],
            "cooperative_id": by.organisation_id,
            "recorded_at": now,
            "certificate": None,
        }
        | {name: value for name, value in row.values.items() if name != "lot"}
        for row in change.added
    ]
    insert_rows(session, (Contribution, made))
    by_key: Mapping[Any, Contribution] = known
    for row in change.changed:
        after = {name: value for name, (_, value) in row.fields.items()}
        session.execute(update(Contribution).where(Contribution.id == by_key[row.key].id).values(after))
        said: dict[str, Any] = {name: [str(old), str(new)] for name, (old, new) in row.fields.items()}
        audit.record(
            session, by=by, action="contribution.changed", kind="contribution", subject=by_key[row.key].id, now=now,
            **said,
        )  # fmt: skip
    if made:
        audit.record(
            session, by=by, action="contributions.added", kind="organisation", subject=by.organisation_id, now=now,
            rows=len(made),
        )  # fmt: skip
