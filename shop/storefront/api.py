"""The public catalogue."""

import hashlib
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

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
from shop.storefront import queries
from shop.storefront.memory import Kept, Memory
from shop.storefront.schemas import (
    CardPage,
    CategoryList,
    CategoryOut,
    DetailOut,
    DivisionList,
    DivisionOut,
    DivisionsQuery,
    ListQuery,
    PairingList,
    PairingOut,
    PairingsQuery,
)

Revision = Annotated[int, Field(ge=1, le=2**31)]
routes = Routes("/v1/public", tag="Storefront")
memory = Memory(128)
FACETS = ("category", "county", "province", "storage")


@routes.get("/listings", allow=PUBLIC, answers={200: CardPage})
def list_listings(session: Session, query: ListQuery) -> Raw:
    """Goods on sale, cheapest pack first or newest first; `q` finds names that hold every one of its words."""
    words = question_words(query.q or "")
    facets = {name: value for name in FACETS if (value := getattr(query, name)) is not None}
    question = question_of(query.sort, facets, words)
    after = place_of(question, query.sort, query.cursor) if query.cursor else None
    asked = f"{question} {query.limit} {query.cursor or ''}"
    kept = memory.get(asked)
    page = queries.listed(
        session,
        words=words,
        facets=facets,
        sort=query.sort,
        after=after,
        limit=query.limit,
        seen=kept.stamp if kept else None,
    )
    if page is None and kept is not None:
        return Raw(kept.data, headers={"ETag": kept.tag})
    assert page is not None
    following = "null"
    if page.last is not None:
        place = page.key.isoformat() if isinstance(page.key, datetime) else page.key
        following = f'"{cursors.encode(question, [place, page.last.hex])}"'
    data = f'{{"items":[{page.items}],"next":{following}}}'.encode()
    tag = f'"{hashlib.blake2b(data, digest_size=12).hexdigest()}"'
    if page.stamp is not None:
        memory.put(asked, Kept(page.stamp, data, tag))
    return Raw(data, headers={"ETag": tag})


def question_of(sort: str, facets: dict[str, str], words: list[str]) -> str:
    """What a cursor belongs to: everything that decides which listings a list holds, and in which order."""
    return f"public {sort} {sorted(facets.items())} {words}"


def place_of(question: str, sort: str, cursor: str) -> tuple[Any, UUID]:
    """The sort key and id that a cursor names; Invalid for one of another question."""
    kind = int if sort == "price" else str
    key, last = cursors.decode(question, cursor, (kind, str))
    try:
        place = key if sort == "price" else datetime.fromisoformat(key)
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
