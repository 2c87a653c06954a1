"""The hot reads, one statement each: PostgreSQL puts the JSON together from ready cards, found by a partial index.

The business day is read in the same statement, so that what is available is as of the moment of the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import Engine, and_, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, aliased

from shop.catalogue.models_search import CERTIFICATES, SORTED
from shop.catalogue.words import PIECE, leading
from shop.clock import TODAY
from shop.regions.models import Division, Level, Pairing
from shop.storefront.stamps import STAMP

OPEN = f"""
    SELECT COALESCE(sum(s.open), 0)::bigint FROM supply s
    WHERE s.listing_id = l.id AND NOT s.closed AND s.ready_to > {TODAY}
"""  # noqa: S608 - put together from the constants above
MONTH = f"(SELECT extract(month FROM {TODAY})::int)"  # noqa: S608 - asked once, as an expression would be for every row
IN_SEASON = (
    f"CASE WHEN e.season_from <= e.season_to THEN {MONTH} BETWEEN e.season_from AND e.season_to"
    f" ELSE {MONTH} >= e.season_from OR {MONTH} <= e.season_to END"
)
PRICE_BANDS = {
    "under_5": (0, 500),
    "5_to_10": (500, 1_000),
    "10_to_20": (1_000, 2_000),
    "20_to_50": (2_000, 5_000),
    "50_to_100": (5_000, 10_000),
    "from_100": (10_000, 2**62),
}
"""Bands of the price of a kilogram, in yuan by name and in fen by bounds: from the first to below the second."""
FACETS = {
    "province": "e.province = %(province)s",
    "county": "e.county = %(county)s",
    "key_county": "e.key_county = %(key_county)s",
    "category": "e.category = %(category)s",
    "certificate": "e.certificates & %(certificate)s <> 0",
    "storage": "e.storage = %(storage)s",
    "in_season": f"({IN_SEASON}) = %(in_season)s",
    "in_stock": f"COALESCE(e.stock_until > {TODAY}, false) = %(in_stock)s",
    "price_band": "e.price_per_kg_fen >= %(least)s AND e.price_per_kg_fen < %(below)s",
}
DESCENDING = frozenset({"newest", "best_selling"})
LANDED = """CASE WHEN d.per_kg_fen IS NULL THEN 'null' ELSE json_build_object(
    'packs', d.packs, 'goods_fen', d.goods_fen, 'freight_fen', d.freight_fen, 'loss_fen', d.loss_fen,
    'landed_fen', d.goods_fen + d.freight_fen + d.loss_fen, 'per_kg_fen', d.per_kg_fen, 'days', d.days)::text END"""
KEY_TYPES = dict.fromkeys(("price", "price_per_kg", "best_selling", "relevance", "landed"), "bigint") | {
    "newest": "timestamptz"
}
ENOUGH = 1_500
"""Listings up to which those that hold a word are looked at one by one and sorted. Where there are more, they are that
frequent that a page of them is soon found in any order; so either way a page reads about so many at most."""


ONE_BY_ONE = "CROSS JOIN LATERAL (SELECT * FROM search_entry one WHERE one.listing_id = {}.listing_id OFFSET 0) e"
"""The entry of each row of another table; OFFSET 0 keeps the planner from reading all entries to find them."""


def order_of(key: str, listing: str, sort: str) -> str:
    down = " DESC" if sort in DESCENDING else ""
    return f"{key}{down}, {listing}{down}"


def beyond(key: str, listing: str, sort: str) -> str:
    """The condition of a row behind the place that a cursor names."""
    sign = "<" if sort in DESCENDING else ">"
    return f"({key}, {listing}) {sign} (%(after)s::{KEY_TYPES[sort]}, %(after_id)s::uuid)"


def holding(place: int) -> str:
    """The condition that an entry holds the word of this place among the question's."""
    return f"(e.search_text LIKE %(holds{place})s OR e.search_words LIKE %(begins{place})s)"


def looked_through(facets: frozenset[str], sort: str, after: bool, others: Sequence[int]) -> str:
    """Entries in the order of an index, or sorted where few pass the filters."""
    key = f"e.{SORTED[sort]}"
    conditions = ["e.shown", *(FACETS[name] for name in FACETS if name in facets), *map(holding, others)]
    if after:
        conditions.append(beyond(key, "e.listing_id", sort))
    return (
        f"SELECT e.listing_id, {key} AS key FROM search_entry e WHERE {' AND '.join(conditions)}"  # noqa: S608
        f" ORDER BY {order_of(key, 'e.listing_id', sort)} LIMIT %(limit)s + 1"
    )


