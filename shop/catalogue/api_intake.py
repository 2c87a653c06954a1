"""Listings by spreadsheet, for cooperatives."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from shop.accounts.service.importing import ImportHasErrors
from shop.actor import Actor, Audience, Role
from shop.catalogue.intake import sheets, uploading
from shop.catalogue.intake.columns import COLUMNS
from shop.catalogue.intake.models import ListingImport
from shop.catalogue.intake.schemas import (
    ColumnMapping,
    ColumnsOut,
    ConfirmImport,
    ImportRowPage,
    ImportsQuery,
    KnownColumn,
    ListingImportOut,
    ListingImportPage,
    NameQuery,
    RowsQuery,
    import_out,
    row_out,
)
from shop.errors import Busy, Invalid, NotFound
from shop.files import service as files
from shop.http import cursors
from shop.http.routes import Raw, Routes, audience, roles, work_of
from shop.ids import ListingImportId
from shop.sheets.answers import FILE, FormatQuery, file_of
from shop.sheets.reader import MAX_FILE
from shop.sheets.text import SheetError

routes = Routes("/v1/cooperative/listing-imports", tag="Selling")
lister = roles(Role.LISTER, of=Audience.COOPERATIVE)
member = audience(Audience.COOPERATIVE)


@routes.get("/template", allow=member, answers={200: FILE})
def read_listing_template(query: FormatQuery) -> Raw:
    """A sheet with the titles of every column and an example row; a star marks what every row needs."""
    return file_of("listings", query, *sheets.template())


@routes.get("/columns", allow=member, answers={200: ColumnsOut})
def read_listing_columns(session: Session, actor: Actor) -> ColumnsOut:
    """How the cooperative's titles are read, and every column that there is."""
    return columns_out(uploading.remembered(session, actor))


@routes.put("/columns", allow=lister, answers={200: ColumnsOut}, refusals=(Invalid,))
def set_listing_columns(session: Session, actor: Actor, now: datetime, body: ColumnMapping) -> ColumnsOut:
    """Say how the cooperative's titles are to be read; uploads from now on are read so."""
    return columns_out(uploading.remember(session, by=actor, mapping=body.columns, now=now))


def columns_out(mapping: dict[str, str]) -> ColumnsOut:
    known = [
        KnownColumn(name=column.name, titles=list(column.titles), kind=column.kind, required=column.required)
        for column in COLUMNS
    ]
    return ColumnsOut(columns=mapping, known=known)


@routes.post(
    "",
    allow=lister,
    answers={202: ListingImportOut},
    refusals=(Invalid, SheetError, Busy),
    raw_body=True,
    calls_out=True,
    max_body=MAX_FILE,
)
def upload_listings(actor: Actor, now: datetime, query: NameQuery, raw: bytes) -> ListingImportOut:
    """Upload a csv or xlsx file as it is (20 MiB, 100,000 rows); a job tries it, and nothing is listed yet."""

    def ask(session: Session) -> tuple[UUID, ListingImportOut]:
        made = uploading.ask(session, by=actor, name=query.name, data=raw, now=now)
        assert made.file_id is not None
        return made.file_id, import_out(session, made)

    file_id, answer = work_of(actor, ask)
    files.put(file_id, raw)
    return answer


@routes.get("", allow=member, answers={200: ListingImportPage})
def list_listing_imports(session: Session, actor: Actor, query: ImportsQuery) -> ListingImportPage:
    """The cooperative's uploads, newest first."""
    question = f"listing imports {actor.organisation_id.hex}"
    after = cursors.decode_id(question, query.cursor) if query.cursor else None
    wanted = uploading.visible_to(actor).order_by(ListingImport.id.desc()).limit(query.limit + 1)
    if after:
        wanted = wanted.where(ListingImport.id < after)
    page, following = cursors.cut(question, session.scalars(wanted).all(), query.limit, lambda made: made.id)
    return ListingImportPage(items=[import_out(session, made) for made in page], next=following)


@routes.get("/<listing_import_id>", allow=member, answers={200: ListingImportOut}, refusals=(NotFound,))
def read_listing_import(session: Session, actor: Actor, listing_import_id: ListingImportId) -> ListingImportOut:
    """An upload: how far it is, what it would do or did."""
    return import_out(session, uploading.own(session, actor, listing_import_id))


@routes.get("/<listing_import_id>/rows", allow=member, answers={200: ImportRowPage}, refusals=(NotFound,))
def list_import_rows(
    session: Session, actor: Actor, listing_import_id: ListingImportId, query: RowsQuery
) -> ImportRowPage:
    """The rows of an upload, each with what it changes, before and after, or with everything that is wrong with it."""
    made = uploading.own(session, actor, listing_import_id)
    question = f"listing import rows {made.id.hex} {query.kind or ''}"
    after = cursors.decode(question, query.cursor, (int,))[0] if query.cursor else 0
    found = sheets.rows(session, made, kind=query.kind, after=after, limit=query.limit + 1)
    page = found[: query.limit]
    following = cursors.encode(question, [page[-1].number]) if len(found) > query.limit else None
    return ImportRowPage(items=[row_out(row) for row in page], next=following)


@routes.post(
    "/<listing_import_id>/confirm",
    allow=lister,
    answers={202: ListingImportOut},
    refusals=(NotFound, uploading.ImportNotTried, ImportHasErrors),
)
def confirm_listing_import(
    session: Session, actor: Actor, now: datetime, listing_import_id: ListingImportId, body: ConfirmImport
) -> ListingImportOut:
    """Have a job do what the trial said: all rows, or those without errors. Rows whose listing changed since are not
    done and stand among the failed rows."""
    return import_out(
        session, uploading.confirm(session, by=actor, import_id=listing_import_id, mode=body.mode, now=now)
    )


@routes.get("/<listing_import_id>/failed-rows", allow=member, answers={200: FILE}, refusals=(NotFound,))
def read_failed_listings(session: Session, actor: Actor, listing_import_id: ListingImportId, query: FormatQuery) -> Raw:
    """The rows with errors as they were uploaded (the first 10,000), with a column that says what is wrong."""
    return file_of("failed-rows", query, *sheets.failed(session, uploading.own(session, actor, listing_import_id)))
