"""A round of quotations over HTTP: what each side is shown, and what an auditor reads afterwards."""

from datetime import datetime
from typing import Any

import pytest
from flask import Flask, request
from sqlalchemy.orm import Session

from shop import clock
from shop.accounts.models import Kind
from shop.actor import Actor, Role
from shop.agreements.api import buying as agreements
from shop.db import unit_of_work
from shop.http import problems
from shop.http.routes import mount
from shop.ledger.service import PLATFORM_ID
from shop.orders.api import routes as orders
from shop.quotations.api import buying, looking, selling
from tests import builders as a
from tests.orders import journey
from tests.quotations.round import AFTER


class Hall:
    """A buyer, two cooperatives and an auditor, by name."""

    def __init__(self) -> None:
        app = Flask("hall")
        for each in (buying, selling, looking, orders, agreements):
            mount(app, each, self.who)
        problems.install(app)
        self.client, self.now, self.keys = app.test_client(), a.NOW, iter(range(1000))
        with unit_of_work() as session:
            clock.move_to(session, self.now)
            self.world = a.World(session)
            self.one, self.other = self.world.offer(), self.world.offer()
            platform = a.an_organisation(session, Kind.PLATFORM, id=PLATFORM_ID, uscc=None)
            self.people: dict[str, Actor] = {
                "buyer": self.world.actor,
                "one": journey.seller_of(session, self.one.cooperative_id),
                "other": journey.seller_of(session, self.other.cooperative_id),
                "stranger": journey.seller_of(session, self.world.offer().cooperative_id),
                "auditor": a.a_member(session, platform, roles={Role.AUDITOR}),
                "auditor of a province": a.a_member(session, platform, roles={Role.AUDITOR}, regions=("310000",)),
            }

    def who(self, session: Session) -> tuple[Actor, datetime] | None:
        return a.behind(session, self.people.get(request.headers.get("Authorization", "")), self.now)

    def at(self, instant: datetime) -> None:
        self.now = instant
        with unit_of_work() as session:
            clock.move_to(session, instant)

    def call(self, by: str, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": by, "Idempotency-Key": f"key-{next(self.keys)}"}
        return self.client.open(f"/v1/{path}", method=method, json=body, headers=headers)

    def ask(self, **more: Any) -> Any:
        body = {
            "title": "秋季水果", "delivery_address_id": f"addr_{self.world.address.id.hex}",
            "deadline": "2024-10-18T10:00:00+08:00", "valid_days": 30,
            "cooperative_ids": [f"org_{listing.cooperative_id.hex}" for listing in (self.one, self.other)],
            "lines": [{"name": "苹果", "base_unit": "g", "pack_base_quantity": 5000, "packs": 20}],
        }  # fmt: skip
        return self.call("buyer", "POST", "buyer/quotation-requests", body | more)

    def quote(self, by: str, key: str, unit_fen: int) -> Any:
        listing = {"one": self.one, "other": self.other}.get(by, self.one)
        line = {"place": 0, "listing_id": f"lst_{listing.id.hex}", "unit_fen": unit_fen}
        return self.call(by, "PUT", f"cooperative/quotation-requests/{key}/quote", {"lines": [line]})


@pytest.fixture
def hall(committed: str) -> Hall:
    return Hall()


def test_a_round_from_the_question_to_the_order_and_its_audit(hall: Hall) -> None:
    asked = hall.ask()
    assert asked.status_code == 201, asked.json
    key = asked.json["id"]
    path, theirs = f"buyer/quotation-requests/{key}", f"cooperative/quotation-requests/{key}"
    seen = hall.call("one", "GET", theirs).json
    assert (seen["request"]["cooperatives"], seen["quote"]) == ([], None)  # who else is asked is not told
    assert hall.call("stranger", "GET", theirs).status_code == 404
    assert hall.quote("stranger", key, 1).status_code == 404
    assert hall.quote("one", key, 3_900).json["quote"]["lines"][0]["goods_fen"] == 78_000
    assert hall.quote("other", key, 3_800).status_code == 200
    assert hall.call("buyer", "GET", f"{path}/comparison").json["code"] == "quotes_sealed"
    hall.at(AFTER)
    assert hall.quote("one", key, 3_700).json["code"] == "deadline_passed"
    (line,) = hall.call("buyer", "GET", f"{path}/comparison").json["lines"]
    assert [quote["per_kg_fen"] for quote in line["quotes"]] == [820, 840]
    award = {"place": 0, "cooperative_id": f"org_{hall.one.cooperative_id.hex}"}
    refused = hall.call("buyer", "POST", f"{path}/award", {"awards": [award]})
    assert [each["pointer"] for each in refused.json["errors"]] == ["/awards/0/reason"]
    done = hall.call("buyer", "POST", f"{path}/award", {"awards": [award | {"reason": "运输更近"}]})
    assert (done.status_code, done.json["awards"][0]["cheapest"]) == (200, False)
    assert [hall.call(who, "GET", theirs).json["awarded"] for who in ("one", "other")] == [[0], []]

    evidence = f"admin/quotation-requests/{key}/evidence"
    assert hall.call("auditor of a province", "GET", evidence).status_code == 404
    read = hall.call("auditor", "GET", evidence).json
    assert [(view["what"], view["organisation_id"]) for view in read["views"]] == [
        ("request", f"org_{hall.one.cooperative_id.hex}"),
        ("quotes", f"org_{hall.world.buyer.id.hex}"),
        ("request", f"org_{hall.one.cooperative_id.hex}"),
        ("request", f"org_{hall.other.cooperative_id.hex}"),
        ("evidence", f"org_{PLATFORM_ID.hex}"),
    ]
    assert [view["what"] for view in read["content"]["views"]] == ["request", "quotes"]

    order = {
        "lines": [{"listing_id": f"lst_{hall.one.id.hex}", "quantity": 20}], "purpose": "canteen",
        "payment_terms": "on_terms", "budget_unit_id": f"unit_{hall.world.unit.id.hex}",
        "delivery_address_id": f"addr_{hall.world.address.id.hex}",
    }  # fmt: skip
    placed = hall.call("buyer", "POST", "buyer/orders", order)
    ordered = placed.json["supplier_orders"][0]["lines"][0]
    assert (ordered["priced_by"], ordered["unit_fen"]) == ("quote", 3_900)
    (price,) = hall.call("buyer", "GET", "buyer/negotiated-quotes").json["items"]
    assert (price["id"], price["line_id"]) == (ordered["quote_id"], ordered["id"])


@pytest.mark.parametrize("deadline", ["2024-10-18", "2024-10-18T10:00:00", "2024-13-18T10:00:00Z", 1729216800])
def test_a_deadline_is_an_instant_with_its_zone(hall: Hall, deadline: Any) -> None:
    refused = hall.ask(deadline=deadline)
    assert refused.status_code == 422
    assert [each["pointer"] for each in refused.json["errors"]] == ["/deadline"]
