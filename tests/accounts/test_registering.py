"""Who registers an organisation proves to have the contact before it is worth anything."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from shop.accounts.models import Kind, Membership, Organisation, User
from shop.accounts.models_people import Invitation
from shop.actor import Role
from shop.db import unit_of_work
from tests.accounts import people
from tests.accounts.town import Town, a_unit

REGISTER = "/v1/public/registrations"


@pytest.fixture
def town(mailbox: Path) -> Town:
    return Town()


def named(town: Town, name: str, contact: str, **more: Any) -> dict[str, Any]:
    return town.application(name, **more) | {"member": {"contact": contact}}


def test_a_registration_gives_nobody_anything_until_the_link_that_was_sent_comes_back(
    town: Town, mailbox: Path
) -> None:
    made = town.post("", REGISTER, named(town, "school", "138 0013 8000", budget_unit=a_unit()))
    with unit_of_work() as session:
        (user,) = session.scalars(select(User).where(User.phone == "+8613800138000"))
        assert (user.status, user.password_hash) == ("invited", "")
        (invitation,) = session.scalars(select(Invitation))
    assert people.code(people.log_in("13800138000")) == (401, "wrong_credentials")
    assert people.anybody().post("/v1/auth/reset", json={"login": "13800138000"}).status_code == 202
    ((to, words),) = people.sent(mailbox)
    assert (to, invitation.order_limit_fen) == ("+8613800138000", 0)
    assert town.get("operator", "/v1/admin/registrations")["items"] == []
    assert town.refused("operator", f"/v1/admin/registrations/{made['id']}/approve")[:2] == (409, "nobody_came_in")
    body = {"token": people.token_in(words), "name": "经办人", "password": people.PASSWORD}
    accepted = people.anybody().post("/v1/auth/invitations/accept", json=body)
    assert (accepted.status_code, accepted.json["organisation_id"]) == (201, made["organisation_id"])
    me = people.bearing(people.log_in("13800138000").json["token"]).get("/v1/me").json
    assert (me["order_limit_fen"], len(me["roles"])) == (0, 5)
    (row,) = town.get("operator", "/v1/admin/registrations")["items"]
    town.post("operator", f"/v1/admin/registrations/{row['id']}/approve", {"order_limit_fen": 70_000})
    me = people.bearing(people.log_in("13800138000").json["token"]).get("/v1/me").json
    assert me["order_limit_fen"] == 70_000


def test_registering_with_the_contact_of_somebody_known_is_answered_alike_and_asks_them(town: Town) -> None:
    owner = people.person(people.organisation(Kind.ENTERPRISE), email="owner@example.com", roles=[Role.FINANCE])
    known = town.ask("", "POST", REGISTER, named(town, "school", "Owner@example.com"))
    unknown = town.ask("", "POST", REGISTER, named(town, "bureau", "nobody@example.com"))
    assert (known.status_code, set(known.json)) == (unknown.status_code, set(unknown.json)) == (201, set(known.json))
    with unit_of_work() as session:
        members = select(func.count()).select_from(Membership).where(Membership.user_id == owner.user_id)
        assert session.scalar(members) == 1
    stranger = people.come_in("owner@example.com", "a password of a stranger")
    assert people.code(stranger) == (401, "wrong_credentials")
    assert people.come_in("owner@example.com").status_code == 201
    assert len(people.client(owner).get("/v1/me/memberships").json["items"]) == 2


def test_a_registration_that_nobody_confirmed_makes_way_and_one_that_somebody_did_does_not(town: Town) -> None:
    first = town.post("", REGISTER, named(town, "school", "mistyped@example.com", budget_unit=a_unit()))
    second = town.post("", REGISTER, named(town, "school", "right@example.com", budget_unit=a_unit()))
    with unit_of_work() as session:
        kept = session.scalars(select(Organisation.id).where(Organisation.status == "applying")).all()
    assert [f"org_{one.hex}" for one in kept] == [second["organisation_id"]] != [first["organisation_id"]]
    assert people.come_in("right@example.com").status_code == 201
    again = named(town, "school", "third@example.com")
    assert town.refused("", REGISTER, again) == (422, "invalid", "/uscc")


def test_a_contact_is_written_to_a_few_times_an_hour_only(town: Town) -> None:
    for name, contact in (("one", "known@example.com"), ("two", "Known@Example.com")):
        town.post("", REGISTER, named(town, name, contact))
    assert town.refused("", REGISTER, named(town, "three", "known@example.com"))[:2] == (429, "too_many_requests")
    with unit_of_work() as session:
        assert session.scalar(select(func.count()).where(Organisation.status == "applying")) == 2
