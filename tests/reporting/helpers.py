"""Facts of every kind for tests of reports."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from shop.facts import service as facts
from shop.facts.models import Fact, Measure
from shop.ids import new_id
from shop.outbox import service as outbox
from shop.reporting import rollup
from tests.builders import NOW

BUYER, COOPERATIVE, UNIT, PRODUCT, PAIRING = (UUID(int=0x7000_8000_0000_0000_0000 + n) for n in range(5))


def a_fact(session: Session, measure: Measure = Measure.ACCEPTED, now: datetime = NOW, **more: Any) -> UUID:
    """Record one fact, Shanghai buying apples from Shaanxi unless told otherwise; gives its source id."""
    source_id = new_id()
    fields: dict[str, Any] = {
        "source_id": source_id,
        "goods_fen": 1_000,
        "freight_fen": 100,
        "packs": 2,
        "grams": 10_000,
        "scheme": "east_west",
        "bucket": "other_east",
        "pairing_id": None,
        "east_province": "310000",
        "west_province": "610000",
        "funding_code": "310101",
        "origin_code": "610629",
        "buyer_id": BUYER,
        "budget_unit_id": UNIT,
        "cooperative_id": COOPERATIVE,
        "product_id": PRODUCT,
        "category": "fruit",
        "purpose": "canteen",
        "terms": "prepaid",
        "order_id": new_id(),
        "supplier_order_id": new_id(),
        "line_id": new_id(),
    }
    facts.record(session, measure, [fields | more], now=now)
    return source_id


def break_it(connection: Connection, statement: str) -> int:
    """Do what no one but the owner of the tables, with the guards off, can do; gives how many rows it touched."""
    guarded = connection.scalars(
        text("SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1")
    )
    for table in guarded.all():
        connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
    return int(connection.execute(text(statement)).rowcount)


def number(session: Session) -> int:
    """Number what is there, as the relay does; gives the last number."""
    outbox.number(session, Fact)
    return int(session.scalar(text("SELECT COALESCE(max(posted_no), 0) FROM fact")) or 0)


def roll(session: Session) -> int:
    """Add all numbered facts to the rollup; gives how many."""
    done = 0
    while added := rollup.roll_up(session):
        done += added
    return done


def rolled(session: Session) -> Sequence[tuple[Any, ...]]:
    """The whole rollup."""
    return [tuple(row) for row in session.execute(text("SELECT * FROM rollup ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10"))]
