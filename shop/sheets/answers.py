"""Sheets as answers of the API."""

import io
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from shop.http.routes import Query, Raw
from shop.sheets.writer import CSV_TYPE, XLSX_TYPE, Out, csv_chunks, xlsx_into

FILE = f"text/csv {XLSX_TYPE}"


class FormatQuery(Query):
    format: Literal["csv", "xlsx"] = "xlsx"


def file_of(name: str, query: FormatQuery, columns: Sequence[Out], rows: Iterable[Sequence[Any]]) -> Raw:
    """The rows as a file to be saved under a name."""
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.{query.format}"',
        "Cache-Control": "private, no-store",
    }
    if query.format == "csv":
        return Raw(b"".join(csv_chunks(columns, rows)), CSV_TYPE, headers)
    target = io.BytesIO()
    xlsx_into(target, columns, rows)
    return Raw(target.getvalue(), XLSX_TYPE, headers)
