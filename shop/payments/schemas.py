"""Payments as JSON."""

from typing import Annotated, Literal

from pydantic import Field

from shop.http.routes import In, Out
from shop.ids import ChargeId, OrderId, RefundId, SupplierOrderId


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
