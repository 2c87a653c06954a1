from datetime import date
from decimal import Decimal

import pytest

from shop.sheets.changes import Changed, diff
from shop.sheets.mapping import MESSAGES, Column, ParsedRow, map_columns, parse
from shop.sheets.reader import read
from tests.sheets.helpers import xlsx

COLUMNS = [
    Column("code", ("货号", "Item code", "SKU"), "code", required=True, pattern=r"[A-Z0-9-]{2,20}"),
    Column("name", ("品名", "Name", "商品名称"), "text", required=True, max=10),
    Column("price", ("单价", "Price"), "fen", required=True, min=1),
    Column("pack", ("规格重量", "Pack weight"), "grams"),
    Column("stock", ("库存", "Stock"), "int", min=0, max=1000),
    Column("storage", ("储存", "Storage"), "enum", choices={"ambient": ("常温",), "chilled": ("冷藏", "保鲜")}),
    Column("from_day", ("上市日期", "From"), "date"),
]


def one(kind, cell, **options):
    """The value that a cell of that kind reads as, or the code of its error."""
    return _read(("x",), kind, [["x", "y"], [cell, "1"]], **options)


def _read(titles, kind, rows, **options):
    parsed = parse(read(xlsx(*rows, options={"strings_to_formulas": False})), [Column("x", titles, kind, **options)])
    return parsed.errors[0].code if parsed.errors else parsed.rows[0].values["x"]


@pytest.mark.parametrize(
    ("cell", "fen"),
    [
        (8.4, 840),
        (12, 1200),
        (0.1 + 0.2, 30),
        (1.005, "too_many_decimals"),
        ("12.5", 1250),
        ("¥1,234.50", 123450),
        ("１２．５０元", 1250),
        ("￥ 8.40", 840),
        ("-3.20", -320),
        ("-¥3.20", -320),
        ("8.400", 840),
        ("8.401", "too_many_decimals"),
        ("1,23", "not_a_number"),
        ("1.2.3", "not_a_number"),
        ("5²", "not_a_number"),
        ("①", "not_a_number"),
        ("1e3", "not_a_number"),
        ("NaN", "not_a_number"),
        ("٣", "not_a_number"),
        ("面议", "not_a_number"),
        (True, "not_a_number"),
        ("#N/A", "formula_failed"),
        ("9" * 30, "too_large"),
    ],
)
def test_money_is_read_exactly_in_fen_or_refused(cell, fen):
    assert one("fen", cell) == fen


def test_every_cent_of_a_sheet_arrives_exactly():
    rows = [["x", "y"], *[[fen / 100, "1"] for fen in range(1, 20_000, 7)]]
    parsed = parse(read(xlsx(*rows)), [Column("x", ("x",), "fen")])
    assert [row.values["x"] for row in parsed.rows] == list(range(1, 20_000, 7))


@pytest.mark.parametrize(
    ("cell", "grams"),
    [
        ("500g", 500),
        ("2.5公斤", 2500),
        ("３斤", 1500),
        ("0.5 吨", 500_000),
        ("1.5 KG", 1500),
        ("2两", 100),
        ("1T", 1_000_000),
        (3, "unit_missing"),
        ("3箱", "unit_unknown"),
        ("0.0005kg", "not_whole_grams"),
        ("斤", "not_a_number"),
    ],
)
def test_a_mass_is_read_in_the_units_of_the_field(cell, grams):
    assert one("grams", cell) == grams


@pytest.mark.parametrize(
    ("title", "cell", "grams"),
    [
        ("重量(公斤)", 2.5, 2500),
        ("重量（斤）", "3", 1500),
        ("重量/g", 250, 250),
        ("重量(公斤)", "2.5kg", 2500),
        ("重量(公斤)", "3斤", "unit_differs"),
    ],
)
def test_a_unit_in_the_title_counts_for_its_column(title, cell, grams):
    assert _read(("重量",), "grams", [[title, "y"], [cell, "1"]]) == grams


def test_a_bare_number_takes_the_usual_unit_of_the_column():
    assert one("grams", 2, unit="斤") == 1000


@pytest.mark.parametrize(
    ("cell", "day"),
    [
        (date(2026, 1, 31), date(2026, 1, 31)),
        ("2026-01-31", date(2026, 1, 31)),
        ("2026/1/3", date(2026, 1, 3)),
        ("2026.1.31", date(2026, 1, 31)),
        ("2026年1月31日", date(2026, 1, 31)),
        ("２０２６－０１－３１", date(2026, 1, 31)),
        (20260131, date(2026, 1, 31)),
        ("2026-02-30", "not_a_date"),
        ("26-1-31", "not_a_date"),
        ("2026-1/31", "not_a_date"),
        ("31/01/2026", "not_a_date"),
        (46053, "not_a_date"),
    ],
)
def test_a_date_is_read_in_the_usual_forms_and_never_guessed(cell, day):
    assert one("date", cell) == day


@pytest.mark.parametrize(
    ("cell", "month"),
    [
        ("2013-08", date(2013, 8, 1)),
        ("2013年8月", date(2013, 8, 1)),
        (date(2013, 8, 9), date(2013, 8, 1)),
        ("13-8", "not_a_month"),
    ],
)
def test_a_month_is_its_first_day(cell, month):
    assert one("month", cell) == month


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("int", 3.0, 3),
        ("int", "1,200", 1200),
        ("int", 3.5, "not_whole"),
        ("int", "12%", "not_a_number"),
        ("code", 110101, "110101"),
        ("code", " ab１ ", "ab1"),
        ("code", 91610000123456789, "digits_lost"),
        ("text", 8.4, "8.4"),
        ("text", "５²", "５²"),
        ("text", "a\x07b", "control_character"),
        ("text", "x" * 2_001, "too_long"),
    ],
)
def test_whole_numbers_codes_and_texts_keep_what_the_sheet_says(kind, cell, value):
    assert one(kind, cell) == value


