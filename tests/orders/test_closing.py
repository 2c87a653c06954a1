"""Closing buyers that have orders under way, over HTTP."""

from pathlib import Path
from uuid import UUID

import pytest

from config.settings import settings
from shop.actor import SYSTEM, Role
from shop.db import unit_of_work
from shop.orders.service.moving import confirm_order
from tests import builders as a
from tests.accounts.county import County
from tests.orders import journey


@pytest.fixture
def county(committed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> County:
    monkeypatch.setenv("SHOP_FILES", str(tmp_path / "files"))
    settings.cache_clear()
    return County()


def test_what_has_orders_under_way_is_closed_with_a_successor_only(county: County) -> None:
    county.seller("seller")
    listing = county.listed("seller")
    order = county.done(county.order(listing))
    part = order["supplier_orders"][0]["id"]
    buyer = f"org_{county.actors['buyer'].organisation_id.hex}"
    path = f"/v1/admin/organisations/{buyer}/close"
    refused = county.ask("operator", "POST", path, {"reason": "合并"}).get_json()
    assert (refused["code"], refused["open_orders"], refused["errors"][0]["pointer"]) == (
        "open_orders",
        1,
        "/successor_id",
    )
    with unit_of_work() as session:
        successor = a.an_organisation(session)
        for role in (Role.RECEIVER, Role.REQUESTER):
            county.enter(session, role, a.a_member(session, successor, roles={role}))
    body = {"reason": "合并", "successor_id": f"org_{successor.id.hex}"}
    closed = county.post("operator", path, body)
    assert (closed["status"], closed["open_orders"]) == ("closed", 1)
    assert county.ask("buyer", "GET", "/v1/me").status_code == 401
    lot = {
        "listing_id": listing, "code": "L1", "harvested_on": "2024-10-10", "best_before": "2024-12-10", "packs": 5,
    }  # fmt: skip
    county.post("seller", "/v1/cooperative/lots", lot)
    with unit_of_work() as session:
        confirm_order(session, order_id=UUID(order["id"][4:]), by=SYSTEM, now=a.NOW)
        journey.delivered(session, UUID(part[3:]))

    own = {one["organisation"]["id"]: one for one in county.get("receiver", "/v1/me/memberships")["items"]}
    assert own[buyer]["roles"] == ["receiver"]
    asked = {"membership_id": own[buyer]["id"]}
    county.tokens["buyer"] = county.post("receiver", "/v1/auth/switch", asked)["token"]
    assert county.post("buyer", f"/v1/buyer/supplier-orders/{part}/inspection", {"accept_all": True})
    assert county.ask("buyer", "GET", f"/v1/buyer/orders/{order['id']}").status_code == 200
    assert county.ask("buyer", "POST", "/v1/buyer/orders", {}).status_code == 403
    others = county.get("requester", "/v1/me/memberships")["items"]
    assert [one["organisation"]["id"] for one in others] == [f"org_{successor.id.hex}"]
