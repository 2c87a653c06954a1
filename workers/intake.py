"""Listings by spreadsheet: the trial of an upload, and doing what it said."""

import tempfile
from contextlib import AbstractContextManager
from datetime import datetime
from itertools import islice
from typing import IO, Protocol
from uuid import UUID

from sqlalchemy.orm import Session

from shop.actor import NOBODY, Actor, Audience, Role
from shop.catalogue.intake import applying, trying
from shop.catalogue.intake.models import ListingImport
from shop.errors import Busy, NotFound, Refusal
from shop.files import service as files
from shop.jobs.models import Job
from shop.sheets import reader


class Steps(Protocol):
    """The steps of a job."""

    def step(self, progress: int) -> AbstractContextManager[Session]: ...


def try_listings(job: Job, at: datetime, report: Steps) -> None:
    """Read an upload row by row and keep what each would do, in batches; a file that cannot be read ends the job."""
    import_id = UUID(hex=job.asked["import_id"])
    with report.step(0) as session:
        file_id = trying.begin(session, import_id).file_id
    try:
        with tempfile.TemporaryFile() as file:
            fetch(file_id, file)
            sheet = reader.stream(file)
            with report.step(1) as session:
                trial = trying.Trial(session, session.get_one(ListingImport, import_id), sheet, at)
            while rows := list(islice(sheet.rows, trying.BATCH)):
                with report.step(1 + int(90 * sheet.done())) as session:
                    trial.stage(session, rows)
        with report.step(95) as session:
            trying.finish(session, trial, at)
    except Busy:
        raise
    except Refusal as error:
        with report.step(95) as session:
            trying.fail(session, import_id, error)
        raise


def fetch(file_id: UUID | None, into: IO[bytes]) -> None:
    """The bytes of an upload; Busy, which is tried again, while they are on their way from the request."""
    try:
        files.fetch(file_id or NOBODY, into)
    except NotFound as error:
        raise Busy("The file did not arrive; please upload it again.") from error


def apply_listings(job: Job, at: datetime, report: Steps) -> None:
    """Apply the rows of an upload batch by batch; another worker that takes over goes on where this one ended."""
    asked = {name: UUID(hex=value) for name, value in job.asked.items() if value}
    by = Actor(
        job.user_id, NOBODY, job.organisation_id, Audience.COOPERATIVE, frozenset({Role.LISTER}),
        mandate_id=asked.get("mandate_id"), home_id=asked.get("home_id"),
    )  # fmt: skip
    more, done = True, 0.0
    while more:
        with report.step(int(99 * done)) as session:
            more, done = applying.apply_batch(session, import_id=asked["import_id"], by=by, now=at)