def by_word(facets: frozenset[str], after: bool, others: Sequence[int], word: str, *more: str) -> str:
    """The postings of a word in the order of their places; entries are asked only about what these do not say."""
    conditions = [f"p.word = %({word})s", *(FACETS[name] for name in FACETS if name in facets), *map(holding, others)]
    conditions += more
    entries = f" {ONE_BY_ONE.format('p')}" if len(conditions) > 1 else ""
    if after:
        conditions.append(beyond("p.place", "p.listing_id", "relevance"))
    return (
        f"SELECT p.listing_id, p.place AS key FROM search_posting p{entries} WHERE {' AND '.join(conditions)}"  # noqa: S608
        f" ORDER BY p.place, p.listing_id LIMIT %(limit)s + 1"
    )


def by_landed_price(facets: frozenset[str], after: bool, words: int) -> str:
    """Listings in the order of their landed prices at one destination."""
    conditions = ["d.prefecture = %(to)s", "e.shown", *(FACETS[name] for name in FACETS if name in facets)]
    conditions += map(holding, range(words))
    if after:
        conditions.append(beyond("d.place", "d.listing_id", "landed"))
    return (
        f"SELECT d.listing_id, d.place AS key FROM landed_price d {ONE_BY_ONE.format('d')}"  # noqa: S608
        f" WHERE {' AND '.join(conditions)} ORDER BY d.place, d.listing_id LIMIT %(limit)s + 1"
    )


def found_by(facets: frozenset[str], sort: str, after: bool, words: int, long: bool) -> str:
    """The listings of a page and one more: ids and sort keys, in no certain order.

    The leading word of a question is its first here; the others, and itself where it is longer than a piece (`long`),
    are looked for in the text of the entries.
    """
    if sort == "landed":
        return by_landed_price(facets, after, words)
    if not words:
        return looked_through(facets, sort, after, ())
    others = range(0 if long else 1, words)
    if sort == "relevance":
        if not long:
            return by_word(facets, after, others, "piece")
        rest = by_word(facets, after, others, "piece", "split_part(e.search_text, E'\\n', 1) <> %(whole)s")
        return f"({by_word(facets, after, range(1, words), 'whole')}) UNION ALL ({rest})"
    few = looked_through(facets, sort, after, others)
    few = few.replace("search_entry e WHERE", f"few {ONE_BY_ONE.format('few')} WHERE")
    many = looked_through(facets, sort, after, range(words))
    number = "(SELECT count(*) FROM few)"
    return (
        f"WITH few AS MATERIALIZED (SELECT p.listing_id FROM search_posting p WHERE p.word = %(piece)s"  # noqa: S608
        f" LIMIT {ENOUGH + 1})"
        f" ({few.replace('WHERE e.shown', f'WHERE {number} <= {ENOUGH} AND e.shown')})"
        f" UNION ALL ({many.replace('WHERE e.shown', f'WHERE {number} > {ENOUGH} AND e.shown')})"
    )


@lru_cache(4096)
def list_statement(facets: frozenset[str], sort: str, after: bool, words: int = 0, long: bool = False) -> str:
    """The statement of a list; its text is the same for the same kind of question, so that it stays prepared.

    One row: the stamp of what it saw, the items' JSON, and the sort key and id of the last item when there are more.
    """
    landed, prices = "", ""
    if sort == "landed":
        landed = f"|| ',\"landed\":' || {LANDED}"
        prices = "JOIN landed_price d ON d.listing_id = f.listing_id AND d.prefecture = %(to)s"
    return f"""
        WITH found AS (
            SELECT f.* FROM ({found_by(facets, sort, after, words, long)}) f
            ORDER BY {order_of("f.key", "f.listing_id", sort)} LIMIT %(limit)s + 1
        ), p AS (
            SELECT f.listing_id, f.key, row_number() OVER (ORDER BY {order_of("f.key", "f.listing_id", sort)}) AS place,
                   l.card || ',"available":' || (({OPEN}) / l.pack_base_quantity)::text {landed} || '}}' AS item
            FROM found f JOIN listing l ON l.id = f.listing_id {prices}
        )
        SELECT {STAMP}, page.* FROM (
            SELECT string_agg(p.item, ',' ORDER BY p.place) FILTER (WHERE p.place <= %(limit)s),
                   CASE WHEN count(*) > %(limit)s THEN min(p.key) FILTER (WHERE p.place = %(limit)s) END,
                   CASE WHEN count(*) > %(limit)s THEN min(p.listing_id::text) FILTER (WHERE p.place = %(limit)s) END
            FROM p
        ) page
    """  # noqa: S608 - put together from the constants above


