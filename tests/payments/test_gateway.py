"""The gateway against the stand-in: the real client library, a real server, three kinds of failure."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests
from werkzeug.serving import make_server

from run import ROOT
from shop.payments.gateway import Declined, Gateway, InvalidSignature, Refused, Unknown
from shop.standins import stripe_guard
from shop.standins.stripe.server import StandIn
from shop.standins.stripe.webhooks import signature

KEY, SECRET = "sk_test_gateway", "whsec_gateway"


@pytest.fixture(autouse=True)
def guarded() -> None:
    stripe_guard.install()


@pytest.fixture(scope="module")
def server():
    with StandIn(api_key=KEY) as stand_in:
        yield stand_in


@pytest.fixture
def stand_in(server):
    server.controls.reset()
    return server


@pytest.fixture
def gateway(stand_in) -> Gateway:
    return Gateway(stand_in.url, KEY, SECRET, timeout_s=(1, 1), max_retries=0)


def asked(gateway: Gateway, key: str = "order-17-payment-1", **more):
    told = {"amount_fen": 12_345, "metadata": {"order": "17"}, "payment_method_types": ["card"], **more}
    return gateway.create_payment_intent(idempotency_key=key, **told)


def paid(gateway: Gateway, **more):
    payment = asked(gateway, **more)
    return gateway.confirm(payment.id, payment_method="pm_card_visa", idempotency_key=f"{payment.id}-confirm")


def effects(stand_in: StandIn, **chosen) -> list[dict]:
    return requests.get(f"{stand_in.url}/_control/effects", params=chosen, timeout=5).json()["effects"]


def fail(stand_in: StandIn, **fault) -> None:
    assert requests.post(f"{stand_in.url}/_control/faults", json=fault, timeout=5).status_code == 200


def test_a_payment_is_asked_for_confirmed_and_partly_refunded(gateway, stand_in):
    payment = asked(gateway)
    assert (payment.status, payment.amount_fen, payment.currency) == ("requires_payment_method", 12_345, "cny")
    assert (payment.metadata, payment.livemode) == ({"order": "17"}, False)
    payment = gateway.confirm(payment.id, payment_method="pm_card_unionpay", idempotency_key="order-17-confirm-1")
    assert (payment.status, payment.amount_received_fen) == ("succeeded", 12_345)
    refund = gateway.refund(payment.id, amount_fen=345, idempotency_key="refund-1", metadata={"claim": "3"})
    assert (refund.status, refund.amount_fen, refund.payment_intent) == ("succeeded", 345, payment.id)
    assert gateway.refunds_of(payment.id) == [refund]
    assert gateway.retrieve(payment.id) == payment
    done = [(effect["effect"], effect["amount"]) for effect in effects(stand_in)]
    assert done == [("charge", 12_345), ("refund", 345)]


def test_nothing_is_written_to_the_home_of_whoever_runs_the_shop(stand_in, tmp_path):
    code = f"""
