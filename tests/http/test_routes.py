"""Routes: who, what, once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from shop.actor import Actor, Audience, Role
from shop.db import unit_of_work
from shop.errors import NotFound, Refusal
from shop.http import idempotency, openapi, problems
from shop.http.idempotency import IdempotencyKey, Kept, Place
from shop.http.routes import PUBLIC, REQUIRED, In, Out, Query, Routes, audience, mount, roles
from shop.ids import OrderId, new_id
from tests.builders import behind

ORGANISATIONS = {"one": new_id(), "two": new_id()}
routes = Routes("/t", tag="Test")


class Body(In):
    number: int
    fail: bool = False


class Echo(Out):
    number: int
    organisation: str


class Page(Query):
    limit: int = 10


class Unlucky(Refusal):
    code, status = "unlucky", 409


@routes.post("/count", allow=roles(Role.REQUESTER), answers={201: Echo}, refusals=(Unlucky,), key=REQUIRED)
def count_up(session: Session, actor: Actor, body: Body) -> Echo:
    """Move the one counter there is."""
    session.execute(text("UPDATE business_clock SET offset_us = offset_us + 1"))
    if body.fail:
        raise Unlucky("Not today.", available=3)
    return Echo(number=body.number, organisation=actor.organisation_id.hex)


@routes.get("/list", allow=audience(Audience.BUYER), answers={200: Echo})
def read_list(now: datetime, query: Page) -> Echo:
    """Read."""
    return Echo(number=query.limit, organisation=now.isoformat())


@routes.get("/open/<order_id>", allow=PUBLIC, answers={200: Echo}, refusals=(NotFound,))
def read_one(order_id: OrderId) -> Echo:
    """Read one."""
    return Echo(number=0, organisation=order_id.hex)


def who(session: Session) -> tuple[Actor, datetime] | None:
    name, _, kind = request.headers.get("Authorization", "").partition("/")
    if name not in ORGANISATIONS:
        return None
    side = Audience.BUYER if kind != "coop" else Audience.COOPERATIVE
    given = frozenset({Role.REQUESTER} if kind != "reader" else {Role.RECEIVER})
    return behind(session, Actor(new_id(), new_id(), ORGANISATIONS[name], side, given))


@pytest.fixture
def client(committed: str) -> FlaskClient:
    app = Flask("t")
    mount(app, routes, who)
    problems.install(app)
    return app.test_client()


def post(client: FlaskClient, body: Any, key: str | None = "k1", auth: str = "one") -> Any:
    headers = {"Authorization": auth} | ({"Idempotency-Key": key} if key else {})
    return client.post("/t/count", json=body, headers=headers)


def counter() -> int:
    with unit_of_work() as session:
        return int(session.scalar(text("SELECT offset_us FROM business_clock")) or 0)


def test_the_same_key_and_body_is_one_effect_and_one_answer(client: FlaskClient) -> None:
    first, second = post(client, {"number": 5}), post(client, {"number": 5})
    assert (first.status_code, second.status_code, second.data) == (201, 201, first.data)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert counter() == 1


def test_another_body_on_the_key_is_422_and_another_organisation_has_its_own_keys(client: FlaskClient) -> None:
    post(client, {"number": 5})
    assert post(client, {"number": 6}).json["code"] == "idempotency_key_reused"
    assert post(client, {"number": 6}, auth="two").status_code == 201
    assert counter() == 2


def test_a_missing_or_odd_key_is_400(client: FlaskClient) -> None:
    assert post(client, {"number": 5}, key=None).json["code"] == "idempotency_key_missing"
    for odd in ("x" * 256, "é"):
        assert post(client, {"number": 5}, key=odd).json["code"] == "idempotency_key_malformed"
    assert counter() == 0


def test_a_refusal_undoes_everything_and_leaves_the_key_free(client: FlaskClient) -> None:
    refused = post(client, {"number": 5, "fail": True})
    assert (refused.status_code, refused.json["available"], refused.mimetype) == (409, 3, problems.MIMETYPE)
    assert counter() == 0
    with unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(IdempotencyKey)) == 0


def test_twenty_at_once_on_one_key_are_one_effect(client: FlaskClient) -> None:
    app = client.application

    def send(_: int) -> int:
        return int(post(app.test_client(), {"number": 5}).status_code)

    with ThreadPoolExecutor(5) as pool:
        assert set(pool.map(send, range(20))) == {201}
    assert counter() == 1


def test_a_twin_that_waited_in_vain_is_told_that_the_first_is_still_worked_on(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def claim(session: Session, place: Place, *, body: bytes) -> Kept | None:
        session.execute(text("SET LOCAL lock_timeout = '50ms'"))
        return idempotency_claim(session, place, body=body)

    idempotency_claim = idempotency.claim
    monkeypatch.setattr(idempotency, "claim", claim)
    with unit_of_work() as first:
        place = Place(ORGANISATIONS["one"], "POST /t/count", "once")
        idempotency_claim(first, place, body=b'{"number":5}')
        answer = post(client, {"number": 5}, key="once")
        assert (answer.status_code, answer.json["code"]) == (409, "request_in_flight")


def test_nobody_a_stranger_and_a_lesser_role_are_turned_away_before_the_body_is_read(client: FlaskClient) -> None:
    assert post(client, {}, auth="").status_code == 401
    assert post(client, {}, auth="one/reader").json["code"] == "forbidden"
    assert client.get("/t/list", headers={"Authorization": "one/coop"}).status_code == 404


def test_every_wrong_field_is_named(client: FlaskClient) -> None:
    answer = post(client, {"number": "5", "extra": 1})
    assert answer.status_code == 422
    assert {error["pointer"] for error in answer.json["errors"]} == {"/number", "/extra"}


def test_the_body_must_be_json(client: FlaskClient) -> None:
    answer = client.post("/t/count", data="number=5", headers={"Authorization": "one", "Idempotency-Key": "k"})
    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_media_type")


def test_a_query_is_read_as_its_types_and_unknown_names_are_refused(client: FlaskClient) -> None:
    assert client.get("/t/list?limit=3", headers={"Authorization": "one"}).json["number"] == 3
    refused = client.get("/t/list?limit=x&foo=1", headers={"Authorization": "one"})
    assert {error["pointer"] for error in refused.json["errors"]} == {"/query/limit", "/query/foo"}


def test_a_query_with_what_no_text_can_keep_is_refused_with_its_name(client: FlaskClient) -> None:
    refused = client.get("/t/list?limit=%00", headers={"Authorization": "one"})
    assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (422, "/query/limit")
    unknown = client.get("/t/list?x%00y=1", headers={"Authorization": "one"})
    assert (unknown.status_code, unknown.json["errors"][0]["code"]) == (422, "bad_text")


def test_an_unchanged_read_is_304(client: FlaskClient) -> None:
    first = client.get("/t/list", headers={"Authorization": "one"})
    again = client.get("/t/list", headers={"Authorization": "one", "If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("word", ["ord_1", "lst_" + "0" * 32, "ord_" + "G" * 32, "%00", "ord_" + "0" * 33])
def test_what_could_never_be_an_id_is_as_missing_as_one_that_is_not_there(client: FlaskClient, word: str) -> None:
    assert client.get(f"/t/open/{word}").status_code == 404


def test_an_id_is_read_back_from_its_public_form(client: FlaskClient) -> None:
    key = UUID(int=7)
    assert client.get(f"/t/open/ord_{key.hex}").json["organisation"] == key.hex


def test_titles_follow_the_language_of_the_caller(client: FlaskClient) -> None:
    chinese = client.get("/t/list").json["title"]
    english = client.get("/t/list", headers={"Accept-Language": "en"}).json["title"]
    assert (chinese, english) == ("请先登录。", "Log in first.")


def test_the_document_names_every_answer_of_a_route() -> None:
    found = openapi.document(routes.operations, version="1")
    answers = found["paths"]["/t/count"]["post"]["responses"]
    assert set(answers) == {"201", "400", "401", "403", "409", "413", "415", "422", "429", "503"}
    assert "unlucky" in answers["409"]["description"]
    assert found["paths"]["/t/open/{order_id}"]["get"]["parameters"][0]["schema"]["pattern"] == "^ord_[0-9a-f]{32}$"


def test_a_view_that_asks_for_what_nobody_provides_is_refused_at_start() -> None:
    with pytest.raises(TypeError, match="weather"):

        @Routes("/x", tag="x").get("/y", allow=PUBLIC, answers={200: None})
        def odd(weather: str) -> None:
            """No."""
