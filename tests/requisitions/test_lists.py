"""Short ways to a requisition: saved lists, headcounts, earlier orders, pasted codes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from shop.catalogue.models import Listing, Product
from shop.db import unit_of_work
from shop.requisitions.models_lists import RequisitionListLine
from shop.requisitions.service.entering import ROW
from shop.requisitions.service.keeping_lists import ListNameTaken
from shop.requisitions.service.working_out import Shelf, needed_grams, work_out_line
from tests import builders as a
from tests.requisitions.office import Office


@pytest.fixture
def office(committed: str) -> Office:
    return Office()


def word(listing: Any) -> str:
    return f"lst_{listing.id.hex}"


def kept(office: Office, *lines: dict[str, Any], name: str = "每周蔬果") -> Any:
    answer = office.call("POST", "/requisition-lists", "requester", {"name": name, "lines": list(lines)})
    assert answer.status_code == 201, answer.json
    return answer.json


def worked(office: Office, row: Any, headcount: int = 86, meals: int = 20) -> list[Any]:
    body = {"headcount": headcount, "meals": meals}
    answer = office.call("POST", f"/requisition-lists/{row['id']}/workings", "requester", body)
    assert answer.status_code == 200, answer.json
    found: list[Any] = answer.json["lines"]
    return found


def alter(listing: Any, **values: Any) -> None:
    with unit_of_work() as session:
        session.execute(update(Listing).where(Listing.id == listing.id).values(**values))


def test_a_list_is_kept_changed_at_the_version_that_was_read_and_retired(office: Office) -> None:
    row = kept(office, {"listing_id": word(office.apples), "quantity": 5})
    assert (row["version"], [line["quantity"] for line in row["lines"]]) == (1, [5])
    again = {"name": "每周蔬果", "lines": [{"listing_id": word(office.pears), "grams_per_meal": 150}]}
    taken = office.call("POST", "/requisition-lists", "manager", again)
    assert (taken.status_code, taken.json["code"]) == (409, ListNameTaken.code)
    path = f"/requisition-lists/{row['id']}"
    assert office.call("PUT", path, "requester", again).status_code == 428
    changed = office.call("PUT", path, "requester", again, version=1)
    assert (changed.json["version"], changed.json["lines"][0]["yield_percent"]) == (2, 100)
    assert office.call("PUT", path, "requester", again, version=1).status_code == 412
    assert [item["id"] for item in office.call("GET", "/requisition-lists", "receiver").json["items"]] == [row["id"]]
    assert office.call("DELETE", path, "requester").status_code == 200
    assert office.call("GET", path, "requester").status_code == 404
    assert office.call("POST", "/requisition-lists", "manager", again).status_code == 201


def test_a_list_names_goods_on_sale_and_each_of_them_once(office: Office) -> None:
    apples, pears = word(office.apples), word(office.pears)
    alter(office.pears, status="delisted")
    for lines, pointer in (
        ([{"listing_id": apples, "quantity": 1}, {"listing_id": pears, "quantity": 1}], "/lines/1/listing_id"),
        ([{"listing_id": apples, "quantity": 1, "substitutes": [pears]}], "/lines/0/substitutes/0"),
        ([{"listing_id": apples, "quantity": 1, "substitutes": [apples]}], ""),
        ([{"listing_id": apples}], "/lines/0"),
        ([{"listing_id": apples, "quantity": 1, "grams_per_meal": 1}], "/lines/0"),
    ):
        answer = office.call("POST", "/requisition-lists", "requester", {"name": "x", "lines": lines})
        assert answer.status_code == 422
        assert answer.json["errors"][0]["pointer"] == pointer


def test_what_was_on_a_list_may_stay_when_it_is_off_sale(office: Office) -> None:
    row = kept(office, {"listing_id": word(office.apples), "quantity": 5})
    alter(office.apples, status="delisted")
    lines = [{"listing_id": word(office.apples), "quantity": 6}, {"listing_id": word(office.pears), "quantity": 1}]
    body = {"name": "新名", "lines": lines}
    assert office.call("PUT", f"/requisition-lists/{row['id']}", "requester", body, version=1).status_code == 200


def test_headcounts_become_packs_by_meals_grams_and_yield(office: Office) -> None:
    row = kept(
        office,
        {"listing_id": word(office.apples), "grams_per_meal": 150, "yield_percent": 85},
        {"listing_id": word(office.pears), "quantity": 3},
    )
    pears, apples = office.pears.pack_base_quantity, office.apples.pack_base_quantity
    by_head, fixed = worked(office, row, headcount=86, meals=20)
    assert (by_head["needed_grams"], apples) == (303_530, 5000)  # 258,000 g on plates, of 85 % of what is bought
    assert (by_head["quantity"], by_head["comes_to_grams"]) == (61, 305_000)
    assert (fixed["quantity"], fixed["comes_to_grams"]) == (3, 3 * pears)
    alter(office.apples, min_packs=4, step_packs=5)
    (stepped, _) = worked(office, row, headcount=86, meals=20)
    assert stepped["quantity"] == 64  # 4 and twelve steps of 5
    (least, _) = worked(office, row, headcount=1, meals=1)
    assert least["quantity"] == 4


def test_what_cannot_be_ordered_gives_way_to_its_substitutes_in_their_order(office: Office) -> None:
    with unit_of_work() as session:
        office.world.session = session
        plums, grapes = office.world.offer(0), office.world.offer(100)
    row = kept(
        office,
        {
            "listing_id": word(office.apples),
            "grams_per_meal": 100,
            "substitutes": [word(plums), word(office.pears), word(grapes)],
        },
    )
    alter(office.apples, season_from=1, season_to=2)
    alter(office.pears, min_packs=1, step_packs=1, max_packs=10)
    (line,) = worked(office, row, headcount=100, meals=10)
    assert (line["listing_id"], line["instead_of"]) == (word(grapes), word(office.apples))
    assert [(passed["listing_id"], passed["code"]) for passed in line["passed_over"]] == [
        (word(office.apples), "out_of_season"),
        (word(plums), "not_enough_supply"),
        (word(office.pears), "above_maximum"),
    ]
    alter(grapes, status="delisted")
    (line,) = worked(office, row, headcount=100, meals=10)
    assert (line["listing_id"], line["quantity"], line["passed_over"][-1]["code"]) == (None, None, "not_listed")


@given(
    heads=st.integers(1, 5000), meals=st.integers(1, 60), grams=st.integers(1, 800), share=st.integers(1, 100),
    pack=st.integers(100, 60_000), least=st.integers(1, 50), step=st.integers(1, 20),
)  # fmt: skip
def test_the_packs_hold_what_is_needed_and_not_a_step_more(
    heads: int, meals: int, grams: int, share: int, pack: int, least: int, step: int
) -> None:
    key = a.an_id()
    listing = Offered(key, pack, least, step)
    line = RequisitionListLine(listing_id=key, packs=None, grams_per_meal=grams, yield_percent=share, substitutes=[])
    found = work_out_line(Shelf(a.NOW.date(), {key: listing}, {key: 10**15}), 0, line, heads * meals)
    needed = needed_grams(heads=heads, meals=meals, grams_per_meal=grams, yield_percent=share)
    assert needed * share >= heads * meals * grams * 100 > (needed - 1) * share
    assert found.quantity is not None
    assert found.quantity * pack >= needed
    assert (found.quantity - least) % step == 0
    assert found.quantity == least or (found.quantity - step) * pack < needed


class Offered:
    """A listing that may always be ordered, with the pack that a test wants."""

    status, cooperative_status, unmandated = "listed", "active", False
    season_from, season_to, price_from, price_to = 1, 12, None, None
    base_unit, max_packs, shelf_life_days, tiers = "g", 10**15, 30, [[1, 100]]
    selling_until, offers = a.NO_END, None

    def __init__(self, key: Any, pack: int, least: int, step: int) -> None:
        self.id, self.pack_base_quantity, self.min_packs, self.step_packs = key, pack, least, step


def draw_up(office: Office, row: Any, *canteens: dict[str, Any], by: str = "requester", **more: Any) -> Any:
    body = {
        "canteens": list(canteens), "meals": 10, "purpose": "canteen", "payment_terms": "on_terms",
    } | more  # fmt: skip
    return office.call("POST", f"/requisition-lists/{row['id']}/requisitions", by, body)


def canteen(office: Office, headcount: int, **more: Any) -> dict[str, Any]:
    return {
        "budget_unit_id": f"unit_{office.world.unit.id.hex}",
        "delivery_address_id": f"addr_{office.world.address.id.hex}",
        "headcount": headcount,
    } | more


def test_a_list_makes_a_requisition_for_every_canteen_from_one_supply(office: Office) -> None:
    row = kept(
        office,
        {"listing_id": word(office.apples), "grams_per_meal": 100, "substitutes": [word(office.pears)]},
    )
    answer = draw_up(office, row, *(canteen(office, heads, reference=f"C{heads}") for heads in (300, 210, 200)))
    first, second, third = answer.json["items"]
    asked = [
        office.call("GET", f"/requisitions/{item['requisition_id']}", "requester").json for item in (first, second)
    ]
    assert [(one["reference"], one["lines"][0]["quantity"]) for one in asked] == [("C300", 60), ("C210", 42)]
    assert asked[0]["lines"][0]["listing_id"] == word(office.apples)
    assert asked[1]["lines"][0]["listing_id"] == word(office.pears)  # of the 100 packs of apples 40 were left
    assert third["left_out"] == []
    assert {item["status"] for item in answer.json["items"]} == {"draft"}


def test_one_canteen_that_cannot_be_served_leaves_none_made(office: Office) -> None:
    row = kept(office, {"listing_id": word(office.apples), "grams_per_meal": 100})
    for wrong, pointer in (
        ({"budget_unit_id": f"unit_{a.an_id().hex}"}, "/canteens/1/budget_unit_id"),
        ({"delivery_address_id": f"addr_{a.an_id().hex}"}, "/canteens/1/delivery_address_id"),
        ({"headcount": 10_000}, "/canteens/1"),
    ):
        answer = draw_up(office, row, canteen(office, 10), canteen(office, 10) | wrong)
        assert answer.status_code in (404, 422)
        assert answer.json["errors"][0]["pointer"] == pointer
    assert office.call("GET", "/requisitions", "requester").json["items"] == []


def test_lines_that_nothing_can_be_ordered_for_are_named(office: Office) -> None:
    row = kept(
        office,
        {"listing_id": word(office.apples), "grams_per_meal": 10},
        {"listing_id": word(office.pears), "grams_per_meal": 10},
    )
    alter(office.pears, status="delisted")
    (item,) = draw_up(office, row, canteen(office, 100), submit=True).json["items"]
    assert (item["status"], [line["place"] for line in item["left_out"]]) == ("submitted", [1])
    assert item["total_fen"] > 0


def test_an_earlier_order_is_copied_at_todays_prices_without_what_is_gone(office: Office) -> None:
    placed = office.place(office.approved()).json
    alter(office.apples, price_fen=9999, tiers=[[1, 9999]])
    path = f"/orders/{placed['id']}/requisition"
    copied = office.call("POST", path, "requester")
    assert (copied.status_code, copied.json["left_out"]) == (201, [])
    draft = copied.json["requisition"]
    assert (draft["status"], draft["purpose"], draft["budget_unit_id"]) == (
        "draft",
        "canteen",
        placed["budget_unit_id"],
    )
    assert {line["listing_id"]: line["quantity"] for line in draft["lines"]} == {
        word(office.apples): 5, word(office.pears): 3,
    }  # fmt: skip
    assert office.call("POST", path, "stranger").status_code == 404
    alter(office.pears, status="delisted")
    left = office.call("POST", path, "requester").json
    assert [(one["listing_id"], one["code"]) for one in left["left_out"]] == [(word(office.pears), "not_listed")]
    assert [line["listing_id"] for line in left["requisition"]["lines"]] == [word(office.apples)]
    alter(office.apples, status="delisted")
    assert office.call("POST", path, "requester").json["code"] == "not_orderable"


def test_pasted_rows_are_read_and_every_row_that_means_nothing_is_named(office: Office) -> None:
    with unit_of_work() as session:
        session.execute(update(Product).where(Product.id == office.apples.product_id).values(code="PG-1"))
        office.world.session = session
        doubled = [office.world.offer(10) for _ in range(2)]
        session.execute(update(Product).where(Product.id.in_([one.product_id for one in doubled])).values(code="LI-2"))
    text = f"ＰＧ-1　１２\n\n{word(office.pears)},3箱\nLI-2\t4\nNO-9 1\nPG-1 0\nPG-1;7\n一箱苹果"
    answer = office.call("POST", "/pasted-lines", "requester", {"text": text})
    assert [(line["row"], line["listing_id"], line["quantity"]) for line in answer.json["lines"]] == [
        (1, word(office.apples), 12), (3, word(office.pears), 3),
    ]  # fmt: skip
    assert [(fault["row"], fault["code"]) for fault in answer.json["faults"]] == [
        (4, "ambiguous_code"), (5, "unknown_code"), (6, "unreadable"), (7, "repeated"), (8, "unreadable"),
    ]  # fmt: skip
    assert {one["listing_id"] for one in answer.json["faults"][0]["candidates"]} == {word(one) for one in doubled}
    body = office.body() | {
        "lines": [{k: line[k] for k in ("listing_id", "quantity")} for line in answer.json["lines"]]
    }
    assert office.call("POST", "/requisitions", "requester", body).status_code == 201
    assert office.call("POST", "/pasted-lines", "requester", {"text": "a 1\n" * 201}).status_code == 422


@given(st.text(max_size=300))
def test_no_pasted_row_takes_long_to_be_refused(text: str) -> None:
    for row in text.splitlines():
        found = ROW.match(row)
        assert found is None or found["quantity"].isdecimal()


def test_lists_are_of_their_institution_alone(office: Office) -> None:
    row = kept(office, {"listing_id": word(office.apples), "quantity": 5})
    path = f"/requisition-lists/{row['id']}"
    lines = {"name": "x", "lines": [{"listing_id": word(office.apples), "quantity": 1}]}
    for method, more, body in (
        ("GET", "", None),
        ("PUT", "", lines),
        ("DELETE", "", None),
        ("POST", "/workings", {"headcount": 1, "meals": 1}),
    ):
        assert office.call(method, path + more, "stranger", body, version=1).status_code == 404
    assert draw_up(office, row, canteen(office, 1), by="stranger").status_code == 404
    assert office.call("GET", "/requisition-lists", "stranger").json["items"] == []
    assert office.call("POST", "/requisition-lists", "receiver", lines).status_code == 403
