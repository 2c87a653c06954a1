"""Who manages whom, and what a member may do from the next request on."""

from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from shop.accounts.models import Kind, Membership, Organisation, User
from shop.accounts.models_people import Invitation
from shop.accounts.service import erasing, importing_members, inviting
from shop.actor import Actor, Role
from shop.audit.models import AuditEntry
from shop.db import unit_of_work
from shop.errors import Refusal
from shop.sheets.mapping import ParsedRow
from tests import builders as a
from tests.accounts import people
from tests.builders import PASSWORD
from workers import schedule

pytestmark = pytest.mark.usefixtures("committed")
MEMBERS, INVITATIONS = "/v1/me/organisation/members", "/v1/me/organisation/invitations"


@pytest.fixture
def school(committed: str) -> UUID:
    return people.organisation()


@pytest.fixture
def boss(school: UUID) -> Actor:
    return people.person(school, roles=[Role.MANAGER, Role.REQUESTER], order_limit_fen=1000)


@pytest.fixture
def clerk(school: UUID) -> Actor:
    return people.person(school, roles=[Role.REQUESTER], order_limit_fen=1000)


def mem(actor: Actor) -> str:
    return f"mem_{actor.membership_id.hex}"


def test_a_manager_lists_members_page_by_page(boss: Actor, clerk: Actor) -> None:
    manager = people.client(boss)
    first = manager.get(f"{MEMBERS}?limit=1").json
    second = manager.get(f"{MEMBERS}?limit=1&cursor={first['next']}").json
    assert [page["items"][0]["membership_id"] for page in (first, second)] == [mem(boss), mem(clerk)]
    assert second["next"] is None
    assert people.code(people.client(clerk).get(MEMBERS)) == (403, "forbidden")


def test_new_roles_and_limits_count_at_the_next_request(boss: Actor, clerk: Actor) -> None:
    manager, member = people.client(boss), people.client(clerk)
    changed = manager.patch(f"{MEMBERS}/{mem(clerk)}", json={"roles": ["approver"], "order_limit_fen": 5})
    assert (changed.status_code, changed.json["roles"], changed.json["order_limit_fen"]) == (200, ["approver"], 5)
    found = member.get("/v1/me").json
    assert (found["roles"], found["order_limit_fen"]) == (["approver"], 5)
    with unit_of_work() as session:
        (entry,) = session.scalars(select(AuditEntry).where(AuditEntry.subject_id == clerk.membership_id))
    assert (entry.action, entry.change["before"]["roles"], entry.user_id) == ("change", ["requester"], boss.user_id)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"roles": ["lister"]}, "/roles"),
        ({"roles": []}, "/roles"),
        ({"roles": ["king"]}, "/roles/0"),
        ({"order_limit_fen": -1}, "/order_limit_fen"),
        ({"regions": ["610629"]}, "/regions"),
    ],
)
def test_what_a_buyers_member_cannot_be_is_refused(boss: Actor, clerk: Actor, body: Any, pointer: str) -> None:
    answer = people.client(boss).patch(f"{MEMBERS}/{mem(clerk)}", json=body)
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, pointer)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"roles": ["manager", "requester", "approver"]}, "own_powers"),
        ({"order_limit_fen": 1001}, "own_powers"),
        ({"roles": ["requester"]}, "last_manager"),
    ],
)
def test_nobody_raises_the_own_powers_or_leaves_nobody_in_charge(boss: Actor, body: Any, code: str) -> None:
    answer = people.client(boss).patch(f"{MEMBERS}/{mem(boss)}", json=body)
    assert answer.json["code"] == code
    lower = people.client(boss).patch(f"{MEMBERS}/{mem(boss)}", json={"roles": ["manager"], "order_limit_fen": 1})
    assert lower.status_code == 200


