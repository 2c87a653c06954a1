"""A served market for tests: two cooperatives, an operator, reviewers of two counties, and a client of each."""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from unittest import mock

import psycopg
from flask import Flask, request
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from shop import clock
from shop.accounts.models import Kind
from shop.actor import Actor, Role
from shop.catalogue.api import reviewing, selling
from shop.db import unit_of_work
from shop.http import problems
from shop.http.again import Again
from shop.http.routes import mount
from shop.stock.api import routes as stock
from shop.storefront.api import buying
from shop.storefront.api import routes as storefront
from shop.storefront.stamps import StampNow
from tests import builders as a

KEYS = count(1)


class Market:
    """Parties by name.

    `now` is the instant of every request that asks who is there; `again` hears of the answers that are given again.
    """

    def __init__(self) -> None:
        self.now = a.NOW
        with unit_of_work() as session:
            clock.move_to(session, a.NOW)
            a.a_division(session, "610000", "陕西省", "province")
            a.a_division(session, "610600", "延安市", "prefecture", "610000")
            a.a_division(session, a.LUOCHUAN, "洛川县", "county", "610600")
            a.a_division(session, "640000", "宁夏回族自治区", "province")
            a.a_division(session, a.YANCHI, "盐池县", "county", "640000")
            a.on_a_list(session, a.YANCHI)
            one = a.an_organisation(session, Kind.COOPERATIVE, name="洛川果业合作社")
            two = a.an_organisation(session, Kind.COOPERATIVE, name="盐池合作社")
            a.an_origin(session, two, a.YANCHI)
            office = a.an_organisation(session, Kind.PLATFORM, uscc=None)
            self.actors: dict[str, Actor] = {
                "seller": a.a_member(session, one),
                "shipper": a.a_member(session, one, roles={Role.SHIPPER}),
                "rival": a.a_member(session, two),
                "operator": a.a_member(session, office),
                "luochuan": a.a_member(session, office, roles={Role.COUNTY_REVIEWER}, regions=[a.LUOCHUAN]),
                "yanchi": a.a_member(session, office, roles={Role.COUNTY_REVIEWER}, regions=[a.YANCHI]),
                "buyer": a.a_member(session, a.an_organisation(session)),
            }
            self.seller_id, self.rival_id = f"org_{one.id.hex}", f"org_{two.id.hex}"
        app = Flask("market")
        for routes in (selling, reviewing, stock, storefront, buying):
            mount(app, routes, self.who)
        problems.install(app)
        self.stamps = StampNow()
        weakref.finalize(self, self.stamps.close)
        app.wsgi_app = Again(  # type: ignore[method-assign]
            app.wsgi_app, stamp_now=self.stamps, name=lambda _: "it", told=lambda *answer: self.again.append(answer)
        )
        self.again: list[tuple[str, int, float]] = []
        self.client = app.test_client()

    def who(self, session: Session) -> tuple[Actor, datetime] | None:
        return a.behind(session, self.actors.get(request.headers.get("Authorization", "")), self.now)

    def ask(self, name: str, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        sent = {"Authorization": name, "Idempotency-Key": f"key-{next(KEYS):08d}"}
        sent |= {key.replace("_", "-"): value for key, value in headers.items()}
        return self.client.open(path, method=method, json=body, headers=sent)

    def get(self, path: str, name: str = "") -> Any:
        answer = self.ask(name, "GET", path)
        assert answer.status_code == 200, answer.text
        return answer.get_json()

    def post(self, name: str, path: str, body: Any = None) -> Any:
        answer = self.ask(name, "POST", path, body)
        assert answer.status_code in (200, 201), answer.text
        return answer.get_json()

    def change(self, listing: Any, name: str = "seller", **what: Any) -> TestResponse:
        return self.ask(
            name, "PATCH", f"/v1/cooperative/listings/{listing['id']}", what, If_Match=str(listing["revision"])
        )

    def submitted(self, name: str = "seller", /, **more: Any) -> Any:
        return self.post(name, "/v1/cooperative/listings", a_body(**more))

    def approved(self, listing: Any) -> Any:
        return self.post("operator", f"/v1/admin/listings/{listing['id']}/review", {"decision": "approve"})

    def listed(self, name: str = "seller", /, **more: Any) -> Any:
        return self.approved(self.submitted(name, **more))

    def supplied(self, listing: Any, packs: int = 100, days: int = 30, name: str = "seller") -> Any:
        return self.post(name, "/v1/cooperative/supplies", a_supply_body(listing, packs, days))


def a_supply_body(listing: Any, packs: int = 100, days: int = 30) -> dict[str, Any]:
    return {
        "listing_id": listing["id"],
        "ready_from": f"{a.NOW:%Y-%m-%d}",
        "ready_to": f"{a.NOW + timedelta(days=days):%Y-%m-%d}",
        "packs": packs,
    }


def a_body(**more: Any) -> dict[str, Any]:
    product = {
        "code": f"apple{next(KEYS)}",
        "name": "洛川苹果",
        "name_en": "Luochuan apple",
        "category": "fruit",
        "origin_code": a.LUOCHUAN,
        "storage": "ambient",
        "shelf_life_days": 90,
        "grade": "一级",
        "spec": "80mm",
    }
    body: dict[str, Any] = {
        "pack_name": "10斤箱",
        "base_unit": "g",
        "pack_base_quantity": 5000,
        "pack_grams": 5250,
        "min_packs": 1,
        "step_packs": 1,
        "max_packs": 1000,
        "tiers": [{"min_packs": 1, "price_fen": 4000}, {"min_packs": 100, "price_fen": 3800}],
        "season_from": 9,
        "season_to": 4,
    }
    product |= {name: more.pop(name) for name in list(more) if name in product}
    return body | {"product": product} | more


@contextmanager
def statements() -> Iterator[list[str]]:
    """The SQL statements that are given to the driver inside the block."""
    sent: list[str] = []
    execute = psycopg.Cursor.execute

    def note(cursor: Any, statement: Any, *rest: Any, **more: Any) -> Any:
        sent.append(str(statement))
        return execute(cursor, statement, *rest, **more)

    with mock.patch.object(psycopg.Cursor, "execute", note):
        yield sent
