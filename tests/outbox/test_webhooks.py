"""Outgoing webhooks, from the announcement to the listener."""

import ast
import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from config.settings import settings
from shop.accounts.models import Kind
from shop.actor import Actor, Role
from shop.db import in_unit_of_work, unit_of_work
from shop.errors import Invalid, NotFound
from shop.ids import PublicId, new_id
from shop.orders.models import Status
from shop.outbox import service as outbox
from shop.outbox import webhooks
from tests.builders import NOW, a_member, an_organisation
from tests.outbox.helpers import Listener, client_of, listening, relay, work
from workers.deliveries import run
from workers.webhooks import send

pytestmark = pytest.mark.usefixtures("committed")
ORDER = new_id()
SENT = "delivery WHERE consumer LIKE 'webhook:%'"


def member(kind: Kind = Kind.BUDGET_UNIT, **more: Any) -> Actor:
    return in_unit_of_work(lambda session: a_member(session, an_organisation(session, kind), **more))


@pytest.fixture
def buyer(committed: str) -> Actor:
    return member()


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as server:
        yield server


def endpoint(actor: Actor, url: str, *kinds: str) -> UUID:
    return in_unit_of_work(
        lambda session: webhooks.register(session, actor=actor, url=url, kinds=kinds or ["order.placed"]).id
    )


def announced(*actors: Actor, kind: str = "order.placed") -> UUID:
    def tell(session: Session) -> UUID:
        seen_by = [actor.organisation_id for actor in actors]
        return outbox.announce(session, kind, now=NOW, seen_by=seen_by, order_id=ORDER)

    return in_unit_of_work(tell)


def one(statement: str) -> Any:
    with unit_of_work() as session:
        return session.execute(text(statement)).one()


def state(endpoint_id: UUID) -> tuple[str, int, str, int]:
    """Status and failures of the endpoint, status and attempts of its only delivery."""
    row = one(
        "SELECT w.status, w.failures, d.status, d.attempts FROM webhook_endpoint w, delivery d"
        f" WHERE w.id = '{endpoint_id}' AND d.consumer = 'webhook:{endpoint_id.hex}'"
    )
    return tuple(row)


def time_passes(statement: str = "UPDATE webhook_endpoint SET rest_until = NULL") -> None:
    with unit_of_work() as session:
        session.execute(text("UPDATE delivery SET due_at = clock_timestamp() WHERE status = 'waiting'"))
        session.execute(text(statement))


