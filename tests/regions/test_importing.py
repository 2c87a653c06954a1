"""Loading divisions, pairings and lists from rows of text."""

import csv
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from shop.db import engine
from shop.errors import Invalid
from shop.factfile import rows
from shop.regions import importing
from shop.regions.models import Division, EligibilityMember, Pairing, PairingMember

PUBLISHED = Path(__file__).resolve().parents[3] / "shared" / "reference"
PAIR = {
    "scheme": "east_west", "level": "province", "east_code": "310000", "west_code": "530000",
    "valid_from": "2016-12-07", "valid_to": "2021-04-01", "round": "2016", "shared": "false", "parent_east": "",
    "parent_west": "",
}  # fmt: skip


def own(name: str) -> list[dict[str, str]]:
    return rows("shop.regions", f"{name}.csv")


def published(name: str) -> list[dict[str, str]]:
    file = PUBLISHED / f"{name}.csv"
    if not file.exists():
        pytest.skip("the published lists are not beside this copy")
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def load_all(session: Session) -> list[importing.Loaded]:
    return [
        importing.load_divisions(session, own("divisions")),
        importing.load_pairings(session, own("pairings"), own("pairing_members")),
        importing.load_eligibility(session, own("eligibility")),
    ]


def count(session: Session, model: type[Any]) -> int:
    return session.scalar(select(func.count()).select_from(model)) or 0


def pairs(session: Session) -> dict[tuple[str, str, date], Pairing]:
    session.expire_all()
    return {(row.east_code, row.west_code, row.valid.lower): row for row in session.scalars(select(Pairing))}


def test_the_facts_that_the_shop_starts_with_load_and_again_change_nothing(session: Session) -> None:
    first, again = load_all(session), load_all(session)
    assert [loaded.changed + loaded.unchanged for loaded in first] == [0, 0, 0]
    assert [loaded.added for loaded in first] == [
        count(session, Division),
        count(session, Pairing) + count(session, PairingMember),
        count(session, EligibilityMember),
    ]
    assert again == [importing.Loaded(0, 0, loaded.added) for loaded in first]
    assert str(again[0]) == f"0 added, 0 changed, {count(session, Division)} unchanged"


def test_loading_costs_the_same_few_statements_for_one_row_and_for_all(session: Session) -> None:
    def cost(found: list[dict[str, str]]) -> int:
        seen: list[str] = []

        def listener(*args: Any) -> None:
            if not args[2].startswith(("SAVEPOINT", "RELEASE")):
                seen.append(args[2])

        event.listen(engine(), "before_cursor_execute", listener)
        importing.load_divisions(session, found)
        event.remove(engine(), "before_cursor_execute", listener)
        return len(seen)

    found = own("divisions")
    assert cost(found[:1]) == cost(found[1:]) <= 4


def test_a_parent_is_the_pairing_of_its_codes_at_that_time(session: Session) -> None:
    load_all(session)
    found = pairs(session)
    assert found["310105", "532530", date(1996, 1, 1)].parent_id == found["310000", "530000", date(1996, 1, 1)].id
    assert found["310105", "532530", date(2016, 12, 7)].parent_id == found["310000", "530000", date(2016, 12, 7)].id


def test_a_re_pairing_ends_the_old_row_and_keeps_it(session: Session) -> None:
    importing.load_pairings(session, [PAIR | {"valid_to": ""}], [])
    (before,) = pairs(session).values()
    old_id = before.id
    later = [PAIR, PAIR | {"valid_from": "2021-04-01", "valid_to": "", "round": "2021"}]
    assert importing.load_pairings(session, later, []) == importing.Loaded(1, 1, 0)
    found = pairs(session)
    assert found["310000", "530000", date(2016, 12, 7)].id == old_id
    assert [row.valid for _, row in sorted(found.items())] == [
        Range(date(2016, 12, 7), date(2021, 4, 1)),
        Range(date(2021, 4, 1), None),
    ]


