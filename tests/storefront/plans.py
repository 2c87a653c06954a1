"""How the planner answers every kind of question that the public list takes."""

from collections.abc import Iterator
from itertools import product
from typing import Any

from sqlalchemy import Connection

from shop.ids import new_id
from shop.storefront.queries import ENOUGH, FACETS, KEY_TYPES, list_statement, of_facets, of_words

READ_AT_MOST = 2 * ENOUGH
"""Rows of a table that one page may touch, however large the shop: beyond it a question needs an index."""
WIDE = ("listing", "supply")
NARROW = ("search_entry", "search_posting")
SIFTED = frozenset(FACETS) - {"category", "province"}
"""Filters that no index serves in the order of every sort. Where few pass them, narrow rows are read until there are
enough, at worst all of them; wide ones never."""


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def questions(given: dict[str, Any]) -> Iterator[tuple[str, tuple[str, ...], str, dict[str, Any]]]:
    """Name, tables that it reads little of, statement and parameters.

    Each filter alone and with the category, with a word and without, in every order."""
    kinds = [name for name in FACETS if name in given]
    sets = [(), *((kind,) for kind in kinds), *(("category", kind) for kind in kinds if kind != "category")]
    for facets, words, sort, after in product(sets, ((), (given["word"],)), KEY_TYPES, (False, True)):
        if sort == "landed" or (sort == "relevance" and not words):  # nobody buys in the shop of the benchmark
            continue
        name = f"{'+'.join([*facets, *words]) or 'all'} by {sort}, {'later' if after else 'first'} page"
        chosen = {facet: given[facet] for facet in facets}
        values = of_facets(chosen) | of_words(list(words)) | {"after": given[sort]}
        yield (
            name,
            WIDE if SIFTED & set(facets) else WIDE + NARROW,
            list_statement(frozenset(facets), sort, after, len(words)),
            values,
        )


def faults(connection: Connection, *, word: str, **given: Any) -> list[str]:
    """Every question whose plan reads more of a table than a page is worth, with what it read."""
    shared = {"limit": 24, "after_id": new_id()}
    given |= {"certificate": "gi", "in_season": True, "in_stock": True, "price_band": "10_to_20", "key_county": False}
    given |= {"relevance": 40 * 2**40, "word": word}
    found = []
    for name, tables, statement, asked in questions(given):
        (tree,) = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", shared | asked).scalar_one()
        for node in nodes(tree["Plan"]):
            touched = (
                node["Actual Rows"]
                + node.get("Rows Removed by Filter", 0)
                + node.get("Rows Removed by Index Recheck", 0)
            )
            if node.get("Relation Name") in tables and touched > READ_AT_MOST:
                found.append(f"{name}: {node['Node Type']} reads {touched:.0f} of {node['Relation Name']}")
            elif (
                tables != WIDE
                and node["Node Type"] in ("Sort", "Incremental Sort")
                and node["Plans"][0]["Actual Rows"] > READ_AT_MOST
            ):
                found.append(f"{name}: sorts {node['Plans'][0]['Actual Rows']:.0f} rows")
    return found