def read(session: Session, statement: str, given: dict[str, Any]) -> Any:
    """The one row of a statement, or None; for a unit of work that asks this once and does nothing else.

    The statement goes to the driver as it stands: one round trip, nothing begun before it or committed after it, and
    about a third of the processor time that it costs through the layers of Session and Connection.
    """
    engine = session.get_bind()
    if not isinstance(engine, Engine):
        return session.connection().exec_driver_sql(statement, given).first()
    pooled = engine.raw_connection()
    driver: Any = pooled.driver_connection
    try:
        driver.autocommit = True
        row = driver.execute(statement, given).fetchone()
        driver.autocommit = False
    except BaseException as error:
        # Never back into the pool: whoever took it next would commit statement by statement.
        gone = driver.closed
        pooled.invalidate(error)
        if isinstance(error, psycopg.OperationalError):
            raise OperationalError(statement, None, error, connection_invalidated=gone) from error
        raise
    pooled.close()
    return row


@dataclass(frozen=True)
class Page:
    """The items of a page as JSON without brackets, and the sort key and id of the last when there are more."""

    stamp: str | None
    items: str
    key: Any
    last: UUID | None


def listed(
    session: Session,
    *,
    words: list[str],
    facets: dict[str, Any],
    sort: str,
    after: tuple[Any, UUID] | None,
    limit: int,
    to: str | None = None,
) -> Page:
    """A page of the list; `to` is the prefecture of landed prices."""
    given = {"limit": limit, "to": to, **of_facets(facets), **of_words(words)}
    if after:
        given["after"], given["after_id"] = after
    long = bool(words) and len(leading(words)) > PIECE
    statement = list_statement(frozenset(facets), sort, after is not None, len(words), long)
    stamp, items, key, last = read(session, statement, given)
    return Page(stamp, items or "", key, UUID(last) if last else None)


def of_facets(facets: dict[str, Any]) -> dict[str, Any]:
    """The parameters of filters, named as the conditions name them."""
    given = dict(facets)
    if "certificate" in given:
        given["certificate"] = CERTIFICATES[given["certificate"]]
    if "price_band" in given:
        given["least"], given["below"] = PRICE_BANDS[given.pop("price_band")]
    return given


def of_words(words: list[str]) -> dict[str, Any]:
    """The parameters of a question's words, the leading one first."""
    if not words:
        return {}
    first = leading(words)
    given = {"piece": first[:PIECE], "whole": first}
    for place, word in enumerate([first, *(word for word in words if word != first)]):
        given |= {f"holds{place}": f"%{escaped(word)}%", f"begins{place}": f"%\t{escaped(word)}%"}
    return given


def escaped(word: str) -> str:
    """A word as LIKE takes it literally."""
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


DETAIL = f"""
    SELECT l.card || ',"available":' || (({OPEN}) / l.pack_base_quantity)::text
        || ',"revision":' || l.revision || ',"pack":' || COALESCE(l.pack_told::text, 'null')
        || ',"standard":' || COALESCE(product.standard::text, 'null')
        || ',"acceptance":' || product.acceptance::text || ',"photos":' || product.photos::text
        || ',"pack_grams":' || l.pack_grams || ',"shelf_life_days":' || product.shelf_life_days
        || ',"lists":' || to_jsonb(product.tags)::text || ',"supplies":['
        || COALESCE((
            SELECT string_agg(
                '{{"ready_from":"' || s.ready_from || '","ready_to":"' || s.ready_to
                || '","packs":' || (s.open / l.pack_base_quantity)::text || '}}', ',' ORDER BY s.ready_from, s.id
            ) FROM supply s WHERE s.listing_id = l.id AND NOT s.closed AND s.ready_to > {TODAY} AND s.open > 0
        ), '') || ']}}'
    FROM listing l JOIN product ON product.id = l.product_id WHERE l.id = %(id)s AND l.status = 'listed'
"""  # noqa: S608 - put together from the constants above


def detail(session: Session, listing_id: UUID) -> str | None:
    """A listing on sale as JSON with what its product says and its supply windows; None for any other."""
    found = read(session, DETAIL, {"id": listing_id})
    return str(found[0]) if found else None


def divisions(session: Session, *, parent: str | None, on: date) -> list[Any]:
    """The divisions below one, or the provinces, as of a day."""
    wanted = select(Division.code, Division.name, Division.name_en, Division.level).where(Division.in_force(on))
    if parent is None:
        wanted = wanted.where(Division.level == Level.PROVINCE)
    else:
        wanted = wanted.where(Division.parent_code == parent)
    return list(session.execute(wanted.order_by(Division.code)))


def pairings(session: Session, *, on: date) -> list[Any]:
    """The pairings in force on a day with the names of both sides then."""
    east, west = aliased(Division), aliased(Division)

    def named(division: Any, code: Any) -> Any:
        return and_(division.code == code, division.in_force(on))

    return list(
        session.execute(
            select(Pairing, east.name, west.name)
            .outerjoin(east, named(east, Pairing.east_code))
            .outerjoin(west, named(west, Pairing.west_code))
            .where(Pairing.valid.contains(on))
            .order_by(Pairing.scheme, Pairing.east_code, Pairing.west_code, Pairing.id)
        )
    )
