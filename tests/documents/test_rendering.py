import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from shop.documents.fonts import uncovered
from shop.documents.rendering import Template, render
from tests.documents.pdf_text import compact, pages

AT = datetime(2026, 1, 31, 16, 30, tzinfo=UTC)
LINE = {
    "code": "LC-001",
    "name": "洛川苹果",
    "origin": "洛川县",
    "pack": "5 kg/箱",
    "quantity": "120 箱",
    "price": "42.00",
    "amount": "5,040.00",
    "lot": "L-7",
    "ordered": "120",
    "delivered": "119",
    "accepted": "117",
    "rejected": "2",
    "reason": "压伤",
    "expires_on": "2026-10-01",
    "place": "A-3",
}
FACTS = {
    "number": "PO-2026-000123",
    "order": "PO-9",
    "placed_on": "2026-01-30",
    "buyer": "宁波示范医院",
    "buyer_unit": "食堂",
    "cooperative": "洛川示范合作社",
    "county": "洛川县",
    "deliver_to": "宁波市海曙区",
    "note": "六点前送达",
}
MONEY = {"goods": "5,040.00", "freight": "60.00", "total": "5,100.00", "total_in_words": "伍仟壹佰元整"}
SETTLED = {"refund": "84.00", "accepted_amount": "4,914.00", "accepted_in_words": "肆仟玖佰壹拾肆元整"}
REPORT = {
    "title": "采购汇总表",
    "title_en": "Procurement",
    "number": "R-1",
    "columns": [{"zh": "结对", "en": "Pairing", "wide": True}, {"zh": "金额(元)", "en": "Amount", "align": "right"}],
    "rows": [["宁波市—凉山州", "1,234.56"]],
    "total": ["合计", "9,876.54"],
    "hash": "ab12" * 16,
}
DATA = {
    Template.ORDER: {**FACTS, **MONEY, "lines": [LINE]},
    Template.ACCEPTANCE: {**FACTS, **SETTLED, "lines": [LINE]},
    Template.PICKING: {**FACTS, "lines": [LINE]},
    Template.REPORT: REPORT,
}
HOSTILE = (
    "#panic(1) $x^2$ *b* _e_ \"q\" 'a' `c` \\u{41} @r <l> // no /* no */ = h - i + j ~ -- --- ... [x] {y} #sys.inputs"
)


def squeezed(text):
    return "".join(text.split())


@pytest.mark.parametrize("template", Template)
def test_every_paper_shows_each_value_it_is_given(template):
    pdf = render(template, DATA[template], at=AT)
    assert pdf.startswith(b"%PDF-1.7")
    shown = compact(pdf)
    used = {
        Template.ORDER: [*FACTS.keys() - {"order"}, *MONEY],
        Template.ACCEPTANCE: [*FACTS.keys() - {"placed_on", "buyer_unit", "deliver_to"}, *SETTLED],
        Template.PICKING: FACTS.keys() - {"placed_on", "buyer", "buyer_unit", "county"},
        Template.REPORT: ["title", "title_en", "number", "hash"],
    }[template]
    for name in used:
        assert squeezed(DATA[template][name]) in shown, name
    assert "打印Printed2026-02-0100:30" in shown


@pytest.mark.parametrize(
    ("template", "fields"),
    [
        (Template.ORDER, "code name origin pack quantity price amount"),
        (Template.ACCEPTANCE, "code name lot ordered delivered accepted rejected reason amount"),
        (Template.PICKING, "code name lot expires_on place pack quantity"),
    ],
)
def test_every_line_shows_its_number_and_its_fields_in_order(template, fields):
    shown = compact(render(template, DATA[template], at=AT))
    assert "1" + squeezed("".join(LINE[field] for field in fields.split())) in shown


def test_a_report_has_its_header_rows_and_total():
    shown = compact(render(Template.REPORT, REPORT, at=AT))
    assert "结对Pairing金额(元)Amount宁波市—凉山州1,234.56合计9,876.54" in shown


def test_text_that_looks_like_markup_is_printed_as_it_is():
    data = {**FACTS, **MONEY, "note": HOSTILE, "lines": [{**LINE, "name": HOSTILE}]}
    assert compact(render(Template.ORDER, data, at=AT)).count(squeezed(HOSTILE)) == 2


def test_a_long_table_repeats_its_header_and_counts_its_pages():
    shown = pages(render(Template.ORDER, {**FACTS, **MONEY, "lines": [LINE] * 100}, at=AT))
    assert len(shown) >= 3
    with_lines = [page for page in shown if "LC-001" in page]
    assert all("货号" in page and "Quantity" in page for page in with_lines)
    assert sum(page.count("LC-001") for page in shown) == 100
    for number, page in enumerate(shown, start=1):
        assert f"第{number}页/共{len(shown)}页" in "".join(page.split())


def test_a_long_word_stays_on_the_page_by_breaking():
    word = "A" * 300
    broken = "".join(pages(render(Template.ORDER, {**FACTS, **MONEY, "lines": [{**LINE, "name": word}]}, at=AT)))
    assert max(len(line) for line in broken.splitlines() if set(line) <= {"A", "\u200b"} and line) < 60
    assert broken.count("A") >= 300


def test_the_same_data_and_instant_give_the_same_bytes_in_another_process_too():
    here = render(Template.REPORT, REPORT, at=AT)
    program = (
        "import sys; from tests.documents.test_rendering import *; "
        "sys.stdout.buffer.write(render(Template.REPORT, REPORT, at=AT))"
    )
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert there.stdout == here
    assert render(Template.REPORT, REPORT, at=AT + timedelta(minutes=1)) != here


def test_a_character_without_a_glyph_shows_its_code():
    data = {**FACTS, **MONEY, "note": "苹果🍎\x07\u202e\ue000\ud800", "lines": []}
    assert "苹果[U+1F34E][U+0007][U+202E][U+E000][U+D800]" in compact(render(Template.ORDER, data, at=AT))


def test_the_font_draws_the_rare_characters_of_place_names():
    assert (
        uncovered(
            "儋州 亳州 歙县 黟县 郯城 鄄城 盱眙 浉河 犍为 筠连 珙县 邛崃 郫都 阆中 盩厔 浬浦 峇厘 镕 堃 喆 㙍 㵲阳 \n"
        )
        == set()
    )
    assert uncovered("🍎a") == {"🍎"}


@pytest.mark.parametrize(
    ("template", "data"),
    [
        ("order", {"number": 1.5, "lines": []}),
        ("order", {"number": "1"}),
        ("report", {**REPORT, "rows": [["one"]]}),
        ("report", {**REPORT, "rows": [["a", "b"]] * 5_001}),
        ("../base", {}),
    ],
)
def test_data_that_does_not_suit_the_template_is_a_mistake(template, data):
    with pytest.raises(ValueError):
        render(template, data, at=AT)
