"""Holding, releasing, binding and shipping."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from shop.accounts.models import Kind
from shop.db import engine, in_unit_of_work, unit_of_work
from shop.ids import new_id
from shop.stock.models import Hold, Lot, Movement, Supply
from shop.stock.service.holding import Line, LotsShort, Shortage, Want, bind, hold, release, ship
from tests import builders as a


def goods(session: Session, *packs: int) -> tuple[UUID, list[Supply]]:
    """A listing with one supply row per number of base units given, later ones lapsing later."""
    listing = a.a_listing(session, a.a_product(session, a.an_organisation(session, Kind.COOPERATIVE)))
    supplies = [
        a.a_supply(session, listing, 1, promised=n, open=n, ready_to=date(2025, 1, 1) + timedelta(days=i))
        for i, n in enumerate(packs)
    ]
    return listing.id, supplies


def want(listing: UUID, quantity: int) -> Want:
    return Want(new_id(), listing, new_id(), quantity)


def state(session: Session, supplies: list[Supply]) -> list[tuple[int, int]]:
    session.expire_all()
    return [(supply.open, supply.held) for supply in supplies]


def test_a_hold_takes_the_supply_that_lapses_first(session: Session) -> None:
    listing, supplies = goods(session, 5, 10)
    hold(session, [want(listing, 7)], now=a.NOW)
    assert state(session, supplies) == [(0, 5), (8, 2)]


def test_two_lines_of_one_listing_share_its_supply(session: Session) -> None:
    listing, supplies = goods(session, 5, 10)
    wants = [want(listing, 4), want(listing, 6)]
    hold(session, wants, now=a.NOW)
    assert state(session, supplies) == [(0, 5), (5, 5)]
    held = session.execute(select(Hold.line_id, func.sum(Hold.quantity)).group_by(Hold.line_id)).all()
    assert {line: int(quantity) for line, quantity in held} == {wants[0].line_id: 4, wants[1].line_id: 6}


def test_a_shortage_names_what_is_there(session: Session) -> None:
    listing, _ = goods(session, 5, 10)
    with pytest.raises(Shortage) as refused:
        hold(session, [want(listing, 16)], now=a.NOW)
    assert refused.value.facts["short"] == [{"listing_id": f"lst_{listing.hex}", "wanted": 16, "available": 15}]


def test_supply_whose_window_is_over_is_not_held(session: Session) -> None:
    listing, _ = goods(session, 5)
    with pytest.raises(Shortage):
        hold(session, [want(listing, 1)], now=a.NOW.replace(year=2025))


def test_a_release_gives_everything_back_and_twice_is_once(session: Session) -> None:
    listing, supplies = goods(session, 5, 10)
    wanted = want(listing, 7)
    hold(session, [wanted], now=a.NOW)
    release(session, line_ids=[wanted.line_id])
    release(session, line_ids=[wanted.line_id])
    assert state(session, supplies) == [(5, 0), (10, 0)]


def test_holding_costs_the_same_statements_for_one_line_and_for_twenty(session: Session) -> None:
    def cost(action: Callable[[], None]) -> int:
        seen: list[str] = []
        listener = lambda *args: seen.append(args[2])  # noqa: E731
        event.listen(engine(), "before_cursor_execute", listener)
        action()
        event.remove(engine(), "before_cursor_execute", listener)
        return len(seen)

    listings = [goods(session, 100)[0] for _ in range(20)]
    one = cost(lambda: hold(session, [want(listings[0], 1)], now=a.NOW))
    twenty = cost(lambda: hold(session, [want(listing, 1) for listing in listings], now=a.NOW))
    assert one == twenty == 2


def a_packed_line(session: Session, quantity: int, *lots: tuple[int, date]) -> tuple[Line, list[Lot], Supply]:
    cooperative = a.an_organisation(session, Kind.COOPERATIVE)
    product = a.a_product(session, cooperative)
    listing = a.a_listing(session, product)
    supply = a.a_supply(session, listing, 1, promised=100, open=100)
    made = [a.a_lot(session, product, n, best_before=day) for n, day in lots]
    wanted = want(listing.id, quantity)
    hold(session, [wanted], now=a.NOW)
    return Line(wanted.line_id, product.id, wanted.buyer_id, quantity), made, supply


def test_packing_binds_the_lot_that_expires_first(session: Session) -> None:
    line, lots, supply = a_packed_line(session, 12, (50, date(2025, 3, 1)), (10, date(2025, 1, 1)))
    bound = bind(session, lines=[line], now=a.NOW)
    assert {(b.lot_id, b.quantity) for b in bound} == {(lots[1].id, 10), (lots[0].id, 2)}
    session.expire_all()
    assert [(lot.in_store, lot.bound) for lot in lots] == [(48, 2), (0, 10)]
    assert (supply.held, supply.bound) == (0, 12)


def test_a_lot_past_its_date_is_never_packed(session: Session) -> None:
    line, _, _ = a_packed_line(session, 5, (50, date(2024, 10, 15)))
    with pytest.raises(LotsShort):
        bind(session, lines=[line], now=a.NOW)


def test_shipping_moves_what_is_bound_once(session: Session) -> None:
    line, lots, _ = a_packed_line(session, 5, (50, date(2025, 3, 1)))
    bind(session, lines=[line], now=a.NOW)
    assert [s.quantity for s in ship(session, line_ids=[line.line_id], now=a.NOW)] == [5]
    assert ship(session, line_ids=[line.line_id], now=a.NOW) == []
    session.expire_all()
    assert (lots[0].bound, lots[0].shipped) == (0, 5)
    kinds = session.scalars(select(Movement.kind).where(Movement.lot_id == lots[0].id).order_by(Movement.id)).all()
    assert kinds == ["received", "bound", "shipped"]


@pytest.mark.usefixtures("committed")
def test_sixty_buyers_at_once_after_seven_units_take_exactly_seven() -> None:
    with unit_of_work() as session:
        listing, _ = goods(session, 3, 4)
    gate = Barrier(12)

    def buy(place: int) -> bool:
        gate.wait() if place < 12 else None
        try:
            in_unit_of_work(lambda session: hold(session, [want(listing, 1)], now=a.NOW))
        except Shortage:
            return False
        return True

    with ThreadPoolExecutor(12) as pool:
        bought = sum(pool.map(buy, range(60)))
    with unit_of_work() as session:
        left = session.execute(select(func.sum(Supply.open), func.sum(Supply.held))).one()
    assert (bought, tuple(map(int, left))) == (7, (0, 7))


@pytest.mark.usefixtures("committed")
def test_orders_over_the_same_listings_in_either_order_never_deadlock() -> None:
    with unit_of_work() as session:
        one, _ = goods(session, 1000)
        two, _ = goods(session, 1000)

    def buy(place: int) -> None:
        pair = (one, two) if place % 2 else (two, one)
        in_unit_of_work(lambda session: hold(session, [want(key, 1) for key in pair], now=a.NOW), attempts=1)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(buy, range(120)))
    with unit_of_work() as session:
        assert int(session.scalar(select(func.sum(Supply.held))) or 0) == 240
