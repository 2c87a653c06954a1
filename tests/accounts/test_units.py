"""Registration, trees of units, links, mandates, addresses and invoice titles, over HTTP."""

import threading
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from shop.accounts import queries_quotas
from shop.accounts.models import BudgetUnit, FinanceLevel, Kind, Membership, Organisation
from shop.accounts.models_quotas import FilingStatus, QuotaFiling, QuotaRule
from shop.accounts.service.managing_units import UnitCycle, move
from shop.actor import SYSTEM, Role
from shop.audit.models import AuditEntry
from shop.db import in_unit_of_work, unit_of_work
from shop.outbox.models import Event
from shop.regions.models import Division
from tests import builders as a
from tests.accounts.town import Town, a_code, a_unit

REAL = pytest.mark.usefixtures("committed")


@pytest.fixture
def town(committed: str) -> Town:
    return Town()


def test_a_buyer_registers_is_returned_corrects_and_is_approved(town: Town) -> None:
    invoice = {"title": "（测试）学校", "tax_number": a_code(), "bank": "某银行", "account_number": "6222000012345678"}
    made = town.register("school", budget_unit=a_unit("一中"), invoice=invoice)
    assert (made["status"], made["organisation_status"]) == ("submitted", "applying")
    me = town.get("school", "/v1/me")
    assert (me["order_limit_fen"], len(me["roles"]), len(me["budget_units"])) == (0, 5, 1)
    queue = town.get("operator", "/v1/admin/registrations?status=submitted")
    assert [row["id"] for row in queue["items"]] == [made["id"]]
    path = f"/v1/admin/registrations/{made['id']}"
    town.post("operator", f"{path}/return", {"reason": "名称与证书不符"})
    assert town.refused("operator", f"{path}/approve")[1] == "wrong_registration_status"
    assert town.get("school", "/v1/buyer/registration")["reason"] == "名称与证书不符"
    town.post("school", "/v1/buyer/registration/resubmit", {"name": "第一中学"})
    assert town.refused("school", "/v1/buyer/registration/resubmit")[1] == "wrong_registration_status"
    town.post("operator", f"{path}/approve", {"order_limit_fen": 70_000})
    assert town.refused("operator", f"{path}/approve")[1] == "wrong_registration_status"
    assert town.get("operator", path)["organisation_status"] == "active"
    me = town.get("school", "/v1/me")
    assert (me["organisation"]["name"], me["order_limit_fen"]) == ("第一中学", 70_000)
    with unit_of_work() as session:
        told = session.scalars(select(Event.kind).where(Event.kind.like("registration.%")).order_by(Event.id)).all()
        written = str(session.scalars(select(AuditEntry.change)).all())
    assert told == [f"registration.{word}" for word in ("submitted", "returned", "submitted", "approved")]
    assert "@" not in written


def test_registrations_that_cannot_be_are_refused_by_their_field(town: Town) -> None:
    town.join("school")
    path = "/v1/public/registrations"
    for more, pointer in (
        ({"uscc": town.codes["school"]}, "/uscc"),
        ({"uscc": a_code()[:17] + "I"}, "/uscc"),
        ({"uscc": None}, "/uscc"),
        ({"uscc": None, "parent_uscc": a_code()}, "/parent_uscc"),
        ({"kind": "trade_union", "uscc": None, "parent_uscc": town.codes["school"]}, "/uscc"),
        ({"division_code": "999999"}, "/division_code"),
        ({"member": {"contact": "021-5555"}}, "/member/contact"),
        ({"kind": "cooperative"}, "/kind"),
        ({"budget_unit": a_unit(funding="999999")}, "/budget_unit/funding_code"),
        (
            {"invoice": {"title": "x", "tax_number": "9" * 18, "bank": "y", "account_number": "12345678"}},
            "/invoice/tax_number",
        ),
    ):
        body = town.application("other") | {"uscc": a_code()} | more
        assert town.refused("", path, body) == (422, "invalid", pointer), more
    with unit_of_work() as session:
        assert len(session.scalars(select(Organisation.id)).all()) == 2  # the office and the school
    made = town.register("canteen", kind="canteen", uscc=None, parent_uscc=town.codes["school"])
    assert made["parent_id"] == town.organisations["school"]


