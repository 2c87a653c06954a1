"""Record facts."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from shop.clock import business_day
from shop.db import insert_rows
from shop.facts.models import Fact, Measure
from shop.ids import new_id

DIMENSIONS = (
    "scheme", "bucket", "pairing_id", "east_province", "west_province", "funding_code", "origin_code", "buyer_id",
    "budget_unit_id", "cooperative_id", "product_id", "category", "purpose", "terms", "order_id", "supplier_order_id",
    "line_id",
)  # fmt: skip


def record(session: Session, measure: Measure, facts: Sequence[Mapping[str, Any]], *, now: datetime) -> None:
    """Record what was `ordered`, `accepted`, `paid` or `refunded`, in the commit of what it tells of; see `rows_of`."""
    insert_rows(session, (Fact, rows_of(measure, facts, now=now)))


def rows_of(measure: Measure, facts: Sequence[Mapping[str, Any]], *, now: datetime) -> list[dict[str, Any]]:
    """The rows of facts that happened at `now`, for a caller that inserts them among others of its own.

    Each fact names its source row (one fact per measure and source), its signed `goods_fen` and `freight_fen`, its
    signed `packs` and `grams`, and every one of DIMENSIONS, as of now; `silent` where nobody inspected.
    """
    day = business_day(now)
    return [
        {
            "id": new_id(),
            "measure": measure,
            "class": "procured",
            "grade": "A",
            "occurred_on": day,
            "month": day.replace(day=1),
            "source_id": fact["source_id"],
            "goods_fen": fact["goods_fen"],
            "freight_fen": fact["freight_fen"],
            "amount_fen": fact["goods_fen"] + fact["freight_fen"],
            "packs": fact["packs"],
            "grams": fact["grams"],
            "silent": fact.get("silent", False),
            **{name: fact[name] for name in DIMENSIONS},
        }
        for fact in facts
    ]
