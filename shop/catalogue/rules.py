"""Which changes of a listing that is on sale must be reviewed again: one table, by field, from the day it holds.

Everything that a reviewer looked at stands in it; a field that is in no table cannot be changed.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from enum import StrEnum


class Again(StrEnum):
    """When a change of a field needs another review."""

    ALWAYS = "always"
    WHEN_DEARER = "when_dearer"
    """When at some quantity the price is more than `RISES` above the reviewed one; any cut may be made."""
    WHEN_BEYOND = "when_beyond"
    """When more may be ordered than before, and that is beyond what the seller declared for a year."""
    WHEN_OTHERS = "when_others"
    """When others are shown than before; in another order they may stand."""
    NEVER = "never"


PRODUCT: Mapping[str, Again] = {
    "name": Again.ALWAYS,
    "name_en": Again.ALWAYS,
    "category": Again.ALWAYS,
    "origin_code": Again.ALWAYS,
    "storage": Again.ALWAYS,
    "shelf_life_days": Again.ALWAYS,
    "grade": Again.ALWAYS,
    "variety": Again.ALWAYS,
    "spec": Again.ALWAYS,
    "standard": Again.ALWAYS,
    "acceptance": Again.ALWAYS,
    "photos": Again.WHEN_OTHERS,
}
"""What a product says. A change sends every listing of it that is on sale to review."""

LISTING: Mapping[str, Again] = {
    "tiers": Again.WHEN_DEARER,
    "price_from": Again.NEVER,
    "price_to": Again.NEVER,
    "min_packs": Again.NEVER,
    "step_packs": Again.NEVER,
    "max_packs": Again.WHEN_BEYOND,
    "season_from": Again.NEVER,
    "season_to": Again.NEVER,
}
"""What a listing says. Its pack is for ever: another pack is another listing."""

RULES: Sequence[tuple[date, Mapping[str, Again]]] = ((date(1996, 1, 1), {**PRODUCT, **LISTING}),)
"""From which day on which table holds; the last that has begun."""
RISES: Sequence[tuple[date, int]] = ((date(1996, 1, 1), 10),)
"""From which day on a price may rise without review by how many per cent above the reviewed one."""

Tiers = Sequence[Sequence[int]]


def needs_review(
    fields: Collection[str], *, reviewed: Tiers, wanted: Tiers, grows: bool, beyond: bool, on: date, others: bool = True
) -> list[str]:
    """Those of the changed fields that send a listing to review on a day.

    `reviewed` and `wanted` are its tiers as last reviewed and as they shall be; `grows` whether more may be ordered
    than before, `beyond` whether that is more than was declared for a year; `others` whether other photos are shown.
    """
    rules = [table for begins, table in RULES if begins <= on][-1]
    dearer = not stays_listed(reviewed, wanted, on)
    because = {
        Again.ALWAYS: True,
        Again.WHEN_DEARER: dearer,
        Again.WHEN_BEYOND: grows and beyond,
        Again.WHEN_OTHERS: others,
        Again.NEVER: False,
    }
    return [name for name in fields if because[rules[name]]]


def stays_listed(reviewed: Tiers, wanted: Tiers, on: date) -> bool:
    """Whether new tiers may stand without a review: at every quantity no dearer than the rise of the day allows.

    Compared with what was last reviewed, not with what was last shown, so that small rises do not add up unseen.
    """
    rise = [percent for begins, percent in RISES if begins <= on][-1]
    return all(
        100 * price_at(wanted, packs) <= (100 + rise) * price_at(reviewed, packs)
        for packs in {tier[0] for tier in (*reviewed, *wanted)}
    )


def price_at(tiers: Tiers, packs: int) -> int:
    return next((fen for minimum, fen in reversed(tiers) if minimum <= packs), tiers[0][1])
