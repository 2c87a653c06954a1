"""People who log in over HTTP, and the messages they are sent."""

import email
import email.policy
import re
from pathlib import Path
from typing import Any
from uuid import UUID

from flask.testing import FlaskClient
from sqlalchemy import or_, select

from shop.accounts.models import Kind, Membership, Organisation, User
from shop.accounts.models_people import Invitation
from shop.accounts.service import inviting, messages
from shop.actor import NOBODY, Actor
from shop.db import unit_of_work
from tests import builders as a
from tests.application import a_client
from tests.builders import PASSWORD
from tests.outbox.helpers import work


def organisation(kind: Kind = Kind.BUDGET_UNIT, **more: Any) -> UUID:
    with unit_of_work() as session:
        return a.an_organisation(session, kind, **more).id


def person(organisation_id: UUID, **more: Any) -> Actor:
    """A member who logs in with PASSWORD."""
    with unit_of_work() as session:
        return a.a_member(session, session.get_one(Organisation, organisation_id), logs_in=True, **more)


def also(user_id: UUID, organisation_id: UUID, **more: Any) -> Actor:
    """The same person's membership of another organisation."""
    with unit_of_work() as session:
        user = session.get_one(User, user_id)
        return a.a_member(session, session.get_one(Organisation, organisation_id), user=user, **more)


def login_of(actor: Actor) -> str:
    with unit_of_work() as session:
        found = session.get_one(User, actor.user_id)
        return found.email or found.phone or ""


def anybody() -> FlaskClient:
    client = a_client()
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "en"
    return client


def log_in(login: str, password: str = PASSWORD, **more: Any) -> Any:
    return anybody().post("/v1/auth/token", json={"login": login, "password": password} | more)


def bearing(token: str) -> FlaskClient:
    client = anybody()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def client(actor: Actor, password: str = PASSWORD, **more: Any) -> FlaskClient:
    """A client that logged in as this person."""
    answer = log_in(login_of(actor), password, **more)
    assert answer.status_code == 200, answer.json
    return bearing(answer.json["token"])


def membership_id(user_id: UUID, organisation_id: UUID) -> UUID:
    with unit_of_work() as session:
        found = select(Membership.id).where(
            Membership.user_id == user_id, Membership.organisation_id == organisation_id
        )
        return session.scalars(found).one()


def sent(folder: Path) -> list[tuple[str, str]]:
    """Let the workers send what is to be sent; gives (to, words) of all that was sent so far, the oldest first."""
    work("accounts.")
    found = []
    for path in sorted((folder / "mail").glob("*")):
        if path.suffix == ".txt":
            to, _, words = path.read_text(encoding="utf-8").partition("\n")
            found.append((to, words))
        else:
            mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            found.append((str(mail["To"]), mail.get_content()))
    return found


def link_of(contact: str) -> str:
    """The token of the newest open invitation to a contact, as the message says it that will be sent."""
    with unit_of_work() as session:
        newest = (
            select(Invitation.id)
            .join(User, User.id == Invitation.user_id)
            .where(or_(User.phone == contact, User.email == contact), inviting.still_open())
            .order_by(Invitation.id.desc())
        )
        message = messages.of_invitation(session, session.scalars(newest).first() or NOBODY)
        assert message is not None
        return token_in(message.body)


def come_in(contact: str, password: str = PASSWORD, name: str = "经办人") -> Any:
    """Accept the newest invitation to a contact."""
    body = {"token": link_of(contact), "name": name, "password": password}
    return anybody().post("/v1/auth/invitations/accept", json=body)


def token_in(words: str) -> str:
    found = re.search(r"#([\w.-]+)", words)
    assert found, words
    return found[1]


def code_in(words: str) -> str:
    found = re.search(r"\d{6}", words)
    assert found, words
    return found[0]


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json.get("code", "") if answer.data else ""
