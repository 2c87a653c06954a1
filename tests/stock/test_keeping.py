"""Lots in store: places, transfers, write-offs, stock takes, and goods that have to keep when they arrive."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.accounts.models import Organisation
from shop.actor import Actor
from shop.db import unit_of_work
from shop.errors import Invalid, NotFound
from shop.orders.models import OrderLine
from shop.orders.service import filling
from shop.orders.service.judging import NotOrderable
from shop.stock import queries_keeping, queries_recalls
from shop.stock.models import Location, Lot, Movement
from shop.stock.schemas_keeping import CountLot, KeepAt, TakeStock, Transfer, WriteOff
from shop.stock.schemas_recalls import OrderRecall
from shop.stock.service import keeping, recalling
from shop.stock.service.holding import Line, LotRecalled, LotsShort, LotsTooOld, bind
from shop.stock.service.keeping import CountedBelowBound, LocationClosed, NotInStore
from tests import builders as a
from tests.orders import journey
from tests.stock.proof import checks_find_nothing


class Store:
    """A cooperative with a lot of 100 packs of 5 kg at home, and a warehouse in Shanghai."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.world = a.World(session)
        if session.get(a.Division, (a.HUANGPU, date(1996, 1, 1))) is None:
            a.a_division(session, a.HUANGPU, "黄浦区", "county")
        self.listing = self.world.offer(100, lots=100)
        cooperative = session.get_one(Organisation, self.listing.cooperative_id)
        self.seller: Actor = a.a_member(session, cooperative)
        self.lot = session.scalars(select(Lot).where(Lot.product_id == self.listing.product_id)).one()
        self.east = self.place("上海仓")

    def place(self, name: str) -> Location:
        wanted = KeepAt(kind="eastern_warehouse", name=name, division_code=a.HUANGPU)
        return keeping.add_location(self.session, by=self.seller, wanted=wanted, now=a.NOW)

    def move(self, quantity: int, lot: Lot | None = None, to: Location | None = None, **more: Any) -> Lot:
        wanted = Transfer(location_id=(to or self.east).id, quantity=quantity)
        by = more.pop("by", self.seller)
        key = (lot or self.lot).id
        return keeping.transfer(self.session, by=by, lot_id=key, wanted=wanted, now=a.NOW)

    def write_off(self, quantity: int) -> Lot:
        wanted = WriteOff(quantity=quantity, reason="spoiled")
        return keeping.write_off(self.session, by=self.seller, lot_id=self.lot.id, wanted=wanted, now=a.NOW)

    def count(self, *counts: tuple[Lot, int]) -> UUID:
        wanted = TakeStock(counts=[CountLot(lot_id=lot.id, counted=counted) for lot, counted in counts])
        return keeping.take_stock(self.session, by=self.seller, wanted=wanted, now=a.NOW).id

    def kinds(self, lot: Lot) -> list[tuple[str, int]]:
        found = select(Movement.kind, Movement.quantity).where(Movement.lot_id == lot.id).order_by(Movement.id)
        return [(row.kind, row.quantity) for row in self.session.execute(found)]


@pytest.fixture
def store(session: Session) -> Store:
    return Store(session)


def test_a_transfer_keeps_the_lot_and_both_places_say_what_moved(store: Store) -> None:
    there = store.move(200_000)
    again = store.move(50_000)
    assert again.id == there.id
    assert (store.lot.in_store, store.lot.transferred, store.lot.received) == (250_000, 250_000, 500_000)
    assert (there.in_store, there.transferred, there.received) == (250_000, -250_000, 0)
    assert (there.code, there.harvested_on, there.best_before, there.product_id, there.origin_id) == (
        store.lot.code, store.lot.harvested_on, store.lot.best_before, store.lot.product_id, store.lot.id,
    )  # fmt: skip
    assert store.kinds(there) == [("transferred_in", 200_000), ("transferred_in", 50_000)]
    second = store.place("苏州仓")
    onward = store.move(100_000, lot=there, to=second)
    assert (onward.origin_id, there.in_store, onward.in_store) == (store.lot.id, 150_000, 100_000)
    moved = queries_keeping.movements(store.session, store.seller, there.id, before=None, limit=10)
    assert [movement.other_lot_id for movement in moved] == [onward.id, store.lot.id, store.lot.id]