def test_a_unit_is_made_changed_moved_and_closed_with_a_successor(town: Town) -> None:
    top = town.join("bureau", budget_unit=a_unit("教育局"))
    make = "/v1/buyer/units"
    one = town.post("bureau", make, a_unit("一中", code="101", parent_id=top))["id"]
    two = town.post("bureau", make, a_unit("二中", code="102", parent_id=top))["id"]
    child = town.post("bureau", make, a_unit("分校", parent_id=one))["id"]
    assert town.refused("bureau", make, a_unit("重码", code="101")) == (422, "invalid", "/code")
    assert town.refused("bureau", f"{make}/{two}", {"code": "101"}, "PATCH") == (422, "invalid", "/code")
    assert town.post("bureau", f"{make}/{two}", {"name": "第二中学"}, "PATCH")["name"] == "第二中学"
    for unit, parent in ((top, child), (one, one)):
        assert town.refused("bureau", f"{make}/{unit}/move", {"parent_id": parent}) == (409, "unit_cycle", "/parent_id")
    deep = child
    for level in range(4, 9):
        deep = town.post("bureau", make, a_unit(f"层{level}", parent_id=deep))["id"]
    assert town.refused("bureau", make, a_unit("层9", parent_id=deep)) == (409, "unit_too_deep", "/parent_id")
    assert town.refused("bureau", f"{make}/{one}/move", {"parent_id": two})[1] == "unit_too_deep"
    assert town.refused("bureau", f"{make}/{one}/close", {"reason": "合并"})[1] == "unit_has_subordinates"
    below_itself = {"reason": "合并", "successor_id": deep}
    assert town.refused("bureau", f"{make}/{one}/close", below_itself) == (409, "unit_cycle", "/successor_id")
    twins = [town.post("bureau", make, a_unit(f"班{n}", parent_id=one))["id"] for n in range(2)]
    closed = town.post("bureau", f"{make}/{one}/close", {"reason": "合并", "successor_id": two})
    assert (closed["status"], closed["successor_id"]) == ("closed", two)
    below = town.get("bureau", f"{make}?parent_id={two}")["items"]
    assert [row["id"] for row in below] == [child, *twins]
    for path, body in ((f"{one}/close", {"reason": "x"}), (f"{one}/move", {}), (f"{deep}/move", {"parent_id": one})):
        assert town.refused("bureau", f"{make}/{path}", body)[1] == "unit_closed"
    assert town.refused("bureau", f"{make}/{two}/close", {"reason": "x", "successor_id": two})[2] == "/successor_id"
    assert town.post("bureau", f"{make}/{two}/move", {})["parent_id"] is None
    first = town.get("bureau", f"{make}?limit=3")
    rest = town.get("bureau", f"{make}?limit=100&cursor={first['next']}")
    assert len({row["id"] for row in first["items"] + rest["items"]}) == 11
    town.join("rival")
    assert town.refused("rival", f"{make}/{two}/close", {"reason": "x"})[0] == 404
    assert town.refused("rival", make, a_unit("x", parent_id=two))[0] == 404


