"""The mandates by which auditors read."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Text
from sqlalchemy.dialects.postgresql import DATERANGE, Range
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column


class AuditMandate(Model):
    """What an auditor may read, by which document and from which day to which; no regions: everything.

    The role of auditor is worth nothing on a day without one: `find_actor` asks for it at every request.
    """

    __tablename__ = "audit_mandate"
    __table_args__ = (CheckConstraint("NOT isempty(valid) AND NOT upper_inf(valid)", name="ends"),)

    id: Mapped[UUID] = id_column()
    membership_id: Mapped[UUID] = mapped_column(ForeignKey("membership.id"), index=True)
    regions: Mapped[list[str]] = mapped_column(ARRAY(Text))
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)
    document: Mapped[str]
    granted_by: Mapped[UUID]
    granted_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
