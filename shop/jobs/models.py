"""Jobs."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column


class JobStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ALIVE = (JobStatus.QUEUED, JobStatus.RUNNING)


class Job(Model):
    """One piece of long work for one organisation. `progress` is in percent; `asked` is what the kind of job needs."""

    __tablename__ = "job"
    __table_args__ = (
        CheckConstraint("status IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="status"),
        CheckConstraint("progress BETWEEN 0 AND 100", name="progress"),
        CheckConstraint("file_id IS NULL OR status = 'done'", name="result_of_done"),
        Index("ix_job_ended_at", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
        Index("ix_job_file_id", "file_id", postgresql_where=text("file_id IS NOT NULL")),
    )

    id: Mapped[UUID] = id_column()
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"), index=True)
    user_id: Mapped[UUID]
    kind: Mapped[str]
    asked: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(default=JobStatus.QUEUED)
    progress: Mapped[int] = mapped_column(default=0)
    file_id: Mapped[UUID | None] = mapped_column(ForeignKey("stored_file.id", ondelete="SET NULL"))
    error: Mapped[str | None]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    ended_at: Mapped[datetime | None]
