"""What a report asks and how PostgreSQL answers it: the rollup, and the facts between its mark and the watermark.

The figures of an answer come from one statement, so they are of one snapshot whatever the isolation level: mark,
rollup and facts agree. Facts are numbered in the order of their commits and never change, so the facts up to a number
are the same for ever, and an answer as of a number can be repeated exactly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session

from shop.facts.models import Measure
from shop.regions.models import Bucket, Division, Pairing, province_of, stem_of
from shop.reporting.models import PROCUREMENT

SUMS = ("goods_fen", "freight_fen", "amount_fen", "packs", "grams", "facts")

DIMENSIONS = {  # each with what it is in the rollup and in a fact
    "east_province": ("east_province", "east_province"),
    "west_province": ("west_province", "west_province"),
    "pairing": ("pairing_key", "COALESCE(replace(pairing_id::text, '-', ''), '')"),
    "bucket": ("bucket", "bucket"),
    "month": ("month", "month"),
    "category": ("category", "category"),
    "purpose": ("purpose", "purpose"),
}


@dataclass(frozen=True)
class Reader:
    """Whose facts are read: all, those `regions` pay for or grow, what `counties` grow, or one party's own."""

    regions: tuple[str, ...] = ()
    counties: tuple[str, ...] = ()
    buyer_id: UUID | None = None
    cooperative_id: UUID | None = None

    @property
    def scope(self) -> list[str]:
        """The reader as a drill token and a report run keep it."""
        if self.buyer_id:
            return ["buyer", self.buyer_id.hex]
        if self.cooperative_id:
            return ["cooperative", self.cooperative_id.hex]
        if self.counties:
            return ["counties", *sorted(self.counties)]
        return ["provinces", *sorted(self.regions)]

    @property
    def reads_rollup(self) -> bool:
        """Whether the rollup, which knows provinces but nothing smaller and no party, can tell what is theirs."""
        owned = self.buyer_id or self.cooperative_id or self.counties
        return not owned and all(region == province_of(region) for region in self.regions)


@dataclass(frozen=True)
class Question:
    """A measure over half-open months, split by dimensions."""

    measure: str
    group_by: tuple[str, ...]
    start: date | None = None
    end: date | None = None
    bucket: str | None = None


class Cell(NamedTuple):
    """One row of an answer: its place in every dimension and its sums."""

    place: tuple[Any, ...]
    goods_fen: int
    freight_fen: int
    amount_fen: int
    packs: int
    grams: int
    facts: int


@dataclass(frozen=True)
class Found:
    """The cells, in the order of their places, the watermark they hold for and the last number there is."""

    as_of: int
    last: int
    cells: list[Cell]


def filters(question: Question, reader: Reader) -> tuple[list[str], dict[str, Any]]:
    """The conditions that the rollup and the facts have in common, and the values of their parameters.

    Measure, months and bucket stand in the statement itself, as words of closed lists: a plan made for any month reads
    the rollup four times as slowly as one made for these.
    """
    conditions = [f"measure = '{Measure(question.measure)}'"]
    if question.start:
        conditions.append(f"month >= DATE '{question.start:%Y-%m-%d}'")
    if question.end:
        conditions.append(f"month < DATE '{question.end:%Y-%m-%d}'")
    if question.bucket:
        conditions.append(f"bucket = '{Bucket(question.bucket)}'")
    values: dict[str, Any] = {}
    for name, owner in (("buyer_id", reader.buyer_id), ("cooperative_id", reader.cooperative_id)):
        if owner:
            conditions.append(f"{name} = :{name}")
            values[name] = owner
    if reader.counties:
        conditions.append(inside(values, ("origin_code",), reader.counties))
    elif reader.regions and reader.reads_rollup:
        conditions.append("(east_province = ANY(:regions) OR west_province = ANY(:regions))")
        values["regions"] = list(reader.regions)
    elif reader.regions:
        conditions.append(inside(values, ("funding_code", "origin_code"), reader.regions))
    return conditions, values


def inside(values: dict[str, Any], columns: Sequence[str], divisions: Sequence[str]) -> str:
    """That one of the columns lies in one of the divisions, as ranges of codes that an index can follow."""
    ranges = []
    for place, code in enumerate(divisions):
        within = stem_of(code)
        values[f"low{place}"], values[f"high{place}"] = within.ljust(6, "0"), within.ljust(6, "9")
        ranges += [f"{column} BETWEEN :low{place} AND :high{place}" for column in columns]
    return f"({' OR '.join(ranges)})"


def grain_of(question: Question) -> int:
    """The coarsest grain of the rollup that knows every dimension of a question."""
    return 0 if "purpose" in question.group_by else 1 if "category" in question.group_by else 2


