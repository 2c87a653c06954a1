"""The public catalogue: what is found, in which order, page by page, and that it is always as of now."""

import time
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import update
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from shop import clock
from shop.accounts.models import Kind
from shop.catalogue.cards import write_cards
from shop.catalogue.models import Listing
from shop.catalogue.words import question_words
from shop.db import engine, in_unit_of_work, unit_of_work
from shop.errors import Busy
from shop.http import cursors, limiting
from shop.stock.models import Supply
from shop.storefront import queries
from tests import builders as a
from tests.catalogue.market import Market, statements


@pytest.fixture
def market(committed: str) -> Market:
    return Market()


def names(market: Market, **question: str) -> list[str]:
    answer = market.client.get("/v1/public/listings", query_string=question)
    assert answer.status_code == 200, answer.text
    return sorted(item["product"]["name"] for item in answer.get_json()["items"])


def walk(market: Market, **question: Any) -> list[str]:
    """The ids of every page, in order."""
    seen: list[str] = []
    cursor = None
    for _ in range(100):
        page = market.client.get(
            "/v1/public/listings", query_string=question | ({"cursor": cursor} if cursor else {})
        ).get_json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            return seen
    raise AssertionError("the pages do not end")


GOODS = (
    ("洛川苹果", "Luochuan apple"),
    ("苹果干", "Dried apple"),
    ("果苹", "No such fruit"),
    ("苹", "One character"),
    ("盐池滩羊肉", "Yanchi Tan lamb"),
    ("牦牛肉干", "Yak jerky 100%"),
    ("牛肉", "Beef"),
    ("牦牛 奶", "Yak_milk"),
    ("枸杞Ａ级", "Goji Grade A"),
)


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("苹果", {"洛川苹果", "苹果干"}),
        ("苹", {"洛川苹果", "苹果干", "果苹", "苹"}),
        ("果苹", {"果苹"}),
        ("牛肉", {"牦牛肉干", "牛肉"}),
        ("牦牛肉", {"牦牛肉干"}),
        ("牦牛奶", {"牦牛 奶"}),
        ("牦牛　肉干", {"牦牛肉干"}),
        ("苹果 洛川", {"洛川苹果"}),
        ("APPLE", {"洛川苹果", "苹果干"}),
        ("ａｐｐｌｅ", {"洛川苹果", "苹果干"}),
        ("枸杞a级", {"枸杞Ａ级"}),
        ("%", {"牦牛肉干"}),
        ("_", {"牦牛 奶"}),
        ("果l", set()),
        ("eef", set()),
        ("milk", {"牦牛 奶"}),
        ("luochuan apple", {"洛川苹果"}),
        ("洛川苹果", {"洛川苹果"}),
        ("luochuanapple", set()),
        ("盐池滩羊肉", {"盐池滩羊肉"}),
        ("池滩羊肉", {"盐池滩羊肉"}),
        ("盐池滩牛肉", set()),
        ("西瓜", set()),
        ("", {name for name, _ in GOODS}),
        (" ", {name for name, _ in GOODS}),
        ("苹\x00果", {"洛川苹果", "苹果干"}),
    ],
)
def test_a_search_finds_exactly_the_names_that_hold_the_words(session: Session, q: str, found: set[str]) -> None:
    cooperative = a.an_organisation(session, Kind.COOPERATIVE)
    products = [a.a_product(session, cooperative, name, name_en=name_en) for name, name_en in GOODS]
    listings = {a.a_listing(session, product).id: product.name for product in products}
    write_cards(session, listings, on=a.NOW.date())
    words = question_words(q)
    for sort in ("relevance", "price", "newest") if words else ("price", "newest"):
        page = queries.listed(session, words=words, facets={}, sort=sort, after=None, limit=100)
        assert {name for key, name in listings.items() if f"lst_{key.hex}" in page.items} == found, sort


def test_filters_hold_together_and_orders_are_kept(market: Market) -> None:
    def offered(name: str, price: int, **more: Any) -> str:
        return str(market.listed(name=name, tiers=[{"min_packs": 1, "price_fen": price}], **more)["id"])

    paper = {"valid_from": "2024-10-15", "valid_to": "2025-10-15", "document": "县函〔2024〕8号"}
    market.post("operator", f"/v1/admin/sellers/{market.seller_id}/origins", {"county_code": a.YANCHI, **paper})
    first = offered("苹果", 300)
    second = offered("土豆", 200, category="vegetable")
    third = offered("滩羊肉", 100, category="meat", origin_code=a.YANCHI, storage="frozen")
    market.submitted(name="未审苹果")
    assert walk(market) == [third, second, first]
    market.now += timedelta(minutes=1)
    fourth = offered("梨", 250)
    assert walk(market) == [third, second, fourth, first]
    assert walk(market, sort="newest")[0] == fourth
    for question, expected in (
        ({"category": "fruit"}, ["梨", "苹果"]),
        ({"province": "640000"}, ["滩羊肉"]),
        ({"county": a.LUOCHUAN}, ["土豆", "梨", "苹果"]),
        ({"county": a.LUOCHUAN, "category": "vegetable"}, ["土豆"]),
        ({"storage": "frozen"}, ["滩羊肉"]),
        ({"storage": "frozen", "category": "fruit"}, []),
        ({"q": "苹果", "category": "fruit"}, ["苹果"]),
        ({"q": "苹果", "category": "meat"}, []),
    ):
        assert names(market, **question) == sorted(expected), question
        assert names(market, sort="newest", **question) == sorted(expected), question


