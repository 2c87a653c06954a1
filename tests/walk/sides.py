"""Two sides that trade apart from each other, each with one of everything, and the people of every role."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from flask.testing import FlaskClient
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from shop.accounts.models import AUDIENCE, BudgetUnit, Kind, Organisation
from shop.accounts.models_admission import Application, ApplicationStatus, DocumentRule, Purpose, StepRule
from shop.accounts.models_units import BuyingMandate, InvoiceProfile, Registration, UnitLink
from shop.accounts.schemas_quotas import NewFiling
from shop.accounts.service import filing, granting, logging_in
from shop.actor import (
    COOPERATIVE_ROLES,
    HELPER_ROLES,
    ROLES_OF,
    SYSTEM,
    Actor,
    Audience,
    Role,
)
from shop.catalogue.models import ListingRevision, Product, ProductPhoto
from shop.catalogue.references import load_reference_prices
from shop.catalogue.service.revising import CONTENT
from shop.clock import move_to
from shop.db import unit_of_work
from shop.ledger.service import PLATFORM_ID
from shop.notices.models import Notice
from shop.orders.models import SupplierOrder
from shop.orders.models_holds import HoldRule
from shop.orders.models_times import OrderTimeRule
from shop.orders.schemas_changes import ChangeLineIn, ProposeChange
from shop.orders.service import allocating, changing, extending, holding_on
from shop.orders.service.cancelling import cancel_supplier_order
from shop.payments.models import Method, Refund
from shop.payments.service import charging, refunding
from shop.quotations.schemas import AskForQuotes, Award, AwardLine, QuoteLineIn, SubmitQuote
from shop.quotations.service import asking, awarding, offering
from shop.regions.models import ListRule
from shop.retention import RetentionRule
from shop.stock.models import Lot, Supply
from shop.stock.schemas_keeping import KeepAt
from shop.stock.schemas_recalls import OrderRecall
from shop.stock.service import keeping, recalling
from tests import builders as a
from tests.application import a_client
from tests.orders import journey
from tests.walk.bodies import ASKED_SELLER, ASKING, BODIES, CAPACITY, CATERER, CERTIFICATE

YICHUAN = "610630"
PAPER = b"%PDF-1.7 a paper of the walk"


@dataclass
class Person:
    """Somebody with a token."""

    actor: Actor
    token: str


@dataclass
class Side:
    """A buyer and a cooperative that trade with each other, with an agent and a helper of the county beside them.

    `ids` are theirs by the name that a path gives them.
    """

    canary: str
    county: str
    people: dict[str, Person] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    def person(self, audience: Audience) -> Person:
        """Whoever holds every role of the audience on this side."""
        return self.people[f"{audience} all"]


class Sides:
    """Both sides and the platform, behind the whole application."""

    def __init__(self) -> None:
        self.client: FlaskClient = a_client()
        self.keys = iter(range(1_000_000))
        self.sides = [self.made(Side("甲金丝雀", a.LUOCHUAN)), self.made(Side("乙金丝雀", YICHUAN))]
        self.people = {name: person for side in self.sides for name, person in side.people.items()}

    def made(self, side: Side) -> Side:
        with unit_of_work() as session:
            move_to(session, a.NOW)
            if session.get(Organisation, PLATFORM_ID) is None:
                session.add(
                    Organisation(
                        id=PLATFORM_ID, kind=Kind.PLATFORM, name="平台", name_en="Platform", division_code="110000",
                        created_at=a.NOW,
                    )
                )  # fmt: skip
                session.flush()
                world = a.World(session)
                a.a_division(session, a.HUANGPU, "黄浦区", "county")
                a.a_budget_unit(session, a.an_organisation(session, Kind.ENTERPRISE, uscc=CATERER))
                a.an_organisation(session, Kind.COOPERATIVE, id=UUID(hex=ASKED_SELLER[4:]))
            else:
                world = a.World(session, roads=False)
            self.trade(session, world, side)
            self.quotations(session, world, side)
            self.institution(session, world, side)
            self.admission(session, side)
            self.policy(session, side)
        self.ask_for_more(side)
        self.ask_for_prices(side)
        self.ask_for_agreements(side)
        self.ask_for_mandates(side)
        return side

    def trade(self, session: Session, world: Any, side: Side) -> None:
        """An order that was inspected and one that waits for the cooperative, by the use cases themselves."""
        world.buyer.name = f"{side.canary}买方"
        world.address.line = f"{side.canary}路1号"
        listing = world.offer(1000, lots=500)
        cooperative = session.get_one(Organisation, listing.cooperative_id)
        product = session.get_one(Product, listing.product_id)
        cooperative.division_code = product.origin_code = listing.origin_code = side.county
        lot = session.scalars(select(Lot).where(Lot.product_id == listing.product_id)).one()
        lot.code = f"{side.canary}批次"
        supply = session.scalars(select(Supply).where(Supply.listing_id == listing.id)).one()
        world.place({listing.id: 1})  # stays placed
        (done,) = journey.confirmed(world, {listing.id: 5})
        journey.delivered(session, done)
        (inspected,) = journey.confirmed(world, {listing.id: 4})
        journey.delivered(session, inspected)
        journey.confirmed(world, {listing.id: 3})
        (shipped,) = journey.confirmed(world, {listing.id: 2})
        _, shipment = journey.sent_by_own_carrier(session, shipped)
        refund = self.refund_to_send(session, world, listing.id)
        late = self.paid_late(session, world, listing.id)
        charge = self.to_be_paid(session, world, listing.id)
        changing_part, change = self.being_changed(session, world, listing.id, side)
        line = journey.lines_of(session, done)[0]
        seller = journey.seller_of(session, cooperative.id)
        place = KeepAt(kind="eastern_warehouse", name=f"{side.canary}仓", division_code=a.HUANGPU)
        location = keeping.add_location(session, by=seller, wanted=place, now=a.NOW)
        wanted = OrderRecall(lot_ids=[lot.id], reason=f"{side.canary}召回")
        recall = recalling.order(session, by=seller, wanted=wanted, now=a.NOW)
        recalling.release(session, by=seller, recall_id=recall, reason="复检合格", now=a.NOW)
        scarce = a.a_listing(session, session.get_one(Product, listing.product_id))
        failing = a.a_supply(session, scarce, 10)
        journey.confirmed(world, {scarce.id: 4})
        allocation = allocating.allocate(
            session, by=seller, supply_id=failing.id, packs=2, reason=f"{side.canary}霜冻", now=a.NOW
        )
        for organisation in (world.buyer, cooperative):
            self.staff(session, organisation, side)
        session.add(
            Notice(
                organisation_id=world.buyer.id, source_id=done, kind="order.placed", subject="ord_x",
                text=f"{side.canary}通知", text_en=side.canary, at=a.NOW,
            )
        )  # fmt: skip
        session.flush()
        notice = session.scalars(select(Notice.id).where(Notice.organisation_id == world.buyer.id)).one()
        platform = session.get_one(Organisation, PLATFORM_ID)
        self.staff(session, platform, side)
        part = journey.part_of(session, done)
        said = session.scalar(
            text(f"SELECT {CONTENT} FROM listing l JOIN product p ON p.id = l.product_id WHERE l.id = :id"),
            {"id": listing.id},
        )
        session.add(ListingRevision(listing_id=listing.id, revision=1, content=said, at=a.NOW, by_user_id=a.an_id()))
        photo = ProductPhoto(
            product_id=listing.product_id, cooperative_id=cooperative.id, status="ready",
            sha256=side.canary.encode(), uploaded_by=a.an_id(), uploaded_at=a.NOW,
        )  # fmt: skip
        session.add(photo)
        session.flush()
        shown = {"id": f"pht_{photo.id.hex}", "thumb": "", "large": "", "width": 1, "height": 1}
        session.get_one(Product, listing.product_id).photos = [shown]
        side.ids |= {
            "photo_id": f"pht_{photo.id.hex}",
            "listing_id": f"lst_{listing.id.hex}",
            "product_id": f"prd_{listing.product_id.hex}",
            "supply_id": f"sup_{supply.id.hex}",
            "lot_id": f"lot_{lot.id.hex}",
            "recall_id": f"rcl_{recall.hex}",
            "allocation_id": f"alc_{allocation.hex}",
            "location_id": f"loc_{location.id.hex}",
            "order_id": f"ord_{part.order_id.hex}",
            "supplier_order_id": f"so_{done.hex}",
            "inspected_id": f"so_{inspected.hex}",
            "paid_late_id": f"so_{late.hex}",
            "line_id": f"line_{line.id.hex}",
            "shipment_id": f"shp_{shipment.hex}",
            "notice_id": f"ntc_{notice.hex}",
            "refund_id": f"rfd_{refund.hex}",
            "charge_id": f"chg_{charge.hex}",
            "changing_id": f"so_{changing_part.hex}",
            "order_change_id": f"och_{change.hex}",
            "address_id": f"addr_{world.address.id.hex}",
            "budget_unit_id": f"unit_{world.unit.id.hex}",
            "buyer_id": f"org_{world.buyer.id.hex}",
            "cooperative_id": f"org_{cooperative.id.hex}",
        }

    def quotations(self, session: Session, world: Any, side: Side) -> None:
        """A request that is open, one whose quotes can be read, and one that was awarded."""
        listing, cooperative = (UUID(hex=side.ids[name][4:]) for name in ("listing_id", "cooperative_id"))
        seller = journey.seller_of(session, cooperative)
        body = ASKING | {
            "title": f"{side.canary}询价", "delivery_address_id": side.ids["address_id"],
            "cooperative_ids": [side.ids["cooperative_id"]],
        }  # fmt: skip
        for name, days in (("request_id", 0), ("due_request_id", 2), ("awarded_request_id", 2)):
            asked_at = a.NOW - timedelta(days=days)
            deadline = (asked_at + timedelta(days=1)).isoformat()
            wanted = AskForQuotes.model_validate(body | {"deadline": deadline})
            asked = asking.ask(session, by=world.actor, wanted=wanted, now=asked_at)
            quote = SubmitQuote(lines=[QuoteLineIn(place=0, listing_id=listing, unit_fen=3_900)])
            offering.submit(session, by=seller, request_id=asked, wanted=quote, now=asked_at + timedelta(hours=1))
            side.ids[name] = f"rfq_{asked.hex}"
        award = Award(awards=[AwardLine(place=0, cooperative_id=cooperative)])
        awarding.award(session, by=world.actor, request_id=asked, wanted=award, now=a.NOW)

    def institution(self, session: Session, world: Any, side: Side) -> None:
        """The buyer's units with their filings, a union that asks to count for one, a caterer that buys for another."""
        buyer = world.buyer.id
        caterer = session.scalars(select(Organisation).where(Organisation.uscc == CATERER)).one()
        caterers = session.scalars(select(BudgetUnit).where(BudgetUnit.organisation_id == caterer.id)).one()
        union = a.an_organisation(session, Kind.TRADE_UNION)
        canteen = a.an_organisation(session, Kind.CANTEEN, uscc=None, parent_id=buyer)
        below, top = (a.a_budget_unit(session, world.buyer) for _ in range(2))
        below.parent_id = world.unit.id
        for unit in (world.unit, below, top):
            unit.name = f"{side.canary}单位"
        session.flush()
        mandate = {"valid": Range(date(2024, 1, 1), None), "document": "合同", "created_at": a.NOW}
        made = {
            "registration_id": Registration(organisation_id=buyer, submitted_at=a.NOW),
            "profile_id": InvoiceProfile(
                organisation_id=buyer, title=f"{side.canary}抬头", tax_number=CATERER, bank="某银行",
                account_number="6222000012345678",
            ),
            "link_id": UnitLink(
                parent_id=caterers.id, organisation_id=buyer, offered_by_id=caterer.id, offered_at=a.NOW
            ),
            "offered_link_id": UnitLink(
                parent_id=world.unit.id, organisation_id=caterer.id, offered_by_id=buyer, offered_at=a.NOW
            ),
            "buying_mandate_id": BuyingMandate(
                kind="union", unit_id=world.unit.id, organisation_id=union.id, status="proposed", **mandate
            ),
            "given_mandate_id": BuyingMandate(
                kind="caterer", unit_id=below.id, organisation_id=caterer.id, status="active", **mandate
            ),
        }  # fmt: skip
        session.add_all(made.values())
        session.flush()

        def drafted(unit: BudgetUnit, year: int) -> Any:
            wanted = NewFiling(unit_id=unit.id, year=year, has_canteen=True, canteen_fen=1_000, reserved_fen=100)
            return filing.draft(session, by=world.actor, wanted=wanted, now=a.NOW)

        draft, filed, returned, of_top = (
            drafted(below, 2022), drafted(below, 2024), drafted(below, 2025), drafted(top, 2024),
        )  # fmt: skip
        for one in (filed, returned, of_top):
            filing.file(session, by=world.actor, filing_id=one.id, now=a.NOW)
        chief = a.a_member(session, world.buyer)
        filing.review(session, by=chief, filing_id=returned.id, accept=False, reason=f"{side.canary}核实", now=a.NOW)
        prefixes = {"registration_id": "reg", "profile_id": "ivp", "link_id": "ulk", "offered_link_id": "ulk"}
        side.ids |= {name: f"{prefixes.get(name, 'mnd')}_{row.id.hex}" for name, row in made.items()}
        side.ids |= {
            "unit_id": f"unit_{below.id.hex}",
            "top_unit_id": f"unit_{top.id.hex}",
            "canteen_id": f"org_{canteen.id.hex}",
            "organisation_id": f"org_{buyer.hex}",
            "filing_id": f"qfil_{filed.id.hex}",
            "draft_id": f"qfil_{draft.id.hex}",
            "returned_id": f"qfil_{returned.id.hex}",
            "top_filing_id": f"qfil_{of_top.id.hex}",
        }

    def policy(self, session: Session, side: Side) -> None:
        """Rules of the platform, which are the same for both sides."""
        for name, prefix, rule in (
            ("step_rule_id", "step", StepRule),
            ("document_rule_id", "drule", DocumentRule),
            ("list_rule_id", "lrule", ListRule),
            ("retention_rule_id", "rrule", RetentionRule),
            ("order_time_rule_id", "otr", OrderTimeRule),
            ("hold_rule_id", "hrl", HoldRule),
        ):
            side.ids[name] = f"{prefix}_{session.scalars(select(rule.id).order_by(rule.id).limit(1)).one().hex}"

    def admission(self, session: Session, side: Side) -> None:
        """The cooperative's right and its draft, an application that waits for review, an agent and a county office."""
        seller = UUID(hex=side.ids["cooperative_id"][4:])
        granting.give(session, organisation_id=seller, begins=a.NOW.date(), ends=granting.NO_END, by=SYSTEM, now=a.NOW)
        applicant = a.an_organisation(
            session,
            Kind.COOPERATIVE,
            name=f"{side.canary}申请社",
            status="applying",
            selling_until=None,
            division_code=side.county,
        )
        waits = Application(
            organisation_id=applicant.id, purpose=Purpose.ADMISSION, status=ApplicationStatus.SUBMITTED, round=1,
            linkage=side.canary, steps=["agriculture"], step="agriculture", created_at=a.NOW, submitted_at=a.NOW,
        )  # fmt: skip
        session.add_all(
            [waits, Application(organisation_id=seller, purpose="renewal", linkage=side.canary, created_at=a.NOW)]
        )
        session.flush()
        office = a.an_organisation(session, Kind.COUNTY_REVIEWER, uscc=None, name=f"{side.canary}县局")
        for name, organisation, held in (
            ("agent", a.an_organisation(session, Kind.AGENT), COOPERATIVE_ROLES),
            ("helper at home", office, {Role.HELPER}),
        ):
            actor = a.a_member(session, organisation, roles=held)
            side.people[name] = Person(actor, logging_in.issue_token(session, user_id=actor.user_id)[0])
        reviewer = a.a_member(session, office, roles={Role.COUNTY_REVIEWER}, regions=(side.county,))
        side.people["county reviewer"] = Person(reviewer, logging_in.issue_token(session, user_id=reviewer.user_id)[0])
        side.ids |= {
            "application_id": f"app_{waits.id.hex}",
            "helper_id": f"usr_{actor.user_id.hex}",
            "helper_organisation_id": f"org_{office.id.hex}",
            "helper_membership_id": f"mem_{actor.membership_id.hex}",
        }

    def refund_to_send(self, session: Session, world: Any, listing_id: UUID) -> UUID:
        """What was paid by transfer for an order that was cancelled then."""
        placed = world.place({listing_id: 1}, terms="prepaid")
        charge = charging.request(
            session, actor=world.actor, order_id=placed.id, method=Method.BANK_TRANSFER, payment_method=None, now=a.NOW
        )
        charging.receive_transfer(
            session, reference=charge.reference, amount_fen=charge.amount_fen, payer_name="国库", by=SYSTEM, now=a.NOW
        )
        (part,) = placed.parts
        cancel_supplier_order(session, supplier_order_id=part.id, by=SYSTEM, reason="x", now=a.NOW)
        refunding.after_cancellation(session, supplier_order_id=part.id, now=a.NOW)
        return session.scalars(select(Refund.id).where(Refund.charge_id == charge.id)).one()

    def being_changed(self, session: Session, world: Any, listing_id: UUID, side: Side) -> tuple[UUID, UUID]:
        """A confirmed part with fewer packs proposed by its cooperative: both ids."""
        (part,) = journey.confirmed(world, {listing_id: 2})
        (line,) = journey.lines_of(session, part)
        fewer = ProposeChange(lines=[ChangeLineIn(line_id=line.id, packs=1)], reason=f"{side.canary}减产")
        seller = journey.seller_of(session, journey.part_of(session, part).cooperative_id)
        change = changing.propose(session, actor=seller, supplier_order_id=part, wanted=fewer, now=a.NOW)
        return part, change.id

    def to_be_paid(self, session: Session, world: Any, listing_id: UUID) -> UUID:
        """The notice of an order that waits for its money, and has more time to pay."""
        placed = world.place({listing_id: 1}, terms="prepaid")
        extending.extend(session, actor=world.actor, order_id=placed.id, reason="财政拨款在途", now=a.NOW)
        return charging.request(
            session, actor=world.actor, order_id=placed.id, method=Method.BANK_TRANSFER, payment_method=None, now=a.NOW
        ).id

    def paid_late(self, session: Session, world: Any, listing_id: UUID) -> UUID:
        """The part of an order that was paid when its supply was neither held nor there."""
        placed = world.place({listing_id: 1}, terms="prepaid")
        (part,) = placed.parts
        late = a.NOW + timedelta(days=4)
        holding_on.lapse(session, part_ids=[part.id], now=late)
        held = session.get_one(SupplierOrder, part.id, populate_existing=True)
        holding_on.open_choices(session, parts=[held], now=late)
        return part.id

    def staff(self, session: Session, organisation: Organisation, side: Side) -> None:
        """One person for each role of the organisation, and one who holds all that go together."""
        audience = AUDIENCE[Kind(organisation.kind)]
        wanted: dict[str, frozenset[Role]] = {role: frozenset({role}) for role in ROLES_OF[audience]}
        for name, held in (wanted | {"all": ROLES_OF[audience] - {Role.AUDITOR}}).items():
            regions = ("610000",) if name == Role.COUNTY_REVIEWER else ()
            actor = a.a_member(session, organisation, roles=held, regions=regions)
            token, _ = logging_in.issue_token(session, user_id=actor.user_id)
            if Role.AUDITOR in held:
                side.ids["mandate_id"] = f"mdt_{a.an_audit_mandate(session, actor).id.hex}"
            side.people[f"{audience} {name}"] = Person(actor, token)

    def ask_for_more(self, side: Side) -> None:
        """What only its route makes: a payment notice, a job, a webhook, a report run, an upload."""
        ids, buyer = side.ids, side.person(Audience.BUYER)
        path = f"/v1/buyer/supplier-orders/{ids['inspected_id']}/inspection"
        assert self.call("POST", path, buyer, {"accept_all": True}).status_code == 201
        note = self.call("GET", path, buyer).json["lines"][0]
        claimed = {"line_id": note["line_id"], "lot_id": note["lot_id"], "packs": 1, "reason": side.canary}
        body = {"kind": "return", "statement": side.canary, "lines": [claimed]}
        raised = self.call("POST", f"/v1/buyer/supplier-orders/{ids['inspected_id']}/claims", buyer, body)
        assert raised.status_code == 201, raised.json
        ids["claim_id"] = raised.json["id"]
        asked = self.call("POST", f"/v1/buyer/orders/{ids['order_id']}/documents", buyer, {})
        ids["job_id"] = asked.json["job"]["id"]
        hook = self.call(
            "POST", "/v1/me/webhooks", buyer, {"url": "https://example.com/hook", "kinds": ["order.placed"]}
        )
        assert hook.status_code == 201, hook.json
        ids["endpoint_id"] = hook.json["id"]
        invitation = {"phone": f"139{next(self.keys):08d}", "roles": ["requester"]}
        ids["invitation_id"] = self.call("POST", "/v1/me/organisation/invitations", buyer, invitation).json["id"]
        machine = {"name": f"{side.canary}机器", "scopes": ["account:read"], "expires_in_days": 30}
        ids["token_id"] = self.call("POST", "/v1/me/tokens", buyer, machine).json["id"]
        (session,) = self.call("GET", "/v1/me/sessions", buyer).json["items"]
        ids["session_id"] = session["id"]
        ids["own_membership_id"] = f"mem_{buyer.actor.membership_id.hex}"
        ids["membership_id"] = f"mem_{side.people[f'{Audience.BUYER} {Role.REQUESTER}'].actor.membership_id.hex}"
        ids["organisation_id"] = ids["buyer_id"]
        ids["user_id"] = f"usr_{buyer.actor.user_id.hex}"
        self.ask_for_requisitions(side)
        run = self.call("POST", "/v1/reports/runs", side.person(Audience.ADMIN), {"group_by": "month"})
        ids["run_id"] = run.json["id"]
        sheet = f"收货点,区划代码,详细地址,收货人及电话\n{side.canary}食堂,{a.HUANGPU},某路,某人\n".encode()
        headers = {"Authorization": f"Bearer {buyer.token}"}
        uploaded = self.client.post("/v1/buyer/imports/addresses", data=sheet, headers=headers)
        assert uploaded.status_code == 201, uploaded.json
        ids["import_id"] = uploaded.json["id"]
        seller = side.person(Audience.COOPERATIVE)
        sheet = f"商品编码,包装规格,单价(元)\n{side.canary}货号,10斤箱,40\n".encode()
        headers = {"Authorization": f"Bearer {seller.token}"}
        uploaded = self.client.post(f"/v1/cooperative/listing-imports?name={side.canary}", data=sheet, headers=headers)
        assert uploaded.status_code == 202, uploaded.json
        ids["listing_import_id"] = uploaded.json["id"]

    def ask_for_requisitions(self, side: Side) -> None:
        """One that waits for an approval, a rule and a delegation, of the buyer's."""
        ids, buyer = side.ids, side.person(Audience.BUYER)
        asker, other = (side.people[f"{Audience.BUYER} {role}"] for role in (Role.REQUESTER, Role.RECEIVER))
        wanted = BODIES["POST /v1/buyer/requisitions"] | {
            "lines": [{"listing_id": ids["listing_id"], "quantity": 1}], "delivery_address_id": ids["address_id"],
            "budget_unit_id": ids["budget_unit_id"], "reference": side.canary,
        }  # fmt: skip
        made = self.call("POST", "/v1/buyer/requisitions", asker, wanted)
        assert made.status_code == 201, made.json
        ids["requisition_id"] = made.json["id"]
        assert self.call("POST", f"/v1/buyer/requisitions/{made.json['id']}/submit", asker).status_code == 200
        kept = {"name": side.canary, "lines": [{"listing_id": ids["listing_id"], "quantity": 1}]}
        ids["list_id"] = self.call("POST", "/v1/buyer/requisition-lists", buyer, kept).json["id"]
        standing = (
            BODIES["POST /v1/buyer/standing-orders"]
            | {"reference": side.canary}
            | {
                name: ids[name.replace("delivery_", "")]
                for name in ("list_id", "budget_unit_id", "delivery_address_id")
            }
        )
        ids["standing_id"] = self.call("POST", "/v1/buyer/standing-orders", buyer, standing).json["id"]
        budget = BODIES["PUT /v1/buyer/budgets"] | {"budget_unit_id": ids["budget_unit_id"], "year": 2024}
        budget |= {"purpose": "union_welfare", "reason": side.canary}
        ids["budget_id"] = self.call("PUT", "/v1/buyer/budgets", buyer, budget).json["id"]
        ids["other_user_id"] = f"usr_{other.actor.user_id.hex}"
        ids["buyer_file_id"] = self.paper(buyer)
        rule = {"step": 1, "role": "manager", "from_fen": 0, "valid_from": "2024-10-15"}
        ids["rule_id"] = self.call("POST", "/v1/buyer/approval-rules", buyer, rule).json["id"]
        lent = BODIES["POST /v1/buyer/approval-delegations"] | {
            "from_user_id": ids["user_id"],
            "to_user_id": ids["other_user_id"],
        }
        ids["delegation_id"] = self.call("POST", "/v1/buyer/approval-delegations", buyer, lent).json["id"]

    def ask_for_agreements(self, side: Side) -> None:
        """What the side's buyer proposed to its cooperative."""
        ids, buyer = side.ids, side.person(Audience.BUYER)
        body = BODIES["POST /v1/buyer/agreements"] | {
            "reference": side.canary, "lines": [{"listing_id": ids["listing_id"], "unit_fen": 3900}],
        }  # fmt: skip
        made = self.call("POST", "/v1/buyer/agreements", buyer, body)
        assert made.status_code == 201, made.json
        ids["agreement_id"] = made.json["id"]

    def ask_for_prices(self, side: Side) -> None:
        """A report of the side's buyer, the alert that it led to, and a mapping of the platform."""
        ids, buyer, admin = side.ids, side.person(Audience.BUYER), side.person(Audience.ADMIN)
        body = BODIES["POST /v1/buyer/price-reports"] | {
            "listing_id": ids["listing_id"], "file_id": self.paper(buyer), "place": f"{side.canary}市场",
        }  # fmt: skip
        reported = self.call("POST", "/v1/buyer/price-reports", buyer, body)
        assert reported.status_code == 201, reported.json
        ids["report_id"] = reported.json["id"]
        queue = self.call("GET", "/v1/admin/price-alerts", admin).json["items"]
        (ids["alert_id"],) = (row["id"] for row in queue if row["listing_id"] == ids["listing_id"])
        path = f"/v1/admin/price-alerts/{ids['alert_id']}/take-up"
        assert self.call("POST", path, admin).status_code == 200
        row = {
            "group": "x", "name": "x", "unit": "元/斤", "month": "2024-09", "days": "9", "min_price": "1",
            "mean_price": "1", "max_price": "1",
        }  # fmt: skip
        with unit_of_work() as session:
            load_reference_prices(session, [row], market="x", place_code="610000", now=a.NOW)
        body = BODIES["POST /v1/admin/reference-mappings"] | {"name": side.canary}
        ids["mapping_id"] = self.call("POST", "/v1/admin/reference-mappings", admin, body).json["id"]

    def ask_for_mandates(self, side: Side) -> None:
        """Capacities and a document of the draft, the agent's mandate, and a helper who enters for the cooperative."""
        ids, seller = side.ids, side.person(Audience.COOPERATIVE)
        agent, at_home = side.people["agent"], side.people["helper at home"]
        capacities = {"items": [CAPACITY | {"evidence": side.canary}]}
        assert self.call("PUT", "/v1/cooperative/application/capacities", seller, capacities).status_code == 200
        path = "/v1/cooperative/application/documents?kind=licence&name=x.pdf"
        ids["document_id"] = self.call("POST", path, seller, PAPER).json["documents"][0]["id"]
        ids["file_id"] = self.paper(seller)
        path = f"/v1/cooperative/products/{ids['product_id']}/certificates"
        body = CERTIFICATE | {"number": "LB-0", "file_id": self.paper(seller)}
        made = self.call("POST", path, seller, body)
        assert made.status_code == 201, made.json
        ids["certificate_id"] = made.json["id"]
        body = BODIES["POST /v1/cooperative/agent-mandates"] | {"file_id": self.paper(agent)}
        body |= {"principal_name": None, "principal_id": ids["cooperative_id"], "products": [side.canary]}
        ids["agent_mandate_id"] = self.call("POST", "/v1/cooperative/agent-mandates", agent, body).json["id"]
        body = BODIES["POST /v1/cooperative/assist-mandates"] | {"file_id": self.paper(seller)}
        body |= {name: ids[name] for name in ("helper_id", "helper_organisation_id")}
        ids["assist_mandate_id"] = self.call("POST", "/v1/cooperative/assist-mandates", seller, body).json["id"]
        lent = self.call("POST", "/v1/auth/assist", at_home, {"mandate_id": ids["assist_mandate_id"]})
        home = at_home.actor
        helper = Actor(
            home.user_id, home.membership_id, seller.actor.organisation_id, Audience.COOPERATIVE, HELPER_ROLES,
            mandate_id=UUID(hex=ids["assist_mandate_id"][4:]), home_id=home.organisation_id,
        )  # fmt: skip
        side.people["helper"] = Person(helper, lent.json["token"])

    def paper(self, who: Person) -> str:
        """The id of a file that somebody uploaded and nothing names yet."""
        return str(self.call("POST", "/v1/me/files?name=x.pdf", who, PAPER).json["id"])

    def call(self, method: str, path: str, who: Person | None, body: Any = None, query: Any = None) -> Any:
        """The answer to a request; every request that writes has a key of its own. Bytes are sent as they are."""
        headers = {"Accept-Language": "en"}
        if who is not None:
            headers["Authorization"] = f"Bearer {who.token}"
        if method != "GET":
            headers |= {"Idempotency-Key": f"walk-{next(self.keys)}", "If-Match": '"1"'}
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        return self.client.open(path, method=method, headers=headers, query_string=query, **sent)


def checksum(session: Session) -> dict[str, str]:
    """What every table holds, but for the time of a token's last use and keys of requests."""
    from shop.models import metadata

    found = {}
    for table in metadata.sorted_tables:
        if table.name not in ("idempotency_key", "login_failure"):
            found[table.name] = session.scalar(
                text(
                    "SELECT md5(COALESCE(string_agg(row, ',' ORDER BY row), '')) FROM"
                    f" (SELECT (to_jsonb(t) - 'last_used_at')::text AS row FROM {table.name} t) r"
                )
            )
    return found


def organisations_of(side: Side) -> set[UUID]:
    return {UUID(hex=side.ids[name][4:]) for name in ("buyer_id", "cooperative_id")}
