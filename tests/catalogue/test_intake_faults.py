"""What is wrong with a sheet is told exactly: row, column, value and code; and what is only unusual is read."""

from pathlib import Path
from typing import Any

import pytest

from config.settings import settings
from shop.catalogue.intake.packs import Unclear, content_of, grams_priced, price_of_pack
from shop.sheets import reader
from tests.catalogue.intake import TITLES, Coop, counts, csv_of, goods, table, xlsx_of
from tests.outbox.helpers import work
from tests.sheets.helpers import xlsx


@pytest.fixture
def coop(committed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Coop:
    monkeypatch.setenv("SHOP_FILES", str(tmp_path))
    settings.cache_clear()
    return Coop(tmp_path)


FAULTS: list[tuple[dict[str, Any], str, str]] = [  # what is planted, the column that is named, the code
    ({"code": ""}, "code", "required"),
    ({"code": "X" * 65}, "code", "not_a_code"),
    ({"code": "GOOD-0"}, "code", "duplicate"),
    ({"name": ""}, "name", "required"),
    ({"name": "果" * 101}, "name", "too_long"),
    ({"name": "苹\x0b果"}, "name", "control_character"),
    ({"name_en": ""}, "name_en", "required"),
    ({"category": ""}, "category", "required"),
    ({"category": "果蔬"}, "category", "not_a_choice"),
    ({"origin": ""}, "origin", "required"),
    ({"origin": "火星县"}, "origin", "unknown_county"),
    ({"origin": "999999"}, "origin", "unknown_county"),
    ({"origin": "朝阳区"}, "origin", "ambiguous_county"),
    ({"storage": "热藏"}, "storage", "not_a_choice"),
    ({"shelf_life_days": "半年"}, "shelf_life_days", "not_a_number"),
    ({"shelf_life_days": "0天"}, "shelf_life_days", "too_small"),
    ({"shelf_life_days": "３６５１"}, "shelf_life_days", "too_large"),
    ({"shelf_life_days": "1.5"}, "shelf_life_days", "not_whole"),
    ({"grade": ""}, "grade", "required"),
    ({"code": "GOOD-1", "pack_name": "20斤箱", "pack_grams": "11公斤", "grade": "特级"}, "grade", "product_differs"),
    ({"spec": "字" * 201}, "spec", "too_long"),
    ({"pack_name": ""}, "pack_name", "required"),
    ({"pack_name": "箱"}, "pack_name", "content_missing"),
    ({"pack_name": "4.5-5斤箱"}, "pack_name", "pack_unclear"),
    ({"pack_name": "0.333斤袋"}, "pack_name", "not_whole_grams"),
    ({"content": "6斤"}, "content", "content_differs"),
    ({"code": "GOOD-2", "pack_name": "30枚盒"}, "pack_name", "unit_differs"),
    ({"pack_name": "30枚盒", "pack_grams": ""}, "pack_grams", "gross_missing"),
    ({"pack_grams": "4公斤"}, "pack_grams", "gross_below_net"),
    ({"pack_grams": "5250"}, "pack_grams", "unit_missing"),
    ({"pack_grams": "12磅"}, "pack_grams", "unit_unknown"),
    ({"price_fen": "四十"}, "price_fen", "not_a_number"),
    ({"price_fen": "40.001"}, "price_fen", "too_many_decimals"),
    ({"min_packs": "2000"}, "max_packs", "below_minimum_order"),
    ({"tier2_price_fen": ""}, "tier2_price_fen", "tier_incomplete"),
    ({"tier2_price_fen": "40.00"}, "tier2_price_fen", "tiers_disordered"),
    ({"season_from": "13月"}, "season_from", "too_large"),
]


@pytest.mark.parametrize("made_as", [csv_of, xlsx_of])
def test_a_file_with_37_planted_faults_reports_exactly_those(coop: Coop, made_as: Any) -> None:
    assert len(FAULTS) == 37
    rows, expected = [], []
    for number, (planted, column, code) in enumerate(FAULTS):
        rows.append(goods(code=f"GOOD-{number}", content="10斤"))
        rows.append(goods(**{"code": f"BAD-{number}", "content": "10斤"} | planted))
        if "pack_name" in planted:
            rows[-1] |= {"content": ""}
        shown = rows[-1][column]
        expected.append((2 * number + 3, column, shown if len(shown) <= 80 else shown[:79] + "…", code))
    made = coop.tried(made_as(table(rows)))
    assert coop.faults(made) == expected
    assert counts(made) == (37, 0, 0, 37)
    for kind in ("csv", "xlsx"):
        answer = coop.clients["seller"].get(f"/v1/cooperative/listing-imports/{made['id']}/failed-rows?format={kind}")
        sheet = reader.read(answer.data)
        assert sheet.header[-1] == "错误"
        assert len(sheet.rows) == 37
        assert sheet.rows[0].cells[-1] == "商品编码：必填"
    corrected = sheet.rows[3].cells
    assert corrected[0] == "BAD-3"
    assert coop.applied(made, "valid_rows")["applied"] == 37


def test_a_row_tells_all_that_is_wrong_with_it(coop: Coop) -> None:
    made = coop.tried(csv_of(table([goods(name="", grade="", max_packs="", price_fen="")])))
    assert [fault[1] for fault in coop.faults(made)] == ["name", "grade", "max_packs", "price_fen"]


def test_what_is_listed_cannot_get_another_content_by_a_sheet(coop: Coop) -> None:
    coop.imported([goods()])
    rows = [goods(content="12斤"), goods(code="A2"), goods(code="A2", pack_name="5斤箱", pack_grams="2公斤")]
    made = coop.tried(csv_of(table(rows)))
    assert coop.faults(made) == [
        (2, "content", "12斤", "content_differs"),
        (2, "content", "12斤", "pack_fixed"),
        (4, "pack_grams", "2公斤", "gross_below_net"),
    ]
    made = coop.tried(csv_of(table([goods(pack_grams="5.3公斤")])))
    assert coop.faults(made) == [(2, "pack_grams", "5.3公斤", "pack_fixed")]


A_COUNTY: Any = 610629  # as a program writes a code that it takes for a number


def test_a_sheet_as_a_cooperative_keeps_it_is_read(coop: Coop) -> None:
    none = [None] * 15
    first = ["００１", "洛川苹果", "Apples", "水果", A_COUNTY, "冷藏", "180天", "一级", "80mm", "箱（１０斤）"]
    second = ["００２", "静宁苹果", "Apples", "水果", "洛川县", "常温", 90, "二级", "75mm", "500g×20袋"]
    head = ["货号", "品名", "英文名", "类别", "产地", "温层", "保质期", "等级", "果径规格", "箱规", "毛重/斤", "价格"]
    data = xlsx(
        ["洛川果业合作社 二〇二四年供货表", *none],
        [*head, None, "起订量", "限购量", "备注"],
        [*none[:11], "单价(元/斤)", "阶梯2单价(元/斤)"],
        [*first, 10.5, 4, None, 1, "１，０００件", "甲"],
        [*second, 21, "４．５", None, "2件", 500],
        merged=("A1:P1", "L2:M2", *(f"{c}2:{c}3" for c in "ABCDEFGHIJKNOP")),
    )
    made = coop.tried(data)
    assert (made["errors"], made["unread"], coop.faults(made)) == ([], ["备注"], [])
    done = coop.applied(made)
    assert done["applied"] == 2
    found = {one["product"]["code"]: one for one in coop.listings()}
    first, second = found["001"], found["002"]
    assert (first["pack_base_quantity"], first["pack_grams"], first["price_fen"]) == (5_000, 5_250, 4_000)
    assert (second["pack_base_quantity"], second["pack_grams"], second["price_fen"]) == (10_000, 10_500, 9_000)
    assert (first["max_packs"], second["min_packs"], second["product"]["storage"]) == (1000, 2, "ambient")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_a_csv_file_is_read_in_whatever_encoding_it_was_saved(coop: Coop, encoding: str) -> None:
    assert counts(coop.tried(csv_of(table([goods()]), encoding))) == (1, 0, 0, 0)


def test_titles_are_remembered_from_what_was_confirmed_and_can_be_set(coop: Coop) -> None:
    odd = table([goods()], {"price_fen": "社里的价", "name": "叫什么"})
    made = coop.tried(csv_of(odd))
    assert set(made["unread"]) == {"社里的价", "叫什么"}
    assert {fault[1:] for fault in coop.faults(made)} == {("name", "", "required"), ("price_fen", "", "required")}
    path = "/v1/cooperative/listing-imports/columns"
    answer = coop.clients["seller"].put(path, json={"columns": {"社里的价": "price_fen", "叫什么": "name"}})
    assert answer.status_code == 200
    made = coop.tried(csv_of(odd))
    assert (counts(made), made["unread"]) == ((1, 0, 0, 0), [])
    coop.applied(made)
    kept = coop.get(path)["columns"]
    assert (kept["社里的价"], kept["商品编码"]) == ("price_fen", "code")
    assert coop.get(path, "rival")["columns"] == {}
    refused = coop.clients["seller"].put(path, json={"columns": {"社里的价": "price"}})
    assert (refused.status_code, refused.get_json()["errors"][0]["pointer"]) == (422, "/columns")


def test_a_header_that_lacks_what_names_a_listing_is_told_and_nothing_can_be_confirmed(coop: Coop) -> None:
    made = coop.tried(csv_of(table([{"name": "苹果", "price_fen": "4"}])))
    assert [(one["row"], one["column"], one["code"]) for one in made["errors"]] == [
        (1, "code", "missing_column"),
        (1, "pack_name", "missing_column"),
    ]
    assert coop.confirm(made, "valid_rows").get_json()["code"] == "import_has_errors"


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"%PDF-1.4", "not_a_spreadsheet"), (b"\xd0\xcf\x11\xe0", "old_format"), (b"PK\x03\x04 x", "damaged")],
)
def test_what_is_no_spreadsheet_fails_with_its_reason(coop: Coop, data: bytes, code: str) -> None:
    made = coop.tried(data)
    assert (made["status"], made["job"]["status"], made["errors"][0]["code"]) == ("failed", "failed", code)
    assert coop.confirm(made).get_json()["code"] == "import_not_tried"