@pytest.mark.parametrize(
    ("change", "column", "code"),
    [
        ({"valid_from": "2016-13-07"}, "valid_from", "bad_value"),
        ({"valid_to": "2016-12-07"}, "valid_to", "ends_before_it_begins"),
        ({"east_code": "31000"}, "east_code", "bad_value"),
        ({"level": "village"}, "level", "bad_value"),
        ({"shared": "maybe"}, "shared", "bad_value"),
        ({"round": ""}, "round", "bad_value"),
        ({"parent_east": "320000", "parent_west": "530000"}, "parent_east", "no_parent"),
        ({"valid_from": "2020-01-01", "valid_to": ""}, "valid_from", "overlaps"),
        ({"valid_to": ""}, "valid_from", "repeated"),
    ],
)
def test_a_bad_row_is_named_with_its_column_and_nothing_is_loaded(
    session: Session, change: dict[str, str], column: str, code: str
) -> None:
    with pytest.raises(Invalid) as refused:
        importing.load_pairings(session, [PAIR, PAIR | change], [])
    assert (f"/pairings/1/{column}", code) in [(fault["pointer"], fault["code"]) for fault in refused.value.errors]
    assert "row 2" in str(refused.value)
    assert count(session, Pairing) == 0


def test_a_time_that_overlaps_what_is_stored_is_refused_too(session: Session) -> None:
    importing.load_pairings(session, [PAIR], [])
    with pytest.raises(Invalid) as refused:
        importing.load_pairings(session, [PAIR | {"valid_from": "2021-03-31", "valid_to": ""}], [])
    assert [(fault["pointer"], fault["code"]) for fault in refused.value.errors] == [
        ("/pairings/0/valid_from", "overlaps")
    ]


@pytest.mark.parametrize(
    ("change", "column", "code"),
    [
        ({"county_code": "610629"}, "county_code", "not_inside"),
        ({"pairing_from": "2021-04-01"}, "pairing_from", "no_pairing"),
        ({"valid_to": "2021-04-02"}, "valid_from", "outside"),
    ],
)
def test_a_member_belongs_inside_its_pairing(session: Session, change: dict[str, str], column: str, code: str) -> None:
    member = {
        "east_code": "310000", "west_code": "530000", "pairing_from": "2016-12-07", "county_code": "530113",
        "valid_from": "2016-12-07", "valid_to": "2021-04-01",
    }  # fmt: skip
    with pytest.raises(Invalid) as refused:
        importing.load_pairings(session, [PAIR], [member | change])
    assert [(fault["pointer"], fault["code"]) for fault in refused.value.errors] == [(f"/members/0/{column}", code)]


def test_the_published_divisions_load_and_keep_the_english_names_there_are(session: Session) -> None:
    importing.load_divisions(session, own("divisions"))
    found = published("divisions")
    loaded = importing.load_divisions(session, found)
    assert loaded.added + loaded.changed + loaded.unchanged == len(found)
    assert importing.load_divisions(session, found) == importing.Loaded(0, 0, len(found))
    luochuan = session.scalars(select(Division).where(Division.code == "610629")).one()
    assert (luochuan.name, luochuan.name_en) == ("洛川县", "Luochuan")


def test_the_published_pairings_load_with_their_last_day_inside_and_gansu_shared(session: Session) -> None:
    found = published("pairings")
    assert importing.load_pairings(session, found, []).added == len(found)
    assert importing.load_pairings(session, found, []) == importing.Loaded(0, 0, len(found))
    stored = pairs(session)
    assert stored["120000", "620000", date(1996, 1, 1)].valid == Range(date(1996, 1, 1), date(2016, 12, 7))
    assert {key[:2] for key, row in stored.items() if row.shared and row.valid.upper is None} == {
        ("120000", "620000"),
        ("370000", "620000"),
    }


@pytest.mark.parametrize(("name", "listed"), [("poverty_counties_832", "poverty_832"), ("key_counties", "key_160")])
def test_the_published_lists_load_with_two_names_of_one_merged_county(session: Session, name: str, listed: str) -> None:
    found = published(name)
    assert importing.load_eligibility(session, found) == importing.Loaded(len(found), 0, 0)
    assert importing.load_eligibility(session, found) == importing.Loaded(0, 0, len(found))
    assert set(session.scalars(select(EligibilityMember.list))) == {listed}
