"""A buyer's morning: the canteens of a district, from headcounts to orders over twenty cooperatives."""

import time
from typing import Any

import pytest
from sqlalchemy.orm import Session

from shop.accounts.models import Kind, Organisation
from shop.catalogue.models import CATEGORIES
from shop.clock import move_to
from shop.db import unit_of_work
from tests import builders as a
from tests.requisitions.office import Office
from tests.stock.proof import checks_find_nothing

CANTEENS, SELLERS = 86, 22  # two of them sell nothing this month
MOST_SECONDS = 10.0
"""Of the server's time: what its process computes over all answers, whatever else the machine does."""


def offer(session: Session, seller: Organisation, category: str, **season: int) -> str:
    product = a.a_product(session, seller, category=category)
    made = a.a_listing(session, product, category=category, **season)
    a.a_supply(session, made, 100_000)
    return f"lst_{made.id.hex}"


class Watch:
    """The office, and how long the shop took over what it was asked."""

    def __init__(self, office: Office) -> None:
        self.office, self.seconds, self.calls = office, 0.0, 0

    def ask(self, method: str, path: str, by: str, body: Any = None) -> Any:
        began = time.process_time()
        answer = self.office.call(method, path, by, body)
        self.seconds += time.process_time() - began
        self.calls += 1
        assert answer.status_code in (200, 201), answer.json
        return answer.json


@pytest.fixture
def office(committed: str) -> Office:
    return Office()


def test_eighty_six_canteens_order_eleven_categories_from_twenty_cooperatives(office: Office) -> None:
    categories = sorted(CATEGORIES)[:11]
    assert len(categories) == 11
    with unit_of_work() as session:
        move_to(session, a.NOW)
        sellers = [a.an_organisation(session, Kind.COOPERATIVE) for _ in range(SELLERS)]
        goods, instead = [], {}
        for place in range(SELLERS):
            category = categories[place % len(categories)]
            season = {"season_from": 1, "season_to": 2} if place in (4, 8) else {}
            goods.append(offer(session, sellers[place], category, **season))
            if season:  # it gives way to another's goods
                instead[place] = offer(session, sellers[place - 1], category)
        buyer = office.world.buyer
        units = [f"unit_{a.a_budget_unit(session, buyer).id.hex}" for _ in range(CANTEENS)]
        places = [f"addr_{a.an_address(session, buyer).id.hex}" for _ in range(CANTEENS)]
    watch = Watch(office)
    menu = watch.ask(
        "POST", "/requisition-lists", "requester",
        {
            "name": "十一月菜单",
            "lines": [
                {
                    "listing_id": one, "grams_per_meal": 20 + 5 * place, "yield_percent": 85,
                    "substitutes": [instead[place]] if place in instead else [],
                }
                for place, one in enumerate(goods)
            ],
        },
    )  # fmt: skip
    canteens = [
        {"budget_unit_id": unit, "delivery_address_id": address, "headcount": 200 + 3 * n, "reference": f"食堂{n:02d}"}
        for n, (unit, address) in enumerate(zip(units, places, strict=True))
    ]
    drawn = watch.ask(
        "POST", f"/requisition-lists/{menu['id']}/requisitions", "requester",
        {
            "canteens": canteens, "meals": 20, "purpose": "canteen", "payment_terms": "on_terms",
            "deliver_on": "2024-10-21", "submit": True,
        },
    )["items"]  # fmt: skip
    assert [(item["status"], item["left_out"]) for item in drawn] == [("submitted", [])] * CANTEENS
    decisions = [
        {"requisition_id": item["requisition_id"], "version": item["version"], "decision": "approve"} for item in drawn
    ]
    told = watch.ask("POST", "/requisition-decisions", "approver", {"decisions": decisions})["items"]
    assert {(one["result"], one["requisition_status"]) for one in told} == {("done", "approved")}
    orders = [watch.ask("POST", f"/requisitions/{item['requisition_id']}/place", "requester") for item in drawn]
    assert [order["total_fen"] for order in orders] == [item["total_fen"] for item in drawn]
    lines = [line for order in orders for part in order["supplier_orders"] for line in part["lines"]]
    assert len(lines) == CANTEENS * SELLERS
    wanted = {instead.get(place, one) for place, one in enumerate(goods)}
    assert {line["listing_id"] for line in lines} == wanted  # what is out of season has given way
    sold = [part["cooperative"]["id"] for order in orders for part in order["supplier_orders"]]
    assert len(set(sold)) == SELLERS - len(instead)
    assert watch.seconds < MOST_SECONDS, f"{watch.calls} calls took {watch.seconds:.1f} s"
    checks_find_nothing()
