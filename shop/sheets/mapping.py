"""From rows to values: finds the columns of an import by their titles and reads every cell, naming each error."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from shop.money import MAX_FEN, MAX_QUANTITY
from shop.sheets.reader import Sheet, Stream
from shop.sheets.text import folded, half_width
from shop.sheets.xlsx import UNCALCULATED, Cell

Kind = Literal["text", "code", "int", "fen", "grams", "date", "month", "enum"]

GRAMS: dict[str, Decimal] = {
    unit: Decimal(grams)
    for grams, units in {
        "1": ("g", "克", "gram", "grams"),
        "50": ("两",),
        "500": ("斤", "市斤", "jin"),
        "1000": ("kg", "公斤", "千克", "kilo", "kilogram", "kilograms"),
        "1000000": ("t", "吨", "ton", "tonne", "tonnes"),
    }.items()
    for unit in units
}
"""Grams in each unit of mass that a sheet may use."""

MAX_ERRORS = 10_000
LONGEST_TEXT = 2_000
_REMEMBERED = 1_000

_NUMBER = re.compile(r"[+-]?(?:[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)(?:\.[0-9]+)?")
_AMOUNT = re.compile(rf"({_NUMBER.pattern})\s*(.*)", re.DOTALL)
_DAY = re.compile(r"([0-9]{4})(?:-([0-9]{1,2})-|/([0-9]{1,2})/|\.([0-9]{1,2})\.|年([0-9]{1,2})月)([0-9]{1,2})日?")
_DAY_IN_FIGURES = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
_MONTH = re.compile(r"([0-9]{4})(?:[-/.]([0-9]{1,2})|年([0-9]{1,2})月)")
_IN_BRACKETS = re.compile(r"\(([^()]*)\)")
_FAILED = {"#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", UNCALCULATED}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")

MESSAGES: dict[str, tuple[str, str]] = {
    "missing_column": ("缺少“{title}”列", "The column “{title}” is missing"),
    "ambiguous_column": ("有多列都像“{title}”：{value}", "More than one column could be “{title}”: {value}"),
    "required": ("必填", "A value is required"),
    "formula_failed": ("公式没有计算结果", "The formula has no result"),
    "control_character": ("含有不可见的控制字符", "Holds a control character"),
    "too_long": ("文字过长，最多 {limit} 个字", "Longer than {limit} characters"),
    "not_a_number": ("不是数字", "Not a number"),
    "not_whole": ("应为整数", "Not a whole number"),
    "too_many_decimals": ("金额最多两位小数", "An amount of money has at most 2 decimals"),
    "not_whole_grams": ("换算后不是整克", "Not a whole number of grams"),
    "unit_missing": ("缺少重量单位（斤、公斤、吨、克）", "The unit of mass is missing (kg, g, t, jin)"),
    "unit_unknown": ("不认识的单位", "An unknown unit"),
    "unit_differs": ("单位与表头不一致", "The unit is not the one of the header"),
    "not_a_date": ("不是日期，例如 2026-01-31", "Not a date such as 2026-01-31"),
    "not_a_month": ("不是年月，例如 2026-01", "Not a month such as 2026-01"),
    "not_a_choice": ("应为其中之一：{choices}", "Not one of: {choices}"),
    "not_a_code": ("编码格式不对", "Not a code of the right form"),
    "digits_lost": (
        "数字超过 15 位，Excel 已丢失末位；请把该列设为文本",
        "Over 15 digits: the sheet lost the last ones; use text",
    ),
    "too_small": ("不得小于 {limit}", "Less than {limit}"),
    "too_large": ("不得大于 {limit}", "More than {limit}"),
    "duplicate": ("与第 {limit} 行重复", "The same as row {limit}"),
}
"""The words of every error code, in Chinese and English."""


@dataclass(frozen=True)
class Column:
    """A column that an import knows.

    `titles` are what it may be called, the Chinese and the English first. `min` and `max` bound the value in its own
    unit (fen, grams, a date; the length of a text). `choices` gives each value of an enum the other words for it.
    `unit` is the mass unit where neither cell nor header says one; `pattern` is the form of a code; `suffixes` are what
    may stand behind a whole number (`90天`).
    """

    name: str
    titles: tuple[str, ...]
    kind: Kind = "text"
    required: bool = False
    min: int | date | None = None
    max: int | date | None = None
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    unit: str | None = None
    pattern: str | None = None
    suffixes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RowError:
    """What is wrong with one cell: row number and title as the person sees them, the value, a stable code, the words.

    A column that is missing stands at the header's row with an empty value.
    """

    row: int
    column: str
    title: str
    value: str
    code: str
    zh: str
    en: str

    def told(self) -> dict[str, Any]:
        """The error as it is kept and answered."""
        return {
            "row": self.row, "column": self.column, "title": self.title, "value": self.value, "code": self.code,
            "message": self.zh, "message_en": self.en,
        }  # fmt: skip


@dataclass(frozen=True)
class Mapped:
    """Where a column stands and the unit that its title names."""

    index: int
    title: str
    unit: str | None


@dataclass(frozen=True)
class HeaderMap:
    """Which column of the file is which: `found` by name, the titles nobody claimed, the errors of the header."""

    found: dict[str, Mapped]
    unknown: list[str]
    missing: list[str]
    errors: list[tuple[Column, str, str]]  # column, code, titles

    def to_remember(self) -> dict[str, str]:
        """What `map_columns` takes as `remembered` next time: column name by the title in this file."""
        return {mapped.title: name for name, mapped in self.found.items()}


@dataclass(frozen=True)
class ParsedRow:
    """The values of one row by column name; a column that the file lacks is absent, an empty cell is None."""

    number: int
    values: dict[str, Any]


@dataclass(frozen=True)
class Parsed:
    """The rows without an error, and every error of the others (the first 10,000; `error_count` counts all)."""

    rows: list[ParsedRow]
    errors: list[RowError]
    error_count: int
    mapping: HeaderMap

    @property
    def ok(self) -> bool:
        """Whether every row can be taken."""
        return not self.error_count


class _Wrong(Exception):
    def __init__(self, code: str, limit: object = "") -> None:
        super().__init__(code)
        self.code, self.limit = code, limit


def map_columns(
    header: Sequence[str], columns: Sequence[Column], remembered: Mapping[str, str] | None = None
) -> HeaderMap:
    """Find each column by what was chosen before, then by its whole title, then by the title without its brackets.

    `remembered` gives the column name for a title, as `to_remember` said it; an empty name means to leave it out.
    """
    chosen = {folded(title): name for title, name in (remembered or {}).items()}
    by_title: dict[str, list[int]] = {}
    by_core: dict[str, list[int]] = {}
    unknown: list[str] = []
    taken: dict[str, list[int]] = {}
    for index, title in enumerate(header):
        whole = folded(title)
        if not whole:
            continue
        if whole in chosen:
            if chosen[whole]:
                taken.setdefault(chosen[whole], []).append(index)
            continue
        by_title.setdefault(whole, []).append(index)
        group, _, last = whole.rpartition("/")
        inside = _core(whole).rpartition("/")[2]  # a bracket may hold a slash: 单价(元/斤)
        for key in {_core(whole), group if last in GRAMS else last, _core(last), inside} - {whole}:
            by_core.setdefault(key, []).append(index)
    found: dict[str, Mapped] = {}
    errors: list[tuple[Column, str, str]] = []
    missing: list[str] = []
    used: set[int] = set()
    for column in columns:
        names = [folded(title) for title in (*column.titles, column.name)]
        places = taken.get(column.name, [])
        if not places:
            places = _places(by_title, names) or _places(by_core, names)
            places = [place for place in places if place not in used]
        if len(places) > 1:
            errors.append((column, "ambiguous_column", "、".join(header[place] for place in places)))
            used.update(places)
        elif places:
            used.add(places[0])
            found[column.name] = Mapped(places[0], header[places[0]], _unit_in(header[places[0]]))
        else:
            missing.append(column.name)
            if column.required:
                errors.append((column, "missing_column", ""))
    unknown.extend(title for index, title in enumerate(header) if title and index not in used)
    return HeaderMap(found, unknown, missing, errors)


class RowParser:
    """Reads the rows of one sheet, one at a time."""

    def __init__(self, columns: Sequence[Column], mapping: HeaderMap) -> None:
        self.mapping = mapping
        self._readers = [
            (
                column,
                mapping.found[column.name].index,
                _remembering(_reader(column, mapping.found[column.name].unit)),
            )
            for column in columns
            if column.name in mapping.found
        ]
        self._places = [place for _, place, _ in self._readers]

    def read(self, number: int, cells: Sequence[Cell]) -> tuple[dict[str, Any], list[RowError]] | None:
        """The values that can be read and an error for each that cannot; None for a row without any cell of ours."""
        width = len(cells)
        if all(place >= width or cells[place] is None for place in self._places):
            return None
        values: dict[str, Any] = {}
        errors: list[RowError] = []
        for column, place, take in self._readers:
            cell = cells[place] if place < width else None
            if cell is None:
                values[column.name] = None
                if column.required:
                    errors.append(error_at(number, column, self.mapping, None, "required"))
                continue
            try:
                values[column.name] = take(cell)
            except _Wrong as error:
                errors.append(error_at(number, column, self.mapping, cell, error.code, error.limit))
        return values, errors


def header_errors(sheet: Sheet | Stream, mapping: HeaderMap) -> list[RowError]:
    """What is wrong with the header, at its row."""
    return [error_at(sheet.header_row, column, mapping, titles, code) for column, code, titles in mapping.errors]


def parse(
    sheet: Sheet,
    columns: Sequence[Column],
    remembered: Mapping[str, str] | None = None,
    *,
    key: Sequence[str] = (),
) -> Parsed:
    """Read every row, collecting all errors; `key` names the columns that together may not repeat in the file."""
    mapping = map_columns(sheet.header, columns, remembered)
    errors = header_errors(sheet, mapping)
    count = len(errors)
    parser = RowParser(columns, mapping)
    unique = bool(key) and all(name in mapping.found for name in key)
    seen: dict[tuple[Any, ...], int] = {}
    rows: list[ParsedRow] = []
    for number, cells in sheet.rows:
        read = parser.read(number, cells)
        if read is None:
            continue
        values, wrong = read
        if unique and all(values.get(name) is not None for name in key):
            identity = tuple(values[name] for name in key)
            first = seen.setdefault(identity, number)
            if first != number:
                by = next(column for column in columns if column.name == key[0])
                value = cells[mapping.found[by.name].index]
                wrong.append(error_at(number, by, mapping, value, "duplicate", first))
        if wrong:
            count += len(wrong)
            errors.extend(wrong[: MAX_ERRORS - len(errors)])
        else:
            rows.append(ParsedRow(number, values))
    return Parsed(rows, errors, count, mapping)


def error_at(
    row: int,
    column: Column,
    mapping: HeaderMap,
    value: Cell,
    code: str,
    limit: object = "",
    words: tuple[str, str] | None = None,
) -> RowError:
    """The error of a cell with its words; `words` are those of a code that only the import itself knows."""
    zh, en = words or MESSAGES[code]
    title = mapping.found[column.name].title if column.name in mapping.found else column.titles[0]
    shown = "" if value is None else str(value)
    shown = shown if len(shown) <= 80 else shown[:79] + "…"
    facts = {"title": title, "limit": limit, "value": shown, "choices": "、".join(column.choices)}
    return RowError(row, column.name, title, shown, code, zh.format_map(facts), en.format_map(facts))


def _places(places: Mapping[str, list[int]], names: Sequence[str]) -> list[int]:
    return sorted({place for name in names for place in places.get(name, ())})


def _core(title: str) -> str:
    return _IN_BRACKETS.sub("", title)


def _unit_in(title: str) -> str | None:
    """The mass unit that a title names: `重量(公斤)`, `数量/kg`."""
    text = folded(title)
    candidates = [*_IN_BRACKETS.findall(text), text.rpartition("/")[2]]
    return next((unit for unit in candidates if unit in GRAMS), None)


def _reader(column: Column, header_unit: str | None) -> Callable[[Cell], Any]:
    """The function that reads a cell of this column, or raises _Wrong."""
    match column.kind:
        case "text":
            take: Callable[[Cell], Any] = _text
        case "code":
            form = re.compile(column.pattern) if column.pattern else None
            take = lambda cell: _code(cell, form)  # noqa: E731  one line each reads better here
        case "int":
            take = lambda cell: _whole(cell, column.suffixes)  # noqa: E731
        case "fen":
            take = _fen
        case "grams":
            take = lambda cell: _grams(cell, header_unit, column.unit)  # noqa: E731
        case "date":
            take = _date
        case "month":
            take = _month
        case "enum":
            words = {folded(word): value for value, others in column.choices.items() for word in (value, *others)}
            take = lambda cell: _choice(cell, words)  # noqa: E731
    low: Any = column.min  # of the type that the kind gives
    high: Any = column.max
    kind = column.kind

    def read(cell: Cell) -> Any:
        if isinstance(cell, str) and cell in _FAILED:
            raise _Wrong("formula_failed")
        value = take(cell)
        measure = len(value) if kind == "text" else value
        if low is not None and measure < low:
            raise _Wrong("too_small", _shown(low, kind))
        if high is not None and measure > high:
            raise _Wrong("too_long" if kind == "text" else "too_large", _shown(high, kind))
        return value

    return read


def _remembering(take: Callable[[Cell], Any]) -> Callable[[Cell], Any]:
    """The same reader, which reads a text that comes again once: most columns hold few different ones."""
    known: dict[str, Any] = {}

    def read(cell: Cell) -> Any:
        if type(cell) is not str:  # 1, 1.0 and True are one key and three cells
            return take(cell)
        if cell in known:
            return known[cell]
        value = take(cell)
        if len(known) < _REMEMBERED:
            known[cell] = value
        return value

    return read


def _shown(limit: int | date, kind: Kind) -> str:
    return f"{limit // 100}.{limit % 100:02d}" if kind == "fen" and isinstance(limit, int) else str(limit)


def _text(cell: Cell) -> str:
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    text = cell if isinstance(cell, str) else _figures(cell) if isinstance(cell, int | float) else str(cell)
    if _CONTROL.search(text):
        raise _Wrong("control_character")
    if len(text) > LONGEST_TEXT:
        raise _Wrong("too_long", LONGEST_TEXT)
    return text


def _code(cell: Cell, form: re.Pattern[str] | None) -> str:
    if isinstance(cell, int | float) and not isinstance(cell, bool) and abs(cell) >= 10**15:
        raise _Wrong("digits_lost")
    code = "".join(half_width(_text(cell)).split())
    if form is not None and not form.fullmatch(code):
        raise _Wrong("not_a_code")
    return code


def _figures(number: int | float) -> str:
    return format(_exact(number), "f")


def _exact(number: int | float) -> Decimal:
    """The decimal that the sheet shows: a sum such as 0.30000000000000004 is 0.3 at Excel's own 15 digits."""
    if isinstance(number, int):
        return Decimal(number)
    value = Decimal(str(number))
    return value if len(value.as_tuple().digits) <= 15 else Decimal(f"{number:.15g}")


