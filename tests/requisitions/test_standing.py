"""Standing orders: each cycle once, an outcome for every line, and word of whatever fell short."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text, update

from shop.accounts.models import Membership
from shop.catalogue.models import Listing
from shop.db import in_unit_of_work, unit_of_work
from shop.notices.models import Notice
from shop.orders.models import Order
from shop.outbox.models import Event
from shop.requisitions.models_standing import StandingOrder, StandingRun, StandingRunLine
from shop.requisitions.service import running
from shop.requisitions.service.standing import WrongStandingStatus
from tests import builders as a
from tests.outbox.helpers import work
from tests.requisitions.office import Office
from tests.requisitions.test_lists import kept, word
from tests.stock.proof import checks_find_nothing
from workers import deliveries, schedule
from workers.relay import number_and_fan_out

TODAY = a.NOW.date()


@pytest.fixture
def office(committed: str) -> Office:
    made = Office()
    made.at(a.NOW)
    return made


def standing(office: Office, row: Any, by: str = "manager", **more: Any) -> Any:
    answer = office.call("POST", "/standing-orders", by, wanted(office, row, **more))
    assert answer.status_code == 201, answer.json
    return answer.json


def wanted(office: Office, row: Any, **more: Any) -> dict[str, Any]:
    return {
        "list_id": row["id"],
        "budget_unit_id": f"unit_{office.world.unit.id.hex}",
        "delivery_address_id": f"addr_{office.world.address.id.hex}",
        "headcount": 10, "meals": 5, "purpose": "canteen", "payment_terms": "on_terms", "every_days": 7,
        "lead_days": 2, "run_on": f"{TODAY:%Y-%m-%d}", "reference": "每周",
    } | more  # fmt: skip


def runs(office: Office, row: Any, by: str = "receiver") -> Any:
    return office.call("GET", f"/standing-orders/{row['id']}/runs", by).json["items"]


def later(office: Office, days: int) -> None:
    office.at(office.now + timedelta(days=days))


def test_a_standing_order_orders_its_list_on_each_of_its_days_until_its_last(office: Office) -> None:
    row = kept(
        office,
        {"listing_id": word(office.apples), "grams_per_meal": 100},
        {"listing_id": word(office.pears), "quantity": 2},
    )
    made = standing(office, row, ends_on="2024-10-25")
    for _ in range(2):
        schedule.run("run_standing_orders")
    (run,) = runs(office, made)
    assert (run["cycle"], run["result"], run["code"]) == ("2024-10-15", "placed", None)
    assert [(line["outcome"], line["quantity"], line["needed_grams"]) for line in run["lines"]] == [
        ("as_listed", 1, 5000), ("as_listed", 2, 10_000),
    ]  # fmt: skip
    asked = office.call("GET", f"/requisitions/{run['requisition_id']}", "requester").json
    assert (asked["status"], asked["deliver_on"], asked["reference"]) == ("placed", "2024-10-17", "每周")
    order = office.call("GET", f"/orders/{asked['order_id']}", "requester").json
    assert (order["deliver_on"], order["status"]) == ("2024-10-17", "placed")
    later(office, 6)
    schedule.run("run_standing_orders")
    assert len(runs(office, made)) == 1
    later(office, 1)
    schedule.run("run_standing_orders")
    assert [one["cycle"] for one in runs(office, made)] == ["2024-10-22", "2024-10-15"]
    assert office.call("GET", f"/standing-orders/{made['id']}", "receiver").json["status"] == "ended"
    later(office, 30)
    schedule.run("run_standing_orders")
    assert len(runs(office, made)) == 2
    checks_find_nothing()


def test_above_what_its_member_may_order_alone_each_cycle_is_handed_in_for_approval(office: Office) -> None:
    made = standing(office, kept(office, {"listing_id": word(office.apples), "quantity": 5}), by="requester")
    schedule.run("run_standing_orders")
    (run,) = runs(office, made)
    assert run["result"] == "submitted"
    asked = office.call("GET", f"/requisitions/{run['requisition_id']}", "requester").json
    assert (asked["status"], asked["order_id"]) == ("submitted", None)
    assert office.decide(asked, "approver").json["status"] == "approved"


def test_what_falls_short_is_kept_line_by_line_and_told(office: Office) -> None:
    row = kept(
        office,
        {"listing_id": word(office.apples), "quantity": 80},
        {"listing_id": word(office.pears), "quantity": 2},
    )
    made = standing(office, row)
    for _ in range(2):
        schedule.run("run_standing_orders")
        later(office, 7)
    work("notices.")
    second, first = runs(office, made)
    assert [line["outcome"] for line in first["lines"]] == ["as_listed", "as_listed"]
    assert [(line["outcome"], line["quantity"]) for line in second["lines"]] == [("left_out", None), ("as_listed", 2)]
    assert second["lines"][0]["passed_over"] == [
        {"listing_id": word(office.apples), "code": "not_enough_supply", "detail": "20 packs are there"}
    ]
    with unit_of_work() as session:
        told = session.execute(select(Notice.kind, Notice.subject).order_by(Notice.id)).all()
    ours = [tuple(one) for one in told if one.kind.startswith("standing_order.")]
    assert ours == [("standing_order.ran", made["id"]), ("standing_order.fell_short", made["id"])]


@pytest.mark.parametrize(
    ("why", "code", "paused"),
    [
        ("member", "member_ended", True),
        ("list", "list_retired", True),
        ("unit", "unit_closed", True),
        ("goods", "nothing_orderable", False),
        ("credit", "credit_exceeded", False),
    ],
)
def test_a_cycle_that_is_refused_says_why_and_orders_nothing(office: Office, why: str, code: str, paused: bool) -> None:
    row = kept(office, {"listing_id": word(office.apples), "quantity": 5})
    made = standing(office, row)
    with unit_of_work() as session:
        match why:
            case "member":
                member = office.people["manager"].membership_id
                session.execute(update(Membership).where(Membership.id == member).values(ended_at=a.NOW))
            case "list":
                session.execute(text("UPDATE requisition_list SET retired_at = now()"))
            case "unit":
                session.execute(text("UPDATE budget_unit SET status = 'closed'"))
            case "goods":
                session.execute(update(Listing).values(status="delisted"))
            case _:
                session.execute(text("UPDATE credit_limit SET limit_fen = 1"))
    schedule.run("run_standing_orders")
    work("notices.")
    (run,) = runs(office, made)
    assert (run["result"], run["code"], run["requisition_id"]) == ("refused", code, None)
    now = office.call("GET", f"/standing-orders/{made['id']}", "receiver").json
    assert (now["status"], now["paused_because"]) == (("paused", code) if paused else ("active", None))
    assert now["run_on"] == "2024-10-22"
    with unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(Order)) == 0
        assert session.scalar(text("SELECT count(*) FROM requisition")) == 0
        told = session.scalars(select(Notice.kind).where(Notice.kind == "standing_order.fell_short")).all()
    assert len(told) == 1


def test_days_on_which_nothing_ran_are_noted_and_only_the_last_is_ordered(office: Office) -> None:
    made = standing(office, kept(office, {"listing_id": word(office.apples), "quantity": 5}), every_days=3)
    later(office, 10)
    schedule.run("run_standing_orders")
    assert [(run["cycle"], run["result"]) for run in reversed(runs(office, made))] == [
        ("2024-10-15", "missed"), ("2024-10-18", "missed"), ("2024-10-21", "missed"), ("2024-10-24", "placed"),
    ]  # fmt: skip
    assert office.call("GET", f"/standing-orders/{made['id']}", "receiver").json["run_on"] == "2024-10-27"


def test_a_standing_order_is_paused_taken_up_again_and_ended(office: Office) -> None:
    made = standing(office, kept(office, {"listing_id": word(office.apples), "quantity": 5}))
    path = f"/standing-orders/{made['id']}"
    assert office.call("POST", f"{path}/pause", "manager").json["status"] == "paused"
    assert office.call("POST", f"{path}/pause", "manager").json["code"] == "wrong_standing_status"
    later(office, 8)
    schedule.run("run_standing_orders")
    assert runs(office, made) == []
    again = office.call("POST", f"{path}/resume", "requester").json
    assert (again["status"], again["run_on"]) == ("active", "2024-10-29")
    assert again["membership_id"] == f"mem_{office.people['requester'].membership_id.hex}"
    ended = office.call("POST", f"{path}/end", "manager").json
    assert ended["status"] == "ended"
    for word_ in ("pause", "resume", "end"):
        assert office.call("POST", f"{path}/{word_}", "manager").json["code"] == WrongStandingStatus.code


def test_a_change_is_made_at_the_version_that_was_read_and_in_the_name_of_who_makes_it(office: Office) -> None:
    row = kept(office, {"listing_id": word(office.apples), "quantity": 5})
    made = standing(office, row)
    path = f"/standing-orders/{made['id']}"
    body = wanted(office, row, headcount=99)
    assert office.call("PUT", path, "requester", body).status_code == 428
    changed = office.call("PUT", path, "requester", body, version=1).json
    assert (changed["headcount"], changed["version"]) == (99, 2)
    assert changed["membership_id"] == f"mem_{office.people['requester'].membership_id.hex}"
    assert office.call("PUT", path, "requester", body, version=1).status_code == 412


def test_what_is_anothers_or_past_is_refused_with_its_field(office: Office) -> None:
    row = kept(office, {"listing_id": word(office.apples), "quantity": 5})
    for wrong, pointer in (
        ({"list_id": f"rql_{a.an_id().hex}"}, "/list_id"),
        ({"budget_unit_id": f"unit_{a.an_id().hex}"}, "/budget_unit_id"),
        ({"delivery_address_id": f"addr_{a.an_id().hex}"}, "/delivery_address_id"),
        ({"run_on": "2024-10-14"}, "/run_on"),
        ({"ends_on": "2024-10-14"}, "/ends_on"),
    ):
        answer = office.call("POST", "/standing-orders", "manager", wanted(office, row, **wrong))
        assert answer.status_code in (404, 422)
        assert answer.json["errors"][0]["pointer"] == pointer
    made = standing(office, row)
    for method, more in (("GET", ""), ("GET", "/runs"), ("POST", "/pause"), ("POST", "/end")):
        assert office.call(method, f"/standing-orders/{made['id']}{more}", "stranger").status_code == 404


def test_runs_are_only_added(office: Office) -> None:
    standing(office, kept(office, {"listing_id": word(office.apples), "quantity": 5}))
    schedule.run("run_standing_orders")
    for statement in ("UPDATE standing_run SET result = 'missed'", "DELETE FROM standing_run_line"):
        with pytest.raises(Exception, match="permission denied"), unit_of_work() as session:
            session.execute(text(statement))


def each_cycle_once(office: Office, number: int) -> None:
    """So many standing orders over supply for half of them, run by four workers at once, and again."""
    listed = kept(office, {"listing_id": word(office.apples), "quantity": 1})
    made = standing(office, listed)
    with unit_of_work() as session:
        session.execute(text("UPDATE supply SET promised = :n, open = :n"), {"n": 5000 * (number // 2)})
        first = session.scalars(select(StandingOrder)).one()
        columns = {c.key: getattr(first, c.key) for c in StandingOrder.__table__.columns if c.key != "id"}
        session.execute(insert(StandingOrder), [columns | {"id": a.an_id()} for _ in range(number - 1)])
    with ThreadPoolExecutor(4) as pool:
        for _ in range(2):
            list(pool.map(lambda _: schedule.run("run_standing_orders"), range(4)))
    with unit_of_work() as session:
        cycles = session.execute(
            select(StandingRun.standing_order_id, StandingRun.cycle, StandingRun.result, StandingRun.code)
        ).all()
        outcomes = session.execute(
            select(StandingRunLine.outcome, func.count()).group_by(StandingRunLine.outcome)
        ).all()
        orders = session.scalar(select(func.count()).select_from(Order))
    assert len({row.standing_order_id for row in cycles}) == len(cycles) == number
    placed = [row for row in cycles if row.result == "placed"]
    assert len(placed) == orders == number // 2
    assert {row.code for row in cycles if row.result != "placed"} <= {"nothing_orderable", "not_enough_supply"}
    assert dict(tuple(row) for row in outcomes) == {"as_listed": number // 2, "left_out": number - number // 2}
    in_unit_of_work(number_and_fan_out)
    with unit_of_work() as session:
        short = session.scalars(select(Event.id).where(Event.kind == "standing_order.fell_short")).all()
    assert {deliveries.run(event_id, "notices.tell") for event_id in short} == {True}
    with unit_of_work() as session:
        told = session.scalar(select(func.count()).where(Notice.kind == "standing_order.fell_short"))
    assert told == number - number // 2
    assert office.call("GET", f"/standing-orders/{made['id']}", "receiver").json["run_on"] == "2024-10-22"
    checks_find_nothing()


def test_twenty_standing_orders_run_at_once_and_again_order_each_cycle_once(office: Office) -> None:
    each_cycle_once(office, 20)


@pytest.mark.deep
def test_a_thousand_standing_orders_run_at_once_and_again_order_each_cycle_once(office: Office) -> None:
    each_cycle_once(office, 1000)


def test_a_run_that_fails_midway_leaves_nothing_and_comes_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = standing(office, kept(office, {"listing_id": word(office.apples), "quantity": 5}))

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the machine fell over")

    with monkeypatch.context() as patched:
        patched.setattr(running, "keep", broken)
        with pytest.raises(RuntimeError):
            in_unit_of_work(lambda session: running.run_next(session, now=a.NOW))
    assert runs(office, made) == []
    schedule.run("run_standing_orders")
    assert [run["cycle"] for run in runs(office, made)] == [f"{date(2024, 10, 15):%Y-%m-%d}"]
