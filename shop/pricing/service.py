"""Price lines by tier."""

from collections.abc import Sequence


def unit_price(tiers: Sequence[Sequence[int]], packs: int) -> int:
    """The price per pack, in fen, for so many packs: the last tier whose minimum they reach.

    `tiers` are `[from packs, fen]`, rising; packs below the first tier pay the first tier's price.
    """
    price = tiers[0][1]
    for minimum, fen in tiers:
        if packs < minimum:
            break
        price = fen
    return price
