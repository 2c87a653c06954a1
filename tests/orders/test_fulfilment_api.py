"""The way of a supplier order through the API: who may, what is answered, and once."""

from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.accounts.models import Kind
from shop.actor import SYSTEM, Actor, Role
from shop.db import unit_of_work
from shop.http import openapi, problems
from shop.http.routes import REQUIRED, mount
from shop.ids import new_id
from shop.ledger import service as ledger
from shop.ledger.models import AccountKind
from shop.logistics.api import buying, selling
from shop.orders.api_fulfilment import filling_routes, inspection_routes
from shop.orders.service.moving import confirm_order
from shop.stock.models import Lot
from tests import builders as a
from tests.orders.journey import LATER

ROUTES = (filling_routes, inspection_routes, selling, buying)


class Shop:
    """A served shop with one buyer, two cooperatives and a stranger on either side, at an instant that can be moved."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.now = a.NOW
        self.keys = iter(range(10_000))
        with unit_of_work() as session:
            self.world = a.World(session)
            self.listing = self.world.offer(100, lots=100)
            lot = session.scalars(select(Lot).where(Lot.product_id == self.listing.product_id)).one()
            self.lot, self.lot_code = f"lot_{lot.id.hex}", lot.code
            seller = session.get_one(a.Organisation, self.listing.cooperative_id)
            self.actors: dict[str, Actor] = {
                "buyer": self.world.actor,
                "payer": a.a_member(session, self.world.buyer, roles={Role.FINANCE, Role.APPROVER}),
                "seller": a.a_member(session, seller),
                "lister": a.a_member(session, seller, roles={Role.LISTER}),
                "other buyer": a.a_member(session, a.an_organisation(session)),
                "other seller": a.a_member(session, a.an_organisation(session, Kind.COOPERATIVE)),
                "operator": a.a_member(session, a.an_organisation(session, Kind.PLATFORM, uscc=None)),
            }

    def who(self, session: Session) -> tuple[Actor, datetime] | None:
        return a.behind(session, self.actors.get(request.headers.get("Authorization", "")), self.now)

    def order(self, packs: int = 10) -> str:
        """The public id of a confirmed supplier order."""
        with unit_of_work() as session:
            self.world.session = session
            placed = self.world.place({self.listing.id: packs})
            confirm_order(session, order_id=placed.id, by=SYSTEM, now=a.NOW)
        return f"so_{placed.parts[0].id.hex}"

    def get(self, path: str, by: str) -> Any:
        return self.client.get(path, headers={"Authorization": by})

    def post(self, path: str, body: Any = None, by: str = "seller", key: str | None = "") -> Any:
        headers = {"Authorization": by}
        if key is not None:
            headers["Idempotency-Key"] = key or f"key-{next(self.keys)}"
        return self.client.post(path, json={} if body is None else body, headers=headers)

    def fill(self, part: str, *steps: str) -> Any:
        """Take the cooperative's next steps; gives the last answer."""
        bodies = {"ship": {"carrier": "own", "waybill": f"W-{part[-8:]}"}}
        for step in steps:
            answer = self.post(f"/v1/cooperative/supplier-orders/{part}/{step}", bodies.get(step))
            assert answer.status_code == 200, answer.json
        return answer.json

    def deliver(self, part: str) -> None:
        shipment = self.fill(part, "accept", "pack", "ship")["shipment"]["id"]
        self.now = LATER
        word = {"ref": "1", "kind": "delivered", "place": "上海"}
        assert self.post(f"/v1/cooperative/shipments/{shipment}/tracking", word).status_code == 200


@pytest.fixture
def shop(committed: str) -> Shop:
    app = Flask("t")
    made: list[Shop] = []
    for routes in ROUTES:
        mount(app, routes, lambda session: made[0].who(session))
    problems.install(app)
    made.append(Shop(app.test_client()))
    return made[0]


