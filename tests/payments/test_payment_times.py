"""How long money may take: by dated rules, longer once when it is asked for, and with the bank's voucher."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from config.settings import settings
from shop import clock
from shop.accounts.models import Kind
from shop.accounts.service import logging_in
from shop.actor import Actor, Role
from shop.db import in_unit_of_work, unit_of_work
from shop.errors import NotFound
from shop.ids import new_id
from shop.ledger.service import PLATFORM_ID
from shop.orders.models import SupplierOrder
from shop.orders.models_holds import AlreadyExtended, HoldRule, NothingToExtend, PaymentExtension
from shop.orders.schemas_fulfilment import Inspect
from shop.orders.service import acceptance, cancelling, extending
from shop.payments.models import Charge, Method
from shop.payments.service import charging, lapsing
from tests import builders as a
from tests.application import a_client
from tests.orders import journey

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def world(session: Session) -> a.World:
    a.an_organisation(session, Kind.PLATFORM, id=PLATFORM_ID)
    return a.World(session)


def pay_before(session: Session, part: UUID) -> datetime | None:
    return journey.part_of(session, part).pay_before


def extend(world: a.World, order_id: UUID, now: datetime = a.NOW) -> PaymentExtension:
    return extending.extend(world.session, actor=world.actor, order_id=order_id, reason="财政拨款在途", now=now)


def test_what_is_paid_first_waits_as_the_rule_of_its_day_says_and_what_is_on_terms_for_no_day(
    world: a.World, session: Session
) -> None:
    listing = world.offer()
    session.execute(
        update(HoldRule).where(HoldRule.kind == "payment").values(valid=Range(date(1996, 1, 1), date(2024, 10, 16)))
    )
    ten = Range(date(2024, 10, 16), date(2024, 10, 17))
    session.add(HoldRule(kind="payment", minutes=10 * 24 * 60, source="平台规则2号", valid=ten))
    session.flush()

    def waits(terms: str, now: datetime) -> datetime | None:
        return pay_before(session, world.place({listing.id: 1}, terms, now).parts[0].id)

    assert waits("on_terms", a.NOW) is None
    assert [waits("prepaid", a.NOW + days * DAY) for days in (0, 1, 2)] == [a.NOW + 30 * DAY, a.NOW + 11 * DAY, None]
    assert charging.cancel_unpaid(session, now=a.NOW + 11 * DAY) == 1
    assert charging.cancel_unpaid(session, now=a.NOW + 300 * DAY) == 1  # the one without a day stays


def test_the_time_to_pay_is_extended_once_for_all_parts_and_no_supply_is_held_longer_for_it(
    world: a.World, session: Session
) -> None:
    placed = world.place({world.offer().id: 1, world.offer().id: 1}, "prepaid")
    row = extend(world, placed.id, a.NOW + 29 * DAY)
    assert (row.minutes, row.pay_before) == (15 * 24 * 60, a.NOW + 45 * DAY)
    for part in placed.parts:
        found = journey.part_of(session, part.id)
        assert (found.pay_before, found.held_until) == (a.NOW + 45 * DAY, a.NOW + 3 * DAY)
    with pytest.raises(AlreadyExtended) as again:
        extend(world, placed.id, a.NOW + 30 * DAY)
    assert again.value.facts == {"pay_before": (a.NOW + 45 * DAY).isoformat()}
    assert charging.cancel_unpaid(session, now=a.NOW + 45 * DAY - HOUR) == 0
    assert charging.cancel_unpaid(session, now=a.NOW + 45 * DAY) == 2


@pytest.mark.parametrize("why", ["on terms", "cancelled", "paid", "too late", "no rule"])
def test_nothing_is_extended_that_waits_for_no_money_any_more(world: a.World, session: Session, why: str) -> None:
    placed = world.place({world.offer().id: 1}, "on_terms" if why == "on terms" else "prepaid")
    now = a.NOW
    if why == "cancelled":
        cancelling.cancel_order(session, order_id=placed.id, by=world.actor, reason="x", now=now)
    elif why == "paid":
        charge = charging.request(
            session, actor=world.actor, order_id=placed.id, method=Method.BANK_TRANSFER, payment_method=None, now=now
        )
        charging.settle_charge(session, charge_id=charge.id, now=now)
    elif why == "too late":
        now += 30 * DAY
    elif why == "no rule":
        session.execute(text("DELETE FROM hold_rule WHERE kind = 'extension'"))
    with pytest.raises(NothingToExtend):
        extend(world, placed.id, now)
    assert session.scalar(select(PaymentExtension.order_id)) is None


def test_the_order_of_another_is_not_there_to_extend(world: a.World, session: Session) -> None:
    placed = world.place({world.offer().id: 1}, "prepaid")
    with pytest.raises(NotFound):
        extending.extend(session, actor=a.World(session, roads=False).actor, order_id=placed.id, reason="x", now=a.NOW)


def test_an_extension_and_the_sweep_at_the_same_moment_leave_an_order_extended_or_cancelled(committed: str) -> None:
    with unit_of_work() as session:
        a.an_organisation(session, Kind.PLATFORM, id=PLATFORM_ID)
        world = a.World(session)
        listing = world.offer()
    for turn in range(8):
        with unit_of_work() as session:
            world.session = session
            placed = world.place({listing.id: 1}, "prepaid")
        gate = Barrier(2)

        def ask(order_id: UUID = placed.id, gate: Barrier = gate) -> bool:
            gate.wait()
            try:
                in_unit_of_work(
                    lambda session: extending.extend(
                        session, actor=world.actor, order_id=order_id, reason="x", now=a.NOW + 30 * DAY - HOUR
                    )
                )
            except NothingToExtend:
                return False
            return True

        def sweep(gate: Barrier = gate) -> int:
            gate.wait()
            return in_unit_of_work(lambda session: charging.cancel_unpaid(session, now=a.NOW + 30 * DAY))

        with ThreadPoolExecutor(2) as pool:
            first, second = (ask, sweep) if turn % 2 else (sweep, ask)
            made = {call: pool.submit(call) for call in (first, second)}
            extended, cancelled = made[ask].result(), made[sweep].result()
        with unit_of_work() as session:
            status = journey.part_of(session, placed.parts[0].id).status
        assert (extended, cancelled, status) in ((True, 0, "placed"), (False, 1, "cancelled"))


def test_a_notice_of_an_order_on_terms_is_taken_back_by_the_rule_of_the_day_it_was_made(
    world: a.World, session: Session
) -> None:
    listing = world.offer(lots=1000)
    session.execute(
        update(HoldRule).where(HoldRule.kind == "notice").values(valid=Range(date(1996, 1, 1), date(2024, 10, 21)))
    )
    session.add(
        HoldRule(kind="notice", minutes=5 * 24 * 60, source="平台规则3号", valid=Range(date(2024, 10, 21), None))
    )
    made: list[Charge] = []
    for days in (5, 6):  # 20 and 21 October in Beijing
        (part,) = journey.confirmed(world, {listing.id: 1})
        journey.delivered(session, part)
        order = journey.part_of(session, part).order_id
        acceptance.inspect(
            session, actor=world.actor, supplier_order_id=part, found=Inspect(accept_all=True), now=journey.LATER
        )
        made.append(
            charging.request(
                session, actor=world.actor, order_id=order, method=Method.BANK_TRANSFER, payment_method=None,
                now=a.NOW + days * DAY,
            )
        )  # fmt: skip
    assert charging.withdraw_old_notices(session, now=a.NOW + 11 * DAY - HOUR) == 0
    assert charging.withdraw_old_notices(session, now=a.NOW + 11 * DAY) == 1
    assert session.get_one(Charge, made[1].id, populate_existing=True).status == "cancelled"
    assert charging.withdraw_old_notices(session, now=a.NOW + 35 * DAY) == 1


class Counter:
    """A buyer with an order to be paid first and its payment notice, its finance officer, a stranger, an operator."""

    def __init__(self) -> None:
        self.client = a_client()
        with unit_of_work() as session:
            clock.move_to(session, a.NOW)
            platform = a.an_organisation(session, Kind.PLATFORM, id=PLATFORM_ID, uscc=None)
            self.world = world = a.World(session)
            placed = world.place({world.offer().id: 1}, "prepaid")
            self.order, self.part = placed.id, placed.parts[0].id
            people: dict[str, Actor] = {
                "finance": a.a_member(session, world.buyer, roles={Role.FINANCE}),
                "receiver": a.a_member(session, world.buyer, roles={Role.RECEIVER}),
                "stranger": a.a_member(session, a.an_organisation(session)),
                "operator": a.a_member(session, platform),
            }
            self.tokens = {
                name: logging_in.issue_token(session, user_id=actor.user_id)[0] for name, actor in people.items()
            }

    def ask(self, who: str, method: str, path: str, body: Any = None) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.tokens[who]}", "Idempotency-Key": new_id().hex}
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        return self.client.open(f"/v1{path}", method=method, headers=headers, **sent)

    def notice(self, method: str = "bank_transfer") -> Any:
        answer = self.ask("finance", "POST", f"/buyer/orders/ord_{self.order.hex}/payments", {"method": method})
        assert answer.status_code == 201, answer.json
        return answer.json

    def upload(self, who: str) -> str:
        answer = self.ask(who, "POST", "/me/files?name=%E5%9B%9E%E5%8D%95.pdf", b"%PDF-1.7 a bank's voucher")
        assert answer.status_code == 201, answer.json
        return str(answer.json["id"])

    def supplier_order(self) -> Any:
        return self.ask("finance", "GET", f"/buyer/orders/ord_{self.order.hex}").json["supplier_orders"][0]


@pytest.fixture
def counter(committed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Counter]:
    monkeypatch.setenv("SHOP_FILES", str(tmp_path / "files"))
    settings.cache_clear()
    yield Counter()
    monkeypatch.undo()
    settings.cache_clear()


def code(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.json["code"]


def test_a_finance_officer_asks_for_more_time_over_http(counter: Counter) -> None:
    path = f"/buyer/orders/ord_{counter.order.hex}/payment-extension"
    assert counter.supplier_order()["pay_before"] == (a.NOW + 30 * DAY).isoformat()
    assert counter.ask("receiver", "POST", path, {"reason": "x"}).status_code == 403
    assert counter.ask("stranger", "POST", path, {"reason": "x"}).status_code == 404
    given = counter.ask("finance", "POST", path, {"reason": "财政拨款在途"})
    assert (given.status_code, given.json["pay_before"]) == (201, (a.NOW + 45 * DAY).isoformat())
    assert counter.supplier_order()["pay_before"] == (a.NOW + 45 * DAY).isoformat()
    assert code(counter.ask("finance", "POST", path, {"reason": "再次"})) == (409, "already_extended")


def test_a_voucher_holds_supply_for_longer_once_and_the_platform_sees_it_until_the_money_is_there(
    counter: Counter,
) -> None:
    notice = counter.notice()
    path = f"/buyer/payments/{notice['id']}/voucher"
    with unit_of_work() as session:
        clock.move_to(session, a.NOW + 2 * DAY)
    assert code(counter.ask("finance", "POST", path, {"file_id": counter.upload("stranger")})) == (404, "not_found")
    assert counter.ask("stranger", "POST", path, {"file_id": counter.upload("stranger")}).status_code == 404
    assert counter.supplier_order()["held_until"] == (a.NOW + 3 * DAY).isoformat()
    given = counter.ask("finance", "POST", path, {"file_id": counter.upload("finance")})
    assert (given.status_code, given.json["reference"]) == (201, notice["reference"])
    assert a.NOW + 5 * DAY <= datetime.fromisoformat(counter.supplier_order()["held_until"]) < a.NOW + 5 * DAY + HOUR
    assert code(counter.ask("finance", "POST", path, {"file_id": counter.upload("finance")})) == (409, "voucher_there")
    (seen,) = counter.ask("operator", "GET", "/admin/transfer-vouchers").json["items"]
    assert (seen["reference"], seen["amount_fen"], seen["name"]) == (notice["reference"], 6_000, "回单.pdf")
    assert counter.client.get(seen["link"]).data == b"%PDF-1.7 a bank's voucher"
    assert counter.ask("finance", "GET", "/admin/transfer-vouchers").status_code == 404
    with unit_of_work() as session:
        assert lapsing.lapse_holds(session, now=a.NOW + 5 * DAY - HOUR) == 0
    receipt = {"reference": notice["reference"], "amount_fen": 6_000, "payer_name": "国库"}
    assert counter.ask("operator", "POST", "/admin/bank-receipts", receipt).status_code == 201
    assert counter.ask("operator", "GET", "/admin/transfer-vouchers").json["items"] == []
    assert counter.supplier_order()["status"] == "confirmed"


def test_a_voucher_is_wanted_for_an_open_transfer_alone(counter: Counter) -> None:
    card = counter.notice("stripe")
    path = f"/buyer/payments/{card['id']}/voucher"
    refused = counter.ask("finance", "POST", path, {"file_id": counter.upload("finance")})
    assert (*code(refused), refused.json["is_now"]) == (409, "voucher_not_wanted", "pending")
    notice = counter.notice()
    with unit_of_work() as session:
        charging.settle_charge(session, charge_id=UUID(hex=notice["id"][4:]), now=a.NOW)
    path = f"/buyer/payments/{notice['id']}/voucher"
    refused = counter.ask("finance", "POST", path, {"file_id": counter.upload("finance")})
    assert (*code(refused), refused.json["is_now"]) == (409, "voucher_not_wanted", "succeeded")


def test_a_voucher_holds_nothing_beyond_the_time_to_pay_and_nothing_again_that_lapsed(counter: Counter) -> None:
    notice = counter.notice()
    with unit_of_work() as session:
        session.execute(update(SupplierOrder).values(pay_before=a.NOW + 4 * DAY))
        clock.move_to(session, a.NOW + 2 * DAY)
    path = f"/buyer/payments/{notice['id']}/voucher"
    assert counter.ask("finance", "POST", path, {"file_id": counter.upload("finance")}).status_code == 201
    assert counter.supplier_order()["held_until"] == (a.NOW + 4 * DAY).isoformat()
    with unit_of_work() as session:
        assert lapsing.lapse_holds(session, now=a.NOW + 4 * DAY) == 1
    assert counter.supplier_order()["supply_held"] is False


def test_operators_give_and_end_the_rules_over_http(counter: Counter) -> None:
    path = "/admin/hold-rules"
    rules = counter.ask("operator", "GET", path).json["items"]
    minutes = {rule["kind"]: rule["minutes"] for rule in rules}
    assert minutes == {
        "bank_transfer": 4_320, "stripe": 30, "voucher": 4_320, "choice": 4_320, "wait": 43_200, "payment": 43_200,
        "extension": 21_600, "notice": 43_200,
    }  # fmt: skip
    wanted = {"kind": "extension", "minutes": 10 * 24 * 60, "from": "2024-11-01", "reason": "平台公告4号"}
    assert code(counter.ask("operator", "POST", path, wanted)) == (409, "rule_overlaps")
    (rule,) = [rule for rule in rules if rule["kind"] == "extension"]
    end = {"to": "2024-11-01", "reason": "平台公告4号"}
    assert counter.ask("finance", "POST", f"{path}/{rule['id']}/end", end).status_code == 404
    assert counter.ask("operator", "POST", f"{path}/{rule['id']}/end", end).status_code == 200
    assert counter.ask("operator", "POST", path, wanted).status_code == 201
    late = counter.ask("operator", "POST", path, wanted | {"from": "2024-10-15"})
    assert (late.status_code, late.json["errors"][0]["pointer"]) == (422, "/from")
