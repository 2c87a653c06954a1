"""Shipping, the sweep that lets the carrier report, and a carrier of the cooperative's own."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.db import in_unit_of_work, unit_of_work
from shop.errors import NotFound
from shop.logistics import queries
from shop.logistics.models import Shipment, TrackingEvent, TrackingKind
from shop.logistics.service import AlreadyDelivered, NotYours, WaybillTaken, move_shipments, report, ship
from shop.orders.models import OrderHistory, Status, WrongStatus
from shop.outbox.models import Event
from shop.stock.models import Lot
from tests import builders as a
from tests.orders import journey

LONG_AFTER = a.NOW + timedelta(days=30)


@pytest.fixture
def world(session: Session) -> a.World:
    return a.World(session)


def a_packed_part(world: a.World, packs: int = 10) -> tuple[UUID, Actor]:
    listing = world.offer(packs, lots=packs)
    (part,) = journey.confirmed(world, {listing.id: packs})
    return part, journey.packed(world.session, part)


def sent(session: Session, part: UUID, seller: Actor, **more: Any) -> Shipment:
    fields: dict[str, Any] = {"carrier": "simulated", "waybill": None, "now": a.NOW}
    key = ship(session, actor=seller, supplier_order_id=part, **fields | more)
    return session.get_one(Shipment, key, populate_existing=True)


def heard(session: Session, shipment: UUID) -> list[tuple[str, datetime]]:
    return [(event.kind, event.at) for event in queries.events_of(session, shipment)]


def planned(shipment: Shipment) -> list[tuple[str, datetime]]:
    return [(word["kind"], datetime.fromisoformat(word["at"])) for word in shipment.plan]


def told(session: Session, kind: str) -> list[dict[str, Any]]:
    return list(session.scalars(select(Event.payload).where(Event.kind == kind)))


def test_shipping_hands_the_packed_lots_over_and_names_the_shipment(world: a.World) -> None:
    session = world.session
    part, seller = a_packed_part(world)
    shipment = sent(session, part, seller)
    order = journey.part_of(session, part)
    assert order.status == Status.SHIPPED
    assert (shipment.grams, shipment.freight_fen, shipment.status) == (50_000, order.freight_fen, "in_transit")
    assert shipment.next_at == planned(shipment)[0][1]
    lot = session.scalars(select(Lot).where(Lot.cooperative_id == order.cooperative_id)).one()
    session.refresh(lot)
    assert (lot.in_store, lot.bound, lot.shipped) == (0, 0, 50_000)
    assert told(session, "supplier_order.shipped") == [
        {"supplier_order_id": part.hex, "order_id": order.order_id.hex, "shipment_id": shipment.id.hex}
    ]


def test_the_trip_takes_the_days_of_the_lane_of_that_day(world: a.World) -> None:
    part, seller = a_packed_part(world)
    shipment = sent(world.session, part, seller)
    assert shipment.due_at == datetime(2024, 10, 18, 10, 0, tzinfo=a.UTC)


def test_an_order_whose_lane_has_ended_since_is_shipped_all_the_same(world: a.World) -> None:
    part, seller = a_packed_part(world)
    world.session.execute(text("UPDATE lane SET valid = daterange('2016-01-01', '2024-10-15')"))
    shipment = sent(world.session, part, seller)
    assert shipment.due_at == datetime(2024, 10, 20, 10, 0, tzinfo=a.UTC)


def test_places_are_called_as_they_were_called_that_day(world: a.World) -> None:
    a.a_division(world.session, a.LUOCHUAN, "洛川县", "county")
    part, seller = a_packed_part(world)
    shipment = sent(world.session, part, seller)
    assert (shipment.plan[0]["place"], shipment.plan[-1]["place"]) == ("洛川县", a.HUANGPU)


def test_what_is_not_packed_is_not_shipped(world: a.World) -> None:
    listing = world.offer(10, lots=10)
    (part,) = journey.confirmed(world, {listing.id: 10})
    seller = journey.accepted(world.session, part)
    with pytest.raises(WrongStatus):
        sent(world.session, part, seller)
    assert world.session.scalar(select(func.count()).select_from(Shipment)) == 0


def test_another_cooperative_ships_nothing_of_this_one(world: a.World) -> None:
    part, _ = a_packed_part(world)
    other = a.a_member(world.session, a.an_organisation(world.session, a.Kind.COOPERATIVE))
    with pytest.raises(NotFound):
        sent(world.session, part, other)
    assert journey.part_of(world.session, part).status == Status.PACKED


def test_a_waybill_is_used_once_by_a_cooperative_and_freely_by_another(world: a.World) -> None:
    session = world.session
    listing = world.offer(20, lots=20)
    parts = [journey.confirmed(world, {listing.id: 10})[0] for _ in range(2)]
    sellers = [journey.packed(session, part) for part in parts]
    sent(session, parts[0], sellers[0], carrier="own", waybill="SF-1")
    with pytest.raises(WaybillTaken), session.begin_nested():
        sent(session, parts[1], sellers[1], carrier="own", waybill="SF-1")
    assert journey.part_of(session, parts[1]).status == Status.PACKED
    elsewhere, stranger = a_packed_part(world)
    assert sent(session, elsewhere, stranger, carrier="own", waybill="SF-1").waybill == "SF-1"


def test_the_sweep_reports_what_is_due_and_nothing_before(world: a.World) -> None:
    session = world.session
    part, seller = a_packed_part(world)
    shipment = sent(session, part, seller)
    plan = planned(shipment)
    for place, (_, at) in enumerate(plan):
        assert move_shipments(session, now=at - timedelta(microseconds=1)) == 0
        assert heard(session, shipment.id) == plan[:place]
        assert move_shipments(session, now=at) == 1
        assert heard(session, shipment.id) == plan[: place + 1]
    session.refresh(shipment)
    assert (shipment.status, shipment.delivered_at, shipment.next_at) == ("delivered", plan[-1][1], None)
    assert journey.part_of(session, part).status == Status.DELIVERED
    assert move_shipments(session, now=LONG_AFTER) == 0


def test_a_sweep_after_a_long_pause_reports_everything_at_once_and_a_second_adds_nothing(world: a.World) -> None:
    session = world.session
    part, seller = a_packed_part(world)
    shipment = sent(session, part, seller)
    assert [move_shipments(session, now=LONG_AFTER) for _ in range(3)] == [1, 0, 0]
    assert heard(session, shipment.id) == planned(shipment)
    order_id = journey.part_of(session, part).order_id.hex
    assert told(session, "shipment.delivered") == [
        {"shipment_id": shipment.id.hex, "supplier_order_id": part.hex, "order_id": order_id}
    ]
    assert len(told(session, "supplier_order.delivered")) == 1


def test_a_word_that_was_written_before_is_not_written_again(world: a.World) -> None:
    session = world.session
    part, seller = a_packed_part(world)
    shipment = sent(session, part, seller)
    move_shipments(session, now=planned(shipment)[1][1])
    session.execute(text("UPDATE shipment SET next_at = shipped_at WHERE id = :key"), {"key": shipment.id})
    assert move_shipments(session, now=planned(shipment)[2][1]) == 1
    assert heard(session, shipment.id) == planned(shipment)[:3]


def test_a_sweep_does_a_batch_at_a_time_until_all_are_done(world: a.World, monkeypatch: pytest.MonkeyPatch) -> None:
    from shop.logistics import service

    monkeypatch.setattr(service, "BATCH", 2)
    session = world.session
    for _ in range(5):
        sent(session, *a_packed_part(world, 2))
    assert [move_shipments(session, now=LONG_AFTER) for _ in range(4)] == [2, 2, 1, 0]
    assert session.scalar(select(func.count()).select_from(Shipment).where(Shipment.status == "delivered")) == 5


@pytest.mark.usefixtures("committed")
def test_sweeps_at_once_share_the_work_and_say_every_word_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from shop.logistics import service

    monkeypatch.setattr(service, "BATCH", 3)
    with unit_of_work() as session:
        world = a.World(session)
        shipments = [sent(session, *a_packed_part(world, 2)) for _ in range(10)]
    gate = Barrier(4)

    def sweep(_: int) -> int:
        gate.wait()
        done = 0
        while moved := in_unit_of_work(lambda session: move_shipments(session, now=LONG_AFTER)):
            done += moved
        return done

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(sweep, range(4))) == 10
    with unit_of_work() as session:
        for shipment in shipments:
            assert heard(session, shipment.id) == planned(shipment)
        assert len(told(session, "shipment.delivered")) == 10
        assert session.scalar(select(func.count()).where(OrderHistory.status == "delivered")) == 10


def test_a_cooperative_reports_its_own_carriage_once_per_number_and_delivers(world: a.World) -> None:
    session = world.session
    listing = world.offer(10, lots=10)
    (part,) = journey.confirmed(world, {listing.id: 10})
    seller, key = journey.sent_by_own_carrier(session, part)

    def say(ref: str, kind: TrackingKind, by: Actor = seller, now: datetime = journey.LATER) -> None:
        report(session, actor=by, shipment_id=key, ref=ref, kind=kind, place="西安", note=None, now=now)

    say("1", TrackingKind.PICKED_UP)
    say("1", TrackingKind.DELAYED)
    assert heard(session, key) == [("picked_up", journey.LATER)]
    say("2", TrackingKind.DELIVERED)
    say("2", TrackingKind.DELIVERED, now=LONG_AFTER)
    assert journey.part_of(session, part).status == Status.DELIVERED
    assert session.get_one(Shipment, key, populate_existing=True).delivered_at == journey.LATER
    with pytest.raises(AlreadyDelivered):
        say("3", TrackingKind.AT_HUB)
    assert len(heard(session, key)) == 2
    assert len(told(session, "shipment.delivered")) == 1


def test_nobody_reports_for_another_or_for_a_carrier_that_reports_itself(world: a.World) -> None:
    session = world.session
    part, seller = a_packed_part(world)
    shipment = sent(session, part, seller)
    other = a.a_member(session, a.an_organisation(session, a.Kind.COOPERATIVE))
    for by, refusal in ((seller, NotYours), (other, NotFound)):
        with pytest.raises(refusal):
            report(
                session,
                actor=by,
                shipment_id=shipment.id,
                ref="1",
                kind=TrackingKind.DELIVERED,
                place="上海",
                note=None,
                now=journey.LATER,
            )
    assert session.scalar(select(func.count()).select_from(TrackingEvent)) == 0
    assert journey.part_of(session, part).status == Status.SHIPPED
