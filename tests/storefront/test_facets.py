"""Facets: a count is exactly how many the list shows when its value is chosen."""

import random
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from shop.accounts.models import Kind
from shop.catalogue.cards import write_cards
from shop.catalogue.models import CATEGORIES, Certificate
from shop.catalogue.words import question_words
from shop.ids import new_id
from shop.storefront import counting, queries
from tests import builders as a

DICE = random.Random(9)
COUNTIES = {"610629": "洛川县", "640323": "盐池县", "610630": "宜川县"}


@pytest.fixture
def stall(session: Session) -> Session:
    for code, name in COUNTIES.items():
        a.a_division(session, code, name, "county")
    a.a_division(session, "610000", "陕西省", "province")
    cooperative = a.an_organisation(session, Kind.COOPERATIVE)
    made = []
    for n in range(60):
        product = a.a_product(
            session,
            cooperative,
            DICE.choice(("苹果", "枸杞", "高山苹果", "牦牛肉")) + str(n % 3),
            category=DICE.choice(sorted(CATEGORIES)[:3]),
            storage=DICE.choice(("ambient", "chilled")),
            origin_code=DICE.choice(list(COUNTIES)),
            tags=["key_160"] if n % 4 == 0 else [],
        )
        for kind in DICE.sample(("organic", "green", "gi"), DICE.randint(0, 2)):
            session.add(
                Certificate(
                    id=new_id(), product_id=product.id, kind=kind, number="1", issuer="x",
                    expires_on=a.NOW.date() + timedelta(days=9000),
                )
            )  # fmt: skip
        listing = a.a_listing(
            session, product, price_fen=DICE.choice((1_000, 3_000, 9_000, 60_000)),
            season_from=DICE.randint(1, 12), season_to=DICE.randint(1, 12),
        )  # fmt: skip
        made.append(listing)
    write_cards(session, [listing.id for listing in made], on=a.NOW.date())
    for listing in made[::2]:
        a.a_supply(session, listing, ready_to=a.NOW.date() + timedelta(days=DICE.choice((1, 9000))))
    return session


def shown(session: Session, q: str, chosen: dict[str, Any]) -> int:
    page = queries.listed(session, words=question_words(q), facets=chosen, sort="price", after=None, limit=100)
    return page.items.count('"id":"lst_')


def as_filter(facet: str, value: str) -> Any:
    return value == "true" if facet in ("key_county", "in_season", "in_stock") else value


@pytest.mark.parametrize("q", ["", "苹果", "洛川", "高山苹果1", "果 山"])
@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"county": "610629"},
        {"category": "dairy", "in_stock": True},
        {"certificate": "gi", "in_season": False, "price_band": "5_to_10"},
        {"province": "610000", "key_county": False, "storage": "chilled"},
    ],
)
def test_a_count_is_what_the_list_shows_for_its_value(stall: Session, q: str, chosen: dict[str, Any]) -> None:
    _, total, found = counting.facets(stall, words=question_words(q), chosen=chosen)
    assert total == shown(stall, q, chosen)
    for facet, counts in found.items():
        told = {row["value"]: row["count"] for row in counts}
        every = {
            "county": list(COUNTIES), "province": ["610000", "640000"], "key_county": ["true", "false"],
            "category": sorted(CATEGORIES), "certificate": ["organic", "green", "gi"],
            "storage": ["ambient", "chilled", "frozen"], "in_season": ["true", "false"],
            "in_stock": ["true", "false"], "price_band": list(queries.PRICE_BANDS),
        }[facet]  # fmt: skip
        expected = {value: shown(stall, q, chosen | {facet: as_filter(facet, value)}) for value in every}
        assert told == {value: count for value, count in expected.items() if count}, facet
