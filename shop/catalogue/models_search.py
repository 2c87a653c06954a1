"""What listings are found, counted and sorted by: narrow rows beside the wide ones that lists show."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from shop.catalogue.models import Listing
from shop.db import Model

CERTIFICATES = {"organic": 1, "green": 2, "gi": 4}
"""The bit of each kind of certificate in `SearchEntry.certificates`."""
SORTED = {"price": "price_fen", "price_per_kg": "price_per_kg_fen", "newest": "listed_at", "best_selling": "sold_grams"}
SHOWN = text("shown")


class SearchEntry(Model):
    """What a listing is filtered, counted and sorted by, written in the commit of whatever it says.

    A row is narrow, so that all of them are read in a few milliseconds where no index serves a question. `shown` while
    the listing is on sale; `stock_until` is the last day of its open supply, which a trigger on `supply` keeps;
    `sold_grams` is added to by the event of an order. `posted` names the postings that stand for it.
    """

    __tablename__ = "search_entry"
    __table_args__ = (
        CheckConstraint("NOT shown OR listed_at IS NOT NULL", name="listed"),
        *(
            Index(f"ix_search_entry_{name}{sort}", *facet, column, "listing_id", postgresql_where=SHOWN)
            for name, facet in (("", ()), ("category_", ("category",)))
            for sort, column in SORTED.items()
        ),
        Index("ix_search_entry_county", "county", postgresql_where=SHOWN),
        Index("ix_search_entry_unposted", "listing_id", postgresql_where=text("shown AND posted = ''")),
        Index("ix_search_entry_province_price", "province", "price_fen", "listing_id", postgresql_where=SHOWN),
    )

    listing_id: Mapped[UUID] = mapped_column(ForeignKey(Listing.id), primary_key=True)
    shown: Mapped[bool]
    category: Mapped[str]
    storage: Mapped[str]
    county: Mapped[str]
    province: Mapped[str]
    key_county: Mapped[bool]
    certificates: Mapped[int] = mapped_column(SmallInteger)
    season_from: Mapped[int] = mapped_column(SmallInteger)
    season_to: Mapped[int] = mapped_column(SmallInteger)
    stock_until: Mapped[date | None]
    price_fen: Mapped[int]
    price_per_kg_fen: Mapped[int]
    listed_at: Mapped[datetime | None]
    sold_grams: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    search_text: Mapped[str] = mapped_column(Text)
    search_words: Mapped[str] = mapped_column(Text)
    posted: Mapped[str] = mapped_column(Text)


class SearchPosting(Model):
    """A piece that a listing on sale is found by. A search reads those of its word in the order of their places.

    Some forty a listing, which are only ever written from it, so the database does not look each one's listing up.
    """

    __tablename__ = "search_posting"
    __table_args__ = (Index("ix_search_posting_listing_id", "listing_id"),)

    word: Mapped[str] = mapped_column(primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)
    listing_id: Mapped[UUID] = mapped_column(primary_key=True)


class SearchTerm(Model):
    """A different name, variety, county or English word of what was ever on sale, as it is compared and as it is spelt.

    It stays when what it names is off sale; whoever reads terms asks whether anything is found by them.
    """

    __tablename__ = "search_term"
    __table_args__ = (
        CheckConstraint("kind IN ('name', 'variety', 'county', 'english')", name="kind"),
        Index("ix_search_term_text", "text", postgresql_ops={"text": "text_pattern_ops"}),
        Index("ix_search_term_spelt", "letters", postgresql_ops={"letters": "text_pattern_ops"}),
        Index("ix_search_term_initials", "initials", postgresql_ops={"initials": "text_pattern_ops"}),
        Index(
            "ix_search_term_letters",
            "letters",
            "initials",
            postgresql_using="gin",
            postgresql_ops={"letters": "gin_trgm_ops", "initials": "gin_trgm_ops"},
        ),
    )

    text: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    letters: Mapped[str]
    initials: Mapped[str]
