"""Reads an uploaded xlsx or csv file into a header and numbered rows, whatever its encoding or separator."""

import codecs
import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import IO, NamedTuple

from shop.sheets import xlsx
from shop.sheets.text import SheetError, trimmed, unquoted
from shop.sheets.xlsx import HEADER_WITHIN, MAX_COLUMNS, Cell, Limits, too_large

MAX_FILE = 20 * 2**20


class Row(NamedTuple):
    """One row with the number that a spreadsheet program shows beside it; `cells` may be shorter than the header."""

    number: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Sheet:
    """One title per column (levels of a merged header joined by `/`) and the rows below that hold a value.

    Texts are trimmed and in NFC; numbers of an xlsx file are int or float, dates are date or datetime without a zone;
    a csv file gives texts only.
    """

    name: str
    header: tuple[str, ...]
    header_row: int
    rows: list[Row]


@dataclass(frozen=True)
class Stream:
    """A sheet whose rows are read as they are taken, once; a fault further down is a SheetError where it is met.

    `done` says how much of the file is read, from 0 to 1.
    """

    header: tuple[str, ...]
    header_row: int
    rows: Iterator[Row]
    done: Callable[[], float]


def read(source: bytes | IO[bytes], name: str = "", *, sheet: str | None = None) -> Sheet:
    """The rows of an xlsx or csv file of at most 20 MiB, or SheetError with the reason.

    The content decides what the file is; `name` is only kept. `sheet` names the worksheet of an xlsx file, by default
    it is the first visible one that holds anything.
    """
    found = stream(io.BytesIO(source) if isinstance(source, bytes) else source, sheet=sheet, limits=xlsx.WHOLE)
    return Sheet(name, found.header, found.header_row, list(found.rows))


def stream(source: IO[bytes], *, sheet: str | None = None, limits: Limits = xlsx.STREAMED) -> Stream:
    """The same row by row, for a file that stays open meanwhile: memory does not grow with the rows."""
    size = source.seek(0, io.SEEK_END)
    source.seek(0)
    if size > MAX_FILE:
        raise too_large(f"more than {MAX_FILE // 2**20} MiB", f"超过 {MAX_FILE // 2**20} MiB")
    start = source.read(2**12)
    source.seek(0)
    if not start.strip() and not source.read().strip():
        raise SheetError("empty", "The file is empty.", "文件是空的。")
    merged: xlsx.Merged = []
    if start.startswith(b"PK\x03\x04"):
        merged, cells = xlsx.sheet_of(source, sheet, limits)
    elif start.startswith(b"\xd0\xcf\x11\xe0"):
        raise SheetError(
            "old_format",
            "This is an old .xls file or one with a password; save it as .xlsx without a password.",
            "这是旧版 .xls 或已加密的文件，请另存为不带密码的 .xlsx。",
        )
    else:
        cells = _csv_rows(source, limits)
    rows = _cleaned(cells)
    first = list(islice(rows, HEADER_WITHIN * 2))
    if not first:
        raise SheetError("empty", "The file has no rows.", "文件中没有数据。")
    header, last = _header(first, merged)
    return Stream(
        header, last, chain((row for row in first if row.number > last), rows), lambda: min(1.0, source.tell() / size)
    )


def _cleaned(rows: Iterator[tuple[int, list[Cell]]]) -> Iterator[Row]:
    for number, cells in rows:
        values = tuple([(trimmed(cell) or None) if isinstance(cell, str) else cell for cell in cells])
        if any(value is not None for value in values):
            yield Row(number, values)