def _number(cell: Cell, *, signs: str = "") -> Decimal:
    if isinstance(cell, bool) or cell is None or isinstance(cell, date):
        raise _Wrong("not_a_number")
    if not isinstance(cell, str):
        return _exact(cell)
    text = "".join(half_width(cell).split())
    if signs:
        text = re.sub(rf"^([+-]?)(?:{signs})|(?:元|圆|yuan|rmb|cny)$", r"\1", text, flags=re.IGNORECASE)
    if len(text) > 40 or not _NUMBER.fullmatch(text):
        raise _Wrong("not_a_number")
    return Decimal(text.replace(",", ""))


def _integer(value: Decimal, otherwise: str) -> int:
    if value.adjusted() > 20:
        raise _Wrong("too_large", MAX_FEN)
    if value != value.to_integral_value():
        raise _Wrong(otherwise)
    return int(value)


def _whole(cell: Cell, suffixes: tuple[str, ...] = ()) -> int:
    if suffixes and isinstance(cell, str):
        cell = half_width(cell).strip()
        cell = next((cell[: -len(word)] for word in suffixes if cell.endswith(word)), cell)
    whole = _integer(_number(cell), "not_whole")
    if abs(whole) > MAX_FEN:
        raise _Wrong("too_large", MAX_FEN)
    return whole


