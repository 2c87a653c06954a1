"""Members, units, addresses and quota filings by spreadsheet, over HTTP."""

import io
from typing import Any

import pytest
from sqlalchemy import event, func, select

from shop.accounts.models import Address, BudgetUnit, User
from shop.accounts.models_people import Invitation
from shop.accounts.models_quotas import QuotaFiling
from shop.accounts.service import inviting
from shop.audit.models import AuditEntry
from shop.db import engine, unit_of_work
from shop.notices import sms
from shop.outbox.models import Event
from shop.sheets import reader
from shop.sheets.writer import Out, xlsx_into
from tests import builders as a
from tests.accounts.town import Town, a_unit

pytestmark = pytest.mark.usefixtures("committed")
Rows = list[list[Any]]
UNITS = ["预算单位编码", "预算单位名称", "主管预算单位编码", "财政级次", "资金来源区划代码"]
FILINGS = [
    "预算单位编码", "年度", "是否有食堂", "食堂年度采购额(元)", "代填单位编码", "食堂承包方",
    "工会年度需求(元)", "预留份额(元)",
]  # fmt: skip
MEMBERS = ["手机或邮箱", "角色", "单笔下单限额(元)"]
PLACES = ["收货点", "区划代码", "详细地址", "收货人及电话"]


@pytest.fixture
def town() -> Town:
    made = Town()
    made.join("bureau", budget_unit=a_unit("教育局", code="100"))
    return made


def csv_of(titles: list[str], rows: Rows, encoding: str = "gb18030") -> bytes:
    lines = [",".join("" if cell is None else str(cell) for cell in row) for row in [titles, *rows]]
    return "\r\n".join(lines).encode(encoding)


def xlsx_of(titles: list[str], rows: Rows) -> bytes:
    target = io.BytesIO()
    xlsx_into(target, [Out(title) for title in titles], [[None if c is None else str(c) for c in row] for row in rows])
    return target.getvalue()


def upload(town: Town, kind: str, data: bytes, name: str = "bureau") -> Any:
    return town.ask(name, "POST", f"/v1/buyer/imports/{kind}", data=data)


def tried(town: Town, kind: str, data: bytes) -> Any:
    answer = upload(town, kind, data)
    assert answer.status_code == 201, answer.text
    return answer.get_json()


def confirmed(town: Town, made: Any, mode: str = "all") -> Any:
    return town.post("bureau", f"/v1/buyer/imports/{made['id']}/confirm", {"mode": mode})


def faults(made: Any) -> list[tuple[int, str, str, str]]:
    return [(one["row"], one["column"], one["value"], one["code"]) for one in made["errors"]]


def counts(made: Any) -> tuple[int, int, int]:
    return made["diff"]["added"], made["diff"]["changed"], made["diff"]["unchanged"]


BAD_UNITS: Rows = [
    ["101", "一中", "100", "县级", a.HUANGPU],
    ["102", "二中", "101", "区级", a.HUANGPU],
    ["103", "三中", "100", "村级", a.HUANGPU],
    ["104", "四中", "999", "县级", a.HUANGPU],
    ["105", "五中", "100", "县级", "999999"],
    ["106", "六中", "107", "县级", a.HUANGPU],
    ["107", "七中", "106", "县级", a.HUANGPU],
    ["101", "又一中", "100", "县级", a.HUANGPU],
    ["", "无码", "100", "县级", a.HUANGPU],
]