def test_what_is_not_in_store_is_neither_moved_nor_written_off(store: Store) -> None:
    for act in (store.move, store.write_off):
        with pytest.raises(NotInStore) as refused:
            act(500_001)
        assert refused.value.facts["available"] == 500_000
    assert (store.lot.in_store, store.kinds(store.lot)) == (500_000, [("received", 500_000)])


def test_a_closed_place_takes_nothing_in(store: Store) -> None:
    keeping.close_location(store.session, by=store.seller, location_id=store.east.id, now=a.NOW)
    with pytest.raises(LocationClosed):
        store.move(1)


def test_nobody_moves_or_counts_what_is_anothers(store: Store) -> None:
    rival = Store.__new__(Store)
    other = a.a_member(store.session, a.an_organisation(store.session, a.Kind.COOPERATIVE))
    with pytest.raises(NotFound):
        store.move(1, by=other)
    rival.session, rival.seller, rival.lot = store.session, other, store.lot
    with pytest.raises(NotFound):
        rival.count((store.lot, 1))
    with pytest.raises(NotFound):
        rival.write_off(1)
    with pytest.raises(Invalid):
        store.place("上海仓")


def test_a_write_off_has_its_reason(store: Store) -> None:
    lot = store.write_off(20_000)
    assert (lot.in_store, lot.lost) == (480_000, 20_000)
    reasons = store.session.scalars(select(Movement.reason).where(Movement.kind == "written_off")).all()
    assert reasons == ["spoiled"]


def test_a_stock_take_books_what_was_found_more_or_less(store: Store) -> None:
    there = store.move(100_000)
    take = store.count((store.lot, 399_000), (there, 100_500))
    assert (store.lot.in_store, store.lot.lost, there.in_store, there.gained) == (399_000, 1_000, 100_500, 500)
    lines = queries_keeping.counts_of(store.session, [take])[take]
    assert {(line.expected, line.counted) for line in lines} == {(400_000, 399_000), (100_000, 100_500)}
    store.count((store.lot, 399_000))
    assert store.kinds(store.lot)[-1] == ("counted_less", 1_000)
    with pytest.raises(Invalid):
        store.count((store.lot, 1), (store.lot, 1))


def test_a_count_below_what_is_packed_is_refused(store: Store) -> None:
    (part,) = journey.confirmed(store.world, {store.listing.id: 10})
    journey.packed(store.session, part)
    store.session.expire_all()
    with pytest.raises(CountedBelowBound) as refused:
        store.count((store.lot, 49_999))
    assert refused.value.facts["lots"][0]["bound"] == 50_000
    store.count((store.lot, 50_000))
    assert (store.lot.in_store, store.lot.bound) == (0, 50_000)


def test_what_is_recalled_is_not_moved_and_a_recall_holds_the_lot_wherever_it_lies(store: Store) -> None:
    there = store.move(100_000)
    (part,) = journey.confirmed(store.world, {store.listing.id: 4})
    journey.accepted(store.session, part)
    filling.pack(store.session, actor=store.seller, supplier_order_id=part, now=a.NOW, location_id=store.east.id)
    traced = queries_recalls.trace(store.session, [store.lot.id])
    assert [(line.buyer_id, line.quantity) for line in traced] == [(store.world.buyer.id, 20_000)]
    recall_id = recalling.order(
        store.session, by=store.seller, wanted=OrderRecall(lot_ids=[there.id], reason="x"), now=a.NOW
    )
    store.session.expire_all()
    assert (store.lot.recalls, there.recalls) == (1, 1)
    with pytest.raises(LotRecalled):
        store.move(1)
    assert [b.quantity for b in queries_recalls.reached(store.session, store.seller, recall_id)] == [20_000]