def _header(rows: list[Row], merged: xlsx.Merged) -> tuple[tuple[str, ...], int]:
    """The titles and the number of the last row they take; a title over the whole table above them is passed over."""
    width = max(len(row.cells) for row in rows)
    first = rows[0]
    if width > 1:
        several = (row for row in rows[:HEADER_WITHIN] if sum(cell is not None for cell in row.cells) > 1)
        first = next(several, first)
    last = first.number
    if any(top == bottom == first.number and right > left for top, left, bottom, right in merged):
        last += 1  # a group over several columns has its columns named below it
    last = max([last, *(bottom for top, _, bottom, _ in merged if top == first.number and bottom <= first.number + 3)])
    levels = {row.number: row.cells for row in rows if first.number <= row.number <= last}
    width = max(len(cells) for cells in levels.values())
    corner = {
        (row, column): (top, left)
        for top, left, bottom, right in merged
        if first.number <= top <= last
        for row in range(top, min(bottom, last) + 1)
        for column in range(left, right + 1)
    }
    titles = []
    for column in range(width):
        parts: list[str] = []
        for number in range(first.number, last + 1):
            row, place = corner.get((number, column), (number, column))
            cells = levels.get(row, ())
            part = _title(cells[place]) if place < len(cells) else ""
            if part and part not in parts[-1:]:
                parts.append(part)
        titles.append("/".join(parts))
    return tuple(titles), last


def _title(cell: Cell) -> str:
    return "" if cell is None else " ".join(str(cell).split())


def _csv_rows(source: IO[bytes], limits: Limits) -> Iterator[tuple[int, list[Cell]]]:
    encoding = _encoding(source, limits)
    source.seek(0)
    text = io.TextIOWrapper(source, encoding, newline="")
    try:
        head = "".join(islice(text, 50))
        text.seek(0)
        if head.lstrip("\ufeff \r\n\t").startswith(("<", "%PDF-", "{\\rtf")):
            raise _not_a_spreadsheet()
        count = 0
        records = csv.reader(text, delimiter=_delimiter(head), strict=True)
        try:
            for number, record in enumerate(records, start=1):
                while record and not record[-1]:
                    record.pop()
                count += len(record)
                if len(record) > MAX_COLUMNS:
                    raise too_large(f"more than {MAX_COLUMNS} columns", f"超过 {MAX_COLUMNS} 列")
                if number > limits.rows + HEADER_WITHIN or count > limits.cells:
                    raise too_large(f"more than {limits.rows} rows or {limits.cells} cells", f"超过 {limits.rows} 行")
                yield number, [unquoted(cell) for cell in record]
        except csv.Error as error:
            raise SheetError(
                "damaged", f"Line {records.line_num} is not valid csv.", f"第 {records.line_num} 行不是有效的 csv。"
            ) from error
    finally:
        text.detach()  # the file is the caller's to close


def _pieces(source: IO[bytes]) -> Iterator[bytes]:
    source.seek(0)
    while piece := source.read(2**16):
        yield piece


def _encoding(source: IO[bytes], limits: Limits) -> str:
    """The encoding of a csv file: UTF-16 and UTF-8 by their mark, UTF-8 if it is valid, else GB18030."""
    start = next(_pieces(source), b"")
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    elif any(b"\x00" in piece for piece in _pieces(source)):
        raise _not_a_spreadsheet()
    else:
        encodings = ["utf-8-sig", "gb18030"]
    for encoding in encodings:
        if _is_text(source, encoding, limits):
            return encoding
    raise _not_a_spreadsheet()


def _is_text(source: IO[bytes], encoding: str, limits: Limits) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    length = 0
    try:
        for data in chain(_pieces(source), [b""]):
            piece = decoder.decode(data, not data)
            length += len(piece)
            if not piece.isprintable() and any(char < " " and char not in "\t\r\n\v\f" for char in set(piece)):
                return False
    except UnicodeDecodeError:
        return False
    if length > limits.text * 2:
        raise too_large("too much text", "文字过多")
    return True


def _delimiter(head: str) -> str:
    """Of comma, tab and semicolon the one that cuts the first lines into most columns; the comma if none does."""

    def columns(delimiter: str) -> int:
        try:
            return max(
                (len(record) for record in csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)), default=0
            )
        except csv.Error:
            return 0

    return max(",\t;", key=columns)


def _not_a_spreadsheet() -> SheetError:
    return SheetError("not_a_spreadsheet", "The file is neither xlsx nor csv.", "该文件不是 xlsx 或 csv 表格。")
