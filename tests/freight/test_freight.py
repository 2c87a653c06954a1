"""The one freight price: to the fen, by the lane in force, in one statement."""

from datetime import date

import pytest
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shop.errors import Invalid
from shop.factfile import rows
from shop.freight.service import NoLane, Parcel, load_hubs, load_lanes, quote
from tests import builders as a
from tests.catalogue.market import statements

DAY = date(2024, 10, 15)


def one(session: Session, grams: int, storage: str = "ambient", on: date = DAY) -> int:
    parcel = Parcel("it", a.LUOCHUAN, storage, grams)
    return quote(session, parcels=[parcel], to_code=a.HUANGPU, on=on)["it"].fen


@pytest.mark.parametrize(
    ("grams", "fen"),
    [
        (1, 2000),
        (33_333, 2000),
        (33_350, 2001),
        (33_341, 2000),
        (33_342, 2001),
        (1_000_000, 60_000),
        (10**9, 6 * 10**7),
    ],
)
def test_freight_is_by_weight_half_up_and_never_below_its_minimum(session: Session, grams: int, fen: int) -> None:
    a.a_lane(session)
    assert one(session, grams) == fen


def test_the_lane_in_force_on_the_day_counts(session: Session) -> None:
    a.a_lane(session, valid=Range(date(2016, 1, 1), DAY))
    a.a_lane(session, valid=Range(DAY, None), rate_fen_per_tonne=90_000)
    assert one(session, 10**6, on=date(2024, 10, 14)) == 60_000
    assert one(session, 10**6, on=DAY) == 90_000


def test_every_parcel_that_cannot_be_carried_is_named(session: Session) -> None:
    a.a_lane(session)
    parcels = [
        Parcel(1, a.LUOCHUAN, "ambient", 1),
        Parcel(2, a.LUOCHUAN, "frozen", 1),
        Parcel(3, a.YANCHI, "ambient", 1),
    ]
    with pytest.raises(NoLane) as refused:
        quote(session, parcels=parcels, to_code=a.HUANGPU, on=DAY)
    assert refused.value.facts["lanes"] == [
        {"from": "610000", "to": "310000", "storage": "frozen"},
        {"from": "640000", "to": "310000", "storage": "ambient"},
    ]


def test_many_parcels_cost_one_statement(session: Session) -> None:
    lanes = [a.a_lane(session, storage=storage) for storage in ("ambient", "chilled", "frozen")]
    parcels = [Parcel(n, a.LUOCHUAN, lanes[n % 3].storage, n + 1) for n in range(30)]
    with statements() as sent:
        found = quote(session, parcels=parcels, to_code=a.HUANGPU, on=DAY)
    assert (len(sent), len(found)) == (1, 30)
    assert {found[n].lane_id for n in range(30)} == {lane.id for lane in lanes}


def test_two_lanes_of_one_way_never_overlap(session: Session) -> None:
    a.a_lane(session)
    with pytest.raises(IntegrityError):
        a.a_lane(session, valid=Range(DAY, None))
    session.rollback()


def test_hubs_and_lanes_load_once(session: Session) -> None:
    hubs, lanes = rows("shop.demo", "hubs.csv"), rows("shop.demo", "lanes.csv")
    assert load_hubs(session, hubs).added == len(hubs)
    assert load_lanes(session, lanes).added == 3 * len(lanes)
    assert load_hubs(session, hubs).unchanged == len(hubs)
    assert load_lanes(session, lanes).unchanged == 3 * len(lanes)


LANE = {
    "from_province_code": "610000", "to_province_code": "310000", "distance_km": "1400", "days": "3",
    "rate_fen_per_tonne_ambient": "60000", "rate_fen_per_tonne_chilled": "90000", "rate_fen_per_tonne_frozen": "99000",
    "minimum_fen": "2000", "source": "assumed", "valid_from": "2020-01-01",
}  # fmt: skip


def test_a_new_rate_ends_the_one_before_and_a_row_of_the_same_day_corrects_it(session: Session) -> None:
    load_lanes(session, [LANE])
    dearer = LANE | {"valid_from": "2024-10-01", "rate_fen_per_tonne_ambient": "70000"}
    assert str(load_lanes(session, [dearer])) == "3 added, 3 changed, 0 unchanged"
    tonne = 1_000_000
    assert (one(session, tonne, on=date(2024, 9, 30)), one(session, tonne)) == (60_000, 70_000)
    corrected = dearer | {"rate_fen_per_tonne_ambient": "71000"}
    assert str(load_lanes(session, [corrected])) == "0 added, 1 changed, 5 unchanged"
    assert (one(session, tonne, on=date(2024, 9, 30)), one(session, tonne)) == (60_000, 71_000)
    between = LANE | {"valid_from": "2022-01-01", "rate_fen_per_tonne_ambient": "65000"}
    load_lanes(session, [between])
    days = (date(2021, 12, 31), date(2022, 1, 1), date(2024, 9, 30), DAY)
    assert [one(session, tonne, on=day) for day in days] == [60_000, 65_000, 65_000, 71_000]


def test_bad_rows_of_lanes_are_named_by_row_and_column_and_nothing_is_loaded(session: Session) -> None:
    bad = [LANE, LANE | {"days": "0"}, LANE | {"valid_from": "soon", "minimum_fen": "-1"}, {}]
    with pytest.raises(Invalid) as refused:
        load_lanes(session, bad)
    pointers = [fault["pointer"] for fault in refused.value.errors]
    assert pointers[:4] == ["/lanes/1/days", "/lanes/1/valid_from", "/lanes/2/valid_from", "/lanes/2/minimum_fen"]
    assert "/lanes/3/source" in pointers
    with pytest.raises(NoLane):
        one(session, 1)
