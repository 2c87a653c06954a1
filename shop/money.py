"""Money is integer fen, quantity is integer base units (grams or pieces); here are the few sums that divide."""

from collections.abc import Sequence

MAX_FEN = 10**15  # 10 trillion yuan: above any sum of the field, far below what a bigint holds
MAX_QUANTITY = 10**12


def half_up(numerator: int, denominator: int) -> int:
    """numerator / denominator to the nearest whole, a half away from zero."""
    sign = -1 if numerator < 0 else 1
    return sign * ((2 * abs(numerator) + denominator) // (2 * denominator))


def split(total: int, weights: Sequence[int]) -> list[int]:
    """Deal `total` out by `weights`, by largest remainder (the earlier place wins a tie).

    The parts sum to the total exactly and each lies within one of its exact share. Weights that sum to zero share
    alike; a negative weight is a mistake of the caller (ValueError).
    """
    if not weights:
        raise ValueError("nothing to split over")
    if any(weight < 0 for weight in weights):
        raise ValueError("a weight is negative")
    whole = sum(weights)
    if whole == 0:
        weights, whole = [1] * len(weights), len(weights)
    sign, amount = (-1, -total) if total < 0 else (1, total)
    parts = [amount * weight // whole for weight in weights]
    remainders = [amount * weight % whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda place: (-remainders[place], place))
    for place in by_remainder[: amount - sum(parts)]:
        parts[place] += 1
    return [sign * part for part in parts]


def yuan(fen: int) -> str:
    """1234567 fen as `12,345.67`."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100:,}.{abs(fen) % 100:02d}"
