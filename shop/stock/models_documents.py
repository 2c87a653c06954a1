"""The papers of lots: which are asked for, from when to when, and those that are there."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.dialects.postgresql import DATERANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column
from shop.files.models import StoredFile


class LotDocumentRule(Model):
    """A paper that lots of a category need from a day to a day; `blocking` where they are not packed without it."""

    __tablename__ = "lot_document_rule"
    __table_args__ = (
        ExcludeConstraint(
            ("category", "="), ("kind", "="), ("valid", "&&"), name="ex_lot_document_rule_one_at_a_time", using="gist"
        ),
    )

    id: Mapped[UUID] = id_column()
    category: Mapped[str]
    kind: Mapped[str]
    name: Mapped[str]
    name_en: Mapped[str]
    blocking: Mapped[bool]
    source: Mapped[str]
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)


class LotDocument(Model):
    """A paper of a lot as harvested, wherever it lies. `valid_until`: the first day on which it holds no more."""

    __tablename__ = "lot_document"
    __table_args__ = (
        CheckConstraint("number <> ''", name="number"),
        UniqueConstraint("lot_id", "kind", "file_id"),
    )

    id: Mapped[UUID] = id_column()
    lot_id: Mapped[UUID] = mapped_column(ForeignKey("lot.id"))
    cooperative_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    kind: Mapped[str]
    number: Mapped[str]
    file_id: Mapped[UUID] = mapped_column(ForeignKey(StoredFile.id))
    valid_until: Mapped[date | None]
    added_by: Mapped[UUID]
    added_at: Mapped[datetime]
