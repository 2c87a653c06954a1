"""Deal scarce goods to order lines by a declared rule: in whole packs, and nobody gets more than was wanted."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from uuid import UUID

from shop.stock.models_allocations import Rule


@dataclass(frozen=True)
class Claim:
    """What a line holds: so many packs of so many base units. `paired`: buyer and county belong to a pairing."""

    line_id: UUID
    packs: int
    pack: int
    paired: bool = False

    @property
    def quantity(self) -> int:
        return self.packs * self.pack


def share(rule: Rule, available: int, claims: Sequence[Claim]) -> dict[UUID, int]:
    """How many packs each line gets of `available` base units.

    Pro rata: each the same part of what it wanted, to whole packs by largest remainder. Paired first: the same, among
    the paired lines before the others. Small first: the smallest are filled whole, one after the other. What is too
    little for another pack of anybody is left over.
    """
    ordered = sorted(claims, key=lambda claim: claim.line_id)
    match rule:
        case Rule.PRO_RATA:
            return pro_rata(available, ordered)
        case Rule.PAIRED_FIRST:
            first = pro_rata(available, [claim for claim in ordered if claim.paired])
            spent = sum(first[claim.line_id] * claim.pack for claim in ordered if claim.paired)
            return first | pro_rata(available - spent, [claim for claim in ordered if not claim.paired])
        case Rule.SMALL_FIRST:
            given = {}
            for claim in sorted(ordered, key=lambda claim: (claim.quantity, claim.line_id)):
                given[claim.line_id] = min(claim.packs, available // claim.pack)
                available -= given[claim.line_id] * claim.pack
            return given


def pro_rata(available: int, claims: Sequence[Claim]) -> dict[UUID, int]:
    wanted = sum(claim.quantity for claim in claims)
    if wanted <= available:
        return {claim.line_id: claim.packs for claim in claims}
    exact = {claim.line_id: Fraction(available * claim.packs, wanted) for claim in claims}
    given = {key: int(part) for key, part in exact.items()}
    left = available - sum(given[claim.line_id] * claim.pack for claim in claims)
    for claim in sorted(claims, key=lambda claim: (given[claim.line_id] - exact[claim.line_id], claim.line_id)):
        if claim.pack <= left and given[claim.line_id] < claim.packs:
            given[claim.line_id] += 1
            left -= claim.pack
    return given
