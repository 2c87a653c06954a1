"""Who may inspect for a unit, inspections that wait for a second signature, drafts, and photos of what arrived."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column
from shop.errors import Refusal
from shop.files.models import StoredFile


class InspectorOrdered(Refusal):
    """The unit does not let whoever ordered inspect what arrives."""

    code, status = "inspector_ordered", 409
    title, title_zh = "Whoever ordered does not inspect for this unit.", "该单位规定下单人不得验收。"


class SignatureWaits(Refusal):
    """An inspection of this delivery waits for its second signature already; `signing_id` names it."""

    code, status = "signature_waits", 409
    title, title_zh = "This inspection waits for its second signature.", "验收记录正等待第二人签字。"


class NoSignatureWaits(Refusal):
    """Nothing waits for a second signature, or its hours are over: inspect anew."""

    code, status = "no_signature_waits", 409
    title, title_zh = "Nothing waits for a second signature here.", "没有等待第二人签字的验收记录。"


class SameSigner(Refusal):
    """The second signature is another person's."""

    code, status = "same_signer", 409
    title, title_zh = "The second signature is another person's.", "第二签字人须为另一人。"


class InspectionSetting(Model):
    """How a budget unit has deliveries inspected; for a unit without one, one person does, whoever it is."""

    __tablename__ = "inspection_setting"

    budget_unit_id: Mapped[UUID] = mapped_column(ForeignKey("budget_unit.id"), primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"), index=True)
    two_signatures: Mapped[bool]
    not_by_requester: Mapped[bool]


class SigningStatus(StrEnum):
    WAITING = "waiting"
    SIGNED = "signed"
    RETURNED = "returned"
    LAPSED = "lapsed"


class InspectionSigning(Model):
    """An inspection with its first signature; `content` is what was found, which the second signature records.

    Until then nothing is accepted. `lapses_at` by the rule of the day of the first signature.
    """

    __tablename__ = "inspection_signing"
    __table_args__ = (
        CheckConstraint("status IN ('waiting', 'signed', 'returned', 'lapsed')", name="status"),
        CheckConstraint("(status = 'waiting') = (ended_at IS NULL)", name="ended"),
        CheckConstraint("second_user_id <> first_user_id", name="two_people"),
        Index(
            "ix_inspection_signing_waiting",
            "supplier_order_id",
            unique=True,
            postgresql_where=text("status = 'waiting'"),
        ),
        Index("ix_inspection_signing_order", "supplier_order_id", "id"),
        Index("ix_inspection_signing_lapse", "lapses_at", postgresql_where=text("status = 'waiting'")),
    )

    id: Mapped[UUID] = id_column()
    supplier_order_id: Mapped[UUID] = mapped_column(ForeignKey("supplier_order.id"))
    client_id: Mapped[UUID | None]
    content: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(default=SigningStatus.WAITING)
    first_user_id: Mapped[UUID]
    signed_at: Mapped[datetime]
    lapses_at: Mapped[datetime | None]
    second_user_id: Mapped[UUID | None]
    reason: Mapped[str | None]
    ended_at: Mapped[datetime | None]


class InspectionDraft(Model):
    """What a device has written of an inspection so far, under the id that it made; the highest version stays."""

    __tablename__ = "inspection_draft"
    __table_args__ = (
        Index("ix_inspection_draft_order", "supplier_order_id", "id"),
        Index("ix_inspection_draft_recorded_at", "recorded_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    supplier_order_id: Mapped[UUID] = mapped_column(ForeignKey("supplier_order.id"), primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    version: Mapped[int]
    content: Mapped[dict[str, Any]]
    saved_by: Mapped[UUID]
    saved_at: Mapped[datetime]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class PhotoState(StrEnum):
    WAITING = "waiting"
    READY = "ready"
    REFUSED = "refused"


class OrderPhoto(Model):
    """A photo of what arrived, by one side of a supplier order.

    `file_id` is the upload while it waits, then the photo as it was made anew here: pixels alone.
    """

    __tablename__ = "order_photo"
    __table_args__ = (
        CheckConstraint("status IN ('waiting', 'ready', 'refused')", name="status"),
        CheckConstraint("(status = 'refused') = (file_id IS NULL)", name="file"),
        UniqueConstraint("supplier_order_id", "organisation_id", "sha256"),
    )

    id: Mapped[UUID] = id_column()
    supplier_order_id: Mapped[UUID] = mapped_column(ForeignKey("supplier_order.id"))
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    status: Mapped[str] = mapped_column(default=PhotoState.WAITING)
    file_id: Mapped[UUID | None] = mapped_column(ForeignKey(StoredFile.id))
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    uploaded_by: Mapped[UUID]
    uploaded_at: Mapped[datetime]