@pytest.mark.parametrize("sort", ["price", "newest"])
def test_pages_cover_everything_once_under_equal_keys(market: Market, sort: str) -> None:
    with unit_of_work() as session:
        product = a.a_product(session, session.get_one(a.Organisation, market.actors["seller"].organisation_id))
        keys = [a.a_listing(session, product).id for _ in range(20)]
        assert write_cards(session, keys, on=a.NOW.date()) == 20
    for limit in (1, 3, 7, 19, 20, 100):
        seen = walk(market, sort=sort, limit=limit)
        assert (len(seen), set(seen)) == (20, {f"lst_{key.hex}" for key in keys}), limit


def test_a_cursor_of_another_question_is_refused(market: Market) -> None:
    for name in ("苹果", "苹果二"):
        market.listed(name=name)
    cursor = market.get("/v1/public/listings?limit=1")["next"]
    assert market.client.get(f"/v1/public/listings?limit=1&cursor={cursor}").status_code == 200
    for other in ("sort=newest", "category=fruit", "q=苹果", "province=610000", "county=610629", "storage=ambient"):
        answer = market.client.get(f"/v1/public/listings?{other}&cursor={cursor}")
        assert (answer.status_code, answer.get_json()["errors"][0]["pointer"]) == (422, "/query/cursor"), other
    newest = cursors.encode("public newest [] []", ["yesterday", "0" * 32])
    assert market.client.get(f"/v1/public/listings?sort=newest&cursor={newest}").status_code == 422


@pytest.mark.parametrize(
    "question",
    ["limit=0", "limit=101", "category=cars", "county=61", "sort=best", "storage=hot", "colour=red", "q=" + "x" * 41],
)
def test_a_question_that_makes_no_sense_is_refused(market: Market, question: str) -> None:
    assert market.client.get(f"/v1/public/listings?{question}").status_code == 422


def test_a_new_price_stands_in_the_very_next_answer(market: Market) -> None:
    listing = market.listed()
    first = market.client.get("/v1/public/listings")
    assert first.get_json()["items"][0]["price_fen"] == 4000
    same = market.client.get("/v1/public/listings", headers={"If-None-Match": first.headers["ETag"]})
    assert (same.status_code, same.data) == (304, b"")
    market.change(listing, tiers=[{"min_packs": 1, "price_fen": 3999}])
    then = market.client.get("/v1/public/listings", headers={"If-None-Match": first.headers["ETag"]})
    assert (then.status_code, then.get_json()["items"][0]["price_fen"]) == (200, 3999)
    assert market.get(f"/v1/public/listings/{listing['id']}")["price_fen"] == 3999


def given_again(market: Market, path: str, **headers: str) -> TestResponse:
    """An answer that was not made for this request; other databases of the server move its snapshots too."""
    for _ in range(100):
        before = len(market.again)
        answer = market.client.get(path, headers=headers)
        if len(market.again) > before:
            assert market.again[-1][:2] == ("GET /v1/public/listings", answer.status_code)
            return answer
    raise AssertionError("every answer was made anew")


def test_an_answer_is_given_again_as_it_was_made(market: Market) -> None:
    market.listed()
    first = market.client.get("/v1/public/listings?q=苹果")
    same = given_again(market, "/v1/public/listings?q=苹果")
    assert (same.status_code, same.data) == (200, first.data)
    assert {name: value for name, value in same.headers if name != "X-Request-Id"} == dict(first.headers)
    tag = first.headers["ETag"]
    unchanged = given_again(market, "/v1/public/listings?q=苹果", **{"If-None-Match": tag})
    assert (unchanged.status_code, unchanged.data, unchanged.headers["ETag"]) == (304, b"", tag)


def test_an_answer_is_given_again_only_while_nothing_has_changed(market: Market) -> None:
    listing = market.listed()
    path = "/v1/public/listings"
    first = given_again(market, path)
    assert first.get_json()["items"][0]["id"] == listing["id"]
    with engine().connect() as connection, Session(connection) as writing:
        writing.execute(update(Listing).values(card='{"id":"changed"'))
        own = queries.listed(writing, words=[], facets={}, sort="price", after=None, limit=24)
        assert (own.stamp, own.items) == (None, '{"id":"changed","available":0}')  # what is not committed has no stamp
        assert market.client.get(path).data == first.data
        connection.commit()
    for _ in range(5):
        assert market.client.get(path).get_json()["items"] == [{"id": "changed", "available": 0}]


