"""What is near is found only where nothing is exact, and is marked; what is typed goes on to what is there."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from shop.catalogue.cards import write_cards, write_unposted
from shop.catalogue.models_search import SearchEntry
from shop.catalogue.spelling import distance, initials, letters
from shop.catalogue.words import question_words
from shop.db import unit_of_work
from shop.storefront import guessing
from tests import builders as a
from tests.catalogue.market import Market, statements

GOODS = (
    ("洛川苹果", "Luochuan apple", "红富士"),
    ("苹果干", "Dried apple", ""),
    ("盐池滩羊肉", "Yanchi Tan lamb", ""),
    ("牦牛肉干", "Yak jerky", ""),
    ("枸杞", "Goji berries", "宁杞七号"),
)


@pytest.fixture
def market(committed: str) -> Market:
    market = Market()
    with unit_of_work() as session:
        seller = session.get_one(a.Organisation, market.actors["seller"].organisation_id)
        listings = [
            a.a_listing(session, a.a_product(session, seller, name, name_en=english, variety=variety))
            for name, english, variety in GOODS
        ]
        write_cards(session, [listing.id for listing in listings], on=a.NOW.date())
    return market


def found(page: Any) -> set[str]:
    return {item["product"]["name"] for item in page["items"]}


def test_what_was_likely_meant_is_found_and_marked(market: Market) -> None:
    for q, searched, names in (
        ("pingguo", "苹果", {"洛川苹果", "苹果干"}),
        ("PingGuo", "苹果", {"洛川苹果", "苹果干"}),
        ("pg", "苹果", {"洛川苹果", "苹果干"}),
        ("lcpg", "洛川苹果", {"洛川苹果"}),
        ("hongfushi", "红富士", {"洛川苹果"}),
        ("平果", "苹果", {"洛川苹果", "苹果干"}),
        ("狗起", "枸杞", {"枸杞"}),
        ("pinguo", "苹果", {"洛川苹果", "苹果干"}),
        ("牦牛内", "牦牛肉", {"牦牛肉干"}),
        ("盐池难羊肉", "盐池滩羊肉", {"盐池滩羊肉"}),
        ("aple", "apple", {"洛川苹果", "苹果干"}),
        ("pingguo 洛川", "苹果 洛川", {"洛川苹果", "苹果干"}),
    ):
        page = market.client.get("/v1/public/listings", query_string={"q": q}).get_json()
        assert (page["approximate"], found(page)) == (True, names), (q, page["searched"])
        assert page["searched"] == searched, q


def test_exact_hits_stand_alone(market: Market) -> None:
    page = market.get("/v1/public/listings?q=苹果干")
    assert (page["approximate"], page["searched"], found(page)) == (False, None, {"苹果干"})
    assert found(market.get("/v1/public/listings?q=yak")) == {"牦牛肉干"}


@pytest.mark.parametrize("question", ["q=西瓜", "q=x", "q=zzzzzzzz", "q=%25", "q=苹果&category=meat", "q=苹果 西瓜"])
def test_where_nothing_is_near_nothing_is_found(market: Market, question: str) -> None:
    page = market.get(f"/v1/public/listings?{question}")
    assert (page["items"], page["approximate"], page["next"]) == ([], False, None)


def test_pages_of_what_was_meant_go_on(market: Market) -> None:
    first = market.get("/v1/public/listings?q=pingguo&limit=1")
    then = market.get(f"/v1/public/listings?q=pingguo&limit=1&cursor={first['next']}")
    assert found(first) | found(then) == {"洛川苹果", "苹果干"}
    assert (then["approximate"], then["next"]) == (True, None)
    answer = market.client.get(f"/v1/public/listings?q=gouqi&limit=1&cursor={first['next']}")
    assert (answer.status_code, answer.get_json()["errors"][0]["pointer"]) == (422, "/query/cursor")


def test_a_word_that_is_found_is_asked_of_once(market: Market) -> None:
    market.get("/v1/public/listings?q=苹果干")
    with statements() as sent:
        market.get("/v1/public/listings?q=苹果")
    assert len(sent) == 1


def suggested(market: Market, q: str) -> list[tuple[str, str, int]]:
    items = market.client.get("/v1/public/suggestions", query_string={"q": q}).get_json()["items"]
    return [(item["kind"], item["text"], item["count"]) for item in items]


def test_a_beginning_goes_on_to_what_is_there(market: Market) -> None:
    assert suggested(market, "苹") == [("name", "苹果干", 1)]
    assert suggested(market, "luo") == [("county", "洛川县", 5), ("name", "洛川苹果", 1)]
    assert suggested(market, "lc") == [("county", "洛川县", 5), ("name", "洛川苹果", 1)]
    assert suggested(market, "红") == suggested(market, "hfs") == [("variety", "红富士", 1)]
    assert suggested(market, "水") == suggested(market, "fru") == [("category", "水果", 5)]
    assert suggested(market, "西瓜") == suggested(market, "%") == []
    assert market.client.get("/v1/public/suggestions").status_code == 422


def test_what_is_off_sale_is_neither_suggested_nor_meant(market: Market) -> None:
    with unit_of_work() as session:
        keys = session.scalars(text("UPDATE listing SET status = 'delisted' RETURNING id")).all()
        write_cards(session, keys, on=a.NOW.date())
    assert suggested(market, "苹") == suggested(market, "fru") == []
    assert market.get("/v1/public/listings?q=pingguo")["items"] == []


def test_what_a_migration_filled_in_is_written_once_more(market: Market) -> None:
    with unit_of_work() as session:
        session.execute(text("UPDATE search_entry SET posted = ''"))
        session.execute(text("DELETE FROM search_posting"))
        session.execute(text("DELETE FROM search_term"))
        assert write_unposted(session, on=a.NOW.date(), limit=3) == 3
        assert write_unposted(session, on=a.NOW.date()) == 2
        assert write_unposted(session, on=a.NOW.date()) == 0
    assert suggested(market, "苹") == [("name", "苹果干", 1)]


def test_a_word_longer_than_a_piece_is_held_as_a_whole_or_not(session: Session) -> None:
    cooperative = a.an_organisation(session, a.Kind.COOPERATIVE)
    listing = a.a_listing(session, a.a_product(session, cooperative, "盐池滩羊肉"))
    write_cards(session, [listing.id], on=a.NOW.date())
    assert session.get(SearchEntry, listing.id) is not None
    assert guessing.found_with(session, question_words("盐池滩羊肉 盐池滩羊毛 盐池")) == {
        "盐池滩羊肉": 1, "盐池滩羊毛": 0, "盐池": 1,
    }  # fmt: skip
    assert guessing.meant(session, ["盐池滩羊毛"]) == ["盐池滩羊肉"]


@pytest.mark.parametrize(
    ("one", "other", "far"),
    [("", "", 0), ("ab", "ab", 0), ("ab", "ba", 1), ("abc", "ac", 1), ("abcd", "badc", 2), ("", "abc", 3)],
)
def test_a_distance_counts_slips(one: str, other: str, far: int) -> None:
    assert distance(one, other) == distance(other, one) == far


def test_characters_are_spelt_as_they_read_in_their_word() -> None:
    assert (letters("重庆"), initials("重庆"), letters("A级"), letters("")) == ("chongqing", "cq", "Aji", "")
