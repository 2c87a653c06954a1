"""Streams typed rows out as csv or xlsx: exact money, Beijing time, and no cell that could start a formula."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import IO, Any, Literal

from shop.clock import BEIJING
from shop.sheets.text import SheetError, quoted

OutKind = Literal["text", "int", "fen", "kilograms", "date", "instant"]

CSV_TYPE = "text/csv; charset=utf-8"
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MAX_XLSX_ROWS = 1_048_575  # below the header

_BATCH = 1_000
_TO_QUOTE = re.compile('[",;\\t\\r\\n]|^ | $')
_UNSENDABLE = re.compile("[\x00\ud800-\udfff]")
_LONGEST = 32_767
_EXACT_IN_A_FLOAT = 10**15


@dataclass(frozen=True)
class Out:
    """A column of an export. `fen` is shown as yuan with 2 decimals, `kilograms` takes grams and shows 3 decimals,
    `instant` takes an aware datetime and shows Beijing time; None is an empty cell in every kind."""

    title: str
    kind: OutKind = "text"
    width: int = 14


def csv_chunks(columns: Sequence[Out], rows: Iterable[Sequence[Any]], *, bom: bool = True) -> Iterator[bytes]:
    """The csv file in pieces of about a thousand rows, UTF-8 with CRLF; with the mark that Excel needs to see UTF-8.

    Each row has one value per column, in order. A text that a program would take for a formula gets an apostrophe
    before it, which the reader of this shop takes away again.
    """
    yield (b"\xef\xbb\xbf" if bom else b"") + (
        ",".join(_csv_text(column.title) for column in columns) + "\r\n"
    ).encode()
    shapes = [_CSV[column.kind] for column in columns]
    for batch in _batches(rows, len(columns)):
        by_column = [
            ["" if value is None else shape(value) for value in values]
            for shape, values in zip(shapes, zip(*batch, strict=True), strict=True)
        ]
        lines = list(map(",".join, zip(*by_column, strict=True)))
        yield ("\r\n".join(lines) + "\r\n").encode()


def xlsx_into(
    target: IO[bytes], columns: Sequence[Out], rows: Iterable[Sequence[Any]], *, sheet: str = "Sheet1"
) -> int:
    """Write an xlsx file into a seekable file and give back the number of rows; memory does not grow with them.

    Text is always stored as text; what looks like a formula is marked as quoted, as Excel itself does it, so it shows
    as written and stays text when edited. Money beyond 15 digits is written as text, since a sheet would round it.
    """
    import xlsxwriter  # not before a sheet is made: it costs every process 11 MB

    book = xlsxwriter.Workbook(target, {"constant_memory": True, "default_date_format": "yyyy-mm-dd"})
    try:
        head = book.add_format({"bold": True, "bottom": 1, "text_wrap": True})
        formats = {
            "fen": book.add_format({"num_format": "#,##0.00"}),
            "kilograms": book.add_format({"num_format": "#,##0.000"}),
            "date": book.add_format({"num_format": "yyyy-mm-dd"}),
            "instant": book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
            "int": book.add_format({"num_format": "0"}),
        }
        text, quote = book.add_format({"num_format": "@"}), book.add_format({"num_format": "@", "quote_prefix": True})
        page = book.add_worksheet(sheet)
        page.freeze_panes(1, 0)
        for place, column in enumerate(columns):
            page.set_column(place, place, column.width)
            page.write_string(0, place, _sendable(column.title), head)
        count = 0
        for batch in _batches(rows, len(columns)):
            for row in batch:
                count += 1
                if count > MAX_XLSX_ROWS:
                    raise SheetError(
                        "too_large", "An xlsx sheet ends at 1,048,576 rows; use csv.", "超过 xlsx 行数上限，请用 csv。"
                    )
                for place, (column, value) in enumerate(zip(columns, row, strict=True)):
                    if value is None:
                        continue
                    kind = column.kind
                    if kind in ("date", "instant"):
                        shown = value.astimezone(BEIJING).replace(tzinfo=None) if kind == "instant" else value
                        page.write_datetime(count, place, shown, formats[kind])
                    elif kind != "text" and -_EXACT_IN_A_FLOAT < value < _EXACT_IN_A_FLOAT:
                        page.write_number(count, place, value / _PER_UNIT[kind], formats[kind])
                    else:
                        string = _sendable(str(value)) if kind == "text" else _CSV[kind](value)
                        style = quote if kind == "text" and quoted(string) != string else text
                        page.write_string(count, place, string, style)
    finally:
        book.close()
    return count


def _batches(rows: Iterable[Sequence[Any]], width: int) -> Iterator[list[Sequence[Any]]]:
    stream = iter(rows)
    while batch := list(islice(stream, _BATCH)):
        if any(len(row) != width for row in batch):
            raise ValueError(f"a row has not {width} values")
        yield batch


def _sendable(text: str) -> str:
    """Text as a cell can hold it; what UTF-8 cannot say becomes U+FFFD, and a text too long for a cell ends in `…`."""
    text = _UNSENDABLE.sub("\ufffd", text) if not text.isascii() or "\x00" in text else text
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _csv_text(value: Any) -> str:
    text = quoted(_sendable(str(value)))
    return '"' + text.replace('"', '""') + '"' if _TO_QUOTE.search(text) else text


def _csv_fen(fen: int) -> str:
    yuan, rest = divmod(abs(fen), 100)
    return f"{'-' if fen < 0 else ''}{yuan}.{rest:02d}"


def _csv_kilograms(grams: int) -> str:
    kilograms, rest = divmod(abs(grams), 1000)
    return f"{'-' if grams < 0 else ''}{kilograms}.{rest:03d}"


def _csv_instant(instant: datetime) -> str:
    return instant.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def _csv_int(number: int) -> str:
    return f"{number:d}"


def _csv_date(day: date) -> str:
    return day.isoformat()


_CSV: dict[OutKind, Callable[[Any], str]] = {
    "text": _csv_text,
    "int": _csv_int,
    "fen": _csv_fen,
    "kilograms": _csv_kilograms,
    "date": _csv_date,
    "instant": _csv_instant,
}
_PER_UNIT = {"int": 1, "fen": 100, "kilograms": 1000}
