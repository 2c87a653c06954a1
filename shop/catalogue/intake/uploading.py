"""Take a file in and have it tried; confirm what the trial said; keep how a cooperative names its columns."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from shop.accounts.service.importing import ImportHasErrors
from shop.actor import Actor
from shop.audit import service as audit
from shop.catalogue.intake.columns import BY_NAME
from shop.catalogue.intake.models import IntakeStatus, ListingColumns, ListingImport
from shop.errors import Invalid, NotFound, Refusal
from shop.files import service as files
from shop.ids import new_id
from shop.jobs import service as jobs
from shop.jobs.models import ALIVE, Job
from shop.sheets.text import folded

KEPT = timedelta(days=30)
"""How long an upload is kept, as other uploads are: the file, its rows and what became of them."""
TRY, APPLY = "try_listings", "apply_listings"
MOST_TITLES = 256


class ImportNotTried(Refusal):
    """The trial is still under way, was cancelled, or could not read the file; `import_status` says which."""

    code, status = "import_not_tried", 409
    title, title_zh = "This file has no finished trial to confirm.", "该文件尚无完成的试算结果，不能确认。"


def ask(session: Session, *, by: Actor, name: str, data: bytes, now: datetime) -> ListingImport:
    """Note an upload and ask for its trial; its bytes are put into the store as `file_id` after the commit.

    A trial whose file has not arrived waits for it a little, so that whatever breaks between leaves nothing behind.
    """
    if not data:
        raise Invalid("The file is empty.", pointer="")
    file_id = new_id()
    files.register(
        session, file_id=file_id, organisation_id=by.organisation_id, name=name,
        media_type="application/octet-stream", data=data, kept_for=KEPT,
    )  # fmt: skip
    made = ListingImport(
        organisation_id=by.organisation_id, user_id=by.user_id, name=name, file_id=file_id, made_at=now
    )
    session.add(made)
    session.flush()
    made.job_id = job_of(session, by, made, TRY, now)
    session.flush()
    audit.record(session, by=by, action="upload", kind="listing_import", subject=made.id, now=now)
    return made


def job_of(session: Session, by: Actor, made: ListingImport, kind: str, now: datetime) -> UUID:
    asked = {
        "import_id": made.id.hex,
        "mandate_id": by.mandate_id.hex if by.mandate_id else None,
        "home_id": by.home_id.hex if by.home_id else None,
    }
    return jobs.start(session, actor=by, kind=kind, asked=asked, now=now).id


def visible_to(actor: Actor) -> Select[ListingImport]:
    """The uploads of the actor's organisation."""
    return select(ListingImport).where(ListingImport.organisation_id == actor.organisation_id)


def own(session: Session, by: Actor, import_id: UUID, *, hold: bool = False) -> ListingImport:
    """An upload of the actor's organisation, or NotFound."""
    wanted = visible_to(by).where(ListingImport.id == import_id)
    found = session.scalars(wanted.with_for_update() if hold else wanted).first()
    if found is None:
        raise NotFound("No such upload of yours.")
    return found


def confirm(session: Session, *, by: Actor, import_id: UUID, mode: str, now: datetime) -> ListingImport:
    """Have a job do what the trial said; confirming again gives the same job, or another where that has ended early.

    With errors in the file only `valid_rows` can be confirmed, and a header that is wrong not at all.
    """
    made = own(session, by, import_id, hold=True)
    if made.status == IntakeStatus.APPLIED:
        return made
    if made.status == IntakeStatus.APPLYING:
        job = session.get(Job, made.job_id)
        if job is not None and job.status in ALIVE:
            return made
    elif made.status != IntakeStatus.TRIED:
        raise ImportNotTried(import_status=made.status)
    elif made.errors or (made.wrong and mode == "all"):
        raise ImportHasErrors(error_count=made.wrong + len(made.errors))
    else:
        made.mode = mode
        # What was confirmed once is how this cooperative names its columns.
        known = remembered(session, by)
        if len(known | made.mapping) <= MOST_TITLES:
            keep(session, by=by, mapping=made.mapping | known, now=now)
    made.status = IntakeStatus.APPLYING
    made.job_id = job_of(session, by, made, APPLY, now)
    session.flush()
    audit.record(session, by=by, action="confirm", kind="listing_import", subject=made.id, now=now, mode=made.mode)
    return made


def remembered(session: Session, by: Actor) -> dict[str, str]:
    """How the cooperative names its columns: column name by title."""
    found = session.get(ListingColumns, by.organisation_id)
    return dict(found.mapping) if found is not None else {}


def remember(session: Session, *, by: Actor, mapping: Mapping[str, str], now: datetime) -> dict[str, str]:
    """Read columns of these titles as these columns from now on; an empty name leaves a column out."""
    for title, name in mapping.items():
        if name and name not in BY_NAME:
            raise Invalid(f"There is no column {name[:50]!r}.", pointer="/columns")
        if not folded(title):
            raise Invalid("A title is empty.", pointer="/columns")
    keep(session, by=by, mapping=mapping, now=now)
    audit.record(session, by=by, action="change", kind="listing_columns", subject=by.organisation_id, now=now)
    return dict(mapping)


def keep(session: Session, *, by: Actor, mapping: Mapping[str, str], now: datetime) -> None:
    kept = {"mapping": dict(mapping), "changed_at": now, "changed_by": by.user_id}
    session.execute(
        upsert(ListingColumns)
        .values(organisation_id=by.organisation_id, **kept)
        .on_conflict_do_update(index_elements=["organisation_id"], set_=kept)
    )
