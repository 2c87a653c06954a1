"""The divisions, pairings and lists that the shop starts with agree with one another."""

import csv
from collections import Counter
from datetime import date
from importlib.resources import files
from itertools import pairwise

import pytest

Row = dict[str, str]

WESTERN = {"15", "45", "50", "51", "52", "53", "61", "62", "63", "64"}
OF_2021 = {
    ("110000", "150000"),
    ("120000", "620000"),
    ("310000", "530000"),
    ("320000", "610000"),
    ("320000", "630000"),
    ("330000", "510000"),
    ("350000", "640000"),
    ("370000", "500000"),
    ("370000", "620000"),
    ("440000", "450000"),
    ("440000", "520000"),
}
OF_2016 = {
    ("110000", "150000"),
    ("120000", "620000"),
    ("310000", "530000"),
    ("320000", "610000"),
    ("330000", "510000"),
    ("350000", "640000"),
    ("370000", "500000"),
    ("440000", "450000"),
}


def rows(name: str) -> list[Row]:
    text = (files("shop.regions") / "facts" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


DIVISIONS = rows("divisions.csv")
PAIRINGS = rows("pairings.csv")
MEMBERS = rows("pairing_members.csv")
LISTED = rows("eligibility.csv")
TODAY = {row["code"]: row for row in DIVISIONS if not row["valid_to"]}


def begin(row: Row) -> date:
    return date.fromisoformat(row["valid_from"])


def end(row: Row) -> date:
    return date.fromisoformat(row["valid_to"]) if row["valid_to"] else date.max


def overlapping(found: list[Row]) -> list[Row]:
    """The rows that begin before the one before them ends."""
    found = sorted(found, key=begin)
    return [late for early, late in pairwise(found) if begin(late) < end(early)]


def grouped(found: list[Row], *columns: str) -> list[list[Row]]:
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in found:
        groups.setdefault(tuple(row[column] for column in columns), []).append(row)
    return list(groups.values())


def test_a_code_has_one_meaning_at_a_time() -> None:
    assert [overlapping(group) for group in grouped(DIVISIONS, "code") if overlapping(group)] == []


def test_every_time_runs_forward() -> None:
    assert [row for row in DIVISIONS + PAIRINGS + MEMBERS + LISTED if begin(row) >= end(row)] == []


def test_all_provinces_and_enough_western_counties_are_there() -> None:
    assert sum(row["level"] == "province" for row in TODAY.values()) == 34
    western = [row for row in TODAY.values() if row["level"] == "county" and row["code"][:2] in WESTERN]
    assert len(western) >= 170
    assert {row["code"][:2] for row in western} == WESTERN


def test_every_division_lies_in_one_that_is_a_level_up() -> None:
    level = {row["code"]: row["level"] for row in DIVISIONS}
    for row in DIVISIONS:
        if row["level"] == "province":
            assert not row["parent_code"], row
        else:
            assert row["code"][:2] == row["parent_code"][:2], row
            assert level[row["parent_code"]] == ("prefecture" if row["parent_code"][2:4] != "00" else "province"), row


def test_every_name_is_there_in_both_scripts() -> None:
    for row in DIVISIONS:
        assert not row["name"].isascii(), row
        assert row["name_en"].replace("ü", "u").isascii(), row
        assert row["name_en"][0].isupper(), row


def test_a_code_that_ended_leads_to_one_in_force_today() -> None:
    recoded = [row for row in DIVISIONS if row["valid_to"]]
    assert len(recoded) >= 40
    following = {(row["code"], row["valid_to"]): row["successor_code"] for row in recoded}
    for row in recoded:
        code, seen = row["successor_code"], 0
        while code not in TODAY:
            assert seen < 5, row
            code = next(after for (before, _), after in following.items() if before == code)
            seen += 1
        heir = [other for other in DIVISIONS if other["code"] == row["successor_code"]]
        assert any(begin(other) <= end(row) < end(other) for other in heir), row


def test_only_a_code_that_ended_has_a_successor() -> None:
    assert [row for row in DIVISIONS if bool(row["valid_to"]) != bool(row["successor_code"])] == []


@pytest.mark.parametrize(("on", "expected"), [(date(2021, 4, 1), OF_2021), (date(2021, 3, 31), OF_2016)])
def test_the_province_pairs_of_a_day_are_those_of_its_round(on: date, expected: set[tuple[str, str]]) -> None:
    found = [row for row in PAIRINGS if row["level"] == "province" and begin(row) <= on < end(row)]
    assert {(row["east_code"], row["west_code"]) for row in found} == expected
    assert len(found) == len(expected)


def test_a_pair_is_in_force_once_at_a_time() -> None:
    groups = grouped(PAIRINGS, "scheme", "east_code", "west_code")
    assert [overlapping(group) for group in groups if overlapping(group)] == []


def test_both_sides_of_a_pairing_exist_and_its_level_is_that_of_the_west() -> None:
    for row in PAIRINGS:
        assert row["east_code"] in TODAY, row
        assert row["level"] == TODAY[row["west_code"]]["level"], row
        assert row["scheme"] == "east_west"
        assert row["source_note"], row


def test_a_pairing_lies_within_its_parent_in_place_and_time() -> None:
    inside = [row for row in PAIRINGS if row["parent_east"]]
    assert len(inside) >= 30
    for row in inside:
        over = [
            other
            for other in PAIRINGS
            if (other["east_code"], other["west_code"]) == (row["parent_east"], row["parent_west"])
            and begin(other) <= begin(row)
            and end(row) <= end(other)
        ]
        assert len(over) == 1, row
        for side in ("east_code", "west_code"):
            assert row[side].startswith(over[0][side].rstrip("0")), row


def test_pairings_of_cities_and_counties_are_there_in_both_rounds() -> None:
    smaller = Counter(row["round"] for row in PAIRINGS if row["level"] != "province")
    assert smaller["2016"] >= 12
    assert smaller["2021"] >= 12


def test_exactly_the_shared_pairings_have_members() -> None:
    shared = {(row["east_code"], row["west_code"], row["valid_from"]) for row in PAIRINGS if row["shared"] == "true"}
    assert {(row["east_code"], row["west_code"], row["pairing_from"]) for row in MEMBERS} == shared
    assert {row["shared"] for row in PAIRINGS} == {"true", "false"}


def test_a_member_county_lies_in_the_west_of_its_pairing_and_within_its_time() -> None:
    of = {(row["east_code"], row["west_code"], row["valid_from"]): row for row in PAIRINGS}
    for row in MEMBERS:
        pairing = of[row["east_code"], row["west_code"], row["pairing_from"]]
        assert TODAY[row["county_code"]]["level"] == "county", row
        assert row["county_code"].startswith(row["west_code"].rstrip("0")), row
        assert begin(pairing) <= begin(row), row
        assert end(row) <= end(pairing), row
        assert row["basis"] in {"documented", "derived"}, row


@pytest.mark.parametrize("on", [date(2018, 6, 1), date(2026, 6, 1)])
def test_no_county_of_gansu_is_in_two_shares_and_tianjin_has_its_34(on: date) -> None:
    in_force = [row for row in MEMBERS if begin(row) <= on < end(row)]
    counties = Counter(row["county_code"] for row in in_force)
    assert counties.most_common(1)[0][1] == 1
    assert len(counties) == 58  # all counties of Gansu on the list of 832
    assert sum(row["east_code"] == "120000" for row in in_force) == 34


def test_a_county_stands_on_a_list_once_and_exists() -> None:
    assert len({(row["list"], row["county_code"]) for row in LISTED}) == len(LISTED)
    assert {row["list"] for row in LISTED} == {"poverty_832", "key_160"}
    assert [row for row in LISTED if TODAY[row["county_code"]]["level"] != "county"] == []


def test_a_key_county_was_a_poverty_county() -> None:
    on = {name: {row["county_code"] for row in LISTED if row["list"] == name} for name in ("key_160", "poverty_832")}
    assert on["key_160"]
    assert on["key_160"] < on["poverty_832"]


def test_a_designated_name_is_one_the_county_bore_that_day() -> None:
    """A list keeps the name of its day: the county's own, or that of the code it was recoded from."""
    for row in LISTED:
        names = {other["name"] for other in DIVISIONS if row["county_code"] in (other["code"], other["successor_code"])}
        assert row["name_as_designated"] in names, row
