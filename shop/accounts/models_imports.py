"""Spreadsheets that were uploaded, tried and, once, applied."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, func
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column


class ImportKind(StrEnum):
    MEMBERS, UNITS, ADDRESSES, FILINGS = "members", "budget-units", "addresses", "quota-filings"


class BulkImport(Model):
    """One upload: the file as it came, what the dry run said it would do, and whether that was done.

    `effect_hash` stands for everything the dry run would change; confirming does that or nothing. The file may hold
    personal fields, so the row is dropped after a written period.
    """

    __tablename__ = "bulk_import"
    __table_args__ = (
        CheckConstraint("kind IN ('members', 'budget-units', 'addresses', 'quota-filings')", name="kind"),
        CheckConstraint("status IN ('tried', 'applied')", name="status"),
        CheckConstraint("mode IN ('all', 'valid_rows')", name="mode"),
        Index("ix_bulk_import_recorded_at", "recorded_at"),
    )

    id: Mapped[UUID] = id_column()
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"), index=True)
    kind: Mapped[str]
    data: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    status: Mapped[str]
    mode: Mapped[str | None]
    effect_hash: Mapped[bytes] = mapped_column(LargeBinary)
    outcome: Mapped[dict[str, Any]]
    made_by: Mapped[UUID]
    made_at: Mapped[datetime]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    applied_at: Mapped[datetime | None]
