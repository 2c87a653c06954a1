"""Twice, late, killed: nothing is lost and nothing is done twice."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from shop.db import unit_of_work
from shop.demo.client import Client, Refused
from tests.e2e.conftest import Served, open_deliveries, wait_until
from tests.e2e.test_journey import everything_adds_up
from tests.e2e.world import World


def scalar(statement: str) -> int:
    with unit_of_work() as session:
        return int(session.scalar(text(statement)) or 0)


def test_the_same_order_twenty_times_at_once_is_one_order(served: Served) -> None:
    world = World(served, cooperatives=2)
    body = world.order_body(dict.fromkeys(world.listings, 3))
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: world.buyer.post("/v1/buyer/orders", body, key="same"), range(20)))
    assert len({answer["id"] for answer in answers}) == 1
    assert scalar("SELECT count(*) FROM purchase_order") == 1
    with pytest.raises(Refused) as refused:
        world.buyer.post("/v1/buyer/orders", body | {"purpose": "other"}, key="same")
    assert (refused.value.status, refused.value.problem["code"]) == (422, "idempotency_key_reused")


def storm(world: World, buyers: int) -> tuple[int, list[dict[str, Any]]]:
    """So many buyers at once after one pack each; gives how many got one and what the others were told."""
    bodies = [
        (world.people[f"buyer{place}"], world.order_body({world.listings[0]: 1}, buyer=world.people[f"buyer{place}"]))
        for place in range(buyers)
    ]

    def buy(item: tuple[Client, dict[str, Any]]) -> dict[str, Any] | None:
        try:
            item[0].post("/v1/buyer/orders", item[1], key="storm")
        except Refused as refused:
            return refused.problem | {"status": refused.status}
        return None

    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(buy, bodies))
    return answers.count(None), [answer for answer in answers if answer]


def test_sixty_buyers_after_twenty_packs_buy_exactly_twenty(served: Served) -> None:
    world = World(served, cooperatives=1, packs=20, buyers=60)
    bought, refused = storm(world, 60)
    assert bought == 20
    assert {(no["status"], no["code"]) for no in refused} == {(409, "not_enough_supply")}
    assert all("available" in no["short"][0] for no in refused)
    assert scalar("SELECT sum(open) FROM supply") == 0


@pytest.mark.deep
def test_two_hundred_buyers_after_fifty_packs_buy_exactly_fifty(served: Served) -> None:
    world = World(served, cooperatives=1, packs=50, buyers=200)
    bought, refused = storm(world, 200)
    assert (bought, len(refused)) == (50, 150)
    assert {(no["status"], no["code"]) for no in refused} == {(409, "not_enough_supply")}
    assert scalar("SELECT sum(open) FROM supply") == 0


@pytest.fixture
def silent_mail_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A mail server that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        monkeypatch.setenv("SHOP_SMTP_URL", f"smtp://127.0.0.1:{listener.getsockname()[1]}")
        yield


def test_orders_are_confirmed_while_a_mail_server_that_never_answers_has_mails_waiting(
    silent_mail_server: None, served: Served
) -> None:
    world = World(served, cooperatives=1)
    orders = [world.order(dict.fromkeys(world.listings, 1), key=f"o{place}") for place in range(20)]
    wait_until(lambda: world.status(orders[-1]) == "confirmed", 60, "the confirmation of the last")
    assert {world.status(order) for order in orders} == {"confirmed"}
    assert scalar("SELECT count(*) FROM delivery WHERE consumer = 'notices.mail' AND status = 'done'") == 0
    assert scalar("SELECT count(*) FROM delivery WHERE consumer = 'notices.mail'") == 20


def test_killing_the_workers_and_the_broker_in_mid_work_loses_and_doubles_nothing(served: Served) -> None:
    world = World(served, cooperatives=2)
    orders = []
    for place in range(12):
        orders.append(world.order(dict.fromkeys(world.listings, 1), key=f"o{place}"))
        if place == 3:
            served.kill("worker")
        if place == 5 and served.has_own_broker:
            served.kill("broker")
        if place == 8:
            if served.has_own_broker:
                served.start("broker")
            served.start("worker")
        if place == 10:
            served.kill("worker")
            served.start("worker")
    wait_until(lambda: all(world.status(order) == "confirmed" for order in orders), 60, "the confirmation of all")
    wait_until(lambda: open_deliveries() == 0, 60, "the end of the work")
    assert scalar("SELECT count(*) FROM order_history WHERE status = 'confirmed'") == 24
    assert scalar("SELECT count(*) FROM delivery WHERE status = 'parked'") == 0
    everything_adds_up()
