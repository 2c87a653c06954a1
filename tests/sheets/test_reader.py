import io
import random
import subprocess
import sys
import textwrap
import zipfile
import zlib
from datetime import date, datetime, timedelta

import pytest
from python_calamine import CalamineWorkbook

from shop.sheets.reader import read, stream
from shop.sheets.text import SheetError
from shop.sheets.xlsx import HEADER_WITHIN, Limits
from tests.sheets.helpers import packed, worksheet, xlsx

HALF_PAST_EIGHT = datetime(2026, 1, 31, 8, 30)  # noqa: DTZ001  a spreadsheet date has no zone
CSV = "品名,数量\n洛川苹果,12\n中宁枸杞,3\n"


def reason(data: bytes) -> str:
    with pytest.raises(SheetError) as refused:
        read(data)
    assert refused.value.message_zh
    assert str(refused.value)
    return refused.value.reason


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_a_csv_file_reads_the_same_in_every_encoding_and_with_every_delimiter(encoding, delimiter):
    sheet = read(CSV.replace(",", delimiter).encode(encoding))
    assert sheet.header == ("品名", "数量")
    assert sheet.rows == [(2, ("洛川苹果", "12")), (3, ("中宁枸杞", "3"))]


def test_a_csv_row_has_the_number_that_a_spreadsheet_program_shows():
    sheet = read('名,注\n\n苹果,"两\n行"\n,\n梨,x\n'.encode())
    assert [(row.number, row.cells) for row in sheet.rows] == [(3, ("苹果", "两\n行")), (5, ("梨", "x"))]


def test_an_open_file_reads_like_its_bytes():
    assert read(io.BytesIO(CSV.encode())) == read(CSV.encode())


def test_an_xlsx_file_gives_numbers_dates_and_text_as_they_are():
    sheet = read(
        xlsx(
            ["货号", "品名", "单价", "数量", "上架", "时刻", "有机"],
            ["00123", " 洛川苹果\u3000", 8.4, 12, date(2026, 1, 31), HALF_PAST_EIGHT, True],
        )
    )
    cells = ("00123", "洛川苹果", 8.4, 12, date(2026, 1, 31), HALF_PAST_EIGHT, True)
    assert sheet.rows == [(2, cells)]
    assert [type(cell) for cell in sheet.rows[0].cells] == [str, str, float, int, date, datetime, bool]


def test_an_xlsx_file_reads_as_an_independent_reader_reads_it():
    dice = random.Random(7)
    kinds = [
        lambda: dice.randrange(10**6),
        lambda: round(dice.uniform(-(10**6), 10**6), 2),
        lambda: "".join(dice.choices("盐池滩羊 ab&<>\"'_x0041_é\n", k=12)).strip() or "x",
        lambda: date(1901 + dice.randrange(190), 1 + dice.randrange(12), 1 + dice.randrange(28)),
        lambda: HALF_PAST_EIGHT + timedelta(seconds=dice.randrange(10**6)),
        lambda: None,
    ]
    rows = [[dice.choice(kinds)() for _ in range(8)] for _ in range(300)]
    data = xlsx([f"c{number}" for number in range(8)], *rows, options={"strings_to_formulas": False})
    expected = CalamineWorkbook.from_filelike(io.BytesIO(data)).get_sheet_by_index(0).to_python()[1:]
    theirs = {
        number: [None if cell == "" else cell for cell in row] for number, row in enumerate(expected, 2) if any(row)
    }
    ours = {row.number: [*row.cells, *[None] * (8 - len(row.cells))] for row in read(data).rows}
    same = {number: [cell.strip() if isinstance(cell, str) else cell for cell in row] for number, row in theirs.items()}
    assert len(ours) > 290
    assert ours == {
        number: [
            cell.date() if isinstance(cell, datetime) and cell.time() == datetime.min.time() else cell for cell in row
        ]
        for number, row in same.items()
    }


def test_a_title_above_the_table_is_passed_over_and_a_merged_header_is_joined():
    sheet = read(
        xlsx(
            ["商品导入表", None, None, None],
            ["品名", "价格", None, "产地"],
            [None, "零售价(元)", "批发价(元)", None],
            ["苹果", 8.4, 7, "洛川县"],
            merged=("A1:D1", "A2:A3", "B2:C2", "D2:D3"),
        )
    )
    assert sheet.header == ("品名", "价格/零售价(元)", "价格/批发价(元)", "产地")
    assert sheet.rows == [(4, ("苹果", 8.4, 7, "洛川县"))]


