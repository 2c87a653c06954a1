"""Ask a procurement report, drill into a figure, keep a report and repeat it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from shop.actor import Actor, Audience, Role
from shop.db import in_unit_of_work
from shop.errors import Forbidden, Invalid, NotFound, Refusal
from shop.facts.models import Measure
from shop.ids import FactId, LineId, OrderId, PairingId, PublicId, new_id
from shop.regions.models import Bucket
from shop.reporting import drilling, queries
from shop.reporting.drilling import day_of, month_of
from shop.reporting.models import ReportRun
from shop.reporting.queries import DIMENSIONS, SUMS, Cell, Found, Question, Reader

READERS = (Role.ANALYST, Role.OPERATOR, Role.AUDITOR)
RULE_VERSION = 1
"""Counting rule 1: amount = goods + freight, each measure by its own date, in the Beijing month of that date."""

FILE_BATCH = 2_000


class DoesNotAddUp(Refusal):
    """The lines behind a figure do not sum to it; `cell_fen` and `total_fen` are the two sides."""

    code, status = "does_not_add_up", 409
    title, title_zh = "The lines behind this figure do not sum to it.", "明细与汇总金额不一致。"


@dataclass(frozen=True)
class Report:
    """An answer with its cells as rows of JSON."""

    question: Question
    rows: list[dict[str, Any]]
    total_fen: int
    as_of: int


@dataclass(frozen=True)
class Summary:
    """An answer for people to read: names instead of codes."""

    rows: list[dict[str, Any]]
    total_fen: int


@dataclass(frozen=True)
class Lines:
    rows: Sequence[Row[Any]]
    next: str | None
    total_fen: int
    cell_fen: int


@dataclass(frozen=True)
class Run:
    """A kept report with the hash of its answer as of now."""

    kept: ReportRun
    repeated_hash: str


def reader_of(actor: Actor) -> Reader:
    """Whose facts an actor may read; Forbidden for members of the administration without a role for it."""
    match actor.audience:
        case Audience.BUYER:
            return Reader(buyer_id=actor.organisation_id)
        case Audience.COOPERATIVE:
            return Reader(cooperative_id=actor.organisation_id)
        case Audience.ADMIN if actor.has(*READERS):
            return Reader(regions=actor.regions)
        case Audience.ADMIN if actor.has(Role.COUNTY_REVIEWER) and actor.regions:
            return Reader(counties=actor.regions)
    raise Forbidden


def question(
    *,
    measure: str,
    group_by: str,
    start: str | None = None,
    end: str | None = None,
    bucket: str | None = None,
    at: str = "/query",
) -> Question:
    """A question from its words; months as YYYY-MM, the last one not counted. Invalid names the word at fault."""
    names = tuple(dict.fromkeys(name.strip() for name in group_by.split(",")))
    allowed: list[tuple[str, str, list[str]]] = [
        ("measure", measure, [*Measure]),
        ("bucket", bucket or Bucket.PAIRED, [*Bucket]),
        *(("group_by", name, [*DIMENSIONS]) for name in names),
    ]
    for name, word, words in allowed:
        if word not in words:
            raise Invalid(f"{word!r} is not one of {', '.join(words)}.", pointer=f"{at}/{name}")
    months: dict[str, date | None] = {}
    for name, month in (("from", start), ("to", end)):
        try:
            months[name] = day_of(month)
        except ValueError as error:
            raise Invalid(f"{month!r} is not a month, YYYY-MM.", pointer=f"{at}/{name}") from error
    if months["from"] and months["to"] and months["to"] <= months["from"]:
        raise Invalid("`to` is the first month no longer counted, so it comes after `from`.", pointer=f"{at}/to")
    return Question(measure, names, months["from"], months["to"], bucket)


def found(session: Session, asked: Question, reader: Reader, as_of: int | None) -> Found:
    """The cells; Invalid for a watermark that no fact has reached yet, as its answer would still change."""
    answer = queries.answer(session, asked, reader, as_of)
    if answer.as_of > answer.last:
        raise Invalid(f"The last fact number is {answer.last}.", pointer="/query/as_of")
    return answer


def report(session: Session, asked: Question, reader: Reader, *, as_of: int | None = None) -> Report:
    """Answer a question as of a fact number (by default the last), each row with its drill token."""
    answer = found(session, asked, reader, as_of)
    shown = shapes(session, asked, answer.cells)
    token = drilling.writer(asked, reader, answer.as_of)
    rows = []
    for cell in answer.cells:
        row: dict[str, Any] = {}
        for shape, value in zip(shown, cell.place, strict=True):
            row.update(shape[value])
        row["goods_fen"] = cell.goods_fen
        row["freight_fen"] = cell.freight_fen
        row["amount_fen"] = cell.amount_fen
        row["packs"] = cell.packs
        row["grams"] = cell.grams
        row["facts"] = cell.facts
        row["drill"] = token(cell)
        rows.append(row)
    return Report(asked, rows, sum(cell.amount_fen for cell in answer.cells), answer.as_of)


def shapes(session: Session, asked: Question, cells: Sequence[Cell]) -> list[dict[Any, dict[str, Any]]]:
    """For each dimension, what its values look like in a row: codes with the newest names, months as YYYY-MM."""
    values = [{cell.place[place] for cell in cells} for place in range(len(asked.group_by))]
    by_name = dict(zip(asked.group_by, values, strict=True))
    pairs = queries.pairings(session, list(by_name.get("pairing", ())))
    codes = [*by_name.get("east_province", ()), *by_name.get("west_province", ())]
    codes += [code for pair in pairs.values() for code in pair]
    known = queries.names(session, codes) if codes else {}

    def shape(name: str, value: Any) -> dict[str, Any]:
        if name in ("east_province", "west_province"):
            chinese, english = known.get(value, (value, value))
            return {name: value, f"{name}_name": chinese, f"{name}_name_en": english}
        if name == "pairing":
            pair = [known.get(code, (code, code)) for code in pairs.get(value, ())]
            return {
                name: show(PairingId, UUID(hex=value)) if value else None,
                "pairing_name": "—".join(chinese for chinese, _ in pair),
                "pairing_name_en": " – ".join(english for _, english in pair),
            }
        return {name: month_of(value) if name == "month" else value}

    return [{value: shape(name, value) for value in found} for name, found in zip(asked.group_by, values, strict=True)]


def show(kind: Any, value: UUID) -> str:
    """An id as it looks outside."""
    public: PublicId = kind.__metadata__[0]
    return public.format(value)


def summary(session: Session, *, measure: str, group_by: str, start: str | None, end: str | None) -> Summary:
    """The whole report for a terminal: Chinese names, `facts`, `amount_fen`."""
    asked = question(measure=measure, group_by=group_by, start=start, end=end)
    answer = report(session, asked, Reader())
    rows = [
        {name: row.get(f"{name}_name") or row[name] or "-" for name in asked.group_by}
        | {"facts": row["facts"], "amount_fen": row["amount_fen"]}
        for row in answer.rows
    ]
    return Summary(rows, answer.total_fen)


def lines(session: Session, reader: Reader, *, token: str, cursor: str | None, limit: int) -> Lines:
    """A page of the facts behind a figure, by number.

    Before the first page all of them are summed and must equal the figure (DoesNotAddUp otherwise). Facts up to a
    watermark never change, so only that page has to look at all of them: a cursor is signed and proves that it did.
    NotFound for a token of another reader.
    """
    drill = drilling.read(token, reader)
    conditions, values = queries.cell_conditions(drill.question, drill.place, reader, drill.as_of)
    after = drilling.place_of(token, cursor) if cursor else 0
    total = drill.amount_fen if cursor else checked_sum(session, drill, conditions, values)
    rows = queries.lines(session, conditions, values, after=after, limit=limit + 1)
    page = rows[:limit]
    following = drilling.cursor(token, page[-1].posted_no) if len(rows) > limit else None
    return Lines(page, following, total, drill.amount_fen)


def checked_sum(session: Session, drill: drilling.Drill, conditions: str, values: dict[str, Any]) -> int:
    total, facts = queries.sum_of_lines(session, conditions, values)
    if (total, facts) != (drill.amount_fen, drill.facts):
        raise DoesNotAddUp(cell_fen=drill.amount_fen, total_fen=total, cell_lines=drill.facts, lines=facts)
    return total


def all_lines(session: Session, reader: Reader, *, token: str) -> Iterator[Sequence[Row[Any]]]:
    """Every fact behind a figure, batch after batch, once the sum is checked here.

    Each batch is read in a unit of work of its own when it is asked for, so a slow reader holds neither a connection
    nor more than one batch; the watermark makes them the same facts. The end is checked again: a list that lost or
    gained a line on its way is broken off, not ended.
    """
    drill = drilling.read(token, reader)
    conditions, values = queries.cell_conditions(drill.question, drill.place, reader, drill.as_of)
    checked_sum(session, drill, conditions, values)

    def batch(after: int) -> Callable[[Session], Sequence[Row[Any]]]:
        return lambda session: queries.lines(session, conditions, values, after=after, limit=FILE_BATCH)

    def read() -> Iterator[Sequence[Row[Any]]]:
        after, total = 0, 0
        while rows := in_unit_of_work(batch(after)):
            yield rows
            total += sum(row.amount_fen for row in rows)
            after = rows[-1].posted_no
            if len(rows) < FILE_BATCH:
                break
        if total != drill.amount_fen:
            raise DoesNotAddUp(cell_fen=drill.amount_fen, total_fen=total)

    return read()


def keep_run(session: Session, asked: Question, *, actor: Actor, now: datetime) -> ReportRun:
    """Answer a question as of the last fact and keep question, watermark, total and hash."""
    reader = reader_of(actor)
    answer = found(session, asked, reader, None)
    run = ReportRun(
        id=new_id(),
        question={
            "measure": asked.measure,
            "group_by": ",".join(asked.group_by),
            "from": month_of(asked.start),
            "to": month_of(asked.end),
            "bucket": asked.bucket,
            "scope": reader.scope,
            "rule_version": RULE_VERSION,
        },
        upto_no=answer.as_of,
        total_fen=sum(cell.amount_fen for cell in answer.cells),
        content_hash=hash_of(asked, reader, answer),
        by_user_id=actor.user_id,
        organisation_id=actor.organisation_id,
        at=now,
    )
    session.add(run)
    session.flush()
    return run


def repeat_run(session: Session, run_id: UUID, *, actor: Actor) -> Run:
    """A kept report and the hash of its question asked again; NotFound for another's or one of another scope."""
    kept = session.scalars(
        select(ReportRun).where(ReportRun.id == run_id, ReportRun.organisation_id == actor.organisation_id)
    ).one_or_none()
    reader = reader_of(actor)
    if kept is None or kept.question["scope"] != reader.scope:
        raise NotFound
    asked = question(
        measure=kept.question["measure"],
        group_by=kept.question["group_by"],
        start=kept.question["from"],
        end=kept.question["to"],
        bucket=kept.question["bucket"],
    )
    return Run(kept, hash_of(asked, reader, found(session, asked, reader, kept.upto_no)))


