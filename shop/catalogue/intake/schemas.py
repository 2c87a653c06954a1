"""Uploads of listings as JSON."""

from typing import Annotated, Any, Literal

from pydantic import Field
from sqlalchemy.orm import Session

from shop.accounts.schemas_imports import CellError, ConfirmImport
from shop.catalogue.intake.models import IntakeStatus, ListingImport, ListingImportRow, RowKind
from shop.http.routes import In, Out, Query
from shop.ids import ListingId, ListingImportId
from shop.jobs.models import Job
from shop.jobs.schemas import JobOut, job_out

__all__ = ["ConfirmImport"]


class NameQuery(Query):
    name: Annotated[str, Field(max_length=200)] = ""


class ImportsQuery(Query):
    limit: Annotated[int, Field(ge=1, le=100)] = 24
    cursor: Annotated[str, Field(max_length=400)] | None = None


class RowsQuery(Query):
    """Which rows: those that are new, that differ, that do not, or that are wrong; in the order of the file."""

    kind: Literal["new", "changed", "unchanged", "error"] | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    cursor: Annotated[str, Field(max_length=400)] | None = None


class ColumnMapping(In):
    """Column name by title, as in `GET /v1/cooperative/listing-imports/columns`; an empty name leaves a column out."""

    columns: Annotated[
        dict[Annotated[str, Field(max_length=200)], Annotated[str, Field(max_length=50)]], Field(max_length=256)
    ]


class KnownColumn(Out):
    """A column that an upload may have: its name, what it may be called, and whether every row needs it."""

    name: str
    titles: list[str]
    kind: str
    required: bool


class ColumnsOut(Out):
    """What the cooperative's titles were read as, and every column that there is."""

    columns: dict[str, str]
    known: list[KnownColumn]


class Counted(Out):
    """How many rows are new, differ, do not, are wrong; `to_review`: how many of the former go to a reviewer."""

    added: int
    changed: int
    unchanged: int
    wrong: int
    to_review: int


class ListingImportOut(Out):
    """An upload. `status`: reading, tried, applying, applied or failed; `job` says how far it is.

    `columns` is the header as it was read (column name by title), `unread` the titles that nobody claimed, `errors`
    what is wrong with the file or its header; what is wrong with rows stands at the rows. `applied` and `refused`:
    rows that were done, and rows that were not because their listing was changed since the trial.
    """

    id: ListingImportId
    name: str
    status: IntakeStatus
    mode: str | None
    job: JobOut | None
    rows: int
    diff: Counted
    columns: dict[str, str]
    unread: list[str]
    errors: list[CellError]
    applied: int
    refused: int
    made_at: str
    tried_at: str | None
    applied_at: str | None


class ListingImportPage(Out):
    items: list[ListingImportOut]
    next: str | None


class FieldChange(Out):
    """A field before and after; tiers as `[[from packs, fen per pack], …]`."""

    field: str
    before: Any
    after: Any


class ImportRowOut(Out):
    """A row of an upload by the number that a spreadsheet program shows; `listing_id` of a new one is the one it gets.

    `to_review`: a reviewer looks at it before it is shown as changed.
    """

    row: int
    kind: RowKind
    code: str
    pack_name: str
    listing_id: ListingId | None
    to_review: bool
    changes: list[FieldChange]
    errors: list[CellError]


class ImportRowPage(Out):
    items: list[ImportRowOut]
    next: str | None


def import_out(session: Session, made: ListingImport) -> ListingImportOut:
    job = session.get(Job, made.job_id) if made.job_id else None
    return ListingImportOut(
        id=made.id,
        name=made.name,
        status=IntakeStatus(made.status),
        mode=made.mode,
        job=job_out(session, job) if job else None,
        rows=made.rows,
        diff=Counted(
            added=made.added,
            changed=made.changed,
            unchanged=made.unchanged,
            wrong=made.wrong,
            to_review=made.to_review,
        ),
        columns=made.mapping,
        unread=[title for title in made.header if title and title not in made.mapping],
        errors=made.errors,
        applied=made.applied,
        refused=made.refused,
        made_at=made.made_at.isoformat(),
        tried_at=made.tried_at.isoformat() if made.tried_at else None,
        applied_at=made.applied_at.isoformat() if made.applied_at else None,
    )


def row_out(row: ListingImportRow) -> ImportRowOut:
    return ImportRowOut(
        row=row.number,
        kind=RowKind(row.kind),
        code=row.code,
        pack_name=row.pack_name,
        listing_id=row.listing_id,
        to_review=row.reviewed and row.kind in (RowKind.NEW, RowKind.CHANGED),
        changes=[
            FieldChange(field=name, before=before, after=after) for name, (before, after) in (row.changes or {}).items()
        ],
        errors=row.errors or [],
    )
