"""Twice, late, killed: nothing is lost and nothing is done twice."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from shop.db import unit_of_work
from shop.demo.client import Client, Refused
from tests.e2e.conftest import Served, finish_work, wait_until
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
    finish_work(60)
    assert scalar("SELECT count(*) FROM order_history WHERE status = 'confirmed'") == 24
    assert scalar("SELECT count(*) FROM delivery WHERE status = 'parked'") == 0
    everything_adds_up()


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel who belongs to whom")
def test_every_part_of_the_parent_is_replaced_when_it_is_killed_and_all_end_when_the_parent_is(
    served_as_one: Served,
) -> None:
    world = World(served_as_one, cooperatives=1)
    parent = served_as_one.processes["all in one"].pid
    first = children_of(parent)
    assert len(first) == 5
    grandchildren = [one for part in first for one in children_of(part)]
    assert len(grandchildren) == 2  # the web's
    orders = []
    for place, part in enumerate(first):
        orders.append(world.order(dict.fromkeys(world.listings, 1), key=f"o{place}"))
        os.kill(part, signal.SIGKILL)
        wait_until(lambda: len(set(children_of(parent)) - set(first[: place + 1])) == 5, 20, "another part")  # noqa: B023
        wait_until(served_as_one.ready, 20, "readiness again")
    assert not any(map(alive, grandchildren))  # else they would take requests beside the new ones
    wait_until(lambda: all(world.status(order) == "confirmed" for order in orders), 60, "the confirmation of all")
    finish_work(60)
    everything_adds_up()
    parts = children_of(parent)
    everybody = [*parts, *(one for part in parts for one in children_of(part))]
    os.kill(parent, signal.SIGKILL)
    wait_until(lambda: not any(map(alive, everybody)), 60, "the end of all")


def test_a_shop_that_is_stopped_ends_by_itself_and_leaves_nothing_in_the_temporary_folder(
    served_as_one: Served,
) -> None:
    world = World(served_as_one, cooperatives=1)
    order = world.order(dict.fromkeys(world.listings, 1))
    wait_until(lambda: world.status(order) == "confirmed", 60, "the confirmation")
    assert served_as_one.stop() == []
    assert list(served_as_one.scratch.iterdir()) == []
