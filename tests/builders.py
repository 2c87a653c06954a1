"""A small world for tests, made of rows: places, parties, goods. Each builder gives the row it made."""

from datetime import UTC, date, datetime
from itertools import count
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from shop.accounts.models import AUDIENCE, Address, BudgetUnit, Kind, Membership, Organisation, User
from shop.accounts.service.granting import NO_END
from shop.accounts.uscc import check_character
from shop.actor import ADMIN_ROLES, BUYER_ROLES, COOPERATIVE_ROLES, SYSTEM, Actor, Audience, Role
from shop.catalogue.models import Listing, OriginGrant, Product
from shop.db import sees
from shop.freight.models import Lane
from shop.ids import new_id
from shop.regions.models import Division, EligibilityMember, Pairing
from shop.stock.models import Lot, Supply

NOW = datetime(2024, 10, 15, 2, 0, tzinfo=UTC)
LUOCHUAN, YANCHI, TONGWEI = "610629", "640323", "621121"
HUANGPU, SHANGHAI = "310101", "310000"
serial = count(1)


def an_organisation(session: Session, kind: Kind = Kind.BUDGET_UNIT, **more: Any) -> Organisation:
    number = next(serial)
    body = f"92110000MA{number:07d}"
    fields: dict[str, Any] = {
        "kind": kind,
        "name": f"（测试）单位{number}",
        "name_en": f"Test party {number}",
        "uscc": body + check_character(body),
        "division_code": HUANGPU if AUDIENCE[kind] is Audience.BUYER else LUOCHUAN,
        "created_at": NOW,
        "selling_until": NO_END if AUDIENCE[kind] is Audience.COOPERATIVE else None,
    }
    made = Organisation(**fields | more)
    session.add(made)
    session.flush()
    return made


PASSWORD = "correct horse battery"


def password_hash() -> str:
    """The hash of PASSWORD."""
    from shop.accounts.service.passwords import hash_of

    return hash_of(PASSWORD)


def a_member(session: Session, organisation: Organisation, **more: Any) -> Actor:
    """A person with every role of the organisation's audience that goes with others, as the Actor of their requests.

    `logs_in` gives the person PASSWORD; `user` names one who is a person already.
    """
    audience = AUDIENCE[Kind(organisation.kind)]
    all_roles = {
        Audience.BUYER: BUYER_ROLES,
        Audience.COOPERATIVE: COOPERATIVE_ROLES,
        Audience.ADMIN: ADMIN_ROLES - {Role.AUDITOR},
    }
    roles = frozenset(more.pop("roles", all_roles[audience]))
    limit = more.pop("order_limit_fen", 10**9)
    regions = more.pop("regions", ())
    user = more.pop("user", None) or User(
        email=more.pop("email", f"person{next(serial)}@example.com"),
        phone=more.pop("phone", None),
        name="测试员",
        password_hash=password_hash() if more.pop("logs_in", False) else "not a hash",
    )
    session.add(user)
    session.flush()
    membership = Membership(
        user_id=user.id,
        organisation_id=organisation.id,
        roles=sorted(roles),
        order_limit_fen=limit,
        regions=list(regions),
    )
    session.add(membership)
    session.flush()
    return Actor(user.id, membership.id, organisation.id, audience, frozenset(map(Role, roles)), limit, tuple(regions))


def behind(session: Session, actor: Actor | None, now: datetime = NOW) -> tuple[Actor, datetime] | None:
    """What the edge finds behind a credential, for tests that name their actor: it sees what that actor may see."""
    if actor is None:
        return None
    sees(session, None if actor.audience is Audience.ADMIN else actor.organisation_id)
    return actor, now


def an_audit_mandate(session: Session, actor: Actor, *regions: str) -> Any:
    """Let an auditor read in this year and the ones around it."""
    from shop.accounts.service import auditing

    return auditing.grant_mandate(
        session, by=SYSTEM, membership_id=actor.membership_id, regions=regions, start=date(2020, 1, 1),
        end=date(2030, 1, 1), document="审计通知书〔2024〕1号", now=NOW,
    )  # fmt: skip


def a_budget_unit(session: Session, organisation: Organisation, funding_code: str = HUANGPU) -> BudgetUnit:
    made = BudgetUnit(
        organisation_id=organisation.id, name="（测试）预算单位", finance_level="county", funding_code=funding_code
    )
    session.add(made)
    session.flush()
    return made


def an_address(session: Session, organisation: Organisation, division_code: str = HUANGPU) -> Address:
    made = Address(
        organisation_id=organisation.id, division_code=division_code, line="（测试）某路 1 号", contact="收货人"
    )
    session.add(made)
    session.flush()
    return made


def a_division(session: Session, code: str, name: str, level: str, parent: str | None = None) -> Division:
    made = Division(code=code, valid_from=date(1996, 1, 1), name=name, name_en=name, level=level, parent_code=parent)
    session.add(made)
    session.flush()
    return made


def on_a_list(session: Session, county: str, listed: str = "poverty_832", **more: Any) -> EligibilityMember:
    fields: dict[str, Any] = {"name_as_designated": county, "valid": Range(date(2012, 6, 14), None)}
    made = EligibilityMember(list=listed, county_code=county, **fields | more)
    session.add(made)
    session.flush()
    return made


def an_origin(session: Session, seller: Organisation, county: str, **more: Any) -> OriginGrant:
    """A county that a seller's admission was extended to."""
    fields: dict[str, Any] = {
        "valid": Range(date(2024, 1, 1), None), "document": "县函〔2024〕1号", "granted_by": new_id(),
        "granted_at": NOW,
    }  # fmt: skip
    made = OriginGrant(organisation_id=seller.id, county_code=county, **fields | more)
    session.add(made)
    session.flush()
    return made