def test_a_member_of_another_organisation_is_not_there(boss: Actor) -> None:
    stranger = people.person(people.organisation())
    manager = people.client(boss)
    for answer in (
        manager.patch(f"{MEMBERS}/{mem(stranger)}", json={"roles": ["finance"]}),
        manager.post(f"{MEMBERS}/{mem(stranger)}/end", json={"reason": "x"}),
        manager.post(f"{MEMBERS}/{mem(stranger)}/reset", json={"reason": "x"}),
        manager.post(f"/v1/me/sessions/ses_{stranger.user_id.hex}/end"),
        manager.post("/v1/auth/switch", json={"membership_id": mem(stranger)}),
        manager.post(f"{INVITATIONS}/inv_{stranger.user_id.hex}/withdraw"),
        manager.post(f"/v1/me/tokens/tok_{stranger.user_id.hex}/revoke"),
    ):
        assert people.code(answer) == (404, "not_found")


def test_a_membership_that_ended_opens_nothing_any_more(mailbox: Path, boss: Actor, school: UUID) -> None:
    second = people.person(school)
    manager, member = people.client(boss), people.client(second)
    body = {"name": "robot", "scopes": ["account:read"], "expires_in_days": 1}
    machine = people.bearing(member.post("/v1/me/tokens", json=body).json["token"])
    assert machine.get("/v1/me").status_code == 200
    member.post(INVITATIONS, json={"email": "friend@example.com", "roles": ["manager"]})
    assert manager.post(f"{MEMBERS}/{mem(second)}/end", json={"reason": "left"}).status_code == 204
    assert people.code(member.get("/v1/me")) == (401, "unauthenticated")
    assert people.code(machine.get("/v1/me")) == (401, "unauthenticated")
    assert people.code(people.log_in(people.login_of(second))) == (403, "no_membership")
    assert people.sent(mailbox) == [], "an invitation goes with who sent it"
    assert [row["membership_id"] for row in manager.get(MEMBERS).json["items"]] == [mem(boss)]
    assert people.code(manager.post(f"{MEMBERS}/{mem(boss)}/end", json={"reason": "x"})) == (409, "last_manager")
    login = people.login_of(second)
    assert manager.post(INVITATIONS, json={"email": login, "roles": ["finance"]}).status_code == 201
    token = people.token_in(people.sent(mailbox)[-1][1])
    done = people.anybody().post("/v1/auth/invitations/accept", json={"token": token, "password": PASSWORD})
    assert (done.status_code, done.json["membership_id"], done.json["roles"]) == (201, mem(second), ["finance"])
    for before in (member, machine):
        assert people.code(before.get("/v1/me")) == (401, "unauthenticated"), "what was ended stays ended"
    assert people.client(second).get("/v1/me").json["roles"] == ["finance"]


def test_two_managers_cannot_remove_each_other_at_the_same_time(boss: Actor, school: UUID) -> None:
    second = people.person(school, roles=[Role.MANAGER])
    clients = [(people.client(boss), second), (people.client(second), boss)]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda one: one[0].post(f"{MEMBERS}/{mem(one[1])}/end", json={"reason": "x"}), clients))
    assert sorted(answer.status_code for answer in answers) in ([204, 401], [204, 404], [204, 409])
    with unit_of_work() as session:
        left = (
            select(func.count())
            .select_from(Membership)
            .where(Membership.organisation_id == school, Membership.ended_at.is_(None))
        )
        assert session.scalar(left) == 1


def erasing_oneself(session: Session, by: Actor, other: Actor) -> None:
    erasing.erase(session, user_id=by.user_id, by=by, now=a.NOW)


def a_sheet_that_takes_the_other_s_role(session: Session, by: Actor, other: Actor) -> None:
    contact = session.get_one(User, other.user_id).email
    rows = [ParsedRow(2, {"contact": contact, "roles": "requester"})]
    importing_members.plan(session, by, rows, a.NOW).write()