def test_the_first_visible_worksheet_with_a_value_is_read():
    target = io.BytesIO()
    import xlsxwriter

    book = xlsxwriter.Workbook(target)
    book.add_worksheet("空")
    hidden, shown = book.add_worksheet("藏"), book.add_worksheet("单")
    hidden.write(0, 0, "secret")
    hidden.hide()
    shown.write_row(0, 0, ["a", "b"])
    shown.write_row(1, 0, [1, 2])
    book.close()
    assert read(target.getvalue()).rows == [(2, (1, 2))]


def test_formats_on_a_whole_column_do_not_make_rows():
    rows = (
        b'<row r="1"><c r="A1"><v>1</v></c><c r="B1"><v>2</v></c></row><row r="1048576"><c r="XFD1048576" s="1"/></row>'
    )
    assert read(packed(worksheet(rows))).rows == []


def test_a_formula_that_was_never_worked_out_is_not_read_as_empty():
    rows = b"<row><c><v>1</v></c><c><v>2</v></c></row><row><c><f>A1+1</f></c><c><f>1+1</f><v>2</v></c></row>"
    assert read(packed(worksheet(rows))).rows == [(2, ("#FORMULA!", 2))]


def test_a_shared_text_used_by_every_row_is_held_once():
    strings = b"<sst><si><t>" + b"x" * 30_000 + b"</t></si></sst>"
    rows = b"".join(b'<row r="%d"><c r="A%d" t="s"><v>0</v></c></row>' % (n, n) for n in range(1, 20_001))
    sheet = read(packed(worksheet(rows), strings=strings))
    assert len({id(row.cells[0]) for row in sheet.rows}) == 1
    assert len(sheet.rows) == 19_999


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b" \r\n ", "empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not_a_spreadsheet"),
        (b"%PDF-1.7\nabc,def", "not_a_spreadsheet"),
        (b"<html><table><tr><td>1</td></tr></table>", "not_a_spreadsheet"),
        (b"\xef\xbb\xbf<svg onload='x'/>", "not_a_spreadsheet"),
        (b"name,amount\nA\x00B,1", "not_a_spreadsheet"),
        (b"name,amount\nA\x1bB,1", "not_a_spreadsheet"),
        (b"name,amount\n\xff\xff,1", "not_a_spreadsheet"),
        (b'name,amount\n"open,1', "damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old_format"),
        (b"PK\x03\x04 and no more", "damaged"),
        (packed(worksheet(b"")), "empty"),
        (packed(b"<worksheet><sheetData><row>"), "damaged"),
        (packed(b'<!DOCTYPE w [<!ENTITY a SYSTEM "file:///etc/passwd">]><w>&a;</w>'), "doctype"),
        (packed(b'<?xml version="1.0" encoding="nonsense"?><w/>'), "damaged"),
        (packed(worksheet(b'<row r="2"/><row r="1"/>')), "damaged"),
        (packed(worksheet(b'<row r="-1"/>')), "damaged"),
        (packed(worksheet(b'<row><c r="B1"><v>1</v></c><c r="A1"><v>1</v></c></row>')), "damaged"),
        (packed(worksheet(b'<row><c t="s"><v>9</v></c></row>')), "damaged"),
        (packed(worksheet(b"<row><c><v>nan</v></c></row>")), "damaged"),
        (packed(worksheet(b"<row><c><v>1e999</v></c></row>")), "damaged"),
        (packed(worksheet(b'<row><c r="XFD1"><v>1</v></c></row>')), "too_large"),
        (packed(worksheet(b"<row><c t='str'><v>" + b"x" * 40_000 + b"</v></c></row>")), "too_large"),
        (packed(worksheet(b""), more={"../../etc/cron.d/x": b"x"}), "unsafe_archive"),
        (packed(worksheet(b""), more={"xl\\..\\..\\x": b"x"}), "unsafe_archive"),
        (packed(worksheet(b""), more={f"xl/media/{n}": b"" for n in range(1_000)}), "too_large_unpacked"),
        (b"x" * (20 * 2**20 + 1), "too_large"),
        (",".join("a" * 300).encode(), "too_large"),
    ],
)
def test_what_is_no_spreadsheet_is_refused_with_a_reason(data, why):
    assert reason(data) == why