@pytest.mark.parametrize("made_as", [csv_of, xlsx_of])
def test_planted_faults_are_named_the_good_rows_applied_and_the_same_again_changes_nothing(
    town: Town, made_as: Any
) -> None:
    data = made_as(UNITS, BAD_UNITS)
    made = tried(town, "budget-units", data)
    assert faults(made) == [
        (4, "finance_level", "村级", "not_a_choice"),
        (5, "parent_code", "999", "unknown_unit"),
        (6, "funding_code", "999999", "unknown_division"),
        (7, "parent_code", "107", "unit_cycle"),
        (8, "parent_code", "106", "unit_cycle"),
        (9, "code", "101", "duplicate"),
        (10, "code", "", "required"),
    ]
    assert (made["rows"], made["error_count"], counts(made)) == (9, 7, (2, 0, 0))
    with unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(BudgetUnit)) == 1
    path = f"/v1/buyer/imports/{made['id']}/confirm"
    assert town.refused("bureau", path, {"mode": "all"})[1] == "import_has_errors"
    assert town.get("bureau", f"/v1/buyer/imports/{made['id']}/outcome") == made
    for _ in range(2):
        assert confirmed(town, made, "valid_rows") == made | {"status": "applied", "mode": "valid_rows"}
    with unit_of_work() as session:
        above = dict(session.execute(select(BudgetUnit.name, BudgetUnit.parent_id)).all())  # type: ignore[arg-type]
        ids = dict(session.execute(select(BudgetUnit.name, BudgetUnit.id)).all())  # type: ignore[arg-type]
    assert above == {"教育局": None, "一中": ids["教育局"], "二中": ids["一中"]}
    again = tried(town, "budget-units", data)
    assert counts(again) == (0, 0, 2)
    for kind in ("csv", "xlsx"):
        answer = town.ask("bureau", "GET", f"/v1/buyer/imports/{made['id']}/failed-rows?format={kind}")
        sheet = reader.read(answer.data)
        assert sheet.header == (*UNITS, "错误")
        assert [row.cells[0] for row in sheet.rows] == ["103", "104", "105", "106", "107", "101", None]
        assert sheet.rows[1].cells[-1] == "主管预算单位编码：没有该编码的预算单位"


def test_a_unit_is_renamed_and_moved_by_a_file_and_a_cycle_in_it_is_refused(town: Town) -> None:
    rows: Rows = [["101", "一中", "100", "县级", a.HUANGPU], ["102", "二中", "101", "县级", a.HUANGPU]]
    confirmed(town, tried(town, "budget-units", csv_of(UNITS, rows)))
    rows = [["101", "第一中学", "102", "县级", a.HUANGPU], ["102", "二中", "100", "县级", a.HUANGPU]]
    made = tried(town, "budget-units", csv_of(UNITS, rows, "utf-8-sig"))
    assert [(one["row"], one["fields"]) for one in made["diff"]["changed_rows"]] == [
        (2, ["name", "parent_code"]),
        (3, ["parent_code"]),
    ]
    confirmed(town, made)
    said = town.get("bureau", "/v1/me/audit?action=change&kind=budget_unit")["items"][-1]["change"]
    assert (said["before"], said["after"]) == (
        {"name": "一中", "parent_code": "100"},
        {"name": "第一中学", "parent_code": "102"},
    )
    rows = [["102", "二中", "101", "县级", a.HUANGPU]]
    assert faults(tried(town, "budget-units", csv_of(UNITS, rows))) == [(2, "parent_code", "101", "unit_cycle")]
    chain: Rows = [[str(200 + n), f"层{n}", str(199 + n) if n else "101", "县级", a.HUANGPU] for n in range(6)]
    assert {one[3] for one in faults(tried(town, "budget-units", csv_of(UNITS, chain)))} == {"unit_too_deep"}
    made = tried(town, "budget-units", csv_of(UNITS, chain[:5]))
    assert (made["error_count"], counts(made)) == (0, (5, 0, 0))
    confirmed(town, made)


def test_a_code_of_two_units_and_a_parent_whose_row_is_wrong_are_named(town: Town) -> None:
    unit = town.join("school", budget_unit=a_unit("一中", code="101"))
    top = town.get("bureau", "/v1/me")["budget_units"][0]["id"]
    offer = town.post("bureau", "/v1/buyer/unit-links", {"parent_id": top, "uscc": town.codes["school"]})
    town.post("school", f"/v1/buyer/unit-links/{offer['id']}/accept", {"unit_id": unit})
    town.post("bureau", "/v1/buyer/units", a_unit("同码", code="101"))
    rows: Rows = [
        ["101", "同码", "100", "县级", a.HUANGPU],
        ["201", "甲", "100", "县级", "999999"],
        ["202", "乙", "201", "县级", a.HUANGPU],
        ["203", "丙", "101", "县级", a.HUANGPU],
    ]
    assert faults(tried(town, "budget-units", csv_of(UNITS, rows[1:]))) == [
        (2, "funding_code", "999999", "unknown_division"),
        (3, "parent_code", "201", "parent_wrong"),
        (4, "parent_code", "101", "ambiguous_unit"),
    ]
    assert faults(tried(town, "budget-units", csv_of(UNITS, rows[:1]))) == [(2, "code", "101", "ambiguous_unit")]


