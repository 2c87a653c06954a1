"""Price lines: by tier, or by what was agreed with the buyer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID


class Basis(StrEnum):
    """What a price rests on; a later one beats those before it."""

    TIER = "tier"
    AGREEMENT = "agreement"
    QUOTE = "quote"


RANK = list(Basis)


@dataclass(frozen=True)
class Offer:
    """A price a pack that was agreed with one buyer for one listing and holds today.

    `under` is the agreement or quote, `line` the part of it that names the listing, `pack` what the pack held when it
    was agreed. `packs_left` are those of this line and `fen_left` the money of all lines; None is no limit.
    """

    basis: Basis
    under: UUID
    line: UUID
    unit_fen: int
    pack: int
    packs_left: int | None = None
    fen_left: int | None = None

    def covers(self, packs: int, *, pack: int, spent_fen: int) -> bool:
        """Whether so many packs of this size are within its limits, after so much was spent of it before."""
        return (
            self.pack == pack
            and (self.packs_left is None or packs <= self.packs_left)
            and (self.fen_left is None or spent_fen + packs * self.unit_fen <= self.fen_left)
        )


@dataclass(frozen=True)
class Choice:
    """The price of a pack, and the offer that it rests on; None is the tier."""

    unit_fen: int
    offer: Offer | None = None

    @property
    def basis(self) -> Basis:
        return Basis.TIER if self.offer is None else self.offer.basis


def choose(
    tiers: Sequence[Sequence[int]],
    packs: int,
    offers: Sequence[Offer] = (),
    *,
    pack: int = 1,
    spent: Mapping[UUID, int] | None = None,
) -> Choice:
    """The price of a pack in a line of so many: of a quote before an agreement before the tier.

    `spent`: what earlier lines of the same order draw on each agreement, in fen.
    """
    if not offers:
        return Choice(unit_price(tiers, packs))
    taken = spent or {}
    fitting = [each for each in offers if each.covers(packs, pack=pack, spent_fen=taken.get(each.under, 0))]
    if not fitting:
        return Choice(unit_price(tiers, packs))
    best = min(fitting, key=lambda each: (-RANK.index(each.basis), each.unit_fen, each.under))
    return Choice(best.unit_fen, best)


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


def offers_of(told: Sequence[Mapping[str, Any]] | None) -> list[Offer]:
    """The offers that a statement gave as JSON objects."""
    return [
        Offer(
            Basis(each["basis"]),
            UUID(each["under"]),
            UUID(each["line"]),
            each["unit_fen"],
            each["pack"],
            each["packs_left"],
            each["fen_left"],
        )
        for each in told or ()
    ]
