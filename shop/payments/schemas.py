"""Payments as JSON."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from shop.http.fields import Day
from shop.http.routes import In, Out, Query
from shop.ids import ChargeId, FileId, OrderId, OrganisationId, RefundId, SupplierOrderId, UserId


class Pay(In):
    """How to pay. `payment_method` is one that the gateway gave; without it the payer completes the payment with the
    `client_secret` that the payment tells a moment later."""

    method: Literal["bank_transfer", "stripe"]
    payment_method: Annotated[str, Field(min_length=3, max_length=100, pattern=r"^[A-Za-z0-9_]+$")] | None = None


class ChargeOut(Out):
    """A payment asked for. `reference` is the code to name in a transfer's remittance note; `action_url` is where the
    payer has to go to complete it, and `client_secret` what the gateway's form completes it with, as soon as the
    gateway says so and as long as it waits for the payer."""

    id: ChargeId
    order_id: OrderId
    method: str
    status: str
    amount_fen: int
    refunded_fen: int
    reference: str
    action_url: str | None
    client_secret: str | None
    failure: str | None


class HandInVoucher(In):
    """The bank's voucher of the transfer, uploaded before."""

    file_id: FileId


class VoucherOut(Out):
    """A voucher as both sides see it; `link` hands it out for a day. `reference` is that of the payment notice."""

    charge_id: ChargeId
    order_id: OrderId
    buyer_id: OrganisationId
    reference: str
    amount_fen: int
    status: str
    name: str
    link: str
    handed_in_by: UserId
    handed_in_at: str


class VoucherPage(Out):
    items: list[VoucherOut]
    next: str | None


class RefundOut(Out):
    id: RefundId
    supplier_order_id: SupplierOrderId
    reason: str
    status: str
    amount_fen: int


class PaymentsOut(Out):
    charges: list[ChargeOut]
    refunds: list[RefundOut]


class BankReceipt(In):
    """A line of the platform's bank statement."""

    reference: Annotated[str, Field(pattern=r"^XF[0-9]{12}$")]
    amount_fen: Annotated[int, Field(ge=1, le=10**15)]
    payer_name: Annotated[str, Field(min_length=1, max_length=200)]


class RefundsQuery(Query):
    """Which refunds: `pending` by `bank_transfer` are those that an operator has to send."""

    status: Literal["pending", "succeeded", "failed"] | None = None
    method: Literal["bank_transfer", "stripe"] | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, Field(max_length=400)] | None = None


class RefundToSendOut(RefundOut):
    """A refund as the platform sees it. `method` is the way that the money came; `bank_reference` and `sent_on` are
    the outgoing line of the bank statement, once it is booked."""

    charge_id: ChargeId
    order_id: OrderId
    buyer_id: OrganisationId
    method: str
    failure: str | None
    created_at: str
    bank_reference: str | None
    sent_on: date | None


class RefundPage(Out):
    items: list[RefundToSendOut]
    next: str | None


class RefundSent(In):
    """An outgoing line of the platform's bank statement."""

    bank_reference: Annotated[str, Field(min_length=4, max_length=64, pattern=r"^[A-Za-z0-9_/-]+$")]
    sent_on: Day
