"""Listings as JSON."""

from datetime import date
from fractions import Fraction
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from shop.catalogue import units
from shop.catalogue.models import CATEGORIES, Listing, ListingRevision, ListingStatus, Product
from shop.http.fields import Day, across
from shop.http.routes import In, Out, Query
from shop.ids import CertificateId, FileId, ListingId, OrganisationId, PhotoId, ProductId

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


class StandardIn(In):
    """A grade standard by its number, as GB/T 10651-2008 or NY/T 1075, and what it says of the grade."""

    code: Annotated[str, Field(pattern=r"^[A-Z]{1,5}[0-9]{0,4}(/[A-Z0-9]{1,10})? [0-9][0-9A-Z.]{0,15}(-[0-9]{4})?$")]
    text: Annotated[str, Field(min_length=1, max_length=2000)]


class CriterionIn(In):
    """A row of the acceptance sheet: what is looked at, what is tolerated, and how it is measured."""

    criterion: Annotated[str, Field(min_length=1, max_length=100)]
    tolerance: Annotated[str, Field(min_length=1, max_length=200)]
    method: Annotated[str, Field(min_length=1, max_length=200)]


class ProductIn(In):
    """What is grown or made; `code` is the cooperative's own, and names the product the next time too.

    `variety` is the cultivar or breed, such as 红富士; empty where the goods have none.
    `standard` and the `acceptance` sheet stay as they are where they are left out.
    """

    code: Annotated[str, Field(min_length=1, max_length=64)]
    name: Name
    name_en: Name
    category: Category
    origin_code: Code
    storage: StorageWord
    shelf_life_days: Annotated[int, Field(ge=1, le=3650)]
    grade: Annotated[str, Field(min_length=1, max_length=50)]
    variety: Annotated[str, Field(max_length=50)] = ""
    spec: Annotated[str, Field(min_length=1, max_length=200)]
    standard: StandardIn | None = None
    acceptance: Annotated[list[CriterionIn], Field(max_length=30)] | None = None


class TierIn(In):
    """From so many packs, so many fen per pack."""

    min_packs: Packs
    price_fen: PriceFen


Tiers = Annotated[list[TierIn], Field(min_length=1, max_length=10)]


def after_its_begin(end: date | None, begin: date | None) -> date | None:
    if end is not None and begin is not None and end <= begin:
        raise PydanticCustomError("range", "ends before it begins")
    return end


def check_tiers(tiers: list[TierIn]) -> None:
    for earlier, later in pairwise(tiers):
        if later.min_packs <= earlier.min_packs or later.price_fen >= earlier.price_fen:
            raise across("tiers", "tiers rise in packs and fall in price", "tiers")


def check_packs(min_packs: int, max_packs: int, first_tier: int) -> None:
    if max_packs < min_packs:
        raise across("packs", "max_packs is below min_packs", "min_packs", "max_packs")
    if first_tier > min_packs:
        raise across("tiers", "the first tier begins at min_packs or below", "tiers", "min_packs")


def unit_word(word: str) -> str:
    try:
        return units.unit_of(word).name
    except units.UnknownUnit as error:
        raise PydanticCustomError("unknown_unit", "{why}", {"why": str(error)}) from error


def exact_count(given: int | str) -> str:
    try:
        return str(units.number_of(str(given)))
    except units.NotExact as error:
        raise PydanticCustomError("not_exact", "{why}", {"why": str(error)}) from error


Count = Annotated[
    Annotated[int, Field(ge=1, le=units.MOST)] | Annotated[str, Field(max_length=units.LONGEST)],
    AfterValidator(exact_count),
]
UnitWord = Annotated[str, Field(min_length=1, max_length=20), AfterValidator(unit_word)]


class ContentIn(In):
    """So many of a unit: `{"count": 500, "unit": "克"}`; a count that is no whole number is text (`"2.5"`, `"1/3"`)."""

    count: Count
    unit: UnitWord

    def content(self) -> units.Content:
        return units.Content(Fraction(self.count), units.unit_of(self.unit))


