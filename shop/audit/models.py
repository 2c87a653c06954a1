"""The audit trail."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, func
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column


class AuditEntry(Model):
    """One act. `home_organisation_id` and `mandate_id`: of the helper who did it for the organisation."""

    __tablename__ = "audit_entry"
    __table_args__ = (Index("ix_audit_entry_subject", "subject_kind", "subject_id", "id"),)

    id: Mapped[UUID] = id_column()
    at: Mapped[datetime]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    organisation_id: Mapped[UUID]
    user_id: Mapped[UUID]
    action: Mapped[str]
    subject_kind: Mapped[str]
    subject_id: Mapped[UUID]
    reason: Mapped[str | None]
    home_organisation_id: Mapped[UUID | None]
    mandate_id: Mapped[UUID | None]
    change: Mapped[dict[str, Any]]
