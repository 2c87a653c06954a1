"""The arithmetic of a check, in whole numbers: unit prices, limits, and a middle that no wild price moves far."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

TONNE, THOUSAND_PIECES = "tonne", "thousand_pieces"
SIZE = {TONNE: 1_000_000, THOUSAND_PIECES: 1_000}  # in grams, in pieces


class Pack(NamedTuple):
    """What a listing sells, and for how much."""

    price_fen: int
    base_unit: str
    base_quantity: int
    grams: int

    def quantity(self, per: str) -> int | None:
        """How many grams or pieces of `per` the pack holds, or None when that is not known.

        Goods sold by weight are measured net; goods sold by the piece by the weight of the pack.
        """
        if per == TONNE:
            return self.base_quantity if self.base_unit == "g" else self.grams
        return self.base_quantity if self.base_unit == "piece" else None

    def unit_fen(self, per: str = TONNE) -> int | None:
        """Fen for a tonne or a thousand pieces, rounded half up to a whole fen; packs of one unit price agree."""
        quantity = self.quantity(per)
        return None if quantity is None else (2 * self.price_fen * SIZE[per] + quantity) // (2 * quantity)


class Measure(NamedTuple):
    """How a price stands to a base: by how many whole per cent it is above (or, negative, below), and its limit."""

    percent_above: int
    limit_fen: int
    above: bool


def measure(pack: Pack, per: str, *, base_fen: int, limit_hundredths: int) -> Measure:
    """Hold a pack against a limit, given in hundredths of a fen per tonne or thousand pieces.

    `limit_fen` is the highest price of the pack within the limit, exactly: no rounding decides.
    """
    quantity = pack.quantity(per)
    assert quantity is not None
    limit_fen = limit_hundredths * quantity // (100 * SIZE[per])
    percent_above = 100 * pack.price_fen * SIZE[per] // (base_fen * quantity) - 100
    return Measure(percent_above, limit_fen, pack.price_fen > limit_fen)


def middle(ordered: Sequence[int]) -> int:
    """The median of sorted numbers; of two in the middle the higher, which favours the seller."""
    return ordered[len(ordered) // 2]


@dataclass(frozen=True)
class Others:
    """The prices of the other cooperatives, one of each; `closest` are at most so many of them, by price."""

    count: int
    median_fen: int
    mad_fen: int
    closest: list[int]


SHOWN = 100


class Peers:
    """The unit prices of one good, for which each cooperative counts once, with the middle of its own prices."""

    def __init__(self, prices: Mapping[UUID, Iterable[int]]) -> None:
        self.of = {cooperative: middle(sorted(own)) for cooperative, own in prices.items()}
        self.ordered = sorted(self.of.values())
        self.known: dict[UUID, Others | None] = {}

    def without(self, cooperative: UUID) -> Others | None:
        """The others than this cooperative, with the median and the median absolute deviation; None for none."""
        if cooperative not in self.known:
            self.known[cooperative] = self._without(self.of.get(cooperative))
        return self.known[cooperative]

    def _without(self, own: int | None) -> Others | None:
        ordered = self.ordered
        skipped = len(ordered) if own is None else bisect_left(ordered, own)
        count = len(ordered) - (own is not None)
        if not count:
            return None
        half = count // 2
        median = ordered[half + (half >= skipped)]

        def within(distance: int) -> int:
            found = bisect_right(ordered, median + distance) - bisect_left(ordered, median - distance)
            return found - (own is not None and abs(own - median) <= distance)

        # The deviation of rank `half` is the least distance within which more than `half` of the prices lie.
        low, high = 0, max(ordered[-1] - median, median - ordered[0])
        while low < high:
            distance = (low + high) // 2
            if within(distance) > half:
                high = distance
            else:
                low = distance + 1
        start = max(0, min(half - SHOWN // 2, count - SHOWN))
        closest = [ordered[i + (i >= skipped)] for i in range(start, min(start + SHOWN, count))]
        return Others(count, median, low, closest)


def weighted_middle(spans: Iterable[tuple[int, int]]) -> int | None:
    """The price at which half of the time was spent at or below; spans are (price, how long)."""
    ordered = sorted(span for span in spans if span[1] > 0)
    total, passed = sum(length for _, length in ordered), 0
    for price, length in ordered:
        passed += length
        if 2 * passed >= total:
            return price
    return None
