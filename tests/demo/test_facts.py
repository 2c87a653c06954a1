"""What the demo is played with: real produce, invented parties, and lanes between them, all of it consistent."""

import csv
from collections import Counter
from datetime import date
from importlib.resources import files

import pytest

Row = dict[str, str]

WESTERN = {"150000", "450000", "500000", "510000", "520000", "530000", "610000", "620000", "630000", "640000"}
EASTERN = {"110000", "120000", "310000", "320000", "330000", "350000", "370000", "440000"}


def rows(name: str, package: str = "shop.demo") -> list[Row]:
    text = (files(package) / "facts" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


PRODUCTS = rows("products.csv")
COOPERATIVES = rows("cooperatives.csv")
BUYERS = rows("buyers.csv")
HUBS = rows("hubs.csv")
LANES = rows("lanes.csv")
DIVISIONS = {row["code"]: row for row in rows("divisions.csv", "shop.regions") if not row["valid_to"]}


def province(code: str) -> str:
    return code[:2] + "0000"


def check_character(body: str) -> str:
    """GB 32100-2015 by its table: place i weighs 3^(i-1) mod 31, and the alphabet lacks I, O, S, V and Z."""
    alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    weights = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
    left = sum(alphabet.index(sign) * weight for sign, weight in zip(body, weights, strict=True)) % 31
    return alphabet[0 if left == 0 else 31 - left]


def organisation_check(body: str) -> str:
    """GB 11714-1997: the ninth character of the organisation code inside, letters counting from A = 10."""
    weights = (3, 7, 9, 10, 5, 8, 4, 2)
    left = 11 - sum(int(sign, 36) * weight for sign, weight in zip(body, weights, strict=True)) % 11
    return {10: "X", 11: "0"}.get(left, str(left))


def test_the_check_characters_are_those_of_the_examples_in_the_standards() -> None:
    assert check_character("91350100M000100Y4") == "3"  # GB 32100-2015, appendix
    assert organisation_check("D2143569") == "X"  # GB 11714-1997, appendix


def test_every_social_credit_code_checks_is_nobody_elses_and_plainly_invented() -> None:
    codes = [row["uscc"] for row in COOPERATIVES + BUYERS if row["uscc"]]
    assert len(set(codes)) == len(codes)
    for code in codes:
        assert len(code) == 18
        assert code[17] == check_character(code[:17]), code
        assert code[16] == organisation_check(code[8:16]), code
        assert code[8:12] == "DEM0", code


def test_the_first_two_characters_of_a_code_say_the_kind_of_party() -> None:
    allowed = {
        "cooperative": {"93"},
        "family_farm": {"92"},
        "producer": {"91"},
        "enterprise": {"91"},
        "trade_union": {"81"},
        "budget_unit": {"11", "12"},
    }
    for row in COOPERATIVES + BUYERS:
        if row["uscc"]:
            assert row["uscc"][:2] in allowed[row["kind"]], row
            assert row["uscc"][2:8] == row.get("county_code", row.get("division_code")), row


def test_a_party_without_a_code_is_a_canteen_of_one_that_has_it() -> None:
    by_code = {row["code"]: row for row in BUYERS}
    assert all(row["uscc"] for row in COOPERATIVES)
    for row in BUYERS:
        if not row["uscc"]:
            assert row["kind"] == "canteen", row
            assert by_code[row["parent"]]["uscc"], row
            assert by_code[row["parent"]]["funding_code"] == row["funding_code"], row


@pytest.mark.parametrize(("found", "at_least"), [(PRODUCTS, 170), (COOPERATIVES, 64), (BUYERS, 44), (LANES, 80)])
def test_there_is_enough_of_everything(found: list[Row], at_least: int) -> None:
    assert len(found) >= at_least


def test_codes_and_mail_addresses_are_nobody_elses() -> None:
    for found in (COOPERATIVES, BUYERS, HUBS):
        assert len({row["code"] for row in found}) == len(found)
    mails = [row["contact_email"] for row in COOPERATIVES] + [row["email"] for row in BUYERS]
    assert len(set(mails)) == len(mails)
    assert all(mail.endswith("@example.com") and mail.isascii() for mail in mails)
    assert len({(row["cooperative"], row["code"]) for row in PRODUCTS}) == len(PRODUCTS)
    assert len({row["name"] for row in COOPERATIVES}) == len(COOPERATIVES)


def test_every_party_says_that_it_is_invented() -> None:
    for row in COOPERATIVES + BUYERS:
        assert row["name"].endswith("（演示）"), row
        assert row["name_en"].endswith(" (demo)"), row
    assert all("示例" in row["delivery_address"] for row in BUYERS)


def test_a_product_is_sold_by_a_cooperative_of_the_county_it_grows_in() -> None:
    county = {row["code"]: row["county_code"] for row in COOPERATIVES}
    assert [row for row in PRODUCTS if county[row["cooperative"]] != row["county_code"]] == []
    assert set(county) == {row["cooperative"] for row in PRODUCTS}


def test_every_origin_is_a_western_county() -> None:
    assert [row for row in PRODUCTS if DIVISIONS[row["county_code"]]["level"] != "county"] == []
    by_province = Counter(province(row["county_code"]) for row in PRODUCTS)
    assert set(by_province) == WESTERN
    assert min(by_province.values()) >= 12


def test_the_catalogue_has_many_apples_goji_and_yak_and_some_sold_twice() -> None:
    names = {row["name"] for row in PRODUCTS}
    for word, at_least in (("苹果", 5), ("枸杞", 4), ("牦牛肉", 4)):
        assert sum(word in name for name in names) >= at_least
    wanted = "洛川苹果 盐池滩羊 中宁枸杞 定西马铃薯 文山三七 宁夏菜心 阿坝牦牛肉 百色芒果 昭通苹果 静宁苹果"
    assert set(wanted.split()) <= names
    assert sum(count > 1 for count in Counter(row["code"] for row in PRODUCTS).values()) >= 5


def test_products_of_one_code_have_one_name_and_one_county() -> None:
    assert len({row["code"] for row in PRODUCTS}) == len(
        {(row["code"], row["name"], row["name_en"], row["county_code"]) for row in PRODUCTS}
    )


def test_prices_fall_as_packs_rise() -> None:
    for row in PRODUCTS:
        least, packs = int(row["min_packs"]), [int(row["tier2_min_packs"]), int(row["tier3_min_packs"])]
        price = [int(row[name]) for name in ("price_fen", "tier2_price_fen", "tier3_price_fen")]
        assert 0 < least < packs[0] < packs[1], row
        assert price[0] > price[1] > price[2] > 0, row
        assert price[2] > price[0] * 0.85, row
        assert int(row["step_packs"]) > 0, row


def test_packs_weigh_what_they_can_and_cost_what_food_costs() -> None:
    for row in PRODUCTS:
        grams, base = int(row["pack_grams"]), int(row["pack_base_quantity"])
        assert row["base_unit"] in {"g", "piece"}, row
        if row["base_unit"] == "g":
            assert base < grams <= base * 1.2, row
        assert 1_000 <= grams <= 30_000, row
        assert 100 <= int(row["price_fen"]) * 1000 // grams <= 80_000, row  # 1 to 800 yuan a kilogram


def test_seasons_are_months_and_fresh_goods_are_kept_cool() -> None:
    for row in PRODUCTS:
        assert 1 <= int(row["season_from_month"]) <= 12, row
        assert 1 <= int(row["season_to_month"]) <= 12, row
        assert int(row["shelf_life_days"]) > 0, row
        if int(row["shelf_life_days"]) <= 14:
            assert row["storage"] != "ambient", row
    assert {row["storage"] for row in PRODUCTS} == {"ambient", "chilled", "frozen"}
    assert {row["certificate"] for row in PRODUCTS} == {"", "organic", "green", "gi"}


def test_every_month_has_fruit_and_vegetables_to_order() -> None:
    def sold(row: Row, month: int) -> bool:
        first, last = int(row["season_from_month"]), int(row["season_to_month"])
        return first <= month <= last if first <= last else month >= first or month <= last

    for month in range(1, 13):
        found = Counter(row["category"] for row in PRODUCTS if sold(row, month))
        assert found["fruit"] >= 10, month
        assert found["vegetable"] >= 10, month


def test_buyers_sit_in_all_eight_eastern_provinces_and_every_budget_exists() -> None:
    for row in BUYERS:
        assert row["division_code"] in DIVISIONS, row
        assert DIVISIONS[row["funding_code"]]["level"] == row["finance_level"], row
        assert row["purpose"] in {"canteen", "union_welfare", "other"}, row
        assert row["pays"] in {"prepaid", "on_terms"}, row
    assert {province(row["funding_code"]) for row in BUYERS} == EASTERN
    assert min(Counter(province(row["funding_code"]) for row in BUYERS).values()) >= 5
    assert {row["kind"] for row in BUYERS} == {"budget_unit", "canteen", "trade_union", "enterprise"}


def test_a_buyer_eats_in_another_province_than_pays() -> None:
    assert [row["code"] for row in BUYERS if province(row["division_code"]) != province(row["funding_code"])]


def test_hubs_stand_in_divisions_and_every_province_has_its_own() -> None:
    trunks = {province(row["division_code"]) for row in HUBS if row["kind"] == "trunk"}
    assert trunks == WESTERN
    assert {province(row["division_code"]) for row in HUBS if row["kind"] == "east_warehouse"} == EASTERN
    assert {row["kind"] for row in HUBS} == {"county_collection", "trunk", "east_warehouse"}
    assert all(row["division_code"] in DIVISIONS for row in HUBS)


def test_one_lane_leads_from_every_western_to_every_eastern_province() -> None:
    found = [(row["from_province_code"], row["to_province_code"]) for row in LANES]
    assert sorted(found) == sorted((west, east) for west in WESTERN for east in EASTERN)
    assert all(date.fromisoformat(row["valid_from"]) <= date(2020, 10, 1) for row in LANES)


def test_a_lane_is_as_long_and_dear_as_roads_are() -> None:
    for row in LANES:
        distance = int(row["distance_km"])
        assert 400 <= distance <= 2_800, row
        assert distance / 800 <= int(row["days"]) <= distance / 400 + 1, row
        ambient, chilled, frozen = (int(row[f"rate_fen_per_tonne_{kind}"]) for kind in ("ambient", "chilled", "frozen"))
        assert ambient < chilled < frozen, row
        assert 25 <= ambient / distance <= 75, row  # fen per tonne and kilometre
        assert 0 < int(row["minimum_fen"]) < ambient, row
