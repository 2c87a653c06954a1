"""Members, units, addresses and quota filings by spreadsheet, for managers of buying organisations."""

from datetime import datetime

from sqlalchemy.orm import Session

from shop.accounts.api_units import manager
from shop.accounts.models_imports import BulkImport, ImportKind
from shop.accounts.models_units import OrganisationNotActive
from shop.accounts.schemas_imports import ConfirmImport, ImportOut
from shop.accounts.service import importing
from shop.accounts.service.importing import ImportChanged, ImportHasErrors, TooManyRows
from shop.actor import Actor
from shop.errors import NotFound
from shop.http.routes import NO_KEY, Raw, Routes
from shop.ids import ImportId
from shop.sheets.answers import FILE, FormatQuery, file_of
from shop.sheets.text import SheetError

routes = Routes("/v1/buyer/imports", tag="Institution")
ERRORS_SHOWN = 1_000


def import_out(made: BulkImport) -> ImportOut:
    outcome = made.outcome | {"errors": made.outcome["errors"][:ERRORS_SHOWN]}
    return ImportOut(id=made.id, kind=made.kind, status=made.status, mode=made.mode, **outcome)


@routes.get("/templates/<kind>", allow=manager, answers={200: FILE})
def read_import_template(kind: ImportKind, query: FormatQuery) -> Raw:
    """An empty sheet with the titles of a kind."""
    return file_of(f"template-{kind}", query, importing.template(kind), [])


@routes.post(
    "/<kind>",
    allow=manager,
    answers={201: ImportOut},
    refusals=(SheetError, TooManyRows, OrganisationNotActive),
    raw_body=True,
    key=NO_KEY,
)
def upload_import(session: Session, actor: Actor, now: datetime, kind: ImportKind, raw: bytes) -> ImportOut:
    """Upload a csv or xlsx file as it is; the answer says what it would do and every error, and nothing is done yet."""
    return import_out(importing.upload(session, by=actor, kind=kind, data=raw, now=now))


@routes.get("/<import_id>/outcome", allow=manager, answers={200: ImportOut}, refusals=(NotFound,))
def read_import(session: Session, actor: Actor, import_id: ImportId) -> ImportOut:
    """An upload, with what it would do or did."""
    return import_out(importing.own(session, actor, import_id))


@routes.post(
    "/<import_id>/confirm",
    allow=manager,
    answers={200: ImportOut},
    refusals=(NotFound, OrganisationNotActive, ImportChanged, ImportHasErrors, TooManyRows),
    key=NO_KEY,
)
def confirm_import(
    session: Session, actor: Actor, now: datetime, import_id: ImportId, body: ConfirmImport
) -> ImportOut:
    """Do exactly what the upload said it would, once; refused when that has changed meanwhile."""
    return import_out(importing.confirm(session, by=actor, import_id=import_id, mode=body.mode, now=now))


@routes.get("/<import_id>/failed-rows", allow=manager, answers={200: FILE}, refusals=(NotFound,))
def read_failed_rows(session: Session, actor: Actor, import_id: ImportId, query: FormatQuery) -> Raw:
    """The rows with errors as they were uploaded, with a column that says what is wrong."""
    made = importing.own(session, actor, import_id)
    return file_of("failed-rows", query, *importing.failed_rows(made))
