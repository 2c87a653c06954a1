"""Paying, booking receipts and hearing the gateway, through HTTP."""

import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from config.settings import settings
from shop.accounts.models import Kind
from shop.actor import SYSTEM, Actor, Role
from shop.audit.models import AuditEntry
from shop.db import unit_of_work
from shop.http import openapi, problems
from shop.http.routes import REQUIRED, mount
from shop.ids import new_id
from shop.ledger.models import Transaction
from shop.ledger.service import PLATFORM_ID
from shop.orders.models import SupplierOrder
from shop.orders.service.cancelling import cancel_supplier_order
from shop.outbox.models import Event
from shop.payments import api
from shop.payments.gateway import Gateway
from shop.payments.models import Charge, Refund, RefundReason, RefundStatus, WebhookEvent
from shop.payments.service import gateway_work, refunding, webhooks
from tests import builders as a

KEY, SECRET = "sk_test_api", "whsec_api_0123456789abcdef"


class Shop:
    """A served shop with a prepaid order of one buyer, and everybody who may and may not touch its money."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.keys = itertools.count()
        with unit_of_work() as session:
            platform = a.an_organisation(session, Kind.PLATFORM, id=PLATFORM_ID, uscc=None)
            world = a.World(session)
            self.placed = world.place({world.offer().id: 10}, terms="prepaid")
            self.actors: dict[str, Actor] = {
                "buyer": a.a_member(session, world.buyer, roles={Role.FINANCE}),
                "receiver": a.a_member(session, world.buyer, roles={Role.RECEIVER}),
                "other": a.a_member(session, a.an_organisation(session)),
                "seller": a.a_member(session, a.an_organisation(session, Kind.COOPERATIVE)),
                "operator": a.a_member(session, platform, roles={Role.OPERATOR}),
                "auditor": a.a_member(session, platform, roles={Role.AUDITOR}),
            }
        self.payments = f"/v1/buyer/orders/ord_{self.placed.id.hex}/payments"

    def who(self, session: Session) -> tuple[Actor, datetime] | None:
        return a.behind(session, self.actors.get(request.headers.get("Authorization", "")), a.NOW)

    def post(self, path: str, body: Any, by: str, key: str | None = "") -> Any:
        headers = {"Authorization": by}
        if key is not None:
            headers["Idempotency-Key"] = key or f"key-{next(self.keys)}"
        return self.client.post(path, json=body, headers=headers)

    def get(self, path: str, by: str) -> Any:
        return self.client.get(path, headers={"Authorization": by})

    def hear(self, raw: bytes, signed: str | None) -> int:
        headers = {} if signed is None else {"Stripe-Signature": signed}
        return self.client.post("/webhooks/stripe", data=raw, headers=headers).status_code


@pytest.fixture
def shop(committed: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setenv("SHOP_STRIPE_SECRET_KEY", KEY)
    settings.cache_clear()
    made = Gateway("http://127.0.0.1:1", KEY, SECRET)
    monkeypatch.setattr(api, "gateway", lambda: made)
    app = Flask("t")
    shops: list[Shop] = []
    for routes in (api.routes, api.webhook_routes):
        mount(app, routes, lambda session: shops[0].who(session))
    problems.install(app)
    shops.append(Shop(app.test_client()))
    yield shops[0]
    settings.cache_clear()


def count(model: type[Any], *which: Any) -> int:
    with unit_of_work() as session:
        return session.execute(select(func.count()).select_from(model).where(*which)).scalar_one()


def sign(raw: bytes, *, secret: str = SECRET, at: int | None = None, scheme: str = "v1") -> str:
    moment = int(time.time()) if at is None else at
    mark = hmac.new(secret.encode(), f"{moment}.".encode() + raw, hashlib.sha256).hexdigest()
    return f"t={moment},{scheme}={mark}"


def event(shop: Shop, name: str = "evt_1", kind: str = "payment_intent.succeeded", **told: Any) -> bytes:
    with unit_of_work() as session:
        charge = session.scalars(select(Charge)).one()
    intent = {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": charge.amount_fen,
        "amount_received": charge.amount_fen,
        "currency": "cny",
        "metadata": {"charge": charge.id.hex},
    } | told
    body = {
        "id": name, "object": "event", "type": kind, "created": int(time.time()), "livemode": False,
        "data": {"object": intent},
    }  # fmt: skip
    return json.dumps(body).encode()


def work_all() -> None:
    with unit_of_work() as session:
        names = session.scalars(select(WebhookEvent.id)).all()
    for name in names:
        with unit_of_work() as session:
            webhooks.apply(session, name)


def test_a_notice_is_asked_for_paid_and_read(shop: Shop) -> None:
    asked = shop.post(shop.payments, {"method": "bank_transfer"}, "buyer")
    assert asked.status_code == 201
    notice = asked.json
    assert (notice["status"], notice["amount_fen"], notice["method"]) == (
        "pending", shop.placed.total_fen, "bank_transfer",
    )  # fmt: skip
    again = shop.post(shop.payments, {"method": "stripe"}, "buyer")
    assert (again.status_code, again.json["code"], again.json["reference"]) == (
        409,
        "payment_open",
        notice["reference"],
    )
    receipt = {"reference": notice["reference"], "amount_fen": notice["amount_fen"] + 1, "payer_name": "区财政国库"}
    differs = shop.post("/v1/admin/bank-receipts", receipt, "operator")
    assert (differs.status_code, differs.json["code"]) == (409, "amount_differs")
    assert differs.json["received_fen"] - differs.json["asked_fen"] == 1
    receipt["amount_fen"] -= 1
    booked = shop.post("/v1/admin/bank-receipts", receipt, "operator", key="receipt")
    assert (booked.status_code, booked.json["status"]) == (201, "succeeded")
    assert shop.post("/v1/admin/bank-receipts", receipt, "operator", key="receipt").data == booked.data
    assert shop.post("/v1/admin/bank-receipts", receipt, "operator").json["code"] == "payment_open"
    assert count(Transaction, Transaction.kind == "payment") == 1
    read = shop.get(shop.payments, "receiver").json
    assert [charge["status"] for charge in read["charges"]] == ["succeeded"]
    assert read["refunds"] == []


@pytest.mark.parametrize(
    ("by", "status"), [("receiver", 403), ("other", 404), ("seller", 404), ("operator", 404), ("nobody", 401)]
)
def test_only_a_payer_of_the_buyer_may_pay(shop: Shop, by: str, status: int) -> None:
    assert shop.post(shop.payments, {"method": "bank_transfer"}, by).status_code == status
    assert count(Charge) == 0


def test_only_an_operator_books_receipts_and_both_ways_need_a_key(shop: Shop) -> None:
    receipt = {"reference": "XF000000000000", "amount_fen": 1, "payer_name": "x"}
    assert shop.post("/v1/admin/bank-receipts", receipt, "auditor").status_code == 403
    assert shop.post("/v1/admin/bank-receipts", receipt, "buyer").status_code == 404
    assert shop.post("/v1/admin/bank-receipts", receipt, "operator").status_code == 404
    assert shop.post("/v1/admin/bank-receipts", receipt, "operator", key=None).status_code == 400
    assert shop.post(shop.payments, {"method": "bank_transfer"}, "buyer", key=None).status_code == 400
    assert shop.get(shop.payments, "other").status_code == 404


@pytest.mark.parametrize(
    "body", [{}, {"method": "cash"}, {"method": "stripe", "payment_method": "pm card"}, {"method": "stripe", "x": 1}]
)
def test_a_body_that_is_no_payment_is_refused(shop: Shop, body: dict[str, Any]) -> None:
    assert shop.post(shop.payments, body, "buyer").status_code == 422


def test_a_card_payment_asks_the_worker_to_take_the_money(shop: Shop) -> None:
    asked = shop.post(shop.payments, {"method": "stripe", "payment_method": "pm_card_visa"}, "buyer")
    assert asked.status_code == 201
    with unit_of_work() as session:
        told = session.scalars(select(Event).where(Event.kind == "charge.requested")).one()
    assert f"chg_{UUID(hex=told.payload['charge_id']).hex}" == asked.json["id"]


def test_an_event_is_stored_once_answered_every_time_and_applied_once(shop: Shop) -> None:
    shop.post(shop.payments, {"method": "stripe"}, "buyer")
    raw = event(shop)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: shop.hear(raw, sign(raw)), range(24))) == {202}
    assert (count(WebhookEvent), count(Transaction)) == (1, 0)
    waiting = count(Event, Event.kind == "webhook.stored")
    assert waiting >= 1
    work_all()
    other = event(shop, "evt_2")
    assert [shop.hear(again, sign(again)) for again in (raw, raw, other)] == [202] * 3
    assert count(Event, Event.kind == "webhook.stored") == waiting + 1  # what is applied wakes nobody again
    work_all()
    assert count(Transaction, Transaction.kind == "payment") == 1


def test_two_signatures_of_which_one_is_good_are_accepted(shop: Shop) -> None:
    shop.post(shop.payments, {"method": "stripe"}, "buyer")
    raw = event(shop)
    good = sign(raw)
    both = f"{good.split(',')[0]},v1={'0' * 64},{good.split(',')[1]}"
    assert shop.hear(raw, both) == 202


def test_forged_stale_and_unreadable_events_are_refused_and_nothing_is_kept(shop: Shop) -> None:
    shop.post(shop.payments, {"method": "stripe"}, "buyer")
    raw = event(shop)
    old = int(time.time()) - 301
    rewritten = json.dumps(json.loads(raw), indent=1).encode()
    forgeries: list[tuple[bytes, str | None]] = [
        (raw, None),
        (raw, ""),
        (raw, "nonsense"),
        (raw, sign(raw, secret="")),
        (raw, sign(raw, secret="whsec_other")),
        (raw, sign(raw, scheme="v0")),
        (raw, sign(raw, at=old)),
        (raw, sign(raw).replace("v1=", "v1=0")),
        (raw, f"t={int(time.time())}"),
        (raw[:-1], sign(raw)),
        (rewritten, sign(raw)),
        (b"", sign(b"")),
        (b"[]", sign(b"[]")),
        (b"null", sign(b"null")),
        (b'{"id": NaN}', sign(b'{"id": NaN}')),
        (b"\xff\xfe", sign(b"\xff\xfe")),
        (b"[" * 100_000, sign(b"[" * 100_000)),
        (raw.replace(b"evt_1", b"evt_\\u0000"), sign(raw.replace(b"evt_1", b"evt_\\u0000"))),
    ]
    assert {shop.hear(body, signed) for body, signed in forgeries} == {400}
    assert shop.client.post("/webhooks/stripe", data=raw).json["code"] == "bad_signature"
    assert count(WebhookEvent) == 0


@pytest.mark.parametrize(
    "told",
    [
        {"id": 5}, {"id": None}, {"amount": "12"}, {"amount": None}, {"amount": True}, {"currency": []},
        {"metadata": [1]}, {"metadata": {"charge": 5}}, {"last_payment_error": "no"},
    ],
)  # fmt: skip
def test_a_signed_event_that_says_nothing_usable_is_kept_and_moves_nothing(shop: Shop, told: dict[str, Any]) -> None:
    shop.post(shop.payments, {"method": "stripe"}, "buyer")
    raw = event(shop, **told)
    assert shop.hear(raw, sign(raw)) == 202
    work_all()
    with unit_of_work() as session:
        assert session.scalars(select(WebhookEvent.outcome)).one() == "unreadable"
        assert session.scalars(select(Charge.status)).one() == "pending"
    assert count(Transaction) == 0


def test_the_document_says_what_may_be_refused(shop: Shop) -> None:
    operations = [*api.routes.operations, *api.webhook_routes.operations]
    document = openapi.document(operations, version="t")
    for operation in operations:
        if operation.method == "POST" and not operation.policy.public:
            assert operation.key == REQUIRED, operation.name
    answers = document["paths"]["/v1/buyer/orders/{order_id}/payments"]["post"]["responses"]
    assert {"201", "400", "401", "403", "404", "409", "422"} <= set(answers)


def cancelled_after_a_transfer(shop: Shop, status: RefundStatus = RefundStatus.PENDING) -> str:
    """The refund of an order that was paid by transfer and cancelled, after the worker was asked to give it back."""
    notice = shop.post(shop.payments, {"method": "bank_transfer"}, "buyer").json
    receipt = {"reference": notice["reference"], "amount_fen": notice["amount_fen"], "payer_name": "区财政国库"}
    shop.post("/v1/admin/bank-receipts", receipt, "operator")
    with unit_of_work() as session:
        (part,) = session.scalars(select(SupplierOrder.id).where(SupplierOrder.order_id == shop.placed.id))
        cancel_supplier_order(session, supplier_order_id=part, by=SYSTEM, reason="no", now=a.NOW)
        refunding.after_cancellation(session, supplier_order_id=part, now=a.NOW)
        refund_id = session.scalars(select(Refund.id)).one()
    gateway_work.refund(refund_id)
    if status == RefundStatus.FAILED:
        with unit_of_work() as session:
            refunding.fail(session, refund_id=refund_id, reason="x", now=a.NOW)
    return f"rfd_{refund_id.hex}"


@pytest.mark.parametrize("status", [RefundStatus.PENDING, RefundStatus.FAILED])
def test_a_transfer_is_given_back_when_an_operator_books_the_line_that_sent_it(
    shop: Shop, status: RefundStatus
) -> None:
    refund = cancelled_after_a_transfer(shop, status)
    assert count(Transaction, Transaction.kind == "refund") == 0  # no money has moved yet
    (listed,) = shop.get(f"/v1/admin/refunds?status={status}&method=bank_transfer", "operator").json["items"]
    assert (listed["id"], listed["status"], listed["amount_fen"]) == (refund, status, shop.placed.total_fen)
    assert shop.get("/v1/admin/refunds?status=succeeded", "operator").json == {"items": [], "next": None}
    path, sent = f"/v1/admin/refunds/{refund}/sent", {"bank_reference": "F-0001", "sent_on": "2024-10-15"}
    for by, code in (("auditor", 403), ("buyer", 404), ("seller", 404)):
        assert shop.post(path, sent, by).status_code == code
    assert shop.post(path, sent, "operator", key=None).status_code == 400
    for day in ("2024-10-14", "2024-10-16"):  # before it was asked for, and to come
        refused = shop.post(path, sent | {"sent_on": day}, "operator")
        assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (422, "/sent_on")
    booked = shop.post(path, sent, "operator", key="sent")
    assert (booked.status_code, booked.json["status"], booked.json["bank_reference"]) == (200, "succeeded", "F-0001")
    assert shop.post(path, sent, "operator", key="sent").data == booked.data
    assert shop.post(path, sent, "operator").json["code"] == "refund_done"
    assert (count(Transaction, Transaction.kind == "refund"), count(Event, Event.kind == "refund.succeeded")) == (1, 1)
    with unit_of_work() as session:
        assert session.scalars(select(AuditEntry.action).order_by(AuditEntry.id.desc())).first() == "send_refund"


def test_a_line_of_the_bank_statement_gives_one_refund_back(shop: Shop) -> None:
    refund = cancelled_after_a_transfer(shop)
    with unit_of_work() as session:
        first = session.scalars(select(Refund)).one()
        other = refunding.begin(  # there is nothing left to give back of the charge, so of another one
            session, other_charge(session), first.supplier_order_id, new_id(), 1, RefundReason.CANCELLED, a.NOW
        )
    assert other is not None
    sent = {"bank_reference": "F-0001", "sent_on": "2024-10-15"}
    assert shop.post(f"/v1/admin/refunds/{refund}/sent", sent, "operator").status_code == 200
    again = shop.post(f"/v1/admin/refunds/rfd_{other.hex}/sent", sent, "operator")
    assert (again.status_code, again.json["code"]) == (409, "refund_at_gateway")
    with unit_of_work() as session:
        refunding.fail(session, refund_id=other, reason="the card is closed", now=a.NOW)
    again = shop.post(f"/v1/admin/refunds/rfd_{other.hex}/sent", sent, "operator")
    assert (again.status_code, again.json["code"]) == (409, "bank_line_booked")
    assert shop.post(f"/v1/admin/refunds/rfd_{new_id().hex}/sent", sent, "operator").status_code == 404


def other_charge(session: Session) -> Charge:
    first = session.scalars(select(Charge)).one()
    made = Charge(
        order_id=first.order_id, buyer_id=first.buyer_id, parts=first.parts, method="stripe", status="succeeded",
        amount_fen=5, reference="XF000000000001", created_at=a.NOW,
    )  # fmt: skip
    session.add(made)
    session.flush()
    return made
