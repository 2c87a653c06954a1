"""Notices."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column


class Notice(Model):
    """One thing told to one organisation; `source_id` is the event it tells of, so that nothing is told twice.

    `subject` is the public id of what it is about, as that organisation reads it. `at` is business time.
    """

    __tablename__ = "notice"
    __table_args__ = (
        UniqueConstraint("organisation_id", "source_id"),
        Index("ix_notice_organisation", "organisation_id", "id"),
    )

    id: Mapped[UUID] = id_column()
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    source_id: Mapped[UUID]
    kind: Mapped[str]
    subject: Mapped[str]
    text: Mapped[str]
    text_en: Mapped[str]
    at: Mapped[datetime]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp(), index=True)
    read_at: Mapped[datetime | None]
