"""Nothing of supply or lots is made or lost, whatever many do at once: drawn by hypothesis, on a real PostgreSQL."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any, ClassVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from shop.accounts.models import Kind
from shop.accounts.service import logging_in
from shop.clock import move_to
from shop.db import engine, in_unit_of_work, unit_of_work
from shop.errors import Refusal
from shop.ids import new_id
from shop.orders.service.placing import place
from shop.stock.checks import CHECKS
from shop.stock.models import Lot
from shop.stock.schemas import ReceiveLot
from shop.stock.schemas_keeping import CountLot, KeepAt, TakeStock, Transfer, WriteOff
from shop.stock.schemas_recalls import OrderRecall
from shop.stock.service import holding, keeping, offering, recalling
from tests import builders as a
from tests.application import the_app
from tests.stock.proof import checks_find_nothing

EXPECTED = {
    "not_enough_supply", "not_enough_in_store", "lots_too_old", "lot_recalled", "not_enough_open", "not_in_store",
    "counted_below_bound", "recall_ended",
}  # fmt: skip
"""The refusals that a storm may end in; anything else, a deadlock above all, is a failure."""

QUANTITY = st.integers(1, 60)
DEEDS = st.sampled_from(
    ["hold", "hold", "hold", "release", "bind", "bind", "unbind", "ship", "receive", "offer", "withdraw", "recall",
     "recall harvest", "end recall", "transfer", "write off", "count", "close"]
)  # fmt: skip


DEED = st.tuples(DEEDS, QUANTITY, st.integers(0, 99))


class Line:
    """An order line as stock sees it; `state`: held, bound, shipped or gone."""

    def __init__(self, quantity: int) -> None:
        self.id, self.buyer, self.quantity, self.state = new_id(), new_id(), quantity, "held"


class Storm(RuleBasedStateMachine):
    """A listing with supply and lots, and rounds in which several deeds happen at the same moment."""

    width: ClassVar[int] = 4

    @initialize(supplies=st.lists(QUANTITY, min_size=1, max_size=3), lots=st.lists(QUANTITY, min_size=1, max_size=3))
    def begin(self, supplies: list[int], lots: list[int]) -> None:
        self.now, self.lines, self.serial = a.NOW, list[Line](), 0
        with unit_of_work() as session:
            cooperative = a.an_organisation(session, Kind.COOPERATIVE)
            product = a.a_product(session, cooperative)
            self.listing = a.a_listing(session, product, pack_base_quantity=1).id
            self.product = product.id
            self.seller = a.a_member(session, cooperative)
            if session.scalar(select(a.Division.code).where(a.Division.code == a.HUANGPU)) is None:
                a.a_division(session, a.HUANGPU, "黄浦区", "county")
            place = KeepAt(kind="eastern_warehouse", name="东仓", division_code=a.HUANGPU)
            self.east = keeping.add_location(session, by=self.seller, wanted=place, now=self.now).id
            for quantity in supplies:
                self.offer(session, quantity)
            for quantity in lots:
                self.receive(session, quantity)

    def offer(self, session: Session, quantity: int) -> None:
        first = self.now.date()
        offering.offer(
            session, by=self.seller, listing_id=self.listing, ready_from=first,
            ready_to=first + timedelta(days=1 + quantity % 9), packs=quantity, now=self.now,
        )  # fmt: skip

    def receive(self, session: Session, quantity: int) -> None:
        self.serial += 1
        day = self.now.date() - timedelta(days=1)
        body = ReceiveLot(
            product_id=self.product, code=f"L{new_id().hex}", harvested_on=day,
            best_before=day + timedelta(days=3 + quantity % 9), quantity=quantity,
        )  # fmt: skip
        offering.receive(session, by=self.seller, wanted=body, now=self.now)

    @rule(
        deeds=st.lists(st.tuples(DEEDS, QUANTITY, st.integers(0, 99)), min_size=1, max_size=4), days=st.integers(0, 2)
    )
    def happen_at_once(self, deeds: list[tuple[str, int, int]], days: int) -> None:
        """What touches one line is one deed in a round: a supplier order is worked on by one at a time."""
        self.now += timedelta(days=days)
        free = list(self.lines)
        calls: list[Callable[[], None]] = []
        for name, quantity, pick in deeds:
            made = self.deed(name, quantity, pick, free)
            if made is not None:
                calls.append(made)
        gate = Barrier(len(calls)) if calls else None
        refused: list[Refusal] = []

        def go(call: Callable[[], None]) -> None:
            assert gate is not None
            gate.wait()
            try:
                call()
            except Refusal as refusal:
                refused.append(refusal)

        with ThreadPoolExecutor(self.width) as pool:
            list(pool.map(go, calls))
        unexpected = [(refusal.code, str(refusal.__cause__)) for refusal in refused if refusal.code not in EXPECTED]
        assert unexpected == []
        for refusal in refused:
            if refusal.code == "not_enough_supply":
                assert all(short["available"] < short["wanted"] for short in refusal.facts["short"])

    def deed(self, name: str, quantity: int, pick: int, free: list[Line]) -> Callable[[], None] | None:
        def alone(use_case: Callable[[Session], Any]) -> None:
            in_unit_of_work(use_case, attempts=1)

        def a_line(state: str) -> Line | None:
            found = [line for line in free if line.state == state]
            if not found:
                return None
            line = found[pick % len(found)]
            free.remove(line)
            return line

        match name:
            case "hold":
                line = Line(quantity)

                def take() -> None:
                    want = holding.Want(line.id, self.listing, line.buyer, quantity)
                    alone(lambda session: holding.hold(session, [want], now=self.now))
                    self.lines.append(line)

                return take
            case "release" if line := a_line("held"):

                def give_back() -> None:
                    alone(lambda session: holding.release(session, line_ids=[line.id]))
                    line.state = "gone"

                return give_back
            case "bind" if line := a_line("held"):

                def pack() -> None:
                    until = self.now.date() + timedelta(days=pick % 4) if pick % 3 == 0 else None
                    wanted = holding.Line(line.id, self.product, line.buyer, line.quantity, until)
                    place = self.east if pick % 7 == 0 else None
                    alone(lambda session: holding.bind(session, lines=[wanted], now=self.now, location_id=place))
                    line.state = "bound"

                return pack
            case "unbind" if line := a_line("bound"):

                def unpack() -> None:
                    alone(lambda session: holding.unbind(session, line_ids=[line.id], now=self.now))
                    line.state = "held"

                return unpack
            case "ship" if line := a_line("bound"):

                def send() -> None:
                    alone(lambda session: holding.ship(session, line_ids=[line.id], now=self.now))
                    line.state = "shipped"

                return send
            case "receive":
                return lambda: alone(lambda session: self.receive(session, quantity))
            case "offer":
                return lambda: alone(lambda session: self.offer(session, quantity))
            case "close":
                return lambda: alone(lambda session: offering.close_windows(session, now=self.now))
            case "withdraw" if supply := self.one("supply", pick):
                return lambda: alone(
                    lambda session: offering.withdraw(
                        session, by=self.seller, supply_id=supply, packs=quantity, now=self.now
                    )
                )
            case "recall" if lot := self.one("lot", pick):
                wanted = OrderRecall(lot_ids=[lot], reason="x", hold_supply=bool(pick % 2))
                return lambda: alone(
                    lambda session: recalling.order(session, by=self.seller, wanted=wanted, now=self.now)
                )
            case "recall harvest":
                first = self.now.date() - timedelta(days=pick % 5)
                harvest = OrderRecall(
                    product_id=self.product, harvested_from=first, harvested_to=first + timedelta(days=2), reason="x"
                )
                return lambda: alone(
                    lambda session: recalling.order(session, by=self.seller, wanted=harvest, now=self.now)
                )
            case "end recall" if recall := self.one("recall", pick):
                return lambda: alone(
                    lambda session: recalling.release(
                        session, by=self.seller, recall_id=recall, reason="x", now=self.now
                    )
                )
            case "transfer" if lot := self.one("lot", pick):
                move = Transfer(location_id=self.east, quantity=quantity)
                return lambda: alone(lambda session: self.transfer(session, lot, move))
            case "write off" if lot := self.one("lot", pick):
                loss = WriteOff(quantity=quantity, reason="spoiled")
                return lambda: alone(
                    lambda session: keeping.write_off(session, by=self.seller, lot_id=lot, wanted=loss, now=self.now)
                )
            case "count" if lot := self.one("lot", pick):
                take = TakeStock(counts=[CountLot(lot_id=lot, counted=quantity)])
                return lambda: alone(
                    lambda session: keeping.take_stock(session, by=self.seller, wanted=take, now=self.now)
                )
        return None

    def transfer(self, session: Session, lot: UUID, wanted: Transfer) -> None:
        if session.get_one(Lot, lot).location_id != wanted.location_id:
            keeping.transfer(session, by=self.seller, lot_id=lot, wanted=wanted, now=self.now)

    def one(self, table: str, pick: int) -> UUID | None:
        """One of the rows of this listing's cooperative, drawn by a number."""
        asked = text(f"SELECT id FROM {table} WHERE cooperative_id = :mine ORDER BY id")
        with unit_of_work() as session:
            found = session.scalars(asked, {"mine": self.seller.organisation_id}).all()
        return found[pick % len(found)] if found else None

    @invariant()
    def everything_adds_up(self) -> None:
        with engine().connect() as connection:
            for name, statement in CHECKS.items():
                assert connection.execute(text(statement)).first() is None, name

    @invariant()
    def lines_hold_what_they_were_given(self) -> None:
        if not getattr(self, "lines", None):
            return
        asked = text(
            "SELECT line_id, status, sum(quantity)::bigint FROM hold WHERE line_id = ANY(:lines)"
            " GROUP BY line_id, status"
        )
        with engine().connect() as connection:
            rows = connection.execute(asked, {"lines": [line.id for line in self.lines]}).all()
        there = {row[0]: (row[1], row[2]) for row in rows}
        says = {"held": "active", "bound": "bound", "shipped": "bound", "gone": "released"}
        assert there == {line.id: (says[line.state], line.quantity) for line in self.lines}


