"""Changes before an order is accepted: who proposes, who answers, and what is held, billed and given back after."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from shop import clock
from shop.accounts.models import Kind, Organisation
from shop.accounts.service import logging_in
from shop.actor import SYSTEM, Actor, Role
from shop.db import checker_engine, in_unit_of_work, unit_of_work
from shop.errors import Refusal
from shop.ids import new_id
from shop.ledger.models import CreditLimit
from shop.ledger.service import PLATFORM_ID
from shop.logistics.models import TrackingKind
from shop.logistics.service import report, ship
from shop.notices.models import Notice
from shop.orders.models_changes import OrderChange
from shop.orders.schemas_changes import ChangeLineIn, ProposeChange
from shop.orders.schemas_fulfilment import Inspect
from shop.orders.service import acceptance, allocating, cancelling, changing, filling
from shop.orders.service.moving import confirm_order
from shop.reporting.checks import run_checks
from shop.stock.models import Supply
from tests import builders as a
from tests.application import a_client
from tests.orders import journey
from tests.outbox.helpers import work

HOUR = timedelta(hours=1)
PRICE, FREIGHT, OFFERED = 4_000, 4_500, 1_000


class Table:
    """A buyer and a cooperative with a confirmed order of ten packs and five, over HTTP."""

    def __init__(self, terms: str = "on_terms") -> None:
        self.client = a_client()
        with unit_of_work() as session:
            clock.move_to(session, a.NOW)
            a.an_organisation(session, Kind.PLATFORM, id=PLATFORM_ID, uscc=None)
            self.world = world = a.World(session)
            self.listing = world.offer(OFFERED, lots=OFFERED)
            seller = session.get_one(Organisation, self.listing.cooperative_id)
            second = a.a_product(session, seller, "小米")
            self.other = a.a_listing(session, second, price_fen=2_501, tiers=[[1, 2_501]])
            a.a_supply(session, self.other, OFFERED)
            a.a_lot(session, second, OFFERED * 5000)
            people: dict[str, Actor] = {
                "buyer": world.actor,
                "receiver": a.a_member(session, world.buyer, roles={Role.RECEIVER}),
                "seller": a.a_member(session, seller),
                "lister": a.a_member(session, seller, roles={Role.LISTER}),
                "stranger": a.a_member(session, a.an_organisation(session)),
            }
            self.people = people
            self.tokens = {
                name: logging_in.issue_token(session, user_id=actor.user_id)[0] for name, actor in people.items()
            }
        self.order()

    def order(self, packs: int = 10, others: int = 5) -> None:
        with unit_of_work() as session:
            self.world.session = session
            placed = self.world.place({self.listing.id: packs, self.other.id: others})
            confirm_order(session, order_id=placed.id, by=SYSTEM, now=a.NOW)
            self.part, self.order_id = placed.parts[0].id, placed.id
            self.lines = [line.id for line in placed.parts[0].lines]
            self.total_fen = placed.total_fen

    def ask(self, who: str, method: str, path: str, body: Any = None) -> TestResponse:
        side = "cooperative" if who in ("seller", "lister") else "buyer"
        headers = {"Authorization": f"Bearer {self.tokens[who]}", "Idempotency-Key": new_id().hex}
        address = f"/v1/{side}/supplier-orders/so_{self.part.hex}{path}"
        return self.client.open(address, method=method, headers=headers, json=body)

    def propose(self, who: str, *packs: int | None, **more: Any) -> TestResponse:
        """So many packs of each line, None where a line stays."""
        lines = [
            {"line_id": f"line_{key.hex}", "packs": count}
            for key, count in zip(self.lines, packs, strict=False)
            if count is not None
        ]
        return self.ask(who, "POST", "/changes", {"lines": lines, "reason": "霜冻减产", **more})

    def answer(self, who: str, change: Any, agree: bool) -> TestResponse:
        return self.ask(who, "POST", f"/changes/{change.json['id']}/answer", {"agree": agree, "reason": "收到"})

    def open_packs(self) -> list[int]:
        with unit_of_work() as session:
            return [
                session.scalars(select(Supply).where(Supply.listing_id == listing.id)).one().open // 5000
                for listing in (self.listing, self.other)
            ]

    def deliver(self) -> Any:
        """Accepted, packed, sent and inspected as wholly good; gives the acceptance note's sums."""
        assert self.ask("seller", "POST", "/accept").status_code == 200
        with unit_of_work() as session:
            seller = self.people["seller"]
            filling.pack(session, actor=seller, supplier_order_id=self.part, now=a.NOW)
            waybill = f"OWN-{self.part.hex[-12:]}"
            shipment = ship(
                session, actor=seller, supplier_order_id=self.part, carrier="own", waybill=waybill, now=a.NOW
            )
            report(
                session, actor=seller, shipment_id=shipment, ref="1", kind=TrackingKind.DELIVERED, place="上海",
                note=None, now=journey.LATER,
            )  # fmt: skip
        with unit_of_work() as session:
            acceptance.inspect(
                session, actor=self.world.actor, supplier_order_id=self.part, found=Inspect(accept_all=True),
                now=journey.LATER,
            )  # fmt: skip
            part = journey.part_of(session, self.part)
            return part.accepted_goods_fen, part.accepted_freight_fen


