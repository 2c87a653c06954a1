"""The audit trail and those who read it by mandate."""

import csv
import io
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from shop.accounts import api_audit
from shop.accounts.models import Kind, Organisation
from shop.accounts.service import auditing, logging_in, registering
from shop.actor import SYSTEM, Role
from shop.app import operations
from shop.audit.models import AuditEntry
from shop.clock import move_to
from shop.db import unit_of_work
from shop.errors import Invalid
from shop.ids import new_id
from shop.ledger.service import PLATFORM_ID
from tests import builders as a
from tests.application import a_client


class Desk:
    """The platform's people behind the whole application, at a day in 2024."""

    def __init__(self) -> None:
        self.client = a_client()
        self.tokens: dict[str, str] = {}
        self.actors: dict[str, Any] = {}
        with unit_of_work() as session:
            move_to(session, a.NOW)
            platform = session.get(Organisation, PLATFORM_ID) or a.an_organisation(
                session, Kind.PLATFORM, id=PLATFORM_ID, uscc=None
            )
            buyer = a.an_organisation(session)
            a.a_division(session, a.SHANGHAI, "上海市", "province")
            for name, organisation, roles in (
                ("operator", platform, {Role.OPERATOR}), ("auditor", platform, {Role.AUDITOR}),
                ("manager", buyer, {Role.MANAGER}), ("requester", buyer, {Role.REQUESTER}),
            ):  # fmt: skip
                actor = a.a_member(session, organisation, roles=roles)
                self.actors[name] = actor
                self.tokens[name], _ = logging_in.issue_token(session, user_id=actor.user_id)

    def ask(self, who: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.tokens[who]}", "X-Request-Id": "request-of-the-test"}
        return self.client.open(path, method="GET" if body is None else "POST", json=body, headers=headers)

    def grant(self, **more: Any) -> Any:
        body = {
            "membership_id": f"mem_{self.actors['auditor'].membership_id.hex}", "valid_from": "2024-10-01",
            "valid_to": "2024-11-01", "document": "审计通知书〔2024〕1号",
        } | more  # fmt: skip
        return self.ask("operator", "/v1/admin/audit-mandates", body)


@pytest.fixture
def desk(committed: str) -> Desk:
    return Desk()


def test_an_auditor_reads_by_mandate_from_its_first_day_to_the_day_before_its_last_and_is_logged(desk: Desk) -> None:
    report = "/v1/reports/procurement?group_by=month"
    assert desk.ask("auditor", report).json["code"] == "forbidden"
    granted = desk.grant()
    assert granted.status_code == 201, granted.json
    assert desk.ask("auditor", report).status_code == 200
    with unit_of_work() as session:
        reads = session.scalars(select(AuditEntry).where(AuditEntry.action == "audit.read")).all()
    assert [(e.user_id, e.change, e.request_id) for e in reads] == [
        (desk.actors["auditor"].user_id, {"what": f"GET {report}"}, "request-of-the-test")
    ]
    assert reads[0].address == "127.0.0.1"
    with unit_of_work() as session:
        move_to(session, a.NOW.replace(day=31, hour=17))  # 1 November in Beijing
    assert desk.ask("auditor", report).json["code"] == "forbidden"


def test_what_no_text_can_keep_is_refused_to_an_auditor_and_breaks_no_log(desk: Desk) -> None:
    desk.grant()
    assert desk.ask("auditor", "/v1/admin/audit?action=a%00b").status_code == 422
    assert desk.ask("auditor", "/v1/reports/runs/run_%00%C3").status_code == 404


def test_a_revoked_mandate_ends_at_once_and_is_revoked_once(desk: Desk) -> None:
    mandate = desk.grant().json["id"]
    path = f"/v1/admin/audit-mandates/{mandate}/revoke"
    assert desk.ask("operator", path, {"reason": "审计结束"}).json["revoked_at"] is not None
    assert desk.ask("auditor", "/v1/reports/procurement").status_code == 403
    assert desk.ask("operator", path, {"reason": "再次"}).json["code"] == "mandate_ended"
    missing = f"/v1/admin/audit-mandates/mdt_{new_id().hex}/revoke"
    assert desk.ask("operator", missing, {"reason": "没有"}).status_code == 404


def test_an_auditor_who_left_and_comes_back_reads_nothing_by_the_old_mandate(desk: Desk) -> None:
    desk.grant()
    auditor = desk.actors["auditor"]
    path = f"/v1/me/organisation/members/mem_{auditor.membership_id.hex}/end"
    assert desk.ask("operator", path, {"reason": "审计结束"}).status_code == 204
    assert [item["revoked_at"] is None for item in desk.ask("operator", "/v1/admin/audit-mandates").json["items"]] == [
        False
    ]
    with unit_of_work() as session:  # as accepting a second invitation does
        session.execute(text("UPDATE membership SET ended_at = NULL"))
        desk.tokens["auditor"], _ = logging_in.issue_token(session, user_id=auditor.user_id)
    assert desk.ask("auditor", "/v1/reports/procurement").json["code"] == "forbidden"


def test_a_mandate_over_regions_opens_their_reports_and_no_single_order(desk: Desk) -> None:
    assert desk.grant(regions=[a.SHANGHAI]).status_code == 201
    assert desk.ask("auditor", "/v1/reports/procurement").status_code == 200
    assert desk.ask("auditor", f"/v1/admin/ledger?order_id=ord_{new_id().hex}").status_code == 404
    own = desk.ask("auditor", "/v1/admin/audit").json["items"]
    assert {item["user_id"] for item in own} == {f"usr_{desk.actors['auditor'].user_id.hex}"}
    with unit_of_work() as session:
        found = logging_in.authenticate(session, desk.tokens["auditor"])
    assert found is not None
    assert found[0].regions == (a.SHANGHAI,)


