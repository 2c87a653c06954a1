"""Listings as JSON."""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from shop.catalogue.models import CATEGORIES, Listing, ListingStatus, Product
from shop.http.routes import In, Out, Query
from shop.ids import ListingId, OrganisationId, ProductId

Category = Literal[
    "fruit", "vegetable", "grain_oil", "meat", "dairy", "tea", "mushroom", "nut", "herb", "aquatic", "honey_egg",
    "processed",
]  # fmt: skip
StorageWord = Literal["ambient", "chilled", "frozen"]
Code = Annotated[str, Field(pattern=r"^[0-9]{6}$")]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Packs = Annotated[int, Field(ge=1, le=1_000_000)]
Month = Annotated[int, Field(ge=1, le=12)]
PriceFen = Annotated[int, Field(ge=1, le=1_000_000_000)]
assert set(CATEGORIES) == set(Category.__args__)  # type: ignore[attr-defined]


class ProductIn(In):
    """What is grown or made; `code` is the cooperative's own, and names the product the next time too."""

    code: Annotated[str, Field(min_length=1, max_length=64)]
    name: Name
    name_en: Name
    category: Category
    origin_code: Code
    storage: StorageWord
    shelf_life_days: Annotated[int, Field(ge=1, le=3650)]
    grade: Annotated[str, Field(min_length=1, max_length=50)]
    spec: Annotated[str, Field(min_length=1, max_length=200)]


class TierIn(In):
    """From so many packs, so many fen per pack."""

    min_packs: Packs
    price_fen: PriceFen


Tiers = Annotated[list[TierIn], Field(min_length=1, max_length=10)]


def check_tiers(tiers: list[TierIn]) -> None:
    for earlier, later in pairwise(tiers):
        if later.min_packs <= earlier.min_packs or later.price_fen >= earlier.price_fen:
            raise PydanticCustomError("tiers", "tiers rise in packs and fall in price")


def check_packs(min_packs: int, max_packs: int, first_tier: int) -> None:
    if max_packs < min_packs:
        raise PydanticCustomError("packs", "max_packs is below min_packs")
    if first_tier > min_packs:
        raise PydanticCustomError("tiers", "the first tier begins at min_packs or below")


class NewListing(In):
    """A product as it is to be sold; a pack is `pack_base_quantity` base units and weighs `pack_grams`.

    The product is described, or named by the id of one that is there. All listings of a product share a base unit.
    """

    product: ProductIn | None = None
    product_id: ProductId | None = None
    pack_name: Annotated[str, Field(min_length=1, max_length=50)]
    base_unit: Literal["g", "piece"]
    pack_base_quantity: Annotated[int, Field(ge=1, le=100_000_000)]
    pack_grams: Annotated[int, Field(ge=1, le=100_000_000)]
    min_packs: Packs
    step_packs: Packs
    max_packs: Packs
    tiers: Tiers
    season_from: Month
    season_to: Month

    @model_validator(mode="after")
    def hangs_together(self) -> Self:
        if (self.product is None) == (self.product_id is None):
            raise PydanticCustomError("product", "give either product or product_id")
        check_tiers(self.tiers)
        check_packs(self.min_packs, self.max_packs, self.tiers[0].min_packs)
        return self


class ChangeListing(In):
    """What to change of a listing; what is left out stays."""

    tiers: Tiers | None = None
    min_packs: Packs | None = None
    step_packs: Packs | None = None
    max_packs: Packs | None = None
    season_from: Month | None = None
    season_to: Month | None = None

    @model_validator(mode="after")
    def hangs_together(self) -> Self:
        if self.tiers:
            check_tiers(self.tiers)
        return self


class ReviewIn(In):
    """What a reviewer says of a listing; `revision`, when given, is the one that was looked at."""

    decision: Literal["approve", "return"]
    note: Annotated[str, Field(max_length=500)] = ""
    revision: Annotated[int, Field(ge=1, le=2**62)] | None = None


class ListingsQuery(Query):
    limit: Annotated[int, Field(ge=1, le=100)] = 24
    cursor: Annotated[str, Field(max_length=400)] | None = None


class ReviewsQuery(ListingsQuery):
    status: Literal["in_review", "draft", "listed", "paused", "delisted"] = "in_review"


class ProductOut(Out):
    id: ProductId
    code: str
    name: str
    name_en: str
    category: str
    origin_code: str
    storage: str
    shelf_life_days: int
    grade: str
    spec: str
    tags: list[str]


class TierOut(Out):
    min_packs: int
    price_fen: int


class ListingOut(Out):
    """A listing as its cooperative and reviewers see it; `revision` is what If-Match asks for."""

    id: ListingId
    product_id: ProductId
    cooperative_id: OrganisationId
    status: ListingStatus
    revision: int
    review_note: str | None
    product: ProductOut
    pack_name: str
    base_unit: str
    pack_base_quantity: int
    pack_grams: int
    min_packs: int
    step_packs: int
    max_packs: int
    price_fen: int
    tiers: list[TierOut]
    season_from: int
    season_to: int
    listed_at: str | None


class ListingPage(Out):
    items: list[ListingOut]
    next: str | None


def listing_out(listing: Listing, product: Product) -> ListingOut:
    return ListingOut(
        id=listing.id,
        product_id=product.id,
        cooperative_id=listing.cooperative_id,
        status=ListingStatus(listing.status),
        revision=listing.revision,
        review_note=listing.review_note,
        product=ProductOut(
            id=product.id,
            code=product.code,
            name=product.name,
            name_en=product.name_en,
            category=product.category,
            origin_code=product.origin_code,
            storage=product.storage,
            shelf_life_days=product.shelf_life_days,
            grade=product.grade,
            spec=product.spec,
            tags=product.tags,
        ),
        pack_name=listing.pack_name,
        base_unit=listing.base_unit,
        pack_base_quantity=listing.pack_base_quantity,
        pack_grams=listing.pack_grams,
        min_packs=listing.min_packs,
        step_packs=listing.step_packs,
        max_packs=listing.max_packs,
        price_fen=listing.price_fen,
        tiers=[TierOut(min_packs=packs, price_fen=fen) for packs, fen in listing.tiers],
        season_from=listing.season_from,
        season_to=listing.season_to,
        listed_at=listing.listed_at.isoformat() if listing.listed_at else None,
    )
