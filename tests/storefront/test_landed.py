"""Landed prices: goods, freight and expected loss where they arrive, as the freight of an order would be quoted."""

from datetime import date
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from shop.db import unit_of_work
from shop.freight.models import Lane
from shop.freight.service import Parcel, quote
from shop.storefront import landing
from shop.storefront.models import LandedPrice
from tests import builders as a
from tests.catalogue.market import Market

DAY = a.NOW.date()
SHANGHAI = "310100"


@pytest.fixture
def market(committed: str) -> Market:
    market = Market()
    with unit_of_work() as session:
        a.a_lane(session)
        buyer = session.get_one(a.Organisation, market.actors["buyer"].organisation_id)
        a.an_address(session, buyer)
    return market


def catch_up(on: date = DAY, limit: int = 500) -> int:
    turns = 0
    while True:
        with unit_of_work() as session:
            if not landing.catch_up(session, on=on, limit=limit):
                return turns
        turns += 1


def prices(session: Session) -> dict[Any, LandedPrice]:
    return {row.listing_id: row for row in session.scalars(select(LandedPrice))}


def landed(market: Market, **question: Any) -> list[tuple[str, Any]]:
    page = market.client.get(
        "/v1/buyer/listings", query_string={"sort": "landed", **question}, headers={"Authorization": "buyer"}
    )
    assert page.status_code == 200, page.text
    return [(item["product"]["name"], item["landed"]) for item in page.get_json()["items"]]


def offered(market: Market, name: str, fen: int, **more: Any) -> Any:
    seller = "rival" if more.get("origin_code") == a.YANCHI else "seller"
    return market.listed(seller, name=name, tiers=[{"min_packs": 1, "price_fen": fen}], **more)


def test_a_buyer_sees_goods_by_what_they_cost_where_they_arrive(market: Market) -> None:
    offered(market, "贵", 9_000)
    small = offered(market, "便宜", 4_000)
    offered(market, "多", 4_100, min_packs=20)
    offered(market, "远", 100, origin_code=a.YANCHI)
    catch_up()
    found = landed(market)
    assert [name for name, _ in found] == ["多", "便宜", "贵", "远"]
    assert found[-1][1] is None
    with unit_of_work() as session:
        freight = quote(session, parcels=[Parcel("it", a.LUOCHUAN, "ambient", 5_250)], to_code=a.HUANGPU, on=DAY)["it"]
    loss = (2 * 4_000 * 50 * freight.days + 10_000) // 20_000
    whole = 4_000 + freight.fen + loss
    assert found[1][1] == {
        "packs": 1, "goods_fen": 4_000, "freight_fen": freight.fen, "loss_fen": loss, "landed_fen": whole,
        "per_kg_fen": (2 * whole * 1000 + 5_000) // 10_000, "days": freight.days,
    }  # fmt: skip
    assert landed(market, q="便") == [found[1]]
    assert landed(market, to=a.HUANGPU) == found
    assert small["id"] == market.get(f"/v1/public/listings?sort=landed&to={SHANGHAI}")["items"][1]["id"]


def test_pages_of_landed_prices_cover_everything_once(market: Market) -> None:
    for n in range(5):
        offered(market, f"果{n}", 4_000 + n % 2 * 100, origin_code=a.YANCHI if n > 2 else a.LUOCHUAN)
    catch_up(limit=2)
    seen, cursor = [], None
    for _ in range(5):
        path = f"/v1/public/listings?sort=landed&to={SHANGHAI}&limit=1" + (f"&cursor={cursor}" if cursor else "")
        page = market.get(path)
        seen += [item["product"]["name"] for item in page["items"]]
        cursor = page["next"]
    assert (sorted(seen), cursor) == ([f"果{n}" for n in range(5)], None)
    assert seen[:2] == ["果0", "果2"]


def test_where_no_buyer_is_no_landed_price_is_kept(market: Market) -> None:
    offered(market, "果", 4_000)
    catch_up()
    answer = market.client.get("/v1/public/listings?sort=landed&to=440100")
    assert (answer.status_code, answer.get_json()["code"]) == (409, "landed_price_not_kept")
    answer = market.client.get("/v1/public/listings?sort=landed")
    assert (answer.status_code, answer.get_json()["errors"][0]["pointer"]) == (422, "/query/to")


def test_a_landed_price_follows_its_listing(market: Market) -> None:
    listing = offered(market, "果", 4_000)
    catch_up()
    market.change(listing, tiers=[{"min_packs": 1, "price_fen": 3_000}])
    with unit_of_work() as session:
        (key,) = prices(session)
        for _ in range(2):
            landing.follow(session, key, on=DAY)
        assert prices(session)[key].goods_fen == 3_000
        session.execute(text("UPDATE listing SET status = 'paused'"))
        landing.follow(session, key, on=DAY)
        assert prices(session) == {}


def test_new_rates_and_new_days_make_every_landed_price_anew_once(market: Market) -> None:
    for n in range(3):
        offered(market, f"果{n}", 4_000)
    assert catch_up(limit=2) == 2
    assert catch_up() == 0
    with unit_of_work() as session:
        before = {row.freight_fen for row in session.scalars(select(LandedPrice))}
        lane = session.scalars(select(Lane)).one()
        lane.minimum_fen += 7_000_000
    assert catch_up() == 1
    with unit_of_work() as session:
        after = {row.freight_fen for row in session.scalars(select(LandedPrice))}
        assert min(after) >= 7_000_000 > max(before)
        session.scalars(select(Lane)).one().valid = Range(date(2020, 1, 1), date(2024, 11, 1))
    assert catch_up(on=date(2024, 11, 1)) == 1
    with unit_of_work() as session:
        assert {row.per_kg_fen for row in session.scalars(select(LandedPrice))} == {None}
