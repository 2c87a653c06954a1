"""People and goods of an end-to-end test: parties by use cases, goods and orders through HTTP."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from shop.accounts.models import Kind, Organisation
from shop.accounts.service import logging_in
from shop.clock import business_now
from shop.db import unit_of_work
from shop.demo.client import Client
from shop.ledger import service as ledger
from shop.ledger.service import PLATFORM_ID
from tests import builders as a
from tests.e2e.conftest import Served


@dataclass
class Person:
    client: Client
    me: dict[str, Any]


class World:
    """One buyer, an operator, an analyst and as many cooperatives as asked for, each with one listed product."""

    def __init__(self, served: Served, *, cooperatives: int = 3, packs: int = 1000, buyers: int = 1) -> None:
        self.served = served
        tokens: dict[str, str] = {}
        with unit_of_work() as session:
            now = business_now(session)
            if session.get(Organisation, PLATFORM_ID) is None:
                session.add(
                    Organisation(
                        id=PLATFORM_ID, kind=Kind.PLATFORM, name="平台", name_en="Platform", division_code="110000",
                        created_at=now,
                    )
                )  # fmt: skip
                session.flush()
            a.a_division(session, "610000", "陕西省", "province")
            a.a_division(session, "310000", "上海市", "province")
            a.a_division(session, "610600", "延安市", "prefecture", "610000")
            a.a_division(session, a.LUOCHUAN, "洛川县", "county", "610600")
            a.a_pairing(session, a.SHANGHAI, "610000")
            a.a_lane(session)
            platform = session.get_one(Organisation, PLATFORM_ID)
            people = {"admin": a.a_member(session, platform)}
            for place in range(cooperatives):
                people[f"cooperative{place}"] = a.a_member(session, a.an_organisation(session, Kind.COOPERATIVE))
            for place in range(buyers):
                buyer = a.an_organisation(session)
                a.a_budget_unit(session, buyer)
                a.an_address(session, buyer)
                ledger.set_credit_limit(session, buyer.id, 10**12)
                people[f"buyer{place}"] = a.a_member(session, buyer)
            for name, actor in people.items():
                tokens[name], _ = logging_in.issue_token(session, user_id=actor.user_id)
        self.people = {name: Client(served.url, token) for name, token in tokens.items()}
        self.admin = self.people["admin"]
        self.buyer = self.people["buyer0"]
        self.today = now.date()
        self.listings = [
            self.list_goods(self.people[f"cooperative{place}"], place, packs) for place in range(cooperatives)
        ]

    def list_goods(self, seller: Client, place: int, packs: int) -> str:
        listing = seller.post(
            "/v1/cooperative/listings",
            {
                "product": {
                    "code": f"apple{place}", "name": "洛川苹果", "name_en": "Luochuan apple", "category": "fruit",
                    "origin_code": a.LUOCHUAN, "storage": "ambient", "shelf_life_days": 90, "grade": "一级",
                    "spec": "80mm",
                },
                "pack_name": "10斤箱", "base_unit": "g", "pack_base_quantity": 5000, "pack_grams": 5000, "min_packs": 1,
                "step_packs": 1, "max_packs": 100000, "tiers": [{"min_packs": 1, "price_fen": 4000}],
                "season_from": 1, "season_to": 12,
            },
            key=f"list{place}",
        )  # fmt: skip
        self.admin.post(
            f"/v1/admin/listings/{listing['id']}/review", {"decision": "approve", "note": "ok"}, key=f"review{place}"
        )
        seller.post(
            "/v1/cooperative/supplies",
            {
                "listing_id": listing["id"], "ready_from": f"{self.today}",
                "ready_to": f"{self.today + timedelta(days=60)}", "packs": packs,
            },
            key=f"supply{place}",
        )  # fmt: skip
        return str(listing["id"])

    def order_body(self, lines: dict[str, int], terms: str = "on_terms", buyer: Client | None = None) -> dict[str, Any]:
        me = (buyer or self.buyer).get("/v1/me")
        return {
            "lines": [{"listing_id": listing, "quantity": packs} for listing, packs in lines.items()],
            "delivery_address_id": me["delivery_addresses"][0]["id"],
            "budget_unit_id": me["budget_units"][0]["id"],
            "purpose": "canteen",
            "payment_terms": terms,
        }

    def order(self, lines: dict[str, int], terms: str = "on_terms", key: str = "order") -> dict[str, Any]:
        placed: dict[str, Any] = self.buyer.post("/v1/buyer/orders", self.order_body(lines, terms), key=key)
        return placed

    def status(self, order: dict[str, Any]) -> str:
        return str(self.buyer.get(f"/v1/buyer/orders/{order['id']}")["status"])

    def seller_of(self, part: dict[str, Any]) -> Client:
        place = self.listings.index(part["lines"][0]["listing_id"])
        return self.people[f"cooperative{place}"]

    def ship(self, part: dict[str, Any]) -> None:
        """Accept, harvest, pack and ship one supplier order."""
        seller, path = self.seller_of(part), f"/v1/cooperative/supplier-orders/{part['id']}"
        seller.post(f"{path}/accept", key=f"{part['id']}accept")
        for line in part["lines"]:
            seller.post(
                "/v1/cooperative/lots",
                {
                    "listing_id": line["listing_id"], "code": line["id"], "harvested_on": f"{self.today}",
                    "best_before": f"{self.today + timedelta(days=60)}", "packs": line["quantity"],
                },
                key=f"{line['id']}lot",
            )  # fmt: skip
        seller.post(f"{path}/pack", key=f"{part['id']}pack")
        seller.post(f"{path}/ship", {"carrier": "simulated"}, key=f"{part['id']}ship")
