"""What a listing is found by: exactly the words that its name, its variety or its county holds, best fit first."""

import random
from importlib import import_module
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from shop.accounts.models import Kind
from shop.catalogue.cards import write_cards
from shop.catalogue.models_search import SearchEntry
from shop.catalogue.words import Fit, normalised, pieces, place_below_fit, question_words
from shop.stock.models import Supply
from shop.storefront import queries
from tests import builders as a

DICE = random.Random(4)
LETTERS = "苹果枸杞牦牛肉干县红富士川A1 "
COUNTIES = {"610629": "洛川县", "640323": "牛肉县", "510107": "红川"}


def found(session: Session, q: str, **more: Any) -> list[UUID]:
    """The ids that a search finds, in order, page by page."""
    words, keys, after = question_words(q), [], None
    sort = more.pop("sort", "relevance")
    for _ in range(100):
        page = queries.listed(session, words=words, facets=more, sort=sort, after=after, limit=7)
        keys += [UUID(hex=part[:32]) for part in page.items.split('"id":"lst_')[1:]]
        if page.last is None:
            return keys
        after = (page.key, page.last)
    raise AssertionError("the pages do not end")


def put_up(session: Session, goods: dict[str, dict[str, Any]]) -> dict[str, UUID]:
    """Listings on sale of products by a word for each."""
    cooperative = a.an_organisation(session, Kind.COOPERATIVE)
    made = {}
    for word, what in goods.items():
        listing = {name: what.pop(name) for name in ("listed_at",) if name in what}
        made[word] = a.a_listing(session, a.a_product(session, cooperative, **what), **listing).id
    write_cards(session, made.values(), on=a.NOW.date())
    return made


def some(length: int) -> str:
    return "".join(DICE.choice(LETTERS) for _ in range(length)).strip() or "苹"


@pytest.mark.parametrize("sort", ["relevance", "price", "newest"])
def test_every_piece_of_a_name_finds_exactly_the_listings_that_hold_it(session: Session, sort: str) -> None:
    for code, name in COUNTIES.items():
        a.a_division(session, code, name, "county")
    facts = {
        str(n): {
            "name": some(DICE.randint(1, 9)),
            "variety": some(3) if n % 2 else "",
            "origin_code": DICE.choice(list(COUNTIES)),
            "name_en": "-",
        }
        for n in range(40)
    }
    made = put_up(session, {key: dict(what) for key, what in facts.items()})
    fields = {
        made[key]: [normalised(f) for f in (what["name"], what["variety"], COUNTIES[what["origin_code"]])]
        for key, what in facts.items()
    }
    wanted = {
        field[start : start + size]
        for held in fields.values()
        for field in held
        for start in range(len(field))
        for size in range(1, 7)
    }
    for word in [*sorted(DICE.sample(sorted(wanted), 120)), "肉苹果干士", "县杞"]:
        holders = {key for key, held in fields.items() if any(word in field for field in held)}
        seen = found(session, word, sort=sort)
        assert (len(seen), set(seen)) == (len(holders), holders), word


def test_whole_names_come_first_then_beginnings_then_names_varieties_and_counties(session: Session) -> None:
    a.a_division(session, "610629", "苹果县", "county")
    made = put_up(
        session,
        {
            "county": {"name": "土豆", "origin_code": "610629"},
            "variety": {"name": "山果", "variety": "大苹果", "origin_code": "640323"},
            "holds": {"name": "洛川苹果", "origin_code": "640323"},
            "begins": {"name": "苹果干", "origin_code": "640323"},
            "whole": {"name": "苹果", "origin_code": "640323"},
        },
    )
    assert found(session, "苹果") == [made[word] for word in ("whole", "begins", "holds", "variety", "county")]
    assert found(session, "苹果", county="610629") == [made["county"]]
    assert found(session, "苹果 土豆") == [made["county"]]


def test_a_long_word_finds_the_whole_name_first(session: Session) -> None:
    made = put_up(session, {"more": {"name": "洛川红富士苹果礼盒"}, "whole": {"name": "洛川红富士苹果"}})
    assert found(session, "洛川红富士苹果") == [made["whole"], made["more"]]
    assert found(session, "川红富士苹果礼") == [made["more"]]