def test_a_supplier_order_goes_from_confirmed_to_inspected(shop: Shop) -> None:
    part = shop.order(10)
    path = f"/v1/cooperative/supplier-orders/{part}"
    assert shop.get("/v1/cooperative/supplier-orders?status=confirmed", "seller").json["items"][0]["id"] == part
    assert shop.fill(part, "accept")["status"] == "accepted"
    packed = shop.fill(part, "pack")
    line = packed["lines"][0]["id"]
    lots = [
        {
            "line_id": line,
            "lot_id": shop.lot,
            "code": shop.lot_code,
            "best_before": "2025-03-01",
            "packs": 10,
            "quantity": 50_000,
        }
    ]
    assert (packed["status"], packed["lots"], packed["shipment"]) == ("packed", lots, None)
    before = shop.get(f"/v1/buyer/supplier-orders/{part}/tracking", "buyer").json
    assert (before["shipment"], before["events"], before["shipped"]) == (None, [], [])
    shipped = shop.fill(part, "ship")
    assert shipped["shipment"]["due_at"] == "2024-10-18T10:00:00+00:00"
    word = {"ref": "9", "kind": "delivered", "place": "上海", "note": "门卫签收"}
    shop.now = LATER
    told = shop.post(f"/v1/cooperative/shipments/{shipped['shipment']['id']}/tracking", word).json
    assert told["events"] == [
        {"kind": "delivered", "place": "上海", "note": "门卫签收", "at": "2024-10-19T02:00:00+00:00"}
    ]
    tracking = shop.get(f"/v1/buyer/supplier-orders/{part}/tracking", "buyer").json
    assert (tracking["status"], tracking["shipped"], tracking["shipment"]["status"]) == ("delivered", lots, "delivered")
    counts = {"line_id": line, "lot_id": shop.lot, "accepted": 8, "rejected": 1, "short": 1, "reason": "破损"}
    answer = shop.post(f"/v1/buyer/supplier-orders/{part}/inspection", {"lines": [counts], "note": "两人验收"}, "buyer")
    assert answer.status_code == 201
    note = answer.json
    assert (note["number"], note["goods_fen"], note["freight_fen"], note["total_fen"], note["note"]) == (
        "AN-2024-000001",
        32_000,
        3_000,
        35_000,
        "两人验收",
    )
    unmeasured = {"silent": False, "photos": [], "temperature_tenths": None}
    assert note["lines"] == [counts | {"goods_fen": 32_000} | unmeasured]
    assert shop.get(f"/v1/buyer/supplier-orders/{part}/inspection", "buyer").json == note
    seen = shop.get(path, "seller").json
    assert (seen["status"], seen["acceptance"], seen["accepted_goods_fen"]) == ("inspected", note, 32_000)
    assert [move["status"] for move in seen["history"]] == [
        "placed",
        "confirmed",
        "accepted",
        "packed",
        "shipped",
        "delivered",
        "inspected",
    ]
    assert seen["destination"] == {"division_code": a.HUANGPU, "line": "（测试）某路 1 号"}
    with unit_of_work() as session:
        owed = ledger.balance(session, shop.world.buyer.id, AccountKind.BUYER)
        earned = ledger.balance(session, shop.listing.cooperative_id, AccountKind.COOPERATIVE)
    assert (owed, earned) == (35_000, -35_000)


def test_accept_all_is_the_short_way_for_a_good_delivery(shop: Shop) -> None:
    part = shop.order(10)
    shop.deliver(part)
    answer = shop.post(f"/v1/buyer/supplier-orders/{part}/inspection", {"accept_all": True}, "buyer")
    assert answer.status_code == 201
    assert [(line["accepted"], line["rejected"], line["short"]) for line in answer.json["lines"]] == [(10, 0, 0)]


@pytest.mark.parametrize(
    "body", [{}, {"accept_all": False}, {"lines": []}, {"accept_all": True, "lines": [{}]}, {"everything": True}]
)
def test_an_inspection_that_says_nothing_or_two_things_is_refused(shop: Shop, body: dict[str, Any]) -> None:
    part = shop.order(10)
    shop.deliver(part)
    answer = shop.post(f"/v1/buyer/supplier-orders/{part}/inspection", body, "buyer")
    assert (answer.status_code, answer.json["code"]) == (422, "invalid")


def test_counts_that_differ_are_a_problem_that_names_field_and_facts(shop: Shop) -> None:
    part = shop.order(10)
    shop.deliver(part)
    line = shop.get(f"/v1/buyer/supplier-orders/{part}/tracking", "buyer").json["shipped"][0]
    counts = {"line_id": line["line_id"], "lot_id": line["lot_id"], "accepted": 9}
    answer = shop.post(f"/v1/buyer/supplier-orders/{part}/inspection", {"lines": [counts]}, "buyer")
    assert (answer.status_code, answer.json["code"]) == (422, "wrong_counts")
    (error,) = answer.json["errors"]
    assert (error["pointer"], error["shipped"], error["counted"]) == ("/lines/0", 10, 9)


def test_every_step_on_its_key_happens_once_and_is_answered_alike(shop: Shop) -> None:
    part = shop.order(10)
    for step, body in (("accept", None), ("pack", None), ("ship", {"carrier": "simulated"})):
        path = f"/v1/cooperative/supplier-orders/{part}/{step}"
        first, again = (shop.post(path, body, key=f"same-{step}") for _ in range(2))
        assert (first.status_code, again.data) == (200, first.data)
        assert shop.post(path, body).json["code"] == "wrong_order_status"
        assert shop.post(path, body, key=None).json["code"] == "idempotency_key_missing"


PATHS = {
    "GET /v1/cooperative/supplier-orders": ("seller lister", None),
    "GET /v1/cooperative/supplier-orders/<part>": ("seller lister", None),
    "POST /v1/cooperative/supplier-orders/<part>/accept": ("seller", {}),
    "POST /v1/cooperative/supplier-orders/<part>/pack": ("seller", {}),
    "POST /v1/cooperative/supplier-orders/<part>/ship": ("seller", {}),
    "POST /v1/cooperative/shipments/<shipment>/tracking": ("seller", {"ref": "1", "kind": "at_hub", "place": "西安"}),
    "GET /v1/buyer/supplier-orders/<part>/tracking": ("buyer payer", None),
    "GET /v1/buyer/supplier-orders/<part>/inspection": ("buyer payer", None),
    "POST /v1/buyer/supplier-orders/<part>/inspection": ("buyer", {"accept_all": True}),
}
SAME_SIDE = {"buyer": {"buyer", "payer"}, "cooperative": {"seller", "lister"}}