def test_all_errors_of_all_rows_are_listed_with_row_column_and_value():
    sheet = read(
        xlsx(
            ["*货号", "品名", "单价(元)", "规格重量", "库存", "储存", "上市日期"],
            ["A-1", "洛川苹果", 8.4, "5斤", 10, "冷藏", "2026-09-01"],
            ["a b", "一二三四五六七八九十长", 8.405, 5, 1001, "热", "九月"],
            [None, None, 0, None, -1, None, None],
            [None, None, None, None, None, None, None],
            ["A-1", "重复", 1, None, None, "保鲜", None],
        )
    )
    parsed = parse(sheet, COLUMNS, key=("code",))
    assert [(error.row, error.column, error.code) for error in parsed.errors] == [
        (3, "code", "not_a_code"),
        (3, "name", "too_long"),
        (3, "price", "too_many_decimals"),
        (3, "pack", "unit_missing"),
        (3, "stock", "too_large"),
        (3, "storage", "not_a_choice"),
        (3, "from_day", "not_a_date"),
        (4, "code", "required"),
        (4, "name", "required"),
        (4, "price", "too_small"),
        (4, "stock", "too_small"),
        (6, "code", "duplicate"),
    ]
    assert parsed.error_count == 12
    assert not parsed.ok
    assert parsed.rows == [
        ParsedRow(
            2,
            {
                "code": "A-1",
                "name": "洛川苹果",
                "price": 840,
                "pack": 2500,
                "stock": 10,
                "storage": "chilled",
                "from_day": date(2026, 9, 1),
            },
        )
    ]
    wrong_price = parsed.errors[2]
    assert (wrong_price.title, wrong_price.value) == ("单价(元)", "8.405")
    assert parsed.errors[5].zh == "应为其中之一：ambient、chilled"
    assert parsed.errors[9].en == "Less than 0.01"
    assert parsed.errors[11].zh == "与第 2 行重复"


def test_more_errors_than_anyone_reads_are_counted_not_kept():
    sheet = read(("品名,单价\n" + ",x\n" * 12_000).encode())
    parsed = parse(sheet, [COLUMNS[1], COLUMNS[2]])
    assert (len(parsed.errors), parsed.error_count) == (10_000, 24_000)


def test_columns_are_found_by_any_of_their_titles_and_by_what_was_chosen_before():
    found = map_columns(["SKU", "Name ", "价格/单价(元)", "备注", "自定义"], COLUMNS, {"自定义": "stock"})
    assert {name: mapped.index for name, mapped in found.found.items()} == {
        "code": 0,
        "name": 1,
        "price": 2,
        "stock": 4,
    }
    assert found.unknown == ["备注"]
    assert found.missing == ["pack", "storage", "from_day"]
    assert found.errors == []
    again = map_columns(["自定义", "SKU", "品名", "单价"], COLUMNS, found.to_remember())
    assert again.found["stock"].index == 0


def test_a_title_can_be_left_out_by_choice():
    assert "stock" not in map_columns(["库存"], COLUMNS, {"库存": ""}).found


def test_a_missing_and_an_ambiguous_column_are_errors_of_the_header():
    parsed = parse(read("货号,品名,商品名称\nA1,苹果,梨\n".encode()), COLUMNS)
    assert [(error.row, error.column, error.code) for error in parsed.errors] == [
        (1, "name", "ambiguous_column"),
        (1, "price", "missing_column"),
    ]
    assert parsed.errors[0].en == "More than one column could be “品名”: 品名、商品名称"


def test_a_whole_title_goes_before_one_with_brackets():
    found = map_columns(["单价(批发)", "单价"], COLUMNS)
    assert found.found["price"].index == 1
    assert found.errors[:1] == [(COLUMNS[0], "missing_column", "")]


def test_every_message_has_words_in_both_languages():
    for zh, en in MESSAGES.values():
        assert any("\u4e00" <= char <= "\u9fff" for char in zh)
        assert en.isascii() or "“" in en


def test_a_dry_run_says_what_is_new_what_changes_and_what_the_file_lacks():
    known = {
        "A": {"code": "A", "name": "苹果", "price": 840, "stock": 5},
        "B": {"code": "B", "name": "梨", "price": 500, "stock": 1},
        "C": {"code": "C", "name": "枣", "price": 100, "stock": 1},
    }
    parsed = parse(read("货号,品名,单价\nAA,杏,3\nA1,x,1\n".encode()), COLUMNS)
    rows = [
        ParsedRow(2, {"code": "A", "name": "苹果", "price": 900}),
        ParsedRow(3, {"code": "B", "name": "梨", "price": 500}),
        *parsed.rows,
    ]
    change = diff(known, rows, key=("code",))
    assert change.changed == [Changed(2, "A", {"price": (840, 900)})]
    assert [row.values["code"] for row in change.added] == ["AA", "A1"]
    assert (change.unchanged, change.missing) == (1, ["C"])


def test_rows_are_compared_by_several_keys_together():
    known = {("A", date(2026, 1, 1)): {"price": Decimal(1)}}
    rows = [ParsedRow(2, {"code": "A", "day": date(2026, 1, 1), "price": Decimal(2)})]
    assert diff(known, rows, key=("code", "day")).changed[0].fields == {"price": (Decimal(1), Decimal(2))}
