"""Reads the cells of an xlsx file with limits that hold while it is read.

The parts are unpacked as a stream into a parser that stops at the first limit passed, so a small file that unfolds into
a large one costs little: the count of entries, their size, the ratio, the elements, the cells and the text are all
bounded. A library that builds the whole grid first was measured to end the process on a 5 kB file with two distant
cells, and to take 1.4 GB for one long shared text used often.
"""

import re
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import IO
from xml.parsers import expat

from shop.sheets.text import SheetError

Cell = str | int | float | bool | date | datetime | None

MAX_ENTRIES = 1_000
MAX_RATIO = 200
MAX_COLUMNS = 256
HEADER_WITHIN = 20  # rows that may stand above the header, and with it: a title, a note, a date
MAX_CELL_TEXT = 32_767  # what Excel itself allows in a cell


@dataclass(frozen=True)
class Limits:
    """What a file may hold: `rows` beside those above its data, `text` in characters.

    That is of the shared texts of an xlsx file, and twice that of its cells.
    """

    rows: int = 100_000
    cells: int = 1_000_000
    elements: int = 3_500_000
    text: int = 10_000_000
    texts: int = 1_000_000
    part: int = 128 * 2**20
    unpacked: int = 256 * 2**20


WHOLE = Limits()
"""For a sheet whose rows are held in memory."""
STREAMED = Limits(cells=4_000_000, elements=9_000_000, text=20_000_000, part=384 * 2**20, unpacked=512 * 2**20)
"""For a sheet whose rows are taken one by one and let go."""
Merged = list[tuple[int, int, int, int]]
"""Merged ranges: top, left, bottom, right."""
UNCALCULATED = "#FORMULA!"
"""Stands for a formula that no program has worked out yet, so that it is refused instead of read as empty."""

_CHUNK = 64 * 2**10
_LONGEST_TAG = 4 * _CHUNK
_LONGEST_MERGE = 120
_MERGE = re.compile(rb"""<(?:\w{1,20}:)?mergeCell\s[^<>]{0,60}?ref=["']([A-Z0-9]{1,10}:[A-Z0-9]{1,10})["']""")
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_CELL_NAME = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_DATE_FORMATS = {*range(14, 18), 22, *range(27, 32), 36, *range(50, 59)}
_NOT_IN_FORMAT = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.|_.|\*.')
_EPOCH, _EPOCH_1904 = datetime(1899, 12, 30), datetime(1904, 1, 1)  # noqa: DTZ001  a spreadsheet date has no zone


def too_large(what: str, what_zh: str) -> SheetError:
    """The refusal of a file that passes a limit."""
    return SheetError("too_large", f"The file has {what}; split it.", f"文件{what_zh}，请拆分后再上传。")


def _bomb() -> SheetError:
    return SheetError("too_large_unpacked", "The file unpacks to far more than it holds.", "文件解压后过大，已拒绝。")


def _damaged() -> SheetError:
    return SheetError("damaged", "The xlsx file is damaged.", "xlsx 文件已损坏，请重新另存后上传。")


def _merged(references: list[str]) -> Merged:
    """The ranges of merged cells that start near the top, where headers are."""
    found: Merged = []
    for reference in references:
        corners = [_CELL_NAME.fullmatch(corner) for corner in reference.split(":")]
        if len(corners) == 2 and corners[0] and corners[1] and len(found) < 1_000:
            (top, left), (bottom, right) = [(int(c[2]), _column_of(c[1])) for c in corners if c]
            if top <= 30 and right < MAX_COLUMNS:
                found.append((top, left, bottom, right))
    return found


class _Parser:
    """Feeds one part to expat; a subclass takes the elements by local name."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        raise NotImplementedError

    def end(self, name: str) -> None:
        """Takes the end of an element."""

    def text(self, data: str) -> None:
        """Takes character data."""

    def feed(self, source: IO[bytes]) -> Generator[None]:
        """Parse a part that has been measured, a piece at each step; refuses document types and entities."""
        parser = expat.ParserCreate()
        parser.buffer_text = True

        def refuse(*_: object) -> None:
            raise SheetError(
                "doctype", "The xlsx file declares a document type.", "xlsx 文件包含不允许的 DOCTYPE 声明。"
            )

        def root(name: str, attributes: dict[str, str]) -> None:
            # Most programs write no prefix, so only a file whose root has one pays for taking them off.
            if ":" in name:
                parser.StartElementHandler = lambda name, attributes: self.start(name.rpartition(":")[2], attributes)
                parser.EndElementHandler = lambda name: self.end(name.rpartition(":")[2])
            else:
                parser.StartElementHandler = self.start
                parser.EndElementHandler = self.end
            parser.CharacterDataHandler = self.text
            self.start(name.rpartition(":")[2], attributes)

        parser.StartDoctypeDeclHandler = refuse
        parser.EntityDeclHandler = refuse
        parser.StartElementHandler = root
        taken = 0
        while chunk := source.read(_CHUNK):
            taken += len(chunk)
            parser.Parse(chunk)
            if taken - parser.CurrentByteIndex > _LONGEST_TAG:  # expat starts an unfinished tag anew at every chunk
                raise _damaged()
            yield
        parser.Parse(b"", True)
        yield


class _Sheets(_Parser):
    """workbook.xml: the visible worksheets in order and the epoch of dates."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []  # name, relation
        self.epoch = _EPOCH

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "sheet" and attributes.get("state", "visible") == "visible":
            relation = next((value for key, value in attributes.items() if key.endswith(":id")), "")
            self.found.append((attributes.get("name", ""), relation))
        elif name == "workbookPr" and attributes.get("date1904") in ("1", "true"):
            self.epoch = _EPOCH_1904


