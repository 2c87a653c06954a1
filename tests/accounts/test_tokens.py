"""Machine tokens, and what it costs to check one."""

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, func, select, text, update

from shop.accounts.models import ApiToken, Kind
from shop.accounts.service import making_tokens
from shop.accounts.service.logging_in import authenticate
from shop.actor import Actor, Role
from shop.app import operations
from shop.db import engine, unit_of_work
from shop.http.routes import NO_KEY
from tests.accounts import people

pytestmark = pytest.mark.usefixtures("committed")
BODY = {"name": "ERP", "scopes": ["account:read"], "expires_in_days": 30}


@pytest.fixture
def boss(committed: str) -> Actor:
    return people.person(people.organisation())


@pytest.fixture
def manager(boss: Actor) -> FlaskClient:
    return people.client(boss)


def machine(manager: FlaskClient, **more: Any) -> FlaskClient:
    made = manager.post("/v1/me/tokens", json=BODY | more)
    assert made.status_code == 201, made.json
    return people.bearing(made.json["token"])


def test_a_machine_does_what_its_scopes_name_and_nothing_else(manager: FlaskClient) -> None:
    robot = machine(manager, scopes=["account:read"])
    assert robot.get("/v1/me").status_code == 200
    answer = robot.get("/v1/me/notices")
    assert (people.code(answer), answer.json["wanted"]) == ((403, "scope_missing"), "notices:read")
    assert people.code(robot.post("/v1/auth/logout")) == (403, "scope_missing")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/me/tokens", BODY),
        ("GET", "/v1/me/tokens", None),
        ("POST", "/v1/me/password", {"current": "x", "new": "y"}),
        ("POST", "/v1/me/organisation/invitations", {"phone": "13800138000", "roles": ["finance"]}),
        ("POST", "/v1/auth/switch", {"membership_id": "mem_" + "0" * 32}),
        ("POST", "/v1/me/two-step", {"password": "x"}),
        ("GET", "/v1/me/sessions", None),
        ("POST", "/v1/buyer/registration/resubmit", {}),
    ],
)
def test_no_scope_lets_a_machine_do_what_is_for_people(manager: FlaskClient, method: str, path: str, body: Any) -> None:
    robot = machine(manager, scopes=manager.get("/v1/me/tokens/scopes").json["items"])
    assert people.code(robot.open(path, method=method, json=body)) == (403, "people_only")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"/v1/admin/applications/app_{'0' * 32}/review", {}),
        ("POST", f"/v1/admin/registrations/reg_{'0' * 32}/approve", {}),
        ("POST", f"/v1/admin/organisations/org_{'0' * 32}/close", {"reason": "x"}),
        ("POST", "/v1/admin/audit-mandates", {}),
    ],
)
def test_no_machine_decides_for_an_operator(method: str, path: str, body: Any) -> None:
    operator = people.client(people.person(people.organisation(Kind.PLATFORM), roles=[Role.OPERATOR]))
    robot = machine(operator, scopes=operator.get("/v1/me/tokens/scopes").json["items"])
    assert people.code(robot.open(path, method=method, json=body)) == (403, "people_only")


def test_the_document_tells_a_machine_what_its_token_must_name_and_what_is_for_people() -> None:
    found = people.anybody().get("/v1/openapi.json").json["paths"]
    orders, members = found["/v1/buyer/orders"]["post"], found["/v1/me/organisation/members"]["get"]
    assert (orders["x-people-only"], orders["x-scope"]) == (False, "buying:write")
    assert (members["x-people-only"], members["x-scope"]) == (True, None)
    assert "people_only" in members["responses"]["403"]["description"]


KEPT_NOWHERE = {"phone", "email", "contact", "line", "officer_name", "account_number", "to", "recovery_codes"}


def fields_of(model: Any) -> set[str]:
    schema = model.model_json_schema()
    return {name for part in (schema, *schema.get("$defs", {}).values()) for name in part.get("properties", {})}


def test_no_answer_that_says_who_somebody_is_is_kept_for_a_repeated_key() -> None:
    kept = [
        operation.name
        for operation in operations()
        if operation.key != NO_KEY and operation.view.__module__.startswith("shop.accounts.")
        for model in operation.answers.values()
        if hasattr(model, "model_json_schema") and fields_of(model) & KEPT_NOWHERE
    ]
    assert kept == []


def test_every_operation_has_a_scope_that_says_whether_it_writes() -> None:
    for operation in operations():
        part, _, deed = operation.scope.partition(":")
        assert part.isidentifier()
        assert deed == ("read" if operation.method == "GET" else "write")


def noted() -> Any:
    with unit_of_work() as session:
        return session.scalars(select(ApiToken.last_used_at).where(ApiToken.kind == "machine")).one()


def test_the_last_use_is_noted_and_not_at_every_request(manager: FlaskClient) -> None:
    robot = machine(manager)
    assert noted() is None
    robot.get("/v1/me")
    first = noted()
    robot.get("/v1/me")
    assert noted() == first is not None
    with unit_of_work() as session:
        session.execute(update(ApiToken).values(last_used_at=ApiToken.last_used_at - timedelta(minutes=11)))
    robot.get("/v1/me")
    assert noted() > first


