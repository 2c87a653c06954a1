"""The audit trail, and what was acknowledged of it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column


class AuditEntry(Model):
    """One act: who, for which organisation, did what to which row, when, why, from which address, in which request.

    `home_organisation_id` and `mandate_id` are of the helper who did it for the organisation. `change` holds ids, codes
    and amounts, before and after; never a name, a phone number or another personal field.
    """

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index("ix_audit_entry_subject", "subject_kind", "subject_id", "id"),
        Index("ix_audit_entry_organisation", "organisation_id", "id"),
        Index("ix_audit_entry_user", "user_id", "id"),
    )

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
    address: Mapped[str | None]
    request_id: Mapped[str | None]


class AuditAcknowledgement(Model):
    """An admin has looked at an entry; append-only, once an entry."""

    __tablename__ = "audit_acknowledgement"

    entry_id: Mapped[UUID] = mapped_column(ForeignKey("audit_entry.id"), primary_key=True)
    by_user_id: Mapped[UUID]
    note: Mapped[str]
    at: Mapped[datetime]
