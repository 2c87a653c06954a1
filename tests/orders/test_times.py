"""What the passing of time does to an order: reminders, word of what is late, cancelling, acceptance by silence."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shop import clock
from shop.accounts.models import Organisation
from shop.actor import SYSTEM
from shop.catalogue.models import Product
from shop.db import checker_engine, in_unit_of_work, unit_of_work
from shop.facts.models import Fact, Measure
from shop.ledger.models import CreditLimit
from shop.orders.models import Acceptance, AcceptanceLine, OrderHistory, Status, WrongStatus
from shop.orders.models_times import OrderDue, OrderTimeRule, Waits
from shop.orders.queries_fulfilment import dues_of
from shop.orders.schemas_fulfilment import Inspect
from shop.orders.service import acceptance, cancelling, keeping_times, passing_times
from shop.orders.service.moving import confirm_order
from shop.outbox.models import Event
from shop.reporting.checks import run_checks
from shop.stock.models import Supply
from shop.stock.schemas_recalls import OrderRecall
from shop.stock.service import recalling
from tests import builders as a
from tests.accounts.town import Town
from tests.orders import journey
from workers.schedule import run

HOUR = timedelta(hours=1)
RULES = "/v1/admin/order-time-rules"
ALL = Inspect(lines=[], accept_all=True)


class Trade:
    """A committed shop whose supplier orders are brought as far as a test needs; its sweeps run by `at`."""

    def __init__(self, storage: str = "ambient") -> None:
        with unit_of_work() as session:
            clock.move_to(session, a.NOW)
            self.world = a.World(session)
            if storage != "ambient":
                a.a_lane(session, storage=storage)
            listing = self.world.offer(1000, lots=1000, storage=storage)
            session.execute(update(Product).where(Product.id == listing.product_id).values(storage=storage))
            self.listing = listing.id

    def part(self, as_far_as: Any = None, packs: int = 10) -> UUID:
        with unit_of_work() as session:
            self.world.session = session
            (part,) = journey.confirmed(self.world, {self.listing: packs})
            if as_far_as:
                as_far_as(session, part)
            return part

    def at(self, instant: datetime) -> None:
        with unit_of_work() as session:
            clock.move_to(session, instant)
        for name in ("tell_order_times", "pass_order_times"):
            run(name)


@pytest.fixture
def trade(committed: str) -> Trade:
    return Trade()


def status_of(part: UUID) -> str:
    with unit_of_work() as session:
        return journey.part_of(session, part).status


def told(part: UUID) -> list[str]:
    """What was announced of a supplier order by the clock, in order."""
    names = {f"supplier_order.{name}" for name in (*passing_times.TOLD.values(), "accepted_silently")}
    with unit_of_work() as session:
        rows = session.scalars(select(Event).where(Event.kind.in_(names)).order_by(Event.id))
        return [row.kind.partition(".")[2] for row in rows if row.payload["supplier_order_id"] == part.hex]


def proven() -> list[Any]:
    with checker_engine().connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        return run_checks(connection)


def waits(session: Session, part: UUID) -> dict[str, tuple[datetime, datetime | None, bool]]:
    return {due.waits_for: (due.due_at, due.lapse_at, due.ended_at is None) for due in dues_of(session, part)}


def test_each_move_begins_what_is_waited_for_next_and_ends_what_it_answers(session: Session) -> None:
    world = a.World(session)
    listing = world.offer(1000, lots=1000)
    (part,) = journey.confirmed(world, {listing.id: 10})
    now, later = a.NOW, journey.LATER
    confirmation = (now + 48 * HOUR, now + 120 * HOUR)
    shipment = (now + 168 * HOUR, None)
    arrival = (later + 168 * HOUR, later + 168 * HOUR)
    assert waits(session, part) == {"confirmation": (*confirmation, True)}
    seller, shipment_id = journey.sent_by_own_carrier(session, part)
    assert waits(session, part) == {"confirmation": (*confirmation, False), "shipment": (*shipment, False)}
    journey.report(
        session, actor=seller, shipment_id=shipment_id, ref="1", kind=journey.TrackingKind.DELIVERED, place="上海",
        note=None, now=later,
    )  # fmt: skip
    assert waits(session, part)["acceptance"] == (*arrival, True)
    acceptance.inspect(
        session, actor=world.actor, supplier_order_id=part, found=ALL, now=later,
    )  # fmt: skip
    assert not any(open_ for _, _, open_ in waits(session, part).values())


def test_a_cooperative_is_reminded_told_with_the_buyer_that_it_is_late_and_the_order_is_cancelled(trade: Trade) -> None:
    part = trade.part()
    trade.at(a.NOW + 23 * HOUR)
    assert told(part) == []
    trade.at(a.NOW + 25 * HOUR)
    assert told(part) == ["confirmation_due"]
    trade.at(a.NOW + 49 * HOUR)
    trade.at(a.NOW + 119 * HOUR)
    assert (told(part), status_of(part)) == (["confirmation_due", "confirmation_overdue"], "confirmed")
    trade.at(a.NOW + 121 * HOUR)
    assert status_of(part) == "cancelled"
    with unit_of_work() as session:
        last = session.scalars(
            select(OrderHistory).where(OrderHistory.supplier_order_id == part).order_by(OrderHistory.step.desc())
        ).first()
        assert last is not None
        assert (last.by_user_id, last.reason) == (UUID(int=0), "unconfirmed")
        supply = session.scalars(select(Supply).where(Supply.listing_id == trade.listing)).one()
        assert (supply.held, supply.open) == (0, supply.promised)
        assert session.scalars(select(CreditLimit.used_fen)).one() == 0
    trade.at(a.NOW + 300 * HOUR)
    assert told(part) == ["confirmation_due", "confirmation_overdue"]
    assert proven() == []


def test_what_was_taken_on_and_not_shipped_in_time_is_told_to_both_once_and_stays(trade: Trade) -> None:
    part = trade.part(journey.accepted)
    trade.at(a.NOW + 167 * HOUR)
    assert told(part) == []
    for hours in (169, 170, 1000):
        trade.at(a.NOW + hours * HOUR)
    assert (told(part), status_of(part)) == (["shipment_late"], "accepted")
    with unit_of_work() as session:
        (event,) = session.scalars(select(Event).where(Event.kind == "supplier_order.shipment_late"))
        row = journey.part_of(session, part)
        assert set(event.seen_by) == {row.buyer_id, row.cooperative_id}


@pytest.mark.parametrize(("storage", "hours"), [("ambient", 168), ("chilled", 48), ("frozen", 48)])
def test_what_nobody_inspects_in_time_counts_as_accepted_and_is_marked_so_wherever_it_stands(
    committed: str, storage: str, hours: int
) -> None:
    trade = Trade(storage)
    part = trade.part(journey.delivered)
    trade.at(journey.LATER + (hours - 25) * HOUR)
    assert told(part) == []
    trade.at(journey.LATER + (hours - 1) * HOUR)
    assert (told(part), status_of(part)) == (["acceptance_due"], "delivered")
    for _ in range(2):
        trade.at(journey.LATER + (hours + 1) * HOUR)
    assert told(part) == ["acceptance_due", "accepted_silently"]
    with unit_of_work() as session:
        row = journey.part_of(session, part)
        (note,) = session.scalars(select(Acceptance))
        (line,) = session.scalars(select(AcceptanceLine))
        (fact,) = session.scalars(select(Fact).where(Fact.measure == Measure.ACCEPTED))
        (ordered,) = session.scalars(select(Fact).where(Fact.measure == Measure.ORDERED))
        assert row.status == Status.INSPECTED
        assert (row.accepted_goods_fen, row.accepted_freight_fen) == (row.goods_fen, row.freight_fen)
        assert (note.silent, note.by_user_id, line.silent, line.accepted) == (True, UUID(int=0), True, 10)
        assert (fact.silent, fact.amount_fen, ordered.silent) == (True, row.goods_fen + row.freight_fen, False)
    assert proven() == []


def test_what_is_inspected_in_time_is_not_marked(trade: Trade) -> None:
    part = trade.part(journey.delivered)
    with unit_of_work() as session:
        key = acceptance.inspect(
            session, actor=trade.world.actor, supplier_order_id=part, found=ALL, now=journey.LATER + HOUR
        )
        assert not session.get_one(Acceptance, key).silent
    trade.at(journey.LATER + 1000 * HOUR)
    assert told(part) == []
    assert proven() == []


def test_what_lies_under_an_open_recall_is_not_accepted_by_silence(trade: Trade) -> None:
    part = trade.part(journey.delivered)
    with unit_of_work() as session:
        row = journey.part_of(session, part)
        (share,) = journey.sent_of(session, part)
        seller = journey.seller_of(session, row.cooperative_id)
        wanted = OrderRecall(lot_ids=[share.lot_id], reason="农残超标")
        recall = recalling.order(session, by=seller, wanted=wanted, now=journey.LATER)
    trade.at(journey.LATER + 200 * HOUR)
    assert status_of(part) == "delivered"
    with unit_of_work() as session:
        recalling.release(session, by=seller, recall_id=recall, reason="复检合格", now=journey.LATER + 200 * HOUR)
    trade.at(journey.LATER + 202 * HOUR)
    assert status_of(part) == "inspected"


def test_a_reminder_that_was_missed_until_the_time_was_over_is_not_made_up_for(trade: Trade) -> None:
    waits_for_yes, arrived = trade.part(), trade.part(journey.delivered)
    trade.at(a.NOW + 2000 * HOUR)
    assert told(waits_for_yes) == ["confirmation_overdue"]
    assert told(arrived) == ["accepted_silently"]


def test_two_sweeps_at_once_and_again_take_each_step_once(trade: Trade) -> None:
    parts = [trade.part(packs=1) for _ in range(6)] + [trade.part(journey.delivered, packs=1) for _ in range(6)]
    with unit_of_work() as session:
        clock.move_to(session, a.NOW + 2000 * HOUR)
    for name in ("tell_order_times", "pass_order_times"):
        start = Barrier(3)

        def ring(name: str = name, start: Barrier = start) -> None:
            start.wait()
            run(name)

        with ThreadPoolExecutor(3) as pool:
            for done in [pool.submit(ring) for _ in range(3)]:
                done.result()
        run(name)
    assert [status_of(part) for part in parts] == ["cancelled"] * 6 + ["inspected"] * 6
    assert [told(part) for part in parts] == [["confirmation_overdue"]] * 6 + [["accepted_silently"]] * 6
    assert proven() == []


def test_an_inspection_and_the_end_of_its_time_at_once_make_one_note(trade: Trade) -> None:
    for trial in range(10):
        part = trade.part(journey.delivered, packs=1)
        late = journey.LATER + 200 * HOUR
        with unit_of_work() as session:
            clock.move_to(session, late)
            (due,) = session.scalars(
                select(OrderDue.id).where(OrderDue.supplier_order_id == part, OrderDue.waits_for == Waits.ACCEPTANCE)
            )
        start = Barrier(2)

        def by_hand(part: UUID = part, start: Barrier = start, late: datetime = late) -> str:
            start.wait()
            try:
                in_unit_of_work(
                    lambda session: acceptance.inspect(
                        session, actor=trade.world.actor, supplier_order_id=part, found=ALL, now=late
                    )
                )
            except WrongStatus:
                return "refused"
            return "inspected"

        def by_time(due: UUID = due, start: Barrier = start, late: datetime = late) -> bool:
            start.wait()
            return in_unit_of_work(lambda session: passing_times.lapse(session, due_id=due, now=late))

        run("tell_order_times")
        with ThreadPoolExecutor(2) as pool:
            hand, time = pool.submit(by_hand), pool.submit(by_time)
            assert (hand.result(), time.result()) in (("inspected", False), ("refused", True)), trial
    assert proven() == []


def test_one_that_cannot_be_ended_keeps_no_other_from_its_turn(trade: Trade, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [trade.part(packs=1) for _ in range(3)]
    cancel = cancelling.cancel_parts

    def fails_once(session: Session, *, supplier_order_ids: Any, **more: Any) -> None:
        if supplier_order_ids == parts[:1]:
            raise ValueError("no")
        cancel(session, supplier_order_ids=supplier_order_ids, **more)

    monkeypatch.setattr(cancelling, "cancel_parts", fails_once)
    trade.at(a.NOW + 200 * HOUR)
    assert [status_of(part) for part in parts] == ["confirmed", "cancelled", "cancelled"]
    monkeypatch.setattr(cancelling, "cancel_parts", cancel)
    trade.at(a.NOW + 200 * HOUR)
    assert status_of(parts[0]) == "cancelled"


def test_what_a_program_without_times_has_moved_ends_without_an_effect(
    trade: Trade, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = trade.part()
    with monkeypatch.context() as patch, unit_of_work() as session:
        patch.setattr(keeping_times, "follow", lambda *_, **__: None)
        journey.accepted(session, part)
    trade.at(a.NOW + 200 * HOUR)
    assert status_of(part) == "accepted"
    assert proven() == []


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ("next_step IN ('remind', 'overdue') AND next_at <= now() ORDER BY next_at", "ix_order_due_told"),
        ("next_step = 'lapse' AND next_at <= now() ORDER BY next_at, id", "ix_order_due_lapse"),
    ],
)
def test_what_is_due_is_found_by_an_index(session: Session, wanted: str, index: str) -> None:
    for way in ("seqscan", "bitmapscan"):  # which an empty table would rather have
        session.execute(text(f"SET LOCAL enable_{way} = off"))
    plan = "\n".join(session.scalars(text(f"EXPLAIN SELECT id FROM order_due WHERE {wanted} LIMIT 100")))
    assert f"using {index}" in plan
    assert "Sort" not in plan


def test_goods_of_several_classes_are_inspected_within_the_shortest_time(session: Session) -> None:
    world = a.World(session)
    one = world.offer(1000, lots=10)
    seller = session.get_one(Organisation, one.cooperative_id)
    fish = a.a_product(session, seller, "三文鱼", storage="chilled")
    a.a_lane(session, storage="chilled")
    two = a.a_listing(session, fish)
    a.a_supply(session, two, 100)
    a.a_lot(session, fish, 10 * two.pack_base_quantity)
    (part,) = journey.confirmed(world, {one.id: 10, two.id: 10})
    journey.delivered(session, part)
    assert waits(session, part)["acceptance"][0] == journey.LATER + 48 * HOUR


def test_operators_write_the_times_from_a_day_to_come_and_what_waits_keeps_its_own(committed: str) -> None:
    town = Town()
    rules = town.get("operator", RULES)["items"]
    assert [(rule["waits_for"], rule["storage"], rule["hours"], rule["lapse_hours"]) for rule in rules] == [
        ("confirmation", None, 48, 120), ("shipment", None, 168, None), ("acceptance", "ambient", 168, 168),
        ("acceptance", "chilled", 48, 48), ("acceptance", "frozen", 48, 48),
        ("signature", None, 24, None), ("claim", "ambient", 168, None),
        ("claim", "chilled", 48, None), ("claim", "frozen", 48, None), ("defence", None, 72, None),
        ("change", None, 48, None),
    ]  # fmt: skip
    wanted = {"waits_for": "confirmation", "hours": 24, "remind_hours": 4, "lapse_hours": 72, "from": "2024-10-20",
              "reason": "平台通知〔2024〕9号"}  # fmt: skip
    assert town.ask("operator", "POST", RULES, wanted).json["code"] == "rule_overlaps"
    ended = town.ask("operator", "POST", f"{RULES}/{rules[0]['id']}/end", {"to": "2024-10-20", "reason": "x"})
    assert ended.status_code == 200, ended.json
    made = town.ask("operator", "POST", RULES, wanted)
    assert (made.status_code, made.json["source"]) == (201, "平台通知〔2024〕9号")
    with unit_of_work() as session:
        world = a.World(session)
        listing = world.offer(1000)
        old, new = (world.place({listing.id: 1}) for _ in range(2))
        for placed, now in ((old, a.NOW), (new, a.NOW + 240 * HOUR)):
            confirm_order(session, order_id=placed.id, by=SYSTEM, now=now)
        assert waits(session, old.parts[0].id)["confirmation"][0] == a.NOW + 48 * HOUR
        assert waits(session, new.parts[0].id)["confirmation"][0] == a.NOW + 264 * HOUR


@pytest.mark.parametrize(
    "wrong",
    [
        {"remind_hours": 48},
        {"lapse_hours": 47},
        {"waits_for": "shipment", "lapse_hours": 200},
        {"hours": 0},
    ],
)
def test_times_that_contradict_each_other_are_refused_by_route_and_database(committed: str, wrong: Any) -> None:
    town = Town()
    rule = {"waits_for": "confirmation", "hours": 48, "from": "2030-01-01", "reason": "x"} | wrong
    assert town.ask("operator", "POST", RULES, rule).status_code == 422
    columns = {name: value for name, value in rule.items() if name not in ("from", "reason")}
    with pytest.raises(IntegrityError), unit_of_work() as session:
        session.add(OrderTimeRule(**columns, storage="", source="x", valid=Range(date(1900, 1, 1), date(1901, 1, 1))))
