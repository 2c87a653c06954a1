"""Which pairing and which bucket a purchase counts in."""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from shop.db import engine
from shop.factfile import rows
from shop.regions import importing
from shop.regions.models import Bucket, Pairing, PairingMember
from shop.regions.service import attribute
from tests import builders as a

TODAY, BEFORE = date(2024, 5, 1), date(2021, 3, 31)
FIRST = date(2021, 4, 1)
SHANGHAI, HUANGPU, PUTUO = "310000", "310101", "310107"
TIANJIN, HEPING, SHANDONG, QINGDAO, SHINAN = "120000", "120101", "370000", "370200", "370202"
DINGXI, TONGWEI, TIANSHUI_COUNTY, LANZHOU_COUNTY = "621100", "621121", "620522", "620102"
YUNNAN_COUNTY, LUOCHUAN = "532530", "610629"


@pytest.fixture
def loaded(session: Session) -> Session:
    """The pairings and members that the shop starts with."""
    importing.load_pairings(session, rows("shop.regions", "pairings.csv"), rows("shop.regions", "pairing_members.csv"))
    return session


def one(session: Session, funding: str, origin: str, on: date = TODAY) -> tuple[Bucket, str | None]:
    """Bucket and, when paired, the codes of the pairing as `east-west`."""
    found = attribute(session, funding_code=funding, origins=[origin], on=on)[origin]
    if found.pairing_id is None:
        return found.bucket, None
    pairing = session.get_one(Pairing, found.pairing_id)
    assert pairing.valid.contains(on)
    return found.bucket, f"{pairing.east_code}-{pairing.west_code}"


def test_a_purchase_from_the_partner_province_is_paired(session: Session) -> None:
    a.a_pairing(session, SHANGHAI, "530000")
    assert one(session, HUANGPU, YUNNAN_COUNTY) == (Bucket.PAIRED, "310000-530000")


def test_the_most_specific_pairing_wins_for_those_it_names_and_no_others(session: Session) -> None:
    a.a_pairing(session, SHANGHAI, "530000")
    a.a_pairing(session, PUTUO, "530100", level="prefecture")
    a.a_pairing(session, PUTUO, "530113", level="county")
    assert one(session, PUTUO, "530113") == (Bucket.PAIRED, "310107-530113")
    assert one(session, PUTUO, "530128") == (Bucket.PAIRED, "310107-530100")
    assert one(session, PUTUO, YUNNAN_COUNTY) == (Bucket.PAIRED, "310000-530000")
    assert one(session, HUANGPU, "530113") == (Bucket.PAIRED, "310000-530000")
    assert one(session, SHANGHAI, "530113") == (Bucket.PAIRED, "310000-530000")


def test_an_eastern_body_that_buys_elsewhere_is_other_east_and_anybody_else_is_other(session: Session) -> None:
    a.a_pairing(session, SHANGHAI, "530000")
    assert one(session, HUANGPU, LUOCHUAN) == (Bucket.OTHER_EAST, None)
    assert one(session, "420102", LUOCHUAN) == (Bucket.OTHER, None)
    assert one(session, "530102", YUNNAN_COUNTY) == (Bucket.OTHER, None)  # a western body, at home


def test_it_is_asked_whose_budget_pays_and_the_answer_names_its_province(session: Session) -> None:
    a.a_pairing(session, SHANGHAI, "530000")
    found = attribute(session, funding_code=SHINAN, origins=[YUNNAN_COUNTY], on=TODAY)[YUNNAN_COUNTY]
    assert (found.bucket, found.east_province, found.west_province) == (Bucket.OTHER, SHANDONG, "530000")


@pytest.mark.parametrize(
    ("on", "paired"), [(BEFORE, False), (FIRST, True), (date(2023, 12, 31), True), (date(2024, 1, 1), False)]
)
def test_a_pairing_holds_from_its_first_day_up_to_not_with_its_last(session: Session, on: date, paired: bool) -> None:
    a.a_pairing(session, SHANGHAI, "530000", valid=Range(FIRST, date(2024, 1, 1)))
    assert (one(session, HUANGPU, YUNNAN_COUNTY, on)[0] is Bucket.PAIRED) is paired


def test_the_re_pairing_of_2021_changes_the_answer_overnight_and_not_that_of_the_day_before(loaded: Session) -> None:
    assert one(loaded, "440106", "522622", BEFORE)[0] is Bucket.OTHER_EAST  # Hangzhou's Qiandongnan, before Foshan's
    assert one(loaded, "440604", "522622", FIRST) == (Bucket.PAIRED, "440600-522600")
    assert one(loaded, "440106", "522622", FIRST) == (Bucket.PAIRED, "440000-520000")
    assert one(loaded, "320102", "630121", BEFORE)[0] is not Bucket.UNKNOWN
    for day in (BEFORE, FIRST):
        assert one(loaded, "310105", LUOCHUAN, day) == (Bucket.OTHER_EAST, None)
        assert one(loaded, "350102", "640323", day) == (Bucket.PAIRED, "350000-640000")