def hash_of(asked: Question, reader: Reader, answer: Found) -> str:
    """The hash of an answer: question, watermark and every sum by code; names are not part of it."""
    return drilling.fingerprint(
        [
            RULE_VERSION, asked.measure, asked.group_by, month_of(asked.start), month_of(asked.end), asked.bucket,
            reader.scope, answer.as_of,
            [[*cell.place, *(getattr(cell, name) for name in SUMS)] for cell in answer.cells],
        ]
    )  # fmt: skip


def line_out(row: Row[Any]) -> dict[str, Any]:
    """A line as JSON."""
    return {
        "id": show(FactId, row.id),
        "measure": row.measure,
        "occurred_on": row.occurred_on.isoformat(),
        "month": month_of(row.month),
        "buyer": row.buyer,
        "cooperative": row.cooperative,
        "product": row.product,
        "category": row.category,
        "origin_code": row.origin_code,
        "bucket": row.bucket,
        "goods_fen": row.goods_fen,
        "freight_fen": row.freight_fen,
        "amount_fen": row.amount_fen,
        "packs": row.packs,
        "grams": row.grams,
        "order_id": show(OrderId, row.order_id),
        "line_id": show(LineId, row.line_id),
        "silent": row.silent,
        "posted_no": row.posted_no,
    }