def test_of_equal_fit_what_sold_most_comes_first_then_what_is_newest(session: Session) -> None:
    made = put_up(session, {"old": {"name": "苹果甲"}, "new": {"name": "苹果乙"}, "sold": {"name": "苹果丙"}})
    for word, hours in (("old", 3), ("new", 1), ("sold", 4)):
        session.execute(
            text("UPDATE listing SET listed_at = listed_at - :h * interval '1 hour' WHERE id = :id"),
            {"id": made[word], "h": hours},
        )
    session.get_one(SearchEntry, made["sold"]).sold_grams = 5_000
    write_cards(session, made.values(), on=a.NOW.date())
    assert found(session, "苹果") == [made["sold"], made["new"], made["old"]]


def test_what_is_off_sale_is_found_by_nothing(session: Session) -> None:
    made = put_up(session, {"one": {"name": "苹果"}, "other": {"name": "苹果"}})
    session.execute(text("UPDATE listing SET status = 'paused' WHERE id = :id"), {"id": made["one"]})
    write_cards(session, made.values(), on=a.NOW.date())
    assert found(session, "苹果") == found(session, "", sort="price") == [made["other"]]
    left = session.scalar(text("SELECT count(*) FROM search_posting WHERE listing_id = :id"), {"id": made["one"]})
    assert left == 0


def test_a_new_name_leaves_nothing_of_the_old_one(session: Session) -> None:
    made = put_up(session, {"one": {"name": "苹果"}})
    session.execute(text("UPDATE product SET name = '土豆'"))
    write_cards(session, made.values(), on=a.NOW.date())
    assert (found(session, "苹果"), found(session, "土豆")) == ([], [made["one"]])


def test_a_place_rises_with_each_doubling_of_what_was_sold() -> None:
    places = [place_below_fit(kilograms * 1000, a.NOW) for kilograms in (0, 1, 2, 4, 1000, 2**40)]
    assert places == sorted(places, reverse=True)
    assert len(set(places)) == len(places)
    assert place_below_fit(4_000, a.NOW) == place_below_fit(7_999, a.NOW)
    assert pieces(name="苹果", name_en="", variety="", county="")["苹"] is Fit.BEGINS_NAME


def test_the_migration_fills_in_what_the_shop_would_write(session: Session) -> None:
    a.a_division(session, "610629", "洛川县", "county")
    made = put_up(
        session,
        {
            "one": {"name": "洛川　苹果Ａ", "name_en": "Luochuan Apple"},
            "two": {"name": "苹", "name_en": "Apple apples", "origin_code": "640323"},
            "sold": {"name": "红富士苹果干礼盒", "name_en": "Dried"},
        },
    )
    session.get_one(SearchEntry, made["sold"]).sold_grams = 0
    migration = import_module("migrations.versions.0024_search")
    postings = text("SELECT word, place, listing_id FROM search_posting ORDER BY 1, 2, 3")
    entries = text("SELECT to_jsonb(e) - 'posted' FROM search_entry e ORDER BY listing_id")
    before = session.execute(postings).all(), session.scalars(entries).all()
    session.execute(text("DELETE FROM search_posting"))
    session.execute(text("DELETE FROM search_entry"))
    migration.fill(lambda statement: session.connection().exec_driver_sql(statement))
    assert (session.execute(postings).all(), session.scalars(entries).all()) == before


def until(session: Session, listing_id: UUID) -> Any:
    return session.scalar(text("SELECT stock_until FROM search_entry WHERE listing_id = :id"), {"id": listing_id})


def test_an_entry_knows_until_when_its_supply_lasts(session: Session) -> None:
    made = put_up(session, {"one": {"name": "苹果"}})["one"]
    listing = session.get_one(a.Listing, made)
    assert until(session, made) is None
    first = a.a_supply(session, listing, 10)
    assert until(session, made) == first.ready_to
    session.execute(text("UPDATE supply SET open = open - 5000, held = held + 5000"))
    assert until(session, made) == first.ready_to
    session.execute(text("UPDATE supply SET held = promised, open = 0"))
    assert until(session, made) is None
    session.execute(text("UPDATE supply SET open = promised, held = 0"))
    assert until(session, made) == first.ready_to
    session.execute(text("UPDATE supply SET withdrawn = promised, open = 0, closed = true"))
    assert until(session, made) is None
    assert session.get_one(Supply, first.id).id == first.id