class PackIn(ContentIn):
    """What is in a pack, in the seller's own units: 10 斤; or 20 袋 `of` 500 克 each."""

    of: ContentIn | None = None

    def content(self) -> units.Content:
        inside = self.of.content() if self.of else None
        return units.Content(Fraction(self.count), units.unit_of(self.unit), inside)

    def told(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


class NewListing(In):
    """A product as it is to be sold; a pack holds `pack` or `pack_base_quantity` base units and weighs `pack_grams`.

    The product is described, or named by the id of one that is there. All listings of a product share a base unit.
    A pack of weighed goods weighs at least what is in it.
    """

    product: ProductIn | None = None
    product_id: ProductId | None = None
    pack_name: Annotated[str, Field(min_length=1, max_length=50)]
    pack: PackIn | None = None
    base_unit: Literal["g", "piece"] | None = None
    pack_base_quantity: Annotated[int, Field(ge=1, le=100_000_000)] | None = None
    pack_grams: Annotated[int, Field(ge=1, le=100_000_000)]
    min_packs: Packs
    step_packs: Packs
    max_packs: Packs
    tiers: Tiers
    price_from: Day | None = None
    price_to: Day | None = None
    season_from: Month
    season_to: Month

    @field_validator("price_to")
    @classmethod
    def has_days(cls, end: date | None, found: ValidationInfo) -> date | None:
        return after_its_begin(end, found.data.get("price_from"))

    @field_validator("pack")
    @classmethod
    def is_exact(cls, pack: PackIn | None) -> PackIn | None:
        try:
            if pack is not None:
                units.base_quantity(pack.content())
        except units.NotExact as error:
            raise PydanticCustomError("not_exact", "{why}", {"why": str(error)}) from error
        return pack

    @field_validator("pack_grams")
    @classmethod
    def weighs_its_content(cls, grams: int, found: ValidationInfo) -> int:
        pack, base_unit, net = (found.data.get(name) for name in ("pack", "base_unit", "pack_base_quantity"))
        if pack is not None:
            base_unit, net = units.base_quantity(pack.content())
        if base_unit == "g" and net is not None and grams < net:
            raise PydanticCustomError(
                "below_net", "a pack of {net} g weighs at least that, and not {grams} g", {"net": net, "grams": grams}
            )
        return grams

    def measured(self) -> tuple[str, int]:
        """The base unit, and how many of them are in a pack."""
        if self.pack is not None:
            return units.base_quantity(self.pack.content())
        assert self.base_unit is not None
        assert self.pack_base_quantity is not None
        return self.base_unit, self.pack_base_quantity

    @model_validator(mode="after")
    def hangs_together(self) -> Self:
        if (self.pack is None) == (self.base_unit is None and self.pack_base_quantity is None) or (
            (self.base_unit is None) != (self.pack_base_quantity is None)
        ):
            raise across(
                "pack",
                "give either pack, or base_unit and pack_base_quantity",
                "pack",
                "base_unit",
                "pack_base_quantity",
            )
        if (self.product is None) == (self.product_id is None):
            raise across("product", "give either product or product_id", "product", "product_id")
        check_tiers(self.tiers)
        check_packs(self.min_packs, self.max_packs, self.tiers[0].min_packs)
        return self


class ChangeListing(In):
    """What to change of a listing; what is left out stays, and a null day is open-ended."""

    tiers: Tiers | None = None
    min_packs: Packs | None = None
    step_packs: Packs | None = None
    max_packs: Packs | None = None
    price_from: Day | None = None
    price_to: Day | None = None
    season_from: Month | None = None
    season_to: Month | None = None

    @model_validator(mode="after")
    def hangs_together(self) -> Self:
        if self.tiers:
            check_tiers(self.tiers)
        return self


class FieldReason(In):
    """A field to correct, as the listing shows it (RFC 6901), and why."""

    pointer: Annotated[str, Field(pattern=r"^(/[^/]{1,100}){1,6}$")]
    reason: Annotated[str, Field(min_length=1, max_length=500)]

    @field_validator("pointer")
    @classmethod
    def is_shown(cls, pointer: str) -> str:
        if pointer.split("/")[1] not in ListingOut.model_fields:
            raise PydanticCustomError("no_such_field", "a listing shows no such field")
        return pointer


class ReviewIn(In):
    """What a reviewer says of a listing; `revision`, when given, is the one that was looked at.

    A return says why: in a note, or field by field.
    """

    decision: Literal["approve", "return"]
    note: Annotated[str, Field(max_length=500)] = ""
    revision: Annotated[int, Field(ge=1, le=2**62)] | None = None
    fields: Annotated[list[FieldReason], Field(max_length=50, default_factory=list)]

    @model_validator(mode="after")
    def says_why(self) -> Self:
        if self.decision == "return" and not (self.note or self.fields):
            raise across("reason", "a return says why, in a note or field by field", "note", "fields")
        if self.decision == "approve" and self.fields:
            raise across("fields", "an approval names no fields to correct", "fields")
        return self


class ReviewOne(ReviewIn):
    listing_id: ListingId


class ReviewMany(In):
    """Up to a hundred decisions, each on another listing."""

    decisions: Annotated[list[ReviewOne], Field(min_length=1, max_length=100)]

    @model_validator(mode="after")
    def each_once(self) -> Self:
        if len({one.listing_id for one in self.decisions}) < len(self.decisions):
            raise across("repeated", "a listing stands in the list once", "decisions")
        return self


class DelistIn(In):
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class RevertIn(In):
    """Which revision a listing shall be again."""

    revision: Annotated[int, Field(ge=1, le=2**62)]


class GrantOrigin(In):
    """A county whose goods a seller may sell besides its own, from a day until (and without) another, on a paper."""

    county_code: Code
    valid_from: Day
    valid_to: Day | None = None
    document: Annotated[str, Field(min_length=1, max_length=200)]

    @field_validator("valid_to")
    @classmethod
    def has_days(cls, end: date | None, found: ValidationInfo) -> date | None:
        return after_its_begin(end, found.data.get("valid_from"))


class OriginOut(Out):
    """A county whose goods a seller may list besides its own."""

    county_code: str
    valid_from: date | None
    valid_to: date | None
    document: str


class OriginsOut(Out):
    items: list[OriginOut]


class ListingsQuery(Query):
    limit: Annotated[int, Field(ge=1, le=100)] = 24
    cursor: Annotated[str, Field(max_length=400)] | None = None


class ReviewsQuery(ListingsQuery):
    status: Literal["in_review", "draft", "listed", "paused", "lapsed", "delisted"] = "in_review"


class StandardOut(Out):
    code: str
    text: str


class CriterionOut(Out):
    criterion: str
    tolerance: str
    method: str


class CertificateIn(In):
    """A certificate with its paper (uploaded before); it is shown until, and without, the day `expires_on`."""

    kind: Literal["organic", "green", "gi"]
    number: Annotated[str, Field(min_length=1, max_length=64)]
    issuer: Annotated[str, Field(min_length=1, max_length=100)]
    expires_on: Day
    file_id: FileId


class CertificateReviewIn(In):
    """What a reviewer says of a certificate; a return says why."""

    decision: Literal["approve", "return"]
    note: Annotated[str, Field(max_length=500)] = ""

    @model_validator(mode="after")
    def says_why(self) -> Self:
        if self.decision == "return" and not self.note:
            raise across("note", "a return says why", "note")
        return self


class CertificatesQuery(Query):
    status: Literal["in_review", "approved", "returned", "replaced", "withdrawn"] = "in_review"
    limit: Annotated[int, Field(ge=1, le=100)] = 24
    cursor: Annotated[str, Field(max_length=400)] | None = None


class CertificateOut(Out):
    """A certificate as its cooperative and reviewers see it; `paper` is a link for a day."""

    id: CertificateId
    product_id: ProductId
    product: str
    kind: str
    number: str
    issuer: str
    expires_on: date
    status: str
    replaces_id: CertificateId | None
    review_note: str | None
    paper: str | None


class CertificatesOut(Out):
    items: list[CertificateOut]


class CertificatePage(CertificatesOut):
    next: str | None


class PhotoOut(Out):
    """A photo of goods, where its two sizes are read, and how large the larger one is."""

    id: PhotoId
    thumb: str
    large: str
    width: int
    height: int


class UploadedPhotoOut(Out):
    """A photo from its upload on: `waiting`, `ready` to be shown, or `refused` because it could not be unpacked."""

    id: PhotoId
    status: str
    uploaded_at: str


class PhotosOut(Out):
    items: list[UploadedPhotoOut]


class ArrangePhotos(In):
    """Every photo that is shown, in the order to show them in."""

    photo_ids: list[PhotoId] = Field(max_length=8)


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
    variety: str
    spec: str
    standard: StandardOut | None
    acceptance: list[CriterionOut]
    photos: list[PhotoOut]
    tags: list[str]


class RevisedProductOut(Out):
    """What the product said then."""

    code: str
    name: str
    name_en: str
    category: str
    origin_code: str
    storage: str
    shelf_life_days: int
    grade: str
    variety: str = ""
    spec: str
    standard: StandardOut | None
    acceptance: list[CriterionOut]
    photos: list[PhotoOut]
    tags: list[str]


class TierOut(Out):
    min_packs: int
    price_fen: int


class ContentOut(Out):
    count: str
    unit: str


class PackOut(ContentOut):
    of: ContentOut | None = None


class FieldReasonOut(Out):
    pointer: str
    reason: str


class ListingOut(Out):
    """A listing as its cooperative and reviewers see it; `revision` is what If-Match asks for."""

    id: ListingId
    product_id: ProductId
    cooperative_id: OrganisationId
    status: ListingStatus
    revision: int
    review_note: str | None
    review_fields: list[FieldReasonOut]
    product: ProductOut
    pack_name: str
    base_unit: str
    pack_base_quantity: int
    pack: PackOut | None
    pack_grams: int
    min_packs: int
    step_packs: int
    max_packs: int
    price_fen: int
    tiers: list[TierOut]
    price_from: date | None
    price_to: date | None
    season_from: int
    season_to: int
    listed_at: str | None


class ListingPage(Out):
    items: list[ListingOut]
    next: str | None


class RevisionOut(Out):
    """What a listing said at a revision, and since when."""

    revision: int
    at: str
    status: str
    price_fen: int
    tiers: list[TierOut]
    price_from: date | None
    price_to: date | None
    min_packs: int
    step_packs: int
    max_packs: int
    season_from: int
    season_to: int
    pack_name: str
    base_unit: str
    pack_base_quantity: int
    pack_grams: int
    pack: PackOut | None
    product: RevisedProductOut
    review_note: str | None
    review_fields: list[FieldReasonOut]


class RevisionPage(Out):
    items: list[RevisionOut]
    next: str | None


class ReviewedOut(Out):
    """What became of a decision: `result` is `done`, or the code of the refusal with its status and facts."""

    listing_id: ListingId
    result: str
    status: int
    detail: str | None
    facts: dict[str, Any]


class ReviewedMany(Out):
    items: list[ReviewedOut]


def revision_out(revision: ListingRevision) -> RevisionOut:
    """A revision as JSON; what was not kept yet when it was made is null or empty."""
    said = revision.content
    plain = {
        name: said[name]
        for name in (
            "status", "price_fen", "min_packs", "step_packs", "max_packs", "season_from", "season_to", "pack_name",
            "base_unit", "pack_base_quantity", "pack_grams", "review_note",
        )
    }  # fmt: skip
    product = {"standard": None, "acceptance": [], "photos": []} | said["product"]
    return RevisionOut(
        revision=revision.revision,
        at=revision.at.isoformat(),
        tiers=[TierOut(min_packs=packs, price_fen=fen) for packs, fen in said["tiers"]],
        price_from=day_of(said.get("price_from")),
        price_to=day_of(said.get("price_to")),
        pack=PackOut(**said["pack_told"]) if said.get("pack_told") else None,
        product=RevisedProductOut(**product),
        review_fields=[FieldReasonOut(**one) for one in said.get("review_fields", ())],
        **plain,
    )


def day_of(said: str | None) -> date | None:
    return date.fromisoformat(said) if said else None


def listing_out(listing: Listing, product: Product) -> ListingOut:
    return ListingOut(
        id=listing.id,
        product_id=product.id,
        cooperative_id=listing.cooperative_id,
        status=ListingStatus(listing.status),
        revision=listing.revision,
        review_note=listing.review_note,
        review_fields=[FieldReasonOut(**one) for one in listing.review_fields],
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
            variety=product.variety,
            spec=product.spec,
            standard=StandardOut(**product.standard) if product.standard else None,
            acceptance=[CriterionOut(**one) for one in product.acceptance],
            photos=[PhotoOut(**one) for one in product.photos],
            tags=product.tags,
        ),
        pack_name=listing.pack_name,
        base_unit=listing.base_unit,
        pack_base_quantity=listing.pack_base_quantity,
        pack=PackOut(**listing.pack_told) if listing.pack_told else None,
        pack_grams=listing.pack_grams,
        min_packs=listing.min_packs,
        step_packs=listing.step_packs,
        max_packs=listing.max_packs,
        price_fen=listing.price_fen,
        tiers=[TierOut(min_packs=packs, price_fen=fen) for packs, fen in listing.tiers],
        price_from=listing.price_from,
        price_to=listing.price_to,
        season_from=listing.season_from,
        season_to=listing.season_to,
        listed_at=listing.listed_at.isoformat() if listing.listed_at else None,
    )
