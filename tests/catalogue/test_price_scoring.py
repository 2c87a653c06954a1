"""The arithmetic of price checks: exact, the same for every pack, and not moved by one wild price."""

from statistics import median_high
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from shop.catalogue.monitoring.scoring import (
    THOUSAND_PIECES,
    TONNE,
    Pack,
    Peers,
    measure,
    weighted_middle,
)

PRICES = st.integers(1, 10**9)
COUNTS = st.integers(1, 10**5)


def others(*prices: int) -> Peers:
    return Peers({UUID(int=place): [price] for place, price in enumerate(prices, 1)})


@given(PRICES, st.integers(1, 10**6), COUNTS, st.integers(1, 10**9), st.integers(1, 500))
def test_a_verdict_is_the_same_for_every_size_of_pack(
    price: int, quantity: int, times: int, base: int, percent: int
) -> None:
    one, many = (Pack(price * n, "g", quantity * n, quantity * n) for n in (1, times))
    assert one.unit_fen() == many.unit_fen()
    limit = base * (100 + percent)
    small, large = (measure(pack, TONNE, base_fen=base, limit_hundredths=limit) for pack in (one, many))
    assert (small.above, small.percent_above) == (large.above, large.percent_above)


@given(PRICES, st.integers(1, 10**6), COUNTS, st.integers(1, 10**9), st.integers(1, 500))
def test_a_verdict_is_the_same_by_weight_and_by_the_piece(
    price: int, grams: int, pieces: int, base: int, percent: int
) -> None:
    by_weight, by_piece = Pack(price, "g", grams, grams + 50), Pack(price, "piece", pieces, grams)
    assert by_weight.unit_fen() == by_piece.unit_fen()
    limit = base * (100 + percent)
    assert measure(by_weight, TONNE, base_fen=base, limit_hundredths=limit) == measure(
        by_piece, TONNE, base_fen=base, limit_hundredths=limit
    )


@given(PRICES, st.integers(1, 10**6), st.integers(1, 10**9), st.integers(1, 500))
def test_the_limit_is_the_highest_price_of_the_pack_that_is_not_above(
    price: int, quantity: int, base: int, percent: int
) -> None:
    held = measure(Pack(price, "g", quantity, quantity), TONNE, base_fen=base, limit_hundredths=base * (100 + percent))
    assert held.above == (price * 100 * 1_000_000 > base * (100 + percent) * quantity)
    assert held.above == (price > held.limit_fen)


def test_goods_sold_by_weight_have_no_price_of_a_thousand_pieces() -> None:
    assert Pack(100, "g", 500, 500).unit_fen(THOUSAND_PIECES) is None
    assert Pack(100, "piece", 30, 1800).unit_fen(THOUSAND_PIECES) == 3333


@given(st.lists(PRICES, min_size=1, max_size=40), st.integers(0, 40))
def test_median_and_deviation_are_those_of_the_others_counted_out(prices: list[int], who: int) -> None:
    found = others(*prices).without(UUID(int=who))
    rest = [price for place, price in enumerate(prices, 1) if place != who]
    if not rest:
        assert found is None
        return
    assert found is not None
    median = median_high(rest)
    assert (found.count, found.median_fen) == (len(rest), median)
    assert found.mad_fen == median_high(abs(price - median) for price in rest)
    assert found.closest == sorted(rest)


@given(st.integers(1, 10**9), st.lists(st.integers(-5, 5), min_size=4, max_size=30), st.integers(1, 10**12))
def test_one_wild_price_among_honest_ones_changes_no_verdict(base: int, spread: list[int], wild: int) -> None:
    honest = [base * 100 * (100 + percent) // 100 for percent in spread]
    found = others(*honest, wild).without(UUID(int=0))
    assert found is not None
    limit = max(found.median_fen * 130, 100 * found.median_fen + 519 * found.mad_fen)
    fair, doubled = (
        measure(
            Pack(base * 100 * n, "g", 1_000_000, 1_000_000), TONNE, base_fen=found.median_fen, limit_hundredths=limit
        )
        for n in (1, 2)
    )
    assert (fair.above, doubled.above) == (False, True)


def test_a_cooperative_counts_once_however_many_listings_it_has() -> None:
    flood = Peers({UUID(int=1): [900] * 50, UUID(int=2): [100], UUID(int=3): [110], UUID(int=4): [120]})
    found = flood.without(UUID(int=9))
    assert found is not None
    assert (found.count, found.closest, found.median_fen) == (4, [100, 110, 120, 900], 120)


def test_of_many_prices_the_hundred_around_the_median_are_shown() -> None:
    found = others(*range(1, 302)).without(UUID(int=0))
    assert found is not None
    assert (found.count, found.median_fen, found.closest) == (301, 151, list(range(101, 201)))


def test_a_short_bargain_does_not_move_the_own_price() -> None:
    assert weighted_middle([(400, 30), (100, 2), (420, 20)]) == 400
    assert weighted_middle([(400, 0)]) is None
    assert weighted_middle([]) is None