def test_without_the_connection_of_its_own_every_answer_is_made(market: Market) -> None:
    market.listed()
    given_again(market, "/v1/public/listings")
    dedicated = market.stamps._connection
    assert dedicated is not None
    with engine().connect() as connection:
        connection.exec_driver_sql("SELECT pg_terminate_backend(%(pid)s)", {"pid": dedicated.info.backend_pid})
    before = len(market.again)
    assert len(market.get("/v1/public/listings")["items"]) == 1
    assert len(market.again) == before
    given_again(market, "/v1/public/listings")


def test_who_asks_too_often_is_given_nothing_again_either(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    market.listed()
    given_again(market, "/v1/public/listings")
    monkeypatch.setattr(limiting.counters, "hit", lambda *_: 7.0)
    assert market.client.get("/v1/public/listings").status_code == 429


def test_an_answer_kept_is_not_given_on_another_day(market: Market) -> None:
    market.supplied(market.listed(), 10, days=1)
    with unit_of_work() as session:
        clock.move_to(session, datetime(2024, 10, 15, 15, 59, 59, 700_000, tzinfo=UTC))
    assert market.get("/v1/public/listings")["items"][0]["available"] == 10
    time.sleep(0.4)
    assert market.get("/v1/public/listings")["items"][0]["available"] == 0


def test_available_counts_whole_packs_of_open_windows_today(market: Market) -> None:
    listing = market.listed()
    path = f"/v1/public/listings/{listing['id']}"
    assert market.get(path)["available"] == 0
    supply = market.supplied(listing, 10, days=5)
    market.supplied(listing, 4, days=30)
    with unit_of_work() as session:
        held = session.get_one(Supply, UUID(hex=supply["id"][4:]))
        held.open -= 1
        held.held += 1
    detail = market.get(path)
    assert detail["available"] == 13
    assert detail["supplies"] == [
        {"ready_from": "2024-10-15", "ready_to": "2024-10-20", "packs": 9},
        {"ready_from": "2024-10-15", "ready_to": "2024-11-14", "packs": 4},
    ]
    with unit_of_work() as session:
        clock.move_to(session, datetime(2024, 10, 19, 15, 59, tzinfo=UTC))
    assert market.get(path)["available"] == 13
    with unit_of_work() as session:
        clock.move_to(session, datetime(2024, 10, 19, 16, 0, tzinfo=UTC))
    assert (market.get(path)["available"], len(market.get(path)["supplies"])) == (4, 1)
    assert market.get("/v1/public/listings")["items"][0]["available"] == 4


def test_a_list_and_a_listing_cost_one_statement(market: Market) -> None:
    listing = market.listed()
    for _ in range(3):
        market.listed()
    for question in ("", "?q=苹果&category=fruit&sort=newest&limit=100", f"/{listing['id']}", "?limit=1"):
        with statements() as sent:
            market.get(f"/v1/public/listings{question}")
        assert len(sent) == 1, question


def test_a_read_leaves_its_connection_as_it_found_it(market: Market) -> None:
    market.listed()
    for _ in range(20):
        market.get("/v1/public/listings")

    def change_and_fail(session: Session) -> None:
        session.execute(update(Listing).values(card='{"id":"changed"'))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        in_unit_of_work(change_and_fail)
    assert "changed" not in market.client.get("/v1/public/listings").text


def test_a_read_that_breaks_is_busy_and_the_next_one_is_answered(market: Market) -> None:
    market.listed()
    with pytest.raises(Busy):
        in_unit_of_work(lambda session: queries.read(session, "SELECT pg_terminate_backend(pg_backend_pid())", {}))
    with pytest.raises(psycopg.errors.DivisionByZero):
        in_unit_of_work(lambda session: queries.read(session, "SELECT 1 / 0", {}))
    assert len(market.get("/v1/public/listings")["items"]) == 1
    with engine().connect() as connection:
        assert connection.connection.driver_connection.autocommit is False


def test_places_and_pairings_are_public(market: Market) -> None:
    with unit_of_work() as session:
        a.a_division(session, a.SHANGHAI, "上海市", "province")
        a.a_pairing(session, a.SHANGHAI, "610000")
        a.a_pairing(session, "320000", "640000", valid=Range(date(1996, 1, 1), date(2021, 4, 1)))
    assert [row["code"] for row in market.get("/v1/public/divisions")["items"]] == ["310000", "610000", "640000"]
    below = market.get("/v1/public/divisions?parent=610600")["items"]
    assert below == [{"code": a.LUOCHUAN, "name": "洛川县", "name_en": "洛川县", "level": "county"}]
    (today,) = market.get("/v1/public/pairings")["items"]
    assert (today["east"], today["west"], today["valid_from"], today["valid_to"]) == (
        "上海市", "陕西省", "2021-04-01", None,
    )  # fmt: skip
    (before,) = market.get("/v1/public/pairings?on=2021-03-31")["items"]
    assert (before["east_code"], before["west"], before["valid_to"]) == ("320000", "宁夏回族自治区", "2021-04-01")
    assert len(market.get("/v1/public/categories")["items"]) == 12
