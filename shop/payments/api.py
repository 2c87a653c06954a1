"""Paying, booking what the bank received, and the gateway's webhook."""

from datetime import datetime

from flask import Response, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.actor import Actor, Audience, Role
from shop.errors import NotFound, Refusal
from shop.http import cursors
from shop.http.routes import PUBLIC, REQUIRED, Routes, audience, roles
from shop.ids import OrderId, RefundId
from shop.orders import queries
from shop.payments.gateway import InvalidSignature
from shop.payments.models import BankPayment, Charge, Method, Refund
from shop.payments.queries import refunds
from shop.payments.schemas import (
    BankReceipt,
    ChargeOut,
    Pay,
    PaymentsOut,
    RefundOut,
    RefundPage,
    RefundSent,
    RefundsQuery,
    RefundToSendOut,
)
from shop.payments.service import charging, refunding, webhooks
from shop.payments.service.gateway_work import gateway

routes = Routes("/v1", tag="Payments")
webhook_routes = Routes("/webhooks", tag="Webhooks in")


class BadSignature(Refusal):
    code, status = "bad_signature", 400
    title, title_zh = "This is not signed with our secret.", "签名无效。"


def charge_out(charge: Charge) -> ChargeOut:
    return ChargeOut(
        id=charge.id,
        order_id=charge.order_id,
        method=charge.method,
        status=charge.status,
        amount_fen=charge.amount_fen,
        refunded_fen=charge.refunded_fen,
        reference=charge.reference,
        action_url=charge.action_url,
        client_secret=charge.client_secret,
        failure=charge.failure,
    )


@routes.post(
    "/buyer/orders/<order_id>/payments",
    allow=roles(Role.REQUESTER, Role.FINANCE, Role.MANAGER, of=Audience.BUYER),
    answers={201: ChargeOut},
    refusals=(charging.NothingToPay, charging.AlreadyAsked),
    key=REQUIRED,
)
def pay_order(session: Session, actor: Actor, now: datetime, order_id: OrderId, body: Pay) -> ChargeOut:
    """Pay an order: by a transfer that names the reference given back, or through the gateway.

    The answer comes before the money: read the payments of the order to see it succeed or fail, or what the payer has
    to do. A payment that waits for its payer makes way for the next one that is asked for.
    """
    return charge_out(
        charging.request(
            session,
            actor=actor,
            order_id=order_id,
            method=Method(body.method),
            payment_method=body.payment_method,
            now=now,
        )
    )


@routes.get("/buyer/orders/<order_id>/payments", allow=audience(Audience.BUYER), answers={200: PaymentsOut})
def read_payments(session: Session, actor: Actor, order_id: OrderId) -> PaymentsOut:
    """What was asked for an order, and what went back."""
    order = queries.order(session, actor, order_id)
    charges = session.scalars(select(Charge).where(Charge.order_id == order.id).order_by(Charge.id)).all()
    given_back = session.scalars(
        select(Refund).where(Refund.charge_id.in_([charge.id for charge in charges])).order_by(Refund.id)
    )
    return PaymentsOut(
        charges=[charge_out(charge) for charge in charges],
        refunds=[
            RefundOut(
                id=refund.id,
                supplier_order_id=refund.supplier_order_id,
                reason=refund.reason,
                status=refund.status,
                amount_fen=refund.amount_fen,
            )
            for refund in given_back
        ],
    )


@routes.post(
    "/admin/bank-receipts",
    allow=roles(Role.OPERATOR, of=Audience.ADMIN),
    answers={201: ChargeOut},
    refusals=(NotFound, charging.AmountDiffers, charging.AlreadyAsked),
    key=REQUIRED,
)
def book_bank_receipt(session: Session, actor: Actor, now: datetime, body: BankReceipt) -> ChargeOut:
    """Book a transfer from the bank statement against the payment notice that it names, to the fen."""
    return charge_out(
        charging.receive_transfer(
            session,
            reference=body.reference,
            amount_fen=body.amount_fen,
            payer_name=body.payer_name,
            by=actor,
            now=now,
        )
    )


def to_send_out(refund: Refund, charge: Charge, line: BankPayment | None) -> RefundToSendOut:
    return RefundToSendOut(
        id=refund.id,
        supplier_order_id=refund.supplier_order_id,
        reason=refund.reason,
        status=refund.status,
        amount_fen=refund.amount_fen,
        charge_id=charge.id,
        order_id=charge.order_id,
        buyer_id=charge.buyer_id,
        method=charge.method,
        failure=refund.failure,
        created_at=refund.created_at.isoformat(),
        bank_reference=line.bank_reference if line else None,
        sent_on=line.sent_on if line else None,
    )


@routes.get("/admin/refunds", allow=roles(Role.OPERATOR, of=Audience.ADMIN), answers={200: RefundPage})
def list_refunds(session: Session, query: RefundsQuery) -> RefundPage:
    """Refunds, oldest first; those of transfers wait for an operator to send them."""
    question = f"refunds {query.status} {query.method}"
    after = cursors.decode_id(question, query.cursor) if query.cursor else None
    found = refunds(session, status=query.status, method=query.method, after=after, limit=query.limit + 1)
    page, following = cursors.cut(question, found, query.limit, id_of=lambda row: row[0].id)
    return RefundPage(items=[to_send_out(*row) for row in page], next=following)


@routes.post(
    "/admin/refunds/<refund_id>/sent",
    allow=roles(Role.OPERATOR, of=Audience.ADMIN),
    answers={200: RefundToSendOut},
    refusals=(NotFound, refunding.RefundIsDone, refunding.RefundIsAtGateway, refunding.LineIsBooked),
    key=REQUIRED,
)
def book_refund_sent(
    session: Session, actor: Actor, now: datetime, refund_id: RefundId, body: RefundSent
) -> RefundToSendOut:
    """Book that a refund was sent: of a transfer, or one that the gateway could not make."""
    return to_send_out(
        *refunding.send(
            session,
            refund_id=refund_id,
            bank_reference=body.bank_reference,
            sent_on=body.sent_on,
            by=actor,
            now=now,
        )
    )


@webhook_routes.post("/stripe", allow=PUBLIC, answers={202: None}, refusals=(BadSignature,), raw_body=True)
def receive_stripe(session: Session, raw: bytes) -> Response:
    """Take an event of the gateway: verified, stored, answered; worked on afterwards."""
    try:
        event = gateway().verify_webhook(raw, request.headers.get("Stripe-Signature", ""))
    except InvalidSignature as error:
        raise BadSignature from error
    webhooks.store(session, event=event, raw=raw)
    return Response(status=202)