def test_a_place_can_be_named_to_pack_from(store: Store) -> None:
    there = store.move(20_000)
    (part,) = journey.confirmed(store.world, {store.listing.id: 5})
    journey.accepted(store.session, part)
    more = {"actor": store.seller, "supplier_order_id": part, "now": a.NOW}
    with pytest.raises(LotsShort), store.session.begin_nested():
        filling.pack(store.session, location_id=store.east.id, **more)
    store.move(5_000)
    filling.pack(store.session, location_id=store.east.id, **more)
    store.session.expire_all()
    assert (there.bound, there.in_store, store.lot.bound) == (25_000, 0, 0)


def line_that_keeps(store: Store, days: int | None, packs: int = 10) -> tuple[UUID, OrderLine]:
    wanted = store.world.wanted({store.listing.id: packs})
    wanted.lines[0].min_shelf_life_days = days
    store.world.wanted = lambda *_: wanted  # type: ignore[method-assign, assignment]
    (part,) = journey.confirmed(store.world, {store.listing.id: packs})
    journey.accepted(store.session, part)
    return part, journey.lines_of(store.session, part)[0]


def test_a_lot_too_old_for_a_line_is_not_bound_and_named(store: Store) -> None:
    """The lot keeps until 1 March; three days on the road from 15 October, and 134 days would be that very day."""
    days = (date(2025, 3, 1) - date(2024, 10, 18)).days
    product = store.session.get_one(a.Product, store.listing.product_id)
    product.shelf_life_days = 400
    part, line = line_that_keeps(store, days)
    with pytest.raises(LotsTooOld) as refused, store.session.begin_nested():
        filling.pack(store.session, actor=store.seller, supplier_order_id=part, now=a.NOW)
    (short,) = refused.value.facts["short"]
    assert (short["line_id"], short["keeps_beyond"], short["in_store"]) == (f"line_{line.id.hex}", "2025-03-01", 0)
    assert short["lots_too_old"] == [{"lot_id": f"lot_{store.lot.id.hex}", "best_before": "2025-03-01"}]
    fresher = a.a_lot(store.session, product, 50_000, best_before=date(2025, 3, 2))
    filling.pack(store.session, actor=store.seller, supplier_order_id=part, now=a.NOW)
    store.session.expire_all()
    assert (fresher.bound, store.lot.bound) == (50_000, 0)


def test_more_days_than_the_goods_keep_when_fresh_are_refused_at_placing(store: Store) -> None:
    with pytest.raises(NotOrderable) as refused:
        line_that_keeps(store, 90)
    assert [(fault["code"], fault["allowed"]) for fault in refused.value.errors] == [("keeps_too_short", 89)]


def test_what_must_keep_longest_chooses_first_so_that_all_are_served(session: Session) -> None:
    product = a.a_product(session, a.an_organisation(session, a.Kind.COOPERATIVE))
    days = [date(2025, 1, 1) + timedelta(days=n) for n in range(3)]
    lots = [a.a_lot(session, product, 10, best_before=day) for day in days]
    lines = [
        Line(a.an_id(), product.id, a.an_id(), 10, fresh_until=None if n == 0 else days[n] - timedelta(days=1))
        for n in range(3)
    ]
    bound = bind(session, lines=[lines[0], lines[2], lines[1]], now=a.NOW)
    assert {(b.line_id, b.lot_id) for b in bound} == {
        (line.line_id, lot.id) for line, lot in zip(lines, lots, strict=True)
    }


def test_everything_adds_up_after_all_of_it(committed: str) -> None:
    with unit_of_work() as session:
        store = Store(session)
        there = store.move(100_000)
        store.write_off(5_000)
        store.count((store.lot, 394_000), (there, 100_100))
        (part,) = journey.confirmed(store.world, {store.listing.id: 4})
        journey.sent_by_own_carrier(session, part)
        store.move(100, lot=there, to=store.place("二号仓"))
    checks_find_nothing()
