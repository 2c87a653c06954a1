"""A person is erased: nothing anywhere says who it was, and everything that was done stays."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from shop.accounts.models import Kind, User
from shop.accounts.secrets import keyed_hash
from shop.actor import Role
from shop.audit.models import AuditEntry
from shop.db import unit_of_work
from shop.models import metadata
from tests.accounts import people

PHONE, MAIL, NAME, PASSWORD = "+8613900139000", "wang.xiaoming@example.com", "王小明", "a long first password"


def rows_that_say(words: list[str]) -> dict[str, int]:
    """How many rows of each table hold one of the words, in whatever column."""
    with unit_of_work() as session:
        found = {
            table.name: session.scalar(
                text(f"SELECT count(*) FROM {table.name} t WHERE to_jsonb(t)::text LIKE ANY (:patterns)"),
                {"patterns": [f"%{word}%" for word in words]},
            )
            for table in metadata.sorted_tables
        }
    return {name: rows for name, rows in found.items() if rows}


@pytest.fixture
def clerk(mailbox: Path) -> Any:
    """Somebody who came by invitation, has a phone and an e-mail, a second step, a machine token, two organisations."""
    school, factory = people.organisation(), people.organisation(Kind.ENTERPRISE)
    bosses = [people.client(people.person(each)) for each in (school, factory)]
    for boss, roles in zip(bosses, (["manager", "requester"], ["requester"]), strict=True):
        boss.post("/v1/me/organisation/invitations", json={"phone": PHONE, "roles": roles})
        link = people.token_in(people.sent(mailbox)[-1][1])
        given = {"token": link, "name": NAME, "password": PASSWORD}
        assert people.anybody().post("/v1/auth/invitations/accept", json=given).status_code == 201
    me = people.bearing(people.log_in(PHONE, PASSWORD).json["token"])
    assert me.post("/v1/me/contact", json={"email": MAIL, "password": PASSWORD}).status_code == 202
    link = people.token_in(people.sent(mailbox)[-1][1])
    assert me.post("/v1/me/contact/confirm", json={"token": link}).status_code == 204
    assert me.post("/v1/me/two-step", json={"password": PASSWORD}).status_code == 201
    for membership in me.get("/v1/me/memberships").json["items"]:
        if "manager" in membership["roles"]:
            me = people.bearing(me.post("/v1/auth/switch", json={"membership_id": membership["id"]}).json["token"])
    made = {"name": f"{NAME}的系统", "scopes": ["account:read"], "expires_in_days": 30}
    assert me.post("/v1/me/tokens", json=made).status_code == 201
    guest = {"phone": "13700137000", "roles": ["requester"]}
    assert me.post("/v1/me/organisation/invitations", json=guest, headers={"Idempotency-Key": "a"}).status_code == 201
    (member,) = (each for each in bosses[0].get("/v1/me/organisation/members").json["items"] if each["name"] == NAME)
    change = {"order_limit_fen": 5}
    path = f"/v1/me/organisation/members/{member['membership_id']}"
    assert bosses[0].patch(path, json=change, headers={"Idempotency-Key": "b"}).status_code == 200
    return me, bosses


def test_nothing_says_who_an_erased_person_was_and_nobody_logs_in_as_them(clerk: Any) -> None:
    me, bosses = clerk
    words = [PHONE, PHONE[3:], MAIL, NAME]
    assert set(rows_that_say(words)) == {"person", "api_token"}
    wrong = me.post("/v1/me/erase", json={"password": "not the password"})
    assert people.code(wrong) == (422, "wrong_password")
    assert me.post("/v1/me/erase", json={"password": PASSWORD}).status_code == 204
    assert rows_that_say(words) == {}
    assert people.code(me.get("/v1/me")) == (401, "unauthenticated")
    for login in (PHONE, MAIL):
        assert people.code(people.log_in(login, PASSWORD)) == (401, "wrong_credentials")
    for boss in bosses:
        assert [each["name"] for each in boss.get("/v1/me/organisation/members").json["items"]] == ["测试员"]


def test_the_trail_keeps_what_proves_a_later_claim_and_the_contact_is_free_for_a_new_person(
    clerk: Any, mailbox: Path
) -> None:
    me, bosses = clerk
    me.post("/v1/me/erase", json={"password": PASSWORD})
    with unit_of_work() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "erase")).one()
        old = session.get_one(User, entry.subject_id)
    assert entry.change["contacts"] == [keyed_hash("erased contact", each).hex() for each in (PHONE, MAIL)]
    assert (old.status, old.phone, old.email, old.name) == ("closed", None, None, "")
    again = bosses[1].post("/v1/me/organisation/invitations", json={"phone": PHONE, "roles": ["requester"]})
    assert again.status_code == 201
    given = {"token": people.token_in(people.sent(mailbox)[-1][1]), "name": NAME, "password": PASSWORD}
    assert people.anybody().post("/v1/auth/invitations/accept", json=given).status_code == 201
    with unit_of_work() as session:
        assert session.scalars(select(User.id).where(User.phone == PHONE)).one() != old.id


def test_the_last_manager_stays_until_another_is_there_and_an_operator_may_erase_all_the_same(committed: str) -> None:
    school, platform = people.organisation(), people.organisation(Kind.PLATFORM)
    boss = people.person(school)
    client, operator = people.client(boss), people.client(people.person(platform))
    refused = client.post("/v1/me/erase", json={"password": people.PASSWORD})
    assert people.code(refused) == (409, "last_manager")
    assert refused.json["organisations"] == [f"org_{school.hex}"]
    reader = people.client(people.person(platform, roles=[Role.ANALYST]))
    path = f"/v1/admin/people/usr_{boss.user_id.hex}/erase"
    assert people.code(reader.post(path, json={"reason": "asked by letter"})) == (403, "forbidden")
    assert operator.post(path, json={"reason": "asked by letter"}).status_code == 204
    assert people.code(client.get("/v1/me")) == (401, "unauthenticated")
    assert people.code(operator.post(path, json={"reason": "asked by letter"})) == (404, "not_found")
    with unit_of_work() as session:
        assert session.scalars(select(AuditEntry.reason).where(AuditEntry.action == "erase")).one() == "asked by letter"
