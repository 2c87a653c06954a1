"""Orders at prices that were awarded: once, up to what was quoted, on their days."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from shop.actor import SYSTEM
from shop.agreements import queries
from shop.agreements.models import NegotiatedQuoteUse, QuoteUsed
from shop.agreements.service import using
from shop.db import unit_of_work
from shop.ids import new_id
from shop.orders import checks
from shop.orders.api import order_out, placed_out
from shop.orders.models import Order
from shop.orders.service import cancelling, placing
from tests import builders as a
from tests.agreements.table import a_quote, agreed
from tests.builders import World
from tests.quotations.round import AFTER, Round


@pytest.fixture
def world(session: Session) -> World:
    return World(session)


def faults(session: Session) -> list[str]:
    rules = {name: rule for name, rule in checks.CHECKS.items() if "quote" in name}
    assert len(rules) == 1
    return [name for name, statement in rules.items() if session.execute(text(statement)).all()]


def test_a_quote_prices_one_line_before_any_agreement_and_the_line_names_it(world: World, session: Session) -> None:
    listing = world.offer()
    agreed(world, listing, 3_500)
    quote = a_quote(world, listing, 3_600, packs=10)
    placed = world.place({listing.id: 10})
    assert placed.goods_fen == 36_000
    for shown in (placed_out(placed), order_out(session, session.get_one(Order, placed.id))):
        (line,) = shown.supplier_orders[0].lines
        assert (line.priced_by, line.quote_id, line.agreement_id) == ("quote", quote.id, None)
    ((_, use),) = queries.quotes_of(session, world.actor, None, 10)
    assert (use.order_line_id, use.packs) == (placed.parts[0].lines[0].id, 10)
    assert world.place({listing.id: 10}).goods_fen == 35_000
    assert faults(session) == []


def test_a_quote_is_for_its_buyer_its_packs_and_its_days(world: World, session: Session) -> None:
    listing = world.offer()
    a_quote(world, listing, 3_600, packs=10)
    stranger = World(session, roads=False)
    assert [
        who.place({listing.id: packs}, now=a.NOW + timedelta(days=days)).goods_fen
        for who, packs, days in ((stranger, 1, 0), (world, 11, 0), (world, 1, -1), (world, 1, 30), (world, 1, 29))
    ] == [4_000, 44_000, 4_000, 4_000, 3_600]


def test_a_quote_that_was_used_stays_used_when_the_order_is_cancelled(world: World, session: Session) -> None:
    listing = world.offer()
    a_quote(world, listing, 3_600, packs=10)
    placed = world.place({listing.id: 5})
    cancelling.cancel_order(session, order_id=placed.id, by=SYSTEM, reason="x", now=a.NOW)
    assert world.place({listing.id: 5}).goods_fen == 20_000
    assert faults(session) == []


def test_of_twenty_orders_at_once_one_has_the_quote(committed: str) -> None:
    with unit_of_work() as session:
        world = World(session)
        listing = world.offer(10_000)
        quote = a_quote(world, listing, 3_600, packs=10)
        wanted, actor = world.wanted({listing.id: 1}), world.actor

    def order(_: int) -> int:
        while True:
            try:
                with unit_of_work() as session:
                    return placing.place(session, actor=actor, wanted=wanted, now=a.NOW).goods_fen
            except QuoteUsed:
                continue

    with ThreadPoolExecutor(20) as pool:
        assert sorted(pool.map(order, range(20))) == [3_600] + [4_000] * 19
    with unit_of_work() as session:
        assert faults(session) == []
        with pytest.raises(QuoteUsed) as refused:
            using.use(session, {new_id(): (quote.id, 1)}, now=a.NOW)
        assert refused.value.facts == {"lines": [{"quote_id": f"nq_{quote.id.hex}"}]}


def test_quotes_and_their_uses_are_only_added(world: World, session: Session) -> None:
    listing = world.offer()
    a_quote(world, listing, 3_600, packs=10)
    world.place({listing.id: 5})
    for statement in (
        "UPDATE negotiated_quote SET unit_fen = 1",
        "DELETE FROM negotiated_quote",
        "UPDATE negotiated_quote_use SET packs = 1",
        "DELETE FROM negotiated_quote_use",
    ):
        with pytest.raises(ProgrammingError), session.begin_nested():
            session.execute(text(statement))


def test_what_was_awarded_is_ordered_at_the_awarded_price_once(session: Session) -> None:
    of = Round(session)
    one, other = of.listings
    asked = of.ask()
    of.quote(asked, one, 3_900)
    of.quote(asked, other, 3_950)
    of.award(asked, (0, one, None))
    wanted = {one.id: 20, other.id: 20}
    assert of.world.place(wanted, now=AFTER).goods_fen == 20 * 3_900 + 20 * 4_000
    assert of.world.place(wanted, now=AFTER).goods_fen == 40 * 4_000
    ((quote, use),) = queries.quotes_of(session, of.seller(one), None, 10)
    assert (quote.packs, quote.unit_fen, use.packs) == (20, 3_900, 20)
    assert (quote.valid.upper - quote.valid.lower).days == 30
    assert session.scalars(select(NegotiatedQuoteUse.quote_id)).all() == [quote.id]
