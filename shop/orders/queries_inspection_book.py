"""The inspection book of a buyer (进货查验台账): what was delivered from which lot, with its papers."""

from collections.abc import Iterator
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shop.sheets.writer import Out

COLUMNS = (
    Out("发货日期", "date"), Out("送达日期", "date"), Out("订单号", width=20), Out("产品", width=20), Out("规格"),
    Out("供应商", width=28), Out("统一社会信用代码", width=22), Out("产地区划"), Out("批次号", width=18),
    Out("采收日期", "date"), Out("保质期至", "date"), Out("数量(基本单位)", "int"), Out("验收合格(件)", "int"),
    Out("拒收(件)", "int"), Out("到货温度(℃)"), Out("证明文件", width=40),
)  # fmt: skip

ROWS = text(
    """
    SELECT (m.at AT TIME ZONE 'Asia/Shanghai')::date AS shipped_on,
           (h.delivered_at AT TIME ZONE 'Asia/Shanghai')::date AS delivered_on, o.number,
           l.snapshot ->> 'name' AS name, l.snapshot ->> 'spec' AS spec, c.name AS seller, c.uscc,
           l.dimensions ->> 'origin_code' AS origin_code, t.code, t.harvested_on, t.best_before,
           m.quantity, a.accepted, a.rejected,
           round(a.temperature_tenths / 10.0, 1)::text AS celsius, COALESCE(t.origin_id, t.id) AS lot_id
    FROM movement m
    JOIN order_line l ON l.id = m.line_id JOIN supplier_order s ON s.id = l.supplier_order_id
    JOIN purchase_order o ON o.id = s.order_id JOIN organisation c ON c.id = s.cooperative_id
    JOIN lot t ON t.id = m.lot_id
    LEFT JOIN shipment h ON h.supplier_order_id = s.id
    LEFT JOIN acceptance_line a ON a.line_id = m.line_id AND a.lot_id = m.lot_id
    WHERE m.buyer_id = :buyer AND m.kind = 'shipped'
        AND m.at >= CAST(:first AS timestamp) AT TIME ZONE 'Asia/Shanghai'
        AND m.at < CAST(:end AS timestamp) AT TIME ZONE 'Asia/Shanghai'
    ORDER BY m.at, m.id
    """
)
PAPERS = text(
    """
    SELECT d.lot_id, d.kind, d.number, d.file_id, f.media_type FROM lot_document d
    JOIN stored_file f ON f.id = d.file_id
    WHERE d.lot_id = ANY(CAST(:lots AS uuid[])) ORDER BY d.lot_id, d.kind, d.id
    """
)
ENDINGS = {"application/pdf": "pdf", "image/jpeg": "jpg", "image/png": "png"}


def rows(session: Session, buyer_id: UUID, first: date, end: date) -> list[Any]:
    """What was sent to a buyer from a business day until (and without) another, a row for each line and lot."""
    return list(session.execute(ROWS, {"buyer": buyer_id, "first": first, "end": end}).all())


def papers(session: Session, lot_ids: list[UUID]) -> dict[UUID, list[tuple[str, UUID]]]:
    """The papers of lots: a name in the file for each, and the stored file behind it."""
    found: dict[UUID, list[tuple[str, UUID]]] = {}
    for number, row in enumerate(session.execute(PAPERS, {"lots": lot_ids}), start=1):
        name = f"证明文件/{number:05d}-{row.kind}.{ENDINGS.get(row.media_type, 'bin')}"
        found.setdefault(row.lot_id, []).append((name, row.file_id))
    return found


def sheet(found: list[Any], named: dict[UUID, list[tuple[str, UUID]]]) -> Iterator[tuple[Any, ...]]:
    """The rows of the book as its columns want them, each with the names of its papers."""
    for row in found:
        yield (*row[:-1], "；".join(name for name, _ in named.get(row.lot_id, [])))