def test_a_scope_is_one_of_what_the_callers_side_may_call(manager: FlaskClient) -> None:
    allowed = manager.get("/v1/me/tokens/scopes").json["items"]
    assert {"account:read", "buying:write"} <= set(allowed)
    assert not {"selling:write", "tokens:write", "sessions:write", "members:read", "entry:write"} & set(allowed)
    for scope in ("selling:write", "tokens:write", "everything"):
        answer = manager.post("/v1/me/tokens", json=BODY | {"scopes": ["account:read", scope]})
        assert (people.code(answer), answer.json["errors"][0]["pointer"]) == ((422, "unknown_scope"), "/scopes/1")


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"expires_in_days": 367}, "/expires_in_days"),
        ({"expires_in_days": 0}, "/expires_in_days"),
        ({"scopes": []}, "/scopes"),
        ({"name": ""}, "/name"),
    ],
)
def test_a_token_has_a_name_an_end_and_scopes(manager: FlaskClient, more: Any, pointer: str) -> None:
    answer = manager.post("/v1/me/tokens", json=BODY | more)
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, pointer)


def test_a_token_is_shown_once_listed_with_its_use_and_revoked_at_once(manager: FlaskClient, boss: Actor) -> None:
    made = manager.post("/v1/me/tokens", json=BODY).json
    (row,) = manager.get("/v1/me/tokens").json["items"]
    assert (row["last_used_at"], row["active"], "token" in row) == (None, True, False)
    robot = people.bearing(made["token"])
    assert robot.get("/v1/me").status_code == 200
    assert manager.get("/v1/me/tokens").json["items"][0]["last_used_at"] is not None
    for _ in range(2):
        assert manager.post(f"/v1/me/tokens/{made['id']}/revoke").status_code == 204
    assert people.code(robot.get("/v1/me")) == (401, "unauthenticated")
    assert manager.get("/v1/me/tokens").json["items"][0]["active"] is False
    with unit_of_work() as session:
        (kept,) = session.scalars(select(ApiToken).where(ApiToken.kind == "machine"))
    assert made["token"] not in str(vars(kept))


def test_a_token_ends_by_itself(manager: FlaskClient) -> None:
    robot = machine(manager)
    with unit_of_work() as session:
        session.execute(update(ApiToken).where(ApiToken.kind == "machine").values(expires_at=func.clock_timestamp()))
    assert people.code(robot.get("/v1/me")) == (401, "unauthenticated")


def test_a_machine_goes_on_when_its_maker_changes_the_password(manager: FlaskClient) -> None:
    robot = machine(manager)
    manager.post("/v1/me/password", json={"current": people.PASSWORD, "new": "a password that is new"})
    assert robot.get("/v1/me").status_code == 200


def test_a_lister_sees_the_own_tokens_and_a_manager_all(committed: str) -> None:
    farm = people.organisation(Kind.COOPERATIVE)
    lister = people.client(people.person(farm, roles=[Role.LISTER]))
    manager = people.client(people.person(farm, roles=[Role.MANAGER]))
    machine(lister)
    token = manager.post("/v1/me/tokens", json=BODY).json
    assert len(lister.get("/v1/me/tokens").json["items"]) == 1
    page = manager.get("/v1/me/tokens?limit=1").json
    assert len(manager.get(f"/v1/me/tokens?limit=1&cursor={page['next']}").json["items"]) == 1
    assert people.code(lister.post(f"/v1/me/tokens/{token['id']}/revoke")) == (404, "not_found")
    shipper = people.client(people.person(farm, roles=[Role.SHIPPER]))
    assert people.code(shipper.post("/v1/me/tokens", json=BODY)) == (403, "forbidden")


def test_a_member_has_a_limited_number_of_tokens(manager: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making_tokens, "MOST_TOKENS", 1)
    machine(manager)
    assert people.code(manager.post("/v1/me/tokens", json=BODY)) == (409, "too_many_tokens")


def test_checking_a_token_is_one_statement_that_goes_by_indexes(manager: FlaskClient, boss: Actor) -> None:
    made = manager.post("/v1/me/tokens", json=BODY).json
    with unit_of_work() as session:
        session.execute(
            text(
                "INSERT INTO api_token (id, kind, name, token_hash, membership_id, expires_at)"
                " SELECT gen_random_uuid(), 'session', '', sha256(n::text::bytea), :membership,"
                " clock_timestamp() + interval '1 day' FROM generate_series(1, 20000) n"
            ),
            {"membership": boss.membership_id},
        )
        authenticate(session, made["token"])
    counted: list[str] = []
    event.listen(engine(), "before_cursor_execute", lambda *given: counted.append(given[2]))
    with unit_of_work() as session:
        assert authenticate(session, made["token"]) is not None
        assert len(counted) == 1
        reads = "SELECT seq_tup_read, idx_scan FROM pg_stat_xact_user_tables WHERE relname = 'api_token'"
        in_sequence, by_index = session.execute(text(reads)).one()
        assert in_sequence == 0
        assert by_index > 0