class _Relations(_Parser):
    def __init__(self) -> None:
        self.targets: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship" and attributes.get("TargetMode") != "External":
            target = attributes.get("Target", "")
            path = target[1:] if target.startswith("/") else "xl/" + target
            self.targets[attributes.get("Id", "")] = path
            if attributes.get("Type", "").endswith("/sharedStrings"):
                self.targets["sharedStrings"] = path
            elif attributes.get("Type", "").endswith("/styles"):
                self.targets["styles"] = path


class _Styles(_Parser):
    """styles.xml: which cell styles show a date."""

    def __init__(self) -> None:
        self.dates: set[str] = set()
        self._formats: set[int] = set(_DATE_FORMATS)
        self._in_cells = False
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "numFmt" and attributes.get("numFmtId", "").isdecimal():
            code = _NOT_IN_FORMAT.sub("", attributes.get("formatCode", "")).lower()
            number = int(attributes["numFmtId"])
            if "y" in code or "d" in code.replace("red", ""):
                self._formats.add(number)
            else:
                self._formats.discard(number)
        elif name == "cellXfs":
            self._in_cells = True
        elif name == "xf" and self._in_cells:
            if attributes.get("numFmtId", "").isdecimal() and int(attributes["numFmtId"]) in self._formats:
                self.dates.add(str(self._count))
            self._count += 1

    def end(self, name: str) -> None:
        if name == "cellXfs":
            self._in_cells = False


class _Strings(_Parser):
    """sharedStrings.xml: the texts that cells point to; a cell shares the text, it does not copy it."""

    def __init__(self, limits: Limits) -> None:
        self.texts: list[str] = []
        self.total = 0
        self._limits = limits
        self._parts: list[str] = []
        self._in_text = False
        self._phonetic = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        del attributes
        if name == "t":
            self._in_text = not self._phonetic
        elif name == "rPh":
            self._phonetic += 1
        elif name == "si":
            self._parts = []

    def end(self, name: str) -> None:
        if name == "t":
            self._in_text = False
        elif name == "rPh":
            self._phonetic -= 1
        elif name == "si":
            self.texts.append(_plain("".join(self._parts)))
            if len(self.texts) > self._limits.texts:
                raise too_large("too many different texts", "不同的文字过多")

    def text(self, data: str) -> None:
        if self._in_text:
            self._parts.append(data)
            self.total += len(data)
            if self.total > self._limits.text:
                raise too_large("too much text", "文字过多")