from shop.payments.gateway import Gateway
gateway = Gateway("{stand_in.url}", "{KEY}", "{SECRET}")
gateway.create_payment_intent(
    amount_fen=1, metadata={{}}, payment_method_types=["card"], idempotency_key="home-1"
)
"""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    environment = kept | {"HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)
    assert list(tmp_path.iterdir()) == []


def test_a_payment_is_cancelled_while_no_money_was_taken(gateway):
    payment = asked(gateway)
    assert gateway.cancel(payment.id, idempotency_key="cancel-1").status == "canceled"
    with pytest.raises(Refused) as refusal:
        gateway.cancel(paid(gateway, key="other").id, idempotency_key="cancel-2")
    assert refusal.value.code == "payment_intent_unexpected_state"


def test_a_card_that_says_no_is_declined_with_its_code(gateway, stand_in):
    payment = asked(gateway)
    with pytest.raises(Declined) as refusal:
        gateway.confirm(
            payment.id, payment_method="pm_card_chargeDeclinedInsufficientFunds", idempotency_key="confirm-1"
        )
    assert (refusal.value.code, refusal.value.decline_code) == ("card_declined", "insufficient_funds")
    assert refusal.value.request_id.startswith("req_")
    again = gateway.retrieve(payment.id)
    assert (again.status, again.last_error_code) == ("requires_payment_method", "card_declined")
    assert effects(stand_in, effect="charge") == []


def test_a_payer_who_has_to_act_is_sent_to_a_page_and_pays_there(gateway, stand_in):
    payment = asked(gateway, payment_method_types=["card", "alipay"])
    payment = gateway.confirm(
        payment.id,
        payment_method="pm_card_authenticationRequired",
        idempotency_key="confirm-1",
        return_url="http://127.0.0.1:9/orders/17?tab=pay",
    )
    assert payment.status == "requires_action"
    assert "批准 Approve" in requests.get(payment.action_url, timeout=5).text
    told = {"client_secret": payment.client_secret, "choice": "approve"}
    answer = requests.post(payment.action_url, data=told, timeout=5, allow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(f"http://127.0.0.1:9/orders/17?tab=pay&payment_intent={payment.id}")
    assert gateway.retrieve(payment.id).status == "succeeded"


@pytest.mark.parametrize("how", ["500", "429", "reset", "timeout"])
def test_an_answer_lost_after_the_charge_is_unknown_and_the_same_key_finds_it(gateway, stand_in, how):
    payment = asked(gateway)
    fail(stand_in, how=how, seconds=3)
    with pytest.raises(Unknown):
        gateway.confirm(payment.id, payment_method="pm_card_visa", idempotency_key="confirm-1")
    assert len(effects(stand_in, effect="charge", payment_intent=payment.id)) == 1
    again = gateway.confirm(payment.id, payment_method="pm_card_visa", idempotency_key="confirm-1")
    assert again.status == "succeeded"
    assert len(effects(stand_in, effect="charge", payment_intent=payment.id)) == 1


def test_an_error_that_the_key_repeats_stays_unknown_until_one_looks(gateway, stand_in):
    started = int(time.time()) - 1
    fail(stand_in, how="500_kept")
    for _ in range(2):
        with pytest.raises(Unknown):
            asked(gateway)
    found = gateway.find_by_metadata({"order": "17"}, created_from=started)
    assert [payment.amount_fen for payment in found] == [12_345]
    payment = found[0]
    paid_now = gateway.confirm(payment.id, payment_method="pm_card_visa", idempotency_key="confirm-1")
    fail(stand_in, how="500_kept")
    for _ in range(2):
        with pytest.raises(Unknown):
            gateway.refund(payment.id, amount_fen=45, idempotency_key="refund-1", metadata={"claim": "3"})
    assert paid_now.status == "succeeded"
    assert [(refund.amount_fen, refund.metadata) for refund in gateway.refunds_of(payment.id)] == [(45, {"claim": "3"})]


def test_the_client_itself_asks_once_more_with_the_same_key(stand_in):
    gateway = Gateway(stand_in.url, KEY, SECRET)
    fail(stand_in, how="reset")
    assert paid(gateway).status == "succeeded"
    fail(stand_in, how="500")
    assert gateway.refund(paid(gateway).id, amount_fen=5, idempotency_key="refund-1", metadata={}).amount_fen == 5
    assert (len(effects(stand_in, effect="charge")), len(effects(stand_in, effect="refund"))) == (1, 1)


def test_nobody_there_is_unknown():
    with pytest.raises(Unknown):
        asked(Gateway("http://127.0.0.1:9", KEY, SECRET, max_retries=0))


def test_a_redirect_is_not_followed_with_our_key(stand_in):
    seen = []

    def elsewhere(environ, start_response):
        seen.append(environ["PATH_INFO"])
        start_response("307 Temporary Redirect", [("Location", f"{stand_in.url}/v1/payment_intents")])
        return [b""]

    server = make_server("127.0.0.1", 0, elsewhere, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(Unknown):
            asked(Gateway(f"http://127.0.0.1:{server.server_port}", KEY, SECRET, max_retries=0))
    finally:
        server.shutdown()
        server.server_close()
    assert seen == ["/v1/payment_intents"]
    assert stand_in.account.held["payment_intent"] == {}


def test_our_own_mistakes_are_refused_and_final(gateway, stand_in):
    payment = asked(gateway)
    with pytest.raises(Refused):
        asked(gateway, amount_fen=999)  # the same key with another amount
    with pytest.raises(Refused) as refusal:
        gateway.retrieve("pi_nothing")
    assert refusal.value.code == "resource_missing"
    with pytest.raises(Refused):
        asked(Gateway(stand_in.url, "sk_test_another", SECRET), key="x")
    with pytest.raises(Refused) as refusal:
        asked(gateway, key="y", amount_fen=100_000_000)
    assert refusal.value.code == "amount_too_large"
    with pytest.raises(Refused):
        asked(gateway, key="z", payment_method_types=["alipay"], capture_method="manual")
    assert [found.id for found in gateway.find_by_metadata({"order": "17"}, created_from=0)] == [payment.id]


def test_looking_by_metadata_walks_every_page_and_keeps_to_the_span(gateway, stand_in):
    for number in range(105):
        asked(gateway, key=f"k{number}", metadata={"order": str(number % 2), "line": str(number)})
    now = int(time.time())
    assert len(gateway.find_by_metadata({"order": "1"}, created_from=now - 60)) == 52
    fourth = gateway.find_by_metadata({"order": "0", "line": "4"}, created_from=0)
    assert [found.metadata["line"] for found in fourth] == ["4"]
    assert gateway.find_by_metadata({"order": "1"}, created_from=now + 60) == []
    assert gateway.find_by_metadata({"order": "1"}, created_from=0, created_until=now - 60) == []


@pytest.mark.parametrize(
    ("base", "key", "secret"),
    [
        ("http://stripe.example", KEY, SECRET),
        ("ftp://127.0.0.1", KEY, SECRET),
        ("https://api.stripe.com", "", SECRET),
        ("https://api.stripe.com", KEY, ""),
        ("https://api.stripe.com", KEY, " \n"),
    ],
)
def test_a_gateway_is_not_made_without_its_secrets_or_over_plain_http(base, key, secret):
    with pytest.raises(ValueError):
        Gateway(base, key, secret)


@pytest.mark.parametrize(("timeout_s", "max_retries"), [((2, 11), 0), ((2, 6), 1), ((2, 5), 2), ((0, 5), 0)])
def test_a_gateway_that_could_keep_its_caller_waiting_is_not_made(timeout_s, max_retries):
    with pytest.raises(ValueError, match="15"):
        Gateway("https://api.stripe.com", KEY, SECRET, timeout_s=timeout_s, max_retries=max_retries)


def test_a_gateway_knows_its_mode():
    assert not Gateway("https://api.stripe.com", KEY, SECRET).livemode
    assert Gateway("https://api.stripe.com", "sk_live_1", SECRET).livemode


EVENT = {
    "id": "evt_1",
    "object": "event",
    "type": "payment_intent.succeeded",
    "created": 1,
    "livemode": False,
    "data": {"object": {"id": "pi_1", "object": "payment_intent", "metadata": {"order": "苹果"}}},
}
BODY = json.dumps(EVENT).encode()


@pytest.fixture(scope="module")
def receiver() -> Gateway:
    return Gateway("https://api.stripe.com", KEY, SECRET)


def signed(body: bytes = BODY, *, secret: str = SECRET, age: int = 0) -> str:
    return signature(secret, body, at=int(time.time()) - age)


def test_a_signed_webhook_is_the_event(receiver):
    assert receiver.verify_webhook(BODY, signed()) == EVENT
    raw = json.dumps(EVENT, ensure_ascii=False, indent=2).encode()
    assert receiver.verify_webhook(BODY.replace(b"pi_1", rb"\\u0000"), signed(BODY.replace(b"pi_1", rb"\\u0000")))
    assert receiver.verify_webhook(raw, signed(raw)) == EVENT


def test_one_good_signature_among_several_is_enough(receiver):
    at, good = signed().split(",")
    assert receiver.verify_webhook(BODY, f"{at},v1={'0' * 64},{good},v0=1") == EVENT


def shifted() -> str:
    at, good = signed().split(",")
    return f"t={int(at[2:]) + 1},{good}"


FORGED = {
    "nothing": lambda: "",
    "empty parts": lambda: "t=,v1=",
    "no moment": lambda: "v1=0",
    "nonsense": lambda: "nonsense",
    "beyond ASCII": lambda: "t=1,v1=é",
    "another secret": lambda: signed(secret="whsec_another"),
    "too long ago": lambda: signed(age=600),
    "another scheme": lambda: signed().replace("v1=", "v0="),
    "cut short": lambda: signed()[:-1],
    "of another body": lambda: signed(BODY + b" "),
    "of another moment": shifted,
    "an endless number": lambda: "t=" + "9" * 5000 + ",v1=0",
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_webhook_is_refused(receiver, name):
    with pytest.raises(InvalidSignature):
        receiver.verify_webhook(BODY, FORGED[name]())


RUBBISH = {
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "an empty object": b"{}",
    "no UTF-8": b"\xff\xfe",
    "no JSON": b"{" * 3,
    "too deep": b"[" * 100_000,
    "another kind of event": BODY.replace(b'"event"', b'"v2.core.event"'),
    "no number": BODY.replace(b'"created": 1', b'"created": NaN'),
    "a moment as text": BODY.replace(b'"created": 1', b'"created": "1"'),
    "an id as number": BODY.replace(b'"id": "evt_1"', b'"id": 7'),
    "a NUL": BODY.replace(b'"pi_1"', b'"\\u0000"'),
    "half a character": BODY.replace(b'"pi_1"', b'"\\ud800"'),
}


@pytest.mark.parametrize("name", RUBBISH)
def test_rubbish_is_refused_even_when_signed(receiver, name):
    with pytest.raises(InvalidSignature):
        receiver.verify_webhook(RUBBISH[name], signed(RUBBISH[name]))


def test_only_the_gateway_speaks_to_stripe():
    top = Path(__file__).parents[2]
    allowed = {"shop/payments/gateway.py", "shop/standins/stripe_guard.py"}
    found = {
        str(path.relative_to(top))
        for folder in ("shop", "workers", "config")
        for path in (top / folder).rglob("*.py")
        if re.search(r"^\s*(import stripe\b|from stripe\b)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert found == allowed


def test_no_room_of_the_shop_imports_a_stand_in():
    shop = Path(__file__).parents[2] / "shop"
    outside = ("standins", "demo", "cli")
    rooms = [path for path in shop.rglob("*.py") if path.relative_to(shop).parts[0] not in outside]
    assert rooms
    assert [path for path in rooms if "shop.standins" in path.read_text(encoding="utf-8")] == []