def test_the_trail_of_a_file_says_from_where_and_in_which_request(town: Town) -> None:
    made = tried(town, "addresses", csv_of(PLACES, [["一食堂", a.HUANGPU, "某路1号", "老王"]]))
    headers = {"X-Request-Id": "request-of-the-test"}
    path = f"/v1/buyer/imports/{made['id']}/confirm"
    assert town.ask("bureau", "POST", path, {"mode": "all"}, headers=headers).status_code == 200
    with unit_of_work() as session:
        found = session.execute(
            select(AuditEntry.address, AuditEntry.request_id, AuditEntry.change).where(
                AuditEntry.subject_kind == "address"
            )
        ).one()
    assert tuple(found) == ("127.0.0.1", "request-of-the-test", {"bulk": True, "division_code": a.HUANGPU})


def test_what_changed_since_the_trial_is_not_applied(town: Town) -> None:
    made = tried(town, "budget-units", csv_of(UNITS, [["101", "一中", "100", "县级", a.HUANGPU]]))
    town.post("bureau", "/v1/buyer/units", a_unit("先来的", code="101"))
    assert town.refused("bureau", f"/v1/buyer/imports/{made['id']}/confirm")[1] == "import_changed"


def test_nobody_is_invited_by_phone_where_no_text_message_is_sent(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sms, "are_sent", lambda: False)
    made = tried(town, "members", csv_of(MEMBERS, [["138 0013 8000", "验收", ""], ["li@example.com", "经办", ""]]))
    assert (faults(made), counts(made)) == ([(2, "contact", "138 0013 8000", "no_text_messages")], (1, 0, 0))


def test_members_are_invited_and_changed_and_nobody_s_account_is_told_of(town: Town) -> None:
    town.join("rival")
    rows: Rows = [
        ["Zhang@example.com", "经办、收货", "500.00"],
        ["li@example.com", "厂长", ""],
        ["rival@example.com", "经办", ""],
        ["bureau@example.com", "经办", ""],
        ["wang@example", "经办", ""],
        ["zhao@example.com", "审批", "一万"],
        ["zhang@example.com", "经办", ""],
        ["138 0013 8000", "验收", ""],
    ]
    made = tried(town, "members", csv_of(MEMBERS, rows))
    assert faults(made) == [
        (3, "roles", "厂长", "unknown_role"),
        (5, "roles", "经办", "own_manager_role"),
        (6, "contact", "wang@example", "not_a_contact"),
        (7, "order_limit_fen", "一万", "not_a_number"),
        (8, "contact", "zhang@example.com", "contact_repeated"),
    ]
    assert counts(made) == (3, 0, 0)  # a rival's member is invited like anybody else
    confirmed(town, made, "valid_rows")
    with unit_of_work() as session:
        found = session.execute(
            select(func.coalesce(User.email, User.phone), Invitation.roles, Invitation.order_limit_fen)
            .join(Invitation, Invitation.user_id == User.id)
            .where(Invitation.accepted_at.is_(None))
            .order_by(User.email)
        ).all()
        asked = session.scalars(select(Event).where(Event.kind == "person.invited")).all()
    assert [tuple(row) for row in found] == [
        ("rival@example.com", ["requester"], 0),
        ("zhang@example.com", ["receiver", "requester"], 50_000),
        ("+8613800138000", ["receiver"], 0),
    ]
    assert len(asked) == 3 + 2  # the two who registered came in by an invitation too
    again = tried(town, "members", csv_of(MEMBERS, [["zhang@example.com", "审批", "500"]]))
    assert again["diff"]["changed_rows"] == [{"row": 2, "fields": ["roles"]}]
    confirmed(town, again)
    assert counts(tried(town, "members", csv_of(MEMBERS, [["zhang@example.com", "审批", "500"]]))) == (0, 0, 1)
    more = tried(town, "members", csv_of(MEMBERS, [["bureau@example.com", "管理员、经办", "9000000"]]))
    assert [fault[3] for fault in faults(more)] == ["own_powers"]