class _Worksheet(_Parser):
    """A worksheet's cells: `rows` takes each row by number (from 1) with its values by column (from 0).

    The three handlers run a few million times for a large file, so they are closures over plain variables: half the
    time of methods over attributes.
    """

    def __init__(self, limits: Limits, texts: list[str], dates: set[str], epoch: datetime) -> None:
        self.rows: list[tuple[int, list[Cell]]] = []
        most_text = limits.text * 2
        taken = 0
        places = {_letters(place): place for place in range(MAX_COLUMNS)}
        row = count = length = 0
        column = -1
        row_name = kind = style = ""
        values: list[Cell] = []
        parts: list[str] = []
        taking = formula = False
        phonetic = 0

        def start(name: str, attributes: dict[str, str]) -> None:
            nonlocal row, column, row_name, kind, style, values, parts, taking, formula, phonetic
            if name == "c":
                reference = attributes.get("r")
                if reference is None:
                    column += 1
                else:
                    place = places.get(reference.removesuffix(row_name), -1)
                    if place <= column:
                        place = _far_right(reference, row)
                    column = place
                kind, style = attributes.get("t", "n"), attributes.get("s", "")
                if parts:
                    parts = []
                formula = False
            elif name == "v" or name == "t":
                taking = not phonetic
            elif name == "row":
                number = attributes.get("r")
                following = row + 1 if number is None else int(number) if number.isdecimal() else 0
                if not row < following <= 2**20:
                    raise _damaged()
                row, row_name, column, values = following, str(following), -1, []
            elif name == "f":
                formula = True
            elif name == "rPh":
                phonetic += 1

        def text(data: str) -> None:
            nonlocal length
            if taking:
                parts.append(data)
                length += len(data)
                if length > most_text:
                    raise too_large("too much text", "文字过多")

        def end(name: str) -> None:
            nonlocal taking, count, phonetic, taken
            if name == "v" or name == "t":
                taking = False
            elif name == "c":
                if not parts and not formula:
                    return
                raw = parts[0] if len(parts) == 1 else "".join(parts)
                value: Cell
                if kind == "n" and raw:
                    value = _number(raw, epoch if style in dates else None)
                elif kind == "s":
                    try:
                        value = texts[int(raw)] or None
                    except (ValueError, IndexError):
                        raise _damaged() from None
                else:
                    value = _other(kind, raw)
                if value is None:
                    return
                gap = column - len(values)
                count += gap + 1
                if column >= MAX_COLUMNS:
                    raise too_large(f"more than {MAX_COLUMNS} columns", f"超过 {MAX_COLUMNS} 列")
                if count > limits.cells:
                    raise too_large(f"more than {limits.cells} cells", f"超过 {limits.cells} 个单元格")
                if gap:
                    values.extend([None] * gap)
                values.append(value)
            elif name == "row":
                if values:
                    self.rows.append((row, values))
                    taken += 1
                    if taken > limits.rows + HEADER_WITHIN:
                        raise too_large(f"more than {limits.rows} rows", f"超过 {limits.rows} 行")
            elif name == "rPh":
                phonetic -= 1

        self.start, self.text, self.end = start, text, end  # type: ignore[method-assign]


def _far_right(reference: str, row: int) -> int:
    """The place of a cell beyond the columns that are read, which is refused only if it holds a value."""
    match = _CELL_NAME.fullmatch(reference)
    if match is None or int(match[2]) != row or _column_of(match[1]) < MAX_COLUMNS:
        raise _damaged()
    return MAX_COLUMNS


def _other(kind: str, raw: str) -> Cell:
    """The value of a cell that is neither a number nor a shared text."""
    if kind in ("inlineStr", "str"):
        return _plain(raw) or None
    if kind == "b":
        return raw.strip() == "1"
    if not raw:
        return UNCALCULATED
    if kind == "e":
        return raw
    if kind == "d":
        try:
            return _without_midnight(datetime.fromisoformat(raw).replace(tzinfo=None))
        except ValueError:
            raise _damaged() from None
    raise _damaged()


def _number(raw: str, epoch: datetime | None) -> Cell:
    """A number as int where it is whole, else float; with an epoch the date that it counts to."""
    try:
        number = int(raw) if raw.isdecimal() and len(raw) < 300 else float(raw)
    except ValueError:
        raise _damaged() from None
    if epoch is not None and 1 <= number < 2_958_466:  # the day after 9999-12-31
        whole = number + 1 if number < 60 and epoch is _EPOCH else number  # Excel has a 29 February 1900
        days, seconds = divmod(round(whole * 86_400), 86_400)
        return _without_midnight(epoch + timedelta(days=days, seconds=seconds))
    if isinstance(number, int):
        return number
    if number != number or abs(number) == float("inf"):
        raise _damaged()
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def sheet_of(source: IO[bytes], wanted: str | None, limits: Limits) -> tuple[Merged, Iterator[tuple[int, list[Cell]]]]:
    """The worksheet of that name, or else the first visible one with a value in it: merged ranges near its top, and its
    rows as they are read, each with its values by column (from 0). Refuses with SheetError, also while it is read."""
    rows = _damage_told(_rows(source, wanted, limits))
    merged = next(rows, None)
    if not isinstance(merged, list):
        raise SheetError("empty", "The file has no rows.", "文件中没有数据。")
    return merged, rows  # type: ignore[return-value]  # only the first item is the merged ranges


def _damage_told(rows: Iterator[Merged | tuple[int, list[Cell]]]) -> Iterator[Merged | tuple[int, list[Cell]]]:
    try:
        yield from rows
    except (
        zipfile.BadZipFile,
        zlib.error,
        expat.ExpatError,
        EOFError,
        NotImplementedError,
        KeyError,
        OSError,
    ) as error:
        raise _damaged() from error
    except (ValueError, OverflowError, RuntimeError, LookupError, UnicodeError) as error:
        raise _damaged() from error


