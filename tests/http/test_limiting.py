"""Limits on requests."""

from shop.http import limiting


def test_a_caller_may_ask_so_often_a_minute_and_is_told_how_long_to_wait(monkeypatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(limiting.time, "monotonic", lambda: clock[0])
    counters = limiting.Counters()
    assert [counters.hit("address", "a", 2) for _ in range(3)] == [None, None, 60.0]
    assert counters.hit("address", "b", 2) is None
    clock[0] += 45
    assert counters.hit("address", "a", 2) == 15.0
    clock[0] += 15
    assert counters.hit("address", "a", 2) is None
