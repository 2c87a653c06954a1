import csv
import io
import re
import tracemalloc
import zipfile
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from shop.sheets.mapping import Column, parse
from shop.sheets.reader import read
from shop.sheets.text import SheetError, quoted, unquoted
from shop.sheets.writer import Out, csv_chunks, xlsx_into

COLUMNS = [
    Out("品名"),
    Out("金额(元)", "fen"),
    Out("重量(公斤)", "kilograms"),
    Out("件数", "int"),
    Out("日期", "date"),
    Out("时间", "instant"),
]
ROW = ["洛川苹果", -123456789, 2500, -3, date(2026, 1, 31), datetime(2026, 1, 31, 16, 30, tzinfo=UTC)]
FORMULAS = [
    "=1+1",
    "+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1+1",
    "＋1",
    "－1",
    "＠x",
    " =1",
    "\u3000=1",
    "'=1",
]


def csv_bytes(columns, rows):
    return b"".join(csv_chunks(columns, rows))


def xlsx_bytes(columns, rows):
    target = io.BytesIO()
    xlsx_into(target, columns, rows)
    return target.getvalue()


def test_a_csv_file_shows_money_mass_and_time_exactly():
    lines = csv_bytes(COLUMNS, [ROW, [None] * 6]).decode("utf-8-sig").split("\r\n")
    assert lines[1:] == ["洛川苹果,-1234567.89,2.500,-3,2026-01-31,2026-02-01 00:30:00", ",,,,,", ""]


def test_an_independent_reader_finds_the_same_in_the_xlsx_file():
    page = CalamineWorkbook.from_filelike(io.BytesIO(xlsx_bytes(COLUMNS, [ROW]))).get_sheet_by_index(0)
    assert page.to_python() == [
        [column.title for column in COLUMNS],
        ["洛川苹果", -1234567.89, 2.5, -3.0, date(2026, 1, 31), datetime(2026, 2, 1, 0, 30)],  # noqa: DTZ001
    ]


@pytest.mark.parametrize("write", [csv_bytes, xlsx_bytes])
def test_what_was_written_reads_back_to_the_same_values(write):
    amounts = [0, 1, 7, 99, 100, 995, 12_345_678_901, 999_999_999_999_99, -5]
    rows = [
        [text, fen, fen, fen, date(2026, 1, 31), None] for text, fen in zip([*FORMULAS[:8], "x"], amounts, strict=True)
    ]
    columns = [
        Column("text", ("品名",)),
        Column("fen", ("金额",), "fen"),
        Column("grams", ("重量",), "grams", max=10**14),
        Column("count", ("件数",), "int"),
        Column("day", ("日期",), "date"),
    ]
    rows[7][2] = 1
    parsed = parse(read(write(COLUMNS, rows)), columns)
    assert parsed.errors == []
    assert [list(row.values.values()) for row in parsed.rows] == [[row[0].strip(), *row[1:5]] for row in rows]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_a_csv_file_starts_a_formula(text):
    (_, cell), *_ = list(
        csv.reader(io.StringIO(csv_bytes([Out("a"), Out("b")], [["x", text]]).decode()[1:], newline=""))
    )[1:]
    assert cell == "'" + text


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_in_an_xlsx_file_is_text_marked_as_quoted(text):
    data = xlsx_bytes([Out("a"), Out("b")], [["x", text]])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        page, styles = archive.read("xl/worksheets/sheet1.xml").decode(), archive.read("xl/styles.xml").decode()
    assert "<f>" not in page
    style = re.search(r'<c r="B2" s="(\d+)" t="inlineStr">', page)
    formats = re.findall(r"<xf [^>]*>", styles[styles.index("<cellXfs") :])
    assert style is not None
    assert 'quotePrefix="1"' in formats[int(style[1])]


def test_a_formula_in_a_title_is_quoted_too():
    assert csv_bytes([Out("=1+1")], []) == "\ufeff'=1+1\r\n".encode()


def test_a_separator_of_another_country_cannot_cut_a_formula_out_of_a_text():
    assert csv_bytes([Out("a")], [["x;=1+1"], ["x\t=1+1"]]).decode("utf-8-sig") == 'a\r\n"x;=1+1"\r\n"x\t=1+1"\r\n'


@given(st.text())
def test_quoting_is_undone_exactly(text):
    assert unquoted(quoted(text)) == text


@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), min_size=2, max_size=2)
    )
)
def test_any_text_survives_csv(rows):
    data = csv_bytes([Out("a"), Out("b")], rows).decode("utf-8-sig")
    read_back = list(csv.reader(io.StringIO(data, newline="")))[1:]
    assert [[unquoted(cell) for cell in row] for row in read_back] == rows


def test_money_beyond_what_a_sheet_holds_is_written_as_text():
    page = CalamineWorkbook.from_filelike(io.BytesIO(xlsx_bytes([Out("a", "fen")], [[10**16 + 1]]))).get_sheet_by_index(
        0
    )
    assert page.to_python()[1] == ["100000000000000.01"]


def test_text_that_no_cell_can_hold_is_cut_with_a_mark():
    long, odd = "苹" * 40_000, "a\x00b\ud800c"
    rows = read(xlsx_bytes([Out("a"), Out("b")], [[long, odd]])).rows
    assert rows[0].cells == ("苹" * 32_766 + "…", "a\ufffdb\ufffdc")


def test_a_row_of_the_wrong_width_is_a_mistake():
    with pytest.raises(ValueError, match="2 values"):
        csv_bytes([Out("a"), Out("b")], [["x"]])


def test_a_csv_export_is_streamed_in_bounded_memory():
    asked = 0

    def rows():
        nonlocal asked
        for number in range(50_000):
            asked += 1
            yield ["洛川苹果 80mm", number, "x" * 50]

    chunks = csv_chunks([Out("a"), Out("b", "fen"), Out("c")], rows())
    next(chunks)
    assert asked == 0
    next(chunks)
    assert asked <= 1_000
    tracemalloc.start()
    size = sum(len(chunk) for chunk in chunks)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > 3_000_000
    assert peak < 2_000_000


def test_a_sheet_that_would_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr("shop.sheets.writer.MAX_XLSX_ROWS", 2)
    with pytest.raises(SheetError, match="csv"):
        xlsx_bytes([Out("a")], [["x"]] * 3)
