"""Claims against what was accepted, their evidence, the corrections that they lead to, and what is to be got back."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, UniqueConstraint, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column
from shop.errors import Invalid, Refusal
from shop.files.models import StoredFile


class ClaimKind(StrEnum):
    """A return gives the goods back; in a dispute they stay, and are said to be less than what was accepted."""

    RETURN = "return"
    DISPUTE = "dispute"


class ClaimStatus(StrEnum):
    OPEN = "open"
    CONTESTED = "contested"
    UNDEFENDED = "undefended"
    AGREED = "agreed"
    DECIDED = "decided"
    WITHDRAWN = "withdrawn"


NEXT = {  # the whole life of a claim: the cooperative may agree until the platform has decided, which it does once
    ClaimStatus.OPEN: {ClaimStatus.CONTESTED, ClaimStatus.UNDEFENDED, ClaimStatus.AGREED, ClaimStatus.WITHDRAWN},
    ClaimStatus.CONTESTED: {ClaimStatus.AGREED, ClaimStatus.DECIDED, ClaimStatus.WITHDRAWN},
    ClaimStatus.UNDEFENDED: {ClaimStatus.AGREED, ClaimStatus.DECIDED, ClaimStatus.WITHDRAWN},
    ClaimStatus.AGREED: set(),
    ClaimStatus.DECIDED: set(),
    ClaimStatus.WITHDRAWN: set(),
}
UNCLOSED = "status IN ('open', 'contested', 'undefended')"


class WrongClaimStatus(Refusal):
    """The claim cannot do that from where it stands; `is_now` says where that is."""

    code, status = "wrong_claim_status", 409
    title, title_zh = "This claim cannot do that now.", "该售后申请当前状态不允许此操作。"


class ClaimIsOpen(Refusal):
    """Another claim against this supplier order is not closed; `claim_id` names it."""

    code, status = "claim_open", 409
    title, title_zh = "A claim against this delivery is open already.", "该订单已有未结的售后申请。"


class ClaimTooLate(Refusal):
    """The time to claim against what was accepted is over; `ended_at` says since when."""

    code, status = "claim_too_late", 409
    title, title_zh = "The time to claim against this is over.", "已超过售后申请期限。"


class WrongClaim(Invalid):
    """It claims what was not accepted, or names what is not of this delivery; each fault names its place."""

    code, status = "wrong_claim", 422
    title, title_zh = "This is not what was accepted of the delivery.", "售后申请与验收记录不符。"


class Claim(Model):
    """What a buyer says of packs that were accepted, what the cooperative answers, and the platform's one decision."""

    __tablename__ = "claim"
    __table_args__ = (
        CheckConstraint("kind IN ('return', 'dispute')", name="kind"),
        CheckConstraint(
            "status IN ('open', 'contested', 'undefended', 'agreed', 'decided', 'withdrawn')", name="status"
        ),
        CheckConstraint(f"({UNCLOSED}) = (closed_at IS NULL)", name="closed"),
        CheckConstraint("(status = 'decided') = (decision IS NOT NULL)", name="decision"),
        Index("ix_claim_unclosed", "supplier_order_id", unique=True, postgresql_where=text(UNCLOSED)),
        Index("ix_claim_order", "supplier_order_id", "id"),
        Index("ix_claim_buyer", "buyer_id", "id"),
        Index("ix_claim_cooperative", "cooperative_id", "id"),
        Index("ix_claim_status", "status", "id"),
        Index("ix_claim_defence", "defend_until", postgresql_where=text("status = 'open'")),
    )

    id: Mapped[UUID] = id_column()
    number: Mapped[str]
    kind: Mapped[str]
    status: Mapped[str] = mapped_column(default=ClaimStatus.OPEN)
    supplier_order_id: Mapped[UUID] = mapped_column(ForeignKey("supplier_order.id"))
    buyer_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    cooperative_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    statement: Mapped[str]
    raised_by: Mapped[UUID]
    raised_at: Mapped[datetime]
    defend_until: Mapped[datetime | None]
    answer: Mapped[str | None]
    answered_by: Mapped[UUID | None]
    answered_at: Mapped[datetime | None]
    answer_photo_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), default=list, server_default=text("'{}'"))
    decision: Mapped[str | None]
    decided_by: Mapped[UUID | None]
    closed_at: Mapped[datetime | None]