@pytest.mark.parametrize("way", [erasing_oneself, a_sheet_that_takes_the_other_s_role])
def test_two_managers_who_go_at_the_same_time_leave_one(boss: Actor, school: UUID, way: Any) -> None:
    second = people.person(school, roles=[Role.MANAGER])

    def go_too() -> str:
        try:
            with unit_of_work() as session:
                way(session, second, boss)
        except Refusal as refused:
            return refused.code
        return "done"

    with ThreadPoolExecutor(1) as pool:
        with unit_of_work() as session:
            way(session, boss, second)
            other = pool.submit(go_too)
            assert wait([other], timeout=1).not_done, "it waits for what the first one decides"
        assert other.result() in ("last_manager", "forbidden")
    with unit_of_work() as session:
        left = session.scalars(select(Membership).where(Membership.organisation_id == school)).all()
        assert [one.user_id for one in left if one.ended_at is None and "manager" in one.roles] in (
            [boss.user_id], [second.user_id],
        )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"roles": ["finance"]}, 422, "/phone"),
        ({"phone": "13800138000", "email": "x@example.com", "roles": ["finance"]}, 422, "/email"),
        ({"phone": "12345", "roles": ["finance"]}, 422, "/phone"),
        ({"email": "nobody", "roles": ["finance"]}, 422, "/email"),
        ({"email": "x@example.com", "roles": ["shipper"]}, 422, "/roles"),
        ({"email": "x@example.com", "roles": ["finance"], "regions": ["610629"]}, 422, "/regions"),
    ],
)
def test_an_invitation_names_one_contact_and_fitting_roles(boss: Actor, body: Any, status: int, pointer: str) -> None:
    answer = people.client(boss).post(INVITATIONS, json=body)
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (status, pointer)
    with unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(User).where(User.status == "invited")) == 0


@pytest.mark.parametrize(
    ("status", "own", "by_platform"),
    [
        ("applying", 201, 201),
        ("active", 201, 201),
        ("suspended", 409, 201),
        ("closed", 401, 404),
    ],
)
def test_who_may_be_invited_to_an_organisation_goes_by_its_status(status: str, own: int, by_platform: int) -> None:
    farm = people.organisation(Kind.COOPERATIVE)
    manager = people.client(people.person(farm))
    operator = people.client(people.person(people.organisation(Kind.PLATFORM), roles=[Role.OPERATOR]))
    with unit_of_work() as session:
        session.execute(update(Organisation).where(Organisation.id == farm).values(status=status))
    answer = manager.post(INVITATIONS, json={"email": "one@example.com", "roles": ["lister"]})
    assert answer.status_code == own
    if own == 409:
        assert (answer.json["code"], answer.json["organisation_status"]) == ("organisation_not_active", status)
    path = f"/v1/admin/organisations/org_{farm.hex}/invitations"
    assert operator.post(path, json={"email": "two@example.com", "roles": ["shipper"]}).status_code == by_platform


def test_a_cooperatives_member_has_no_order_limit_and_a_county_reviewer_has_counties() -> None:
    farm = people.client(people.person(people.organisation(Kind.COOPERATIVE)))
    limited = farm.post(INVITATIONS, json={"email": "x@example.com", "roles": ["lister"], "order_limit_fen": 1})
    assert limited.json["errors"][0]["pointer"] == "/order_limit_fen"
    office = people.organisation(Kind.COUNTY_REVIEWER)
    operator = people.client(people.person(people.organisation(Kind.PLATFORM), roles=[Role.OPERATOR]))
    path = f"/v1/admin/organisations/org_{office.hex}/invitations"
    body = {"email": "x@example.com", "roles": ["county_reviewer"]}
    assert operator.post(path, json=body).json["errors"][0]["pointer"] == "/regions"
    assert operator.post(path, json=body | {"regions": ["999999"]}).json["errors"][0]["pointer"] == "/regions"
    assert operator.post(path, json=body | {"roles": ["operator"]}).json["errors"][0]["pointer"] == "/roles"
    with unit_of_work() as session:
        a.a_division(session, a.LUOCHUAN, "洛川县", "county")
    assert operator.post(path, json=body | {"regions": [a.LUOCHUAN]}).status_code == 201
    assert people.code(operator.post(path.replace(office.hex, "0" * 32), json=body)) == (404, "not_found")


