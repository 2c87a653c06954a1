"""Recalls, from the order to the last buyer, and their release; traces."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.accounts.models import Kind, Organisation
from shop.actor import Actor, Role
from shop.catalogue.models import Product
from shop.clock import move_to
from shop.db import in_unit_of_work, unit_of_work
from shop.errors import Invalid, NotFound
from shop.logistics.models import Shipment, TrackingKind
from shop.logistics.service import ShipmentHalted, halt_recalled, move_shipments, report, ship
from shop.notices.models import Notice
from shop.orders.models import OrderHistory, Status, SupplierOrder
from shop.orders.service import filling
from shop.orders.service.cancelling import cancel_order
from shop.stock import queries_recalls as queries
from shop.stock.models import Lot, Supply
from shop.stock.models_recalls import Recall, RecallLine
from shop.stock.schemas import ReceiveLot
from shop.stock.schemas_recalls import OrderRecall
from shop.stock.service import offering, recalling
from shop.stock.service.holding import LotRecalled, LotsShort
from shop.stock.service.recalling import NotYourRecall, RecallEnded
from tests import builders as a
from tests.orders import journey
from tests.outbox.helpers import client_of, work
from tests.stock.proof import checks_find_nothing


def seller_of(session: Session, listing: Any) -> Actor:
    return a.a_member(session, session.get_one(Organisation, listing.cooperative_id))


def lot_of(session: Session, listing: Any) -> Lot:
    return session.scalars(select(Lot).where(Lot.product_id == listing.product_id)).one()


def product_of(session: Session, listing: Any) -> Product:
    return session.get_one(Product, listing.product_id)


def recalled(session: Session, by: Actor, lot: Lot, **more: Any) -> UUID:
    wanted = OrderRecall(lot_ids=[lot.id], reason="农残超标", **more)
    return recalling.order(session, by=by, wanted=wanted, now=a.NOW)


def harvest(session: Session, by: Actor, product_id: UUID, first: date, end: date) -> UUID:
    wanted = OrderRecall(product_id=product_id, harvested_from=first, harvested_to=end, reason="灌溉水污染")
    return recalling.order(session, by=by, wanted=wanted, now=a.NOW)


class Drill:
    """A lot in four orders: one packed, one on its way, one delivered, one only accepted; another buyer has another."""

    def __init__(self) -> None:
        with unit_of_work() as session:
            move_to(session, a.NOW)
            world = a.World(session)
            listing = world.offer(1000, lots=100)
            self.parts: dict[str, UUID] = {}
            for name, bring in (
                ("packed", journey.packed),
                ("shipped", journey.sent_by_own_carrier),
                ("delivered", journey.delivered),
                ("accepted", journey.accepted),
            ):
                (self.parts[name],) = journey.confirmed(world, {listing.id: 5})
                bring(session, self.parts[name])
            elsewhere = a.World(session, roads=False)
            other = elsewhere.offer(100, lots=100)
            journey.packed(session, journey.confirmed(elsewhere, {other.id: 1})[0])
            self.buyer, self.stranger = world.actor, elsewhere.actor
            self.seller, self.rival = seller_of(session, listing), seller_of(session, other)
            self.listing_id, self.product_id = listing.id, listing.product_id
            self.lot = f"lot_{lot_of(session, listing).id.hex}"
        self.clients = {
            name: client_of(actor)
            for name, actor in (
                ("seller", self.seller), ("rival", self.rival), ("buyer", self.buyer), ("stranger", self.stranger),
            )
        }  # fmt: skip

    def ask(self, who: str, method: str, path: str, body: Any = None) -> Any:
        headers = {"Idempotency-Key": f"drill-{next(a.serial):08d}"}
        return self.clients[who].open(path, method=method, json=body, headers=headers)

    def status(self, name: str) -> str:
        with unit_of_work() as session:
            return session.get_one(SupplierOrder, self.parts[name]).status


@pytest.fixture
def drill(committed: str) -> Drill:
    return Drill()


def test_a_recall_reaches_every_order_shipment_and_buyer_and_each_outcome_is_a_row(drill: Drill) -> None:
    body = {"lot_ids": [drill.lot], "reason": "农残超标"}
    answer = drill.ask("seller", "POST", "/v1/cooperative/recalls", body)
    assert answer.status_code == 201, answer.json
    key = answer.json["recall"]["id"]
    (reached,) = answer.json["buyers"]
    assert (reached["lines"], reached["quantity"], reached["shipped"]) == (3, 75_000, 50_000)
    assert answer.json["progress"] == {
        "waiting": 3, "unpacked": 0, "halted": 0, "delivered": 0, "buyers": 1, "buyers_told": 0,
    }  # fmt: skip

    done = work("recalls.", "notices.tell_of_recall")
    assert sorted(done) == ["notices.tell_of_recall", "recalls.halt_shipments", "recalls.stop_unshipped"]
    seen = drill.ask("buyer", "GET", f"/v1/buyer/recalls/{key}").json
    assert seen["progress"] == {
        "waiting": 0, "unpacked": 1, "halted": 1, "delivered": 1, "buyers": 1, "buyers_told": 1,
    }  # fmt: skip
    lines = drill.ask("buyer", "GET", f"/v1/buyer/recalls/{key}/lines?limit=2").json
    assert len(lines["items"]) == 2
    assert lines["next"]
    assert [drill.status(name) for name in drill.parts] == ["accepted", "shipped", "delivered", "accepted"]
    with unit_of_work() as session:
        states = dict(session.execute(select(Shipment.supplier_order_id, Shipment.status)).all())
        assert (states[drill.parts["shipped"]], states[drill.parts["delivered"]]) == ("halted", "delivered")
        told = session.execute(select(Notice.organisation_id, Notice.subject).where(Notice.kind == "recall.ordered"))
        assert {tuple(row) for row in told} == {(drill.buyer.organisation_id, key), (drill.seller.organisation_id, key)}
        reasons = session.scalars(
            select(OrderHistory.reason).where(OrderHistory.supplier_order_id == drill.parts["packed"])
        ).all()
        assert "召回" in str(reasons[-1])
    checks_find_nothing()

    for who in ("rival", "stranger"):
        branch = "cooperative" if who == "rival" else "buyer"
        assert drill.ask(who, "GET", f"/v1/{branch}/recalls/{key}").status_code == 404
        assert drill.ask(who, "GET", f"/v1/{branch}/recalls").json["items"] == []
    assert drill.ask("rival", "POST", "/v1/cooperative/recalls", body).status_code == 404
    assert drill.ask("rival", "GET", f"/v1/cooperative/lots/{drill.lot}/trace").status_code == 404


def test_what_a_released_recall_held_is_sold_shipped_and_delivered_again(drill: Drill) -> None:
    answer = drill.ask("seller", "POST", "/v1/cooperative/recalls", {"lot_ids": [drill.lot], "reason": "误检"})
    key = answer.json["recall"]["id"]
    with unit_of_work() as session:
        supply = session.scalars(select(Supply).where(Supply.listing_id == drill.listing_id)).one()
        assert (supply.open, supply.stopped, supply.recalls) == (0, 980 * 5000, 1)
    work("recalls.")
    packing = f"/v1/cooperative/supplier-orders/so_{drill.parts['packed'].hex}/pack"
    assert drill.ask("seller", "POST", packing).json["code"] == "not_enough_in_store"

    release = f"/v1/cooperative/recalls/{key}/release"
    assert drill.ask("seller", "POST", release, {"reason": "复检合格"}).json["recall"]["status"] == "released"
    assert drill.ask("seller", "POST", release, {"reason": "x"}).json["code"] == "recall_ended"
    assert "recalls.resume_shipments" in work("recalls.", "notices.tell")
    with unit_of_work() as session:
        supply = session.scalars(select(Supply).where(Supply.listing_id == drill.listing_id)).one()
        assert (supply.open, supply.stopped, supply.recalls) == (980 * 5000, 0, 0)
        shipment = session.scalars(select(Shipment).where(Shipment.supplier_order_id == drill.parts["shipped"])).one()
        assert shipment.status == "in_transit"
    assert drill.ask("seller", "POST", packing).status_code == 200
    assert drill.status("packed") == "packed"
    checks_find_nothing()


def test_from_the_commit_of_a_recall_nothing_of_the_lot_is_shipped_or_delivered(session: Session) -> None:
    world = a.World(session)
    listing = world.offer(100, lots=100)
    (packed,) = journey.confirmed(world, {listing.id: 5})
    seller = journey.packed(session, packed)
    (sent,) = journey.confirmed(world, {listing.id: 5})
    carrier, shipment_id = journey.sent_by_own_carrier(session, sent)
    lot = lot_of(session, listing)
    recall_id = recalled(session, seller, lot)
    with pytest.raises(LotRecalled) as refused:
        ship(session, actor=seller, supplier_order_id=packed, carrier="simulated", waybill=None, now=a.NOW)
    assert refused.value.facts["lots"] == [f"lot_{lot.id.hex}"]
    assert halt_recalled(session, recall_id=recall_id, now=a.NOW) == 1
    with pytest.raises(ShipmentHalted):
        report(
            session, actor=carrier, shipment_id=shipment_id, ref="9", kind=TrackingKind.DELIVERED, place="上海",
            note=None, now=a.NOW,
        )  # fmt: skip
    assert move_shipments(session, now=a.NOW + timedelta(days=30)) == 0


def test_an_order_is_packed_from_what_is_not_recalled(session: Session) -> None:
    world = a.World(session)
    listing = world.offer(100, lots=5)
    first = lot_of(session, listing)
    second = a.a_lot(session, product_of(session, listing), 25_000)
    (part,) = journey.confirmed(world, {listing.id: 5})
    seller = journey.accepted(session, part)
    recalled(session, seller, first)
    filling.pack(session, actor=seller, supplier_order_id=part, now=a.NOW)
    session.expire_all()
    assert (first.bound, second.bound) == (0, 25_000)


def test_a_harvest_window_holds_its_lots_and_those_received_while_it_is_open(session: Session) -> None:
    world = a.World(session)
    listing = world.offer(100)
    product = product_of(session, listing)
    inside = a.a_lot(session, product, 5000, harvested_on=date(2024, 10, 5))
    last_day = a.a_lot(session, product, 5000, harvested_on=date(2024, 10, 10))
    seller = seller_of(session, listing)
    recall_id = harvest(session, seller, product.id, date(2024, 10, 1), date(2024, 10, 10))
    session.expire_all()
    assert (inside.recalls, last_day.recalls) == (1, 0)

    def receive(code: str, day: date) -> Lot:
        body = ReceiveLot(product_id=product.id, code=code, harvested_on=day, best_before=date(2025, 1, 1), quantity=10)
        return offering.receive(session, by=seller, wanted=body, now=a.NOW)

    assert receive("late", date(2024, 10, 9)).recalls == 1
    assert receive("after", date(2024, 10, 10)).recalls == 0
    more = {"by": seller, "listing_id": listing.id, "packs": 3, "now": a.NOW}
    stopped = offering.offer(session, ready_from=date(2024, 10, 16), ready_to=date(2024, 11, 1), **more)
    assert (stopped.open, stopped.stopped) == (0, 15_000)
    free = offering.offer(session, ready_from=date(2025, 2, 1), ready_to=date(2025, 3, 1), **more)
    assert (free.open, free.stopped) == (15_000, 0)
    recalling.release(session, by=seller, recall_id=recall_id, reason="合格", now=a.NOW)
    session.expire_all()
    assert (stopped.open, stopped.stopped, inside.recalls) == (15_000, 0, 0)


def test_what_two_recalls_hold_is_free_when_both_are_released(session: Session) -> None:
    world = a.World(session)
    listing = world.offer(100, lots=10)
    lot, seller = lot_of(session, listing), seller_of(session, listing)
    supply = session.scalars(select(Supply).where(Supply.listing_id == listing.id)).one()
    one, two = recalled(session, seller, lot), recalled(session, seller, lot)
    recalling.release(session, by=seller, recall_id=one, reason="x", now=a.NOW)
    session.expire_all()
    assert (lot.recalls, supply.open, supply.stopped) == (1, 0, 500_000)
    recalling.release(session, by=seller, recall_id=two, reason="x", now=a.NOW)
    session.expire_all()
    assert (lot.recalls, supply.open, supply.stopped) == (0, 500_000, 0)


def test_what_is_released_or_closed_under_a_recall_is_not_sold(session: Session) -> None:
    world = a.World(session)
    listing = world.offer(100, lots=10)
    placed = world.place({listing.id: 10})
    lot, seller = lot_of(session, listing), seller_of(session, listing)
    recall_id = recalled(session, seller, lot)
    cancel_order(session, order_id=placed.id, by=world.actor, reason="x", now=a.NOW)
    supply = session.scalars(select(Supply).where(Supply.listing_id == listing.id)).one()
    session.expire_all()
    assert (supply.open, supply.stopped, supply.held) == (0, 500_000, 0)
    offering.close_windows(session, now=a.NOW.replace(year=2026))
    session.expire_all()
    assert (supply.closed, supply.stopped, supply.withdrawn) == (True, 0, 500_000)
    recalling.release(session, by=seller, recall_id=recall_id, reason="x", now=a.NOW)
    session.expire_all()
    assert (supply.open, supply.stopped, supply.withdrawn, supply.recalls) == (0, 0, 500_000, 0)


def test_without_hold_supply_sales_go_on(session: Session) -> None:
    world = a.World(session)
    listing = world.offer(100, lots=10)
    recalled(session, seller_of(session, listing), lot_of(session, listing), hold_supply=False)
    world.place({listing.id: 10})


def test_a_county_recalls_what_its_cooperatives_sell_and_they_may_not_end_it(session: Session) -> None:
    world = a.World(session)
    listing = world.offer(100, lots=10)
    lot, seller = lot_of(session, listing), seller_of(session, listing)
    office = a.an_organisation(session, Kind.COUNTY_REVIEWER, uscc=None)
    here = a.a_member(session, office, roles={Role.COUNTY_REVIEWER}, regions=("610000",))
    there = a.a_member(session, office, roles={Role.COUNTY_REVIEWER}, regions=("640000",))
    operator = a.a_member(session, a.an_organisation(session, Kind.PLATFORM, uscc=None), roles={Role.OPERATOR})
    with pytest.raises(NotFound):
        recalled(session, there, lot)
    recall_id = recalled(session, here, lot)
    with pytest.raises(NotFound):
        queries.recall(session, there, recall_id)
    with pytest.raises(NotYourRecall):
        recalling.release(session, by=seller, recall_id=recall_id, reason="x", now=a.NOW)
    recalling.release(session, by=operator, recall_id=recall_id, reason="x", now=a.NOW)
    with pytest.raises(RecallEnded):
        recalling.release(session, by=here, recall_id=recall_id, reason="x", now=a.NOW)


def test_lots_of_several_products_and_windows_that_end_before_they_begin_are_refused(session: Session) -> None:
    world = a.World(session)
    one = world.offer(100, lots=10)
    cooperative = session.get_one(Organisation, one.cooperative_id)
    other = a.a_lot(session, a.a_product(session, cooperative), 100)
    seller = seller_of(session, one)
    wanted = OrderRecall(lot_ids=[lot_of(session, one).id, other.id], reason="x")
    with pytest.raises(Invalid):
        recalling.order(session, by=seller, wanted=wanted, now=a.NOW)
    with pytest.raises(Invalid):
        harvest(session, seller, one.product_id, date(2024, 10, 2), date(2024, 10, 2))


@pytest.mark.parametrize(
    "body",
    [
        {"reason": "x"},
        {"reason": "x", "product_id": "prd_" + "0" * 32},
        {"reason": "x", "lot_ids": ["lot_" + "0" * 32], "product_id": "prd_" + "0" * 32},
        {"reason": "x", "lot_ids": []},
    ],
)
def test_a_recall_says_either_which_lots_or_which_harvest(drill: Drill, body: dict[str, Any]) -> None:
    assert drill.ask("seller", "POST", "/v1/cooperative/recalls", body).status_code == 422


def test_a_trace_names_every_line_and_its_buyer(drill: Drill) -> None:
    trace = drill.ask("seller", "GET", f"/v1/cooperative/lots/{drill.lot}/trace").json
    assert [line["quantity"] for line in trace["lines"]] == [25_000] * 3
    assert {line["buyer_id"] for line in trace["lines"]} == {f"org_{drill.buyer.organisation_id.hex}"}
    assert sum(line["shipped"] for line in trace["lines"]) == 50_000


def test_a_recall_misses_nothing_that_is_packed_shipped_or_received_at_the_same_moment(committed: str) -> None:
    with unit_of_work() as session:
        world = a.World(session)
        listing = world.offer(1000, lots=200)
        lot, seller = lot_of(session, listing), seller_of(session, listing)
        parts = [journey.confirmed(world, {listing.id: 2})[0] for _ in range(24)]
        for part in parts:
            journey.accepted(session, part)

    def fill(part: UUID) -> None:
        def pack(session: Session) -> None:
            filling.pack(session, actor=seller, supplier_order_id=part, now=a.NOW)

        def send(session: Session) -> None:
            ship(session, actor=seller, supplier_order_id=part, carrier="simulated", waybill=None, now=a.NOW)

        try:
            in_unit_of_work(pack, attempts=1)
            in_unit_of_work(send, attempts=1)
        except (LotsShort, LotRecalled):
            pass

    def recall(_: int) -> UUID:
        return in_unit_of_work(lambda session: recalled(session, seller, lot), attempts=1)

    with ThreadPoolExecutor(5) as pool:
        filled = [pool.submit(fill, part) for part in parts]
        ordered = pool.submit(recall, 0)
        for each in filled:
            each.result()
        recall_id = ordered.result()
    with unit_of_work() as session:
        named = session.scalars(select(RecallLine.line_id).where(RecallLine.recall_id == recall_id)).all()
        bound = [line.line_id for line in queries.trace(session, [lot.id])]
        assert sorted(named) == sorted(bound)
        assert session.get_one(Recall, recall_id).status == "open"
        packed = session.scalars(
            select(SupplierOrder.status).where(SupplierOrder.status.in_([Status.PACKED, Status.SHIPPED]))
        ).all()
        assert len(packed) == len(named)
    checks_find_nothing()