def test_an_empty_upload_is_refused_at_once(coop: Coop) -> None:
    answer = coop.clients["seller"].post("/v1/cooperative/listing-imports", data=b"")
    assert (answer.status_code, answer.get_json()["code"]) == (422, "invalid")


def test_a_formula_is_text_when_it_is_read_and_never_one_when_it_is_given_back(coop: Coop) -> None:
    evil = '=HYPERLINK("http://evil.example","x")'
    made = coop.tried(csv_of(table([goods(name=evil.replace(",", "，"), price_fen="=1+1"), goods(code="@SUM(A1)")])))
    assert [fault[1::2] for fault in coop.faults(made)] == [("price_fen", "not_a_number")]
    path = f"/v1/cooperative/listing-imports/{made['id']}/failed-rows"
    text = coop.clients["seller"].get(f"{path}?format=csv").data.decode("utf-8-sig")
    assert "'=HYPERLINK" in text
    assert "'=1+1" in text
    sheet = coop.clients["seller"].get(f"{path}?format=xlsx").data
    assert b"<f>" not in unpacked(sheet)
    coop.applied(made, "valid_rows")
    (listing,) = coop.listings()
    assert listing["product"]["code"] == "@SUM(A1)"


def unpacked(data: bytes) -> bytes:
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read("xl/worksheets/sheet1.xml")