class ClaimLine(Model):
    """Packs of a line and lot that the claim is about; append-only. What was granted stands in the correction."""

    __tablename__ = "claim_line"
    __table_args__ = (CheckConstraint("packs > 0", name="packs"), UniqueConstraint("claim_id", "line_id", "lot_id"))

    id: Mapped[UUID] = id_column()
    claim_id: Mapped[UUID] = mapped_column(ForeignKey(Claim.id))
    line_id: Mapped[UUID] = mapped_column(ForeignKey("order_line.id"))
    lot_id: Mapped[UUID]
    packs: Mapped[int]
    reason: Mapped[str]
    photo_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), default=list, server_default=text("'{}'"))


class ClaimFile(Model):
    """A paper that one side put before the platform: a laboratory's report, a weighing note."""

    __tablename__ = "claim_file"
    __table_args__ = (CheckConstraint("side IN ('buyer', 'cooperative')", name="side"),)

    claim_id: Mapped[UUID] = mapped_column(ForeignKey(Claim.id), primary_key=True)
    file_id: Mapped[UUID] = mapped_column(ForeignKey(StoredFile.id), primary_key=True)
    side: Mapped[str]


class Correction(Model):
    """What is taken back of an acceptance note, in fen; append-only. The bill is the note less its corrections."""

    __tablename__ = "correction"
    __table_args__ = (
        CheckConstraint("goods_fen >= 0 AND freight_fen >= 0", name="not_negative"),
        UniqueConstraint("claim_id"),
        Index("ix_correction_order", "supplier_order_id", "id"),
    )

    id: Mapped[UUID] = id_column()
    claim_id: Mapped[UUID] = mapped_column(ForeignKey(Claim.id))
    supplier_order_id: Mapped[UUID] = mapped_column(ForeignKey("supplier_order.id"))
    number: Mapped[str]
    by_user_id: Mapped[UUID]
    at: Mapped[datetime]
    goods_fen: Mapped[int]
    freight_fen: Mapped[int]


class CorrectionLine(Model):
    """Packs and fen that are taken back of what was accepted of a line and lot; append-only."""

    __tablename__ = "correction_line"
    __table_args__ = (
        CheckConstraint("packs > 0 AND goods_fen >= 0", name="taken_back"),
        UniqueConstraint("correction_id", "line_id", "lot_id"),
    )

    id: Mapped[UUID] = id_column()
    correction_id: Mapped[UUID] = mapped_column(ForeignKey(Correction.id))
    line_id: Mapped[UUID] = mapped_column(ForeignKey("order_line.id"), index=True)
    lot_id: Mapped[UUID]
    packs: Mapped[int]
    goods_fen: Mapped[int]


class Receivable(Model):
    """What a cooperative was paid for goods that were corrected afterwards: kept from what it is paid next."""

    __tablename__ = "receivable"
    __table_args__ = (
        CheckConstraint("amount_fen > 0 AND recovered_fen BETWEEN 0 AND amount_fen", name="recovered"),
        Index(
            "ix_receivable_open", "cooperative_id", "correction_id", postgresql_where=text("recovered_fen < amount_fen")
        ),
        Index("ix_receivable_part", "supplier_order_id"),
    )

    correction_id: Mapped[UUID] = mapped_column(ForeignKey(Correction.id), primary_key=True)
    supplier_order_id: Mapped[UUID] = mapped_column(ForeignKey("supplier_order.id"))
    order_id: Mapped[UUID] = mapped_column(ForeignKey("purchase_order.id"), index=True)
    cooperative_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    amount_fen: Mapped[int]
    recovered_fen: Mapped[int] = mapped_column(default=0, server_default=text("0"))


class Recovery(Model):
    """What was kept from the settlement of a supplier order for a receivable; append-only."""

    __tablename__ = "recovery"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        UniqueConstraint("correction_id", "supplier_order_id"),
    )

    id: Mapped[UUID] = id_column()
    correction_id: Mapped[UUID] = mapped_column(ForeignKey(Receivable.correction_id))
    supplier_order_id: Mapped[UUID] = mapped_column(ForeignKey("supplier_order.id"))
    amount_fen: Mapped[int]
    at: Mapped[datetime]
