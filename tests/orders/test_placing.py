"""Placing an order."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select, text
from sqlalchemy.orm import Session

from shop.db import engine
from shop.errors import NotFound
from shop.facts.models import Fact
from shop.freight.service import NoLane
from shop.ledger.models import CreditLimit
from shop.ledger.service import CreditExceeded
from shop.orders.models import OrderHistory, OrderLine, SupplierOrder, WrongStatus
from shop.orders.service.cancelling import cancel_order, cancel_supplier_order
from shop.orders.service.judging import NotOrderable, in_season
from shop.orders.service.moving import confirm_order
from shop.orders.service.placing import ApprovalRequired
from shop.outbox.models import Event
from shop.stock.models import Hold, Supply
from shop.stock.service.holding import Shortage
from tests import builders as a
from tests.builders import World


@pytest.fixture
def world(session: Session) -> World:
    return World(session)


def test_an_order_over_three_cooperatives_has_three_parts_that_sum_to_it(world: World, session: Session) -> None:
    listings = [world.offer() for _ in range(3)]
    placed = world.place({listing.id: 10 for listing in listings})
    parts = session.scalars(select(SupplierOrder).where(SupplierOrder.order_id == placed.id)).all()
    assert {part.cooperative_id for part in parts} == {listing.cooperative_id for listing in listings}
    assert sum(part.goods_fen for part in parts) == placed.goods_fen == 3 * 10 * 4_000
    assert sum(part.freight_fen for part in parts) == placed.freight_fen == 3 * 3_000  # 50 kg at 600 yuan a tonne
    assert placed.number == "PO-2024-000001"


def test_the_price_is_that_of_the_tier_that_the_packs_reach(world: World) -> None:
    listing = world.offer()
    assert [world.place({listing.id: packs}).goods_fen for packs in (99, 100)] == [99 * 4_000, 100 * 3_800]


def test_placing_holds_the_supply_announces_the_order_and_records_its_facts(world: World, session: Session) -> None:
    listing = world.offer(packs=50)
    placed = world.place({listing.id: 20})
    supply = session.scalars(select(Supply).where(Supply.listing_id == listing.id)).one()
    assert (supply.open, supply.held) == (30 * 5000, 20 * 5000)
    told = session.scalars(select(Event).where(Event.kind == "order.placed")).one()
    assert told.payload == {"order_id": placed.id.hex, "terms": "on_terms"}
    assert set(told.seen_by) == {world.buyer.id, listing.cooperative_id}
    fact = session.scalars(select(Fact)).one()
    assert (fact.measure, fact.bucket, fact.pairing_id) == ("ordered", "paired", world.pairing.id)
    assert (fact.amount_fen, fact.grams, fact.month.isoformat()) == (placed.total_fen, 100_000, "2024-10-01")


def test_a_shortage_names_what_is_there(world: World) -> None:
    with pytest.raises(Shortage) as refused:
        world.place({world.offer(packs=5).id: 6})
    (short,) = refused.value.facts["short"]
    assert (short["wanted"], short["available"]) == (6, 5)


@pytest.mark.parametrize(
    ("listing", "packs", "code"),
    [
        ({"min_packs": 10}, 9, "below_minimum"),
        ({"max_packs": 10}, 11, "above_maximum"),
        ({"min_packs": 4, "step_packs": 5}, 10, "off_step"),
        ({"season_from": 4, "season_to": 9}, 1, "out_of_season"),
        ({"status": "delisted"}, 1, "not_listed"),
    ],
)
def test_a_line_that_cannot_be_ordered_is_named(world: World, listing: dict[str, Any], packs: int, code: str) -> None:
    good, bad = world.offer(), world.offer(**listing)
    with pytest.raises(NotOrderable) as refused:
        world.place({good.id: 1, bad.id: packs})
    assert [(fault["pointer"].split("/")[2], fault["code"]) for fault in refused.value.errors] == [("1", code)]


def test_a_listing_of_a_suspended_cooperative_is_not_on_sale(world: World, session: Session) -> None:
    listing = world.offer()
    session.execute(text("UPDATE organisation SET status = 'suspended' WHERE id = :id"), {"id": listing.cooperative_id})
    with pytest.raises(NotOrderable) as refused:
        world.place({listing.id: 1})
    assert [fault["code"] for fault in refused.value.errors] == ["not_selling"]


def test_a_season_may_run_over_the_new_year() -> None:
    assert [month for month in range(1, 13) if in_season(11, 2, month)] == [1, 2, 11, 12]


def test_the_address_and_the_unit_of_another_are_as_missing(world: World, session: Session) -> None:
    listing = world.offer()
    stranger = a.an_organisation(session)
    for name, theirs in (("address", a.an_address(session, stranger)), ("unit", a.a_budget_unit(session, stranger))):
        mine = getattr(world, name)
        setattr(world, name, theirs)
        with pytest.raises(NotFound):
            world.place({listing.id: 1})
        setattr(world, name, mine)


def test_above_the_member_s_limit_an_approval_is_asked_for(world: World, session: Session) -> None:
    listing = world.offer()
    world.actor = a.a_member(session, world.buyer, order_limit_fen=6_000)
    world.place({listing.id: 1})
    with pytest.raises(ApprovalRequired) as refused:
        world.place({listing.id: 2})
    assert refused.value.facts["allowed"] == 6_000


def test_on_terms_the_credit_is_reserved_and_never_passed(session: Session) -> None:
    world = World(session, credit_fen=10_000)
    listing = world.offer()
    placed = world.place({listing.id: 1})
    with pytest.raises(CreditExceeded) as refused:
        world.place({listing.id: 2})
    assert refused.value.facts["available_fen"] == 10_000 - placed.total_fen
    session.expire_all()
    assert session.get_one(CreditLimit, world.buyer.id).used_fen == placed.total_fen


def test_without_a_lane_nothing_is_ordered(world: World, session: Session) -> None:
    listing = world.offer()
    world.address = a.an_address(session, world.buyer, "440106")
    with pytest.raises(NoLane):
        world.place({listing.id: 1})


def test_placing_costs_the_same_statements_for_one_line_and_for_thirty(world: World) -> None:
    def cost(lines: dict[Any, int]) -> int:
        seen: list[str] = []

        def listener(*args: Any) -> None:
            seen.append(args[2])

        event.listen(engine(), "before_cursor_execute", listener)
        world.place(lines)
        event.remove(engine(), "before_cursor_execute", listener)
        return len(seen)

    many = {world.offer().id: 2 for _ in range(30)}
    one = {world.offer().id: 2}
    assert cost(one) == cost(many) <= 17


def test_a_cancelled_order_gives_back_its_supply_and_takes_back_its_facts(world: World, session: Session) -> None:
    listing = world.offer(packs=50)
    placed = world.place({listing.id: 20})
    cancel_order(session, order_id=placed.id, by=world.actor, reason="不需要", now=a.NOW)
    session.expire_all()
    supply = session.scalars(select(Supply).where(Supply.listing_id == listing.id)).one()
    assert (supply.open, supply.held) == (250_000, 0)
    assert session.scalars(select(Hold.status)).all() == ["released"]
    assert session.execute(text("SELECT sum(amount_fen), sum(packs), sum(grams) FROM fact")).one() == (0, 0, 0)
    history = session.scalars(select(OrderHistory).order_by(OrderHistory.step)).all()
    assert [(row.was, row.status, row.reason) for row in history] == [
        (None, "placed", None),
        ("placed", "cancelled", "不需要"),
    ]
    with pytest.raises(WrongStatus):
        cancel_order(session, order_id=placed.id, by=world.actor, reason="again", now=a.NOW)


def test_an_order_in_the_last_hour_of_a_chinese_month_counts_in_that_month(world: World, session: Session) -> None:
    listing = world.offer()
    for instant in (datetime(2024, 10, 31, 15, 59, 59, tzinfo=UTC), datetime(2024, 10, 31, 16, 0, 0, tzinfo=UTC)):
        world.place({listing.id: 1}, now=instant)
    assert [str(month) for month in session.scalars(select(Fact.month).order_by(Fact.id))] == [
        "2024-10-01",
        "2024-11-01",
    ]


@given(data=st.data())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_is_ordered_lines_parts_order_and_facts_agree_to_the_fen(world: World, data: st.DataObject) -> None:
    session = world.session
    lines = {}
    for _ in range(data.draw(st.integers(1, 6))):
        price = data.draw(st.integers(1, 10**9))
        listing = world.offer(
            packs=2000,
            price_fen=price,
            tiers=[[1, price], [50, max(1, price - 1)]],
            pack_grams=data.draw(st.integers(5000, 10**6)),
        )
        lines[listing.id] = data.draw(st.integers(1, 1000))
    world.actor = a.a_member(session, world.buyer, order_limit_fen=10**15)
    world.session.execute(text("UPDATE credit_limit SET limit_fen = 1000000000000000"))
    placed = world.place(lines)
    parts = session.scalars(select(SupplierOrder).where(SupplierOrder.order_id == placed.id)).all()
    found = session.scalars(select(OrderLine).where(OrderLine.supplier_order_id.in_([part.id for part in parts]))).all()
    facts = session.scalars(select(Fact).where(Fact.order_id == placed.id)).all()
    assert sum(line.goods_fen for line in found) == sum(part.goods_fen for part in parts) == placed.goods_fen
    assert sum(line.freight_fen for line in found) == sum(part.freight_fen for part in parts) == placed.freight_fen
    assert sum(fact.amount_fen for fact in facts) == placed.total_fen
    expected = sum(
        packs * (session.get_one(type(world.offer(0)), key).tiers[0 if packs < 50 else 1][1])
        for key, packs in lines.items()
    )
    assert placed.goods_fen == expected


def test_the_living_parts_are_confirmed_when_another_was_cancelled_before(world: World, session: Session) -> None:
    placed = world.place({world.offer().id: 1, world.offer().id: 1})
    first, second = sorted(part.id for part in placed.parts)
    cancel_supplier_order(session, supplier_order_id=first, by=world.actor, reason="no", now=a.NOW)
    assert confirm_order(session, order_id=placed.id, by=world.actor, now=a.NOW) == [second]
    assert confirm_order(session, order_id=placed.id, by=world.actor, now=a.NOW) == []


def test_a_price_is_ordered_at_only_on_the_days_that_it_holds(world: a.World) -> None:
    later, over, holds = (
        world.offer(price_from=date(2024, 10, 16)),
        world.offer(price_to=date(2024, 10, 15)),
        world.offer(price_from=date(2024, 10, 15), price_to=date(2024, 10, 16)),
    )
    with pytest.raises(NotOrderable) as refused:
        world.place({listing.id: 1 for listing in (later, over, holds)})
    assert [(e["pointer"], e["code"]) for e in refused.value.errors] == [
        ("/lines/0/listing_id", "price_not_begun"),
        ("/lines/1/listing_id", "price_lapsed"),
    ]
    assert world.place({holds.id: 1}).total_fen > 0