def test_the_template_can_be_uploaded_as_it_is(coop: Coop) -> None:
    for kind in ("csv", "xlsx"):
        answer = coop.clients["seller"].get(f"/v1/cooperative/listing-imports/template?format={kind}")
        assert [title.rstrip("*") for title in reader.read(answer.data).header] == list(TITLES.values())
        made = coop.tried(answer.data)
        assert (counts(made), made["unread"], made["errors"]) == ((1, 0, 0, 0), [], [])


def test_a_trial_that_lost_its_worker_begins_anew(coop: Coop) -> None:
    made = coop.upload(csv_of(table([goods(), goods(code="B1")])))
    coop.lose_after(made, rows=1)
    work("jobs.")
    assert counts(coop.get(f"/v1/cooperative/listing-imports/{made['id']}")) == (2, 0, 0, 0)


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("10斤箱", ("g", 5_000)),
        ("箱(10斤)", ("g", 5_000)),
        ("５ｋｇ/箱", ("g", 5_000)),
        ("500g×12袋", ("g", 6_000)),
        ("12×500克", ("g", 6_000)),
        ("2.5公斤礼盒", ("g", 2_500)),
        ("30枚/盒", ("piece", 30)),
        ("6个装（约3斤）", ("g", 1_500)),
        ("0.001吨", ("g", 1_000)),
        ("礼盒装", None),
        ("20kgs", None),
    ],
)
def test_the_content_of_a_pack_is_read_exactly(text: str, content: Any) -> None:
    assert content_of(text) == content


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("4.5-5斤", "pack_unclear"),
        ("5斤送1斤", "pack_unclear"),
        ("0.333斤", "not_whole_grams"),
        ("0斤", "pack_unclear"),
        ("1.5枚", "not_whole"),
        ("999999吨", "pack_unclear"),
    ],
)
def test_a_content_that_is_not_exact_is_refused(text: str, code: str) -> None:
    with pytest.raises(Unclear) as refused:
        content_of(text)
    assert refused.value.code == code


def test_a_price_by_weight_becomes_the_exact_price_of_a_pack() -> None:
    assert (grams_priced("单价（元/斤）"), grams_priced("元/kg"), grams_priced("单价(元)")) == (500, 1000, None)
    assert price_of_pack(399, 500, 5_000) == 3_990
    with pytest.raises(Unclear):
        price_of_pack(333, 1_000, 250)