def test_a_member_is_not_invited_again_and_invitations_have_a_limit(
    boss: Actor, clerk: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = people.client(boss)
    member = manager.post(INVITATIONS, json={"email": people.login_of(clerk), "roles": ["finance"]})
    assert people.code(member) == (409, "already_member")
    monkeypatch.setattr(inviting, "MOST_OPEN", 1)
    for place, expected in enumerate(((201, ""), (409, "too_many_invitations"))):
        answer = manager.post(INVITATIONS, json={"email": f"x{place}@example.com", "roles": ["finance"]})
        assert people.code(answer) == expected


def test_an_invitation_ends_after_seven_days_and_then_nothing_is_left_of_who_never_came(
    mailbox: Path, boss: Actor
) -> None:
    manager = people.client(boss)
    body = {"phone": "13800138000", "roles": ["finance"]}
    manager.post(INVITATIONS, json=body)
    token = people.token_in(people.sent(mailbox)[-1][1])
    with unit_of_work() as session:
        lives = session.scalars(select(Invitation.expires_at - Invitation.created_at)).one()
        assert abs(lives - inviting.INVITATION_LIFE).total_seconds() < 1
        session.execute(update(Invitation).values(expires_at=func.clock_timestamp()))
    accept = {"token": token, "name": "王", "password": "a long first password"}
    assert people.code(people.anybody().post("/v1/auth/invitations/accept", json=accept)) == (410, "invitation_gone")
    assert manager.get(INVITATIONS).json["items"][0]["status"] == "expired"
    assert manager.post(INVITATIONS, json=body).status_code == 201, "who did not come in time may be invited again"
    with unit_of_work() as session:
        session.execute(update(Invitation).values(expires_at=text("clock_timestamp() - interval '8 days'")))
    schedule.run("forget_old")
    with unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(User).where(User.phone.is_not(None))) == 0


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({"password": "a long first password"}, "invalid", "/name"),
        ({"name": "王", "password": "short"}, "weak_password", "/password"),
        ({"name": "王", "password": "13800138000"}, "weak_password", "/password"),
        ({"name": "王", "password": "a long first password", "token": "made.up"}, "invitation_gone", None),
    ],
)
def test_an_invitation_is_not_used_up_by_a_wrong_form(
    mailbox: Path, boss: Actor, body: Any, code: str, pointer: str | None
) -> None:
    people.client(boss).post(INVITATIONS, json={"phone": "13800138000", "roles": ["finance"]})
    token = people.token_in(people.sent(mailbox)[-1][1])
    answer = people.anybody().post("/v1/auth/invitations/accept", json={"token": token} | body)
    assert answer.json["code"] == code
    assert [error["pointer"] for error in answer.json.get("errors", [])] == ([pointer] if pointer else [])
    good = {"token": token, "name": "王", "password": "a long first password"}
    assert people.anybody().post("/v1/auth/invitations/accept", json=good).status_code == 201


def test_a_closed_organisation_invites_nobody_in(mailbox: Path, boss: Actor, school: UUID) -> None:
    people.client(boss).post(INVITATIONS, json={"phone": "13800138000", "roles": ["finance"]})
    token = people.token_in(people.sent(mailbox)[-1][1])
    with unit_of_work() as session:
        session.execute(update(Organisation).values(status="closed"))
    body = {"token": token, "name": "王", "password": "a long first password"}
    assert people.code(people.anybody().post("/v1/auth/invitations/accept", json=body)) == (410, "invitation_gone")


def test_the_number_of_statements_does_not_grow_with_the_members(boss: Actor, school: UUID) -> None:
    from sqlalchemy import event

    from shop.db import engine

    manager = people.client(boss)
    counted: list[str] = []

    def note(*arguments: Any) -> None:
        counted.append(arguments[2])

    event.listen(engine(), "before_cursor_execute", note)
    try:
        manager.get(MEMBERS)
        counted.clear()
        manager.get(MEMBERS)
        few = len(counted)
        for _ in range(5):
            people.person(school)
        counted.clear()
        assert len(manager.get(MEMBERS).json["items"]) == 6
        assert len(counted) == few
    finally:
        event.remove(engine(), "before_cursor_execute", note)
