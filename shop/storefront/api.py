"""The public catalogue."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from pydantic import Field
from sqlalchemy.orm import Session

from shop.accounts.service import keeping_addresses
from shop.actor import Actor, Audience
from shop.catalogue.models import CATEGORIES
from shop.catalogue.queries import sold_revision
from shop.catalogue.schemas import RevisionOut, revision_out
from shop.catalogue.words import normalised, question_words
from shop.clock import business_day
from shop.errors import Invalid, NotFound
from shop.http import cursors
from shop.http.routes import PUBLIC, Raw, Routes, audience
from shop.ids import ListingId
from shop.storefront import counting, guessing, landing, queries
from shop.storefront.schemas import (
    CardPage,
    CategoryList,
    CategoryOut,
    DetailOut,
    DivisionList,
    DivisionOut,
    DivisionsQuery,
    FacetsOut,
    FacetsQuery,
    Filters,
    ListQuery,
    PairingList,
    PairingOut,
    PairingsQuery,
    SuggestionList,
    SuggestionOut,
    SuggestionsQuery,
)

Revision = Annotated[int, Field(ge=1, le=2**31)]
routes = Routes("/v1/public", tag="Storefront")
buying = Routes("/v1/buyer", tag="Storefront")


@routes.get("/listings", allow=PUBLIC, answers={200: CardPage}, refusals=(landing.LandedPriceNotKept,))
def list_listings(session: Session, query: ListQuery) -> Raw:
    """Goods on sale. `q` finds those whose name, variety or county holds every one of its words, where `sort` is by
    relevance unless another is named: whole names first, then names that begin with the word, names that hold it,
    varieties, counties, and among those what sold most. Only where nothing does, what was likely meant is searched for:
    pinyin, a character of the same sound, a slip of the fingers; the answer is marked `approximate` then."""
    return answered(session, query, query.to)


@buying.get(
    "/listings",
    allow=audience(Audience.BUYER),
    answers={200: CardPage},
    refusals=(landing.LandedPriceNotKept,),
)
def list_listings_for_buyer(session: Session, actor: Actor, query: ListQuery) -> Raw:
    """The same goods for a buyer, whose landed prices are those of its first delivery address unless `to` is given."""
    to = query.to
    if to is None and query.sort == "landed":
        to = keeping_addresses.first_division(session, actor)
    return answered(session, query, to)


def answered(session: Session, query: ListQuery, to: str | None) -> Raw:
    """The page that a query asks for."""
    words = question_words(query.q or "")
    sort = query.sort or ("relevance" if words else "price")
    if sort == "relevance" and not words:
        raise Invalid("Relevance is to words, and q has none.", pointer="/query/sort")
    if sort == "landed" and to is None:
        raise Invalid("Landed prices are of a place: name one.", pointer="/query/to")
    prefecture = landing.kept_for(session, to) if sort == "landed" and to else None
    asked = Asked(words, facets_of(query), sort, query.limit, prefecture)
    try:
        page = asked.page(session, query.cursor)
    except Invalid:
        page = None  # the cursor may be of what was likely meant
        if not words:
            raise
    if page is not None and (page.items or query.cursor or not words):
        return shown(asked, page)
    likely = guessing.meant(session, words)
    if likely is None:
        return shown(asked, page or asked.page(session, query.cursor))
    asked = replace(asked, words=likely)
    return shown(asked, asked.page(session, query.cursor), searched=" ".join(likely))


@dataclass(frozen=True)
class Asked:
    """What decides which listings a list shows, and in which order."""

    words: list[str]
    facets: dict[str, Any]
    sort: str
    limit: int
    to: str | None = None

    @property
    def question(self) -> str:
        return question_of(self.sort, self.facets, self.words) + (f" {self.to}" if self.to else "")

    def page(self, session: Session, cursor: str | None) -> queries.Page:
        after = place_of(self.question, self.sort, cursor) if cursor else None
        return queries.listed(
            session, words=self.words, facets=self.facets, sort=self.sort, after=after, limit=self.limit, to=self.to
        )


def shown(asked: Asked, page: queries.Page, searched: str | None = None) -> Raw:
    """A page as JSON. One of other words than were asked for was made in several statements, so it has no stamp."""
    following = "null"
    if page.last is not None:
        place = page.key.isoformat() if isinstance(page.key, datetime) else page.key
        following = f'"{cursors.encode(asked.question, [place, page.last.hex])}"'
    said = "false" if searched is None else "true"
    words = msgspec.json.encode(searched).decode()
    data = f'{{"items":[{page.items}],"next":{following},"approximate":{said},"searched":{words}}}'.encode()
    return Raw(data, stamp=page.stamp if searched is None else None)


@routes.get("/suggestions", allow=PUBLIC, answers={200: SuggestionList})
def suggest(session: Session, query: SuggestionsQuery) -> SuggestionList:
    """How a word may go on: categories, names, varieties and counties that begin so, in Chinese, pinyin or initials."""
    beginning = normalised(query.q)
    found = guessing.suggestions(session, beginning, query.limit) if beginning else []
    return SuggestionList(items=[SuggestionOut(**one) for one in found])


@routes.get("/facets", allow=PUBLIC, answers={200: FacetsOut})
def count_facets(session: Session, query: FacetsQuery) -> Raw:
    """How many goods each choice of a filter would show, exactly: under the words and all other filters."""
    words = question_words(query.q or "")
    stamp, total, found = counting.facets(session, words=words, chosen=facets_of(query))
    return Raw(msgspec.json.encode({"total": total, "facets": found}), stamp=stamp)


def facets_of(query: Filters) -> dict[str, Any]:
    """The filters of a question that are given."""
    return {name: value for name in queries.FACETS if (value := getattr(query, name)) is not None}


def question_of(sort: str, facets: dict[str, Any], words: list[str]) -> str:
    """What a cursor belongs to: everything that decides which listings a list holds, and in which order."""
    return f"public {sort} {sorted(facets.items())} {words}"


def place_of(question: str, sort: str, cursor: str) -> tuple[Any, UUID]:
    """The sort key and id that a cursor names; Invalid for one of another question."""
    kind = str if sort == "newest" else int
    key, last = cursors.decode(question, cursor, (kind, str))
    try:
        place = datetime.fromisoformat(key) if sort == "newest" else key
        if isinstance(place, datetime) and place.tzinfo is None:
            raise ValueError("an instant without its zone")
        return place, UUID(hex=last)
    except ValueError as error:
        raise Invalid("This cursor belongs to no such list.", pointer="/query/cursor") from error


@routes.get("/listings/<listing_id>", allow=PUBLIC, answers={200: DetailOut}, refusals=(NotFound,))
def read_listing(session: Session, listing_id: ListingId) -> Raw:
    """One listing on sale, with the windows of its supply."""
    found = queries.detail(session, listing_id)
    if found is None:
        raise NotFound("No such listing on sale.")
    return Raw(found.encode())


@routes.get(
    "/listings/<listing_id>/revisions/<revision>", allow=PUBLIC, answers={200: RevisionOut}, refusals=(NotFound,)
)
def read_sold_revision(session: Session, listing_id: ListingId, revision: Revision) -> RevisionOut:
    """What a listing said at a revision that was on sale: what an order line that names the revision was bought under,
    with its standard and acceptance sheet."""
    return revision_out(sold_revision(session, listing_id, revision))


@routes.get("/categories", allow=PUBLIC, answers={200: CategoryList})
def list_categories() -> CategoryList:
    """The categories of goods."""
    return CategoryList(
        items=[CategoryOut(code=code, name=name, name_en=name_en) for code, (name, name_en) in CATEGORIES.items()]
    )


@routes.get("/divisions", allow=PUBLIC, answers={200: DivisionList})
def list_divisions(session: Session, now: datetime, query: DivisionsQuery) -> DivisionList:
    """The divisions below `parent` today, or the provinces."""
    found = queries.divisions(session, parent=query.parent, on=business_day(now))
    return DivisionList(
        items=[DivisionOut(code=code, name=name, name_en=name_en, level=level) for code, name, name_en, level in found]
    )


@routes.get("/pairings", allow=PUBLIC, answers={200: PairingList})
def list_pairings(session: Session, now: datetime, query: PairingsQuery) -> PairingList:
    """Which east helps which west on a day, today unless another is named."""
    found = queries.pairings(session, on=query.on or business_day(now))
    return PairingList(
        items=[
            PairingOut(
                id=pairing.id,
                scheme=pairing.scheme,
                level=pairing.level,
                round=pairing.round,
                east_code=pairing.east_code,
                east=east,
                west_code=pairing.west_code,
                west=west,
                valid_from=pairing.valid.lower,
                valid_to=pairing.valid.upper,
                shared=pairing.shared,
            )
            for pairing, east, west in found
        ]
    )
