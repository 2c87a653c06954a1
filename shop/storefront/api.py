"""The public catalogue."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from pydantic import Field
from sqlalchemy.orm import Session

from shop.catalogue.models import CATEGORIES
from shop.catalogue.queries import sold_revision
from shop.catalogue.schemas import RevisionOut, revision_out
from shop.catalogue.words import question_words
from shop.clock import business_day
from shop.errors import Invalid, NotFound
from shop.http import cursors
from shop.http.routes import PUBLIC, Raw, Routes
from shop.ids import ListingId
from shop.storefront import counting, queries
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
)

Revision = Annotated[int, Field(ge=1, le=2**31)]
routes = Routes("/v1/public", tag="Storefront")


@routes.get("/listings", allow=PUBLIC, answers={200: CardPage})
def list_listings(session: Session, query: ListQuery) -> Raw:
    """Goods on sale. `q` finds those whose name, variety or county holds every one of its words, where `sort` is by
    relevance unless another is named: whole names first, then names that begin with the word, names that hold it,
    varieties, counties, and among those what sold most."""
    words = question_words(query.q or "")
    facets = facets_of(query)
    sort = query.sort or ("relevance" if words else "price")
    if sort == "relevance" and not words:
        raise Invalid("Relevance is to words, and q has none.", pointer="/query/sort")
    question = question_of(sort, facets, words)
    after = place_of(question, sort, query.cursor) if query.cursor else None
    page = queries.listed(session, words=words, facets=facets, sort=sort, after=after, limit=query.limit)
    following = "null"
    if page.last is not None:
        place = page.key.isoformat() if isinstance(page.key, datetime) else page.key
        following = f'"{cursors.encode(question, [place, page.last.hex])}"'
    return Raw(f'{{"items":[{page.items}],"next":{following}}}'.encode(), stamp=page.stamp)


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
