"""The reporting routes served to every kind of reader."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from shop.accounts.models import Kind
from shop.actor import Actor, Role
from shop.db import unit_of_work
from shop.http import problems
from shop.http.routes import mount
from shop.reporting.api import own_routes, routes
from tests import builders as a


class Desk:
    """A served reporting room; `get` and `post` give the answer's JSON and say which status they want."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        with unit_of_work() as session:
            platform = a.an_organisation(session, Kind.PLATFORM, uscc=None)
            self.buyer = a.an_organisation(session, name="（测试）第一食堂")
            self.other_buyer = a.an_organisation(session)
            self.seller = a.an_organisation(session, Kind.COOPERATIVE, name="（测试）苹果社")
            self.product = a.a_product(session, self.seller)
            self.pairing = a.a_pairing(session, "310000", "610000")
            for code, name in (("310000", "上海市"), ("610000", "陕西省"), ("530000", "云南省"), ("320000", "江苏省")):
                a.a_division(session, code, name, "province")
            self.actors: dict[str, Actor] = {
                "analyst": a.a_member(session, platform, roles={Role.ANALYST}),
                "auditor": a.a_member(session, platform, roles={Role.AUDITOR}),
                "reviewer": a.a_member(session, platform, roles={Role.COUNTY_REVIEWER}),
                "of Yunnan": a.a_member(session, platform, roles={Role.ANALYST}, regions=["530000"]),
                "of Shanghai": a.a_member(session, platform, roles={Role.ANALYST}, regions=["310000"]),
                "of Yan'an": a.a_member(session, platform, roles={Role.ANALYST}, regions=["610600"]),
                "of Huangpu": a.a_member(session, platform, roles={Role.ANALYST}, regions=["310101"]),
                "of Luochuan": a.a_member(session, platform, roles={Role.COUNTY_REVIEWER}, regions=["610629"]),
                "buyer": a.a_member(session, self.buyer),
                "other buyer": a.a_member(session, self.other_buyer),
                "seller": a.a_member(session, self.seller),
            }

    def who(self, session: Session) -> tuple[Actor, datetime] | None:
        return a.behind(session, self.actors.get(request.headers.get("Authorization", "")), a.NOW)

    def raw(self, path: str, who: str = "analyst", **query: Any) -> Any:
        words = {{"start": "from", "end": "to"}.get(name, name): value for name, value in query.items()}
        address = f"/v1{path}?{urlencode(words)}" if words else f"/v1{path}"
        return self.client.get(address, headers={"Authorization": who})

    def get(self, path: str, who: str = "analyst", status: int = 200, **query: Any) -> Any:
        answer = self.raw(path, who, **query)
        assert answer.status_code == status, answer.get_data(as_text=True)
        return answer.get_json()

    def post(self, path: str, body: dict[str, Any], who: str = "analyst", status: int = 201) -> Any:
        answer = self.client.post(f"/v1{path}", json=body, headers={"Authorization": who})
        assert answer.status_code == status, answer.get_data(as_text=True)
        return answer.get_json()

    @property
    def paired(self) -> dict[str, Any]:
        """The dimensions of a purchase of the buyer from the seller within the pairing."""
        return {
            "bucket": "paired",
            "pairing_id": self.pairing.id,
            "buyer_id": self.buyer.id,
            "cooperative_id": self.seller.id,
            "product_id": self.product.id,
        }


@pytest.fixture
def desk(committed: str) -> Desk:
    app = Flask("t")
    client = app.test_client()
    made = Desk(client)
    for part in (routes, own_routes):
        mount(app, part, made.who)
    problems.install(app)
    return made
