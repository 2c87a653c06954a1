"""The trial: rows of a file are read, compared with what is listed and kept, each with what it would do or its errors.

Nothing that anybody sees is changed. A trial that was broken off begins anew.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session

from shop.catalogue.intake import looking
from shop.catalogue.intake.columns import BY_NAME, COLUMNS, WORDS
from shop.catalogue.intake.deciding import Counties, Decision, Fault, Titles, decide
from shop.catalogue.intake.models import IntakeStatus, ListingColumns, ListingImport, ListingImportRow, RowKind
from shop.catalogue.intake.packs import grams_priced
from shop.clock import business_day
from shop.errors import Refusal
from shop.ids import new_id
from shop.sheets.mapping import HeaderMap, RowError, RowParser, error_at, header_errors, map_columns
from shop.sheets.reader import Row, Stream

BATCH = 2_500
ERRORS_A_ROW = 20
NAMES = tuple(column.key for column in ListingImportRow.__table__.columns)
STAGE = "CREATE TEMP TABLE staged (LIKE listing_import_row) ON COMMIT DROP"
COPY = f"COPY staged ({', '.join(NAMES)}) FROM STDIN"
KEEP = "INSERT INTO listing_import_row SELECT * FROM staged"
REPEATED = text(
    """
    WITH named AS (
        SELECT number, kind, cells,
            first_value(number) OVER (PARTITION BY code, pack_name ORDER BY number) AS first
        FROM listing_import_row WHERE import_id = :id AND code <> '' AND pack_name <> ''
    )
    SELECT number, first, cells FROM named WHERE number <> first ORDER BY number
    """
)
DIFFERING = text(
    """
    WITH good AS (
        SELECT number, cells, wanted -> 'product' AS product, wanted ->> 'base_unit' AS unit,
            first_value(number) OVER same AS first,
            first_value(wanted -> 'product') OVER same AS first_product,
            first_value(wanted ->> 'base_unit') OVER same AS first_unit
        FROM listing_import_row WHERE import_id = :id AND kind <> 'error'
        WINDOW same AS (PARTITION BY code ORDER BY number)
    )
    SELECT number, first, cells, product, first_product, unit, first_unit FROM good
    WHERE product <> first_product OR unit <> first_unit ORDER BY number
    """
)
SPOIL = text(
    """
    UPDATE listing_import_row r
    SET kind = 'error', errors = COALESCE(r.errors, '[]') || w.errors, wanted = NULL, changes = NULL, listing_id = NULL
    FROM unnest(CAST(:numbers AS bigint[]), CAST(:errors AS jsonb[])) AS w(number, errors)
    WHERE r.import_id = :id AND r.number = w.number
    """
)
COUNT = text(
    """
    UPDATE listing_import SET (rows, added, changed, unchanged, wrong, to_review) = (
        SELECT count(*), count(*) FILTER (WHERE kind = 'new'), count(*) FILTER (WHERE kind = 'changed'),
            count(*) FILTER (WHERE kind = 'unchanged'), count(*) FILTER (WHERE kind = 'error'),
            count(*) FILTER (WHERE reviewed AND kind IN ('new', 'changed'))
        FROM listing_import_row WHERE import_id = :id
    ), status = 'tried', tried_at = :now
    WHERE id = :id
    """
)


class Trial:
    """One file under trial: how its columns are read, and what its rows are compared with."""

    def __init__(self, session: Session, made: ListingImport, sheet: Stream, now: datetime) -> None:
        remembered = session.scalar(
            select(ListingColumns.mapping).where(ListingColumns.organisation_id == made.organisation_id)
        )
        self.import_id, self.organisation_id, self.now = made.id, made.organisation_id, now
        self.mapping = map_columns(sheet.header, COLUMNS, remembered)
        self.errors = header_errors(sheet, self.mapping)
        self.parser = RowParser(COLUMNS, self.mapping)
        self.titles = titles_of(self.mapping)
        self.counties: Counties = looking.counties(session, business_day(now))
        made.header = list(sheet.header)
        made.mapping = self.mapping.to_remember()
        made.errors = [one.told() for one in self.errors]
        session.flush()

    def stage(self, session: Session, rows: Sequence[Row]) -> None:
        """Decide about a batch of rows and keep them; a batch of a file whose header is wrong is not looked at."""
        if self.errors:
            return
        read = [(row, found) for row in rows if (found := self.parser.read(*row)) is not None]
        codes = {code for _, (values, _) in read if (code := values.get("code")) is not None}
        shelf = looking.shelf(session, self.organisation_id, codes)
        rights = looking.rights(session, self.organisation_id, business_day(self.now))
        cursor = session.connection().connection.cursor()
        cursor.execute(STAGE)
        with cursor.copy(COPY) as copy:
            for row, (values, errors) in read:
                if not errors:
                    decision = decide(values, self.titles, shelf, self.counties, rights)
                    errors = [self.error(row, fault) for fault in decision.faults]
                else:
                    decision = Decision(RowKind.ERROR)
                copy.write_row(row_of(self.import_id, row, values, decision, errors))
        cursor.execute(KEEP)
        cursor.execute("DROP TABLE staged")

    def error(self, row: Row, fault: Fault) -> RowError:
        return error_in(self.mapping, row.number, row.cells, fault)


def error_in(mapping: HeaderMap, number: int, cells: Sequence[Any], fault: Fault) -> RowError:
    """A fault with the title and the value that the person sees."""
    column, code, limit = fault
    place = mapping.found.get(column)
    value = cells[place.index] if place is not None and place.index < len(cells) else None
    return error_at(number, BY_NAME[column], mapping, value, code, limit, WORDS[code])


def titles_of(mapping: HeaderMap) -> Titles:
    per = {name: grams_priced(place.title) for name, place in mapping.found.items() if name.endswith("price_fen")}
    content = mapping.found.get("content")
    return Titles({name: grams for name, grams in per.items() if grams}, (content and content.unit) or "")


def row_of(import_id: UUID, row: Row, values: dict[str, Any], made: Decision, errors: list[RowError]) -> list[Any]:
    """A row as it is copied, in the order of the table's columns."""
    return [
        import_id, row.number, made.kind.value, values.get("code") or "", values.get("pack_name") or "",
        new_id() if made.kind is RowKind.NEW else made.listing_id, made.revision, made.reviewed,
        None if made.wanted is None else json_of(made.wanted), None if made.changes is None else json_of(made.changes),
        json_of([one.told() for one in errors[:ERRORS_A_ROW]]) if errors else None,
        json_of([None if cell is None else str(cell) for cell in row.cells]),
    ]  # fmt: skip


