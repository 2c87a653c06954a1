"""What the rows of a sheet are compared with: the cooperative's products and listings, and the counties of the day."""

from collections.abc import Collection
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.accounts.service import selling
from shop.catalogue.intake.deciding import FACTS, Counties, Rights, Shelf
from shop.catalogue.models import Listing, Product
from shop.catalogue.service.origins import origins
from shop.db import among
from shop.regions.service import counties_on

PRODUCT = [Product.id, Product.code, *(getattr(Product, name) for name in FACTS)]
LISTING = [
    Listing.id, Listing.product_id, Listing.status, Listing.revision, Listing.pack_name, Listing.base_unit,
    Listing.pack_base_quantity, Listing.pack_grams, Listing.min_packs, Listing.step_packs, Listing.max_packs,
    Listing.tiers, Listing.price_to, Listing.season_from, Listing.season_to, Listing.reviewed_tiers,
    Listing.review_note,
]  # fmt: skip


def counties(session: Session, on: date) -> Counties:
    """The counties of a day."""
    named: dict[str, list[str]] = {}
    found = counties_on(session, on)
    for code, name in found:
        named.setdefault(name, []).append(code)
    return Counties(frozenset(code for code, _ in found), named)


def rights(session: Session, organisation_id: UUID, on: date) -> Rights:
    """What the seller may list and from where, on a day."""
    standings = selling.standings(session, organisation_id=organisation_id, on=on)
    mandates = [None, *sorted(set((standings.mandates or {}).values()))]
    return Rights(standings, origins(session, organisation_id=organisation_id, mandates=mandates, on=on))


def shelf(session: Session, organisation_id: UUID, codes: Collection[str], *, hold: bool = False) -> Shelf:
    """The cooperative's products of these codes with all their listings; `hold` locks them, in primary-key order."""
    products = (
        select(*PRODUCT)
        .where(Product.cooperative_id == organisation_id, among(Product.code, codes))
        .order_by(Product.id)
    )
    known = {row.code: row for row in session.execute(products.with_for_update() if hold else products)}
    if not known:
        return Shelf()
    listings = (
        select(*LISTING).where(among(Listing.product_id, [row.id for row in known.values()])).order_by(Listing.id)
    )
    by_pack: dict[tuple[UUID, str], list[Any]] = {}
    units: dict[UUID, str] = {}
    for row in session.execute(listings.with_for_update() if hold else listings):
        by_pack.setdefault((row.product_id, row.pack_name), []).append(row)
        units[row.product_id] = row.base_unit
    return Shelf(known, by_pack, units)
