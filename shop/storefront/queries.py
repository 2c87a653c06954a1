"""The hot reads, one statement each: PostgreSQL puts the JSON together from ready cards, found by a partial index.

The business day is read in the same statement, so that what is available is as of the moment of the answer.
"""

from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import Engine, and_, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, aliased

from shop.catalogue.words import grams_of_words
from shop.regions.models import Division, Level, Pairing

TODAY = (
    "(SELECT ((clock_timestamp() + offset_us * interval '1 microsecond') AT TIME ZONE 'Asia/Shanghai')::date"
    " FROM business_clock)"
)
STAMP = f"""
    CASE WHEN pg_current_xact_id_if_assigned() IS NULL
    THEN pg_postmaster_start_time()::text || ' ' || pg_current_snapshot()::text || ' ' || {TODAY}::text END
"""
"""What names the state that a statement sees: two statements of equal snapshots, on one day, of one run of the server
see the same rows. Null inside a transaction that has written, where that does not hold."""
OPEN = f"""
    SELECT COALESCE(sum(s.open), 0)::bigint FROM supply s
    WHERE s.listing_id = l.id AND NOT s.closed AND s.ready_to > {TODAY}
"""  # noqa: S608 - put together from the constants above
FACETS = {
    "category": "l.category = %(category)s",
    "county": "l.origin_code = %(county)s",
    "province": "l.province_code = %(province)s",
    "storage": "l.storage = %(storage)s",
    "q": "l.grams @> %(grams)s::text[]",
    # A name that has the pair of a two-character word holds the word; longer words are looked for as they stand.
    "long": "l.search_text LIKE ALL (%(patterns)s::text[])",
}
ORDERS = {
    "price": ("l.price_fen, l.id", "(l.price_fen, l.id) > (%(after)s::bigint, %(after_id)s::uuid)", "p.price_fen"),
    "newest": (
        "l.listed_at DESC, l.id DESC",
        "(l.listed_at, l.id) < (%(after)s::timestamptz, %(after_id)s::uuid)",
        "p.listed_at",
    ),
}


@cache
def list_statement(facets: frozenset[str], sort: str, after: bool) -> str:
    """The statement of a list; its text is the same for the same kind of question, so that it stays prepared.

    One row: the stamp of what it saw; and unless that is `seen`, the items' JSON, and the sort key and id of the last
    item when there are more.
    """
    order, beyond, key = ORDERS[sort]
    conditions = ["l.status = 'listed'", *(FACETS[name] for name in FACETS if name in facets)]
    if after:
        conditions.append(beyond)
    return f"""
        WITH now AS MATERIALIZED (
            SELECT {STAMP} AS stamp
        ), l AS (
            SELECT l.id, l.price_fen, l.listed_at, l.card, l.pack_base_quantity
            FROM listing l WHERE {" AND ".join(conditions)}
            ORDER BY {order} LIMIT %(limit)s + 1
        ), p AS (
            SELECT l.id, l.price_fen, l.listed_at, row_number() OVER (ORDER BY {order}) AS place,
                   l.card || ',"available":' || (({OPEN}) / l.pack_base_quantity)::text || '}}' AS item
            FROM l
        )
        SELECT now.stamp, page.* FROM now LEFT JOIN LATERAL (
            SELECT string_agg(p.item, ',' ORDER BY p.place) FILTER (WHERE p.place <= %(limit)s),
                   CASE WHEN count(*) > %(limit)s THEN min({key}) FILTER (WHERE p.place = %(limit)s) END,
                   CASE WHEN count(*) > %(limit)s THEN min(p.id::text) FILTER (WHERE p.place = %(limit)s) END
            FROM p WHERE (now.stamp = %(seen)s::text) IS NOT TRUE
        ) page ON true
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
    facets: dict[str, str],
    sort: str,
    after: tuple[Any, UUID] | None,
    limit: int,
    seen: str | None = None,
) -> Page | None:
    """A page of the list; None when nothing at all has changed since the stamp `seen`."""
    given: dict[str, Any] = {"limit": limit, "seen": seen, **facets}
    names = set(facets)
    if words:
        names.add("q")
        given["grams"] = grams_of_words(words)
        if longer := [word for word in words if len(word) > 2]:
            names.add("long")
            given["patterns"] = [f"%{escaped(word)}%" for word in longer]
    if after:
        given["after"], given["after_id"] = after
    statement = list_statement(frozenset(names), sort, after is not None)
    stamp, items, key, last = read(session, statement, given)
    if stamp is not None and stamp == seen:
        return None
    return Page(stamp, items or "", key, UUID(last) if last else None)


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
