"""For which units an institution may order: its own, and those of a mandate in force."""

from datetime import date
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from shop.accounts.models import Kind
from shop.accounts.models_units import BuyingMandate, MandateExpired, OrganisationNotActive, UnitClosed
from shop.db import unit_of_work
from shop.errors import NotFound
from shop.facts.models import Fact
from shop.ledger.models import CreditLimit
from shop.orders.models import Order
from tests import builders as a
from tests.accounts.town import Town, a_unit
from tests.builders import World


@pytest.fixture
def world(session: Session) -> World:
    return World(session)


def a_caterer(world: World, kind: Kind = Kind.ENTERPRISE) -> Any:
    """Another organisation in the place of the world's buyer; gives the organisation that has the unit."""
    owner = world.buyer
    world.buyer = a.an_organisation(world.session, kind)
    world.actor = a.a_member(world.session, world.buyer)
    world.session.add(CreditLimit(organisation_id=world.buyer.id, limit_fen=10**9))
    world.session.flush()
    return owner


def a_mandate(world: World, first: date, last: date | None, **more: Any) -> BuyingMandate:
    fields = {"kind": "caterer", "status": "active", "document": "合同", "created_at": a.NOW} | more
    made = BuyingMandate(unit_id=world.unit.id, organisation_id=world.buyer.id, valid=Range(first, last), **fields)
    world.session.add(made)
    world.session.flush()
    return made


@pytest.mark.parametrize("kind", ["caterer", "union"])
def test_an_order_under_a_mandate_counts_for_the_unit_and_goes_to_either(
    world: World, session: Session, kind: str
) -> None:
    listing = world.offer()
    a_caterer(world, Kind.ENTERPRISE if kind == "caterer" else Kind.TRADE_UNION)
    a_mandate(world, date(2024, 10, 15), date(2024, 10, 16), kind=kind)
    theirs = world.place({listing.id: 1})
    world.address = a.an_address(session, world.buyer)
    ours = world.place({listing.id: 1})
    orders = session.scalars(select(Order).where(Order.id.in_([theirs.id, ours.id]))).all()
    assert {(order.buyer_id, order.budget_unit_id) for order in orders} == {(world.buyer.id, world.unit.id)}
    facts = session.scalars(select(Fact)).all()
    assert {(fact.budget_unit_id, fact.funding_code) for fact in facts} == {(world.unit.id, a.HUANGPU)}


@pytest.mark.parametrize(
    ("first", "last", "status"),
    [
        (date(2024, 1, 1), date(2024, 10, 15), "active"),
        (date(2024, 10, 16), None, "active"),
        (date(2024, 1, 1), None, "ended"),
    ],
)
def test_a_mandate_that_is_not_in_force_is_refused_by_name(
    world: World, first: date, last: date | None, status: str
) -> None:
    listing = world.offer()
    a_caterer(world)
    a_mandate(world, first, last, status=status)
    with pytest.raises(MandateExpired):
        world.place({listing.id: 1})


@pytest.mark.parametrize("status", ["proposed", "declined", None])
def test_what_was_never_given_is_as_missing(world: World, status: str | None) -> None:
    listing = world.offer()
    a_caterer(world)
    if status:
        a_mandate(world, date(2024, 1, 1), None, status=status, kind="union")
    with pytest.raises(NotFound):
        world.place({listing.id: 1})


def test_under_a_mandate_nothing_goes_to_a_stranger_s_place(world: World, session: Session) -> None:
    listing = world.offer()
    a_caterer(world)
    a_mandate(world, date(2024, 1, 1), None)
    world.address = a.an_address(session, a.an_organisation(session))
    with pytest.raises(NotFound):
        world.place({listing.id: 1})


@pytest.mark.parametrize("status", ["applying", "suspended"])
def test_an_organisation_that_is_not_active_cannot_order(world: World, session: Session, status: str) -> None:
    listing = world.offer()
    session.execute(text("UPDATE organisation SET status = :s WHERE id = :id"), {"s": status, "id": world.buyer.id})
    with pytest.raises(OrganisationNotActive):
        world.place({listing.id: 1})


def test_a_closed_unit_takes_no_orders_and_a_retired_address_is_as_missing(world: World, session: Session) -> None:
    listing = world.offer()
    world.unit.status = "closed"
    session.flush()
    with pytest.raises(UnitClosed):
        world.place({listing.id: 1})
    world.unit.status, world.address.retired_at = "open", a.NOW
    session.flush()
    with pytest.raises(NotFound):
        world.place({listing.id: 1})


@pytest.mark.usefixtures("committed")
def test_the_caterer_of_an_outsourced_canteen_orders_under_the_unit_over_http() -> None:
    town = Town()
    unit = town.join("school", budget_unit=a_unit("一中"))
    body = {"division_code": a.HUANGPU, "line": "某路1号", "contact": "食堂"}
    address = town.post("school", "/v1/buyer/addresses", body)["id"]
    town.register("caterer", kind="enterprise")
    with unit_of_work() as session:
        listing = World(session).offer()
    order = {
        "lines": [{"listing_id": f"lst_{listing.id.hex}", "quantity": 1}],
        "delivery_address_id": address,
        "budget_unit_id": unit,
        "purpose": "canteen",
        "payment_terms": "prepaid",
    }

    def place(key: str, name: str = "caterer") -> Any:
        return town.ask(name, "POST", "/v1/buyer/orders", order, headers={"Idempotency-Key": key})

    queue = town.get("operator", "/v1/admin/registrations?status=submitted")["items"]
    assert place("not approved").get_json()["code"] == "not_found"
    town.post("operator", f"/v1/admin/registrations/{queue[0]['id']}/approve")
    mandate = {"unit_id": unit, "uscc": town.codes["caterer"], "from": "2024-10-01", "document": "食堂承包合同"}
    assert town.refused("caterer", "/v1/buyer/mandates", mandate)[0] == 404
    given = town.post("school", "/v1/buyer/mandates", mandate)
    assert town.refused("school", "/v1/buyer/mandates", mandate) == (422, "invalid", "/from")
    me = town.get("caterer", "/v1/me")
    assert ([row["id"] for row in me["budget_units"]], [row["id"] for row in me["delivery_addresses"]]) == (
        [unit],
        [address],
    )
    placed = place("approved")
    assert placed.status_code == 201, placed.text
    shown = town.get("caterer", f"/v1/buyer/orders/{placed.get_json()['id']}")
    assert shown["budget_unit_id"] == unit
    with unit_of_work() as session:
        assert {f"unit_{key.hex}" for key in session.scalars(select(Fact.budget_unit_id))} == {unit}
    town.post("school", f"/v1/buyer/mandates/{given['id']}/end")
    town.join("other caterer", kind="enterprise")
    assert place("never given", "other caterer").get_json()["code"] == "not_found"
    given = town.post("school", "/v1/buyer/mandates", mandate | {"uscc": town.codes["other caterer"]})
    town.post("school", f"/v1/buyer/mandates/{given['id']}/end")
    assert place("ended before any order", "other caterer").get_json()["code"] == "mandate_expired"
    assert town.get("other caterer", "/v1/me")["delivery_addresses"] == []
    assert place("ended").get_json()["code"] == "mandate_expired"
    assert town.get("caterer", "/v1/me")["budget_units"] == []
