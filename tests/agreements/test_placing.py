"""Orders at agreed prices."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.orm import Session

from shop.actor import SYSTEM
from shop.agreements import checks as agreement_checks
from shop.agreements.models import AgreementDrawnOn, FrameworkAgreement
from shop.agreements.service import agreeing
from shop.db import engine, unit_of_work
from shop.orders import checks
from shop.orders.api import order_out, placed_out
from shop.orders.models import Order, OrderLine
from shop.orders.schemas_fulfilment import CountIn, Inspect
from shop.orders.service import acceptance, cancelling, judging, placing
from shop.requisitions.service import ordering
from tests import builders as a
from tests.agreements.table import agreed, at, proposed, seller
from tests.builders import World
from tests.orders import journey


@pytest.fixture
def world(session: Session) -> World:
    return World(session)


def drawn(session: Session, agreement: FrameworkAgreement) -> int:
    return session.get_one(FrameworkAgreement, agreement.id, populate_existing=True).drawn_fen


def faults(session: Session) -> list[str]:
    rules = agreement_checks.CHECKS | {name: rule for name, rule in checks.CHECKS.items() if "agreement" in name}
    assert len(rules) == 4
    return [name for name, statement in rules.items() if session.execute(text(statement)).all()]


def test_an_order_is_priced_by_the_agreement_and_draws_on_it(world: World, session: Session) -> None:
    listing, other = world.offer(), world.offer()
    agreement = agreed(world, listing, 3_500)
    placed = world.place({listing.id: 10, other.id: 10})
    assert placed.goods_fen == 10 * 3_500 + 10 * 4_000
    assert drawn(session, agreement) == 35_000
    kept = session.execute(select(OrderLine.listing_id, OrderLine.unit_fen, OrderLine.agreement_id))
    assert {tuple(row) for row in kept} == {(listing.id, 3_500, agreement.id), (other.id, 4_000, None)}
    for shown in (placed_out(placed), order_out(session, session.get_one(Order, placed.id))):
        lines = [line for part in shown.supplier_orders for line in part.lines]
        assert {(line.listing_id, line.priced_by, line.agreement_id) for line in lines} == {
            (listing.id, "agreement", agreement.id),
            (other.id, "tier", None),
        }
    assert faults(session) == []


def test_an_agreement_is_for_its_own_buyer_its_days_and_while_it_stands(world: World, session: Session) -> None:
    listing = world.offer()
    waiting = proposed(world, at(listing, 1_000))
    later = agreed(world, listing, 3_000, valid_from=date(2024, 10, 16), valid_to=date(2024, 10, 18))
    stranger = World(session, roads=False)
    assert [
        who.place({listing.id: 1}, now=a.NOW + timedelta(days=days)).goods_fen
        for who, days in ((world, 0), (world, 1), (world, 2), (world, 3), (stranger, 1))
    ] == [4_000, 3_000, 3_000, 4_000, 4_000]
    agreeing.end(session, by=seller(world, listing), agreement_id=later.id, reason="减产", now=a.NOW)
    agreeing.end(session, by=world.actor, agreement_id=waiting, reason="x", now=a.NOW)
    assert world.place({listing.id: 1}, now=a.NOW + timedelta(days=1)).goods_fen == 4_000


def test_above_what_is_left_the_line_is_at_the_tier_and_draws_nothing(world: World, session: Session) -> None:
    listing = world.offer()
    agreement = agreed(world, listing, 3_500, ceiling_packs=10, ceiling_fen=None)
    assert [world.place({listing.id: packs}).goods_fen for packs in (6, 5, 4, 1)] == [21_000, 20_000, 14_000, 4_000]
    assert drawn(session, agreement) == 35_000
    assert faults(session) == []


def test_a_listing_whose_pack_has_changed_is_not_at_the_agreed_price(world: World, session: Session) -> None:
    listing = world.offer()
    agreed(world, listing, 3_500)
    session.execute(text("UPDATE listing SET pack_base_quantity = 2500 WHERE id = :id"), {"id": listing.id})
    assert world.place({listing.id: 1}).goods_fen == 4_000


def test_what_is_cancelled_or_not_accepted_can_be_drawn_again(world: World, session: Session) -> None:
    listing, other = world.offer(1000, lots=500), world.offer(1000)
    one, two = agreed(world, listing, 3_500), agreed(world, other, 3_500)
    made = journey.confirmed(world, {listing.id: 10, other.id: 5})
    parts = {journey.part_of(session, key).cooperative_id: key for key in made}
    cancelling.cancel_supplier_order(
        session, supplier_order_id=parts[other.cooperative_id], by=SYSTEM, reason="x", now=a.NOW
    )
    assert (drawn(session, one), drawn(session, two)) == (35_000, 0)
    part = parts[listing.cooperative_id]
    journey.delivered(session, part)
    (share,) = journey.sent_of(session, part)
    count = CountIn(line_id=share.line_id, lot_id=share.lot_id, accepted=6, rejected=3, short=1, reason="腐坏")
    acceptance.inspect(
        session, actor=world.actor, supplier_order_id=part, found=Inspect(lines=[count]), now=journey.LATER
    )
    assert drawn(session, one) == 6 * 3_500
    assert faults(session) == []


def test_what_a_check_shows_is_the_agreed_price(world: World, session: Session) -> None:
    listing = world.offer()
    agreement = agreed(world, listing, 3_500)
    found = ordering.check(session, by=world.actor, wanted=world.wanted({listing.id: 2}), now=a.NOW)
    (line,) = found.lines
    assert line.priced is not None
    assert (line.priced.unit_fen, line.priced.basis, line.priced.agreement_id) == (3_500, "agreement", agreement.id)


def statements(world: World, lines: dict[Any, int]) -> int:
    seen: list[str] = []

    def listener(*args: Any) -> None:
        seen.append(args[2])

    event.listen(engine(), "before_cursor_execute", listener)
    world.place(lines)
    event.remove(engine(), "before_cursor_execute", listener)
    return len(seen)


def test_statements_are_as_many_for_one_line_as_for_two_hundred_and_none_more_without_agreements(
    world: World, session: Session
) -> None:
    world.actor = a.a_member(session, world.buyer, order_limit_fen=10**12)
    shelf = [world.offer() for _ in range(200)]
    plain = [statements(world, {listing.id: 1 for listing in shelf[:count]}) for count in (1, 10, 200)]
    for listing in shelf:
        agreed(world, listing, 3_500)
    priced = [statements(world, {listing.id: 1 for listing in shelf[:count]}) for count in (1, 10, 200)]
    assert len(set(plain)) == len(set(priced)) == 1
    assert priced[0] == plain[0] + 2


def test_twenty_orders_at_once_never_pass_the_ceiling_and_what_is_refused_is_priced_anew(committed: str) -> None:
    with unit_of_work() as session:
        world = World(session)
        listing = world.offer(10_000)
        agreement = agreed(world, listing, 3_500, ceiling_fen=12 * 3_500)
        wanted, actor = world.wanted({listing.id: 1}), world.actor

    def order(_: int) -> int:
        while True:
            try:
                with unit_of_work() as session:
                    return placing.place(session, actor=actor, wanted=wanted, now=a.NOW).goods_fen
            except AgreementDrawnOn:
                continue

    with ThreadPoolExecutor(20) as pool:
        goods = list(pool.map(order, range(20)))
    assert sorted(goods) == [3_500] * 12 + [4_000] * 8
    with unit_of_work() as session:
        assert drawn(session, agreement) == 12 * 3_500
        assert faults(session) == []


def test_a_line_priced_before_others_drew_on_the_agreement_is_refused(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = world.offer()
    agreement = agreed(world, listing, 3_500, ceiling_fen=35_000)
    seen = judging.listings_of(session, [listing.id], a.NOW.date(), buyer=world.buyer.id)
    world.place({listing.id: 10})
    monkeypatch.setattr(judging, "listings_of", lambda *args, **named: seen)
    with pytest.raises(AgreementDrawnOn) as refused:
        world.place({listing.id: 1})
    assert refused.value.facts["lines"] == [{"agreement_id": f"agr_{agreement.id.hex}"}]
