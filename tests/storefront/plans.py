"""How the planner answers every kind of question that the public list takes."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from sqlalchemy import Connection

from shop.catalogue.words import grams_of_words
from shop.ids import new_id
from shop.storefront.queries import FACETS, ORDERS, list_statement

READ_AT_MOST = 2000
"""Rows of the listing table that one page may touch, however large the shop: beyond it a question needs an index."""


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


KINDS = [name for name in FACETS if name != "long"]


def questions(given: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, statement and parameters of every combination of filters, sort and place."""
    for size in range(len(KINDS) + 1):
        for facets in combinations(KINDS, size):
            for sort in ORDERS:
                for after in (False, True):
                    place = "later page" if after else "first page"
                    name = f"{'+'.join(facets) or 'all'} by {sort}, {place}"
                    yield name, list_statement(frozenset(facets), sort, after), given | {"after": given[sort]}


def faults(connection: Connection, *, word: str, **given: Any) -> list[str]:
    """Every question whose plan scans a whole table or reads more listings than a page is worth, with what it read."""
    values = {
        **given,
        "limit": 24,
        "seen": None,
        "grams": grams_of_words([word]),
        "patterns": [f"%{word}%"],
        "after_id": new_id(),
    }
    found = []
    for name, statement, asked in questions(values):
        (tree,) = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", asked).scalar_one()
        for node in nodes(tree["Plan"]):
            touched = (
                node["Actual Rows"]
                + node.get("Rows Removed by Filter", 0)
                + node.get("Rows Removed by Index Recheck", 0)
            )
            if node["Node Type"] == "Seq Scan" and node["Relation Name"] in ("listing", "supply"):
                found.append(f"{name}: Seq Scan of {node['Relation Name']}")
            elif node.get("Relation Name") == "listing" and touched > READ_AT_MOST:
                found.append(f"{name}: {node['Node Type']} reads {touched:.0f} listings")
            elif node["Node Type"] in ("Sort", "Incremental Sort") and node["Plans"][0]["Actual Rows"] > READ_AT_MOST:
                found.append(f"{name}: sorts {node['Plans'][0]['Actual Rows']:.0f} rows")
    return found
