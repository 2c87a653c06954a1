"""County offices: opened by the platform, which changes and ends what their officers may do."""

from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from shop.accounts.models import Kind
from shop.actor import Role
from shop.audit.models import AuditEntry
from shop.db import unit_of_work
from tests import builders as a
from tests.accounts import people

pytestmark = pytest.mark.usefixtures("committed")
OFFICES = "/v1/admin/county-offices"


@pytest.fixture
def operator(committed: str) -> FlaskClient:
    with unit_of_work() as session:
        a.a_division(session, "610000", "陕西省", "province")
        a.a_division(session, a.LUOCHUAN, "洛川县", "county", "610000")
        a.a_division(session, "640000", "宁夏回族自治区", "province")
        a.a_division(session, a.YANCHI, "盐池县", "county", "640000")
    return people.client(people.person(people.organisation(Kind.PLATFORM), roles=[Role.OPERATOR]))


def test_an_office_is_opened_and_its_officer_invited_moved_and_ended(operator: FlaskClient) -> None:
    body = {"name": "洛川县农业农村局", "name_en": "Luochuan agriculture", "division_code": a.LUOCHUAN}
    office = operator.post(OFFICES, json=body)
    assert (office.status_code, office.json["kind"]) == (201, "county_reviewer")
    path = f"/v1/admin/organisations/{office.json['id']}/invitations"
    asked = {"email": "officer@example.com", "roles": ["county_reviewer"], "regions": [a.LUOCHUAN]}
    assert operator.post(path, json=asked).status_code == 201
    member = people.come_in("officer@example.com").json["membership_id"]
    officer = people.bearing(people.log_in("officer@example.com").json["token"])
    assert officer.get("/v1/admin/applications").status_code == 200
    moved = operator.patch(f"/v1/admin/members/{member}", json={"regions": [a.YANCHI], "roles": ["helper"]})
    assert (moved.status_code, moved.json["regions"], moved.json["roles"]) == (200, [a.YANCHI], ["helper"])
    assert moved.json["email"] == "o***@example.com"
    assert people.code(officer.get("/v1/admin/applications")) == (403, "forbidden")
    ended = operator.post(f"/v1/admin/members/{member}/end", json={"reason": "调离"})
    assert ended.status_code == 204
    assert people.code(officer.get("/v1/me")) == (401, "unauthenticated")
    again = operator.post(f"/v1/admin/members/{member}/end", json={"reason": "调离"})
    assert people.code(again) == (404, "not_found")
    with unit_of_work() as session:
        wanted = select(AuditEntry.action, AuditEntry.reason).where(AuditEntry.subject_id == UUID(hex=member[4:]))
        written = session.execute(wanted.order_by(AuditEntry.id)).all()
    assert [tuple(row) for row in written] == [("change", None), ("end", "调离")]


def test_an_office_is_of_a_county_and_gives_no_role_of_the_platform(operator: FlaskClient) -> None:
    body = {"name": "省厅", "name_en": "Province", "division_code": "610000"}
    assert operator.post(OFFICES, json=body).json["errors"][0]["pointer"] == "/division_code"
    officer = people.person(people.organisation(Kind.COUNTY_REVIEWER), roles=[Role.HELPER])
    path = f"/v1/admin/members/mem_{officer.membership_id.hex}"
    for wrong, pointer in (
        ({"roles": ["operator"]}, "/roles"),
        ({"roles": ["county_reviewer"]}, "/regions"),
        ({"order_limit_fen": 5}, "/order_limit_fen"),
    ):
        assert operator.patch(path, json=wrong).json["errors"][0]["pointer"] == pointer


def test_the_platform_does_not_manage_the_members_of_others_by_this(operator: FlaskClient) -> None:
    for kind in (Kind.BUDGET_UNIT, Kind.COOPERATIVE):
        path = f"/v1/admin/members/mem_{people.person(people.organisation(kind)).membership_id.hex}"
        assert people.code(operator.patch(path, json={"roles": ["manager"]})) == (404, "not_found")
        assert people.code(operator.post(f"{path}/end", json={"reason": "x"})) == (404, "not_found")