def storm(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        Storm,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
    with unit_of_work() as session:
        assert deadlocks(session) == 0


def deadlocks(session: Session) -> int:
    return int(session.scalar(text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")) or 0)


def test_supply_and_lots_are_conserved_in_a_short_storm(committed: str) -> None:
    storm(examples=6, steps=12)


@pytest.mark.deep
def test_supply_and_lots_are_conserved_in_a_long_storm(committed: str) -> None:
    storm(examples=150, steps=40)


def crossing(rounds: int, lines: int) -> None:
    """Two buyers order the same listings of many cooperatives in opposite orders at the same moment, many times."""
    with unit_of_work() as session:
        one = a.World(session)
        two = a.World(session, roads=False)
        listings = [one.offer(10_000).id for _ in range(lines)]
        before = deadlocks(session)
    sides = [(one, listings), (two, listings[::-1])]
    gate = Barrier(2)

    def order(side: int) -> int:
        world, wanted = sides[side]
        done = 0
        for _ in range(rounds):
            body = world.wanted(dict.fromkeys(wanted, 1))
            gate.wait()
            in_unit_of_work(
                lambda session, body=body: place(session, actor=world.actor, wanted=body, now=a.NOW), attempts=1
            )
            done += 1
        return done

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(order, (0, 1))) == [rounds, rounds]
    with unit_of_work() as session:
        held = session.scalar(text("SELECT sum(held / 5000)::bigint FROM supply"))
        assert (held, deadlocks(session) - before) == (2 * rounds * lines, 0)


def test_crossing_orders_of_many_lines_never_deadlock(committed: str) -> None:
    crossing(rounds=10, lines=12)


@pytest.mark.deep
def test_a_thousand_rounds_of_crossing_orders_never_deadlock(committed: str) -> None:
    crossing(rounds=1000, lines=20)


def rush(buyers: int, packs: int) -> float:
    """Many buyers after few packs over HTTP: so many are accepted, all others are told what is there."""
    with unit_of_work() as session:
        move_to(session, a.NOW)
        worlds = [a.World(session, roads=place == 0) for place in range(buyers)]
        listing = worlds[0].offer(packs)
        tokens = [logging_in.issue_token(session, user_id=world.actor.user_id)[0] for world in worlds]
    app = the_app()

    def buy(place: int) -> Any:
        headers = {"Authorization": f"Bearer {tokens[place]}", "Idempotency-Key": f"rush-{place:08d}"}
        body = worlds[place].wanted({listing.id: 1}).model_dump(mode="json")
        return app.test_client().post("/v1/buyer/orders", json=body, headers=headers)

    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(buy, range(buyers)))
    spent = time.monotonic() - began
    assert sorted(answer.status_code for answer in answers) == [201] * packs + [409] * (buyers - packs)
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json["code"] == "not_enough_supply"
            assert answer.json["short"] == [{"listing_id": f"lst_{listing.id.hex}", "wanted": 1, "available": 0}]
    checks_find_nothing()
    return spent


def test_a_rush_for_few_packs_serves_as_many_and_tells_the_others_what_is_there(committed: str) -> None:
    rush(buyers=24, packs=6)


@pytest.mark.deep
def test_two_hundred_buyers_after_fifty_packs_are_answered_within_ten_seconds(committed: str) -> None:
    assert rush(buyers=200, packs=50) <= 10