def test_a_file_without_the_column_of_limits_leaves_them_as_they_are(town: Town) -> None:
    colleague = ["zhang@example.com", "经办", "500"]
    confirmed(town, tried(town, "members", csv_of(MEMBERS, [colleague])))
    rows: Rows = [["zhang@example.com", "审批"], ["li@example.com", "验收"]]
    made = tried(town, "members", csv_of(MEMBERS[:2], rows))
    assert made["diff"]["changed_rows"] == [{"row": 2, "fields": ["roles"]}]
    confirmed(town, made)
    with unit_of_work() as session:
        found = session.execute(
            select(User.email, Invitation.roles, Invitation.order_limit_fen)
            .join(Invitation, Invitation.user_id == User.id)
            .where(Invitation.accepted_at.is_(None))
            .order_by(User.email)
        ).all()
    assert [tuple(row) for row in found] == [
        ("li@example.com", ["receiver"], None),
        ("zhang@example.com", ["approver"], 50_000),
    ]


def test_no_more_are_invited_than_may_be_open(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inviting, "MOST_OPEN", 2)
    rows: Rows = [[f"p{number}@example.com", "经办", ""] for number in range(3)]
    made = tried(town, "members", csv_of(MEMBERS, rows))
    assert faults(made) == [(4, "contact", "p2@example.com", "too_many_invitations")]


def test_a_changed_place_is_a_new_row_and_the_old_one_is_retired(town: Town) -> None:
    rows: Rows = [["一食堂", a.HUANGPU, "某路1号", "老王 13800000000"], ["二食堂", "000001", "某路2号", "老李"]]
    made = tried(town, "addresses", csv_of(PLACES, rows))
    assert faults(made) == [(3, "division_code", "000001", "unknown_division")]
    confirmed(town, made, "valid_rows")
    rows[0][2] = "某路3号"
    changed = tried(town, "addresses", csv_of(PLACES, rows[:1]))
    assert counts(changed) == (0, 1, 0)
    confirmed(town, changed)
    with unit_of_work() as session:
        found = session.execute(select(Address.line, Address.retired_at.is_(None)).order_by(Address.id)).all()
    assert [tuple(row) for row in found] == [("某路1号", False), ("某路3号", True)]
    assert [row["line"] for row in town.get("bureau", "/v1/me")["delivery_addresses"]] == ["某路3号"]


