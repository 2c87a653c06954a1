"""Supply and lots as JSON; quantities in packs of the listing where a listing is named, else in base units."""

from datetime import date
from typing import Annotated, Self

from pydantic import Field, model_validator

from shop.http.fields import Day, across
from shop.http.routes import In, Out, Query
from shop.ids import ListingId, LocationId, LotId, ProductId, SupplyId
from shop.stock.models import Lot, Supply

Packs = Annotated[int, Field(ge=1, le=1_000_000)]


class OfferSupply(In):
    """So many packs of a listing, ready from a day until (and without) another."""

    listing_id: ListingId
    ready_from: Day
    ready_to: Day
    packs: Packs


class Withdraw(In):
    packs: Packs


class ReceiveLot(In):
    """So much of a product, harvested on a day and good until (and without) another.

    `packs` of a listing, or a `quantity` in base units of a listing's product or of a product that is sold.
    """

    listing_id: ListingId | None = None
    product_id: ProductId | None = None
    code: Annotated[str, Field(min_length=1, max_length=64)]
    harvested_on: Day
    best_before: Day
    packs: Packs | None = None
    quantity: Annotated[int, Field(ge=1, le=100_000_000_000)] | None = None
    location_id: LocationId | None = None

    @model_validator(mode="after")
    def hangs_together(self) -> Self:
        if (self.listing_id is None) == (self.product_id is None):
            raise across("goods", "give either listing_id or product_id", "listing_id", "product_id")
        if (self.packs is None) == (self.quantity is None):
            raise across("amount", "give either packs or quantity", "packs", "quantity")
        if self.packs is not None and self.listing_id is None:
            raise across("amount", "packs are those of a listing: give listing_id, or quantity", "packs")
        return self


class StockQuery(Query):
    limit: Annotated[int, Field(ge=1, le=100)] = 24
    cursor: Annotated[str, Field(max_length=400)] | None = None


class SupplyOut(Out):
    """A supply in base units: promised = open + stopped + held + bound + withdrawn; a recall stops what was open."""

    id: SupplyId
    listing_id: ListingId
    ready_from: date
    ready_to: date
    promised: int
    open: int
    stopped: int
    held: int
    bound: int
    withdrawn: int
    closed: bool


class SupplyPage(Out):
    items: list[SupplyOut]
    next: str | None


class LotOut(Out):
    """A lot at one place, in base units: received + gained = in store + bound + shipped + lost + transferred.

    What lies elsewhere is a row of its own, whose `origin_id` is the lot it was moved from; `transferred` is what went
    to other places less what came. `recalled` while an open recall holds it.
    """

    id: LotId
    product_id: ProductId
    code: str
    harvested_on: date
    best_before: date
    received: int
    gained: int
    in_store: int
    bound: int
    shipped: int
    lost: int
    transferred: int
    location_id: LocationId | None
    origin_id: LotId | None
    recalled: bool


class LotPage(Out):
    items: list[LotOut]
    next: str | None


def supply_out(supply: Supply) -> SupplyOut:
    return SupplyOut(**{name: getattr(supply, name) for name in SupplyOut.model_fields})


def lot_out(lot: Lot) -> LotOut:
    kept = {name: getattr(lot, name) for name in LotOut.model_fields if name != "recalled"}
    return LotOut(**kept, recalled=lot.recalls > 0)
