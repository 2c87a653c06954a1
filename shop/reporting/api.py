"""Reports: the procurement table, its csv, the lines behind a figure, and kept runs."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from flask import Response
from sqlalchemy.orm import Session

from shop.actor import Actor, Audience, Role
from shop.errors import Forbidden, NotFound
from shop.http.routes import ANY_MEMBER, Answer, Raw, Routes, audience, roles
from shop.ids import RunId
from shop.reporting import service
from shop.reporting.queries import SUMS, Question
from shop.reporting.schemas import (
    Asked,
    AskedAsOf,
    AskRun,
    LinesAsked,
    LinesFileAsked,
    LinesOut,
    ReportOut,
    RunOut,
    RunRepeated,
)
from shop.reporting.service import DoesNotAddUp, Report
from shop.sheets.writer import CSV_TYPE, Out, OutKind, csv_chunks

routes = Routes("/v1/reports", tag="Reports")
own_routes = Routes("/v1", tag="Reports")
ANALYSTS = roles(*service.READERS, Role.COUNTY_REVIEWER, of=Audience.ADMIN)

TITLES: dict[str, tuple[str, OutKind]] = {
    "east_province": ("东部省份代码", "text"),
    "east_province_name": ("东部省份", "text"),
    "east_province_name_en": ("East", "text"),
    "west_province": ("西部省份代码", "text"),
    "west_province_name": ("西部省份", "text"),
    "west_province_name_en": ("West", "text"),
    "pairing": ("结对编号", "text"),
    "pairing_name": ("结对关系", "text"),
    "pairing_name_en": ("Pairing", "text"),
    "bucket": ("归属", "text"),
    "month": ("月份", "text"),
    "category": ("品类", "text"),
    "purpose": ("用途", "text"),
    "goods_fen": ("货款（元）", "fen"),
    "freight_fen": ("运费（元）", "fen"),
    "amount_fen": ("金额（元）", "fen"),
    "packs": ("件数", "int"),
    "grams": ("重量（公斤）", "kilograms"),
    "facts": ("笔数", "int"),
    "id": ("编号", "text"),
    "measure": ("口径", "text"),
    "occurred_on": ("日期", "text"),
    "buyer": ("采购单位", "text"),
    "cooperative": ("合作社", "text"),
    "product": ("产品", "text"),
    "origin_code": ("产地代码", "text"),
    "order_id": ("订单", "text"),
    "line_id": ("订单行", "text"),
    "silent": ("默示验收", "text"),
    "posted_no": ("记账序号", "int"),
}
LINE_COLUMNS = (
    "id", "measure", "occurred_on", "month", "buyer", "cooperative", "product", "category", "origin_code", "bucket",
    "goods_fen", "freight_fen", "amount_fen", "packs", "grams", "order_id", "line_id", "silent",
    "posted_no",
)  # fmt: skip


def question_of(asked: Asked | AskRun) -> Question:
    return service.question(
        measure=asked.measure,
        group_by=asked.group_by,
        start=asked.start,
        end=asked.end,
        bucket=asked.bucket,
        at="/query" if isinstance(asked, Asked) else "",
    )


def answer(session: Session, actor: Actor, query: AskedAsOf) -> Report:
    return service.report(session, question_of(query), service.reader_of(actor), as_of=query.as_of)


def told(report: Report) -> Answer:
    """The report as plain JSON; the rows are not checked against ReportRow one by one, as there may be thousands."""
    return Answer(
        {
            "measure": report.question.measure,
            "rows": report.rows,
            "total_fen": report.total_fen,
            "as_of": report.as_of,
            "rule_version": service.RULE_VERSION,
        }
    )


def columns_of(report: Report) -> list[str]:
    """The columns of a report, in the order of its dimensions, known also when there is no row."""
    named = {"east_province", "west_province", "pairing"}
    dimensions = [
        column
        for name in report.question.group_by
        for column in ((name, f"{name}_name", f"{name}_name_en") if name in named else (name,))
    ]
    return [*dimensions, *SUMS]


def columns(names: Iterable[str]) -> list[Out]:
    return [Out(*TITLES[name]) for name in names]


@routes.get("/procurement", allow=ANALYSTS, answers={200: ReportOut})
def read_procurement(session: Session, actor: Actor, query: AskedAsOf) -> Answer:
    """Procurement by province, pairing, bucket, month, category or purpose, as of any fact number.

    The figures hold for the fact number `as_of`: asked with it again, the answer is the same whatever was recorded
    since. The sum of the rows is the total; `unknown` and `other` are rows like any other. Members with regions see
    what these pay for or grow, county reviewers what their counties grow.
    """
    return told(answer(session, actor, query))


@routes.get("/procurement.csv", allow=ANALYSTS, answers={200: "text/csv"})
def read_procurement_csv(session: Session, actor: Actor, query: AskedAsOf) -> Raw:
    """The rows of the procurement report as csv; `X-As-Of` and `X-Total-Fen` say what it holds for and sums to."""
    report = answer(session, actor, query)
    names = columns_of(report)
    rows = ([row[name] for name in names] for row in report.rows)
    headers = {
        "Content-Disposition": 'attachment; filename="procurement.csv"',
        "X-As-Of": str(report.as_of),
        "X-Total-Fen": str(report.total_fen),
    }
    return Raw(b"".join(csv_chunks(columns(names), rows)), CSV_TYPE, headers)


@own_routes.get("/buyer/reports/procurement", allow=audience(Audience.BUYER), answers={200: ReportOut})
def read_buyer_procurement(session: Session, actor: Actor, query: AskedAsOf) -> Answer:
    """The procurement report over the institution's own purchases."""
    return told(answer(session, actor, query))


