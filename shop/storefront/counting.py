"""How many listings each choice of a filter would leave: exact, in one reading of the narrow entries."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy.orm import Session

from shop.catalogue.models import CATEGORIES
from shop.catalogue.models_search import CERTIFICATES
from shop.catalogue.words import PIECE, leading
from shop.clock import TODAY
from shop.storefront.queries import FACETS, IN_SEASON, PRICE_BANDS, holding, of_facets, of_words, read
from shop.storefront.stamps import STAMP

PLACE = {name: place for place, name in enumerate(FACETS, 1)}
BAND = " + ".join(f"(e.price_per_kg_fen >= {least})::int" for least, _ in list(PRICE_BANDS.values())[1:])
# What is little is packed into one number, which is gathered in half the time of so many columns.
CODE = (
    f"e.certificates::int + 8 * e.key_county::int + 16 * ({IN_SEASON})::int"
    f" + 32 * COALESCE(e.stock_until > {TODAY}, false)::int + 64 * ({BAND})"
)
REST = "c.code IS NOT NULL"
VALUES = {  # facet → its value as text and how its cells are told apart
    "province": ("left(c.county, 2) || '0000'", "c.county IS NOT NULL"),
    "county": ("c.county", "c.county IS NOT NULL"),
    "key_county": ("(c.code & 8 <> 0)::text", REST),
    "category": ("c.category", "c.category IS NOT NULL"),
    "storage": ("c.storage", "c.storage IS NOT NULL"),
    "in_season": ("(c.code & 16 <> 0)::text", REST),
    "in_stock": ("(c.code & 32 <> 0)::text", REST),
    "price_band": ("(c.code / 64)::text", REST),
}


@lru_cache(1024)
def facets_statement(given: frozenset[str], words: int, long: bool) -> str:
    """The statement of the counts: rows of facet, value, name and count, with the stamp of what it saw in each.

    Entries are gathered into cells: by county, category, storage and the rest; a cell remembers the one filter that
    its entries fail, if any, so that a facet counts past its own filter and under all the others.
    """
    chosen = [name for name in FACETS if name in given]
    fails = {name: f"({FACETS[name]}) IS NOT TRUE" for name in chosen}
    conditions = ["e.shown", *map(holding, range(0 if long else 1, words))]
    if len(chosen) > 1:
        conditions.append(f"{' + '.join(f'({fail})::int' for fail in fails.values())} <= 1")
    failed = "0"
    if chosen:
        failed = f"CASE {' '.join(f'WHEN {fail} THEN {PLACE[name]}' for name, fail in fails.items())} ELSE 0 END"
    source = "search_entry e"
    if words:
        source = "search_posting p JOIN search_entry e ON e.listing_id = p.listing_id"
        conditions.append("p.word = %(piece)s")

    def counted(name: str, value: str, where: str) -> str:
        return (
            f"SELECT '{name}' AS facet, {value} AS value, sum(c.n)::bigint AS n FROM cells c"  # noqa: S608
            f" WHERE {where} AND c.failed IN (0, {PLACE[name]}) GROUP BY 2"
        )

    parts = [counted(name, value, where) for name, (value, where) in VALUES.items()]
    parts += [
        counted("certificate", f"'{kind}'", f"{REST} AND c.code & {bit} <> 0") for kind, bit in CERTIFICATES.items()
    ]
    parts.append(
        "SELECT 'total', NULL, COALESCE(sum(c.n), 0)::bigint FROM cells c WHERE c.county IS NOT NULL AND c.failed = 0"
    )
    return f"""
        WITH cells AS MATERIALIZED (
            SELECT seen.county, seen.category, seen.storage, seen.code, seen.failed, count(*) AS n
            FROM (
                SELECT e.county, e.category, e.storage, {CODE} AS code, {failed} AS failed
                FROM {source} WHERE {" AND ".join(conditions)}
            ) seen GROUP BY GROUPING SETS ((county, failed), (category, failed), (storage, failed), (code, failed))
        ), counts AS ({" UNION ALL ".join(parts)})
        SELECT {STAMP}, json_agg(json_build_array(counts.facet, counts.value, d.name, counts.n))
        FROM counts LEFT JOIN division d ON counts.facet IN ('province', 'county') AND d.code = counts.value
            AND d.valid_from <= {TODAY} AND (d.valid_to IS NULL OR d.valid_to > {TODAY})
    """  # noqa: S608 - put together from the constants above


def facets(session: Session, *, words: list[str], chosen: dict[str, Any]) -> tuple[str | None, int, dict[str, Any]]:
    """The stamp of the counts, how many listings there are under all filters, and the counts of each facet.

    A count is of a value, in order: bands from the cheapest, everything else from the most frequent.
    """
    long = bool(words) and len(leading(words)) > PIECE
    statement = facets_statement(frozenset(chosen), len(words), long)
    stamp, rows = read(session, statement, of_facets(chosen) | of_words(words))
    total = 0
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in FACETS}
    bands = list(PRICE_BANDS)
    for facet, value, name, count in sorted(rows, key=in_order):
        if facet == "total":
            total = count
        elif count:
            value = bands[int(value)] if facet == "price_band" else value
            if facet == "category":
                name = CATEGORIES[value][0]
            found[facet].append({"value": value, "name": name, "count": count})
    return stamp, total, found


def in_order(row: Sequence[Any]) -> Any:
    facet, value, _, count = row
    return (facet, 0, value) if facet == "price_band" else (facet, -count, value or "")