@pytest.mark.parametrize(
    ("change", "pointer", "status"),
    [
        ({"valid_to": "2024-10-01"}, "/valid_to", 422),
        ({"regions": ["999999"]}, "/regions/0", 422),
        ({"regions": ["x"]}, "/regions/0", 422),
        ({"document": ""}, "/document", 422),
    ],
)
def test_a_mandate_that_cannot_be_is_refused_with_its_field(desk: Desk, change: Any, pointer: str, status: int) -> None:
    refused = desk.grant(**change)
    assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (status, pointer)


def test_an_auditor_holds_no_other_role(session) -> None:
    platform = a.an_organisation(session, Kind.PLATFORM, uscc=None)
    with pytest.raises(Invalid) as refused:
        registering.register_user(
            session, organisation=platform, email="both@example.com", name="两职", password_hash="x",
            roles=[Role.AUDITOR, Role.ANALYST],
        )  # fmt: skip
    assert refused.value.pointer == "/roles"
    with pytest.raises(DBAPIError, match="auditor_alone"), session.begin_nested():
        a.a_member(session, platform, roles={Role.AUDITOR, Role.OPERATOR})


def test_only_an_auditor_is_given_a_mandate(desk: Desk) -> None:
    refused = desk.grant(membership_id=f"mem_{desk.actors['operator'].membership_id.hex}")
    assert refused.status_code == 404


def test_the_role_of_auditor_opens_nothing_that_changes_anything() -> None:
    assert {o.name for o in operations() if Role.AUDITOR in o.policy.roles and o.method != "GET"} == set()


def test_the_trail_is_filtered_acknowledged_once_and_paged(desk: Desk) -> None:
    desk.grant()
    desk.grant(document="第二份")
    page = desk.ask("operator", "/v1/admin/audit?action=audit_mandate.granted&limit=1").json
    rest = desk.ask("operator", f"/v1/admin/audit?action=audit_mandate.granted&limit=1&cursor={page['next']}").json
    assert [item["change"]["document"] for item in page["items"] + rest["items"]] == ["第二份", "审计通知书〔2024〕1号"]
    assert rest["next"] is None
    entry = page["items"][0]["id"]
    body = {"entries": [entry], "note": "已核对"}
    assert desk.ask("operator", "/v1/admin/audit/acknowledgements", body).json == {"acknowledged": 1}
    assert desk.ask("operator", "/v1/admin/audit/acknowledgements", body).json == {"acknowledged": 0}
    known = desk.ask("operator", "/v1/admin/audit?acknowledged=true").json["items"]
    assert [(item["id"], item["note"]) for item in known] == [(entry, "已核对")]
    fresh = desk.ask("operator", "/v1/admin/audit?acknowledged=false&kind=audit_mandate").json["items"]
    assert entry not in {item["id"] for item in fresh}
    assert len(fresh) == 1
    day = "/v1/admin/audit?kind=audit_mandate&from=2024-10-15&to=2024-10-16"
    assert len(desk.ask("operator", day).json["items"]) == 2
    assert desk.ask("operator", day.replace("10-15", "10-14").replace("10-16", "10-15")).json["items"] == []


def test_the_trail_is_exported_as_it_is_shown(desk: Desk) -> None:
    desk.grant(document="=1+1")
    answer = desk.ask("operator", "/v1/admin/audit.csv?kind=audit_mandate")
    rows = list(csv.reader(io.StringIO(answer.get_data(as_text=True).lstrip("\ufeff"))))
    assert (answer.mimetype, len(rows), rows[1][4]) == ("text/csv", 2, "audit_mandate.granted")


def test_an_export_that_is_too_long_says_how_long_one_may_be(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.grant()
    monkeypatch.setattr(api_audit, "EXPORTED_AT_MOST", 0)
    refused = desk.ask("operator", "/v1/admin/audit.csv?kind=audit_mandate")
    assert (refused.status_code, refused.json["code"], refused.json["allowed"]) == (422, "too_much_to_export", 0)


def test_a_manager_reads_what_was_done_for_the_own_organisation_alone(desk: Desk) -> None:
    desk.grant()
    assert desk.ask("manager", "/v1/me/audit").json["items"] == []
    assert desk.ask("requester", "/v1/me/audit").status_code == 403
    assert desk.ask("manager", "/v1/admin/audit").status_code == 404


def test_the_database_refuses_to_change_the_trail_or_what_was_acknowledged(desk: Desk) -> None:
    entry = desk.grant() and desk.ask("operator", "/v1/admin/audit").json["items"][0]["id"]
    desk.ask("operator", "/v1/admin/audit/acknowledgements", {"entries": [entry]})
    for statement in ("UPDATE audit_entry SET reason = 'x'", "DELETE FROM audit_acknowledgement"):
        with pytest.raises(DBAPIError), unit_of_work() as session:
            session.execute(text(statement))


def test_a_mandate_is_refused_in_the_use_case_too(session) -> None:
    platform = a.an_organisation(session, Kind.PLATFORM, uscc=None)
    auditor = a.a_member(session, platform, roles={Role.AUDITOR})
    with pytest.raises(Invalid):
        auditing.grant_mandate(
            session, by=SYSTEM, membership_id=auditor.membership_id, regions=[], start=date(2024, 1, 2),
            end=date(2024, 1, 2), document="x", now=a.NOW,
        )  # fmt: skip