ROLLED = """
    SELECT {rollup_dimensions}, goods_fen, freight_fen, amount_fen, packs, grams, facts FROM rollup
    WHERE grain = {grain} AND {conditions} AND (SELECT uses_rollup FROM mark)
    UNION ALL
"""
ANSWER = """
WITH known AS MATERIALIZED (
    SELECT COALESCE((SELECT upto_no FROM rollup_mark WHERE name = '{name}'), 0) AS upto,
           COALESCE((SELECT last FROM numbering WHERE name = 'fact'), 0) AS last
), asked AS (
    SELECT upto, last, COALESCE(CAST(:as_of AS bigint), last) AS as_of FROM known
), mark AS MATERIALIZED (  -- a watermark far behind the rollup is nearer to nothing than to it
    SELECT last, as_of, uses_rollup,
           CASE WHEN uses_rollup THEN LEAST(as_of, upto) ELSE 0 END AS after_no,
           CASE WHEN uses_rollup THEN GREATEST(as_of, upto) ELSE as_of END AS upto_no,
           CASE WHEN uses_rollup AND as_of < upto THEN -1 ELSE 1 END AS sign
    FROM asked, LATERAL (SELECT {reads_rollup} AND as_of * 2 >= upto AS uses_rollup) AS chosen
), found AS (
    SELECT {names}, sum(goods_fen)::bigint AS goods_fen, sum(freight_fen)::bigint AS freight_fen,
           sum(amount_fen)::bigint AS amount_fen, sum(packs)::bigint AS packs, sum(grams)::bigint AS grams,
           sum(facts)::bigint AS facts
    FROM (
        {rolled}
        SELECT {fact_dimensions}, sign * goods_fen, sign * freight_fen, sign * amount_fen, sign * packs, sign * grams,
               sign
        FROM fact, mark
        WHERE {conditions} AND posted_no > (SELECT after_no FROM mark) AND posted_no <= (SELECT upto_no FROM mark)
    ) AS parts ({names}, goods_fen, freight_fen, amount_fen, packs, grams, facts)
    GROUP BY {names} HAVING sum(facts) <> 0
)
SELECT mark.as_of, mark.last, found.* FROM mark LEFT JOIN found ON true
"""


def answer(session: Session, question: Question, reader: Reader, as_of: int | None) -> Found:
    """The cells of a question as of a fact number, by default the last one; one statement."""
    conditions, values = filters(question, reader)
    dimensions = [DIMENSIONS[name] for name in question.group_by]
    parts = {
        "name": PROCUREMENT,
        "conditions": " AND ".join(conditions),
        "names": ", ".join(f"d{place}" for place in range(len(dimensions))),
        "rollup_dimensions": ", ".join(in_rollup for in_rollup, _ in dimensions),
        "fact_dimensions": ", ".join(in_fact for _, in_fact in dimensions),
        "grain": grain_of(question),
        "reads_rollup": "true" if reader.reads_rollup else "false",
    }
    rolled = ROLLED.format(**parts) if reader.reads_rollup else ""
    rows = session.execute(text(ANSWER.format(rolled=rolled, **parts)), values | {"as_of": as_of}).all()
    width = len(dimensions) + 2
    cells = [Cell(tuple(row[2:width]), *row[width:]) for row in rows if row[-1] is not None]
    cells.sort(key=lambda cell: cell.place)
    return Found(rows[0][0], rows[0][1], cells)


def names(session: Session, codes: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The newest Chinese and English names of divisions; a code that is not known has none."""
    rows = session.execute(
        select(Division.code, Division.name, Division.name_en)
        .where(Division.code.in_(sorted(set(codes))))
        .order_by(Division.code, Division.valid_from)
    )
    return {code: (name, name_en) for code, name, name_en in rows}


def pairings(session: Session, keys: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The eastern and western codes of pairings, by their ids in hex."""
    ids = sorted({UUID(hex=key) for key in keys if key})
    if not ids:
        return {}
    rows = session.execute(select(Pairing.id, Pairing.east_code, Pairing.west_code).where(Pairing.id.in_(ids)))
    return {key.hex: (east, west) for key, east, west in rows}


def cell_conditions(question: Question, place: Sequence[Any], reader: Reader, as_of: int) -> tuple[str, dict[str, Any]]:
    """What the facts of one cell have in common, as SQL over `fact`."""
    conditions, values = filters(question, reader)
    for number, (name, value) in enumerate(zip(question.group_by, place, strict=True)):
        if name == "pairing":
            conditions.append(f"pairing_id = :p{number}" if value else "pairing_id IS NULL")
            value = UUID(hex=value) if value else None
        else:
            conditions.append(f"{name} = :p{number}")
        values[f"p{number}"] = value
    conditions.append("posted_no <= :as_of")
    return " AND ".join(conditions), values | {"as_of": as_of}


def sum_of_lines(session: Session, conditions: str, values: Mapping[str, Any]) -> tuple[int, int]:
    """The amount of the facts of a cell, and how many there are."""
    statement = text(f"SELECT COALESCE(sum(amount_fen), 0), count(*) FROM fact WHERE {conditions}")  # noqa: S608
    amount, facts = session.execute(statement, values).one()
    return int(amount), int(facts)


LINES = """
SELECT f.id, f.measure, f.occurred_on, f.month, buyer.name AS buyer, seller.name AS cooperative, p.name AS product,
       f.category, f.origin_code, f.bucket, f.goods_fen, f.freight_fen, f.amount_fen, f.packs, f.grams, f.order_id,
       f.line_id, f.silent, f.posted_no
FROM (SELECT * FROM fact WHERE {conditions} AND posted_no > :after ORDER BY posted_no LIMIT :limit) f
LEFT JOIN organisation buyer ON buyer.id = f.buyer_id
LEFT JOIN organisation seller ON seller.id = f.cooperative_id
LEFT JOIN product p ON p.id = f.product_id
ORDER BY f.posted_no
"""


def lines(
    session: Session, conditions: str, values: Mapping[str, Any], *, after: int, limit: int
) -> Sequence[Row[Any]]:
    """The facts of a cell by number, from behind `after`, with the names of their parties and products."""
    return session.execute(text(LINES.format(conditions=conditions)), {**values, "after": after, "limit": limit}).all()