def _fen(cell: Cell) -> int:
    fen = _integer(_number(cell, signs="¥|rmb|cny") * 100, "too_many_decimals")
    if abs(fen) > MAX_FEN:
        raise _Wrong("too_large", _shown(MAX_FEN, "fen"))
    return fen


def _grams(cell: Cell, header_unit: str | None, usual: str | None) -> int:
    unit = header_unit or usual
    if isinstance(cell, str):
        match = _AMOUNT.fullmatch(half_width(cell).strip())
        if match is None:
            raise _Wrong("not_a_number")
        number = _number(match[1])
        if match[2]:
            own = folded(match[2])
            if own not in GRAMS:
                raise _Wrong("unit_unknown")
            if header_unit and GRAMS[own] != GRAMS[header_unit]:
                raise _Wrong("unit_differs")
            unit = own
    else:
        number = _number(cell)
    if unit is None:
        raise _Wrong("unit_missing")
    grams = _integer(number * GRAMS[unit], "not_whole_grams")
    if abs(grams) > MAX_QUANTITY:
        raise _Wrong("too_large", MAX_QUANTITY)
    return grams


def _date(cell: Cell) -> date:
    if isinstance(cell, datetime):
        return cell.date()
    if isinstance(cell, date):
        return cell
    text = "".join(half_width(_figures(cell) if isinstance(cell, int | float) else str(cell)).split())
    match = _DAY.fullmatch(text) or _DAY_IN_FIGURES.fullmatch(text)
    if match is None:
        raise _Wrong("not_a_date")
    year, month, day = (int(part) for part in match.groups() if part is not None)
    try:
        return date(year, month, day)
    except ValueError:
        raise _Wrong("not_a_date") from None


def _month(cell: Cell) -> date:
    """The first day of the month."""
    if isinstance(cell, date):
        return date(cell.year, cell.month, 1)
    match = _MONTH.fullmatch("".join(half_width(str(cell)).split())) if isinstance(cell, str) else None
    if match is None:
        raise _Wrong("not_a_month")
    try:
        return date(int(match[1]), int(match[2] or match[3]), 1)
    except ValueError:
        raise _Wrong("not_a_month") from None


def _choice(cell: Cell, words: Mapping[str, str]) -> str:
    value = words.get(folded(_text(cell)))
    if value is None:
        raise _Wrong("not_a_choice")
    return value