@own_routes.get(
    "/cooperative/reports/procurement", allow=audience(Audience.COOPERATIVE, helpers=False), answers={200: ReportOut}
)
def read_cooperative_procurement(session: Session, actor: Actor, query: AskedAsOf) -> Answer:
    """The procurement report over what the cooperative sold."""
    return told(answer(session, actor, query))


@routes.get("/lines", allow=ANY_MEMBER, answers={200: LinesOut}, refusals=(NotFound, Forbidden, DoesNotAddUp))
def read_lines(session: Session, actor: Actor, query: LinesAsked) -> Answer:
    """The lines behind a figure, by the drill token of its row; their sum is checked against the figure first."""
    found = service.lines(session, service.reader_of(actor), token=query.drill, cursor=query.cursor, limit=query.limit)
    return Answer(
        {
            "items": [service.line_out(row) for row in found.rows],
            "next": found.next,
            "total_fen": found.total_fen,
            "cell_fen": found.cell_fen,
        }
    )


@routes.get("/lines.csv", allow=ANY_MEMBER, answers={200: "text/csv"}, refusals=(NotFound, Forbidden, DoesNotAddUp))
def read_lines_csv(session: Session, actor: Actor, query: LinesFileAsked) -> Response:
    """All lines behind a figure as csv, in a stream whose memory does not grow with them."""
    batches = service.all_lines(session, service.reader_of(actor), token=query.drill)

    def rows() -> Iterator[list[Any]]:
        for batch in batches:
            for row in batch:
                line = service.line_out(row) | {"silent": "是" if row.silent else ""}
                yield [line[name] for name in LINE_COLUMNS]

    return Response(
        csv_chunks(columns(LINE_COLUMNS), rows()),
        mimetype="text/csv",
        headers={"Content-Disposition": 'attachment; filename="lines.csv"', "Cache-Control": "private, no-store"},
    )


@routes.post("/runs", allow=roles(Role.ANALYST, Role.OPERATOR, of=Audience.ADMIN), answers={201: RunOut})
def keep_report_run(session: Session, actor: Actor, now: datetime, body: AskRun) -> RunOut:
    """Keep a report: its question, the fact number it holds for, its total and the hash of its cells."""
    run = service.keep_run(session, question_of(body), actor=actor, now=now)
    return RunOut(
        id=run.id,
        as_of=run.upto_no,
        total_fen=run.total_fen,
        content_hash=run.content_hash,
        rule_version=run.question["rule_version"],
        question=run.question,
    )


@routes.get("/runs/<run_id>", allow=ANALYSTS, answers={200: RunRepeated}, refusals=(NotFound,))
def repeat_report_run(session: Session, actor: Actor, run_id: RunId) -> RunRepeated:
    """A kept report, asked again as of its fact number: `same` says whether the hash is still the same."""
    run = service.repeat_run(session, run_id, actor=actor)
    return RunRepeated(
        id=run.kept.id,
        as_of=run.kept.upto_no,
        total_fen=run.kept.total_fen,
        content_hash=run.kept.content_hash,
        rule_version=run.kept.question["rule_version"],
        question=run.kept.question,
        repeated_hash=run.repeated_hash,
        same=run.repeated_hash == run.kept.content_hash,
    )