def is_signed(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """The check of Standard Webhooks, as a receiver writes it."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mac = hmac.new(base64.b64decode(secret[6:]), signed, hashlib.sha256)
    return "v1," + base64.b64encode(mac.digest()).decode() in headers["webhook-signature"].split(" ")


def test_an_event_is_posted_once_signed_with_the_secret_that_was_shown(buyer: Actor, listener: Listener) -> None:
    made = client_of(buyer).post("/v1/me/webhooks", json={"url": listener.url, "kinds": ["order.placed"]})
    event_id = announced(buyer)
    began = datetime.now(UTC)
    assert len(work("webhook:")) == 1
    assert work("webhook:") == []
    ((headers, body),) = listener.requests
    assert made.status_code == 201
    assert is_signed(made.json["secret"], headers, body)
    assert not is_signed(made.json["secret"], headers, body + b" ")
    assert headers["webhook-id"] == f"evt_{event_id.hex}"
    assert abs(int(headers["webhook-timestamp"]) - began.timestamp()) < 5
    assert headers["content-type"] == "application/json"
    assert json.loads(body) == {
        "type": "order.placed",
        "timestamp": NOW.isoformat(),
        "data": {"order_id": ORDER.hex},
    }
    assert state(PublicId("hook").parse(made.json["id"])) == ("active", 0, "done", 1)


def test_nothing_of_the_secret_is_kept(buyer: Actor, listener: Listener) -> None:
    client = client_of(buyer)
    made = client.post(
        "/v1/me/webhooks",
        json={"url": listener.url, "kinds": ["*"]},
        headers={"Idempotency-Key": "a-key-of-mine"},
    ).json
    assert "secret" not in client.get("/v1/me/webhooks").json["items"][0]
    assert one("SELECT count(*) FROM idempotency_key")[0] == 0
    other = member()
    assert (
        client_of(other).post("/v1/me/webhooks", json={"url": listener.url, "kinds": ["*"]}).json["secret"]
        != (made["secret"])
    )


def test_only_chosen_kinds_of_events_that_the_organisation_may_see_are_sent(buyer: Actor) -> None:
    stranger = member()
    with listening() as chosen, listening() as everything:
        endpoint(buyer, chosen.url, "supplier_order.shipped")
        endpoint(buyer, everything.url, "*")
        shipped = announced(buyer, kind="supplier_order.shipped")
        announced(buyer, kind="order.placed")
        announced(stranger, kind="supplier_order.shipped")
        announced(kind="supplier_order.shipped")
        work("webhook:")
        assert [headers["webhook-id"] for headers, _ in chosen.requests] == [f"evt_{shipped.hex}"]
        assert sorted(json.loads(body)["type"] for _, body in everything.requests) == [
            "order.placed",
            "supplier_order.shipped",
        ]


@pytest.mark.parametrize("answer", [500, 302, 404])
def test_a_failure_comes_again_later_under_the_same_id(buyer: Actor, answer: int) -> None:
    with listening(answer, answer) as server:
        key = endpoint(buyer, server.url)
        announced(buyer)
        work("webhook:")
        assert state(key) == ("active", 1, "waiting", 1)
        assert work("webhook:") == []  # it is not due yet
        time_passes()
        work("webhook:")
        time_passes()
        work("webhook:")
        assert state(key) == ("active", 0, "done", 3)
        assert len(server.requests) == 3
        assert len({headers["webhook-id"] for headers, _ in server.requests}) == 1
        assert len({body for _, body in server.requests}) == 1


def test_the_pauses_grow_to_a_day_and_then_the_message_is_parked(buyer: Actor) -> None:
    with listening(*[500] * 20) as server:
        key = endpoint(buyer, server.url)
        event_id = announced(buyer)
        pauses = []
        for _ in range(webhooks.ATTEMPTS):
            work("webhook:")
            pauses.append(one("SELECT extract(epoch FROM due_at - clock_timestamp()) FROM " + SENT)[0])
            time_passes()
        assert state(key)[2:] == ("parked", webhooks.ATTEMPTS)
        assert len(server.requests) == webhooks.ATTEMPTS == 10
        for found, expected in zip(pauses, (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400), strict=False):
            assert 0.8 * expected - 1 <= float(found) <= 1.2 * expected
        assert one("SELECT error FROM " + SENT)[0] == "answered 500"
        assert run(event_id, f"webhook:{key.hex}") is False
        assert len(server.requests) == 10


def test_a_receiver_that_asks_for_time_is_given_it(buyer: Actor) -> None:
    with listening(429) as server:
        server.headers = {"Retry-After": "3600"}
        endpoint(buyer, server.url)
        announced(buyer)
        work("webhook:")
    assert 3500 < one("SELECT extract(epoch FROM due_at - clock_timestamp()) FROM " + SENT)[0] <= 3600


def test_nobody_there_is_a_failure_like_any_other(buyer: Actor) -> None:
    with listening() as server:
        url = server.url
    key = endpoint(buyer, url)
    announced(buyer)
    work("webhook:")
    assert state(key) == ("active", 1, "waiting", 1)


def test_gone_disables_the_endpoint_at_once_and_the_organisation_is_told(buyer: Actor) -> None:
    with listening(410) as server:
        key = endpoint(buyer, server.url)
        announced(buyer)
        work("webhook:")
        assert state(key) == ("disabled", 1, "parked", 1)
        announced(buyer)
        assert work("webhook:", "notices.tell")[:1] == ["notices.tell"]
        assert len(server.requests) == 1
    notices = client_of(buyer).get("/v1/me/notices").json["items"]
    assert [(notice["kind"], notice["subject"]) for notice in notices] == [
        ("webhook_endpoint.disabled", f"hook_{key.hex}")
    ]


def test_failures_in_a_row_give_rests_with_one_try_each_and_disable_in_the_end(buyer: Actor) -> None:
    with listening(*[503] * 100) as server:
        key = endpoint(buyer, server.url)
        for _ in range(25):
            announced(buyer)
        work("webhook:")
        assert len(server.requests) == webhooks.REST_AFTER
        waiting = one("SELECT count(*), max(attempts), count(*) FILTER (WHERE attempts = 0) FROM delivery"
                      " WHERE consumer LIKE 'webhook:%' AND status = 'waiting'")  # fmt: skip
        assert tuple(waiting) == (25, 1, 20)
        for failures in range(webhooks.REST_AFTER + 1, webhooks.DISABLE_AFTER + 1):
            time_passes()
            work("webhook:")
            assert len(server.requests) == failures
        assert one(f"SELECT status FROM webhook_endpoint WHERE id = '{key}'")[0] == "disabled"
        time_passes()
        work("webhook:")
        assert len(server.requests) == webhooks.DISABLE_AFTER
        assert one("SELECT count(*) FROM event WHERE kind = 'webhook_endpoint.disabled'")[0] == 1


def test_a_success_forgives_the_failures(buyer: Actor) -> None:
    with listening(500, 500, 500, 500) as server:
        key = endpoint(buyer, server.url)
        for _ in range(5):
            announced(buyer)
        work("webhook:")
        assert one(f"SELECT failures, rest_until FROM webhook_endpoint WHERE id = '{key}'") == (0, None)


def test_a_sleeper_whose_message_was_sent_by_another_sends_nothing(buyer: Actor, listener: Listener) -> None:
    key = endpoint(buyer, listener.url)
    event_id = announced(buyer)
    relay()
    sleeper = outbox.claim(event_id, f"webhook:{key.hex}", lease=timedelta(seconds=-1))
    assert sleeper is not None
    assert run(event_id, f"webhook:{key.hex}")
    with pytest.raises(outbox.Fenced):
        send(sleeper, **sleeper.payload)
    assert len(listener.requests) == 1


def test_redelivery_sends_the_event_again_under_its_id(buyer: Actor, listener: Listener) -> None:
    client = client_of(buyer)
    key = endpoint(buyer, listener.url)
    event_id = announced(buyer)
    work("webhook:")
    place, body = f"/v1/me/webhooks/hook_{key.hex}", {"event_id": f"evt_{event_id.hex}"}
    assert client.post(f"{place}/redeliver", json=body).status_code == 202
    work("webhook:")
    assert [headers["webhook-id"] for headers, _ in listener.requests] == [f"evt_{event_id.hex}"] * 2
    unknown = client.post(f"{place}/redeliver", json={"event_id": f"evt_{new_id().hex}"})
    assert unknown.status_code == 404
    with unit_of_work() as session:
        session.execute(text("UPDATE webhook_endpoint SET status = 'disabled'"))
    refused = client.post(f"{place}/redeliver", json=body)
    assert (refused.status_code, refused.json["code"]) == (409, "endpoint_disabled")
    assert client.post(f"{place}/enable").json["status"] == "active"
    assert client.post(f"{place}/redeliver", json=body).status_code == 202


def test_a_message_under_way_is_not_sent_beside_itself(buyer: Actor, listener: Listener) -> None:
    key = endpoint(buyer, listener.url)
    event_id = announced(buyer)
    relay()
    assert outbox.claim(event_id, f"webhook:{key.hex}") is not None
    refused = client_of(buyer).post(
        f"/v1/me/webhooks/hook_{key.hex}/redeliver", json={"event_id": f"evt_{event_id.hex}"}
    )
    assert (refused.status_code, refused.json["code"]) == (409, "delivery_open")


def test_the_log_says_what_was_sent_page_by_page(buyer: Actor) -> None:
    with listening(500) as server:
        key = endpoint(buyer, server.url)
        events = [announced(buyer) for _ in range(3)]
        work("webhook:")
    client, place = client_of(buyer), f"/v1/me/webhooks/hook_{key.hex}/deliveries"
    first = client.get(place, query_string={"limit": 2}).json
    rest = client.get(place, query_string={"limit": 2, "cursor": first["next"]}).json
    items = [*first["items"], *rest["items"]]
    assert [item["event_id"] for item in items] == [f"evt_{event.hex}" for event in reversed(events)]
    assert rest["next"] is None
    failed = [item for item in items if item["status"] == "waiting"]
    assert [(item["attempts"], item["error"], item["done_at"]) for item in failed] == [(1, "answered 500", None)]
    assert failed[0]["next_at"] is not None
    assert sorted(item["status"] for item in items) == ["done", "done", "waiting"]


def test_a_removed_endpoint_hears_nothing_more(buyer: Actor, listener: Listener) -> None:
    client = client_of(buyer)
    key = endpoint(buyer, listener.url)
    announced(buyer)
    due = [each for each in relay() if each[1].startswith("webhook:")]
    assert client.delete(f"/v1/me/webhooks/hook_{key.hex}").status_code == 204
    assert [run(*each) for each in due] == [False]
    assert listener.requests == []
    assert client.get("/v1/me/webhooks").json == {"items": []}


def test_another_organisation_finds_no_endpoint(buyer: Actor, listener: Listener) -> None:
    key = endpoint(buyer, listener.url)
    event_id = announced(buyer)
    relay()
    stranger = client_of(member(Kind.COOPERATIVE))
    place = f"/v1/me/webhooks/hook_{key.hex}"
    answers = [
        stranger.delete(place),
        stranger.get(f"{place}/deliveries"),
        stranger.post(f"{place}/enable"),
        stranger.post(f"{place}/redeliver", json={"event_id": f"evt_{event_id.hex}"}),
    ]
    assert [answer.status_code for answer in answers] == [404] * 4
    assert stranger.get("/v1/me/webhooks").json == {"items": []}
    assert one("SELECT count(*) FROM webhook_endpoint")[0] == 1


def test_a_role_without_the_right_is_refused(buyer: Actor) -> None:
    requester = client_of(member(roles=[Role.REQUESTER]))
    answer = requester.post("/v1/me/webhooks", json={"url": "https://example.com/", "kinds": ["*"]})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"url": "http://example.com/hear"}, "/url"),
        ({"url": "https://user:word@example.com/"}, "/url"),
        ({"url": "https://0x7f000001/"}, "/url"),
        ({"url": "ftp://127.0.0.1/x"}, "/url"),
        ({"kinds": ["order.palced"]}, "/kinds"),
        ({"kinds": []}, "/kinds"),
    ],
)
def test_what_cannot_work_is_refused_at_once(buyer: Actor, change: dict[str, Any], pointer: str) -> None:
    body = {"url": "https://example.com/hear", "kinds": ["order.placed"]} | change
    answer = client_of(buyer).post("/v1/me/webhooks", json=body)
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, pointer)


def test_an_address_is_registered_once_and_only_so_many(buyer: Actor) -> None:
    client = client_of(buyer)
    answers = [
        client.post("/v1/me/webhooks", json={"url": f"https://example.com/{place}", "kinds": ["*"]})
        for place in (0, 0, *range(1, webhooks.MAX_ENDPOINTS + 1))
    ]
    codes = [answer.json.get("code", "made") for answer in answers]
    assert codes == ["made", "endpoint_exists", *["made"] * (webhooks.MAX_ENDPOINTS - 1), "too_many_endpoints"]


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {
        "SHOP_ENV": "production",
        "SHOP_SMTP_URL": "file:",
        "SHOP_SECRET_KEY": "s" * 40,
        "SHOP_STRIPE_SECRET_KEY": "sk_test_x",
        "SHOP_STRIPE_WEBHOOK_SECRET": "whsec_x",
    }.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.parametrize("url", ["https://127.0.0.1/x", "https://localhost/x", "https://10.0.0.7/x", "https://[::1]/x"])
def test_production_takes_no_address_of_its_own_network(buyer: Actor, production: None, url: str) -> None:
    if "localhost" in url:  # a name is asked for when it is called, and refused then
        key = endpoint(buyer, url)
        announced(buyer)
        work("webhook:")
        assert state(key)[2] == "parked"
        assert one("SELECT error FROM " + SENT)[0] == "localhost is not a public address."
        return
    with pytest.raises(Invalid), unit_of_work() as session:
        webhooks.register(session, actor=buyer, url=url, kinds=["*"])


def test_an_address_of_tests_is_not_called_once_the_shop_is_in_production(
    buyer: Actor, listener: Listener, request: pytest.FixtureRequest
) -> None:
    key = endpoint(buyer, listener.url)
    announced(buyer)
    relay()
    request.getfixturevalue("production")
    time_passes("UPDATE delivery SET due_at = clock_timestamp()")
    work("webhook:")
    assert state(key)[2] == "parked"
    assert listener.requests == []


def test_an_endpoint_with_a_public_name_is_never_let_into_the_own_network(buyer: Actor, listener: Listener) -> None:
    key = endpoint(buyer, "https://localhost.localdomain/hear")
    with unit_of_work() as session:  # as a name that has come to point here
        session.execute(text(f"UPDATE webhook_endpoint SET url = 'https://127.0.0.1:{listener.server_port}/'"))
    announced(buyer)
    work("webhook:")
    assert state(key)[2] == "parked"
    assert listener.requests == []


def test_every_event_that_organisations_may_see_can_be_chosen() -> None:
    seen = {f"supplier_order.{status}" for status in Status if status != Status.PLACED}
    for path in Path(webhooks.__file__).parents[1].rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "announce"):
                continue
            named = {keyword.arg for keyword in node.keywords}
            if "seen_by" in named and len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
                seen.add(node.args[1].value)
    assert seen <= set(webhooks.PUBLISHED)


def test_nobody_finds_the_endpoint_of_nobody(session: Session) -> None:
    actor = a_member(session, an_organisation(session))
    with pytest.raises(NotFound):
        webhooks.find(session, actor, new_id())
