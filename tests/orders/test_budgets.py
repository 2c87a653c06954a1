"""Budgets drawn down by orders, spending limits by window, and orders that look like one that was split."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlalchemy.orm import Session

from shop.actor import SYSTEM, Actor, Role
from shop.db import unit_of_work
from shop.orders import checks
from shop.orders.models import Order
from shop.orders.models_budgets import (
    BelowDrawn,
    Budget,
    BudgetEntry,
    BudgetExceeded,
    SpendingWindow,
)
from shop.orders.schemas_budgets import SetBudget, SetSpendingLimit
from shop.orders.schemas_fulfilment import CountIn, Inspect
from shop.orders.service import acceptance, budgeting, cancelling
from shop.orders.service.placing import ApprovalRequired, place
from shop.orders.service.recording import Placed
from shop.outbox.models import Event
from tests import builders as a
from tests.builders import World
from tests.orders import journey
from tests.orders.test_whose_order import a_caterer, a_mandate


@pytest.fixture
def world(session: Session) -> World:
    return World(session)


def a_budget(world: World, fen: int, **more: Any) -> Budget:
    wanted = {"budget_unit_id": world.unit.id, "year": 2024, "purpose": "canteen", "amount_fen": fen, "reason": "批复"}
    return budgeting.set_budget(world.session, by=world.actor, wanted=SetBudget(**(wanted | more)), now=a.NOW)


def drawn(world: World) -> list[int]:
    return list(world.session.scalars(select(Budget.drawn_fen).order_by(Budget.id)))


def faults(session: Session) -> list[str]:
    return [
        name for name, statement in checks.CHECKS.items() if "budget" in name and session.execute(text(statement)).all()
    ]


def test_orders_draw_on_the_budget_of_their_unit_year_and_purpose_and_no_further(world: World) -> None:
    listing = world.offer(1000)
    price = world.place({listing.id: 2}).total_fen
    budget = a_budget(world, price + price - 1)
    a_budget(world, 1, purpose="union_welfare")
    a_budget(world, 1, year=2023)
    world.place({listing.id: 2})
    with pytest.raises(BudgetExceeded) as refused:
        world.place({listing.id: 2})
    assert refused.value.facts == {"available_fen": price - 1, "wanted_fen": price}
    assert drawn(world) == [price, 0, 0]
    world.place({listing.id: 2}, now=datetime.fromisoformat("2025-05-15T09:00:00+08:00"))  # no budget of that year
    entries = world.session.scalars(select(BudgetEntry)).all()
    assert [(entry.budget_id, entry.kind, entry.amount_fen) for entry in entries] == [(budget.id, "placed", price)]
    assert faults(world.session) == []


def test_what_is_cancelled_or_not_accepted_is_given_back_once(world: World, session: Session) -> None:
    listing, other = world.offer(1000, lots=500), world.offer(1000)
    a_budget(world, 10**12)
    (one, two) = journey.confirmed(world, {listing.id: 10, other.id: 5})
    if journey.part_of(session, one).cooperative_id != listing.cooperative_id:
        one, two = two, one
    cancelling.cancel_supplier_order(session, supplier_order_id=two, by=SYSTEM, reason="x", now=a.NOW)
    left = journey.part_of(session, one)
    assert drawn(world) == [left.goods_fen + left.freight_fen]
    journey.delivered(session, one)
    (share,) = journey.sent_of(session, one)
    count = CountIn(line_id=share.line_id, lot_id=share.lot_id, accepted=6, rejected=3, short=1, reason="腐坏")
    acceptance.inspect(
        session, actor=world.actor, supplier_order_id=one, found=Inspect(lines=[count]), now=journey.LATER
    )
    part = journey.part_of(session, one)
    assert part.accepted_goods_fen is not None
    assert part.accepted_freight_fen is not None
    assert drawn(world) == [part.accepted_goods_fen + part.accepted_freight_fen]
    budgeting.give_back(session, supplier_order_id=two, kind=budgeting.Drawing.CANCELLED, fen=5, now=a.NOW)
    assert drawn(world) == [part.accepted_goods_fen + part.accepted_freight_fen]
    assert faults(session) == []


def test_a_caterer_draws_on_the_budget_of_the_unit_it_buys_for(world: World) -> None:
    listing = world.offer(1000)
    a_budget(world, 10**12)
    a_caterer(world)
    a_mandate(world, a.NOW.date(), None)
    placed = world.place({listing.id: 1})
    assert drawn(world) == [placed.total_fen]


def test_a_budget_is_never_less_than_what_was_drawn_on_it(world: World) -> None:
    listing = world.offer(1000)
    a_budget(world, 10**12)
    total = world.place({listing.id: 1}).total_fen
    with pytest.raises(BelowDrawn) as refused:
        a_budget(world, total - 1)
    assert refused.value.facts["drawn_fen"] == total
    assert a_budget(world, total).amount_fen == total


def placed_by(world: World, actor: Actor, packs: int, listing: Any, now: datetime = a.NOW) -> Placed:
    return place(world.session, actor=actor, wanted=world.wanted({listing.id: packs}), now=now)


def test_a_member_orders_up_to_the_limit_of_the_window_and_again_in_the_next(world: World, session: Session) -> None:
    listing = world.offer(10_000)
    member = a.a_member(session, world.buyer, roles={Role.REQUESTER})
    fen = placed_by(world, world.actor, 1, listing).total_fen
    limit = SetSpendingLimit(member_id=member.membership_id, window="month", limit_fen=2 * fen)
    budgeting.set_spending_limit(session, by=world.actor, wanted=limit, now=a.NOW)
    placed_by(world, member, 1, listing)
    with pytest.raises(ApprovalRequired) as refused:
        placed_by(world, member, 2, listing)
    assert refused.value.facts["allowed"] == fen
    placed_by(world, member, 1, listing)
    placed_by(world, member, 1, listing, now=a.NOW + timedelta(days=31))
    lifted = SetSpendingLimit(member_id=member.membership_id, window=None, limit_fen=None)
    budgeting.set_spending_limit(session, by=world.actor, wanted=lifted, now=a.NOW)
    placed_by(world, member, 5, listing)


@pytest.mark.parametrize(
    ("window", "now", "began"),
    [
        ("day", "2024-10-14T16:00:00+00:00", "2024-10-15T00:00:00+08:00"),
        ("week", "2024-10-20T15:59:59+00:00", "2024-10-14T00:00:00+08:00"),
        ("week", "2024-10-20T16:00:00+00:00", "2024-10-21T00:00:00+08:00"),
        ("month", "2024-10-31T15:59:59+00:00", "2024-10-01T00:00:00+08:00"),
        ("month", "2024-10-31T16:00:00+00:00", "2024-11-01T00:00:00+08:00"),
    ],
)
def test_windows_begin_at_midnight_in_beijing(window: str, now: str, began: str) -> None:
    found = budgeting.window_began(SpendingWindow(window), datetime.fromisoformat(now))
    assert found == datetime.fromisoformat(began)


def test_orders_of_one_member_that_add_up_to_more_than_the_limit_are_flagged(world: World, session: Session) -> None:
    listing = world.offer(10_000)
    fen = placed_by(world, world.actor, 2, listing).total_fen
    member = a.a_member(session, world.buyer, roles={Role.REQUESTER}, order_limit_fen=fen)
    suspected = [
        placed_by(world, member, packs, listing, now=a.NOW + timedelta(days=day)).split_suspected
        for packs, day in ((1, 0), (1, 1), (1, 1), (2, 30))
    ]
    one = placed_by(world, a.a_member(session, world.buyer, order_limit_fen=fen), 1, listing).total_fen
    assert suspected == [False, 2 * one > fen, True, False]
    kept = session.scalars(select(Order.split_suspected).where(Order.placed_by == member.user_id).order_by(Order.id))
    assert list(kept) == suspected
    told = session.scalars(select(Event).where(Event.kind == "order.split_suspected")).all()
    assert {tuple(event.seen_by) for event in told} == {(world.buyer.id,)}


def test_twenty_orders_at_once_never_pass_a_budget_nor_a_window(committed: str) -> None:
    with unit_of_work() as session:
        world = World(session)
        listing = world.offer(10_000)
        member = a.a_member(session, world.buyer, roles={Role.REQUESTER})
        other = a.a_member(session, world.buyer, roles={Role.REQUESTER})
        fen = placed_by(world, world.actor, 1, listing).total_fen
        budget = a_budget(world, 12 * fen)
        limit = SetSpendingLimit(member_id=member.membership_id, window="day", limit_fen=5 * fen)
        budgeting.set_spending_limit(session, by=world.actor, wanted=limit, now=a.NOW)
        wanted = world.wanted({listing.id: 1})

    def order(actor: Actor) -> str:
        try:
            with unit_of_work() as session:
                place(session, actor=actor, wanted=wanted, now=a.NOW)
        except (BudgetExceeded, ApprovalRequired) as refused:
            return refused.code
        return "placed"

    with ThreadPoolExecutor(20) as pool:
        limited = list(pool.map(order, [member] * 20))
        budgeted = list(pool.map(order, [other] * 20))
    assert (limited.count("placed"), limited.count("approval_required")) == (5, 15)
    assert (budgeted.count("placed"), budgeted.count("budget_exceeded")) == (7, 13)
    with unit_of_work() as session:
        assert session.get_one(Budget, budget.id).drawn_fen == 12 * fen
        assert faults(session) == []


def test_entries_are_only_added_and_a_budget_is_never_overdrawn_by_anybody(world: World, session: Session) -> None:
    listing = world.offer(100)
    a_budget(world, 10**12)
    world.place({listing.id: 1})
    for statement in (
        "UPDATE budget_entry SET amount_fen = 0",
        "DELETE FROM budget_entry",
        "UPDATE budget SET drawn_fen = amount_fen + 1",
    ):
        with pytest.raises((ProgrammingError, IntegrityError)), session.begin_nested():
            session.execute(text(statement))
