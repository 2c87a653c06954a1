"""Notices."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column


class Notice(Model):
    """One thing told to one organisation; `source_id` is the event it tells of, so that nothing is told twice."""

    __tablename__ = "notice"
    __table_args__ = (
        UniqueConstraint("organisation_id", "source_id"),
        Index("ix_notice_organisation", "organisation_id", "id"),
    )

    id: Mapped[UUID] = id_column()
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    source_id: Mapped[UUID]
    kind: Mapped[str]
    subject_id: Mapped[UUID]
    text: Mapped[str]
    text_en: Mapped[str]
    at: Mapped[datetime]
    read_at: Mapped[datetime | None]