def test_filings_of_a_file_are_judged_like_single_ones(town: Town) -> None:
    units: Rows = [[str(n), f"单位{n}", "100", "县级", a.HUANGPU] for n in range(101, 106)]
    confirmed(town, tried(town, "budget-units", csv_of(UNITS, units)))
    body = {"year": 2024, "finance_level": "county", "due_on": "2024-06-30", "source": "通知"}
    town.post("operator", "/v1/admin/quota-deadlines", body, method="PUT")
    rows: Rows = [
        ["100", 2024, "是", "10000.01", "", "", "", "1000.01"],
        ["101", 2024, "是", "", "100", "", "", ""],
        ["102", 2024, "否", "", "", "", "", ""],
        ["103", 2024, "是", "100", "", "某餐饮", "", "9.99"],
        ["104", 2024, "是", "", "101", "", "", ""],
        ["105", 2024, "否", "5", "", "", "", "1"],
        ["999", 2024, "否", "", "", "", "", ""],
    ]
    data = csv_of(FILINGS, rows)
    made = tried(town, "quota-filings", data)
    assert faults(made) == [
        (5, "reserved_fen", "9.99", "below_minimum"),
        (6, "shared_with", "101", "representative_shares"),
        (7, "canteen_fen", "5", "canteen_not_zero"),
        (8, "unit_code", "999", "unknown_unit"),
    ]
    assert made["errors"][0]["message"] == "预留份额低于规定比例。（10.00元）"
    confirmed(town, made, "valid_rows")
    assert counts(tried(town, "quota-filings", data)) == (0, 0, 3)
    with unit_of_work() as session:
        found = session.execute(
            select(QuotaFiling.minimum_fen, QuotaFiling.reserved_fen, QuotaFiling.late, QuotaFiling.status).where(
                QuotaFiling.canteen_fen > 0
            )
        ).one()
    assert tuple(found) == (100_001, 100_001, True, "filed")
    rows[0][-1] = "2000"
    assert faults(tried(town, "quota-filings", csv_of(FILINGS, rows[:1]))) == [
        (2, "unit_code", "100", "wrong_filing_status")
    ]
    top = next(row for row in town.get("bureau", "/v1/buyer/quota-filings")["items"] if row["canteen_fen"])
    town.post("operator", f"/v1/admin/quota-filings/{top['id']}/review", {"accept": True})
    again = tried(town, "quota-filings", csv_of(FILINGS, rows[:1]))
    assert counts(again) == (0, 1, 0)
    confirmed(town, again)
    found = town.get("bureau", f"/v1/buyer/quota-filings/{top['id']}")
    assert (found["status"], found["reserved_fen"]) == ("amended", 200_000)


def test_files_that_cannot_be_taken_are_refused_with_a_clear_word(town: Town) -> None:
    places: Rows = [[f"食堂{n}", a.HUANGPU, "某路", "某人"] for n in range(2001)]
    answer = upload(town, "addresses", csv_of(PLACES, places))
    assert (answer.status_code, answer.get_json()["code"], answer.get_json()["allowed"]) == (422, "too_many_rows", 2000)
    for data in (b"", b"%PDF-1.4", b"\xd0\xcf\x11\xe0"):
        answer = upload(town, "addresses", data)
        assert (answer.status_code, answer.get_json()["code"]) == (422, "unreadable_sheet")
    made = tried(town, "addresses", csv_of(PLACES[:3], [["食堂", a.HUANGPU, "某路"]]))
    assert faults(made) == [(1, "contact", "", "missing_column")]
    assert counts(made) == (0, 0, 0)
    assert upload(town, "cats", b"x").status_code == 404
    town.register("applicant")
    assert upload(town, "addresses", csv_of(PLACES, places[:1]), "applicant").get_json()["code"] == (
        "organisation_not_active"
    )
    town.colleague("clerk", "bureau", a.Role.REQUESTER)
    assert upload(town, "addresses", b"x", "clerk").status_code == 403
    town.join("rival")
    assert town.refused("rival", f"/v1/buyer/imports/{made['id']}/confirm")[0] == 404


def test_a_template_has_the_titles_that_the_upload_reads(town: Town) -> None:
    for kind, titles in (
        ("members", MEMBERS),
        ("budget-units", UNITS),
        ("addresses", PLACES),
        ("quota-filings", FILINGS),
    ):
        for form in ("csv", "xlsx"):
            answer = town.ask("bureau", "GET", f"/v1/buyer/imports/templates/{kind}?format={form}")
            assert [title.rstrip("*") for title in reader.read(answer.data).header] == titles


def test_two_thousand_rows_cost_the_statements_of_two(town: Town) -> None:
    def cost(first: int, many: int) -> int:
        seen: list[str] = []

        def listener(*args: Any) -> None:
            seen.append(args[2])

        rows: Rows = [[f"u{n}", f"单位{n}", "100", "县级", a.HUANGPU] for n in range(first, first + many)]
        made = tried(town, "budget-units", csv_of(UNITS, rows))
        event.listen(engine(), "before_cursor_execute", listener)
        confirmed(town, made)
        event.remove(engine(), "before_cursor_execute", listener)
        return len(seen)

    assert cost(1, 2) == cost(1000, 2000)
