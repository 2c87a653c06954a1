"""Mandates: of an agent to sell for its principals, and of a helper to enter for a cooperative."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Text, func, text
from sqlalchemy.dialects.postgresql import DATERANGE, Range
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column
from shop.files.models import StoredFile


class AgentMandate(Model):
    """An agent's mandate to sell certain products of a principal, from a day to a day.

    The principal is an organisation here, which confirms it, or a producer without a code, whose paper is the file.
    `began_at` and `ended_at`: when it was told that its first day had come, or that its last one was over.
    """

    __tablename__ = "agent_mandate"
    __table_args__ = (
        CheckConstraint("(principal_id IS NULL) <> (principal_name IS NULL)", name="principal"),
        CheckConstraint("principal_id <> agent_id", name="another"),
        CheckConstraint("NOT isempty(valid) AND cardinality(products) > 0", name="says_something"),
        Index("ix_agent_mandate_agent", "agent_id", "id"),
        Index("ix_agent_mandate_principal", "principal_id", "id"),
        Index(
            "ix_agent_mandate_begin",
            func.lower(text("valid")),
            postgresql_where=text("began_at IS NULL AND revoked_at IS NULL"),
        ),
        Index(
            "ix_agent_mandate_end",
            func.upper(text("valid")),
            postgresql_where=text("ended_at IS NULL AND revoked_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = id_column()
    agent_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    principal_id: Mapped[UUID | None] = mapped_column(ForeignKey("organisation.id"))
    principal_name: Mapped[str | None]
    products: Mapped[list[str]] = mapped_column(ARRAY(Text))
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)
    file_id: Mapped[UUID] = mapped_column(ForeignKey(StoredFile.id))
    created_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    began_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class AssistMandate(Model):
    """A helper's mandate to enter for a cooperative, from a day to a day.

    Given by the cooperative's manager, or by its county where nobody there can log in, with the reason.
    """

    __tablename__ = "assist_mandate"
    __table_args__ = (
        CheckConstraint("given_by_organisation_id = cooperative_id OR reason IS NOT NULL", name="reason"),
        CheckConstraint("NOT isempty(valid)", name="valid"),
        Index("ix_assist_mandate_cooperative", "cooperative_id", "id"),
        Index("ix_assist_mandate_helper", "helper_user_id", "id"),
    )

    id: Mapped[UUID] = id_column()
    helper_user_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    helper_organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    cooperative_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)
    file_id: Mapped[UUID] = mapped_column(ForeignKey(StoredFile.id))
    given_by_user_id: Mapped[UUID]
    given_by_organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    reason: Mapped[str | None]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    revoked_by_user_id: Mapped[UUID | None]
