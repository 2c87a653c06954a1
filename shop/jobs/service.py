"""Ask for long work, follow it, cancel it; and what the worker says of it."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.errors import NotFound, Refusal
from shop.files import service as files
from shop.jobs.models import ALIVE, Job, JobStatus
from shop.outbox import service as outbox

RESULT_KEPT = timedelta(days=7)
"""How long a result can be fetched; the job itself is remembered longer."""


class JobEnded(Refusal):
    code, status = "job_ended", 409
    title, title_zh = "This job has ended already.", "该任务已结束。"


def start(session: Session, *, actor: Actor, kind: str, asked: dict[str, Any], now: datetime) -> Job:
    """Record the job and announce it; a worker takes it after the commit. `asked` holds plain JSON, ids in hex."""
    job = Job(organisation_id=actor.organisation_id, user_id=actor.user_id, kind=kind, asked=asked)
    session.add(job)
    session.flush()
    outbox.announce(session, "job.requested", now=now, job_id=job.id)
    return job


def find(session: Session, actor: Actor, job_id: UUID) -> Job:
    """A job of the actor's organisation, or NotFound."""
    job = session.scalars(select(Job).where(Job.id == job_id, Job.organisation_id == actor.organisation_id)).first()
    if job is None:
        raise NotFound
    return job


def change(session: Session, job_id: UUID, *, to: JobStatus, **values: Any) -> bool:
    """Give a living job its next state; False when it has ended meanwhile (cancelled, or done by another worker)."""
    if to not in ALIVE:
        values |= {"ended_at": func.clock_timestamp()}
    changed = session.execute(
        update(Job)
        .where(Job.id == job_id, Job.status.in_(ALIVE))
        .values(status=to, **values)
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    ).first()
    return changed is not None


def complete(session: Session, job: Job, *, file_id: UUID, name: str, media_type: str, data: bytes) -> bool:
    """Register the file that was put as the job's result and end the job; False, and nothing kept, if it has ended."""
    if not change(session, job.id, to=JobStatus.DONE, progress=100):
        return False
    files.register(
        session,
        file_id=file_id,
        organisation_id=job.organisation_id,
        name=name,
        media_type=media_type,
        data=data,
        kept_for=RESULT_KEPT,
    )
    session.execute(
        update(Job).where(Job.id == job.id).values(file_id=file_id).execution_options(synchronize_session=False)
    )
    return True


def cancel(session: Session, *, actor: Actor, job_id: UUID) -> Job:
    """Cancel a job; what it has made so far is dropped. JobEnded when there is nothing left to cancel."""
    job = find(session, actor, job_id)
    if not change(session, job.id, to=JobStatus.CANCELLED):
        raise JobEnded
    session.refresh(job)
    return job
