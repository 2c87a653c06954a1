"""The simulated carrier: what it will report follows from the shipment's id."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from shop.clock import BEIJING
from shop.ids import new_id
from shop.logistics.carriers import CARRIERS, Taken, Trip, WrongCarrier
from shop.logistics.models import TrackingKind
from tests.builders import NOW


def a_trip(number: int = 1, days: int = 3, shipped_at: datetime = NOW) -> Trip:
    return Trip(UUID(int=number), shipped_at, days, "洛川县", "陕西省", "上海市", "黄浦区")


def taken(trip: Trip) -> Taken:
    return CARRIERS["simulated"].take(trip, None)


def late(found: Taken) -> int:
    """By how many days it comes after the promise."""
    behind = found.plan[-1].at - found.due_at
    return (behind + timedelta(days=1)).days


def test_the_same_shipment_always_travels_alike_and_another_does_not() -> None:
    assert taken(a_trip(7)) == taken(a_trip(7))
    assert taken(a_trip(7)).waybill != taken(a_trip(8)).waybill
    assert len({taken(a_trip(number)).plan[-1].at for number in range(50)}) > 25


@pytest.mark.parametrize("days", [1, 2, 5, 9])
@pytest.mark.parametrize("hour", range(0, 24, 5))
def test_words_come_in_order_and_end_with_the_delivery_in_working_hours(days: int, hour: int) -> None:
    for number in range(1, 120):
        found = taken(a_trip(number, days, datetime(2024, 10, 15, hour, 59, 59, 999_999, tzinfo=UTC)))
        instants = [planned.at for planned in found.plan]
        assert instants == sorted(set(instants))
        assert instants[0] > datetime(2024, 10, 15, hour, 59, 59, tzinfo=UTC)
        kinds = [planned.kind for planned in found.plan]
        expected = ["picked_up", "at_hub", "at_hub", "out_for_delivery", "delivered"]
        assert [kind for kind in kinds if kind is not TrackingKind.DELAYED] == expected
        assert 9 <= found.plan[-1].at.astimezone(BEIJING).hour < 17
        assert len({planned.ref for planned in found.plan}) == len(found.plan)
        assert late(found) == (0 if TrackingKind.DELAYED not in kinds else int(note_of(found).split()[2]))


def note_of(found: Taken) -> str:
    (note,) = [planned.note for planned in found.plan if planned.note]
    return note


def test_about_one_in_twenty_five_is_late_by_one_to_three_days() -> None:
    counted = Counter(late(taken(a_trip(number))) for number in range(1, 5001))
    assert set(counted) == {0, 1, 2, 3}
    assert 150 <= 5000 - counted[0] <= 250


def test_an_own_carrier_plans_nothing_and_promises_the_end_of_the_day() -> None:
    found = CARRIERS["own"].take(a_trip(days=3), "SF123")
    assert found == Taken("SF123", datetime(2024, 10, 18, 18, 0, tzinfo=BEIJING), ())


@pytest.mark.parametrize(("carrier", "waybill"), [("own", None), ("simulated", "SF123")])
def test_each_carrier_wants_its_own_kind_of_waybill(carrier: str, waybill: str | None) -> None:
    with pytest.raises(WrongCarrier) as refused:
        CARRIERS[carrier].take(a_trip(), waybill)
    assert refused.value.errors[0]["pointer"] == "/waybill"


def test_production_ships_nothing_by_a_carrier_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    from shop.logistics import carriers

    monkeypatch.setattr(carriers, "settings", lambda: type("Settings", (), {"env": "production"}))
    with pytest.raises(WrongCarrier) as refused:
        taken(a_trip())
    assert refused.value.errors[0]["pointer"] == "/carrier"


def test_a_waybill_has_a_fixed_form() -> None:
    number = taken(Trip(new_id(), NOW, 3, "a", "b", "c", "d")).waybill
    assert (len(number), number[:3], number[3:].isdigit()) == (22, "SIM", True)
