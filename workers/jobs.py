"""Long work: one function per kind of job, run under the claim of its event.

A function opens its own units of work, says how far it is and gives back the finished file, if it makes one. It sees
every row, so it asks again for what the job's organisation may see.
"""

import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.catalogue.intake import uploading
from shop.db import unit_of_work
from shop.documents import rendering
from shop.errors import Busy, NotFound, Refusal
from shop.files import service as files
from shop.jobs import service as jobs
from shop.jobs.models import ALIVE, Job, JobStatus
from shop.orders import queries_inspection_book
from shop.orders.models import Order
from shop.orders.queries_documents import order_paper
from shop.outbox import service as outbox
from shop.sheets.writer import xlsx_into
from workers import intake

log = structlog.get_logger()
LEASE = timedelta(seconds=60)  # more than any step between two reports takes
ATTEMPTS = 3


@dataclass(frozen=True)
class Made:
    """A finished file."""

    name: str
    media_type: str
    data: bytes


class Ended(Exception):
    """The job was cancelled, or ended by another worker: what was made of it is dropped."""


class Report:
    """What a job says of itself while it runs; Ended when there is no need to go on."""

    def __init__(self, taken: outbox.Claim, job_id: UUID) -> None:
        self.taken, self.job_id = taken, job_id

    def __call__(self, progress: int) -> None:
        """The job is so far, in percent."""
        with self.step(progress):
            pass

    @contextmanager
    def step(self, progress: int) -> Iterator[Session]:
        """A unit of work of the job, kept only while the job is this claim's and alive; begun at so many percent."""
        with outbox.working(self.taken) as session:
            outbox.renew(session, self.taken, lease=LEASE)
            if not jobs.change(session, self.job_id, to=JobStatus.RUNNING, progress=progress):
                raise Ended
            yield session


def order_confirmation(job: Job, at: datetime, report: Report) -> Made:
    """采购订单 as PDF."""
    order_id = UUID(hex=job.asked["order_id"])
    with unit_of_work() as session:
        mine = session.scalar(select(Order.number).where(Order.id == order_id, Order.buyer_id == job.organisation_id))
        if mine is None:
            raise NotFound
        data = order_paper(session, order_id)
    report(20)
    pdf = rendering.render(rendering.Template.ORDER, data, at=at)
    return Made(f"采购订单-{data['number']}.pdf", rendering.PDF_TYPE, pdf)


def inspection_book(job: Job, _at: datetime, report: Report) -> Made:
    """进货查验台账: a sheet of what was sent to the buyer, and every paper of its lots, in one zip."""
    first, end = (date.fromisoformat(job.asked[name]) for name in ("first", "end"))
    with unit_of_work() as session:
        rows = queries_inspection_book.rows(session, job.organisation_id, first, end)
        papers = queries_inspection_book.papers(session, sorted({row.lot_id for row in rows}))
    report(10)
    files_named = [paper for found in papers.values() for paper in found]
    with tempfile.TemporaryFile() as target:
        with zipfile.ZipFile(target, "w") as book:
            with tempfile.TemporaryFile() as sheet:
                xlsx_into(
                    sheet, queries_inspection_book.COLUMNS, queries_inspection_book.sheet(rows, papers), sheet="台账"
                )
                sheet.seek(0)
                book.writestr("进货查验台账.xlsx", sheet.read(), zipfile.ZIP_DEFLATED)
            for place, (name, file_id) in enumerate(files_named):
                if place % 20 == 0:
                    report(10 + 80 * place // len(files_named))
                with book.open(name, "w") as into:  # as it is: scans and photos do not get smaller
                    files.fetch(file_id, into)
        target.seek(0)
        data = target.read()
    return Made(f"进货查验台账-{first}-{end}.zip", "application/zip", data)


KINDS: dict[str, Callable[[Job, datetime, Report], Made | None]] = {
    "order_confirmation": order_confirmation,
    uploading.TRY: intake.try_listings,
    uploading.APPLY: intake.apply_listings,
    "inspection_book": inspection_book,
}
"""What each kind of job does; one that makes no file has done all of its work in its steps."""


def run(taken: outbox.Claim, *, job_id: UUID, **_newer: Any) -> None:
    """Do a job: begin it, make its file, put the file, then result, end and mark in one commit.

    A job that is refused fails at once, one that breaks fails after three attempts; neither leaves a file.
    """
    with outbox.working(taken) as session:
        job = begin(session, taken, job_id)
    if job is None:
        drop_leftovers(taken, job_id)
        return
    file_id, report = file_of(job_id, taken.token), Report(taken, job_id)
    try:
        made = KINDS[job.kind](job, taken.at, report)
        if made is None:
            with outbox.working(taken) as session:
                jobs.change(session, job_id, to=JobStatus.DONE, progress=100)
                outbox.finish(session, taken)
            return
        report(95)
        files.put(file_id, made.data)
        with outbox.working(taken) as session:
            jobs.complete(session, job, file_id=file_id, name=made.name, media_type=made.media_type, data=made.data)
            outbox.finish(session, taken)
        drop_leftovers(taken, job_id)
    except Ended:
        with outbox.working(taken) as session:
            outbox.finish(session, taken)
        drop_leftovers(taken, job_id)
    except outbox.Fenced:
        files.remove(file_id)
        raise
    except Exception as error:
        for_good = isinstance(error, Refusal | rendering.DocumentError) and not isinstance(error, Busy)
        if not for_good and taken.attempts < ATTEMPTS:
            raise
        log.error("job_failed", job=job_id.hex, kind=job.kind, exc_info=error)
        fail(taken, job_id, why(error))


run.calls_out = True  # type: ignore[attr-defined]
run.lease = LEASE  # type: ignore[attr-defined]
run.attempts = ATTEMPTS + 1  # type: ignore[attr-defined]  # one more, to record that the last ended without a word


def begin(session: Session, taken: outbox.Claim, job_id: UUID) -> Job | None:
    """The job, marked as running; None when there is nothing to do, with the delivery marked done."""
    job = session.get(Job, job_id)
    if job is None or job.status not in ALIVE:
        outbox.finish(session, taken)
        return None
    if taken.attempts > ATTEMPTS:
        jobs.change(session, job_id, to=JobStatus.FAILED, error="The work stopped its worker, again and again.")
        outbox.finish(session, taken)
        return None
    session.expunge(job)
    jobs.change(session, job_id, to=JobStatus.RUNNING, progress=0)
    return job


def fail(taken: outbox.Claim, job_id: UUID, error: str) -> None:
    with outbox.working(taken) as session:
        jobs.change(session, job_id, to=JobStatus.FAILED, error=error)
        outbox.finish(session, taken)
    drop_leftovers(taken, job_id)


def why(error: Exception) -> str:
    """What the asker is told: a refusal in its own words; of anything else only that it broke."""
    if isinstance(error, Refusal):
        return error.detail or error.title
    return "The work could not be finished; the operators can see why."


def file_of(job_id: UUID, token: int) -> UUID:
    """Each claim puts its file under an id of its own, so that a late worker cannot change a result."""
    return uuid5(job_id, str(token))


def drop_leftovers(taken: outbox.Claim, job_id: UUID) -> None:
    """Remove what this claim and earlier ones put and the job did not keep as its result."""
    with unit_of_work() as session:
        kept = session.scalar(select(Job.file_id).where(Job.id == job_id))
    for token in range(1, taken.token + 1):
        if file_of(job_id, token) == kept:
            continue
        try:
            files.remove(file_of(job_id, token))
        except Busy as error:
            log.warning("file_left_behind", job=job_id.hex, token=token, detail=error.detail)