def test_a_unit_of_another_organisation_stands_below_only_when_its_manager_agrees(town: Town) -> None:
    top = town.join("bureau", budget_unit=a_unit("教育局"))
    other_top = town.post("bureau", "/v1/buyer/units", a_unit("另一棵树"))["id"]
    unit = town.join("school", budget_unit=a_unit("一中"))
    town.join("rival", budget_unit=a_unit("别家"))
    ask, links = {"parent_id": top, "uscc": town.codes["school"]}, "/v1/buyer/unit-links"
    assert town.refused("bureau", links, ask | {"uscc": town.codes["bureau"]})[2] == "/uscc"
    assert town.refused("bureau", links, ask | {"uscc": a_code()})[2] == "/uscc"
    assert town.refused("rival", links, ask)[0] == 404
    offer = town.post("bureau", links, ask)
    assert town.refused("bureau", links, ask) == (422, "invalid", "/uscc")
    path = f"{links}/{offer['id']}"
    assert town.refused("bureau", f"{path}/accept", {"unit_id": top})[0] == 404
    assert town.refused("rival", f"{path}/accept", {"unit_id": unit})[0] == 404
    assert town.refused("school", f"{path}/accept", {"unit_id": top})[0] == 404
    town.post("bureau", f"{path}/withdraw")
    assert town.refused("school", f"{path}/accept", {"unit_id": unit})[1] == "link_answered"
    again = town.post("bureau", links, ask)
    town.post("school", f"{links}/{again['id']}/decline")
    third = town.post("bureau", links, ask)
    assert town.post("school", f"{links}/{third['id']}/accept", {"unit_id": unit})["status"] == "accepted"
    more = town.post("bureau", links, ask)
    assert town.refused("school", f"{links}/{more['id']}/accept", {"unit_id": unit})[2] == "/unit_id"
    assert town.refused("bureau", f"/v1/buyer/units/{unit}/move", {"parent_id": other_top})[1] == "other_tree"
    assert town.post("bureau", f"/v1/buyer/units/{unit}", {"name": "第一中学"}, "PATCH")["name"] == "第一中学"
    path = f"/v1/admin/organisations/{town.organisations['bureau']}/close"
    assert town.refused("operator", path, {"reason": "x"})[1] == "unit_has_subordinates"
    town.post("school", f"/v1/buyer/units/{unit}/move", {})
    assert town.refused("operator", path, {"reason": "x", "successor_id": town.organisations["bureau"]})[2] == (
        "/successor_id"
    )
    town.post("operator", path, {"reason": "x"})
    assert town.refused("operator", path, {"reason": "x"})[1] == "organisation_closed"
    assert town.ask("bureau", "GET", "/v1/me").status_code == 401
    town.register("bureau again", uscc=town.codes["bureau"])  # its code is free


def test_an_organisation_that_was_not_approved_does_nothing_for_others_to_see(town: Town) -> None:
    town.register("applicant", budget_unit=a_unit())
    unit = town.get("applicant", "/v1/me")["budget_units"][0]["id"]
    for path, body in (
        ("/v1/buyer/units", a_unit()),
        ("/v1/buyer/unit-links", {"parent_id": unit, "uscc": a_code()}),
        ("/v1/buyer/quota-filings", {"unit_id": unit, "year": 2024, "has_canteen": False}),
    ):
        assert town.refused("applicant", path, body)[:2] == (409, "organisation_not_active")


def test_a_union_counts_for_the_unit_whose_manager_confirms_it(town: Town) -> None:
    unit = town.join("school", budget_unit=a_unit("一中"))
    other = town.join("bureau", budget_unit=a_unit("局"))
    town.join("union", kind="trade_union")
    path = "/v1/buyer/union-mandates"
    body = {"unit_id": unit, "from": "2024-01-01", "to": "2025-01-01", "document": "工会法人证书"}
    assert town.refused("bureau", path, body)[1] == "not_a_trade_union"
    assert town.refused("union", path, body | {"to": "2024-01-01"})[2] == "/to"
    made = town.post("union", path, body)
    assert (made["status"], made["from"], made["to"]) == ("proposed", "2024-01-01", "2025-01-01")
    assert town.refused("union", path, body | {"unit_id": other}) == (422, "invalid", "/from")
    assert town.get("union", "/v1/me")["budget_units"] == []
    answer = f"/v1/buyer/mandates/{made['id']}/answer"
    assert town.refused("union", answer, {"accept": True})[0] == 404
    assert town.refused("bureau", answer, {"accept": True})[0] == 404
    assert town.post("school", answer, {"accept": True})["status"] == "active"
    assert town.refused("school", answer, {"accept": False})[1] == "wrong_mandate_status"
    assert [row["id"] for row in town.get("union", "/v1/me")["budget_units"]] == [unit]
    assert town.post("union", f"/v1/buyer/mandates/{made['id']}/end")["status"] == "ended"
    wrong = town.post("union", path, body | {"unit_id": other})
    ends = f"/v1/buyer/mandates/{wrong['id']}/end"
    assert town.refused("bureau", ends)[1] == "wrong_mandate_status"  # which declines it
    assert town.post("union", ends)["status"] == "ended"
    assert town.refused("bureau", f"/v1/buyer/mandates/{wrong['id']}/answer", {"accept": True})[1] == (
        "wrong_mandate_status"
    )
    assert town.post("union", path, body)["status"] == "proposed"
    assert town.refused("union", f"/v1/buyer/mandates/{made['id']}/end")[1] == "wrong_mandate_status"
    assert town.get("union", "/v1/me")["budget_units"] == []