def _rows(source: IO[bytes], wanted: str | None, limits: Limits) -> Iterator[Merged | tuple[int, list[Cell]]]:
    """The merged ranges of the worksheet, then its rows; nothing when no worksheet holds a value."""
    _count_entries(source)
    with zipfile.ZipFile(source) as archive:
        names = _checked(archive, limits)
        workbook, relations, styles, strings = _Sheets(), _Relations(), _Styles(), _Strings(limits)

        def parse(parser: _Parser, path: str, limit: int = limits.part) -> None:
            with archive.open(path) as part:
                _measure(part, limits, limit)
            with archive.open(path) as part:
                for _ in parser.feed(part):
                    pass

        parse(workbook, "xl/workbook.xml", 2**22)
        parse(relations, "xl/_rels/workbook.xml.rels", 2**22)
        if relations.targets.get("styles") in names:
            parse(styles, relations.targets["styles"], 2**24)
        if relations.targets.get("sharedStrings") in names:
            parse(strings, relations.targets["sharedStrings"])
        for name, relation in workbook.found:
            if wanted is not None and name != wanted:
                continue
            path = relations.targets[relation]
            with archive.open(path) as part:
                merged = _merged(_measure(part, limits, limits.part))
            worksheet = _Worksheet(limits, strings.texts, styles.dates, workbook.epoch)
            any_row = False
            with archive.open(path) as part, closing(worksheet.feed(part)) as pieces:
                for _ in pieces:
                    if worksheet.rows and not any_row:
                        any_row = True
                        yield merged
                    yield from worksheet.rows
                    worksheet.rows.clear()
            if any_row:
                return


def _count_entries(source: IO[bytes]) -> None:
    """Refuse too many entries before the directory is read, which takes memory for each of them."""
    source.seek(0)
    found, before = 0, b""
    while chunk := source.read(2**20):
        found += (before + chunk).count(b"PK\x01\x02")
        before = chunk[-3:]
    if found > MAX_ENTRIES:
        raise _bomb()


def _checked(archive: zipfile.ZipFile, limits: Limits) -> set[str]:
    """The names of the entries of an archive that is a workbook and promises to unpack to something bearable."""
    entries = archive.infolist()
    names = {entry.filename for entry in entries}
    if not {"[Content_Types].xml", "xl/workbook.xml"} <= names:
        raise SheetError("not_a_spreadsheet", "The archive is not an xlsx file.", "该压缩文件不是 xlsx 表格。")
    if len(names) < len(entries) or any(_leads_out(entry.orig_filename) for entry in entries):
        raise SheetError("unsafe_archive", "The archive has unsafe entry names.", "文件内部的路径不安全。")
    if any(entry.flag_bits & 1 for entry in entries):
        raise SheetError("encrypted", "The file is protected by a password.", "文件已加密，请取消密码后上传。")
    packed = sum(entry.compress_size for entry in entries)
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > limits.unpacked or unpacked > 2**20 + MAX_RATIO * packed:
        raise _bomb()
    return names


def _measure(part: IO[bytes], limits: Limits, most: int) -> list[str]:
    """Refuse a part that is too large, without parsing it: unpacking and counting takes a tenth of the time.

    Gives the references of merged cells, which stand behind the rows and are wanted before them.
    """
    size = elements = cells = 0
    merged: list[str] = []
    before = b""
    while chunk := part.read(_CHUNK):
        size += len(chunk)
        elements += chunk.count(b"<") - chunk.count(b"</")
        cells += chunk.count(b"</c>")
        if size > most:
            raise _bomb()
        if elements > limits.elements or cells > limits.cells:
            raise too_large(f"more than {limits.cells} cells", f"超过 {limits.cells} 个单元格")
        if len(merged) < 10_000 and b"mergeCell" in (both := before + chunk):
            merged += [found.decode() for found in _MERGE.findall(both)]
        before = chunk[-_LONGEST_MERGE:]
    return list(dict.fromkeys(merged))


def _leads_out(name: str) -> bool:
    return name.startswith(("/", "\\")) or "\x00" in name or ":" in name or ".." in re.split(r"[/\\]", name)


def _plain(text: str) -> str:
    if len(text) > MAX_CELL_TEXT:
        raise too_large(f"a cell of more than {MAX_CELL_TEXT} characters", "的某个单元格文字过长")
    if "_x" not in text:
        return text
    return _ESCAPED.sub(lambda m: m[0] if 0xD800 <= int(m[1], 16) < 0xE000 else chr(int(m[1], 16)), text)


def _without_midnight(instant: datetime) -> date | datetime:
    return instant if instant.time() != datetime.min.time() else instant.date()


def _column_of(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def _letters(column: int) -> str:
    name = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name
