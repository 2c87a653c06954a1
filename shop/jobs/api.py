"""Follow and cancel jobs."""

from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.files import service as files
from shop.files.models import StoredFile
from shop.http.routes import ANY_MEMBER, Out, Routes
from shop.ids import JobId
from shop.jobs import service
from shop.jobs.models import Job, JobStatus

routes = Routes("/v1", tag="Jobs")


class JobOut(Out):
    """A job as it stands; `result` is a link that holds for a day, made anew at every reading."""

    id: JobId
    kind: str
    status: JobStatus
    progress: int
    result: str | None
    error: str | None


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


@routes.get("/jobs/<job_id>", allow=ANY_MEMBER, answers={200: JobOut})
def read_job(session: Session, actor: Actor, job_id: JobId) -> JobOut:
    """How far a job is, and the link to its result."""
    return job_out(session, service.find(session, actor, job_id))


@routes.post("/jobs/<job_id>/cancel", allow=ANY_MEMBER, answers={200: JobOut}, refusals=(service.JobEnded,))
def cancel_job(session: Session, actor: Actor, job_id: JobId) -> JobOut:
    """Cancel a job that is waiting or running."""
    return job_out(session, service.cancel(session, actor=actor, job_id=job_id))