def test_addresses_are_kept_changed_by_a_new_row_and_retired(town: Town) -> None:
    town.join("school")
    path = "/v1/buyer/addresses"
    body = {"label": "一食堂", "division_code": a.HUANGPU, "line": "某路1号", "contact": "老王 13800000000"}
    made = town.post("school", path, body)
    assert town.refused("school", path, body) == (422, "invalid", "/label")
    assert town.refused("school", path, body | {"division_code": "999999"})[2] == "/division_code"
    assert town.post("school", f"{path}/{made['id']}", {"line": "某路1号"}, "PATCH") == made
    changed = town.post("school", f"{path}/{made['id']}", {"line": "某路2号"}, "PATCH")
    assert changed["id"] != made["id"]
    assert town.refused("school", f"{path}/{made['id']}", {"line": "x"}, "PATCH")[0] == 404
    town.join("rival")
    assert town.refused("rival", f"{path}/{changed['id']}/retire")[0] == 404
    town.post("school", f"{path}/{changed['id']}/retire")
    assert town.refused("school", f"{path}/{changed['id']}/retire")[0] == 404
    assert town.get("school", path)["items"] == town.get("school", "/v1/me")["delivery_addresses"] == []


def test_account_numbers_are_whole_for_managers_and_finance_only(town: Town) -> None:
    town.join("school")
    body = {"title": "学校", "tax_number": a_code(), "bank": "某银行", "account_number": "6222000012345678"}
    path = "/v1/buyer/invoice-profiles"
    made = town.post("school", path, body)
    assert town.refused("school", path, body | {"tax_number": "A" * 18})[2] == "/tax_number"
    town.colleague("clerk", "school", Role.REQUESTER)
    town.colleague("accountant", "school", Role.FINANCE)
    assert [town.get(name, path)["items"][0]["account_number"] for name in ("school", "accountant", "clerk")] == [
        "6222000012345678",
        "6222000012345678",
        "************5678",
    ]
    assert town.refused("clerk", path, body)[0] == 403
    town.post("accountant", f"{path}/{made['id']}/retire")
    assert town.get("school", path)["items"] == []
    assert town.refused("school", f"{path}/{made['id']}/retire")[0] == 404


