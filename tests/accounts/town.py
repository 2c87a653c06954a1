"""A served town for tests: an operator, and institutions that register themselves over HTTP and act by their tokens."""

from datetime import datetime
from itertools import count
from typing import Any

from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from shop import clock
from shop.accounts.models import Kind
from shop.accounts.service import logging_in
from shop.accounts.uscc import check_character
from shop.actor import Actor, Role
from shop.db import unit_of_work
from tests import builders as a
from tests.accounts import people
from tests.application import a_client

NUMBERS = count(1)
PASSWORD = "a long enough password"


def a_code() -> str:
    body = f"12310000MB{next(NUMBERS):07d}"
    return body + check_character(body)


class Town:
    """Parties by name; `now` moves the shop's business time."""

    def __init__(self) -> None:
        self.client = a_client()
        self.tokens: dict[str, str] = {}
        self.codes: dict[str, str] = {}
        self.organisations: dict[str, str] = {}
        with unit_of_work() as session:
            clock.move_to(session, a.NOW)
            a.a_division(session, "310000", "上海市", "province")
            a.a_division(session, "310100", "市辖区", "prefecture", "310000")
            a.a_division(session, a.HUANGPU, "黄浦区", "county", "310100")
            a.a_division(session, "620000", "甘肃省", "province")
            office = a.an_organisation(session, Kind.PLATFORM, uscc=None)
            self.enter(session, "operator", a.a_member(session, office))

    def enter(self, session: Session, name: str, actor: Actor) -> None:
        self.tokens[name] = logging_in.issue_token(session, user_id=actor.user_id)[0]
        self.organisations[name] = f"org_{actor.organisation_id.hex}"

    def at(self, instant: datetime) -> None:
        with unit_of_work() as session:
            clock.move_to(session, instant)

    def ask(self, name: str, method: str, path: str, body: Any = None, **more: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.tokens[name]}"} if name else {}
        headers |= {"Accept-Language": "en"} | more.pop("headers", {})
        return self.client.open(path, method=method, json=body, headers=headers, **more)

    def get(self, name: str, path: str) -> Any:
        answer = self.ask(name, "GET", path)
        assert answer.status_code == 200, answer.text
        return answer.get_json()

    def post(self, name: str, path: str, body: Any = None, method: str = "POST") -> Any:
        answer = self.ask(name, method, path, {} if body is None else body)
        assert answer.status_code in (200, 201, 204), answer.text
        return answer.get_json(silent=True)

    def refused(self, name: str, path: str, body: Any = None, method: str = "POST") -> tuple[int, str, str | None]:
        """Status, code and the pointer of the first field at fault."""
        answer = self.ask(name, method, path, {} if body is None else body)
        said = answer.get_json()
        return answer.status_code, said["code"], next((one["pointer"] for one in said.get("errors", [])), None)

    def application(self, name: str, **more: Any) -> dict[str, Any]:
        self.codes.setdefault(name, a_code())
        return {
            "kind": "budget_unit",
            "name": f"（测试）{name}",
            "name_en": name,
            "uscc": self.codes[name],
            "division_code": a.HUANGPU,
            "member": {"contact": f"{name.replace(' ', '.')}@example.com"},
        } | more

    def register(self, name: str, **more: Any) -> Any:
        """Register, come in by the link and log in; the organisation still waits for its approval."""
        made = self.post("", "/v1/public/registrations", self.application(name, **more))
        assert people.come_in(f"{name.replace(' ', '.')}@example.com", PASSWORD).status_code == 201
        email = f"{name.replace(' ', '.')}@example.com"
        self.tokens[name] = self.post("", "/v1/auth/token", {"email": email, "password": PASSWORD})["token"]
        self.organisations[name] = made["organisation_id"]
        return made

    def join(self, name: str, **more: Any) -> Any:
        """Register, log in and be approved; gives the id of its first unit, if it has one."""
        made = self.register(name, **more)
        self.post("operator", f"/v1/admin/registrations/{made['id']}/approve")
        units = self.get(name, "/v1/me")["budget_units"]
        return units[0]["id"] if units else None

    def colleague(self, name: str, of: str, *roles: Role, **more: Any) -> None:
        """Another member of an institution, with these roles only."""
        from uuid import UUID

        from shop.accounts.models import Organisation

        with unit_of_work() as session:
            organisation = session.get_one(Organisation, UUID(hex=self.organisations[of][4:]))
            self.enter(session, name, a.a_member(session, organisation, roles=set(roles), **more))


def a_unit(name: str = "机关", level: str = "county", funding: str = a.HUANGPU, **more: Any) -> dict[str, Any]:
    return {"name": name, "finance_level": level, "funding_code": funding} | more