def json_of(value: Any) -> str:
    """JSON as the database takes it, which knows no NUL; only a cell that was refused for it can hold one."""
    return msgspec.json.encode(value).decode().replace("\\u0000", "\\ufffd")


def begin(session: Session, import_id: UUID) -> ListingImport:
    """The upload, without what an earlier trial of it may have left."""
    session.execute(delete(ListingImportRow).where(ListingImportRow.import_id == import_id))
    return session.get_one(ListingImport, import_id)


def finish(session: Session, trial: Trial, now: datetime) -> None:
    """Find what only all rows together show, and say what the file would do."""
    asked = {"id": trial.import_id}
    repeated = [(row.number, row.cells, ("code", "duplicate", row.first)) for row in session.execute(REPEATED, asked)]
    spoil(session, trial, repeated)
    differing = [(row.number, row.cells, difference(row)) for row in session.execute(DIFFERING, asked)]
    spoil(session, trial, differing)
    session.execute(COUNT, asked | {"now": now})


def difference(row: Any) -> Fault:
    """Which fact of a product two of its rows tell differently."""
    if row.product == row.first_product:
        return "pack_name", "unit_differs", "克" if row.first_unit == "g" else "个"
    name = next(name for name in row.product if row.product[name] != row.first_product[name])
    return "origin" if name == "origin_code" else name, "product_differs", row.first


def spoil(session: Session, trial: Trial, found: Iterable[tuple[int, Sequence[Any], Fault]]) -> None:
    """Mark rows as wrong."""
    wrong = [(number, error_in(trial.mapping, number, cells, fault)) for number, cells, fault in found]
    if wrong:
        session.execute(
            SPOIL,
            {
                "id": trial.import_id,
                "numbers": [number for number, _ in wrong],
                "errors": [json_of([error.told()]) for _, error in wrong],
            },
        )


def fail(session: Session, import_id: UUID, error: Refusal) -> None:
    """Note why a file could not be read at all."""
    made = session.get_one(ListingImport, import_id)
    made.status = IntakeStatus.FAILED
    made.errors = [
        {
            "row": 0, "column": "", "title": "", "value": "", "code": error.facts.get("reason", error.code),
            "message": error.facts.get("detail_zh", error.title_zh), "message_en": error.detail or error.title,
        }
    ]  # fmt: skip
