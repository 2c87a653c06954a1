"""Products and listings. A listing carries its ready-made card, written in the commit of whatever it shows."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import DATERANGE, JSONB, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from shop.accounts.models_mandates import AgentMandate
from shop.db import Model, id_column
from shop.errors import Refusal
from shop.files.models import StoredFile


class Storage(StrEnum):
    AMBIENT = "ambient"
    CHILLED = "chilled"
    FROZEN = "frozen"


class ListingStatus(StrEnum):
    DRAFT = "draft"
    IN_REVIEW = "in_review"
    LISTED = "listed"
    PAUSED = "paused"
    LAPSED = "lapsed"
    DELISTED = "delisted"


NEXT = {  # the whole life of a listing; it is paused while its seller may not sell, lapsed when its price has run out
    ListingStatus.DRAFT: {ListingStatus.IN_REVIEW},
    ListingStatus.IN_REVIEW: {ListingStatus.LISTED, ListingStatus.DRAFT},
    ListingStatus.LISTED: {
        ListingStatus.DELISTED,
        ListingStatus.IN_REVIEW,
        ListingStatus.PAUSED,
        ListingStatus.LAPSED,
    },
    ListingStatus.PAUSED: {
        ListingStatus.LISTED,
        ListingStatus.DELISTED,
        ListingStatus.IN_REVIEW,
        ListingStatus.LAPSED,
    },
    ListingStatus.LAPSED: {ListingStatus.LISTED, ListingStatus.DELISTED, ListingStatus.IN_REVIEW},
    ListingStatus.DELISTED: {ListingStatus.IN_REVIEW},
}


REVIEWED = frozenset({ListingStatus.LISTED, ListingStatus.PAUSED, ListingStatus.LAPSED})
"""While a listing stands as a reviewer let it through, whether it can be ordered or not."""


class WrongListingStatus(Refusal):
    code, status = "wrong_listing_status", 409
    title, title_zh = "This listing cannot do that now.", "该商品当前状态不允许此操作。"


CATEGORIES = {
    "fruit": ("水果", "Fruit"),
    "vegetable": ("蔬菜", "Vegetables"),
    "grain_oil": ("粮油", "Grain and oil"),
    "meat": ("肉类", "Meat"),
    "dairy": ("乳品", "Dairy"),
    "tea": ("茶叶", "Tea"),
    "mushroom": ("菌菇", "Mushrooms"),
    "nut": ("坚果", "Nuts"),
    "herb": ("药食同源", "Herbs"),
    "aquatic": ("水产", "Aquatic"),
    "honey_egg": ("蜂蜜禽蛋", "Honey and eggs"),
    "processed": ("加工食品", "Processed food"),
}


class Product(Model):
    """What a cooperative grows or makes. `tags` are the eligibility lists of its county on the day it was entered.

    `standard` is the grade standard by its number, with what it says of the grade: `{"code": …, "text": …}`.
    `photos` are those that are ready, the first on the card: `[{"id": …, "thumb": …, "large": …, …}, …]`.
    `acceptance` is the written sheet that goods are inspected by: `[{"criterion": …, "tolerance": …, "method": …}, …]`.
    `mandate_id`: the mandate of the principal whose goods these are, where an agent sells them.
    """

    __tablename__ = "product"
    __table_args__ = (
        CheckConstraint("storage IN ('ambient', 'chilled', 'frozen')", name="storage"),
        CheckConstraint("shelf_life_days > 0", name="shelf_life"),
        UniqueConstraint("cooperative_id", "code"),
        Index("ix_product_code", "code"),
        Index("ix_product_words", "category", text("word_key(name)"), text("word_key(spec)")),
    )

    id: Mapped[UUID] = id_column()
    cooperative_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    code: Mapped[str]
    name: Mapped[str]
    name_en: Mapped[str]
    category: Mapped[str]
    origin_code: Mapped[str]
    storage: Mapped[str]
    shelf_life_days: Mapped[int]
    grade: Mapped[str]
    variety: Mapped[str] = mapped_column(default="", server_default="")
    spec: Mapped[str]
    standard: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    acceptance: Mapped[list[Any]] = mapped_column(default=list, server_default=text("'[]'::jsonb"))
    photos: Mapped[list[Any]] = mapped_column(default=list, server_default=text("'[]'::jsonb"))
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text))
    mandate_id: Mapped[UUID | None] = mapped_column(ForeignKey(AgentMandate.id))
    created_at: Mapped[datetime]


class PhotoStatus(StrEnum):
    WAITING = "waiting"
    READY = "ready"
    REFUSED = "refused"


class ProductPhoto(Model):
    """A photo of a product, from its upload on. `file_id` is what was uploaded, while it waits; then that is gone.

    Those that are ready stand in `Product.photos` too, which is what lists and revisions show.
    """

    __tablename__ = "product_photo"
    __table_args__ = (
        CheckConstraint("status IN ('waiting', 'ready', 'refused')", name="status"),
        CheckConstraint("(status = 'waiting') = (file_id IS NOT NULL)", name="file"),
        UniqueConstraint("product_id", "sha256"),
    )

    id: Mapped[UUID] = id_column()
    product_id: Mapped[UUID] = mapped_column(ForeignKey("product.id"))
    cooperative_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"), index=True)
    status: Mapped[str] = mapped_column(default=PhotoStatus.WAITING)
    file_id: Mapped[UUID | None] = mapped_column(ForeignKey(StoredFile.id))
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    uploaded_by: Mapped[UUID]
    uploaded_at: Mapped[datetime]


class CertificateStatus(StrEnum):
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    RETURNED = "returned"
    REPLACED = "replaced"
    WITHDRAWN = "withdrawn"


CERTIFICATE_NEXT = {  # the whole life of a certificate
    CertificateStatus.IN_REVIEW: {
        CertificateStatus.APPROVED,
        CertificateStatus.RETURNED,
        CertificateStatus.REPLACED,
        CertificateStatus.WITHDRAWN,
    },
    CertificateStatus.APPROVED: {CertificateStatus.REPLACED, CertificateStatus.WITHDRAWN},
    CertificateStatus.RETURNED: {CertificateStatus.REPLACED, CertificateStatus.WITHDRAWN},
    CertificateStatus.REPLACED: set(),
    CertificateStatus.WITHDRAWN: set(),
}


class Certificate(Model):
    """An organic, green-food or geographical-indication certificate of a product.

    Shown while it is approved, until (and without) the day `expires_on`. `file_id` is the paper, `replaces_id` the
    certificate that is shown until this one is approved.
    """

    __tablename__ = "certificate"
    __table_args__ = (
        CheckConstraint("kind IN ('organic', 'green', 'gi')", name="kind"),
        CheckConstraint("status IN ('in_review', 'approved', 'returned', 'replaced', 'withdrawn')", name="status"),
        Index(
            "ix_certificate_live",
            "product_id",
            "kind",
            "number",
            unique=True,
            postgresql_where=text("status IN ('in_review', 'approved', 'returned')"),
        ),
        Index("ix_certificate_queue", "status", "id"),
    )

    id: Mapped[UUID] = id_column()
    product_id: Mapped[UUID] = mapped_column(ForeignKey("product.id"), index=True)
    kind: Mapped[str]
    number: Mapped[str]
    issuer: Mapped[str]
    expires_on: Mapped[date]
    status: Mapped[str] = mapped_column(default=CertificateStatus.IN_REVIEW)
    file_id: Mapped[UUID | None] = mapped_column(ForeignKey(StoredFile.id))
    replaces_id: Mapped[UUID | None] = mapped_column(ForeignKey("certificate.id"))
    review_note: Mapped[str | None]
    entered_at: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]


class ReferencePrice(Model):
    """What a market quoted for a good in a month: lowest, mean, highest, in fen for a tonne or a thousand pieces.

    A tonne, because markets quote a jin to a thousandth of a yuan, which is a whole number of fen there.
    """

    __tablename__ = "reference_price"
    __table_args__ = (
        CheckConstraint("per IN ('tonne', 'thousand_pieces')", name="per"),
        CheckConstraint("0 < low_fen AND low_fen <= mean_fen AND mean_fen <= high_fen", name="prices"),
        CheckConstraint("quotes > 0", name="quotes"),
        UniqueConstraint("market", "kind", "name", "grade", "month"),
        Index("ix_reference_price_name", "name", "month"),
    )

    id: Mapped[UUID] = id_column()
    market: Mapped[str]
    place_code: Mapped[str]
    kind: Mapped[str]
    name: Mapped[str]
    grade: Mapped[str]
    month: Mapped[date]
    per: Mapped[str]
    low_fen: Mapped[int]
    mean_fen: Mapped[int]
    high_fen: Mapped[int]
    quotes: Mapped[int]


class Listing(Model):
    """A product as it is sold: one pack, its tiers `[[from packs, fen per pack], …]`, and what may be ordered of it.

    `card` is the listing's JSON as lists show it, without its closing brace, so that what changes with every order
    (`available`) is added when it is read. What it is found by stands in `SearchEntry`; `search_text` and `grams` are
    read by processes older than that only, and go with the next migration that may drop columns.
    Its prices hold from the day `price_from` until (and without) `price_to`; null is open-ended. `review_fields` say
    what a reviewer wants corrected: `[{"pointer": …, "reason": …}, …]`.
    `pack_told` is the pack in the seller's own units, where it was told in units: `{"count": "10", "unit": "斤"}`.
    `reviewed_tiers` are the tiers that a reviewer last let through, `card_until` the day the first certificate on the
    card lapses.
    """

    __tablename__ = "listing"
    __table_args__ = (
        CheckConstraint("status IN ('draft', 'in_review', 'listed', 'paused', 'lapsed', 'delisted')", name="status"),
        CheckConstraint("base_unit IN ('g', 'piece') AND pack_base_quantity > 0", name="pack"),
        CheckConstraint("base_unit <> 'g' OR pack_grams >= pack_base_quantity", name="gross"),
        CheckConstraint("min_packs > 0 AND step_packs > 0 AND max_packs >= min_packs", name="packs"),
        CheckConstraint("price_fen > 0 AND price_fen <= 1000000000", name="price"),
        CheckConstraint("price_from < price_to", name="price_days"),
        CheckConstraint("season_from BETWEEN 1 AND 12 AND season_to BETWEEN 1 AND 12", name="season"),
        Index("ix_listing_cooperative", "cooperative_id", "id"),
        Index("ix_listing_review", "id", postgresql_where=text("status = 'in_review'")),
        Index("ix_listing_price_to", "price_to", postgresql_where=text("status IN ('listed', 'paused')")),
        Index("ix_listing_card_until", "card_until", postgresql_where=text("card_until IS NOT NULL")),
    )

    id: Mapped[UUID] = id_column()
    product_id: Mapped[UUID] = mapped_column(ForeignKey("product.id"), index=True)
    cooperative_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    status: Mapped[str] = mapped_column(default=ListingStatus.DRAFT)
    revision: Mapped[int] = mapped_column(default=1)
    pack_name: Mapped[str]
    base_unit: Mapped[str]
    pack_base_quantity: Mapped[int]
    pack_grams: Mapped[int]
    pack_told: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    min_packs: Mapped[int]
    step_packs: Mapped[int]
    max_packs: Mapped[int]
    price_fen: Mapped[int]
    tiers: Mapped[list[Any]]
    price_from: Mapped[date | None]
    price_to: Mapped[date | None]
    season_from: Mapped[int]
    season_to: Mapped[int]
    category: Mapped[str]
    storage: Mapped[str]
    origin_code: Mapped[str]
    province_code: Mapped[str]
    search_text: Mapped[str] = mapped_column(default="", server_default="")
    grams: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list, server_default="{}")
    card: Mapped[str]
    listed_at: Mapped[datetime | None]
    review_note: Mapped[str | None]
    review_fields: Mapped[list[Any]] = mapped_column(default=list, server_default=text("'[]'::jsonb"))
    reviewed_tiers: Mapped[list[Any] | None]
    card_until: Mapped[date | None]


class ListingRevision(Model):
    """What a listing said, revision by revision; append-only."""

    __tablename__ = "listing_revision"

    listing_id: Mapped[UUID] = mapped_column(ForeignKey("listing.id"), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[dict[str, Any]]
    at: Mapped[datetime]
    by_user_id: Mapped[UUID]


class OriginGrant(Model):
    """A seller's admission extended to goods of a county that is not its own, from a day to a day."""

    __tablename__ = "origin_grant"
    __table_args__ = (
        CheckConstraint("NOT isempty(valid)", name="valid"),
        ExcludeConstraint(
            ("organisation_id", "="),
            ("county_code", "="),
            ("valid", "&&"),
            name="ex_origin_grant_one_at_a_time",
            using="gist",
        ),
    )

    id: Mapped[UUID] = id_column()
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    county_code: Mapped[str]
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)
    document: Mapped[str]
    granted_by: Mapped[UUID]
    granted_at: Mapped[datetime]
