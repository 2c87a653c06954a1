"""Identities."""

import time
from concurrent.futures import ThreadPoolExecutor

from shop import ids


def test_ids_rise_in_the_order_in_which_they_were_asked_for() -> None:
    made = [ids.new_id() for _ in range(20_000)]
    assert made == sorted(made)


def test_ids_asked_for_together_rise_and_stand_between_those_before_and_after() -> None:
    before, made, after = ids.new_id(), ids.new_ids(5_000), ids.new_id()
    assert [before, *made, after] == sorted({before, *made, after})
    assert {key.version for key in made} == {7}
    assert ids.new_ids(0) == []


def test_ids_are_version_seven_and_tell_their_millisecond() -> None:
    before = time.time_ns() // 1_000_000
    made = ids.new_id()
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert 0 <= (made.int >> 80) - before < 1000


def test_threads_never_get_the_same_id() -> None:
    with ThreadPoolExecutor(4) as pool:
        made = [key for part in pool.map(lambda _: [ids.new_id() for _ in range(2_000)], range(8)) for key in part]
    assert len(set(made)) == len(made)


def test_a_clock_that_goes_back_does_not_take_the_order_with_it(monkeypatch) -> None:
    first = ids.new_id()
    monkeypatch.setattr(ids.time, "time_ns", lambda: 0)
    assert ids.new_id() > first
