"""A person's way: invited by phone, member of two organisations, new password, reset; and no secret left behind."""

import json
from pathlib import Path

import pytest
from sqlalchemy import text

from shop.accounts.models import Kind
from shop.actor import Role
from shop.db import unit_of_work
from tests.accounts import people
from tests.builders import PASSWORD

PHONE = "+8613800138000"


def test_an_invited_person_comes_in_switches_changes_and_resets_the_password(
    mailbox: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    school, factory = people.organisation(), people.organisation(Kind.ENTERPRISE)
    manager, other = people.client(people.person(school)), people.client(people.person(factory))
    wanted = {"phone": "138 0013 8000", "roles": ["requester"], "order_limit_fen": 100_000}
    made = manager.post("/v1/me/organisation/invitations", json=wanted)
    assert (made.status_code, made.json["status"], made.json["to"]) == (201, "open", "+86138****8000")
    ((to, words),) = people.sent(mailbox)
    assert to == PHONE
    link = people.token_in(words)
    first = "a long first password"
    accepted = people.anybody().post(
        "/v1/auth/invitations/accept", json={"token": link, "name": "王小明", "password": first}
    )
    assert accepted.status_code == 201, accepted.json
    again = people.anybody().post(
        "/v1/auth/invitations/accept", json={"token": link, "name": "王小明", "password": first}
    )
    assert people.code(again) == (410, "invitation_gone")

    entered = people.log_in("13800138000", first).json
    me = people.bearing(entered["token"])
    assert me.get("/v1/me").json["order_limit_fen"] == 100_000

    other.post("/v1/me/organisation/invitations", json={"phone": PHONE, "roles": ["approver"]})
    link = people.token_in(people.sent(mailbox)[-1][1])
    wrong = people.anybody().post("/v1/auth/invitations/accept", json={"token": link, "password": "not the password"})
    assert people.code(wrong) == (401, "wrong_credentials")
    right = people.anybody().post("/v1/auth/invitations/accept", json={"token": link, "password": first})
    assert right.status_code == 201
    memberships = me.get("/v1/me/memberships").json["items"]
    assert [each["current"] for each in memberships] == [True, False]
    switched = me.post("/v1/auth/switch", json={"membership_id": memberships[1]["id"]}).json
    assert switched["expires_at"] == entered["expires_at"]
    assert people.code(me.get("/v1/me")) == (401, "unauthenticated")
    me = people.bearing(switched["token"])
    assert me.get("/v1/me").json["roles"] == ["approver"]
    assert people.bearing(people.log_in(PHONE, first).json["token"]).get("/v1/me").json["roles"] == ["approver"]

    second = "a long second password"
    wrong = me.post("/v1/me/password", json={"current": "not the password", "new": second})
    assert people.code(wrong) == (422, "wrong_password")
    assert me.post("/v1/me/password", json={"current": first, "new": second}).status_code == 204
    assert people.code(me.get("/v1/me")) == (401, "unauthenticated")
    assert people.code(people.log_in(PHONE, first)) == (401, "wrong_credentials")
    me = people.bearing(people.log_in(PHONE, second).json["token"])

    assert people.anybody().post("/v1/auth/reset", json={"login": PHONE}).status_code == 202
    code = people.code_in(people.sent(mailbox)[-1][1])
    third = "a long third password"
    body = {"login": PHONE, "code": code, "new_password": third}
    assert people.anybody().post("/v1/auth/reset/confirm", json=body).status_code == 204
    assert people.code(people.anybody().post("/v1/auth/reset/confirm", json=body)) == (422, "wrong_code")
    assert people.code(me.get("/v1/me")) == (401, "unauthenticated")
    assert people.log_in(PHONE, third).status_code == 200

    secrets = [link, code, first, second, third, PHONE, "13800138000", "王小明", entered["token"], switched["token"]]
    kept = json.dumps(everything_kept(), default=str, ensure_ascii=False)
    said = "".join(capfd.readouterr())
    assert [secret for secret in secrets if secret in kept or secret in said] == []


def everything_kept() -> list[list[object]]:
    """Every row of every table but that of persons; bytes as hexadecimal."""
    with unit_of_work() as session:
        tables = session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all()
        return [
            [list(row) for row in session.execute(text(f"SELECT to_jsonb(t)::text FROM {table} t"))]
            for table in tables
            if table != "person"
        ]


def test_an_invitation_by_mail_is_withdrawn_listed_and_sent_no_more(mailbox: Path) -> None:
    school = people.organisation()
    manager = people.client(people.person(school))
    made = manager.post("/v1/me/organisation/invitations", json={"email": "New@Example.com", "roles": ["finance"]})
    assert made.json["to"] == "n***@example.com"
    again = manager.post("/v1/me/organisation/invitations", json={"email": "new@example.com", "roles": ["finance"]})
    assert people.code(again) == (409, "invitation_open")
    ((to, words),) = people.sent(mailbox)
    assert to == "new@example.com"
    assert f"/v1/auth/invitations/accept, token = {people.token_in(words)}" in words, "there may be no page to open"
    for _ in range(2):
        withdrawn = manager.post(f"/v1/me/organisation/invitations/{made.json['id']}/withdraw")
        assert withdrawn.status_code == 204
    (listed,) = manager.get("/v1/me/organisation/invitations").json["items"]
    assert listed["status"] == "withdrawn"
    body = {"token": people.token_in(words), "name": "新人", "password": PASSWORD}
    assert people.code(people.anybody().post("/v1/auth/invitations/accept", json=body)) == (410, "invitation_gone")
    manager.post("/v1/me/organisation/invitations", json={"email": "new@example.com", "roles": [Role.FINANCE]})
    (second,) = [words for _, words in people.sent(mailbox) if people.token_in(words) != body["token"]]
    done = people.anybody().post("/v1/auth/invitations/accept", json=body | {"token": people.token_in(second)})
    assert done.status_code == 201
    ended = manager.get("/v1/me/organisation/invitations").json["items"][0]
    late = manager.post(f"/v1/me/organisation/invitations/{ended['id']}/withdraw")
    assert people.code(late) == (409, "invitation_ended")
