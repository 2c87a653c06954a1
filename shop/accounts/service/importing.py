"""Spreadsheets: try one without writing anything, then apply exactly what the trial said, once."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session, undefer

from shop.accounts import queries_units
from shop.accounts.models import Organisation
from shop.accounts.models_imports import BulkImport, ImportKind
from shop.accounts.service.bulk import Fault, Plan, SheetKind
from shop.accounts.service.importing_addresses import ADDRESSES
from shop.accounts.service.importing_filings import FILINGS
from shop.accounts.service.importing_members import MEMBERS
from shop.accounts.service.importing_units import UNITS
from shop.actor import Actor
from shop.audit import service as audit
from shop.errors import NotFound, Refusal
from shop.sheets import mapping, reader
from shop.sheets.mapping import Parsed, RowError
from shop.sheets.reader import Sheet
from shop.sheets.writer import Out

KINDS: dict[ImportKind, SheetKind] = {
    ImportKind.MEMBERS: MEMBERS,
    ImportKind.UNITS: UNITS,
    ImportKind.ADDRESSES: ADDRESSES,
    ImportKind.FILINGS: FILINGS,
}
MOST_ROWS = 2_000
ROWS_SHOWN = 100


class TooManyRows(Refusal):
    """`allowed` is how many rows a file may have."""

    code, status = "too_many_rows", 422
    title = f"A file has at most {MOST_ROWS} rows; please split it."
    title_zh = f"每个文件最多{MOST_ROWS}行，请拆分后上传。"


class ImportHasErrors(Refusal):
    """Confirm with `valid_rows` to leave the rows with errors out."""

    code, status = "import_has_errors", 409
    title, title_zh = "Some rows have errors.", "文件中仍有错误行。"


class ImportChanged(Refusal):
    code, status = "import_changed", 409
    title, title_zh = (
        "What this file would do has changed meanwhile; upload it again.",
        "数据已发生变化，导入结果与预检不一致，请重新上传。",
    )


@dataclass(frozen=True)
class Trial:
    """A file as it was read, what its good rows would do, and everything that is wrong with it."""

    sheet: Sheet
    parsed: Parsed
    plan: Plan
    errors: list[RowError]
    error_count: int

    @property
    def outcome(self) -> dict[str, Any]:
        """What is kept and answered."""
        change = self.plan.change
        return {
            "rows": len(self.sheet.rows),
            "error_count": self.error_count,
            "errors": [one.told() for one in self.errors],
            "diff": {
                "added": len(change.added),
                "changed": len(change.changed),
                "unchanged": change.unchanged,
                "changed_rows": [
                    {"row": one.number, "fields": sorted(one.fields)} for one in change.changed[:ROWS_SHOWN]
                ],
            },
        }

    @property
    def effect_hash(self) -> bytes:
        """Stands for everything that would be written and everything that would not."""
        change = self.plan.change
        effect = [
            [[row.number, row.values] for row in change.added],
            [[one.number, one.fields] for one in change.changed],
            sorted([one.row, one.column, one.code] for one in self.errors),
        ]
        return hashlib.sha256(msgspec.json.encode(effect, order="sorted")).digest()


def attempt(session: Session, by: Actor, kind: ImportKind, data: bytes, now: datetime) -> Trial:
    """Read a file and see what it would do; the organisation is held, so that two imports do not cross."""
    queries_units.require_active(session, by)
    session.execute(
        select(Organisation.id).where(Organisation.id == by.organisation_id).with_for_update(key_share=True)
    )
    sheet = reader.read(data)
    if len(sheet.rows) > MOST_ROWS:
        raise TooManyRows(allowed=MOST_ROWS)
    known = KINDS[kind]
    parsed = mapping.parse(sheet, known.columns, key=known.key)
    plan = known.plan(session, by, [] if parsed.mapping.errors else parsed.rows, now)
    errors = [*parsed.errors, *(cell_error(sheet, parsed, known, one) for one in plan.faults)]
    return Trial(sheet, parsed, plan, sorted(errors, key=lambda one: one.row), parsed.error_count + len(plan.faults))


def cell_error(sheet: Sheet, parsed: Parsed, kind: SheetKind, one: Fault) -> RowError:
    """A fault with the title and the value that the person sees."""
    place = parsed.mapping.found.get(one.column)
    column = next(column for column in kind.columns if column.name == one.column)
    cells = next(row.cells for row in sheet.rows if row.number == one.row)
    value = cells[place.index] if place and place.index < len(cells) else None
    title = place.title if place else column.titles[0]
    return RowError(one.row, one.column, title, "" if value is None else str(value)[:80], one.code, one.zh, one.en)


def upload(session: Session, *, by: Actor, kind: ImportKind, data: bytes, now: datetime) -> BulkImport:
    """Keep a file with what it would do; nothing else is written."""
    trial = attempt(session, by, kind, data, now)
    made = BulkImport(
        organisation_id=by.organisation_id,
        kind=kind,
        data=data,
        status="tried",
        effect_hash=trial.effect_hash,
        outcome=trial.outcome,
        made_by=by.user_id,
        made_at=now,
    )
    session.add(made)
    session.flush()
    audit.record(session, by=by, action="upload", kind="bulk_import", subject=made.id, now=now, sheet=str(kind))
    return made


def own(session: Session, by: Actor, import_id: UUID, *, hold: bool = False) -> BulkImport:
    """An upload of the actor's organisation with its file."""
    wanted = (
        select(BulkImport)
        .where(BulkImport.id == import_id, BulkImport.organisation_id == by.organisation_id)
        .options(undefer(BulkImport.data))
    )
    found = session.scalars(wanted.with_for_update() if hold else wanted).first()
    if found is None:
        raise NotFound("No such upload of yours.")
    return found


def confirm(session: Session, *, by: Actor, import_id: UUID, mode: str, now: datetime) -> BulkImport:
    """Do what the trial said; confirming again changes nothing."""
    made = own(session, by, import_id, hold=True)
    if made.status == "applied":
        return made
    trial = attempt(session, by, ImportKind(made.kind), made.data, now)
    if trial.effect_hash != made.effect_hash:
        raise ImportChanged
    if trial.error_count and mode == "all":
        raise ImportHasErrors(error_count=trial.error_count)
    trial.plan.write()
    made.status, made.mode, made.applied_at = "applied", mode, now
    session.flush()
    audit.record(session, by=by, action="apply", kind="bulk_import", subject=made.id, now=now, mode=mode)
    return made


def failed_rows(made: BulkImport) -> tuple[list[Out], list[Sequence[str | None]]]:
    """The rows with errors as they were uploaded, with a column that says what is wrong, ready to be corrected."""
    sheet = reader.read(made.data)
    said: dict[int, list[str]] = {}
    for one in made.outcome["errors"]:
        said.setdefault(one["row"], []).append(f"{one['title']}：{one['message']}")
    columns = [Out(title or f"列{place}") for place, title in enumerate(sheet.header, start=1)]
    rows: list[Sequence[str | None]] = []
    for number, cells in sheet.rows:
        if number in said or sheet.header_row in said:
            words = said.get(number) or said[sheet.header_row]
            texts = [None if cell is None else str(cell) for cell in cells[: len(columns)]]
            rows.append([*texts, *[None] * (len(columns) - len(texts)), "；".join(words)])
    return [*columns, Out("错误", width=40)], rows


def template(kind: ImportKind) -> list[Out]:
    """The columns of an empty sheet of a kind, in Chinese; a star marks what is needed."""
    return [Out(column.titles[0] + ("*" if column.required else ""), width=20) for column in KINDS[kind].columns]
