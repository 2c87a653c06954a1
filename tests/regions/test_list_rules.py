"""What lists are for: they admit sellers, or goods of their counties count; each by a dated rule."""

from datetime import date

import pytest
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from shop.errors import Invalid
from shop.regions.importing import load_list_rules
from shop.regions.models import EligibilityMember
from shop.regions.service import admits, counts
from tests import builders as a

ENDED = {
    "use": "counts", "indicator": "reserved_share", "list": "poverty_832", "valid_from": "2021-01-01",
    "valid_to": "2026-01-01",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _lists(session: Session) -> None:
    for listed, county, since in (
        ("poverty_832", a.YANCHI, date(2012, 6, 14)),
        ("key_160", a.TONGWEI, date(2021, 8, 27)),
    ):
        session.add(
            EligibilityMember(list=listed, county_code=county, name_as_designated=county, valid=Range(since, None))
        )
    session.flush()


@pytest.mark.parametrize(
    ("county", "on", "admitted"),
    [
        (a.YANCHI, date(2019, 12, 31), False),
        (a.YANCHI, date(2020, 1, 1), True),
        (a.YANCHI, date(2026, 6, 1), True),
        (a.TONGWEI, date(2021, 8, 26), False),
        (a.TONGWEI, date(2021, 8, 27), True),
        (a.LUOCHUAN, date(2024, 1, 1), False),
    ],
)
def test_a_list_admits_from_its_day_on(session: Session, county: str, on: date, admitted: bool) -> None:
    assert admits(session, county, on) is admitted


def test_a_lapsed_list_ends_counting_and_not_trading(session: Session) -> None:
    assert counts(session, a.YANCHI, date(2026, 1, 1), "reserved_share")
    assert str(load_list_rules(session, [ENDED])) == "0 added, 1 changed, 0 unchanged"
    assert str(load_list_rules(session, [ENDED])) == "0 added, 0 changed, 1 unchanged"
    days = [date(2025, 12, 31), date(2026, 1, 1)]
    assert [counts(session, a.YANCHI, on, "reserved_share") for on in days] == [True, False]
    assert [admits(session, a.YANCHI, on) for on in days] == [True, True]


def test_each_list_counts_for_its_own_indicator(session: Session) -> None:
    on = date(2024, 1, 1)
    assert [counts(session, a.TONGWEI, on, name) for name in ("key_counties", "reserved_share", "another")] == [
        True,
        False,
        False,
    ]


def test_a_rule_that_ended_may_begin_again_with_a_new_one(session: Session) -> None:
    load_list_rules(session, [ENDED, ENDED | {"valid_from": "2027-01-01", "valid_to": ""}])
    days = [date(2025, 6, 1), date(2026, 6, 1), date(2027, 6, 1)]
    assert [counts(session, a.YANCHI, on, "reserved_share") for on in days] == [True, False, True]


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ({"use": "helps", "indicator": ""}, "use"),
        ({"list": "best_100"}, "list"),
        ({"indicator": ""}, "indicator"),
        ({"use": "admits"}, "indicator"),
        ({"valid_to": "2020-01-01"}, "valid_to"),
        ({"valid_from": "2022-01-01"}, "valid_from"),  # while the rule of 2021 has no end
    ],
)
def test_a_bad_rule_is_named_by_row_and_column(session: Session, row: dict[str, str], column: str) -> None:
    with pytest.raises(Invalid) as refused:
        load_list_rules(session, [ENDED | row])
    assert f"/list-rules/0/{column}" in [error["pointer"] for error in refused.value.errors]
