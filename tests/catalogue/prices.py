"""A market whose prices are watched: peers with the same apples, reference prices, two buyers, and the workers."""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from flask import Flask
from sqlalchemy import select, text

from shop import clock
from shop.accounts.api_admission import files
from shop.accounts.models import Kind, Organisation
from shop.actor import Role
from shop.catalogue.api import reviewing, selling
from shop.catalogue.monitoring import api as monitoring
from shop.catalogue.references import load_reference_prices
from shop.db import unit_of_work
from shop.http import problems
from shop.http.routes import mount
from shop.ledger.service import PLATFORM_ID
from shop.notices.models import Notice
from shop.outbox.models import Event
from tests import builders as a
from tests.catalogue.market import Market
from tests.outbox.helpers import work

TODAY = a.NOW.date()
LINK = "https://example.com/apples"


class Prices(Market):
    """`peers`: five cooperatives that sell the seller's apples for 38 to 42 yuan a box of 5 kg."""

    def __init__(self, peers: tuple[int, ...] = (3800, 3900, 4000, 4100, 4200)) -> None:
        super().__init__()
        with unit_of_work() as session:
            platform = Organisation(
                id=PLATFORM_ID, kind=Kind.PLATFORM, name="平台", name_en="Platform", division_code="110000",
                created_at=a.NOW,
            )  # fmt: skip
            session.add(platform)
            session.flush()
            self.actors["operator"] = a.a_member(session, platform, roles={Role.OPERATOR})
            self.actors["second buyer"] = a.a_member(session, a.an_organisation(session))
            self.peers = [self.peer(session, price).id for price in peers]
        app = Flask("prices")
        for routes in (
            selling, reviewing, files, monitoring.public, monitoring.buying, monitoring.selling, monitoring.watching,
        ):  # fmt: skip
            mount(app, routes, self.who)
        problems.install(app)
        self.client = app.test_client()

    def peer(self, session: Any, price: int, **more: Any) -> Any:
        cooperative = a.an_organisation(session, Kind.COOPERATIVE)
        fields = {"price_fen": price, "tiers": [[1, price]], "origin_code": a.YANCHI}
        return a.a_listing(session, a.a_product(session, cooperative), **fields | more)

    def move(self, **later: int) -> None:
        """Let business time pass."""
        self.at(self.now + timedelta(**later))

    def at(self, instant: datetime) -> None:
        self.now = instant
        with unit_of_work() as session:
            clock.move_to(session, instant)

    def dear(self, price: int = 9000, **more: Any) -> Any:
        """A listing of the seller on sale, checked by the workers."""
        listing = self.listed(tiers=[{"min_packs": 1, "price_fen": price}], **more)
        self.work()
        return listing

    def work(self) -> list[str]:
        """Let the workers check what happened."""
        return work("prices.")

    def tell(self) -> None:
        """Let the workers write the notices of what happened."""
        while True:
            with unit_of_work() as session:  # what another turn of the relay rang for and nobody took
                session.execute(text("UPDATE delivery SET due_at = clock_timestamp() WHERE status = 'sent'"))
            if not work("notices.tell", "prices."):
                return

    def told(self, name: str) -> list[str]:
        with unit_of_work() as session:
            wanted = select(Notice.kind).join(Event, Event.id == Notice.source_id)
            wanted = wanted.where(Notice.organisation_id == self.actors[name].organisation_id)
            return list(session.scalars(wanted.order_by(Event.posted_no)))

    def alerts(self, name: str = "operator", query: str = "") -> Any:
        branch = "cooperative" if name in ("seller", "rival") else "admin"
        return self.get(f"/v1/{branch}/price-alerts{query}", name)["items"]

    def alert(self, name: str = "operator", query: str = "") -> Any:
        (found,) = self.alerts(name, query)
        branch = "cooperative" if name in ("seller", "rival") else "admin"
        return self.get(f"/v1/{branch}/price-alerts/{found['id']}", name)

    def decide(self, alert: Any, decision: str, **more: Any) -> Any:
        body = {"decision": decision, "reason": "已核实"} | more
        return self.ask("operator", "POST", f"/v1/admin/price-alerts/{alert['id']}/decide", body)

    def report(self, listing: Any, name: str = "buyer", **more: Any) -> Any:
        body = {
            "listing_id": listing["id"], "seen_fen": 1200, "seen_quantity": 2500, "place": "某超市",
            "seen_on": TODAY.isoformat(), "link": LINK,
        }  # fmt: skip
        return self.ask(name, "POST", "/v1/buyer/price-reports", body | more)

    def reference(self, month: str, mean: str = "4.0", name: str = "红富士", spec: str = "一级", **more: str) -> None:
        """Have a market quote a jin."""
        row = {
            "group": "fruit", "name": name, "spec": spec, "unit": "元/斤", "month": month, "days": "20",
            "min_price": "1", "mean_price": mean, "max_price": "90",
        }  # fmt: skip
        with unit_of_work() as session:
            load_reference_prices(session, [row | more], market="新发地", place_code="610000", now=self.now)

    def mapped(self, **more: Any) -> Any:
        body = {
            "category": "fruit", "name": "洛川 苹果", "market": "新发地", "reference_kind": "fruit",
            "reference_name": "红富士", "reference_grade": "一级", "from": "2024-01-01",
        }  # fmt: skip
        return self.ask("operator", "POST", "/v1/admin/reference-mappings", body | more)

    def check(self, listing: Any, name: str = "operator") -> Any:
        branch = "admin" if name in ("operator", "luochuan", "yanchi") else "cooperative"
        return self.get(f"/v1/{branch}/listings/{listing['id']}/price-check", name)


def hexed(listing: Any) -> UUID:
    return UUID(hex=listing["id"][4:])


def days_from(day: date, count: int) -> str:
    return (day + timedelta(days=count)).isoformat()
