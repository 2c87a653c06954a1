"""Files of listings that were uploaded, their rows, and how each cooperative names its columns."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column


class IntakeStatus(StrEnum):
    READING = "reading"
    TRIED = "tried"
    APPLYING = "applying"
    APPLIED = "applied"
    FAILED = "failed"


class RowKind(StrEnum):
    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    ERROR = "error"


class ListingImport(Model):
    """One upload: what it is called, how its columns are read, what its rows would do, and how far that is done.

    `mapping` is the header as it was read: column name by title. `applied_to` is the product code up to which its rows
    are applied, in the order of codes; what stands behind it is still to do.
    """

    __tablename__ = "listing_import"
    __table_args__ = (
        CheckConstraint("status IN ('reading', 'tried', 'applying', 'applied', 'failed')", name="status"),
        CheckConstraint("mode IN ('all', 'valid_rows')", name="mode"),
        Index("ix_listing_import_organisation", "organisation_id", "id"),
        Index("ix_listing_import_recorded_at", "recorded_at"),
    )

    id: Mapped[UUID] = id_column()
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    user_id: Mapped[UUID]
    name: Mapped[str]
    file_id: Mapped[UUID | None] = mapped_column(ForeignKey("stored_file.id", ondelete="SET NULL"), index=True)
    job_id: Mapped[UUID | None]
    status: Mapped[str] = mapped_column(default=IntakeStatus.READING)
    mode: Mapped[str | None]
    header: Mapped[list[Any]] = mapped_column(default=list)
    mapping: Mapped[dict[str, Any]] = mapped_column(default=dict)
    errors: Mapped[list[Any]] = mapped_column(default=list)
    rows: Mapped[int] = mapped_column(default=0)
    added: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    unchanged: Mapped[int] = mapped_column(default=0)
    wrong: Mapped[int] = mapped_column(default=0)
    to_review: Mapped[int] = mapped_column(default=0)
    applied: Mapped[int] = mapped_column(default=0)
    refused: Mapped[int] = mapped_column(default=0)
    applied_to: Mapped[str] = mapped_column(default="")
    made_at: Mapped[datetime]
    tried_at: Mapped[datetime | None]
    applied_at: Mapped[datetime | None]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class ListingImportRow(Model):
    """One row of a file: what it would do to which listing at which revision, or what is wrong with it.

    `cells` are the cells as they were uploaded, for whoever corrects them; `wanted` is what the product and listing
    would be, `changes` the fields that differ, before and after (None for a product that is new itself). A new listing
    has its id from the beginning. `reviewed`: a reviewer looks at it first.
    """

    __tablename__ = "listing_import_row"
    __table_args__ = (
        CheckConstraint("kind IN ('new', 'changed', 'unchanged', 'error')", name="kind"),
        Index("ix_listing_import_row_code", "import_id", "code", "number"),
    )

    import_id: Mapped[UUID] = mapped_column(ForeignKey("listing_import.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    code: Mapped[str]
    pack_name: Mapped[str]
    listing_id: Mapped[UUID | None]
    revision: Mapped[int | None]
    reviewed: Mapped[bool]
    wanted: Mapped[dict[str, Any] | None]
    changes: Mapped[dict[str, Any] | None]
    errors: Mapped[list[Any] | None]
    cells: Mapped[list[Any]]


class ListingColumns(Model):
    """How a cooperative names its columns: column name by title; an empty name means that the column is left out."""

    __tablename__ = "listing_columns"

    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"), primary_key=True)
    mapping: Mapped[dict[str, Any]]
    changed_at: Mapped[datetime]
    changed_by: Mapped[UUID]