def test_another_archive_is_refused():
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("word/document.xml", "<w/>")
    assert reason(target.getvalue()) == "not_a_spreadsheet"


def test_an_archive_that_lies_about_its_sizes_is_refused():
    data = bytearray(packed(worksheet(b"<row><c><v>1</v></c></row>" * 5_000)))
    directory = data.rindex(b"xl/worksheets/sheet1.xml") - 46
    data[directory + 24 : directory + 28] = (100).to_bytes(4, "little")
    assert reason(bytes(data)) == "damaged"


def _bomb(size: int, unit: bytes, *, name: str = "xl/worksheets/sheet1.xml", before: bytes = b"") -> bytes:
    """An xlsx file with one part of that size; equal blocks pack to equal bytes, so a block is packed only once."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    opening = packer.compress(b"<worksheet><sheetData>" + before) + packer.flush(zlib.Z_FULL_FLUSH)
    block = unit * (2**20 // len(unit))
    piece = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    stream = opening + piece * (size // len(block)) + b"\x03\x00"
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(packed(worksheet(b"")))) as source, zipfile.ZipFile(target, "w") as archive:
        for entry in source.namelist():
            if entry != name:
                archive.writestr(entry, source.read(entry))
        archive.writestr("xl/noise", random.Random(1).randbytes(600_000))  # keeps the ratio low
        archive.writestr(name, stream)
        packed_entry = archive.getinfo(name)
        packed_entry.compress_type = zipfile.ZIP_DEFLATED
        if size < 2**30:  # a larger part is refused by its size, before anyone could compare the sum
            packed_entry.CRC = zlib.crc32(b"<worksheet><sheetData>" + before)
            for _ in range(size // len(block)):
                packed_entry.CRC = zlib.crc32(block, packed_entry.CRC)
        packed_entry.file_size = size // len(block) * len(block) + len(before) + 22
    data = bytearray(target.getvalue())
    local = packed_entry.header_offset
    data[local + 8 : local + 10] = (8).to_bytes(2, "little")
    return bytes(data)


BOMBS = {
    "a gibibyte of blanks": lambda: _bomb(2**30, b" "),
    "120 MiB of blanks": lambda: _bomb(120 * 2**20, b" "),
    "120 MiB of empty elements": lambda: _bomb(120 * 2**20, b"<x/>"),
    "millions of cells": lambda: _bomb(120 * 2**20, b"<row>" + b"<c><v>1.5</v></c>" * 200 + b"</row>"),
    "a gibibyte beside the sheet": lambda: _bomb(2**30, b" ", name="xl/media/image1.png"),
    "one long text": lambda: _bomb(120 * 2**20, b"x" * 100, before=b"<row><c t='str'><v>"),
    "one long name": lambda: _bomb(120 * 2**20, b"x" * 100, before=b"<"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_that_unpacks_into_a_large_one_is_refused_fast_and_in_little_memory(name, tmp_path):
    (tmp_path / "bomb.xlsx").write_bytes(BOMBS[name]())
    program = textwrap.dedent("""
        import resource, sys, time
        from shop.sheets.reader import read
        from shop.sheets.text import SheetError
        data = open(sys.argv[1], "rb").read()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.process_time()
        try:
            read(data)
        except SheetError as error:
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            print(error.reason, time.process_time() - started, grown // 1024)
    """)
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "bomb.xlsx")], capture_output=True, text=True, check=True
    )
    why, seconds, mebibytes = run.stdout.split()
    assert why in ("too_large", "too_large_unpacked", "damaged")
    assert float(seconds) < 5
    assert int(mebibytes) < 100


@pytest.mark.parametrize("made_as", ["xlsx", "csv"])
def test_as_many_rows_as_may_be_are_read_below_their_titles(made_as):
    limits = Limits(rows=200)

    def count(rows: int) -> int:
        table = [["价目表"], ["品名", "数量"], *([f"苹果{n}", n] for n in range(rows))]
        text = "\n".join(",".join(str(cell) for cell in row) for row in table)
        data = xlsx(*table) if made_as == "xlsx" else text.encode()
        return len(list(stream(io.BytesIO(data), limits=limits).rows))

    assert count(200) == 200
    with pytest.raises(SheetError) as refused:
        count(200 + HEADER_WITHIN)
    assert refused.value.reason == "too_large"
