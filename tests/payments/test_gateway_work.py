"""Stripe between two units of work: declined, unknown, late, twice, out of order."""

import itertools
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from threading import Barrier, BrokenBarrierError
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from config.settings import settings
from shop import clock
from shop.accounts.models import Kind, Organisation
from shop.actor import SYSTEM
from shop.db import in_unit_of_work, unit_of_work
from shop.ledger.service import PLATFORM_ID
from shop.orders.models import Order, SupplierOrder
from shop.orders.service.cancelling import cancel_order
from shop.outbox.models import Event
from shop.payments.gateway import Gateway, Unknown
from shop.payments.gateway import Refund as AtGateway
from shop.payments.models import Charge, Method, Refund, WebhookEvent
from shop.payments.service import charging, gateway_work, refunding, webhooks
from shop.standins import stripe_guard
from shop.standins.stripe.server import StandIn
from tests import builders as a
from tests.builders import World

KEY, SECRET = "sk_test_money", "whsec_money_0123456789"


@pytest.fixture
def standin(committed: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    stripe_guard.install()
    in_unit_of_work(lambda session: clock.move_to(session, a.NOW))
    with StandIn(api_key=KEY, webhook_secret=SECRET) as running:
        made = Gateway(running.url, KEY, SECRET, max_retries=0)
        monkeypatch.setattr(gateway_work, "gateway", lambda: made)
        monkeypatch.setenv("SHOP_STRIPE_SECRET_KEY", KEY)
        settings.cache_clear()
        yield running


def asked(payment_method: str | None = "pm_card_visa") -> tuple[UUID, UUID]:
    """A placed prepaid order with a card payment asked for: charge and order."""
    with unit_of_work() as session:
        a.an_organisation(session, Kind.PLATFORM, id=PLATFORM_ID)
        world = World(session)
        placed = world.place({world.offer().id: 2}, terms="prepaid")
        charge = charging.request(
            session, actor=world.actor, order_id=placed.id, method=Method.STRIPE, payment_method=payment_method,
            now=a.NOW,
        )  # fmt: skip
        return charge.id, placed.id


def charge_of(session: Session, charge_id: UUID) -> Charge:
    return session.scalars(select(Charge).where(Charge.id == charge_id)).one()


def status_of(charge_id: UUID) -> str:
    with unit_of_work() as session:
        return charge_of(session, charge_id).status


def fault(standin: StandIn, how: str, when: str) -> None:
    told = json.dumps({"how": how, "when": when, "times": 1}).encode()
    standin.controls.handle("POST", "/_control/faults", {}, told)


def taken(standin: StandIn) -> int:
    return sum(1 for effect in standin.account.effects if effect["effect"] == "charge")


def make_old() -> None:
    with unit_of_work() as session:
        session.execute(
            text(
                "UPDATE charge SET recorded_at = recorded_at - interval '1 minute',"
                " asked_at = asked_at - interval '1 minute'"
            )
        )
        session.execute(text("UPDATE webhook_event SET recorded_at = recorded_at - interval '1 minute'"))


def posted(kind: str) -> int:
    with unit_of_work() as session:
        return int(
            session.scalar(text("SELECT count(*) FROM ledger_transaction WHERE kind = :kind"), {"kind": kind}) or 0
        )


def test_a_card_payment_is_taken_once_however_often_the_task_runs(standin: StandIn) -> None:
    charge_id, _ = asked()
    for _ in range(3):
        gateway_work.charge(charge_id)
    assert (status_of(charge_id), taken(standin), posted("payment")) == ("succeeded", 1, 1)


def test_a_declined_card_fails_the_charge_and_another_may_be_asked_for(standin: StandIn) -> None:
    charge_id, _ = asked("pm_card_chargeDeclined")
    gateway_work.charge(charge_id)
    assert (status_of(charge_id), posted("payment")) == ("failed", 0)


@pytest.mark.parametrize("how", ["500", "reset", "429"])
def test_an_answer_that_never_came_leaves_the_charge_unknown_until_the_sweep_learns_the_truth(
    standin: StandIn, how: str
) -> None:
    charge_id, _ = asked()
    fault(standin, how, "before" if how == "429" else "after")
    with pytest.raises(Unknown):
        gateway_work.charge(charge_id)
    assert status_of(charge_id) == "unknown"
    make_old()
    assert gateway_work.ask_again() == 1
    assert (status_of(charge_id), taken(standin), posted("payment")) == ("succeeded", 1, 1)


def test_a_refund_is_given_back_once_also_when_its_answer_was_lost(standin: StandIn) -> None:
    charge_id, order_id = asked()
    gateway_work.charge(charge_id)
    with unit_of_work() as session:
        order = charge_of(session, charge_id)
        cancel_order(session, order_id=order_id, by=SYSTEM, reason="no", now=a.NOW)
        refunding.after_cancellation(session, supplier_order_id=order.parts[0], now=a.NOW)
        refund_id = session.scalars(select(Refund.id)).one()
    fault(standin, "500", "after")
    with pytest.raises(Unknown):
        gateway_work.refund(refund_id)
    gateway_work.refund(refund_id)
    gateway_work.refund(refund_id)
    back = [effect for effect in standin.account.effects if effect["effect"] == "refund"]
    assert (len(back), posted("refund")) == (1, 1)


def event_of(charge_id: UUID, kind: str, gateway_id: str = "pi_1", **told: object) -> bytes:
    with unit_of_work() as session:
        charge = charge_of(session, charge_id)
    told = {
        "id": gateway_id,
        "amount": charge.amount_fen,
        "amount_received": charge.amount_fen,
        "currency": "cny",
        "metadata": {"charge": charge_id.hex},
    } | told
    event = {
        "id": f"evt_{kind}_{time.monotonic_ns()}",
        "object": "event",
        "type": kind,
        "livemode": False,
        "data": {"object": told},
    }
    return json.dumps(event).encode()


def hear(raw: bytes) -> str:
    event = json.loads(raw)
    with unit_of_work() as session:
        webhooks.store(session, event=event, raw=raw)
    with unit_of_work() as session:
        return webhooks.apply(session, event["id"])


@pytest.mark.parametrize("order", list(itertools.permutations(["processing", "payment_failed", "succeeded"])))
def test_whatever_the_order_of_the_events_the_money_that_came_is_booked_once(
    standin: StandIn, order: tuple[str, ...]
) -> None:
    charge_id, _ = asked(None)
    for kind in order:
        hear(event_of(charge_id, f"payment_intent.{kind}"))
    assert (status_of(charge_id), posted("payment")) == ("succeeded", 1)


def test_the_same_event_many_times_is_one_effect(standin: StandIn) -> None:
    charge_id, _ = asked(None)
    raw = event_of(charge_id, "payment_intent.succeeded")
    outcomes = {hear(raw) for _ in range(5)}
    assert (outcomes, posted("payment")) == ({"settled"}, 1)


@pytest.mark.parametrize(
    "told", [{"amount": 1}, {"currency": "usd"}, {"metadata": {}}, {"metadata": {"charge": "nonsense"}}]
)
def test_an_event_of_another_sum_currency_or_reference_moves_nothing_and_stays_open(
    standin: StandIn, told: dict[str, object]
) -> None:
    charge_id, _ = asked(None)
    assert hear(event_of(charge_id, "payment_intent.succeeded", **told)) == "unplaceable"
    assert (status_of(charge_id), posted("payment")) == ("pending", 0)
    with unit_of_work() as session:
        assert session.scalars(select(WebhookEvent.applied_at)).one() is None


def test_an_event_that_was_stored_and_never_worked_on_is_found_by_the_sweep(standin: StandIn) -> None:
    charge_id, _ = asked(None)
    raw = event_of(charge_id, "payment_intent.succeeded")
    with unit_of_work() as session:
        webhooks.store(session, event=json.loads(raw), raw=raw)
    make_old()
    gateway_work.ask_again()
    assert status_of(charge_id) == "succeeded"


def gateway_id_of(charge_id: UUID) -> str | None:
    with unit_of_work() as session:
        return charge_of(session, charge_id).gateway_id


def intent(standin: StandIn, charge_id: UUID) -> dict[str, object]:
    found = gateway_id_of(charge_id)
    assert found is not None
    return standin.account.find("payment_intent", found)


def order_status(order_id: UUID) -> set[str]:
    with unit_of_work() as session:
        return set(session.scalars(select(SupplierOrder.status).where(SupplierOrder.order_id == order_id)))


@pytest.mark.parametrize("path", ["/v1/payment_intents", "/v1/payment_intents/"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_error_that_the_gateway_keeps_for_the_key_is_passed_by_looking(
    standin: StandIn, path: str, when: str
) -> None:
    charge_id, _ = asked()
    told = json.dumps({"how": "500_kept", "when": when, "times": 1, "path": path}).encode()
    standin.controls.handle("POST", "/_control/faults", {}, told)
    with pytest.raises(Unknown):
        gateway_work.charge(charge_id)
    assert status_of(charge_id) == "unknown"
    make_old()
    gateway_work.ask_again()
    assert (status_of(charge_id), taken(standin), posted("payment")) == ("succeeded", 1, 1)


def test_a_payment_that_the_payer_has_to_finish_says_where_and_is_booked_when_it_is(standin: StandIn) -> None:
    charge_id, _ = asked("pm_card_authenticationRequired")
    gateway_work.charge(charge_id)
    with unit_of_work() as session:
        charge = charge_of(session, charge_id)
    assert charge.status == "pending"
    assert charge.action_url is not None
    assert charge.action_url.startswith("http")
    standin.controls.handle(
        "POST", f"/_control/payment_intents/{charge.gateway_id}/action", {}, b'{"outcome": "succeeded"}'
    )
    gateway_work.charge(charge_id)
    assert (status_of(charge_id), posted("payment")) == ("succeeded", 1)


def test_the_card_of_an_order_that_was_cancelled_first_is_never_charged(standin: StandIn) -> None:
    charge_id, order_id = asked()
    with unit_of_work() as session:
        cancel_order(session, order_id=order_id, by=SYSTEM, reason="no", now=a.NOW)
    gateway_work.charge(charge_id)
    assert (status_of(charge_id), taken(standin), gateway_id_of(charge_id)) == ("cancelled", 0, None)


def test_a_payment_that_nobody_finished_ends_with_the_window_and_its_order_with_it(standin: StandIn) -> None:
    charge_id, order_id = asked(None)
    gateway_work.charge(charge_id)
    late = a.NOW + timedelta(days=31)
    with unit_of_work() as session:
        assert charging.cancel_unpaid(session, now=late) == 0  # its money may be on the way
        clock.move_to(session, late)
    make_old()
    assert gateway_work.ask_again() == 1
    assert (status_of(charge_id), intent(standin, charge_id)["status"]) == ("cancelled", "canceled")
    with unit_of_work() as session:
        assert charging.cancel_unpaid(session, now=late) == 1
    assert order_status(order_id) == {"cancelled"}


def test_a_payment_taken_at_the_last_moment_is_booked_although_the_window_is_over(standin: StandIn) -> None:
    charge_id, order_id = asked()
    fault(standin, "500", "after")
    with pytest.raises(Unknown):
        gateway_work.charge(charge_id)  # made, not confirmed
    made = gateway_work.gateway().find_by_metadata({"charge": charge_id.hex}, created_from=0)[0]
    gateway_work.gateway().confirm(
        made.id, payment_method="pm_card_visa", idempotency_key="elsewhere", return_url="http://127.0.0.1/"
    )
    with unit_of_work() as session:
        clock.move_to(session, a.NOW + timedelta(days=31))
    make_old()
    gateway_work.ask_again()
    assert (status_of(charge_id), order_status(order_id), posted("payment")) == ("succeeded", {"confirmed"}, 1)


def test_what_was_asked_about_is_left_alone_for_a_while(standin: StandIn) -> None:
    charge_id, _ = asked(None)
    gateway_work.charge(charge_id)
    make_old()
    assert [gateway_work.ask_again() for _ in range(3)] == [1, 0, 0]
    with unit_of_work() as session:
        assert charge_of(session, charge_id).asked == 1
        session.execute(text("UPDATE charge SET asked_at = asked_at - interval '200 seconds'"))
    assert gateway_work.ask_again() == 1


@pytest.mark.parametrize(
    ("age", "pause", "asked_again"), [("1 day", "3 hours", 0), ("1 day", "5 hours", 1), ("2 hours", "90 minutes", 1)]
)
def test_a_charge_that_waits_for_its_payer_is_asked_about_ever_more_seldom_up_to_hours(
    standin: StandIn, age: str, pause: str, asked_again: int
) -> None:
    charge_id, _ = asked(None)
    gateway_work.charge(charge_id)
    with unit_of_work() as session:
        session.execute(
            text(
                "UPDATE charge SET recorded_at = clock_timestamp() - CAST(:age AS interval),"
                " asked_at = clock_timestamp() - CAST(:pause AS interval)"
            ),
            {"age": age, "pause": pause},
        )
    assert gateway_work.ask_again() == asked_again


def test_one_sweep_asks_at_a_time_and_the_next_may_when_it_is_over(standin: StandIn) -> None:
    asked(None)
    make_old()
    with gateway_work.one_at_a_time() as mine:
        assert mine
        assert gateway_work.ask_again() == 0
    assert gateway_work.ask_again() == 1


def test_a_sweep_begins_nothing_when_its_time_is_over(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    charge_id, _ = asked(None)
    raw = event_of(charge_id, "payment_intent.processing")
    with unit_of_work() as session:
        webhooks.store(session, event=json.loads(raw), raw=raw)
    make_old()
    monkeypatch.setattr(gateway_work, "BUDGET_S", 0.2)
    monkeypatch.setattr(gateway_work, "apply", lambda _: time.sleep(0.3))
    assert [gateway_work.ask_again(), gateway_work.ask_again()] == [1, 1]


def test_an_event_that_breaks_its_handler_holds_nobody_up(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    charge_id, _ = asked(None)
    good = event_of(charge_id, "payment_intent.succeeded")
    poison = event_of(charge_id, "payment_intent.processing")
    with unit_of_work() as session:
        for raw in (poison, good):
            webhooks.store(session, event=json.loads(raw), raw=raw)
        session.execute(text("UPDATE webhook_event SET body = 'no json' WHERE kind = 'payment_intent.processing'"))
    make_old()
    gateway_work.ask_again()
    assert status_of(charge_id) == "succeeded"


def test_a_silent_gateway_is_left_alone_after_three_tries_and_all_is_done_when_it_is_back(standin: StandIn) -> None:
    charges = []
    with unit_of_work() as session:
        a.an_organisation(session, Kind.PLATFORM, id=PLATFORM_ID)
        world = World(session)
        listing = world.offer().id
        for _ in range(6):
            placed = world.place({listing: 1}, terms="prepaid")
            charges.append(
                charging.request(
                    session, actor=world.actor, order_id=placed.id, method=Method.STRIPE,
                    payment_method="pm_card_visa", now=a.NOW,
                ).id
            )  # fmt: skip
    told = json.dumps({"how": "reset", "when": "before", "times": 1000, "method": ""}).encode()
    standin.controls.handle("POST", "/_control/faults", {}, told)
    make_old()
    assert gateway_work.ask_again() == 3
    standin.controls.handle("POST", "/_control/faults", {}, b"{}")
    for _ in range(2):
        with unit_of_work() as session:
            session.execute(text("UPDATE charge SET asked_at = asked_at - interval '2 minutes'"))
        gateway_work.ask_again()
    assert {status_of(charge_id) for charge_id in charges} == {"succeeded"}
    assert taken(standin) == 6


def test_a_refund_that_the_gateway_could_not_make_is_left_to_a_person(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    charge_id, order_id = asked()
    gateway_work.charge(charge_id)
    with unit_of_work() as session:
        cancel_order(session, order_id=order_id, by=SYSTEM, reason="no", now=a.NOW)
        refunding.after_cancellation(session, supplier_order_id=charge_of(session, charge_id).parts[0], now=a.NOW)
        refund_id = session.scalars(select(Refund.id)).one()
    made = gateway_work.gateway()
    monkeypatch.setattr(
        made, "refunds_of", lambda _: [AtGateway("re_1", "failed", 1, "cny", None, {"refund": refund_id.hex}, 0)]
    )
    gateway_work.refund(refund_id)
    with unit_of_work() as session:
        refund = session.get_one(Refund, refund_id)
        assert (refund.status, refund.failure) == ("failed", "re_1 failed")
    assert posted("refund") == 0


def intents(standin: StandIn) -> int:
    return len(standin.account.held["payment_intent"])


def test_two_processes_that_meet_one_charge_make_one_payment(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    charge_id, _ = asked()
    make_old()
    here, create = Barrier(2), Gateway.create_payment_intent

    def create_together(self: Gateway, **told: Any) -> Any:
        with suppress(BrokenBarrierError):
            here.wait(2)
        return create(self, **told)

    monkeypatch.setattr(Gateway, "create_payment_intent", create_together)

    def ring() -> None:
        with suppress(Unknown):  # the gateway may say that the other is still at it
            gateway_work.charge(charge_id)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(ring), pool.submit(gateway_work.ask_again)]:
            done.result()
    make_old()
    gateway_work.ask_again()
    assert (status_of(charge_id), intents(standin), taken(standin), posted("payment")) == ("succeeded", 1, 1, 1)


def test_a_charge_that_was_asked_for_before_is_looked_for_before_it_is_asked_for_again(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    charge_id, _ = asked()

    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(gateway_work, "kept", die)
        with pytest.raises(SystemExit):  # killed between the gateway's answer and our commit
            gateway_work.charge(charge_id)
    standin.keys.forget()  # and a day passes
    assert status_of(charge_id) == "pending"
    gateway_work.charge(charge_id)
    assert (status_of(charge_id), intents(standin), taken(standin)) == ("succeeded", 1, 1)


def test_only_the_payment_that_was_kept_first_is_paid(standin: StandIn) -> None:
    charge_id, _ = asked()
    first = gateway_work.gateway().create_payment_intent(
        amount_fen=1, idempotency_key="elsewhere", metadata={"charge": charge_id.hex}
    )
    second = gateway_work.gateway().create_payment_intent(
        amount_fen=1, idempotency_key="here", metadata={"charge": charge_id.hex}
    )
    assert gateway_work.kept(charge_id, first).id == first.id
    assert gateway_work.kept(charge_id, second).id == first.id
    assert standin.account.find("payment_intent", second.id)["status"] == "canceled"
    assert gateway_id_of(charge_id) == first.id


def test_money_taken_a_second_time_is_told_as_an_error_and_given_back(standin: StandIn) -> None:
    charge_id, _ = asked()
    gateway_work.charge(charge_id)
    with unit_of_work() as session:
        charge = charge_of(session, charge_id)
    second = gateway_work.gateway().create_payment_intent(
        amount_fen=charge.amount_fen, idempotency_key="second", metadata={"charge": charge_id.hex}
    )
    gateway_work.gateway().confirm(
        second.id, payment_method="pm_card_visa", idempotency_key="second-c", return_url="http://127.0.0.1/"
    )
    with capture_logs() as logs:
        assert hear(event_of(charge_id, "payment_intent.succeeded", second.id)) == "paid twice"
    assert [(line["log_level"], line["event"], line["payment"]) for line in logs] == [
        ("error", "payment_astray", second.id)
    ]
    with unit_of_work() as session:
        told = session.scalars(select(Event.payload).where(Event.kind == "charge.paid_twice")).one()
    for _ in range(2):
        gateway_work.give_back_second(UUID(hex=told["charge_id"]), told["payment"])
    back = [effect for effect in standin.account.effects if effect["effect"] == "refund"]
    assert [(effect["payment_intent"], effect["amount"]) for effect in back] == [(second.id, charge.amount_fen)]
    assert (status_of(charge_id), posted("payment"), posted("refund")) == ("succeeded", 1, 0)


def ask_once_more(order_id: UUID, method: Method, payment_method: str | None = None) -> UUID:
    with unit_of_work() as session:
        buyer = session.get_one(Order, order_id).buyer_id
        actor = a.a_member(session, session.get_one(Organisation, buyer))
        return charging.request(
            session, actor=actor, order_id=order_id, method=method, payment_method=payment_method, now=a.NOW
        ).id


def test_a_payment_that_waits_for_its_payer_tells_what_completes_it_until_it_is_completed(standin: StandIn) -> None:
    charge_id, _ = asked(None)
    gateway_work.charge(charge_id)
    with unit_of_work() as session:
        charge = charge_of(session, charge_id)
    assert charge.client_secret == intent(standin, charge_id)["client_secret"]
    assert charge.gateway_id is not None
    gateway_work.gateway().confirm(
        charge.gateway_id, payment_method="pm_card_visa", idempotency_key="browser", return_url="http://127.0.0.1/"
    )
    gateway_work.charge(charge_id)
    with unit_of_work() as session:
        charge = charge_of(session, charge_id)
    assert (charge.status, charge.client_secret) == ("succeeded", None)


@pytest.mark.parametrize("how", [None, "pm_card_authenticationRequired"])
def test_a_payment_that_nobody_completed_makes_way_for_the_next_and_is_ended_at_the_gateway(
    standin: StandIn, how: str | None
) -> None:
    charge_id, order_id = asked(how)
    gateway_work.charge(charge_id)
    ask_once_more(order_id, Method.BANK_TRANSFER)
    with unit_of_work() as session:
        charge = charge_of(session, charge_id)
        assert (charge.status, charge.failure, charge.client_secret) == ("cancelled", "replaced", None)
        told = session.scalars(select(Event.payload).where(Event.kind == "charge.withdrawn")).one()
    assert told == {"charge_id": charge_id.hex}
    for _ in range(2):
        gateway_work.withdraw(charge_id)
    assert intent(standin, charge_id)["status"] == "canceled"


def test_a_payment_whose_money_is_being_taken_makes_way_for_none(standin: StandIn) -> None:
    _, order_id = asked("pm_card_visa")
    with pytest.raises(charging.AlreadyAsked):
        ask_once_more(order_id, Method.STRIPE)


def test_money_that_came_before_the_end_of_a_withdrawn_payment_is_booked_and_the_next_is_not_charged(
    standin: StandIn,
) -> None:
    charge_id, order_id = asked(None)
    gateway_work.charge(charge_id)
    made = gateway_id_of(charge_id)
    assert made is not None
    next_id = ask_once_more(order_id, Method.STRIPE, "pm_card_visa")
    gateway_work.gateway().confirm(
        made, payment_method="pm_card_visa", idempotency_key="browser", return_url="http://127.0.0.1/"
    )
    gateway_work.withdraw(charge_id)
    gateway_work.charge(next_id)
    assert (status_of(charge_id), status_of(next_id)) == ("succeeded", "cancelled")
    assert (taken(standin), posted("payment"), order_status(order_id)) == (1, 1, {"confirmed"})


def test_a_payment_made_while_its_charge_was_withdrawn_is_ended(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    charge_id, order_id = asked(None)
    create = Gateway.create_payment_intent

    def withdraw_first(self: Gateway, **told: Any) -> Any:
        ask_once_more(order_id, Method.BANK_TRANSFER)
        gateway_work.withdraw(charge_id)
        return create(self, **told)

    monkeypatch.setattr(Gateway, "create_payment_intent", withdraw_first)
    gateway_work.charge(charge_id)
    assert (status_of(charge_id), intent(standin, charge_id)["status"]) == ("cancelled", "canceled")
