"""What lists are for: they admit sellers, or goods of their counties count; each by a dated rule."""

from datetime import date

import pytest
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from shop.regions.models import EligibilityMember
from shop.regions.service import admits, counts, end_rule
from tests import builders as a


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
    end_rule(session, use="counts", listed="poverty_832", indicator="reserved_share", on=date(2026, 1, 1))
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
