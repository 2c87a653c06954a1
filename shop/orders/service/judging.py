"""Judge lines as they are ordered: what holds them, and what a pack costs where nothing does."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shop.agreements.queries import OFFERED
from shop.catalogue.models import ListingStatus
from shop.errors import Invalid
from shop.http.parsing import fault
from shop.ids import new_id
from shop.orders.schemas import LineIn, OrderLineIn, PlaceOrder
from shop.pricing.service import Basis, Offer, choose, offers_of


class NotOrderable(Invalid):
    """A line cannot be ordered as it stands; each is named with its reason and what is allowed."""

    code, status = "not_orderable", 409
    title, title_zh = "Some lines cannot be ordered as they are.", "部分商品暂不可按此订购。"


@dataclass
class Priced:
    """A line on its way into the order. `offer` is the agreement or quote that its price rests on; None is the tier."""

    id: UUID
    place: int
    listing: Any
    packs: int
    unit_fen: int
    offer: Offer | None = None
    freight_fen: int = 0

    @property
    def goods_fen(self) -> int:
        return self.packs * self.unit_fen

    @property
    def basis(self) -> Basis:
        return Basis.TIER if self.offer is None else self.offer.basis

    @property
    def agreement_id(self) -> UUID | None:
        return self.offer.under if self.offer is not None and self.offer.basis is Basis.AGREEMENT else None

    @property
    def quote_id(self) -> UUID | None:
        return self.offer.under if self.offer is not None and self.offer.basis is Basis.QUOTE else None

    @property
    def grams(self) -> int:
        return self.packs * int(self.listing.pack_grams)


ORDERABLE = (ListingStatus.LISTED, ListingStatus.PAUSED)
"""A pause follows the seller's right a moment later; here the right itself is asked."""

LISTINGS = text(
    f"""
    WITH {OFFERED}
    SELECT l.id, l.status, l.revision, l.product_id, l.cooperative_id, l.pack_name, l.base_unit, l.pack_base_quantity,
           l.pack_grams, l.min_packs, l.step_packs, l.max_packs, l.tiers, l.price_from, l.price_to,
           l.season_from, l.season_to, l.category,
           l.storage, l.origin_code, p.shelf_life_days, p.name, p.name_en, p.spec, p.grade,
           o.name AS cooperative_name, o.status AS cooperative_status,
           o.selling_until,
           CASE WHEN o.kind = 'agent'
                THEN agent_mandate_of(o.id, p.mandate_id, p.name, CAST(:on AS date)) IS NULL
                ELSE false END AS unmandated,
           f.offers
    FROM listing l JOIN product p ON p.id = l.product_id JOIN organisation o ON o.id = l.cooperative_id
    LEFT JOIN offered f ON f.listing_id = l.id
    WHERE l.id = ANY(:ids)
    """  # noqa: S608 - a statement of our own in two parts
)


def in_season(first: int, last: int, month: int) -> bool:
    """Whether a month lies in a season, which may run over the new year."""
    return first <= month <= last if first <= last else month >= first or month <= last


def price(session: Session, wanted: PlaceOrder, today: date, *, buyer: UUID) -> list[Priced]:
    """The lines with their listings and unit prices; NotOrderable names every line that cannot be ordered."""
    lines, faults = judge(session, wanted.lines, today, buyer=buyer)
    if faults:
        raise NotOrderable(errors=faults)
    return lines


def judge(
    session: Session, wanted: Sequence[LineIn], today: date, *, buyer: UUID | None = None
) -> tuple[list[Priced], list[dict[str, Any]]]:
    """The lines that can be ordered today, priced, and what holds the others, each with the pointer of its line.

    With a buyer the prices are those that were agreed with it, where there are any.
    """
    return judge_by(listings_of(session, [line.listing_id for line in wanted], today, buyer=buyer), wanted, today)


def listings_of(session: Session, ids: Sequence[UUID], today: date, *, buyer: UUID | None = None) -> dict[UUID, Any]:
    """What orders are judged by, of these listings as they are on a day, with what was agreed with a buyer."""
    return {row.id: row for row in session.execute(LISTINGS, {"ids": ids, "on": today, "buyer": buyer})}


def judge_by(
    found: Mapping[UUID, Any], wanted: Sequence[LineIn], today: date
) -> tuple[list[Priced], list[dict[str, Any]]]:
    """The same by listings that were read before."""
    lines: list[Priced] = []
    faults: list[dict[str, Any]] = []
    seen: set[UUID] = set()
    spent: Counter[UUID] = Counter()

    for place, line in enumerate(wanted):
        listing = found.get(line.listing_id)
        pointer = f"/lines/{place}"

        def no(name: str, code: str, detail: str, at: str = pointer, **facts: Any) -> None:
            faults.append(fault(f"{at}/{name}", code, detail) | facts)

        if listing is None or listing.status not in ORDERABLE:
            no("listing_id", "not_listed", "this listing is not on sale")
            continue
        if listing.cooperative_status != "active" or listing.selling_until is None or listing.selling_until <= today:
            no("listing_id", "not_selling", "its seller has no right to sell today")
            continue
        if listing.unmandated:
            no("listing_id", "not_selling", "no mandate in force lets its seller sell this product today")
            continue
        if line.listing_id in seen:
            no("listing_id", "repeated", "this listing is on another line already")
            continue
        seen.add(line.listing_id)
        if not in_season(listing.season_from, listing.season_to, today.month):
            no("listing_id", "out_of_season", f"sold from month {listing.season_from} to {listing.season_to}")
            continue
        if listing.price_from is not None and today < listing.price_from:
            no("listing_id", "price_not_begun", "its price holds from a later day", price_from=str(listing.price_from))
            continue
        if listing.price_to is not None and today >= listing.price_to:
            no("listing_id", "price_lapsed", "its price has run out", price_to=str(listing.price_to))
            continue
        packs, step = line.quantity, listing.step_packs
        to_keep = line.min_shelf_life_days if isinstance(line, OrderLineIn) else None
        if to_keep is not None and to_keep >= listing.shelf_life_days:
            keeps = listing.shelf_life_days
            no("min_shelf_life_days", "keeps_too_short", f"keeps for {keeps} days when fresh", allowed=keeps - 1)
        elif packs < listing.min_packs:
            no("quantity", "below_minimum", f"at least {listing.min_packs} packs", allowed=listing.min_packs)
        elif packs > listing.max_packs:
            no("quantity", "above_maximum", f"at most {listing.max_packs} packs", allowed=listing.max_packs)
        elif (packs - listing.min_packs) % step:
            no("quantity", "off_step", f"in steps of {step} packs from {listing.min_packs}", allowed=step)
        else:
            chosen = choose(
                listing.tiers, packs, offers_of(listing.offers), pack=listing.pack_base_quantity, spent=spent
            )
            if chosen.offer is not None:
                spent[chosen.offer.under] += packs * chosen.unit_fen
            lines.append(Priced(new_id(), place, listing, packs, chosen.unit_fen, chosen.offer))
    return lines, faults
