"""Stripe between two units of work: declined, unknown, late, twice, out of order."""

import itertools
import json
import time
from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from config.settings import settings
from shop import clock
from shop.accounts.models import Kind
from shop.actor import SYSTEM
from shop.db import in_unit_of_work, unit_of_work
from shop.ledger.service import PLATFORM_ID
from shop.orders.service.cancelling import cancel_order
from shop.payments.gateway import Gateway, Unknown
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
        session.execute(text("UPDATE charge SET recorded_at = recorded_at - interval '1 minute'"))
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
