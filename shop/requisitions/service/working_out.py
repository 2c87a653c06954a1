"""What a saved list comes to for so many heads and meals: packs of each listing, or of what takes its place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from shop.orders.schemas import LineIn
from shop.orders.service import judging
from shop.requisitions.models_lists import RequisitionListLine
from shop.requisitions.schemas_lists import PassedOver, WorkedLine
from shop.stock.queries import open_packs


@dataclass
class Shelf:
    """The listings of a list as they are on a day, and the packs that are left of each while lines are worked out."""

    on: date
    listings: Mapping[UUID, Any]
    left: dict[UUID, int] = field(default_factory=dict)


def shelf_of(session: Session, lines: Sequence[RequisitionListLine], *, on: date) -> Shelf:
    """Read everything that a list names, in two statements."""
    ids = [key for line in lines for key in (line.listing_id, *line.substitutes)]
    return Shelf(on, judging.listings_of(session, ids, on), open_packs(session, ids, on=on))


def needed_grams(*, heads: int, meals: int, grams_per_meal: int, yield_percent: int) -> int:
    """Grams to buy so that every head has the grams on the plate, rounded up to the gram.

    86 heads × 20 meals × 150 g at a yield of 85 % are 258,000 g / 0.85 = 303,530 g.
    """
    return -(-heads * meals * grams_per_meal * 100 // yield_percent)


def grams_of_pack(listing: Any) -> int:
    """What a pack holds: its net weight, or where it is counted in pieces, its whole weight."""
    return int(listing.pack_base_quantity if listing.base_unit == "g" else listing.pack_grams)


def packs_for(listing: Any, grams: int) -> int:
    """The fewest packs that hold so many grams and may be ordered: at least the minimum, in whole steps from it."""
    packs = max(listing.min_packs, -(-grams // grams_of_pack(listing)))
    return int(listing.min_packs + -(-(packs - listing.min_packs) // listing.step_packs) * listing.step_packs)


def work_out(shelf: Shelf, lines: Sequence[RequisitionListLine], *, heads: int, meals: int) -> list[WorkedLine]:
    """Every line with the first of its listings that can be ordered, whose supply is taken off the shelf."""
    return [work_out_line(shelf, place, line, heads * meals) for place, line in enumerate(lines)]


def work_out_line(shelf: Shelf, place: int, line: RequisitionListLine, portions: int) -> WorkedLine:
    grams = None
    if line.grams_per_meal is not None and line.yield_percent is not None:
        grams = needed_grams(
            heads=portions, meals=1, grams_per_meal=line.grams_per_meal, yield_percent=line.yield_percent
        )
    elif line.packs is not None and (own := shelf.listings.get(line.listing_id)) is not None:
        grams = line.packs * grams_of_pack(own)
    passed: list[PassedOver] = []
    for key in (line.listing_id, *line.substitutes):
        listing = shelf.listings.get(key)
        if listing is None or grams is None:
            passed.append(PassedOver(listing_id=key, code="not_listed", detail="this listing is not on sale"))
            continue
        packs = line.packs if line.packs and key == line.listing_id else packs_for(listing, grams)
        why = what_holds(shelf, key, packs)
        if why is None:
            shelf.left[key] -= packs
            return WorkedLine(
                place=place,
                listing_id=key,
                quantity=packs,
                instead_of=None if key == line.listing_id else line.listing_id,
                needed_grams=grams,
                comes_to_grams=packs * grams_of_pack(listing),
                passed_over=passed,
            )
        passed.append(why)
    return WorkedLine(
        place=place, listing_id=None, quantity=None, instead_of=None, needed_grams=grams, comes_to_grams=None,
        passed_over=passed,
    )  # fmt: skip


def what_holds(shelf: Shelf, listing_id: UUID, packs: int) -> PassedOver | None:
    """Why so many packs of a listing cannot be ordered, or None."""
    _, faults = judging.judge_by(
        shelf.listings, [LineIn.model_construct(listing_id=listing_id, quantity=packs)], shelf.on
    )
    if faults:
        return PassedOver(listing_id=listing_id, code=faults[0]["code"], detail=faults[0]["detail"])
    left = shelf.left.get(listing_id, 0)
    if left < packs:
        return PassedOver(listing_id=listing_id, code="not_enough_supply", detail=f"{left} packs are there")
    return None
