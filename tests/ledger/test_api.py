"""Statements of account through the API: each sees its own, operators and auditors an order's whole posting."""

from typing import Any

import pytest
from flask import Flask, request
from flask.testing import FlaskClient

from shop.accounts.models import Kind
from shop.actor import Actor, Role
from shop.db import unit_of_work
from shop.http import problems
from shop.http.routes import mount
from shop.ids import new_id
from shop.ledger import service as ledger
from shop.ledger.api import routes
from shop.ledger.models import AccountKind
from shop.ledger.service import PLATFORM_ID, Leg
from tests import builders as a

ORDER = new_id()


@pytest.fixture
def client(committed: str) -> FlaskClient:
    actors: dict[str, Actor] = {}
    with unit_of_work() as session:
        platform = a.an_organisation(session, Kind.PLATFORM, id=PLATFORM_ID, uscc=None)
        buyer = a.an_organisation(session)
        seller = a.an_organisation(session, Kind.COOPERATIVE)
        actors["buyer"] = a.a_member(session, buyer, roles={Role.RECEIVER})
        actors["seller"] = a.a_member(session, seller)
        actors["other"] = a.a_member(session, a.an_organisation(session))
        actors["auditor"] = a.a_member(session, platform, roles={Role.AUDITOR})
        actors["analyst"] = a.a_member(session, platform, roles={Role.ANALYST})
        for kind, legs in (
            ("payment", [Leg(PLATFORM_ID, AccountKind.BANK, 900), Leg(buyer.id, AccountKind.BUYER, -900)]),
            ("acceptance", [Leg(buyer.id, AccountKind.BUYER, 800), Leg(seller.id, AccountKind.COOPERATIVE, -800)]),
            ("refund", [Leg(buyer.id, AccountKind.BUYER, 100), Leg(PLATFORM_ID, AccountKind.BANK, -100)]),
        ):
            ledger.post(session, kind=kind, source_id=new_id(), order_id=ORDER, legs=legs, now=a.NOW)
    app = Flask("t")
    mount(app, routes, lambda session: a.behind(session, actors[request.headers["Authorization"]]))
    problems.install(app)
    return app.test_client()


def get(client: FlaskClient, path: str, by: str) -> Any:
    return client.get(path, headers={"Authorization": by})


def test_a_statement_is_read_in_pages_down_to_nothing(client: FlaskClient) -> None:
    first = get(client, "/v1/buyer/ledger?limit=2", "buyer").json
    second = get(client, f"/v1/buyer/ledger?limit=2&cursor={first['next']}", "buyer").json
    entries = first["items"] + second["items"]
    assert first["balance_fen"] == second["balance_fen"] == 0
    assert second["next"] is None
    assert sorted((entry["kind"], entry["amount_fen"]) for entry in entries) == [
        ("acceptance", 800), ("payment", -900), ("refund", 100),
    ]  # fmt: skip
    assert [entry["running_fen"] for entry in entries] == [
        sum(entry["amount_fen"] for entry in entries[place:]) for place in range(3)
    ]
    assert {entry["order_id"] for entry in entries} == {f"ord_{ORDER.hex}"}


def test_everybody_sees_their_own_account_alone(client: FlaskClient) -> None:
    assert [entry["amount_fen"] for entry in get(client, "/v1/cooperative/ledger", "seller").json["items"]] == [-800]
    assert get(client, "/v1/buyer/ledger", "other").json == {"items": [], "balance_fen": 0, "next": None}
    assert get(client, "/v1/buyer/ledger", "seller").status_code == 404
    cursor = get(client, "/v1/buyer/ledger?limit=1", "buyer").json["next"]
    assert get(client, f"/v1/buyer/ledger?cursor={cursor}", "other").status_code == 422
    assert get(client, "/v1/buyer/ledger?cursor=WzFd", "buyer").status_code == 422


def test_an_auditor_reads_all_postings_of_an_order(client: FlaskClient) -> None:
    found = get(client, f"/v1/admin/ledger?order_id=ord_{ORDER.hex}", "auditor").json["items"]
    assert [entry["kind"] for entry in found[::2]] == ["payment", "acceptance", "refund"]
    assert sum(entry["amount_fen"] for entry in found) == 0
    assert {entry["account"] for entry in found} == {"bank", "buyer", "cooperative"}
    assert get(client, f"/v1/admin/ledger?order_id=ord_{ORDER.hex}", "analyst").status_code == 403
    assert get(client, f"/v1/admin/ledger?order_id=ord_{ORDER.hex}", "buyer").status_code == 404
    assert get(client, "/v1/admin/ledger", "auditor").status_code == 422
