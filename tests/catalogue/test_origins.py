"""Where goods may come from: a seller's own county, what its admission was extended to, an agent's principal's."""

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from shop.accounts.models import Kind
from shop.accounts.models_mandates import AgentMandate
from shop.accounts.service.applying import CountyNotAdmitted
from shop.catalogue.service.origins import OriginNotYours, may_come_from
from shop.clock import business_day
from shop.db import unit_of_work
from shop.errors import Invalid
from shop.files.models import StoredFile
from shop.ids import new_id
from shop.regions.models import Division, EligibilityMember
from tests import builders as a
from tests.catalogue.market import Market, a_body

TODAY = business_day(a.NOW)
PATH = "/v1/cooperative/listings"


@pytest.fixture
def market(committed: str) -> Market:
    return Market()


def refused(market: Market, name: str = "seller", **more: Any) -> tuple[int, str, str]:
    answer = market.ask(name, "POST", PATH, a_body(**more))
    assert answer.status_code >= 400, answer.json
    return answer.status_code, answer.json["code"], answer.json["errors"][0]["pointer"]


def test_a_county_cooperative_lists_no_goods_of_beijing_and_its_product_stays_where_it_is(market: Market) -> None:
    with unit_of_work() as session:
        a.a_division(session, "110101", "东城区", "county")
    first = market.listed(code="apple")
    for origin in ("110101", "110000", "999999"):
        status, code, pointer = refused(market, code="apple", origin_code=origin)
        assert (code, pointer) in (("county_not_admitted", "/product/origin_code"), ("invalid", "/product/origin_code"))
        assert status in (409, 422)
    assert market.get(f"{PATH}/{first['id']}", "seller") == first


def test_goods_of_another_county_on_the_list_are_another_sellers(market: Market) -> None:
    answer = market.ask("seller", "POST", PATH, a_body(origin_code=a.YANCHI))
    assert (answer.status_code, answer.json["code"]) == (409, "origin_not_yours")
    assert answer.json["counties"] == [a.LUOCHUAN]
    assert market.submitted("rival", origin_code=a.YANCHI)["product"]["tags"] == ["poverty_832"]


def test_an_operator_extends_an_admission_to_a_county_that_a_list_admits(market: Market) -> None:
    path = f"/v1/admin/sellers/{market.seller_id}/origins"
    paper = {"valid_from": f"{TODAY}", "valid_to": f"{TODAY + timedelta(days=30)}", "document": "县函〔2024〕8号"}
    made = market.post("operator", path, {"county_code": a.YANCHI, **paper})
    assert made == market.get("/v1/cooperative/origins", "seller")
    assert [origin["county_code"] for origin in made["items"]] == [a.YANCHI]
    assert market.submitted(origin_code=a.YANCHI)["status"] == "in_review"
    again = market.ask("operator", "POST", path, {"county_code": a.YANCHI, **paper})
    assert (again.status_code, again.json["code"]) == (409, "origin_granted")
    other = market.ask("operator", "POST", path, {"county_code": a.LUOCHUAN, **paper})
    assert (other.status_code, other.json["code"]) == (409, "county_not_admitted")
    buyer = f"org_{market.actors['buyer'].organisation_id.hex}"
    stranger = market.ask("operator", "POST", f"/v1/admin/sellers/{buyer}/origins", {"county_code": a.YANCHI, **paper})
    assert stranger.status_code == 404
    backwards = market.ask("operator", "POST", path, {"county_code": a.YANCHI, **paper, "valid_to": f"{TODAY}"})
    assert (backwards.status_code, backwards.json["errors"][0]["pointer"]) == (422, "/valid_to")


def test_a_product_is_listed_again_only_while_its_county_may_be_named(market: Market) -> None:
    first = market.listed("rival", origin_code=a.YANCHI)
    body = a_body() | {"product_id": first["product_id"]}
    del body["product"]
    assert market.ask("rival", "POST", PATH, body).status_code == 201
    with unit_of_work() as session:
        session.execute(delete(EligibilityMember))
    answer = market.ask("rival", "POST", PATH, body)
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (409, "/product_id")


def may(session: Session, seller: Any, county: str, mandate: Any = None) -> None:
    may_come_from(session, organisation_id=seller.id, county=county, mandate_id=mandate, on=TODAY, pointer="/x")


def a_county(session: Session, code: str) -> None:
    a.a_division(session, code, "县", "county")


def test_a_list_that_lapsed_does_not_end_the_trade_of_who_was_admitted_by_it(session: Session) -> None:
    a_county(session, a.LUOCHUAN)
    a.on_a_list(session, a.LUOCHUAN, valid=Range(date(2012, 6, 14), date(2024, 1, 1)))
    seller = a.an_organisation(session, Kind.COOPERATIVE)
    may(session, seller, a.LUOCHUAN)
    other = a.an_organisation(session, Kind.COOPERATIVE, division_code=a.YANCHI)
    a.an_origin(session, other, a.LUOCHUAN)
    with pytest.raises(CountyNotAdmitted):
        may(session, other, a.LUOCHUAN)


def test_a_county_that_was_recoded_is_still_the_sellers_own(session: Session) -> None:
    a_county(session, a.LUOCHUAN)
    a_county(session, "610699")
    session.execute(
        update(Division).where(Division.code == a.LUOCHUAN).values(valid_to=date(2023, 1, 1), successor_code="610699")
    )
    seller = a.an_organisation(session, Kind.COOPERATIVE)
    may(session, seller, "610699")
    with pytest.raises(Invalid):
        may(session, seller, a.LUOCHUAN)


def a_mandate(session: Session, agent: Any, **principal: Any) -> Any:
    file = StoredFile(
        id=new_id(), organisation_id=agent.id, name="x", media_type="application/pdf", size=1, sha256=b"x"
    )
    session.add(file)
    session.flush()
    made = AgentMandate(
        agent_id=agent.id, products=["苹果"], valid=Range(date(2024, 1, 1), None), file_id=file.id, created_at=a.NOW,
        **principal,
    )  # fmt: skip
    session.add(made)
    session.flush()
    return made.id


def test_an_agent_lists_what_grows_in_the_county_of_its_principal(session: Session) -> None:
    for county in (a.LUOCHUAN, a.YANCHI, a.TONGWEI):
        a_county(session, county)
    a.on_a_list(session, a.TONGWEI)
    agent = a.an_organisation(session, Kind.AGENT, division_code=a.YANCHI)
    grower = a.an_organisation(session, Kind.COOPERATIVE)
    mandate = a_mandate(session, agent, principal_id=grower.id, confirmed_at=a.NOW)
    may(session, agent, a.LUOCHUAN, mandate)
    with pytest.raises(CountyNotAdmitted):
        may(session, agent, a.YANCHI, mandate)
    with pytest.raises(OriginNotYours):
        may(session, agent, a.TONGWEI, mandate)
    unknown = a_mandate(session, agent, principal_name="李家农场")
    may(session, agent, a.TONGWEI, unknown)
    with pytest.raises(CountyNotAdmitted):
        may(session, agent, a.LUOCHUAN, unknown)
