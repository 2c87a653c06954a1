"""What one row of a sheet would do, by the same rules as a single listing: nothing here reads or writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from uuid import UUID

from shop.accounts.service.selling import MandateExpired, NoSellingRight, Standing, Standings
from shop.catalogue import rules
from shop.catalogue.intake.columns import MOST_TIERS
from shop.catalogue.intake.models import RowKind
from shop.catalogue.intake.packs import Unclear, content_of, price_of_pack
from shop.catalogue.models import ListingStatus
from shop.catalogue.service.origins import Origins
from shop.catalogue.service.submitting import beyond

FACTS = ("name", "name_en", "category", "origin_code", "storage", "shelf_life_days", "grade", "variety", "spec")
"""What a sheet says of a product; its standard, its acceptance sheet and its photos stay as they are."""
TERMS = ("tiers", "min_packs", "step_packs", "max_packs", "season_from", "season_to")
"""What may change of a listing; what is in its pack is what it is."""

Values = Mapping[str, Any]
Fault = tuple[str, str, object]
"""Column, code, and the number that the words name."""


@dataclass(frozen=True)
class Counties:
    """The counties of a day, by code and by name."""

    codes: frozenset[str]
    named: Mapping[str, Sequence[str]]

    def code_of(self, word: str) -> str:
        """The code of the county that is meant, or Unclear."""
        if word in self.codes:
            return word
        found = self.named.get(word, ())
        if len(found) == 1:
            return found[0]
        raise Unclear(code="ambiguous_county" if found else "unknown_county")


@dataclass(frozen=True)
class Shelf:
    """What a cooperative has now: products by code, their listings by product and pack, the unit of each product."""

    products: Mapping[str, Any] = field(default_factory=dict)
    listings: Mapping[tuple[UUID, str], Sequence[Any]] = field(default_factory=dict)
    units: Mapping[UUID, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Titles:
    """What the titles of a sheet say of the numbers below them: prices for so many grams, contents in a unit."""

    per_grams: Mapping[str, int] = field(default_factory=dict)
    content_unit: str = ""


@dataclass
class Decision:
    """What a row would do: `wanted` is the whole product and listing as they would be."""

    kind: RowKind
    listing_id: UUID | None = None
    revision: int | None = None
    reviewed: bool = False
    wanted: dict[str, Any] | None = None
    changes: dict[str, list[Any]] | None = None
    faults: list[Fault] = field(default_factory=list)
    stands: Standing | None = None
    product_id: UUID | None = None

    @property
    def reviewed_facts(self) -> dict[str, list[Any]]:
        """The facts of the product that change, before and after."""
        return {name: both for name, both in (self.changes or {}).items() if name in FACTS}


@dataclass(frozen=True)
class Rights:
    """What the seller may list, and from where, on a day."""

    standings: Standings
    origins: Origins


def decide(values: Values, titles: Titles, shelf: Shelf, counties: Counties, rights: Rights) -> Decision:
    """What a row would do, or everything that is wrong with it; `values` lacks the columns that the sheet lacks."""
    faults: list[Fault] = []
    product = shelf.products.get(values["code"])
    listing = the_listing(values, product, shelf, faults)
    facts = facts_of(values, product, counties, faults)
    unit, quantity, gross = pack_of(values, titles, product, listing, shelf, faults)
    terms = terms_of(values, titles, listing, unit, quantity, faults)
    if faults:
        return Decision(RowKind.ERROR, faults=faults)
    wanted = {
        "product": facts, "pack_name": values["pack_name"], "base_unit": unit, "pack_base_quantity": quantity,
        "pack_grams": gross, **terms,
    }  # fmt: skip
    return compare(wanted, product, listing, rights)


def compare(wanted: dict[str, Any], product: Any, listing: Any, rights: Rights) -> Decision:
    """What is to become of a product and listing as they are, for them to be as wanted."""
    of_product = differing(wanted["product"], product, FACTS)
    if listing is None:
        made = Decision(RowKind.NEW, reviewed=True, wanted=wanted, changes=None if product is None else of_product)
        return permitted(made, rights)
    changes = of_product | differing(wanted, listing, TERMS)
    if not changes:
        return Decision(RowKind.UNCHANGED, listing.id, listing.revision, wanted=wanted)
    known = Decision(RowKind.CHANGED, listing.id, listing.revision, wanted=wanted, changes=changes)
    today = rights.standings.on
    if listing.price_to is not None and listing.price_to <= today:
        return Decision(RowKind.ERROR, faults=[("price_fen", "price_over", "")])
    grows = wanted["max_packs"] > listing.max_packs
    if of_product or grows or listing.status != ListingStatus.LISTED:
        known = permitted(known, rights)
        if known.kind is RowKind.ERROR:
            return known
    because = rules.needs_review(
        changes,
        reviewed=listing.reviewed_tiers or listing.tiers,
        wanted=wanted["tiers"],
        grows=grows,
        beyond=known.stands is not None and beyond(known.stands, wanted["max_packs"], wanted["pack_grams"]),
        on=today,
    )
    known.reviewed = bool(because) or listing.status not in (ListingStatus.LISTED, ListingStatus.LAPSED)
    return known


def differing(wanted: Values, there: Any, names: Sequence[str]) -> dict[str, list[Any]]:
    """The fields that differ from what is there, before and after."""
    if there is None:
        return {}
    return {name: [before, wanted[name]] for name in names if (before := getattr(there, name)) != wanted[name]}


def permitted(made: Decision, rights: Rights) -> Decision:
    """The decision with how its seller stands, where the seller may list this."""
    assert made.wanted is not None
    facts = made.wanted["product"]
    try:
        made.stands = rights.standings.of(facts["name"], facts["category"])
    except NoSellingRight:
        return Decision(RowKind.ERROR, faults=[("code", "no_selling_right", "")])
    except MandateExpired:
        return Decision(RowKind.ERROR, faults=[("name", "mandate_expired", "")])
    if made.kind is RowKind.NEW or made.reviewed_facts:
        why = rights.origins.refuses(facts["origin_code"], made.stands.mandate_id)
        if why is not None:
            return Decision(RowKind.ERROR, faults=[("origin", why, "")])
    return made


def the_listing(values: Values, product: Any, shelf: Shelf, faults: list[Fault]) -> Any:
    """The listing of this code and pack: the one that is not taken off, else the one that was last."""
    found = shelf.listings.get((product.id, values["pack_name"]), ()) if product is not None else ()
    there = [one for one in found if one.status != ListingStatus.DELISTED]
    if len(there) > 1:
        faults.append(("pack_name", "ambiguous_listing", ""))
    return there[0] if there else found[-1] if found else None


def facts_of(values: Values, product: Any, counties: Counties, faults: list[Fault]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name in FACTS:
        column = "origin" if name == "origin_code" else name
        given = values.get(column)
        if given is None:
            given = getattr(product, name) if product is not None else "" if name == "variety" else None
            if given is None:
                faults.append((column, "required", ""))
        elif column == "origin":
            try:
                given = counties.code_of(given)
            except Unclear as error:
                faults.append((column, error.code, ""))
        facts[name] = given
    return facts


def pack_of(
    values: Values, titles: Titles, product: Any, listing: Any, shelf: Shelf, faults: list[Fault]
) -> tuple[str, int, int]:
    """Base unit, how many of it are in a pack, and what the pack weighs."""
    named = amount("pack_name", values["pack_name"], faults)
    text = values.get("content")
    told = amount("content", text + titles.content_unit if text[-1].isdecimal() else text, faults) if text else None
    if text and told is None and not any(column == "content" for column, _, _ in faults):
        faults.append(("content", "pack_unclear", ""))
    if named and told and named != told:
        faults.append(("content", "content_differs", ""))
    found = told or named
    gross = values.get("pack_grams")
    if listing is not None:
        known = (listing.base_unit, listing.pack_base_quantity)
        if found not in (None, known):
            faults.append(("content" if told else "pack_name", "pack_fixed", ""))
        if gross not in (None, listing.pack_grams):
            faults.append(("pack_grams", "pack_fixed", ""))
        return *known, listing.pack_grams
    if found is None:
        if not any(column in ("pack_name", "content") for column, _, _ in faults):
            faults.append(("pack_name", "content_missing", ""))
        return "g", 0, gross or 0
    unit, quantity = found
    if product is not None and (measured := shelf.units.get(product.id, unit)) != unit:
        faults.append(("pack_name", "unit_differs", "克" if measured == "g" else "个"))
    if gross is None:
        if unit != "g":
            faults.append(("pack_grams", "gross_missing", ""))
        gross = quantity
    elif unit == "g" and gross < quantity:
        faults.append(("pack_grams", "gross_below_net", quantity))
    return unit, quantity, gross


def amount(column: str, text: str, faults: list[Fault]) -> tuple[str, int] | None:
    try:
        return content_of(text)
    except Unclear as error:
        faults.append((column, error.code, ""))
        return None


def terms_of(
    values: Values, titles: Titles, listing: Any, unit: str, quantity: int, faults: list[Fault]
) -> dict[str, Any]:
    """Tiers, quantities and season: as given, else as they are, else the usual ones of a new listing."""
    terms: dict[str, Any] = {}
    for name, usual in (
        ("min_packs", 1),
        ("step_packs", 1),
        ("max_packs", None),
        ("season_from", 1),
        ("season_to", 12),
    ):
        given = values.get(name)
        if given is None:
            given = getattr(listing, name) if listing is not None else usual
            if given is None:
                faults.append((name, "required", ""))
        terms[name] = given
    if terms["max_packs"] is not None and terms["max_packs"] < terms["min_packs"]:
        faults.append(("max_packs", "below_minimum_order", terms["min_packs"]))
    first = price(values, "price_fen", titles, unit, quantity, faults)
    if first is None and listing is not None:
        first = listing.tiers[0][1]
    if first is None and not any(column == "price_fen" for column, _, _ in faults):
        faults.append(("price_fen", "required", ""))
    begins = min(listing.tiers[0][0], terms["min_packs"]) if listing is not None else 1
    terms["tiers"] = [[begins, first], *upper_tiers(values, titles, listing, unit, quantity, faults)]
    for place, (earlier, later) in enumerate(pairwise(terms["tiers"]), start=2):
        if earlier[1] is not None and (later[0] <= earlier[0] or later[1] >= earlier[1]):
            column = f"tier{place}_packs" if later[0] <= earlier[0] else f"tier{place}_price_fen"
            # A sheet without tiers changes the first price only, and what is above it has to fit.
            faults.append((column if column in values else "price_fen", "tiers_disordered", ""))
            break
    return terms


def upper_tiers(
    values: Values, titles: Titles, listing: Any, unit: str, quantity: int, faults: list[Fault]
) -> list[list[Any]]:
    if "tier2_packs" not in values and "tier2_price_fen" not in values:
        return listing.tiers[1:] if listing is not None else []
    found: list[list[Any]] = []
    for place in range(2, MOST_TIERS + 1):
        packs, column = values.get(f"tier{place}_packs"), f"tier{place}_price_fen"
        given = values.get(column)
        if packs is None and given is None:
            continue
        if packs is None or given is None:
            faults.append((f"tier{place}_packs" if packs is None else column, "tier_incomplete", ""))
            continue
        fen = price(values, column, titles, unit, quantity, faults)
        if fen is not None:
            found.append([packs, fen])
    return found


def price(values: Values, column: str, titles: Titles, unit: str, quantity: int, faults: list[Fault]) -> int | None:
    """The price of a pack, where the title says that prices are for a weight worked out exactly."""
    fen: int | None = values.get(column)
    per = titles.per_grams.get(column)
    if fen is None or per is None or not quantity:
        return fen
    if unit != "g":
        faults.append((column, "price_per_piece", ""))
        return None
    try:
        return price_of_pack(fen, per, quantity)
    except Unclear as error:
        faults.append((column, error.code, ""))
        return None
