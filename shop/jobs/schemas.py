"""Jobs as JSON."""

from sqlalchemy.orm import Session

from shop.files import service as files
from shop.files.models import StoredFile
from shop.http.routes import Out
from shop.ids import JobId
from shop.jobs.models import Job, JobStatus


class JobOut(Out):
    """A job as it stands.

    `progress` is in percent. `result` is a link that holds for a day and is made anew at every reading; the file itself
    is kept for seven days. `error` says why a job failed.
    """

    id: JobId
    kind: str
    status: JobStatus
    progress: int
    result: str | None
    error: str | None


class JobAsked(Out):
    """The answer (202) to whatever is done by a job: follow it at `/v1/jobs/<id>`."""

    job: JobOut


def job_out(session: Session, job: Job) -> JobOut:
    file = session.get(StoredFile, job.file_id) if job.file_id else None
    return JobOut(
        id=job.id,
        kind=job.kind,
        status=JobStatus(job.status),
        progress=job.progress,
        result=files.link(file) if file else None,
        error=job.error,
    )