@pytest.fixture
def table(committed: str) -> Table:
    return Table()


def code(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.json["code"]


def faults(answer: TestResponse) -> list[tuple[str, str]]:
    assert code(answer) == (422, "wrong_change"), answer.json
    return [(error["pointer"], error["code"]) for error in answer.json["errors"]]


def proven() -> list[Any]:
    with checker_engine().connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        return run_checks(connection)


def test_what_a_cooperative_cannot_deliver_is_agreed_on_held_no_more_and_never_billed(table: Table) -> None:
    change = table.propose("seller", 6, 0)
    assert (change.status_code, change.json["side"], change.json["status"]) == (201, "cooperative", "open")
    assert (change.json["goods_fen_before"], change.json["goods_fen"]) == (10 * PRICE + 5 * 2_501, 6 * PRICE)
    assert code(table.ask("seller", "POST", "/accept")) == (409, "change_open")
    agreed = table.answer("buyer", change, True)
    assert (agreed.status_code, agreed.json["status"], agreed.json["answer"]) == (200, "agreed", "收到")
    assert table.open_packs() == [990, 995]  # what fails is not offered to others
    seen = table.client.get(
        f"/v1/buyer/orders/ord_{table.order_id.hex}", headers={"Authorization": f"Bearer {table.tokens['buyer']}"}
    ).json["supplier_orders"][0]
    assert [line["allocated"] for line in seen["lines"]] == [6, 0]
    assert table.deliver() == (6 * PRICE, FREIGHT)
    with unit_of_work() as session:
        assert session.scalars(select(CreditLimit.used_fen)).one() == 6 * PRICE + FREIGHT
    assert proven() == []


def test_what_a_buyer_does_without_is_open_to_others_once_the_cooperative_agrees(table: Table) -> None:
    change = table.propose("buyer", 7)
    assert (change.json["side"], table.open_packs()) == ("buyer", [990, 995])
    assert code(table.answer("buyer", change, True)) == (409, "other_side")
    assert table.answer("seller", change, True).json["status"] == "agreed"
    assert table.open_packs() == [993, 995]
    again = table.propose("buyer", 5, 4)
    assert [(line["packs_before"], line["packs"]) for line in again.json["lines"]] == [(7, 5), (5, 4)]
    assert table.answer("seller", again, True).status_code == 200
    assert table.open_packs() == [995, 996]
    assert table.deliver() == (5 * PRICE + 4 * 2_501, FREIGHT)
    assert proven() == []


@pytest.mark.parametrize(("packs", "freight", "billed"), [((), 1_234, 1_234), ((9,), 5_000, 5_000), ((9,), 0, 0)])
def test_a_cooperative_names_another_freight_that_is_billed_as_long_as_the_order_is_not_dearer(
    table: Table, packs: tuple[int, ...], freight: int, billed: int
) -> None:
    change = table.propose("seller", *packs, freight_fen=freight)
    assert table.answer("buyer", change, True).status_code == 200
    goods = (packs or (10,))[0] * PRICE + 5 * 2_501
    assert table.deliver() == (goods, billed)
    assert proven() == []


def test_wrong_changes_name_what_is_wrong_and_leave_everything_as_it_was(table: Table) -> None:
    line = f"line_{table.lines[0].hex}"
    lines = [
        {"line_id": line, "packs": 10},
        {"line_id": line, "packs": 1},
        {"line_id": f"line_{'0' * 31}1", "packs": 1},
    ]
    wrong = table.ask("seller", "POST", "/changes", {"lines": lines, "reason": "x"})
    assert faults(wrong) == [
        ("/lines/0/packs", "not_fewer"),
        ("/lines/1/line_id", "repeated"),
        ("/lines/2/line_id", "no_such_line"),
    ]
    assert faults(table.propose("seller", 0, 0)) == [("/lines", "nothing_left")]
    assert faults(table.propose("seller")) == [("/lines", "nothing_changes")]
    assert faults(table.propose("seller", freight_fen=FREIGHT)) == [("/lines", "nothing_changes")]
    assert faults(table.propose("seller", freight_fen=FREIGHT + 1)) == [("/freight_fen", "dearer")]
    assert faults(table.propose("seller", 9, freight_fen=FREIGHT + PRICE + 1)) == [("/freight_fen", "dearer")]
    assert faults(table.propose("buyer", 9, freight_fen=0)) == [("/freight_fen", "not_yours")]
    assert table.ask("buyer", "GET", "/changes").json["items"] == []


def test_each_side_does_its_own_part_and_others_see_nothing(table: Table) -> None:
    assert table.propose("receiver", 5).status_code == 403
    assert table.propose("lister", 5).status_code == 403
    assert table.propose("stranger", 5).status_code == 404
    change = table.propose("seller", 5)
    assert code(table.propose("buyer", 4)) == (409, "change_open")
    assert table.answer("stranger", change, True).status_code == 404
    path = f"/changes/{change.json['id']}/withdraw"
    assert code(table.ask("buyer", "POST", path)) == (409, "other_side")
    assert table.ask("seller", "POST", path).json["status"] == "withdrawn"
    assert code(table.answer("buyer", change, True)) == (409, "wrong_change_status")
    refused = table.propose("seller", 5)
    assert table.answer("buyer", refused, False).json["status"] == "refused"
    assert [item["status"] for item in table.ask("seller", "GET", "/changes").json["items"]] == ["withdrawn", "refused"]
    assert table.ask("stranger", "GET", "/changes").status_code == 404
    assert table.deliver() == (10 * PRICE + 5 * 2_501, FREIGHT)
    assert code(table.propose("seller", 5)) == (409, "wrong_order_status")


def test_a_change_that_nobody_answers_in_its_hours_lapses_and_the_order_stays(table: Table) -> None:
    change = table.propose("seller", 5)
    assert change.json["answer_by"] is not None
    late = a.NOW + 49 * HOUR
    with unit_of_work() as session:
        clock.move_to(session, late)
        assert (changing.lapse(session, now=late), changing.lapse(session, now=late)) == (1, 0)
    assert code(table.answer("buyer", change, True)) == (409, "wrong_change_status")
    while work("notices.tell"):
        pass
    with unit_of_work() as session:
        told = session.scalars(select(Notice.organisation_id).where(Notice.kind == "order_change.lapsed")).all()
    assert set(told) == {table.people["buyer"].organisation_id, table.people["seller"].organisation_id}
    assert table.ask("seller", "POST", "/accept").status_code == 200
    assert proven() == []


def test_a_change_is_void_when_its_order_is_cancelled_or_gets_less_by_an_allocation(table: Table) -> None:
    table.propose("seller", 5)
    with unit_of_work() as session:
        supply = session.scalars(select(Supply).where(Supply.listing_id == table.listing.id)).one()
        allocating.allocate(session, by=table.people["seller"], supply_id=supply.id, packs=8, reason="霜冻", now=a.NOW)
    again = table.propose("seller", 7)
    assert again.json["lines"][0] | {"line_id": ""} == {"line_id": "", "packs_before": 8, "packs": 7}
    with unit_of_work() as session:
        cancelling.cancel_order(session, order_id=table.order_id, by=table.world.actor, reason="x", now=a.NOW)
    assert [item["status"] for item in table.ask("buyer", "GET", "/changes").json["items"]] == ["void", "void"]
    assert proven() == []


def test_the_database_takes_no_change_that_makes_an_order_dearer_and_forgets_none(table: Table) -> None:
    change = table.propose("seller", 5)
    for statement in (
        "UPDATE order_change SET freight_fen = freight_fen_before + goods_fen_before",
        "UPDATE order_change SET goods_fen = 0",
        "UPDATE order_change_line SET packs = packs_before",
        "DELETE FROM order_change",
        "UPDATE supplier_order SET agreed_freight_fen = goods_fen + freight_fen + 1",
    ):
        with unit_of_work() as session, pytest.raises(DBAPIError), session.begin_nested():
            session.execute(text(statement))
    assert change.status_code == 201


def test_of_agreeing_cancelling_accepting_and_withdrawing_at_once_what_comes_first_holds(table: Table) -> None:
    buyer, seller = table.world.actor, table.people["seller"]
    for _ in range(10):
        table.order()
        with unit_of_work() as session:
            change = changing.propose(
                session, actor=table.people["seller"], supplier_order_id=table.part,
                wanted=ProposeChange(lines=[ChangeLineIn(line_id=table.lines[0], packs=4)], reason="x"), now=a.NOW,
            ).id  # fmt: skip
        part, order_id = table.part, table.order_id
        deeds: list[Callable[[Session], Any]] = [
            lambda session, part=part, change=change: changing.answer(
                session, actor=buyer, supplier_order_id=part, change_id=change, agree=True, said=None, now=a.NOW
            ),
            lambda session, order_id=order_id: cancelling.cancel_order(
                session, order_id=order_id, by=buyer, reason="x", now=a.NOW
            ),
            lambda session, part=part: filling.accept(session, actor=seller, supplier_order_id=part, now=a.NOW),
            lambda session, part=part, change=change: changing.withdraw(
                session, actor=seller, supplier_order_id=part, change_id=change, now=a.NOW
            ),
        ]
        gate = Barrier(len(deeds))

        def run(deed: Callable[[Session], Any], gate: Barrier = gate) -> str:
            gate.wait()
            try:
                in_unit_of_work(deed)
            except Refusal as refusal:
                return refusal.code
            return "done"

        with ThreadPoolExecutor(len(deeds)) as pool:
            said = list(pool.map(run, deeds))
        with unit_of_work() as session:
            status = session.get_one(OrderChange, change).status
        assert status in ("agreed", "withdrawn", "void")
        assert (said[0] == "done") == (status == "agreed")
    assert proven() == []


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_however_an_order_is_changed_what_is_billed_is_what_was_agreed_on_last_and_never_more(
    table: Table, data: Any
) -> None:
    goods_of = {0: PRICE, 1: 2_501}
    table.order()
    packs, freight = [10, 5], FREIGHT
    for _ in range(data.draw(st.integers(1, 3))):
        wanted = [data.draw(st.integers(0, count)) for count in packs]
        asked = data.draw(st.one_of(st.none(), st.integers(0, 6_000)))
        change = table.propose(
            "seller",
            *[count if count < before else None for count, before in zip(wanted, packs, strict=True)],
            **({} if asked is None else {"freight_fen": asked}),
        )
        if change.status_code != 201:
            assert code(change) == (422, "wrong_change")
            continue
        assert table.answer("buyer", change, True).status_code == 200
        packs, freight = wanted, freight if asked is None else asked
    goods = sum(count * goods_of[place] for place, count in enumerate(packs))
    assert goods + freight <= table.total_fen
    assert table.deliver() == (goods, freight)
    assert proven() == []
