"""The questions and answers of the public catalogue; the answers' JSON is put together in the database."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from shop.catalogue.schemas import Category, Code, CriterionOut, PackOut, PhotoOut, StandardOut, StorageWord, TierOut
from shop.http.fields import Day
from shop.http.routes import Out, Query
from shop.ids import ListingId, OrganisationId, PairingId, ProductId

Sort = Literal["relevance", "price", "price_per_kg", "newest", "best_selling", "landed"]
PriceBand = Literal["under_5", "5_to_10", "10_to_20", "20_to_50", "50_to_100", "from_100"]


class Filters(Query):
    """Words that a name, a variety or a county must hold, and facets that must all hold.

    `price_band` is of the price of a kilogram, in yuan: from the first number to below the second.
    """

    q: Annotated[str, Field(max_length=40)] | None = None
    province: Code | None = None
    county: Code | None = None
    key_county: bool | None = None
    category: Category | None = None
    certificate: Literal["organic", "green", "gi"] | None = None
    storage: StorageWord | None = None
    in_season: bool | None = None
    in_stock: bool | None = None
    price_band: PriceBand | None = None


class ListQuery(Filters):
    """What to show, and in which order: by relevance where words are asked for, else by price, unless it says so.

    `to` is the division that goods are brought to, for landed prices; a buyer's own address unless it is given.
    """

    sort: Sort | None = None
    to: Code | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 24
    cursor: Annotated[str, Field(max_length=400)] | None = None


class DivisionsQuery(Query):
    parent: Code | None = None


class PairingsQuery(Query):
    on: Day | None = None


class CardProduct(Out):
    id: ProductId
    name: str
    name_en: str
    variety: str
    grade: str
    spec: str


class CardCertificate(Out):
    kind: str
    number: str
    issuer: str
    expires_on: date


class CardCooperative(Out):
    id: OrganisationId
    name: str


class CardOrigin(Out):
    """The county of origin; a name is null where the divisions of the shop do not know the code."""

    code: str
    county: str | None
    province: str | None


class LandedOut(Out):
    """What the least quantity costs where it arrives, and so a kilogram that is expected to arrive."""

    packs: int
    goods_fen: int
    freight_fen: int
    loss_fen: int
    landed_fen: int
    per_kg_fen: int
    days: int


class CardOut(Out):
    """A listing on sale. `price_fen` is per pack at the first tier, `available` in packs; the prices hold from the day
    `price_from` until (and without) `price_to`."""

    id: ListingId
    product: CardProduct
    photo: str | None
    certificates: list[CardCertificate]
    cooperative: CardCooperative
    origin: CardOrigin
    category: str
    storage: str
    pack_name: str
    unit: str
    base_unit: str
    pack_base_quantity: int
    price_fen: int
    price_per_kg_fen: int
    tiers: list[TierOut]
    min_packs: int
    step_packs: int
    max_packs: int
    price_from: date | None
    price_to: date | None
    season_from: int
    season_to: int
    available: int
    landed: LandedOut | None = None


class CardPage(Out):
    """`approximate`: nothing holds the words, and this is what holds those that were likely meant (`searched`)."""

    items: list[CardOut]
    next: str | None
    approximate: bool
    searched: str | None


class SuggestionsQuery(Query):
    """What was typed so far."""

    q: Annotated[str, Field(min_length=1, max_length=40)]
    limit: Annotated[int, Field(ge=1, le=20)] = 10


class SuggestionOut(Out):
    """A word to search for, or a category to choose, and how many listings are so named."""

    kind: Literal["category", "name", "variety", "county"]
    text: str
    category: str | None
    count: int


class SuggestionList(Out):
    items: list[SuggestionOut]


class FacetsQuery(Filters):
    """Which goods to count: as the list takes them."""


class FacetCount(Out):
    """How many listings choosing this value would show; `value` is what the list's filter takes."""

    value: str
    name: str | None
    count: int


class Facets(Out):
    """The values of each filter that lead to anything, each counted under all the other filters that are given."""

    province: list[FacetCount]
    county: list[FacetCount]
    key_county: list[FacetCount]
    category: list[FacetCount]
    certificate: list[FacetCount]
    storage: list[FacetCount]
    in_season: list[FacetCount]
    in_stock: list[FacetCount]
    price_band: list[FacetCount]


class FacetsOut(Out):
    """`total`: how many listings pass all the filters."""

    total: int
    facets: Facets


class WindowOut(Out):
    """Packs that are ready from a day until (and without) another."""

    ready_from: date
    ready_to: date
    packs: int


class DetailOut(CardOut):
    """A listing on sale with what a buyer asks next: what a pack weighs in freight, how long the goods keep, by which
    standard they are graded and by which sheet inspected, and the eligibility lists that the county stood on when the
    product was entered. An order line keeps the `revision` that it was bought under."""

    revision: int
    pack: PackOut | None
    pack_grams: int
    shelf_life_days: int
    standard: StandardOut | None
    acceptance: list[CriterionOut]
    photos: list[PhotoOut]
    lists: list[str]
    supplies: list[WindowOut]


class CategoryOut(Out):
    code: str
    name: str
    name_en: str


class CategoryList(Out):
    items: list[CategoryOut]


class DivisionOut(Out):
    code: str
    name: str
    name_en: str
    level: str


class DivisionList(Out):
    items: list[DivisionOut]


class PairingOut(Out):
    """East helps west from a day until (and without) another; null is open-ended."""

    id: PairingId
    scheme: str
    level: str
    round: str
    east_code: str
    east: str | None
    west_code: str
    west: str | None
    valid_from: date | None
    valid_to: date | None
    shared: bool


class PairingList(Out):
    items: list[PairingOut]