def test_every_route_of_the_fulfilment_turns_away_whoever_may_not(shop: Shop) -> None:
    declared = {operation.name for routes in ROUTES for operation in routes.operations}
    assert {name.replace("<part>", "_").replace("<shipment>", "_") for name in PATHS} == {
        name.replace("<supplier_order_id>", "_").replace("<shipment_id>", "_") for name in declared
    }
    part = shop.order(10)
    shipment = shop.fill(part, "accept", "pack", "ship")["shipment"]["id"]
    before = shop.get(f"/v1/cooperative/supplier-orders/{part}", "seller").json
    for name, (may, body) in PATHS.items():
        method, path = name.replace("<part>", part).replace("<shipment>", shipment).split(" ")
        side = SAME_SIDE[path.split("/")[2]]
        for who in ("", *shop.actors):
            if who in may.split():
                continue
            answer = shop.get(path, who) if method == "GET" else shop.post(path, body, who)
            if path.endswith("/supplier-orders") and who == "other seller":
                assert (answer.status_code, answer.json["items"]) == (200, [])
                continue
            assert answer.status_code == (401 if not who else 403 if who in side else 404), (name, who)
    assert shop.get(f"/v1/cooperative/supplier-orders/{part}", "seller").json == before


def test_every_write_of_the_fulfilment_requires_a_key() -> None:
    writes = [operation for routes in ROUTES for operation in routes.operations if operation.method != "GET"]
    assert len(writes) == 5
    assert {operation.key for operation in writes} == {REQUIRED}


def test_what_is_not_there_is_404_and_what_lots_lack_is_named(shop: Shop) -> None:
    nothing = f"so_{UUID(int=1).hex}"
    for step in ("accept", "pack", "ship"):
        assert shop.post(f"/v1/cooperative/supplier-orders/{nothing}/{step}").status_code == 404
    assert shop.post("/v1/cooperative/supplier-orders/ord_1/accept").status_code == 404
    assert (
        shop.post(f"/v1/buyer/supplier-orders/{nothing}/inspection", {"accept_all": True}, "buyer").status_code == 404
    )
    word = {"ref": "1", "kind": "at_hub", "place": "西安"}
    assert shop.post(f"/v1/cooperative/shipments/shp_{new_id().hex}/tracking", word).status_code == 404
    with unit_of_work() as session:
        product = a.a_product(session, session.get_one(a.Organisation, shop.listing.cooperative_id), "绿豆")
        shop.listing = a.a_listing(session, product)
        a.a_supply(session, shop.listing, 100)
    part = shop.order(3)
    shop.fill(part, "accept")
    answer = shop.post(f"/v1/cooperative/supplier-orders/{part}/pack")
    assert (answer.status_code, answer.json["code"]) == (409, "not_enough_in_store")
    assert answer.json["short"] == [{"product_id": f"prd_{product.id.hex}", "needed": 15_000, "in_store": 0}]
    assert shop.get(f"/v1/cooperative/supplier-orders/{part}", "seller").json["status"] == "accepted"


def test_the_list_pages_by_cursor_within_one_status(shop: Shop) -> None:
    parts = [shop.order(1) for _ in range(5)]
    shop.fill(parts[2], "accept")
    path = "/v1/cooperative/supplier-orders?limit=2"
    seen: list[str] = []
    answer = shop.get(path, "seller").json
    while True:
        assert len(answer["items"]) <= 2
        seen += [item["id"] for item in answer["items"]]
        if answer["next"] is None:
            break
        answer = shop.get(f"{path}&cursor={answer['next']}", "seller").json
    assert seen == parts[::-1]
    one = shop.get(f"{path}&status=accepted", "seller").json
    assert ([item["id"] for item in one["items"]], one["next"]) == ([parts[2]], None)
    elsewhere = shop.get(path, "seller").json["next"]
    assert shop.get(f"{path}&status=confirmed&cursor={elsewhere}", "seller").status_code == 422
    assert shop.get("/v1/cooperative/supplier-orders?status=lost", "seller").status_code == 422


def test_the_routes_are_in_the_document_with_their_refusals() -> None:
    found = openapi.document([o for routes in ROUTES for o in routes.operations], version="t")
    inspection = found["paths"]["/v1/buyer/supplier-orders/{supplier_order_id}/inspection"]["post"]
    assert "wrong_order_status" in inspection["responses"]["409"]["description"]
    assert "wrong_counts" in inspection["responses"]["422"]["description"]
    assert inspection["x-allowed-roles"] == ["manager", "receiver", "requester"]
