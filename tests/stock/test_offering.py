"""Offering supply, withdrawing it, receiving lots and closing windows, as a cooperative does it."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.accounts.models import Kind
from shop.db import unit_of_work
from shop.outbox.models import Event
from shop.stock.models import Movement, Supply
from shop.stock.service import offering
from tests import builders as a
from tests.catalogue.market import Market, a_supply_body


@pytest.fixture
def market(committed: str) -> Market:
    return Market()


def a_lot_body(listing: Any, code: str = "L1", **more: Any) -> dict[str, Any]:
    body = {
        "listing_id": listing["id"],
        "code": code,
        "harvested_on": "2024-10-14",
        "best_before": "2024-12-14",
        "packs": 3,
    }
    return body | more


def hold(supply: Any, quantity: int) -> None:
    with unit_of_work() as session:
        row = session.get_one(Supply, UUID(hex=supply["id"][4:]))
        row.open -= quantity
        row.held += quantity


def test_supply_is_offered_in_packs_and_kept_in_base_units(market: Market) -> None:
    listing = market.listed()
    supply = market.supplied(listing, 7)
    assert (supply["promised"], supply["open"], supply["held"], supply["closed"]) == (35_000, 35_000, 0, False)
    assert market.get("/v1/cooperative/supplies", "seller") == {"items": [supply], "next": None}
    with unit_of_work() as session:
        announced = session.scalars(select(Event.seen_by).where(Event.kind == "supply.offered")).all()
        assert announced == [[market.actors["seller"].organisation_id]]


def test_nothing_is_withdrawn_below_what_is_held(market: Market) -> None:
    supply = market.supplied(market.listed(), 10)
    hold(supply, 6 * 5000)
    path = f"/v1/cooperative/supplies/{supply['id']}/withdraw"
    refused = market.ask("seller", "POST", path, {"packs": 5})
    assert (refused.status_code, refused.get_json()["code"], refused.get_json()["available"]) == (
        409, "not_enough_open", 4,
    )  # fmt: skip
    left = market.post("seller", path, {"packs": 4})
    assert (left["open"], left["held"], left["withdrawn"]) == (0, 30_000, 20_000)
    assert market.ask("seller", "POST", path, {"packs": 1}).status_code == 409


def test_another_cooperative_offers_withdraws_and_harvests_nothing_of_it(market: Market) -> None:
    listing = market.listed()
    supply = market.supplied(listing)
    for path, body in (
        ("supplies", a_supply_body(listing)),
        (f"supplies/{supply['id']}/withdraw", {"packs": 1}),
        ("lots", a_lot_body(listing)),
    ):
        assert market.ask("rival", "POST", f"/v1/cooperative/{path}", body).status_code == 404, path
    assert market.get("/v1/cooperative/supplies", "rival")["items"] == []
    assert market.get("/v1/cooperative/supplies", "seller")["items"] == [supply]
    assert market.get("/v1/cooperative/lots", "seller")["items"] == []


def test_a_lot_is_received_with_its_movement_and_its_code_is_used_once(market: Market) -> None:
    listing = market.listed()
    lot = market.post("shipper", "/v1/cooperative/lots", a_lot_body(listing))
    assert (lot["product_id"], lot["received"], lot["in_store"]) == (listing["product_id"], 15_000, 15_000)
    with unit_of_work() as session:
        moved = session.execute(select(Movement.kind, Movement.quantity)).all()
        assert [tuple(row) for row in moved] == [("received", 15_000)]
    again = market.ask("seller", "POST", "/v1/cooperative/lots", a_lot_body(listing))
    assert (again.status_code, again.get_json()["errors"][0]["pointer"]) == (422, "/code")
    other = market.listed("rival", origin_code=a.YANCHI)
    assert market.ask("rival", "POST", "/v1/cooperative/lots", a_lot_body(other)).status_code == 201
    assert market.get("/v1/cooperative/lots", "seller")["items"] == [lot]


def test_a_lot_is_received_by_product_or_by_weight(market: Market) -> None:
    listing = market.listed()
    dates = {"harvested_on": "2024-10-14", "best_before": "2024-12-14"}
    by_product = dates | {"product_id": listing["product_id"], "code": "P1", "quantity": 12_345}
    by_listing = dates | {"listing_id": listing["id"], "code": "P2", "quantity": 54_321}
    for body, quantity in ((by_product, 12_345), (by_listing, 54_321)):
        lot = market.post("shipper", "/v1/cooperative/lots", body)
        assert (lot["product_id"], lot["received"]) == (listing["product_id"], quantity)
    assert market.ask("rival", "POST", "/v1/cooperative/lots", by_product | {"code": "P3"}).status_code == 404
    for wrong in (
        by_product | {"listing_id": listing["id"]},
        by_product | {"packs": 1},
        dates | {"product_id": listing["product_id"], "code": "P4", "packs": 1},
        dates | {"listing_id": listing["id"], "code": "P5"},
        dates | {"quantity": 5, "code": "P6"},
    ):
        assert market.ask("shipper", "POST", "/v1/cooperative/lots", wrong).status_code == 422, wrong


@pytest.mark.parametrize(
    ("path", "pointer", "more"),
    [
        ("supplies", "/ready_to", {"ready_to": "2024-10-15"}),
        ("supplies", "/ready_to", {"ready_from": "2024-09-01", "ready_to": "2024-10-15"}),
        ("supplies", "/ready_to", {"ready_to": "2124-10-15"}),
        ("supplies", "/ready_to", {"ready_to": "tomorrow"}),
        ("supplies", "/ready_to", {"ready_to": 20000}),
        ("supplies", "/ready_from", {"ready_from": "2024-02-30"}),
        ("supplies", "/packs", {"packs": 0}),
        ("lots", "/harvested_on", {"harvested_on": "2024-10-16"}),
        ("lots", "/best_before", {"best_before": "2024-10-14"}),
        ("lots", "/code", {"code": ""}),
    ],
)
def test_what_cannot_be_is_refused_where_it_stands(
    market: Market, path: str, pointer: str, more: dict[str, Any]
) -> None:
    listing = market.listed()
    body = (a_supply_body(listing) if path == "supplies" else a_lot_body(listing)) | more
    answer = market.ask("seller", "POST", f"/v1/cooperative/{path}", body)
    assert (answer.status_code, [error["pointer"] for error in answer.get_json()["errors"]]) == (422, [pointer])


@pytest.mark.parametrize("path", ["supplies", "lots"])
def test_own_stock_comes_in_pages(market: Market, path: str) -> None:
    listing = market.listed()
    made = [
        market.post(
            "seller",
            f"/v1/cooperative/{path}",
            a_supply_body(listing) if path == "supplies" else a_lot_body(listing, f"L{n}"),
        )["id"]
        for n in range(5)
    ]
    seen, cursor = [], ""
    for _ in range(3):
        page = market.get(f"/v1/cooperative/{path}?limit=2{cursor}", "seller")
        seen += [item["id"] for item in page["items"]]
        cursor = f"&cursor={page['next']}"
    assert (seen, page["next"]) == (made[::-1], None)


def test_windows_close_by_the_business_day_and_keep_what_is_held(session: Session) -> None:
    listing = a.a_listing(session, a.a_product(session, a.an_organisation(session, Kind.COOPERATIVE)))
    last = date(2024, 10, 16)
    over = a.a_supply(session, listing, 1, promised=10, open=6, held=3, bound=1, ready_to=last)
    later = a.a_supply(session, listing, 1, ready_to=last + timedelta(days=1))
    assert offering.close_windows(session, now=datetime(2024, 10, 15, 15, 59, tzinfo=UTC)) == 0
    assert offering.close_windows(session, now=datetime(2024, 10, 15, 16, 0, tzinfo=UTC)) == 1
    assert offering.close_windows(session, now=datetime(2024, 10, 15, 16, 0, tzinfo=UTC)) == 0
    session.expire_all()
    assert (over.closed, over.open, over.held, over.bound, over.withdrawn) == (True, 0, 3, 1, 6)
    assert (later.closed, later.open) == (False, 5000)


def test_windows_close_in_batches_and_pass_by_what_is_locked(committed: str) -> None:
    with unit_of_work() as session:
        listing = a.a_listing(session, a.a_product(session, a.an_organisation(session, Kind.COOPERATIVE)))
        supplies = [a.a_supply(session, listing, 1, ready_to=date(2024, 10, 1)).id for _ in range(503)]
    with unit_of_work() as holding:
        holding.get_one(Supply, supplies[0], with_for_update=True)
        for closed in (500, 2, 0):
            with unit_of_work() as session:
                assert offering.close_windows(session, now=a.NOW) == closed
    with unit_of_work() as session:
        assert offering.close_windows(session, now=a.NOW) == 1


def test_a_closed_supply_cannot_be_withdrawn(market: Market) -> None:
    supply = market.supplied(market.listed(), 10, days=1)
    with unit_of_work() as session:
        assert offering.close_windows(session, now=a.NOW + timedelta(days=1)) == 1
    refused = market.ask("seller", "POST", f"/v1/cooperative/supplies/{supply['id']}/withdraw", {"packs": 1})
    assert (refused.status_code, refused.get_json()["available"]) == (409, 0)
