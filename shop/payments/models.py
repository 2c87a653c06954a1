"""Charges, refunds and stored webhook events."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import UUID as Uuid
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column


class Method(StrEnum):
    BANK_TRANSFER = "bank_transfer"
    STRIPE = "stripe"


class ChargeStatus(StrEnum):
    """`unknown` is a state of its own: the gateway did not answer, the stock stays held, the sweep asks again."""

    PENDING = "pending"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = (ChargeStatus.PENDING, ChargeStatus.UNKNOWN)
NOT_PAID = (ChargeStatus.PENDING, ChargeStatus.UNKNOWN, ChargeStatus.FAILED, ChargeStatus.CANCELLED)
"""What `succeeded` outranks: a later word of the gateway is believed only when it ranks higher than what is known."""


class Charge(Model):
    """What a buyer was asked to pay for one order, by one method.

    `parts` are the supplier orders that the amount covers; `reference` is the code of the payment notice; `action_url`
    is where the payer has to go and `client_secret` what completes the payment in a browser, once the gateway says so
    and as long as it waits for the payer. `asked_at` is the last question to the gateway, `asked` how often the sweep
    asked.
    """

    __tablename__ = "charge"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint("refunded_fen BETWEEN 0 AND amount_fen", name="refunded"),
        CheckConstraint("status IN ('pending', 'unknown', 'succeeded', 'failed', 'cancelled')", name="status"),
        CheckConstraint("method IN ('bank_transfer', 'stripe')", name="method"),
        Index(
            "uq_charge_one_open",
            "order_id",
            unique=True,
            postgresql_where=text("status IN ('pending', 'unknown')"),
        ),
        Index("ix_charge_order", "order_id"),
        Index("ix_charge_open", "created_at", postgresql_where=text("status IN ('pending', 'unknown')")),
    )

    id: Mapped[UUID] = id_column()
    order_id: Mapped[UUID] = mapped_column(ForeignKey("purchase_order.id"))
    buyer_id: Mapped[UUID]
    parts: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid(as_uuid=True)))
    method: Mapped[str]
    status: Mapped[str] = mapped_column(default=ChargeStatus.PENDING)
    amount_fen: Mapped[int]
    refunded_fen: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    reference: Mapped[str] = mapped_column(unique=True)
    gateway_id: Mapped[str | None] = mapped_column(unique=True)
    payment_method: Mapped[str | None]
    action_url: Mapped[str | None]
    client_secret: Mapped[str | None]
    failure: Mapped[str | None]
    created_at: Mapped[datetime]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    asked_at: Mapped[datetime | None]
    asked: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    paid_at: Mapped[datetime | None]


class TransferVoucher(Model):
    """The bank's voucher that a buyer handed in for a transfer that is on its way; one a notice. Append-only."""

    __tablename__ = "transfer_voucher"
    __table_args__ = (Index("ix_transfer_voucher_file", "file_id"),)

    charge_id: Mapped[UUID] = mapped_column(ForeignKey("charge.id"), primary_key=True)
    buyer_id: Mapped[UUID]
    file_id: Mapped[UUID] = mapped_column(ForeignKey("stored_file.id"))
    by_user_id: Mapped[UUID]
    at: Mapped[datetime]


class BankReceipt(Model):
    """A line of the platform's bank statement that paid a charge.

    `payer_name` may be a person's: it stands here alone and goes when the written period is over; what never changes
    holds the row's id.
    """

    __tablename__ = "bank_receipt"
    __table_args__ = (Index("ix_bank_receipt_named", "booked_at", postgresql_where=text("payer_name IS NOT NULL")),)

    id: Mapped[UUID] = id_column()
    charge_id: Mapped[UUID] = mapped_column(ForeignKey("charge.id"), unique=True)
    buyer_id: Mapped[UUID]
    payer_name: Mapped[str | None]
    booked_at: Mapped[datetime]


class RefundStatus(StrEnum):
    """`pending`: the gateway has it, or, for a transfer, an operator has to send it. `failed`: the gateway could not
    give it back, so a person has to, by transfer."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class RefundReason(StrEnum):
    CANCELLED = "cancelled"
    NOT_ACCEPTED = "not accepted"
    PAID_TWICE = "paid twice"
    CORRECTED = "corrected"


class Refund(Model):
    """Money on its way back, for one reason (`source_id`: the acceptance or the supplier order)."""

    __tablename__ = "refund"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint("status IN ('pending', 'succeeded', 'failed')", name="status"),
        CheckConstraint("reason IN ('cancelled', 'not accepted', 'paid twice', 'corrected')", name="reason"),
        UniqueConstraint("charge_id", "source_id"),
        Index("ix_refund_open", "created_at", postgresql_where=text("status = 'pending'")),
        Index("ix_refund_unfinished", "status", "id", postgresql_where=text("status <> 'succeeded'")),
    )

    id: Mapped[UUID] = id_column()
    charge_id: Mapped[UUID] = mapped_column(ForeignKey("charge.id"))
    supplier_order_id: Mapped[UUID] = mapped_column(ForeignKey("supplier_order.id"))
    source_id: Mapped[UUID]
    reason: Mapped[str]
    status: Mapped[str] = mapped_column(default=RefundStatus.PENDING)
    amount_fen: Mapped[int]
    gateway_id: Mapped[str | None] = mapped_column(unique=True)
    failure: Mapped[str | None]
    created_at: Mapped[datetime]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    asked_at: Mapped[datetime | None]
    asked: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    done_at: Mapped[datetime | None]


class BankPayment(Model):
    """An outgoing line of the platform's bank statement that gave a refund back; each line pays one."""

    __tablename__ = "bank_payment"

    refund_id: Mapped[UUID] = mapped_column(ForeignKey("refund.id"), primary_key=True)
    buyer_id: Mapped[UUID]
    bank_reference: Mapped[str] = mapped_column(unique=True)
    sent_on: Mapped[date]
    booked_at: Mapped[datetime]


class WebhookEvent(Model):
    """A gateway's event as it came, stored before anything is made of it."""

    __tablename__ = "webhook_event"
    __table_args__ = (Index("ix_webhook_event_open", "recorded_at", postgresql_where=text("applied_at IS NULL")),)

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    asked_at: Mapped[datetime | None]
    asked: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    applied_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