def test_the_two_partners_of_gansu_are_told_apart_by_their_member_counties(loaded: Session) -> None:
    assert one(loaded, HEPING, TIANSHUI_COUNTY) == (Bucket.PAIRED, "120000-620000")
    assert one(loaded, "370102", TIANSHUI_COUNTY) == (Bucket.OTHER_EAST, None)
    assert one(loaded, HEPING, TONGWEI) == (Bucket.OTHER_EAST, None)
    assert one(loaded, "370102", TONGWEI) == (Bucket.PAIRED, "370000-620000")
    assert one(loaded, SHINAN, TONGWEI) == (Bucket.PAIRED, "370200-621100")


def test_before_2021_dingxi_was_fuzhou_s_and_its_counties_were_not_tianjin_s(loaded: Session) -> None:
    assert one(loaded, "350102", TONGWEI, BEFORE) == (Bucket.PAIRED, "350100-621100")
    assert one(loaded, HEPING, TONGWEI, BEFORE) == (Bucket.OTHER_EAST, None)
    assert one(loaded, "350102", TONGWEI, FIRST) == (Bucket.OTHER_EAST, None)


def test_a_county_of_a_shared_province_that_no_share_names_is_unknown_to_its_partners_only(loaded: Session) -> None:
    assert one(loaded, HEPING, LANZHOU_COUNTY) == (Bucket.UNKNOWN, None)
    assert one(loaded, "370102", LANZHOU_COUNTY) == (Bucket.UNKNOWN, None)
    assert one(loaded, HUANGPU, LANZHOU_COUNTY) == (Bucket.OTHER_EAST, None)
    assert one(loaded, "420102", LANZHOU_COUNTY) == (Bucket.OTHER, None)


def test_a_county_joins_and_leaves_a_share_by_its_own_days(session: Session) -> None:
    shared = a.a_pairing(session, TIANJIN, "620000", shared=True)
    other = a.a_pairing(session, SHANDONG, "620000", shared=True)
    moved = date(2023, 1, 1)
    for pairing, valid in ((shared, Range(FIRST, moved)), (other, Range(moved, None))):
        session.add(PairingMember(pairing_id=pairing.id, county_code=TONGWEI, valid=valid))
    session.flush()
    seen = {
        on: (one(session, HEPING, TONGWEI, on)[0], one(session, SHINAN, TONGWEI, on)[0])
        for on in (FIRST, moved - timedelta(days=1), moved, TODAY)
    }
    ours, theirs = (Bucket.PAIRED, Bucket.OTHER_EAST), (Bucket.OTHER_EAST, Bucket.PAIRED)
    assert list(seen.values()) == [ours, ours, theirs, theirs]


def test_many_origins_cost_one_statement(loaded: Session) -> None:
    seen: list[str] = []

    def listener(*args: Any) -> None:
        seen.append(args[2])

    event.listen(engine(), "before_cursor_execute", listener)
    origins = [row["county_code"] for row in rows("shop.regions", "pairing_members.csv")] + [LUOCHUAN]
    found = attribute(loaded, funding_code=HEPING, origins=origins, on=TODAY)
    event.remove(engine(), "before_cursor_execute", listener)
    assert set(found) == set(origins)
    assert len([statement for statement in seen if not statement.startswith("SAVEPOINT")]) == 1


CODES = [HUANGPU, PUTUO, SHANGHAI, HEPING, TIANJIN, SHINAN, QINGDAO, "320102", "350102", "440106", "420102", "530102"]
ORIGINS = [TONGWEI, TIANSHUI_COUNTY, LANZHOU_COUNTY, YUNNAN_COUNTY, LUOCHUAN, "640323", "522622", "630121", "340102"]


@given(
    funding=st.sampled_from(CODES),
    origins=st.lists(st.sampled_from(ORIGINS), min_size=1, max_size=6),
    on=st.dates(date(1995, 1, 1), date(2030, 1, 1)) | st.sampled_from([BEFORE, FIRST, date(2016, 12, 7)]),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_purchase_is_in_exactly_one_bucket_whatever_else_is_asked_with_it(
    loaded: Session, funding: str, origins: list[str], on: date
) -> None:
    together = attribute(loaded, funding_code=funding, origins=origins, on=on)
    assert set(together) == set(origins)
    for origin, found in together.items():
        assert found == attribute(loaded, funding_code=funding, origins=[origin], on=on)[origin]
        assert (found.bucket is Bucket.PAIRED) == (found.pairing_id is not None)
        assert (found.east_province, found.west_province) == (funding[:2] + "0000", origin[:2] + "0000")
        if found.pairing_id is not None:
            pairing = loaded.get_one(Pairing, found.pairing_id)
            assert pairing.valid.contains(on)
            assert funding.startswith(pairing.east_code.rstrip("0")) or pairing.east_code == funding
            assert origin.startswith(pairing.west_code.rstrip("0")) or pairing.west_code == origin
