"""What is given back as a sheet: the template, the rows that failed; and the rows of an upload page by page."""

from collections.abc import Iterator, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.catalogue.intake.columns import COLUMNS, EXAMPLE
from shop.catalogue.intake.models import ListingImport, ListingImportRow, RowKind
from shop.sheets.writer import Out

MOST_FAILED = 10_000
PAGE = 1_000


def template() -> tuple[list[Out], list[list[str]]]:
    """The columns in Chinese, and the example row."""
    columns = [Out(column.titles[0] + ("*" if column.required else ""), width=16) for column in COLUMNS]
    return columns, [[EXAMPLE[column.name] for column in COLUMNS]]


def rows(
    session: Session, made: ListingImport, *, kind: str | None, after: int, limit: int
) -> Sequence[ListingImportRow]:
    """Rows of an upload in the order of the file, from behind a row."""
    wanted = (
        select(ListingImportRow)
        .where(ListingImportRow.import_id == made.id, ListingImportRow.number > after)
        .order_by(ListingImportRow.number)
        .limit(limit)
    )
    if kind is not None:
        wanted = wanted.where(ListingImportRow.kind == kind)
    return session.scalars(wanted).all()


def failed(session: Session, made: ListingImport) -> tuple[list[Out], Iterator[list[str | None]]]:
    """The rows with errors as they were uploaded, with a column that says what is wrong, ready to be corrected."""
    columns = [Out(title or f"列{place}") for place, title in enumerate(made.header, start=1)]
    return [*columns, Out("错误", width=40)], failed_rows(session, made, len(columns))


def failed_rows(session: Session, made: ListingImport, width: int) -> Iterator[list[str | None]]:
    last, left = 0, MOST_FAILED
    while left and (found := rows(session, made, kind=RowKind.ERROR, after=last, limit=min(PAGE, left))):
        for row in found:
            cells = row.cells[:width]
            words = "；".join(f"{one['title']}：{one['message']}" for one in row.errors or ())
            yield [*cells, *[None] * (width - len(cells)), words]
        last, left = found[-1].number, left - len(found)
