"""Steps, documents and lists as dated policy, over HTTP: added and ended on days to come alone."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from shop.audit.models import AuditEntry
from shop.db import unit_of_work
from tests import builders as a
from tests.accounts.county import County, a_decision

APPLICATION = "/v1/cooperative/application"
STEPS, PAPERS, LISTS = "/v1/admin/admission-steps", "/v1/admin/admission-documents", "/v1/admin/list-rules"
STEP = {
    "code": "quality", "name": "市场监管部门意见", "name_en": "Market supervision", "decided_by": "county_reviewer",
    "position": 4, "from": "2024-10-20", "reason": "2024年第3号通知",
}  # fmt: skip
PAPER = {
    "kind": "test_report", "name": "检测报告", "name_en": "Test report", "needed_of": "everybody",
    "from": "2024-10-20", "reason": "2024年第4号通知",
}  # fmt: skip
COUNTS = {
    "use": "counts", "list": "key_160", "indicator": "reserved_share", "from": "2026-01-01", "reason": "延续政策",
}  # fmt: skip
KEEPS = {"what": "payer_name", "months": 180, "from": "2026-01-01", "reason": "《会计档案管理办法》修订"}
ADDED = [(STEPS, STEP), (PAPERS, PAPER), (LISTS, COUNTS)]


def rule_of(county: County, path: str, **said: Any) -> dict[str, Any]:
    """The one rule that says so."""
    (found,) = [rule for rule in county.get("operator", path)["items"] if said.items() <= rule.items()]
    return found


def test_a_step_of_a_day_to_come_binds_what_is_handed_in_from_then_on(county: County) -> None:
    before = county.submitted()
    made = county.post("operator", STEPS, STEP)
    assert (made["from"], made["to"], made["position"]) == ("2024-10-20", None, 4)
    middle = rule_of(county, STEPS, code="revitalisation")
    ended = county.post("operator", f"{STEPS}/{middle['id']}/end", {"to": "2024-10-20", "reason": "机构改革"})
    assert (ended["from"], ended["to"]) == ("1996-01-01", "2024-10-20")
    assert [step["code"] for step in county.get("", "/v1/public/admission")["steps"]] == [
        "agriculture", "revitalisation", "platform",
    ]  # fmt: skip
    county.move_to(datetime(2024, 10, 21, tzinfo=UTC))
    after = county.submitted("later")
    old, new = (county.get("operator", f"/v1/admin/applications/{one}")["steps"] for one in (before, after))
    assert (old, new) == (["agriculture", "revitalisation", "platform"], ["agriculture", "platform", "quality"])
    assert county.approved(before)["status"] == "approved"


def test_a_document_is_not_asked_of_what_was_handed_in_before_its_day(county: County) -> None:
    before = county.submitted()
    county.post("operator", PAPERS, PAPER)
    licence = rule_of(county, PAPERS, kind="licence")
    county.post("operator", f"{PAPERS}/{licence['id']}/end", {"to": "2024-10-20", "reason": "数据共享"})
    county.move_to(datetime(2024, 10, 21, tzinfo=UTC))
    county.applied("later")
    lacking = {gap["pointer"] for gap in county.get("later", APPLICATION)["missing"]}
    assert "/documents/test_report" in lacking
    assert "/documents/licence" not in lacking
    assert county.get("operator", f"/v1/admin/applications/{before}")["missing"] == []
    assert county.approved(before)["missing"] == []
    assert county.get("operator", f"/v1/admin/applications/{before}")["missing"] == []


def test_what_was_returned_is_handed_in_again_by_the_rules_of_that_day(county: County) -> None:
    made = county.submitted()
    county.post("operator", PAPERS, PAPER)
    county.move_to(datetime(2024, 10, 21, tzinfo=UTC))
    returned = a_decision(decision="return", fields=[{"pointer": "/linkage", "reason": "x"}])
    county.post("agriculture", f"/v1/admin/applications/{made}/review", returned)
    assert county.refused("applicant", "POST", f"{APPLICATION}/submit") == (
        409, "application_incomplete", ["/documents/test_report"],
    )  # fmt: skip


def test_a_list_that_admits_no_more_keeps_out_who_applies_and_stops_nobody_who_sells(county: County) -> None:
    county.approved(county.submitted())
    listing = county.listed()
    rule = rule_of(county, LISTS, use="admits", list="poverty_832")
    county.post("operator", f"{LISTS}/{rule['id']}/end", {"to": "2024-10-20", "reason": "过渡期结束"})
    county.move_to(datetime(2024, 10, 21, tzinfo=UTC))
    body = {"kind": "cooperative", "name": "x", "name_en": "x", "division_code": a.LUOCHUAN}
    sent = {
        "organisation": body | {"uscc": "91610629MA6TG1AB5" + "0"},
        "member": {"contact": "new@example.com"},
        "linkage": "x",
    }
    assert county.refused("", "POST", "/v1/public/applications", sent)[:2] == (409, "county_not_admitted")
    assert county.order(listing).status_code == 201
    county.post("operator", LISTS, {"use": "admits", "list": "poverty_832", "from": "2024-11-01", "reason": "延续"})
    county.move_to(datetime(2024, 11, 2, tzinfo=UTC))
    assert county.applied("again")


@pytest.mark.parametrize(("path", "body"), ADDED)
def test_a_rule_is_added_on_a_day_to_come_once_and_ended_once(county: County, path: str, body: dict[str, Any]) -> None:
    for wrong, pointer in (
        ({"from": "2024-10-14"}, "/from"),
        ({"from": "2024-10-15"}, "/from"),
        ({"to": body["from"]}, "/to"),
        ({"reason": ""}, "/reason"),
    ):
        assert county.refused("operator", "POST", path, body | wrong) == (422, "invalid", [pointer])
    made = county.post("operator", path, body | {"to": "2027-01-01"})
    assert county.refused("operator", "POST", path, body) == (409, "rule_overlaps", ["/from"])
    assert county.refused("operator", "POST", path, body | {"from": "2026-12-31"})[:2] == (409, "rule_overlaps")
    following = county.post("operator", path, body | {"from": "2027-01-01"})
    end = f"{path}/{made['id']}/end"
    for to in ("2024-10-15", "2024-10-16", "2027-01-01", "2028-01-01"):
        assert county.refused("operator", "POST", end, {"to": to, "reason": "x"}) == (422, "invalid", ["/to"])
    assert county.post("operator", end, {"to": "2026-06-01", "reason": "x"})["to"] == "2026-06-01"
    taken_back = county.post("operator", f"{path}/{following['id']}/end", {"to": "2027-01-01", "reason": "误录"})
    assert (taken_back["from"], taken_back["to"]) == ("2027-01-01", "2027-01-01")
    shown = [rule["id"] for rule in county.get("operator", path)["items"]]
    assert (made["id"] in shown, following["id"] in shown) == (True, False)
    nowhere = f"{path}/{made['id'].partition('_')[0]}_{'f' * 32}/end"
    assert county.refused("operator", "POST", nowhere, {"to": "2026-06-01", "reason": "x"})[:2] == (404, "not_found")


def test_two_steps_do_not_stand_in_one_position(county: County) -> None:
    assert county.refused("operator", "POST", STEPS, STEP | {"position": 2}) == (409, "rule_overlaps", ["/position"])


def test_a_list_names_its_indicator_where_it_counts_and_only_there(county: County) -> None:
    unnamed = {key: value for key, value in COUNTS.items() if key != "indicator"}
    assert county.refused("operator", "POST", LISTS, unnamed) == (422, "invalid", ["/indicator"])
    assert county.refused("operator", "POST", LISTS, COUNTS | {"use": "admits"}) == (422, "invalid", ["/indicator"])


@pytest.mark.parametrize(("path", "body"), ADDED)
def test_every_change_of_a_rule_stands_in_the_trail_and_is_an_operators(
    county: County, path: str, body: dict[str, Any]
) -> None:
    made = county.post("operator", path, body)
    county.post("operator", f"{path}/{made['id']}/end", {"to": "2027-01-01", "reason": "到期"})
    with unit_of_work() as session:
        trail = session.scalars(
            select(AuditEntry).where(AuditEntry.subject_kind.like("%_rule")).order_by(AuditEntry.id)
        ).all()
        assert [(entry.action.rpartition(".")[2], entry.reason) for entry in trail] == [
            ("added", body["reason"]),
            ("ended", "到期"),
        ]
        assert trail[0].change["after"]["from"] == body["from"]
        assert (trail[1].change["before"], trail[1].change["after"]) == (None, "2027-01-01")
        assert {entry.user_id for entry in trail} == {county.actors["operator"].user_id}
    assert county.refused("agriculture", "POST", path, body)[0] == 403
    assert county.refused("buyer", "GET", path)[0] == 404
