"""The main job, through HTTP alone."""

from datetime import timedelta
from typing import Any

from shop import clock
from shop.db import checker_engine, in_unit_of_work
from shop.reporting.checks import run_checks
from tests.e2e.conftest import Served, finish_work, wait_until
from tests.e2e.world import World


def a_week_later() -> None:
    in_unit_of_work(lambda session: clock.move_to(session, clock.business_now(session) + timedelta(days=7)))


def everything_adds_up() -> None:
    with checker_engine().connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        assert run_checks(connection) == []


def total(world: World, measure: str = "accepted") -> int:
    path = f"/v1/reports/procurement?measure={measure}&group_by=east_province,west_province,month"
    return int(world.admin.get(path)["total_fen"])


def test_an_order_over_three_cooperatives_goes_from_listing_to_report(served: Served) -> None:
    world = World(served)
    items = served.client().get("/v1/public/listings?q=苹果&category=fruit&sort=price")["items"]
    assert {item["id"] for item in items} == set(world.listings)
    assert {item["available"] for item in items} == {1000}

    order = world.order(dict.fromkeys(world.listings, 10), terms="prepaid")
    assert len(order["supplier_orders"]) == 3
    assert order["total_fen"] == 3 * 10 * 4000 + sum(part["freight_fen"] for part in order["supplier_orders"])
    charge = world.buyer.post(f"/v1/buyer/orders/{order['id']}/payments", {"method": "bank_transfer"}, key="pay")
    world.admin.post(
        "/v1/admin/bank-receipts",
        {"reference": charge["reference"], "amount_fen": charge["amount_fen"], "payer_name": "区财政国库"},
        key="receipt",
    )
    wait_until(lambda: world.status(order) == "confirmed", 20, "the confirmation")
    for part in order["supplier_orders"]:
        world.ship(part)
    a_week_later()
    wait_until(lambda: world.status(order) == "delivered", 20, "the delivery")

    before = total(world)
    accepted = 0
    for place, part in enumerate(order["supplier_orders"]):
        rejected = 4 if place == 0 else 0
        shipped = world.buyer.get(f"/v1/buyer/supplier-orders/{part['id']}/tracking")["shipped"]
        lines: list[dict[str, Any]] = [
            {
                "line_id": item["line_id"], "lot_id": item["lot_id"], "accepted": item["packs"] - rejected,
                "rejected": rejected, "short": 0, "reason": "破损" if rejected else None,
            }
            for item in shipped
        ]  # fmt: skip
        world.buyer.post(f"/v1/buyer/supplier-orders/{part['id']}/inspection", {"lines": lines}, key=f"i{place}")
        accepted += part["goods_fen"] - rejected * 4000 + part["freight_fen"]
    wait_until(lambda: total(world) == before + accepted, 20, "the exact change of the report")
    finish_work(30)
    (refund,) = world.admin.get("/v1/admin/refunds?status=pending&method=bank_transfer")["items"]
    assert (refund["order_id"], refund["amount_fen"]) == (order["id"], 4 * 4000)
    today = clock.business_day(in_unit_of_work(clock.business_now))
    sent = {"bank_reference": "F2024-0001", "sent_on": f"{today:%Y-%m-%d}"}
    world.admin.post(f"/v1/admin/refunds/{refund['id']}/sent", sent, key="sent")
    finish_work(30)

    ledger = world.buyer.get("/v1/buyer/ledger")["items"]
    assert sorted(entry["kind"] for entry in ledger).count("refund") == 1
    assert sum(entry["amount_fen"] for entry in ledger) == 0
    assert [entry["amount_fen"] for entry in ledger if entry["kind"] == "refund"] == [4 * 4000]

    report = world.admin.get("/v1/reports/procurement?group_by=east_province,west_province,month,bucket")
    row = report["rows"][0]
    assert (row["bucket"], row["amount_fen"]) == ("paired", accepted)
    lines = world.admin.get(f"/v1/reports/lines?drill={row['drill']}")
    assert lines["total_fen"] == accepted == sum(item["amount_fen"] for item in lines["items"])
    everything_adds_up()


def test_a_card_payment_confirms_the_order_and_its_cancelling_gives_the_money_back(served: Served) -> None:
    world = World(served, cooperatives=1)
    order = world.order({world.listings[0]: 10}, terms="prepaid")
    world.buyer.post(
        f"/v1/buyer/orders/{order['id']}/payments", {"method": "stripe", "payment_method": "pm_card_visa"}, key="pay"
    )
    wait_until(lambda: world.status(order) == "confirmed", 30, "the confirmation")
    world.buyer.post(f"/v1/buyer/orders/{order['id']}/cancel", {"reason": "不需要了"}, key="cancel")

    def refunded() -> bool:
        found = world.buyer.get(f"/v1/buyer/orders/{order['id']}/payments")
        return [refund["status"] for refund in found["refunds"]] == ["succeeded"]

    wait_until(refunded, 30, "the refund")
    assert total(world, "ordered") == 0
    available = served.client().get(f"/v1/public/listings/{world.listings[0]}")["available"]
    assert available == 1000
    everything_adds_up()
