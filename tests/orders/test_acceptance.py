"""Inspecting a delivery: the accepted quantity settles the bill, in the note, the ledger and the facts alike."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from threading import Barrier
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from shop.accounts.models import Kind
from shop.actor import Actor
from shop.catalogue.models import Product
from shop.db import in_unit_of_work, unit_of_work
from shop.errors import NotFound
from shop.facts.models import Fact, Measure
from shop.ids import new_id
from shop.ledger.models import Account, Entry, Transaction
from shop.logistics.service import ship
from shop.orders.models import Acceptance, AcceptanceLine, Status, SupplierOrder, WrongStatus
from shop.orders.queries_fulfilment import LotShare
from shop.orders.schemas_fulfilment import CountIn, Inspect
from shop.orders.service import filling
from shop.orders.service.acceptance import WrongCounts, inspect
from shop.outbox.models import Event
from shop.stock.models import Lot
from tests import builders as a
from tests.orders import journey

PRICE = 4_000
FREIGHT = 3_000  # 10 packs of 5 kg at 600 yuan a tonne


@pytest.fixture
def world(session: Session) -> a.World:
    return a.World(session)


def one_line(world: a.World, packs: int = 10, *lots: int) -> UUID:
    """A delivered supplier order of one line, packed from lots of so many packs (one of all of them by default)."""
    listing = world.offer(1000)
    product = world.session.get_one(Product, listing.product_id)
    for place, size in enumerate(lots or (packs,)):
        a.a_lot(world.session, product, size * 5000, best_before=date(2025, 1, 1 + place))
    (part,) = journey.confirmed(world, {listing.id: packs})
    journey.delivered(world.session, part)
    return part


def two_lines(world: a.World, first: int = 10, second: int = 6) -> UUID:
    """A delivered supplier order of two lines, at 40.00 and at 25.00 a pack."""
    one = world.offer(1000, lots=first)
    product = a.a_product(world.session, world.session.get_one(a.Organisation, one.cooperative_id), "小米")
    two = a.a_listing(
        world.session, product, price_fen=2_500, tiers=[[1, 2_500]], pack_base_quantity=2_000, pack_grams=2_000
    )
    a.a_supply(world.session, two, 1000)
    a.a_lot(world.session, product, second * two.pack_base_quantity)
    (part,) = journey.confirmed(world, {one.id: first, two.id: second})
    journey.delivered(world.session, part)
    return part


def count(share: LotShare, accepted: int, rejected: int = 0, short: int = 0, reason: str | None = None) -> CountIn:
    return CountIn(
        line_id=share.line_id, lot_id=share.lot_id, accepted=accepted, rejected=rejected, short=short, reason=reason
    )


def inspected(world: a.World, part: UUID, lines: list[CountIn] | None = None, by: Actor | None = None) -> Acceptance:
    found = Inspect(lines=lines) if lines else Inspect(accept_all=True)
    key = inspect(world.session, actor=by or world.actor, supplier_order_id=part, found=found, now=journey.LATER)
    return world.session.get_one(Acceptance, key)


def accounts(session: Session, part: SupplierOrder) -> dict[str, int]:
    """What the acceptance of a supplier order posted, per kind of account."""
    rows = session.execute(
        select(Account.kind, Account.organisation_id, Entry.amount_fen)
        .join(Entry, Entry.account_id == Account.id)
        .join(Transaction, Transaction.id == Entry.transaction_id)
        .join(Acceptance, Acceptance.id == Transaction.source_id)
        .where(Transaction.kind == "acceptance", Acceptance.supplier_order_id == part.id)
    ).all()
    owners = {"buyer": part.buyer_id, "cooperative": part.cooperative_id}
    assert all(owners[kind] == organisation for kind, organisation, _ in rows)
    return {kind: amount for kind, _, amount in rows}


def facts_of(session: Session, part: UUID, measure: Measure) -> dict[UUID, tuple[int, int, int, int]]:
    """Goods, freight, packs and grams per line."""
    rows = session.scalars(select(Fact).where(Fact.supplier_order_id == part, Fact.measure == measure))
    return {row.line_id: (row.goods_fen, row.freight_fen, row.packs, row.grams) for row in rows}


def test_a_delivery_accepted_in_full_is_billed_line_by_line_as_it_was_ordered(world: a.World) -> None:
    session = world.session
    key = two_lines(world)
    note = inspected(world, key)
    part = journey.part_of(session, key)
    assert part.status == Status.INSPECTED
    assert (note.goods_fen, note.freight_fen) == (10 * 4_000 + 6 * 2_500, part.freight_fen)
    assert (part.accepted_goods_fen, part.accepted_freight_fen) == (part.goods_fen, part.freight_fen)
    owed = part.goods_fen + part.freight_fen
    assert accounts(session, part) == {"buyer": owed, "cooperative": -owed}
    assert len(facts_of(session, key, Measure.ACCEPTED)) == 2
    assert facts_of(session, key, Measure.ACCEPTED) == facts_of(session, key, Measure.ORDERED)
    event = session.scalars(select(Event).where(Event.kind == "supplier_order.inspected")).one()
    assert event.payload == {
        "supplier_order_id": key.hex,
        "order_id": part.order_id.hex,
        "acceptance_id": note.id.hex,
    }
    assert set(event.seen_by) == {part.buyer_id, part.cooperative_id}


def test_rejected_and_short_packs_are_not_billed_and_freight_is_billed_in_full(world: a.World) -> None:
    session = world.session
    key = one_line(world, 10)
    (lot,) = journey.sent_of(session, key)
    note = inspected(world, key, [count(lot, 7, 2, 1, "挤压破损")])
    part = journey.part_of(session, key)
    assert (note.goods_fen, note.freight_fen, note.number) == (7 * PRICE, FREIGHT, "AN-2024-000001")
    assert accounts(session, part) == {"buyer": 31_000, "cooperative": -31_000}
    assert facts_of(session, key, Measure.ACCEPTED) == {lot.line_id: (28_000, 3_000, 7, 35_000)}
    (line,) = session.scalars(select(AcceptanceLine).where(AcceptanceLine.acceptance_id == note.id))
    assert (line.accepted, line.rejected, line.short, line.reason, line.goods_fen) == (7, 2, 1, "挤压破损", 28_000)
    left = session.get_one(Lot, lot.lot_id, populate_existing=True)
    assert (left.shipped, left.in_store, left.bound, left.lost) == (50_000, 0, 0, 0)


def test_facts_of_an_acceptance_carry_the_dimensions_and_the_day_of_inspection(world: a.World) -> None:
    key = one_line(world, 10)
    inspected(world, key)
    ordered, accepted = (
        world.session.scalars(select(Fact).where(Fact.supplier_order_id == key, Fact.measure == measure)).one()
        for measure in (Measure.ORDERED, Measure.ACCEPTED)
    )
    assert (ordered.occurred_on, accepted.occurred_on) == (date(2024, 10, 15), date(2024, 10, 19))
    for name in ("bucket", "pairing_id", "east_province", "west_province", "budget_unit_id", "order_id", "product_id"):
        assert getattr(accepted, name) == getattr(ordered, name)
    assert accepted.pairing_id == world.pairing.id


def test_when_nothing_is_accepted_nothing_is_owed_recorded_or_posted(world: a.World) -> None:
    session = world.session
    key = one_line(world, 10)
    (lot,) = journey.sent_of(session, key)
    note = inspected(world, key, [count(lot, 0, 10, 0, "全部变质")])
    part = journey.part_of(session, key)
    assert (note.goods_fen, note.freight_fen, part.status) == (0, 0, Status.INSPECTED)
    assert (part.accepted_goods_fen, part.accepted_freight_fen) == (0, 0)
    assert accounts(session, part) == {}
    assert facts_of(session, key, Measure.ACCEPTED) == {}


def test_the_freight_of_a_line_that_is_wholly_refused_is_borne_by_the_other(world: a.World) -> None:
    session = world.session
    key = two_lines(world)
    first, second = journey.sent_of(session, key)
    note = inspected(world, key, [count(first, first.packs), count(second, 0, 0, second.packs)])
    part = journey.part_of(session, key)
    told = facts_of(session, key, Measure.ACCEPTED)
    assert set(told) == {first.line_id}
    assert told[first.line_id][1] == note.freight_fen == part.freight_fen > 0


def test_a_pack_filled_from_two_lots_counts_with_the_one_that_gave_more(world: a.World) -> None:
    session = world.session
    listing = world.offer(1000)
    product = session.get_one(Product, listing.product_id)
    for place, grams in enumerate((11_000, 1_000, 38_000)):
        a.a_lot(session, product, grams, best_before=date(2025, 1, 1 + place))
    (key,) = journey.confirmed(world, {listing.id: 10})
    journey.delivered(session, key)
    sent = journey.sent_of(session, key)
    assert [(share.quantity, share.packs) for share in sent] == [(11_000, 2), (38_000, 8)]
    note = inspected(world, key, [count(sent[0], 2), count(sent[1], 5, 3, 0, "规格不足")])
    assert note.goods_fen == 7 * PRICE


BAD = {
    "one accepted too many": lambda x, y: ([count(x, 7), count(y, 4)], "/lines/0", "does_not_add_up"),
    "one accepted too few": lambda x, y: ([count(x, 6), count(y, 3)], "/lines/1", "does_not_add_up"),
    "one rejected too many": lambda x, y: ([count(x, 6, 1, 0, "坏"), count(y, 4)], "/lines/0", "does_not_add_up"),
    "one short too many": lambda x, y: ([count(x, 6), count(y, 4, 0, 1)], "/lines/1", "does_not_add_up"),
    "all of it in the wrong lot": lambda x, y: ([count(x, 10), count(y, 0)], "/lines/0", "does_not_add_up"),
    "a lot left out": lambda x, y: ([count(x, 6)], "/lines", "not_counted"),
    "a lot told of twice": lambda x, y: ([count(x, 6), count(y, 4), count(x, 6)], "/lines/2/lot_id", "repeated"),
    "a lot told of in two parts": lambda x, y: (
        [count(x, 3), count(y, 4), count(x, 3)],
        "/lines/2/lot_id",
        "repeated",
    ),
    "a lot that was not shipped": lambda x, y: (
        [count(x, 6), count(y, 4), CountIn(line_id=x.line_id, lot_id=new_id(), accepted=0)],
        "/lines/2/lot_id",
        "not_shipped",
    ),
    "a line of nobody": lambda x, y: (
        [count(x, 6), count(y, 4), CountIn(line_id=new_id(), lot_id=x.lot_id, accepted=1)],
        "/lines/2/lot_id",
        "not_shipped",
    ),
    "rejected without a reason": lambda x, y: ([count(x, 5, 1), count(y, 4)], "/lines/0/reason", "reason_missing"),
}


@pytest.mark.parametrize("case", BAD)
def test_counts_that_do_not_add_up_are_refused_with_their_place_and_nothing_is_kept(world: a.World, case: str) -> None:
    session = world.session
    key = one_line(world, 10, 6, 4)
    counts, pointer, code = BAD[case](*journey.sent_of(session, key))
    with pytest.raises(WrongCounts) as refused, session.begin_nested():
        inspected(world, key, counts)
    assert (pointer, code) in [(error["pointer"], error["code"]) for error in refused.value.errors]
    assert journey.part_of(session, key).status == Status.DELIVERED
    for table in (Acceptance, AcceptanceLine, Transaction):
        assert session.scalar(select(func.count()).select_from(table)) == 0
    assert facts_of(session, key, Measure.ACCEPTED) == {}


def test_a_refusal_names_every_fault_with_what_was_shipped(world: a.World) -> None:
    key = one_line(world, 10, 6, 4)
    first, second = journey.sent_of(world.session, key)
    with pytest.raises(WrongCounts) as refused:
        inspected(world, key, [count(first, 4, 1)])
    assert [{k: v for k, v in error.items() if k != "detail"} for error in refused.value.errors] == [
        {"pointer": "/lines/0", "code": "does_not_add_up", "shipped": 6, "counted": 5},
        {"pointer": "/lines/0/reason", "code": "reason_missing"},
        {
            "pointer": "/lines",
            "code": "not_counted",
            "line_id": f"line_{second.line_id.hex}",
            "lot_id": f"lot_{second.lot_id.hex}",
            "shipped": 4,
        },
    ]


@pytest.mark.parametrize("status", [Status.CONFIRMED, Status.ACCEPTED, Status.PACKED, Status.SHIPPED])
def test_what_has_not_arrived_is_not_inspected(world: a.World, status: Status) -> None:
    session = world.session
    listing = world.offer(10, lots=10)
    (key,) = journey.confirmed(world, {listing.id: 10})
    seller = journey.seller_of(session, listing.cooperative_id)
    steps = {
        Status.ACCEPTED: lambda: filling.accept(session, actor=seller, supplier_order_id=key, now=a.NOW),
        Status.PACKED: lambda: filling.pack(session, actor=seller, supplier_order_id=key, now=a.NOW),
        Status.SHIPPED: lambda: ship(
            session, actor=seller, supplier_order_id=key, carrier="own", waybill="OWN-1", now=a.NOW
        ),
    }
    for step, take in steps.items():
        if list(Status).index(step) <= list(Status).index(status):
            take()
    assert journey.part_of(session, key).status == status
    with pytest.raises(WrongStatus) as refused:
        inspected(world, key)
    assert refused.value.facts == {"is_now": status}


def test_a_delivery_is_inspected_once(world: a.World) -> None:
    key = one_line(world)
    inspected(world, key)
    with pytest.raises(WrongStatus):
        inspected(world, key)
    assert world.session.scalar(select(func.count()).select_from(Acceptance)) == 1


def test_a_stranger_finds_nothing_to_inspect(world: a.World) -> None:
    key = one_line(world)
    stranger = a.a_member(world.session, a.an_organisation(world.session, Kind.CANTEEN))
    with pytest.raises(NotFound):
        inspected(world, key, by=stranger)
    assert journey.part_of(world.session, key).status == Status.DELIVERED


def test_an_acceptance_note_is_never_changed(world: a.World) -> None:
    inspected(world, one_line(world))
    for table in ("acceptance", "acceptance_line"):
        with pytest.raises(DBAPIError), world.session.begin_nested():
            world.session.execute(text(f"UPDATE {table} SET goods_fen = goods_fen + 1"))


@pytest.mark.usefixtures("committed")
def test_of_eight_inspectors_at_once_one_writes_the_note() -> None:
    with unit_of_work() as session:
        world = a.World(session)
        key = one_line(world)
    gate = Barrier(8)

    def run(_: int) -> bool:
        gate.wait()
        try:
            in_unit_of_work(
                lambda session: inspect(
                    session,
                    actor=world.actor,
                    supplier_order_id=key,
                    found=Inspect(accept_all=True),
                    now=journey.LATER,
                )
            )
        except WrongStatus:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(run, range(8))) == 1
    with unit_of_work() as session:
        part = journey.part_of(session, key)
        assert accounts(session, part) == {"buyer": 43_000, "cooperative": -43_000}
        assert session.scalar(select(func.count()).select_from(Fact).where(Fact.measure == "accepted")) == 1


@pytest.fixture
def delivery(world: a.World) -> tuple[a.World, UUID]:
    return world, two_lines(world)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_note_ledger_and_facts_agree_for_any_acceptance(delivery: tuple[a.World, UUID], data: st.DataObject) -> None:
    world, key = delivery
    session = world.session
    undo = session.begin_nested()
    counts = []
    for share in journey.sent_of(session, key):
        good = data.draw(st.integers(0, share.packs))
        bad = data.draw(st.integers(0, share.packs - good))
        counts.append(count(share, good, bad, share.packs - good - bad, "抽检不合格" if bad else None))
    note = inspected(world, key, counts)
    part = journey.part_of(session, key)
    told = facts_of(session, key, Measure.ACCEPTED)
    by_hand = sum(
        given.accepted * line.unit_fen
        for given in counts
        for line in journey.lines_of(session, key)
        if line.id == given.line_id
    )
    assert note.goods_fen == part.accepted_goods_fen == by_hand == sum(goods for goods, *_ in told.values())
    freight = part.freight_fen if any(given.accepted for given in counts) else 0
    assert note.freight_fen == part.accepted_freight_fen == freight == sum(f for _, f, *_ in told.values())
    owed = note.goods_fen + note.freight_fen
    assert accounts(session, part) == ({"buyer": owed, "cooperative": -owed} if owed else {})
    assert sum(packs for *_, packs, _ in told.values()) == sum(given.accepted for given in counts)
    assert all(share >= 0 for _, share, *_ in told.values())
    undo.rollback()
    session.expire_all()
