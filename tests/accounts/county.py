"""A county with its offices, a platform and a buyer, as tests of admission and mandates meet them over HTTP."""

from datetime import date, datetime
from itertools import count
from typing import Any

from sqlalchemy.dialects.postgresql import Range
from werkzeug.test import TestResponse

from shop import clock
from shop.accounts.models import Kind, Organisation
from shop.accounts.service import logging_in
from shop.accounts.uscc import check_character
from shop.actor import Actor, Role
from shop.db import unit_of_work
from shop.ledger.models import CreditLimit
from shop.ledger.service import PLATFORM_ID
from shop.regions.models import EligibilityMember
from tests import builders as a
from tests.accounts import people
from tests.application import a_client
from tests.catalogue.market import a_body

KEYS = count(1)
PDF = b"%PDF-1.7 a paper of the test"
JPEG = b"\xff\xd8\xff\xe0 a photo"
DOCUMENTS = ("licence", "legal_person_id", "bank_permit", "linkage_proof", "source_statement")
PASSWORD = "correct horse battery"


def a_code() -> str:
    body = f"93610629MA{next(KEYS) + 5_000_000:07d}"
    return body + check_character(body)


class County:
    """Luochuan with two officers and a helper, an officer of another county, the platform, and a buyer in Shanghai."""

    def __init__(self) -> None:
        self.client = a_client()
        self.tokens: dict[str, str] = {}
        self.actors: dict[str, Actor] = {}
        with unit_of_work() as session:
            clock.move_to(session, a.NOW)
            for code, name, level, parent in (
                ("610000", "陕西省", "province", None),
                ("610600", "延安市", "prefecture", "610000"),
                (a.LUOCHUAN, "洛川县", "county", "610600"),
                ("640000", "宁夏回族自治区", "province", None),
                (a.YANCHI, "盐池县", "county", "640000"),
            ):
                a.a_division(session, code, name, level, parent)
            self.on_list = EligibilityMember(
                list="poverty_832",
                county_code=a.LUOCHUAN,
                name_as_designated="洛川县",
                valid=Range(date(2012, 6, 14), None),
            )
            session.add(self.on_list)
            platform = a.an_organisation(session, Kind.PLATFORM, id=PLATFORM_ID, uscc=None)
            self.office = a.an_organisation(session, Kind.COUNTY_REVIEWER, uscc=None)
            buyer = a.an_organisation(session)
            a.a_budget_unit(session, buyer)
            a.an_address(session, buyer)
            a.a_pairing(session, a.SHANGHAI, "610000")
            a.a_lane(session)
            session.add(CreditLimit(organisation_id=buyer.id, limit_fen=10**12))
            parties: dict[str, tuple[Organisation, dict[str, Any]]] = {
                "agriculture": (self.office, {"roles": {Role.COUNTY_REVIEWER}, "regions": [a.LUOCHUAN]}),
                "revitalisation": (self.office, {"roles": {Role.COUNTY_REVIEWER}, "regions": ["610000"]}),
                "helper": (self.office, {"roles": {Role.HELPER, Role.COUNTY_REVIEWER}, "regions": [a.LUOCHUAN]}),
                "yanchi": (self.office, {"roles": {Role.COUNTY_REVIEWER}, "regions": [a.YANCHI]}),
                "operator": (platform, {"roles": {Role.OPERATOR}}),
                "operator2": (platform, {"roles": {Role.OPERATOR}}),
                "buyer": (buyer, {}),
            }
            for name, (organisation, more) in parties.items():
                self.enter(session, name, a.a_member(session, organisation, **more))

    def enter(self, session: Any, name: str, actor: Actor) -> None:
        self.actors[name] = actor
        self.tokens[name], _ = logging_in.issue_token(session, user_id=actor.user_id)

    def seller(self, name: str, kind: Kind = Kind.COOPERATIVE, **more: Any) -> str:
        """A seller that has its right already, with a member of this name; gives its public id."""
        with unit_of_work() as session:
            made = a.an_organisation(session, kind, **more)
            self.enter(session, name, a.a_member(session, made))
        return f"org_{made.id.hex}"

    def move_to(self, instant: datetime) -> None:
        with unit_of_work() as session:
            clock.move_to(session, instant)

    def ask(self, name: str, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        sent = {"Idempotency-Key": f"key-{next(KEYS):08d}", "Accept-Language": "en"}
        if name:
            sent["Authorization"] = f"Bearer {self.tokens[name]}"
        sent |= {key.replace("_", "-"): value for key, value in headers.items()}
        if isinstance(body, bytes):
            return self.client.open(path, method=method, data=body, headers=sent)
        return self.client.open(path, method=method, json=body, headers=sent)

    def get(self, name: str, path: str) -> Any:
        return self.done(self.ask(name, "GET", path))

    def post(self, name: str, path: str, body: Any = None) -> Any:
        return self.done(self.ask(name, "POST", path, {} if body is None else body))

    def put(self, name: str, path: str, body: Any) -> Any:
        return self.done(self.ask(name, "PUT", path, body))

    def patch(self, name: str, path: str, body: Any) -> Any:
        return self.done(self.ask(name, "PATCH", path, body))

    @staticmethod
    def done(answer: TestResponse) -> Any:
        assert answer.status_code in (200, 201), answer.text
        return answer.get_json()

    def refused(self, name: str, method: str, path: str, body: Any = None) -> tuple[int, str, list[str]]:
        """Status, code and pointers of a refusal."""
        answer = self.ask(name, method, path, body)
        found = answer.get_json()
        assert answer.status_code >= 400, answer.text
        return answer.status_code, found["code"], [error["pointer"] for error in found.get("errors", [])]

    def applied(self, name: str = "applicant", **party: Any) -> str:
        """An application from nothing, by somebody who comes in and is then logged in as `name`; gives its id."""
        body = an_application(**party)
        made = self.post("", "/v1/public/applications", body)
        assert people.come_in(body["member"]["contact"], PASSWORD).status_code == 201
        login = {"email": body["member"]["contact"], "password": PASSWORD}
        self.tokens[name] = self.post("", "/v1/auth/token", login)["token"]
        return str(made["id"])

    def filled_in(self, name: str = "applicant", **capacity: Any) -> None:
        """Capacity and every document of a grower."""
        self.put(name, "/v1/cooperative/application/capacities", {"items": [a_capacity(**capacity)]})
        for kind in DOCUMENTS:
            self.document(name, kind)

    def document(self, name: str, kind: str, data: bytes = PDF, **query: str) -> TestResponse:
        more = "".join(f"&{key}={value}" for key, value in query.items())
        path = f"/v1/cooperative/application/documents?kind={kind}&name={kind}.pdf{more}"
        return self.ask(name, "POST", path, data)

    def submitted(self, name: str = "applicant", **party: Any) -> str:
        made = self.applied(name, **party)
        self.filled_in(name)
        self.post(name, "/v1/cooperative/application/submit")
        return made

    def decide(self, name: str, application_id: str, **decision: Any) -> TestResponse:
        return self.ask(name, "POST", f"/v1/admin/applications/{application_id}/review", a_decision(**decision))

    def approved(self, application_id: str) -> Any:
        """Every step approved by its officer."""
        for name, step in (("agriculture",) * 2, ("revitalisation",) * 2, ("operator", "platform")):
            found = self.done(self.decide(name, application_id, step=step))
        return found

    def file(self, name: str, data: bytes = PDF) -> str:
        return str(self.done(self.ask(name, "POST", "/v1/me/files?name=paper.pdf", data))["id"])

    def listed(self, name: str = "applicant", **more: Any) -> str:
        """A listing that is on sale with supply; gives its id."""
        listing = self.post(name, "/v1/cooperative/listings", a_listing_body(**more))
        self.post("operator", f"/v1/admin/listings/{listing['id']}/review", {"decision": "approve"})
        self.supply(name, listing["id"])
        return str(listing["id"])

    def supply(self, name: str, listing_id: str, packs: int = 1000) -> TestResponse:
        body = {"listing_id": listing_id, "ready_from": "2024-10-15", "ready_to": "2026-10-01", "packs": packs}
        answer = self.ask(name, "POST", "/v1/cooperative/supplies", body)
        assert answer.status_code == 201, answer.text
        return answer

    def order(self, listing_id: str, packs: int = 2) -> TestResponse:
        me = self.get("buyer", "/v1/me")
        body = {
            "lines": [{"listing_id": listing_id, "quantity": packs}],
            "delivery_address_id": me["delivery_addresses"][0]["id"],
            "budget_unit_id": me["budget_units"][0]["id"],
            "purpose": "canteen",
            "payment_terms": "on_terms",
        }
        return self.ask("buyer", "POST", "/v1/buyer/orders", body)


def an_application(**party: Any) -> dict[str, Any]:
    number = next(KEYS)
    organisation = {
        "kind": "cooperative",
        "name": f"洛川果业合作社{number}",
        "name_en": f"Luochuan fruit {number}",
        "uscc": a_code(),
        "division_code": a.LUOCHUAN,
    }
    return {
        "organisation": organisation | party,
        "member": {"contact": f"head{number}@example.com"},
        "linkage": "吸纳 20 户脱贫户就业并按股分红。",
    }


def a_capacity(**more: Any) -> dict[str, Any]:
    """120.50 mu at 2,000 kg."""
    capacity = {
        "product_name": "洛川苹果",
        "category": "fruit",
        "area_mu_hundredths": 12_050,
        "yield_grams": 2_000_000,
        "households": 20,
        "grams_per_year": 241_000_000,
        "evidence": "土地流转合同",
    }
    return {key: value for key, value in (capacity | more).items() if value is not None}


def a_decision(**more: Any) -> dict[str, Any]:
    decision = {
        "step": "agriculture",
        "decision": "approve",
        "reason": "现场核实属实",
        "officer_name": "李科长",
        "office": "洛川县农业农村局",
    }
    return decision | more


def a_return(pointer: str = "/capacities/0/evidence", **more: Any) -> dict[str, Any]:
    return a_decision(decision="return", fields=[{"pointer": pointer, "reason": "请补充"}]) | more


def a_listing_body(**more: Any) -> dict[str, Any]:
    """A listing all the year round in packs of five kilograms."""
    usual = {"pack_grams": 5000, "tiers": [{"min_packs": 1, "price_fen": 4000}], "season_from": 1, "season_to": 12}
    return a_body(**(usual | more))
