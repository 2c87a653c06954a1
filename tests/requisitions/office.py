"""An institution with a requester, two approvers, a finance officer and a manager, over HTTP."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Flask, request
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from shop import clock
from shop.accounts.models import Organisation
from shop.actor import Actor, Role
from shop.db import unit_of_work
from shop.files import service as files
from shop.http import problems
from shop.http.routes import mount
from shop.ids import new_id
from shop.logistics.api import selling as filling
from shop.orders.api import routes as orders
from shop.orders.models import SupplierOrder
from shop.requisitions.api import deciding, routes
from shop.requisitions.api_lists import routes as lists
from shop.requisitions.api_rules import routes as rules
from shop.requisitions.api_standing import routes as standing
from tests import builders as a


class Office:
    """The people by name, goods of two cooperatives, and requests in their names."""

    def __init__(self) -> None:
        app = Flask("office")
        for each in (routes, deciding, rules, lists, standing, orders, filling):
            mount(app, each, self.who)
        problems.install(app)
        self.client: FlaskClient = app.test_client()
        self.now = a.NOW
        self.keys = iter(range(10_000))
        with unit_of_work() as session:
            self.world = a.World(session)
            self.apples, self.pears = self.world.offer(100), self.world.offer(100)
            buyer = self.world.buyer
            self.people: dict[str, Actor] = {
                "requester": a.a_member(session, buyer, roles={Role.REQUESTER}, order_limit_fen=None),
                "approver": a.a_member(session, buyer, roles={Role.APPROVER}),
                "second approver": a.a_member(session, buyer, roles={Role.APPROVER}),
                "finance": a.a_member(session, buyer, roles={Role.FINANCE}),
                "receiver": a.a_member(session, buyer, roles={Role.RECEIVER}),
                "manager": a.a_member(session, buyer, roles={Role.MANAGER}),
                "stranger": a.a_member(session, a.an_organisation(session)),
            }

    def who(self, session: Session) -> tuple[Actor, datetime] | None:
        return a.behind(session, self.people.get(request.headers.get("Authorization", "")), self.now)

    def at(self, instant: datetime) -> None:
        """Let it be that time for everybody."""
        self.now = instant
        with unit_of_work() as session:
            clock.move_to(session, instant)

    def user(self, name: str) -> str:
        return f"usr_{self.people[name].user_id.hex}"

    def scan(self) -> str:
        """The id of an uploaded scan of the institution's."""
        key = new_id()
        with unit_of_work() as session:
            files.register(
                session, file_id=key, organisation_id=self.world.buyer.id, name="审批单.pdf",
                media_type="application/pdf", data=b"%PDF-1.7",
            )  # fmt: skip
        return f"file_{key.hex}"

    def call(self, method: str, path: str, by: str, body: Any = None, version: int | None = None) -> Any:
        headers = {"Authorization": by, "Idempotency-Key": f"key-{next(self.keys)}"}
        if version is not None:
            headers["If-Match"] = f'"{version}"'
        return self.client.open(f"/v1/buyer{path}", method=method, headers=headers, json=body)

    def body(self, lines: Sequence[tuple[Any, int]] = (), **more: Any) -> dict[str, Any]:
        wanted = lines or [(self.apples, 5), (self.pears, 3)]
        return {
            "lines": [{"listing_id": f"lst_{listing.id.hex}", "quantity": packs} for listing, packs in wanted],
            "delivery_address_id": f"addr_{self.world.address.id.hex}",
            "budget_unit_id": f"unit_{self.world.unit.id.hex}",
            "purpose": "canteen",
            "payment_terms": "on_terms",
        } | more

    def made(self, by: str = "requester", lines: Sequence[tuple[Any, int]] = (), **more: Any) -> Any:
        """A draft, as it was answered."""
        answer = self.call("POST", "/requisitions", by, self.body(lines, **more))
        assert answer.status_code == 201, answer.json
        return answer.json

    def submitted(self, by: str = "requester", lines: Sequence[tuple[Any, int]] = (), **more: Any) -> Any:
        row = self.made(by, lines, **more)
        answer = self.call("POST", f"/requisitions/{row['id']}/submit", by)
        assert answer.status_code == 200, answer.json
        return answer.json

    def decide(self, row: Any, by: str, decision: str = "approve", version: int | None = None) -> Any:
        body = {"version": version or row["version"], "decision": decision, "comment": "说明"}
        return self.call("POST", f"/requisitions/{row['id']}/decision", by, body)

    def approved(self, **more: Any) -> Any:
        answer = self.decide(self.submitted(**more), "approver")
        assert answer.status_code == 200, answer.json
        return answer.json

    def place(self, row: Any, by: str = "requester") -> Any:
        return self.call("POST", f"/requisitions/{row['id']}/place", by)

    def sold(self, supplier_order_id: str) -> Any:
        """A supplier order as its cooperative sees it."""
        with unit_of_work() as session:
            part = session.get_one(SupplierOrder, UUID(hex=supplier_order_id.rpartition("_")[2]))
            seller = a.a_member(session, session.get_one(Organisation, part.cooperative_id))
        self.people["seller"] = seller
        answer = self.client.get(
            f"/v1/cooperative/supplier-orders/{supplier_order_id}", headers={"Authorization": "seller"}
        )
        assert answer.status_code == 200, answer.json
        return answer.json

    def rule(self, **wanted: Any) -> Any:
        body = {"step": 1, "role": "approver", "from_fen": 0, "valid_from": "2024-01-01"} | wanted
        answer = self.call("POST", "/approval-rules", "manager", body)
        assert answer.status_code == 201, answer.json
        return answer.json
