"""From nothing to filed and accepted quotas: a supervising unit and its subordinates, over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text

from shop.accounts.models_quotas import QuotaFilingHistory, QuotaReminder
from shop.actor import Role
from shop.db import unit_of_work
from shop.outbox.models import Event
from tests import builders as a
from tests.accounts.town import Town, a_unit
from workers import sweeps

pytestmark = pytest.mark.usefixtures("committed")
YEAR = 2024


@pytest.fixture
def town() -> Town:
    return Town()


def filed(town: Town, name: str, unit: str, **figures: Any) -> Any:
    body = {"unit_id": unit, "year": YEAR, "has_canteen": True} | figures
    made = town.post(name, "/v1/buyer/quota-filings", body)
    return town.post(name, f"/v1/buyer/quota-filings/{made['id']}/file")


def test_a_supervising_unit_and_its_subordinates_file_and_are_accepted(town: Town) -> None:
    bureau = town.join("bureau", budget_unit=a_unit("教育局", code="101"))
    school = town.join("school", budget_unit=a_unit("一中"))
    hospital = town.join("hospital", budget_unit=a_unit("医院", level="prefecture"))
    town.join("caterer", kind="enterprise")
    for name, unit in (("school", school), ("hospital", hospital)):
        offer = town.post("bureau", "/v1/buyer/unit-links", {"parent_id": bureau, "uscc": town.codes[name]})
        told = town.get(name, "/v1/buyer/unit-links")["items"]
        assert [(row["parent"], row["status"]) for row in told] == [("教育局", "offered")]
        town.post(name, f"/v1/buyer/unit-links/{offer['id']}/accept", {"unit_id": unit})
    office = town.post("bureau", "/v1/buyer/units", a_unit("后勤中心", parent_id=bureau))["id"]
    ground = town.post("bureau", "/v1/buyer/units", a_unit("活动中心", parent_id=bureau))["id"]
    assert {row["id"] for row in town.get("bureau", "/v1/buyer/units")["items"]} == {
        bureau, school, hospital, office, ground,
    }  # fmt: skip
    assert [row["id"] for row in town.get("school", "/v1/buyer/units")["items"]] == [school]

    for level, due in (("county", "2024-10-10"), ("prefecture", "2024-10-31")):
        body = {"year": YEAR, "finance_level": level, "due_on": due, "source": "沪财库〔2024〕填报通知"}
        town.post("operator", "/v1/admin/quota-deadlines", body, method="PUT")
    mandate = town.post(
        "hospital",
        "/v1/buyer/mandates",
        {"unit_id": hospital, "uscc": town.codes["caterer"], "from": "2024-01-01", "document": "食堂承包合同"},
    )
    top = filed(town, "bureau", bureau, canteen_fen=1_000_001, reserved_fen=100_001)
    filed(town, "bureau", office, shared_with_id=bureau)
    of_school = filed(town, "school", school, has_canteen=False)
    of_hospital = filed(
        town, "hospital", hospital,
        outsourced_to="某餐饮公司", mandate_id=mandate["id"], canteen_fen=5_000_000, reserved_fen=700_000,
    )  # fmt: skip
    assert (top["minimum_fen"], top["late"], of_hospital["late"]) == (100_001, True, False)

    asked = f"/v1/buyer/quota-filings/summary?year={YEAR}&unit_id={bureau}"
    found = town.get("bureau", asked)
    assert found["missing"] == [{"unit_id": ground, "name": "活动中心"}]
    whole = found["total"]
    assert (whole["units"], whole["filed"], whole["late"]) == (5, 4, 3)
    assert (whole["base_fen"], whole["reserved_fen"]) == (6_000_001, 800_001)
    by_level = {row["finance_level"]: (row["units"], row["reserved_fen"]) for row in found["levels"]}
    assert by_level == {"county": (4, 100_001), "prefecture": (1, 700_000)}
    assert {row["name"] for row in found["children"]} == {"一中", "医院", "后勤中心", "活动中心"}

    seen = [row["id"] for row in town.get("school", "/v1/buyer/quota-filings")["items"]]
    assert seen == [of_school["id"]]  # not what is filed above it, nor beside it
    assert town.refused("school", asked, method="GET")[0] == 404
    for made in (of_school, of_hospital):
        path = f"/v1/buyer/quota-filings/{made['id']}/review"
        assert town.refused("school", path, {"accept": True})[:2] == (404, "not_found")
        assert town.post("bureau", path, {"accept": True})["status"] == "accepted"
    path = f"/v1/admin/quota-filings/{top['id']}/review"
    assert town.post("operator", path, {"accept": False, "reason": "请核实采购额"})["status"] == "returned"
    assert town.get("bureau", asked)["total"]["filed"] == 3
    amended = town.post(
        "bureau",
        f"/v1/buyer/quota-filings/{top['id']}/amend",
        {"has_canteen": True, "canteen_fen": 900_000, "reserved_fen": 90_000},
    )
    assert (amended["status"], amended["late"], amended["reason"]) == ("amended", True, "请核实采购额")
    assert town.post("operator", path, {"accept": True})["status"] == "accepted"
    assert town.get("bureau", asked)["total"]["accepted"] == 3
    with unit_of_work() as session:
        steps = session.scalars(
            select(QuotaFilingHistory.status)
            .where(QuotaFilingHistory.figures["canteen_fen"].as_integer() >= 900_000)
            .order_by(QuotaFilingHistory.id)
        ).all()
    assert steps == ["filed", "filed", "accepted", "returned", "amended", "accepted"]


def test_a_reminder_is_announced_once_for_each_mark_until_the_unit_files(town: Town) -> None:
    unit = town.join("bureau", budget_unit=a_unit("教育局"))
    town.join("caterer", kind="enterprise", budget_unit=a_unit("企业"))
    body = {"year": YEAR, "finance_level": "county", "due_on": "2024-12-31", "source": "通知"}
    town.post("operator", "/v1/admin/quota-deadlines", body, method="PUT")

    def rung() -> int:
        with unit_of_work() as session:
            return sweeps.remind_of_quotas(session)

    counts = []
    for day in (1, 47, 47, 70, 71, 78, 300):
        town.at(a.NOW + timedelta(days=day))
        counts.append(rung())
    assert counts == [0, 1, 0, 1, 0, 1, 0]
    with unit_of_work() as session:
        marks = session.scalars(select(QuotaReminder.mark).order_by(QuotaReminder.at)).all()
        told = session.scalars(select(Event.payload["mark"].as_string()).where(Event.kind == "quota.due")).all()
        session.execute(text("DELETE FROM quota_reminder"))
    assert marks == ["days_30", "days_7", "overdue"]
    assert sorted(told) == sorted(marks)
    filed(town, "bureau", unit, canteen_fen=10, reserved_fen=1)
    assert rung() == 0


def test_gansu_asks_15_percent_of_canteen_and_union_in_2023_and_the_national_rule_before_and_after(
    town: Town,
) -> None:
    unit = town.join("office", budget_unit=a_unit("张掖某局", level="province", funding="620000"))
    base = {"unit_id": unit, "has_canteen": True, "canteen_fen": 1_000, "union_demand_fen": 501, "reserved_fen": 500}
    found = {year: town.post("office", "/v1/buyer/quota-filings", base | {"year": year}) for year in (2022, 2023, 2024)}
    assert {year: (row["base_fen"], row["minimum_fen"]) for year, row in found.items()} == {
        2022: (1_000, 100), 2023: (1_501, 226), 2024: (1_000, 100),
    }  # fmt: skip
    rules = town.get("operator", "/v1/admin/quota-rules")["items"]
    assert [(row["scope"], row["rate_bp"], row["from"], row["to"]) for row in rules] == [
        ("national", 1_000, "2021-01-01", None),
        ("620000", 1_500, "2023-01-01", "2024-01-01"),
    ]


def test_a_successor_reads_what_its_predecessor_filed(town: Town) -> None:
    old = town.join("old", budget_unit=a_unit("旧局"))
    filed(town, "old", old, canteen_fen=1_000, reserved_fen=100)
    new = town.join("new", budget_unit=a_unit("新局"))
    assert town.get("new", "/v1/buyer/quota-filings")["items"] == []
    closed = town.post(
        "operator",
        f"/v1/admin/organisations/{town.organisations['old']}/close",
        {"successor_id": town.organisations["new"], "reason": "机构改革"},
    )
    assert closed["status"] == "closed"
    assert [row["unit_id"] for row in town.get("new", "/v1/buyer/quota-filings")["items"]] == [old]
    assert [row["id"] for row in town.get("new", "/v1/me")["budget_units"]] == [new]
    assert town.ask("old", "GET", "/v1/me").status_code == 401


REFUSED: list[tuple[str, dict[str, Any], tuple[int, str, str | None]]] = [
    ("below the minimum", {"canteen_fen": 1_001, "reserved_fen": 100}, (409, "below_minimum", "/reserved_fen")),
    ("above all demand", {"canteen_fen": 10, "reserved_fen": 11}, (409, "above_demand", "/reserved_fen")),
    (
        "an amount without a canteen",
        {"has_canteen": False, "canteen_fen": 1, "reserved_fen": 1},
        (409, "canteen_not_zero", "/canteen_fen"),
    ),
    ("outsourced without one", {"has_canteen": False, "outsourced_to": "某公司"}, (422, "invalid", "/outsourced_to")),
    ("another unit's stranger", {"shared_with_id": "stranger"}, (422, "invalid", "/shared_with_id")),
    ("with itself", {"shared_with_id": "unit"}, (422, "invalid", "/shared_with_id")),
    ("with one that shares", {"shared_with_id": "sharing"}, (409, "representative_shares", "/shared_with_id")),
    ("a mandate of nobody", {"mandate_id": "mnd_" + "0" * 32}, (422, "invalid", "/mandate_id")),
    ("a stranger's unit", {"unit_id": "stranger"}, (404, "not_found", None)),
    ("a year before the rules", {"year": 2020}, (422, "invalid", "/year")),
]


def test_each_wrong_filing_is_refused_with_its_code(town: Town) -> None:
    known = {"unit": town.join("bureau", budget_unit=a_unit("教育局"))}
    known["stranger"] = town.join("other", budget_unit=a_unit("别局"))
    for name in ("sharing", "kitchen"):
        known[name] = town.post("bureau", "/v1/buyer/units", a_unit(name, parent_id=known["unit"]))["id"]
    filed(town, "bureau", known["sharing"], shared_with_id=known["kitchen"])
    for what, wrong, expected in REFUSED:
        body = {"unit_id": known["unit"], "year": YEAR, "has_canteen": True} | wrong
        body = {key: known.get(value, value) if isinstance(value, str) else value for key, value in body.items()}
        assert town.refused("bureau", "/v1/buyer/quota-filings", body) == expected, what
    body = {"unit_id": known["kitchen"], "year": YEAR, "has_canteen": False}
    assert town.refused("bureau", "/v1/buyer/quota-filings", body)[1] == "files_for_others"

    body = {"unit_id": known["unit"], "year": YEAR, "has_canteen": True, "canteen_fen": 1_000, "reserved_fen": 50}
    answer = town.ask("bureau", "POST", "/v1/buyer/quota-filings", body).get_json()
    assert answer["allowed"] == 100
    relaxed = {"unit_id": known["unit"], "year": YEAR, "rate_bp": 500, "document": "财政部国库司批复"}
    town.post("operator", "/v1/admin/quota-relaxations", relaxed, method="PUT")
    made = town.post("bureau", "/v1/buyer/quota-filings", body)
    path = f"/v1/buyer/quota-filings/{made['id']}"
    assert made["minimum_fen"] == 50
    assert town.refused("bureau", f"{path}/amend", {"has_canteen": False}) == (409, "wrong_filing_status", None)
    assert town.refused("operator", f"/v1/admin/quota-filings/{made['id']}/review", {"accept": True})[0] == 404
    town.post("bureau", f"{path}/file")
    assert town.refused("bureau", f"{path}/file")[1] == "wrong_filing_status"
    assert town.refused("bureau", "/v1/buyer/quota-filings", body)[1] == "wrong_filing_status"
    assert town.refused("bureau", f"{path}/review", {"accept": True})[1] == "not_found"
    assert town.refused("operator", f"/v1/admin/quota-filings/{made['id']}/review", {"accept": False}) == (
        422, "invalid", "/reason",
    )  # fmt: skip
    below = town.get("bureau", "/v1/buyer/quota-filings?status=filed")["items"][0]
    assert town.refused("bureau", f"/v1/buyer/quota-filings/{below['id']}/review", {"accept": True})[1] == "own_filing"
    town.colleague("chief", "bureau", *a.BUYER_ROLES)
    assert town.post("chief", f"/v1/buyer/quota-filings/{below['id']}/review", {"accept": True})["status"] == "accepted"


def test_who_files_for_whom_is_judged_over_organisations_that_do_not_read_each_other(town: Town) -> None:
    bureau = town.join("bureau", budget_unit=a_unit("教育局"))
    school = town.join("school", budget_unit=a_unit("一中"))
    offer = town.post("bureau", "/v1/buyer/unit-links", {"parent_id": bureau, "uscc": town.codes["school"]})
    town.post("school", f"/v1/buyer/unit-links/{offer['id']}/accept", {"unit_id": school})
    office = town.post("bureau", "/v1/buyer/units", a_unit("后勤中心", parent_id=bureau))["id"]
    filed(town, "bureau", bureau, has_canteen=False)
    path, body = "/v1/buyer/quota-filings", {"unit_id": school, "year": YEAR, "has_canteen": True}
    assert town.refused("school", path, body | {"shared_with_id": bureau}) == (
        409, "representative_shares", "/shared_with_id",
    )  # fmt: skip
    filed(town, "bureau", office, shared_with_id=school)
    assert town.refused("school", path, body | {"has_canteen": False}) == (409, "files_for_others", "/has_canteen")
    assert town.get("school", path)["items"] == []


def test_an_analyst_of_a_region_reads_the_filings_that_it_pays_for(town: Town) -> None:
    units = {
        name: town.join(name, budget_unit=a_unit(name, level="province", funding=code))
        for name, code in (("shanghai", "310000"), ("gansu", "620000"))
    }
    for name, unit in units.items():
        filed(town, name, unit, canteen_fen=10, reserved_fen=1)
    town.colleague("analyst", "operator", Role.ANALYST, regions=("620000",))
    for who, seen in (("operator", set(units.values())), ("analyst", {units["gansu"]})):
        found = town.get(who, "/v1/admin/quota-filings")["items"]
        assert {row["unit_id"] for row in found} == seen


def test_rules_of_one_scope_do_not_overlap_and_others_may(town: Town) -> None:
    rule = {"scope": "310000", "rate_bp": 2_000, "base": "年度食堂食材采购份额", "from": "2025-01-01", "source": "通知"}
    town.post("operator", "/v1/admin/quota-rules", rule)
    path = "/v1/admin/quota-rules"
    assert town.refused("operator", path, rule | {"from": "2026-01-01"}) == (422, "invalid", "/from")
    assert town.refused("operator", path, rule | {"to": "2025-01-01"}) == (422, "invalid", "/to")
    assert town.refused("operator", path, rule | {"from": "2025-13-01"}) == (422, "invalid", "/from")
    town.post("operator", path, rule | {"purpose": "union_welfare", "rate_bp": 3_000})
    unit = town.join("bureau", budget_unit=a_unit("教育局"))
    body = {"unit_id": unit, "has_canteen": True, "canteen_fen": 101, "union_demand_fen": 101, "reserved_fen": 60}
    assert town.post("bureau", "/v1/buyer/quota-filings", body | {"year": 2025})["minimum_fen"] == 21 + 31
    assert town.post("bureau", "/v1/buyer/quota-filings", body | {"year": 2024})["minimum_fen"] == 11


def test_a_year_for_which_no_rule_holds_takes_no_filing(town: Town) -> None:
    unit = town.join("bureau", budget_unit=a_unit("教育局"))
    with unit_of_work() as session:
        session.execute(text("UPDATE quota_rule SET valid = '[2021-01-01,2022-01-01)' WHERE scope = 'national'"))
    body = {"unit_id": unit, "year": YEAR, "has_canteen": False}
    assert town.refused("bureau", "/v1/buyer/quota-filings", body) == (409, "no_quota_rule", "/year")


def test_nobody_but_the_operator_sets_rules(town: Town) -> None:
    town.join("bureau")
    for method, path in (("POST", "quota-rules"), ("PUT", "quota-deadlines"), ("PUT", "quota-relaxations")):
        assert town.refused("bureau", f"/v1/admin/{path}", {}, method)[0] == 404


def test_what_was_filed_is_counted_at_the_end_of_the_beijing_day(town: Town) -> None:
    unit = town.join("bureau", budget_unit=a_unit("教育局"))
    other = town.post("bureau", "/v1/buyer/units", a_unit("分局", parent_id=unit))["id"]
    body = {"year": YEAR, "finance_level": "county", "due_on": "2024-12-31", "source": "通知"}
    town.post("operator", "/v1/admin/quota-deadlines", body, method="PUT")
    town.at(datetime(2024, 12, 31, 15, 59, tzinfo=UTC))
    assert filed(town, "bureau", unit, canteen_fen=10, reserved_fen=1)["late"] is False
    town.at(datetime(2024, 12, 31, 16, 0, tzinfo=UTC))
    assert filed(town, "bureau", other, canteen_fen=10, reserved_fen=1)["late"] is True
    with unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(QuotaFilingHistory)) == 2