@REAL
def test_of_two_moves_that_would_make_a_cycle_together_one_wins() -> None:
    for _ in range(5):
        with unit_of_work() as session:
            buyer = a.an_organisation(session)
            actor = a.a_member(session, buyer)
            one, two = (a.a_budget_unit(session, buyer).id for _ in range(2))
        met, outcomes = threading.Barrier(2), []

        def put(unit: UUID, parent: UUID, *, met: Any = met, outcomes: Any = outcomes, by: Any = actor) -> None:
            met.wait()
            try:
                in_unit_of_work(lambda session: move(session, by=by, unit_id=unit, parent_id=parent, now=a.NOW))
                outcomes.append("moved")
            except UnitCycle:
                outcomes.append("refused")

        threads = [threading.Thread(target=put, args=pair) for pair in ((one, two), (two, one))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["moved", "refused"]


def test_the_database_itself_refuses_a_cycle(session: Session) -> None:
    buyer = a.an_organisation(session)
    one, two = (a.a_budget_unit(session, buyer) for _ in range(2))
    with pytest.raises(DBAPIError), session.begin_nested():
        session.execute(
            text("UPDATE budget_unit SET parent_id = CASE id WHEN :one THEN CAST(:two AS uuid) ELSE :one END"),
            {"one": one.id, "two": two.id},
        )


def test_nobody_deletes_what_has_orders(session: Session) -> None:
    world = a.World(session)
    world.place({world.offer().id: 1})
    for table, key in (("budget_unit", world.unit.id), ("organisation", world.buyer.id)):
        with pytest.raises(DBAPIError), session.begin_nested():
            session.execute(text(f"DELETE FROM {table} WHERE id = :id"), {"id": key})


@given(data=st.data())
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_totals_of_every_unit_are_the_sums_over_its_tree(session: Session, data: st.DataObject) -> None:
    session.execute(text("UPDATE budget_unit SET funding_code = '999999'"))  # those of the examples before
    buyer = a.an_organisation(session)
    rule = session.scalars(select(QuotaRule.id).where(QuotaRule.scope == "national")).one()
    units: list[BudgetUnit] = []
    depth: dict[UUID, int] = {}
    filed: dict[UUID, tuple[int, int]] = {}
    for _ in range(data.draw(st.integers(1, 25))):
        above = data.draw(st.sampled_from([None, *(one for one in units if depth[one.id] < 8)])) if units else None
        made = a.a_budget_unit(session, buyer)
        made.parent_id = above.id if above else None
        made.finance_level = data.draw(st.sampled_from(list(FinanceLevel)))
        made.status = data.draw(st.sampled_from(["open", "open", "closed"]))
        made.funding_code = data.draw(st.sampled_from(["310000", "310101", "310104", "620000", "000000"]))
        session.flush()
        units.append(made)
        depth[made.id] = depth[above.id] + 1 if above else 1
        status = data.draw(st.sampled_from([None, *FilingStatus]))
        if status is None:
            continue
        base = data.draw(st.integers(0, 10**14))
        figures = {"canteen_fen": base, "base_fen": base, "minimum_fen": 0, "reserved_fen": base // 3}
        session.execute(
            insert(QuotaFiling).values(
                unit_id=made.id, year=2024, status=status, has_canteen=True, union_demand_fen=0, rule_id=rule, **figures
            )
        )
        if status not in (FilingStatus.DRAFT, FilingStatus.RETURNED):
            filed[made.id] = (base, base // 3)

    def tree(top: BudgetUnit) -> list[BudgetUnit]:
        return [top, *(below for child in units if child.parent_id == top.id for below in tree(child))]

    for top in units:
        rows = queries_quotas.totals(session, top.id, 2024)
        counted = [one for one in tree(top) if one.id in filed or one.status == "open"]
        whole = [row for row in rows if row.over_branches and row.over_levels]
        expected = (
            len(counted),
            sum(one.id in filed for one in counted),
            sum(filed.get(one.id, (0, 0))[0] for one in counted),
            sum(filed.get(one.id, (0, 0))[1] for one in counted),
        )
        sums = [(row.units, row.filed, row.base_fen or 0, row.reserved_fen or 0) for row in whole]
        assert (sums or [(0, 0, 0, 0)]) == [expected]
        for parts in (
            [row for row in rows if not row.over_branches],
            [row for row in rows if row.over_branches and not row.over_levels],
        ):
            assert sum(row.base_fen for row in parts) == expected[2]
            assert sum(row.reserved_fen for row in parts) == expected[3]
            assert sum(row.units for row in parts) == expected[0]

    for code, stem in (("310000", "31"), ("310100", "3101"), ("310104", "310104"), ("620000", "62")):
        a_division_once(session, code)
        rows = queries_quotas.region_totals(session, SYSTEM, code, 2024)
        counted = [
            one for one in units if one.funding_code.startswith(stem) and (one.id in filed or one.status == "open")
        ]
        (whole,) = [row for row in rows if row.over_branches and row.over_levels]
        assert (whole.units, whole.filed, whole.base_fen or 0, whole.reserved_fen or 0) == (
            len(counted),
            sum(one.id in filed for one in counted),
            sum(filed.get(one.id, (0, 0))[0] for one in counted),
            sum(filed.get(one.id, (0, 0))[1] for one in counted),
        )
        for parts in (
            [row for row in rows if not row.over_branches],
            [row for row in rows if row.over_branches and not row.over_levels],
        ):
            assert sum(row.base_fen for row in parts) == (whole.base_fen or 0)
            assert sum(row.units for row in parts) == whole.units


def a_division_once(session: Session, code: str) -> None:
    if session.scalars(select(Division.code).where(Division.code == code)).first() is None:
        a.a_division(session, code, "某地", "province" if code.endswith("0000") else "county")


def test_an_analyst_reads_totals_of_the_own_regions(town: Town) -> None:
    unit = town.join("school", budget_unit=a_unit("一中"))
    with unit_of_work() as session:
        office = a.an_organisation(session, Kind.PLATFORM, uscc=None)
        for name, region in (("shanghai", "310000"), ("huangpu", a.HUANGPU), ("gansu", "620000")):
            town.enter(session, name, a.a_member(session, office, roles={Role.ANALYST}, regions=[region]))
    path = "/v1/admin/quota-filings/summary?year=2024&division_code="
    for name in ("operator", "shanghai"):
        found = town.get(name, f"{path}310000")
        assert (found["total"]["units"], found["missing_count"], found["missing"][0]["unit_id"]) == (1, 1, unit)
        assert [(one["division_code"], one["units"]) for one in found["divisions"]] == [("310100", 1)]
    assert town.get("huangpu", f"{path}{a.HUANGPU}")["total"]["units"] == 1
    for name, code in (("huangpu", "310000"), ("gansu", "310000"), ("operator", "999999")):
        assert town.ask(name, "GET", f"{path}{code}").status_code == 404


def test_a_far_year_and_a_level_that_is_not_the_division_s_are_refused(town: Town) -> None:
    unit = town.join("school", budget_unit=a_unit("一中"))
    body = {"unit_id": unit, "year": 2099, "has_canteen": False}
    assert town.refused("school", "/v1/buyer/quota-filings", body) == (422, "invalid", "/year")
    for level, code in (("province", a.HUANGPU), ("county", "310000"), ("prefecture", "310000")):
        wrong = a_unit("二中") | {"finance_level": level, "funding_code": code}
        assert town.refused("school", "/v1/buyer/units", wrong) == (422, "invalid", "/funding_code")


def test_an_approval_needs_no_body(town: Town) -> None:
    town.register("school", budget_unit=a_unit("一中"))
    (waits,) = town.get("operator", "/v1/admin/registrations")["items"]
    answer = town.client.post(
        f"/v1/admin/registrations/{waits['id']}/approve",
        headers={"Authorization": f"Bearer {town.tokens['operator']}"},
    )
    assert (answer.status_code, answer.get_json()["status"]) == (200, "approved")


def test_drafts_are_not_for_the_operator(town: Town) -> None:
    unit = town.join("school", budget_unit=a_unit("一中"))
    body = {"unit_id": unit, "year": 2024, "has_canteen": True, "canteen_fen": 1000, "reserved_fen": 100}
    made = town.post("school", "/v1/buyer/quota-filings", body)["id"]
    assert town.get("operator", "/v1/admin/quota-filings")["items"] == []
    review = f"/v1/admin/quota-filings/{made}/review"
    assert town.refused("operator", review, {"accept": True})[0] == 404
    town.post("school", f"/v1/buyer/quota-filings/{made}/file")
    assert [one["id"] for one in town.get("operator", "/v1/admin/quota-filings")["items"]] == [made]


def test_the_trail_says_what_a_unit_and_its_relaxation_were_before(town: Town) -> None:
    unit = town.join("school", budget_unit=a_unit("一中"))
    town.post("school", f"/v1/buyer/units/{unit}", {"name": "第一中学"}, "PATCH")
    for rate in (500, 300):
        body = {"unit_id": unit, "year": 2024, "rate_bp": rate, "document": "批复"}
        town.post("operator", "/v1/admin/quota-relaxations", body, "PUT")
    subject = unit[5:]
    said = town.get("operator", f"/v1/admin/audit?kind=budget_unit&subject_id={subject}")["items"]
    changes = [(one["action"], one["change"]) for one in said]
    assert changes[0][1]["before"] == {"rate_bp": 500, "document": "批复"}
    assert changes[0][1]["after"] == {"rate_bp": 300, "document": "批复"}
    assert changes[1][1]["before"] is None
    assert changes[2] == ("change", {"before": {"name": "一中"}, "after": {"name": "第一中学"}})


def test_the_first_member_may_order_the_limit_of_the_day(town: Town) -> None:
    town.join("school")
    with unit_of_work() as session:
        limit = session.scalars(
            select(Membership.order_limit_fen).where(
                Membership.organisation_id == UUID(hex=town.organisations["school"][4:])
            )
        ).one()
    assert limit == 5_000_000