def a_pairing(session: Session, east: str, west: str, **more: Any) -> Pairing:
    fields: dict[str, Any] = {
        "scheme": "east_west",
        "level": "province" if west.endswith("0000") else "prefecture" if west.endswith("00") else "county",
        "round": "2021",
        "east_code": east,
        "west_code": west,
        "valid": Range(date(2021, 4, 1), None),
        "shared": False,
    }
    made = Pairing(**fields | more)
    session.add(made)
    session.flush()
    return made


def a_lane(session: Session, from_code: str = "610000", to_code: str = SHANGHAI, **more: Any) -> Lane:
    fields: dict[str, Any] = {
        "from_code": from_code,
        "to_code": to_code,
        "storage": "ambient",
        "distance_km": 1400,
        "days": 3,
        "rate_fen_per_tonne": 60_000,
        "minimum_fen": 2_000,
        "source": "test",
        "valid": Range(date(2016, 1, 1), None),
    }
    made = Lane(**fields | more)
    session.add(made)
    session.flush()
    return made


def a_product(session: Session, cooperative: Organisation, name: str = "洛川苹果", **more: Any) -> Product:
    fields: dict[str, Any] = {
        "cooperative_id": cooperative.id,
        "code": f"p{next(serial)}",
        "name": name,
        "name_en": "Luochuan apple",
        "category": "fruit",
        "origin_code": LUOCHUAN,
        "storage": "ambient",
        "shelf_life_days": 90,
        "grade": "一级",
        "spec": "80mm",
        "tags": [],
        "created_at": NOW,
    }
    made = Product(**fields | more)
    session.add(made)
    session.flush()
    return made


def a_listing(session: Session, product: Product, **more: Any) -> Listing:
    fields: dict[str, Any] = {
        "product_id": product.id,
        "cooperative_id": product.cooperative_id,
        "status": "listed",
        "pack_name": "10斤箱",
        "base_unit": "g",
        "pack_base_quantity": 5000,
        "pack_grams": 5000,
        "min_packs": 1,
        "step_packs": 1,
        "max_packs": 100_000,
        "price_fen": 4_000,
        "tiers": [[1, 4_000], [100, 3_800]],
        "season_from": 1,
        "season_to": 12,
        "category": product.category,
        "storage": product.storage,
        "origin_code": product.origin_code,
        "province_code": product.origin_code[:2] + "0000",
        "card": '{"id":"lst_x"',
        "listed_at": NOW,
    }
    made = Listing(**fields | more)
    session.add(made)
    session.flush()
    return made


def a_supply(session: Session, listing: Listing, packs: int = 1000, **more: Any) -> Supply:
    quantity = packs * listing.pack_base_quantity
    fields: dict[str, Any] = {
        "listing_id": listing.id,
        "cooperative_id": listing.cooperative_id,
        "ready_from": date(2024, 9, 1),
        "ready_to": date(2025, 6, 1),
        "promised": quantity,
        "open": quantity,
        "created_at": NOW,
    }
    made = Supply(**fields | more)
    session.add(made)
    session.flush()
    return made


def a_lot(session: Session, product: Product, quantity: int, **more: Any) -> Lot:
    """A lot with the movement that received it, both in base units."""
    from shop.stock.models import Movement

    fields: dict[str, Any] = {
        "product_id": product.id,
        "cooperative_id": product.cooperative_id,
        "code": f"L{next(serial)}",
        "harvested_on": date(2024, 10, 1),
        "best_before": date(2025, 3, 1),
        "received": quantity,
        "in_store": quantity,
        "created_at": NOW,
    }
    made = Lot(**fields | more)
    session.add(made)
    session.flush()
    session.add(Movement(lot_id=made.id, kind="received", quantity=quantity, at=NOW))
    session.flush()
    return made


class World:
    """A buyer in Shanghai that may place orders, and a lane from Shaanxi; `offer` adds a cooperative with goods.

    Without `roads` it is one more buyer in a world whose pairing and lane are there.
    """

    def __init__(self, session: Session, *, credit_fen: int = 10**12, roads: bool = True) -> None:
        from shop.ledger.models import CreditLimit

        self.session = session
        if roads:
            self.pairing = a_pairing(session, SHANGHAI, "610000")
            a_lane(session)
        self.buyer = an_organisation(session)
        self.actor = a_member(session, self.buyer)
        self.unit = a_budget_unit(session, self.buyer)
        self.address = an_address(session, self.buyer)
        session.add(CreditLimit(organisation_id=self.buyer.id, limit_fen=credit_fen))
        session.flush()

    def offer(self, packs: int = 1000, *, lots: int | None = None, **listing: Any) -> Listing:
        cooperative = an_organisation(self.session, Kind.COOPERATIVE)
        product = a_product(self.session, cooperative)
        made = a_listing(self.session, product, **listing)
        if packs:
            a_supply(self.session, made, packs)
        if lots:
            a_lot(self.session, product, lots * made.pack_base_quantity)
        return made

    def wanted(self, lines: dict[UUID, int], terms: str = "on_terms") -> Any:
        from shop.orders.schemas import OrderLineIn, PlaceOrder

        return PlaceOrder(
            lines=[OrderLineIn(listing_id=listing, quantity=packs) for listing, packs in lines.items()],
            delivery_address_id=self.address.id,
            budget_unit_id=self.unit.id,
            purpose="canteen",
            payment_terms=terms,
        )

    def place(self, lines: dict[UUID, int], terms: str = "on_terms", now: datetime = NOW) -> Any:
        from shop.orders.service.placing import place

        return place(self.session, actor=self.actor, wanted=self.wanted(lines, terms), now=now)


def an_id() -> UUID:
    return new_id()
