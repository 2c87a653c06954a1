"""Follow and cancel jobs."""

from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.http.routes import ANY_MEMBER, Routes
from shop.ids import JobId
from shop.jobs import service
from shop.jobs.schemas import JobOut, job_out

routes = Routes("/v1", tag="Jobs")


@routes.get("/jobs/<job_id>", allow=ANY_MEMBER, answers={200: JobOut})
def read_job(session: Session, actor: Actor, job_id: JobId) -> JobOut:
    """How far a job is, and the link to its result."""
    return job_out(session, service.find(session, actor, job_id))


@routes.post("/jobs/<job_id>/cancel", allow=ANY_MEMBER, answers={200: JobOut}, refusals=(service.JobEnded,))
def cancel_job(session: Session, actor: Actor, job_id: JobId) -> JobOut:
    """Cancel a job that is waiting or running; it leaves no result."""
    return job_out(session, service.cancel(session, actor=actor, job_id=job_id))
