"""The table of moves: by the use case, by the database, and by rivals."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise, product
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from shop.actor import SYSTEM
from shop.db import in_unit_of_work, sqlstate, unit_of_work
from shop.errors import NotFound
from shop.ids import new_id
from shop.orders.models import NEXT, Order, OrderHistory, Status, SupplierOrder, WrongStatus
from shop.orders.service import cancelling, filling
from shop.orders.service.moving import confirm_order, move
from shop.outbox.models import Event
from shop.stock.models import Lot, Movement, Supply
from tests import builders as a
from tests.orders import journey

PATHS = {
    Status.PLACED: (),
    Status.CONFIRMED: ("confirmed",),
    Status.ACCEPTED: ("confirmed", "accepted"),
    Status.PACKED: ("confirmed", "accepted", "packed"),
    Status.SHIPPED: ("confirmed", "accepted", "packed", "shipped"),
    Status.DELIVERED: ("confirmed", "accepted", "packed", "shipped", "delivered"),
    Status.INSPECTED: ("confirmed", "accepted", "packed", "shipped", "delivered", "inspected"),
    Status.SETTLED: ("confirmed", "accepted", "packed", "shipped", "delivered", "inspected", "settled"),
    Status.CANCELLED: ("cancelled",),
    Status.DISPUTED: ("confirmed", "accepted", "packed", "shipped", "delivered", "disputed"),
}
CELLS = list(product(Status, Status))
LEGAL = {
    "placed": "confirmed cancelled",
    "confirmed": "accepted cancelled",
    "accepted": "packed cancelled",
    "packed": "accepted shipped",
    "shipped": "delivered",
    "delivered": "inspected disputed",
    "inspected": "settled disputed",
    "disputed": "inspected settled",
    "settled": "",
    "cancelled": "",
}


def a_supplier_order(session: Session, status: Status = Status.PLACED) -> UUID:
    """A supplier order without lines, led to a status by `move`."""
    buyer = a.an_organisation(session)
    cooperative = a.an_organisation(session, a.Kind.COOPERATIVE)
    order = Order(
        number="PO-1",
        buyer_id=buyer.id,
        budget_unit_id=a.a_budget_unit(session, buyer).id,
        address_id=new_id(),
        delivery_code=a.HUANGPU,
        purpose="canteen",
        terms="on_terms",
        goods_fen=0,
        freight_fen=0,
        total_fen=0,
        placed_by=new_id(),
        placed_at=a.NOW,
    )
    session.add(order)
    session.flush()
    part = SupplierOrder(
        order_id=order.id,
        buyer_id=buyer.id,
        cooperative_id=cooperative.id,
        goods_fen=0,
        freight_fen=0,
        pay_before=a.NOW,
    )
    session.add(part)
    session.flush()
    session.add(OrderHistory(supplier_order_id=part.id, step=1, status="placed", by_user_id=order.placed_by, at=a.NOW))
    session.flush()
    for step in PATHS[status]:
        move(session, supplier_order_id=part.id, to=Status(step), by=SYSTEM, now=a.NOW)
    return part.id


def fingerprint(session: Session, key: UUID) -> Any:
    """The row, its history and its events, as one word."""
    return session.execute(
        text(
            "SELECT (SELECT md5(s::text) FROM supplier_order s WHERE id = :key),"
            " (SELECT md5(string_agg(h::text, '' ORDER BY step)) FROM order_history h WHERE supplier_order_id = :key),"
            " (SELECT count(*) FROM event WHERE payload->>'supplier_order_id' = :hex)"
        ),
        {"key": key, "hex": key.hex},
    ).one()


def chain(session: Session, key: UUID) -> list[tuple[int, str | None, str]]:
    rows = session.execute(
        select(OrderHistory.step, OrderHistory.was, OrderHistory.status)
        .where(OrderHistory.supplier_order_id == key)
        .order_by(OrderHistory.step)
    )
    return [(step, was, status) for step, was, status in rows]


def without_holes(links: list[tuple[int, str | None, str]]) -> bool:
    """Whether the steps count up from one and each begins where the last one ended."""
    return [step for step, _, _ in links] == list(range(1, len(links) + 1)) and all(
        was == before for (_, _, before), (_, was, _) in pairwise(links)
    )


def test_the_table_of_moves_is_the_life_that_was_agreed() -> None:
    assert {str(start): " ".join(e for e in map(str, Status) if e in ends) for start, ends in NEXT.items()} == {
        start: " ".join(e for e in map(str, Status) if e in ends.split()) for start, ends in LEGAL.items()
    }


@pytest.mark.parametrize(("status", "to"), CELLS)
def test_a_move_is_made_or_refused_by_the_table(session: Session, status: Status, to: Status) -> None:
    key = a_supplier_order(session, status)
    before, links = fingerprint(session, key), chain(session, key)
    if to in LEGAL[status].split():
        move(session, supplier_order_id=key, to=to, by=SYSTEM, now=a.NOW)
        assert journey.part_of(session, key).status == to
        assert chain(session, key) == [*links, (len(links) + 1, status, to)]
        told = session.scalars(select(Event.kind).order_by(Event.id.desc())).first()
        assert told == f"supplier_order.{to}"
    else:
        with pytest.raises(WrongStatus) as refused:
            move(session, supplier_order_id=key, to=to, by=SYSTEM, now=a.NOW)
        assert refused.value.facts == {"is_now": status}
        assert fingerprint(session, key) == before


@pytest.mark.parametrize(("status", "to"), [cell for cell in CELLS if cell[0] != cell[1]])
def test_the_database_makes_or_refuses_the_same_moves(session: Session, status: Status, to: Status) -> None:
    key = a_supplier_order(session, status)
    before = fingerprint(session, key)
    by_hand = text("UPDATE supplier_order SET status = :to WHERE id = :key")
    assert session.scalar(text("SELECT current_user")) == "shop_app"
    if to in LEGAL[status].split():
        session.execute(by_hand, {"to": to, "key": key})
        assert journey.part_of(session, key).status == to
    else:
        with pytest.raises(DBAPIError) as refused, session.begin_nested():
            session.execute(by_hand, {"to": to, "key": key})
        assert sqlstate(refused.value) == "23001"
        assert fingerprint(session, key) == before


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PLACED])
def test_a_supplier_order_begins_as_placed(session: Session, status: Status) -> None:
    key = a_supplier_order(session)
    with pytest.raises(DBAPIError) as refused, session.begin_nested():
        session.execute(
            text(
                "INSERT INTO supplier_order (id, order_id, buyer_id, cooperative_id, status, goods_fen, freight_fen,"
                " pay_before) SELECT :new, order_id, buyer_id, buyer_id, :status, 0, 0, pay_before"
                " FROM supplier_order WHERE id = :key"
            ),
            {"new": new_id(), "key": key, "status": status},
        )
    assert sqlstate(refused.value) == "23001"


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE order_history SET status = 'settled'",
        "DELETE FROM order_history",
        "ALTER TABLE supplier_order DISABLE TRIGGER moves",
        "DROP TRIGGER moves ON supplier_order",
        "SET session_replication_role = replica",
    ],
)
def test_the_application_cannot_rewrite_history_or_lift_the_rule(session: Session, sql: str) -> None:
    a_supplier_order(session, Status.CONFIRMED)
    with pytest.raises(DBAPIError) as refused, session.begin_nested():
        session.execute(text(sql))
    assert sqlstate(refused.value) in {"42501", "23001"}


def test_moving_what_is_not_there_is_not_found(session: Session) -> None:
    with pytest.raises(NotFound):
        move(session, supplier_order_id=new_id(), to=Status.CONFIRMED, by=SYSTEM, now=a.NOW)


def outcomes(rivals: list[Callable[[Session], object]]) -> list[bool]:
    """Let all of them loose at once, each in a transaction of its own; whether each went through."""
    gate = Barrier(len(rivals))

    def run(rival: Callable[[Session], object]) -> bool:
        gate.wait()
        try:
            in_unit_of_work(rival)
        except WrongStatus:
            return False
        return True

    with ThreadPoolExecutor(len(rivals)) as pool:
        return list(pool.map(run, rivals))


@pytest.mark.usefixtures("committed")
def test_of_twenty_who_pack_or_cancel_at_once_exactly_one_wins_and_stock_agrees() -> None:
    with unit_of_work() as session:
        world = a.World(session)
    for turn in range(6):
        with unit_of_work() as session:
            world.session = session
            listing = world.offer(10, lots=10)
            placed = world.place({listing.id: 4})
            confirm_order(session, order_id=placed.id, by=SYSTEM, now=a.NOW)
            part = placed.parts[0].id
            seller = journey.accepted(session, part)

        def pack(session: Session, part: UUID = part, seller: Any = seller) -> None:
            filling.pack(session, actor=seller, supplier_order_id=part, now=a.NOW)

        def cancel(session: Session, order: UUID = placed.id) -> None:
            cancelling.cancel_order(session, order_id=order, by=world.actor, reason="变更", now=a.NOW)

        rivals = [pack, cancel] * 10 if turn % 2 else [cancel, pack] * 10
        won = outcomes(rivals)
        assert sum(won) == 1
        winner = rivals[won.index(True)]
        with unit_of_work() as session:
            links = chain(session, part)
            lot = session.scalars(select(Lot).where(Lot.product_id == listing.product_id)).one()
            supply = session.scalars(select(Supply).where(Supply.listing_id == listing.id)).one()
            kinds = session.scalars(select(Movement.kind).where(Movement.lot_id == lot.id)).all()
        assert without_holes(links)
        assert [status for *_, status in links[:3]] == ["placed", "confirmed", "accepted"]
        assert len(links) == 4
        base = listing.pack_base_quantity
        if winner is pack:
            assert links[-1][2] == "packed"
            assert (lot.in_store, lot.bound) == (6 * base, 4 * base)
            assert (supply.held, supply.bound, supply.open) == (0, 4 * base, 6 * base)
            assert sorted(kinds) == ["bound", "received"]
        else:
            assert links[-1][2] == "cancelled"
            assert (lot.in_store, lot.bound) == (10 * base, 0)
            assert (supply.held, supply.bound, supply.open) == (0, 0, 10 * base)
            assert kinds == ["received"]


@pytest.mark.usefixtures("committed")
def test_of_twenty_who_accept_or_cancel_at_once_one_of_each_kind_at_most_goes_through() -> None:
    with unit_of_work() as session:
        world = a.World(session)
    for turn in range(4):
        with unit_of_work() as session:
            world.session = session
            listing = world.offer(10)
            placed = world.place({listing.id: 4})
            confirm_order(session, order_id=placed.id, by=SYSTEM, now=a.NOW)
            part = placed.parts[0]
            seller = journey.seller_of(session, part.cooperative_id)

        def accept(session: Session, part: UUID = part.id, seller: Any = seller) -> None:
            filling.accept(session, actor=seller, supplier_order_id=part, now=a.NOW)

        def cancel(session: Session, order: UUID = placed.id) -> None:
            cancelling.cancel_order(session, order_id=order, by=world.actor, reason="变更", now=a.NOW)

        rivals = [accept, cancel] * 10 if turn % 2 else [cancel, accept] * 10
        won = outcomes(rivals)
        made = [rival.__name__ for rival, went in zip(rivals, won, strict=True) if went]
        with unit_of_work() as session:
            links = chain(session, part.id)
            supply = session.scalars(select(Supply).where(Supply.listing_id == listing.id)).one()
        assert without_holes(links)
        assert sorted(made) in (["cancel"], ["accept", "cancel"])
        assert [status for *_, status in links[2:]] == (["accepted"] if len(made) == 2 else []) + ["cancelled"]
        assert (supply.held, supply.open) == (0, 10 * listing.pack_base_quantity)
