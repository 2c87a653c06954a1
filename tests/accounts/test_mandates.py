"""Helpers who enter for cooperatives, and agents who sell for principals, over HTTP."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text

from shop.accounts.models import Kind, Membership
from shop.accounts.service import ending
from shop.actor import Role
from shop.audit.models import AuditEntry
from shop.db import unit_of_work
from tests import builders as a
from tests.accounts.county import PDF, County, a_capacity, a_decision, a_listing_body
from tests.accounts.test_admission import APPLICATION, ship, sweep
from tests.outbox.helpers import work
from workers.sweeps import drop_files

LISTINGS = "/v1/cooperative/listings"
ASSIST = "/v1/cooperative/assist-mandates"
AGENT = "/v1/cooperative/agent-mandates"


def an_assist(county: County, file_id: str, /, **more: Any) -> dict[str, Any]:
    body = {
        "helper_id": f"usr_{county.actors['helper'].user_id.hex}",
        "helper_organisation_id": f"org_{county.office.id.hex}",
        "valid_from": "2024-10-15",
        "valid_to": "2024-11-15",
        "file_id": file_id,
    }
    return body | more


def helped(county: County, giver: str = "seller", **more: Any) -> str:
    """A mandate of the giver's cooperative to the helper, who then acts as `for <giver>`; gives its id."""
    mandate = county.post(giver, ASSIST, an_assist(county, county.file(giver), **more))["id"]
    county.tokens[f"for {giver}"] = county.post("helper", "/v1/auth/assist", {"mandate_id": mandate})["token"]
    return str(mandate)


def an_agency(county: County, file_id: str, /, **more: Any) -> dict[str, Any]:
    body = {
        "principal_name": "赵家果园",
        "products": ["洛川苹果"],
        "valid_from": "2024-10-15",
        "valid_to": "2024-12-15",
        "file_id": file_id,
    }
    return {key: value for key, value in (body | more).items() if value is not None}


def test_a_helper_lists_for_a_cooperative_and_both_stand_on_the_act(county: County) -> None:
    seller = county.seller("seller")
    mandate = helped(county)
    me = county.get("for seller", "/v1/me")
    assert (me["organisation"]["id"], me["roles"]) == (seller, ["lister", "shipper"])
    listing = county.post("for seller", LISTINGS, a_listing_body())
    assert listing["cooperative_id"] == seller
    helper = county.actors["helper"]
    with unit_of_work() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "listing.submitted")).one()
        assert (entry.user_id, entry.organisation_id) == (helper.user_id, county.actors["seller"].organisation_id)
        assert (entry.home_organisation_id, entry.mandate_id) == (county.office.id, UUID(hex=mandate[4:]))
    (shown,) = county.get("operator", "/v1/admin/audit?action=listing.submitted")["items"]
    assert (shown["home_organisation_id"], shown["mandate_id"]) == (f"org_{county.office.id.hex}", mandate)
    csv = county.ask("operator", "GET", "/v1/admin/audit.csv?action=listing.submitted").get_data(as_text=True)
    assert county.office.id.hex in csv
    assert mandate[4:] in csv
    county.post("seller", f"{ASSIST}/{mandate}/revoke")
    county.post("seller", f"{ASSIST}/{mandate}/revoke")
    assert county.refused("for seller", "GET", "/v1/me")[:2] == (401, "unauthenticated")
    assert county.refused("helper", "POST", "/v1/auth/assist", {"mandate_id": mandate})[:2] == (
        409,
        "assist_mandate_ended",
    )


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/cooperative/ledger", None),
        ("GET", "/v1/cooperative/reports/procurement?group_by=month", None),
        ("POST", ASSIST, {}),
        ("POST", AGENT, {}),
        ("POST", "/v1/me/files?name=x.pdf", b"%PDF-"),
        ("POST", "/v1/me/webhooks", {"url": "https://example.com", "kinds": ["order.placed"]}),
        ("POST", "/v1/me/notices/read", {"ids": [f"ntc_{'0' * 32}"]}),
    ],
)
def test_a_helper_has_no_part_in_money_people_and_settings(county: County, method: str, path: str, body: Any) -> None:
    county.seller("seller")
    helped(county)
    assert county.refused("for seller", method, path, body)[:2] == (403, "helper_not_allowed")


def test_a_machine_does_not_enter_for_a_cooperative(county: County) -> None:
    county.seller("seller")
    mandate = helped(county)
    with unit_of_work() as session:
        session.execute(
            text(
                "UPDATE api_token SET kind = 'machine', name = 'x', scopes = '{account:write}'"
                " WHERE assist_mandate_id IS NULL AND membership_id = :helper"
            ),
            {"helper": county.actors["helper"].membership_id},
        )
    asked = {"mandate_id": mandate}
    assert county.refused("helper", "POST", "/v1/auth/assist", asked)[:2] == (403, "forbidden")


def test_a_helper_who_left_and_comes_back_enters_for_nobody_by_the_old_mandate(county: County) -> None:
    county.seller("seller")
    mandate = helped(county)
    helper = county.actors["helper"]
    with unit_of_work() as session:
        member = session.get_one(Membership, helper.membership_id)
        ending.end_memberships(session, [member], by=county.actors["operator"], reason="调离", now=a.NOW)
    with unit_of_work() as session:  # as accepting a second invitation does
        session.execute(text("UPDATE membership SET ended_at = NULL"))
        county.enter(session, "helper", helper)
    assert county.ask("for seller", "GET", "/v1/me").status_code == 401
    asked = {"mandate_id": mandate}
    assert county.refused("helper", "POST", "/v1/auth/assist", asked)[:2] == (409, "assist_mandate_ended")


def test_a_helper_logs_out_of_the_cooperative_alone(county: County) -> None:
    county.seller("seller")
    helped(county)
    assert county.ask("for seller", "POST", "/v1/auth/logout").status_code == 204
    assert county.ask("for seller", "GET", "/v1/me").status_code == 401
    assert county.ask("helper", "GET", "/v1/me").status_code == 200


def test_a_mandate_is_asked_at_each_request(county: County) -> None:
    county.seller("seller")
    mandate = helped(county)
    seller = county.actors["seller"].organisation_id
    for statement, undone in (
        ("UPDATE organisation SET status = 'closed' WHERE id = :seller", "SET status = 'active'"),
        ("UPDATE membership SET roles = '{analyst}' WHERE user_id = :helper", "SET roles = '{helper}'"),
        ("UPDATE person SET status = 'closed' WHERE id = :helper", "SET status = 'active'"),
    ):
        given = {"seller": seller, "helper": county.actors["helper"].user_id}
        table, _, where = statement.removeprefix("UPDATE ").partition(" SET ")
        with unit_of_work() as session:
            session.execute(text(statement), given)
        assert county.ask("for seller", "GET", "/v1/me").status_code == 401
        with unit_of_work() as session:
            session.execute(text(f"UPDATE {table} {undone} {where[where.index('WHERE') :]}"), given)
        assert county.ask("for seller", "GET", "/v1/me").status_code == 200
    county.move_to(datetime(2024, 11, 14, 16, 0, tzinfo=UTC))  # midnight in Beijing
    assert county.ask("for seller", "GET", "/v1/me").status_code == 401
    assert county.refused("helper", "POST", "/v1/auth/assist", {"mandate_id": mandate})[1] == "assist_mandate_ended"


def test_a_helper_works_on_while_the_cooperative_is_suspended(county: County) -> None:
    seller = county.seller("seller")
    mandate = helped(county)
    listing = county.listed("seller")
    part = county.done(county.order(listing))["supplier_orders"][0]["id"]
    county.post("operator", f"/v1/admin/sellers/{seller}/suspend", {"reason": "抽检不合格"})
    ship(county, part, listing, "for seller")
    assert county.post("helper", "/v1/auth/assist", {"mandate_id": mandate})["token"]


def test_a_helper_never_touches_the_papers_of_the_bank_account(county: County) -> None:
    county.applied()
    county.filled_in()
    helped(county, "applicant")
    documents = {one["kind"]: one["id"] for one in county.get("applicant", APPLICATION)["documents"]}
    path = f"{APPLICATION}/documents"
    told = (403, "bank_paper_by_helper", ["/query/kind"])
    assert county.refused("for applicant", "POST", f"{path}?kind=bank_permit&name=x.pdf", PDF + b"2") == told
    assert county.refused("for applicant", "DELETE", f"{path}/{documents['bank_permit']}")[1] == told[1]
    assert {one["kind"]: one["id"] for one in county.get("applicant", APPLICATION)["documents"]} == documents
    county.done(county.ask("for applicant", "DELETE", f"{path}/{documents['licence']}"))
    county.done(county.document("for applicant", "licence", PDF + b"2"))


def test_a_paper_that_a_mandate_names_stays_when_its_document_is_removed(county: County) -> None:
    county.applied(kind="agent")
    county.document("applicant", "commission")
    (document,) = county.get("applicant", APPLICATION)["documents"]
    county.post("applicant", AGENT, an_agency(county, document["file"]["id"]))
    county.post("applicant", ASSIST, an_assist(county, document["file"]["id"]))
    other = county.file("applicant")
    with unit_of_work() as session:
        session.execute(text("UPDATE stored_file SET expires_at = now() WHERE id = :id"), {"id": UUID(other[5:])})
    county.done(county.ask("applicant", "DELETE", f"{APPLICATION}/documents/{document['id']}"))
    drop_files()
    with unit_of_work() as session:
        kept = session.execute(text("SELECT id, expires_at FROM stored_file")).all()
    assert kept == [(UUID(document["file"]["id"][5:]), None)]


def test_a_mandate_begins_on_its_first_day(county: County) -> None:
    county.seller("seller")
    body = an_assist(county, county.file("seller"), valid_from="2024-10-20")
    mandate = county.post("seller", ASSIST, body)["id"]
    asked = {"mandate_id": mandate}
    assert county.refused("helper", "POST", "/v1/auth/assist", asked)[:2] == (409, "assist_mandate_ended")
    county.move_to(datetime(2024, 10, 20, tzinfo=UTC))
    assert county.post("helper", "/v1/auth/assist", asked)["token"]


def test_who_may_not_help(county: County) -> None:
    county.seller("seller")
    county.seller("rival")
    paper = county.file("seller")
    no_helper = f"usr_{county.actors['agriculture'].user_id.hex}"
    for more, expected in (
        ({"helper_id": no_helper}, (404, "not_found", ["/helper_id"])),
        ({"valid_to": "2024-10-15"}, (422, "invalid", ["/valid_to"])),
        ({"valid_from": "2024-09-01", "valid_to": "2024-10-01"}, (422, "invalid", ["/valid_to"])),
        ({"valid_to": "2034-10-15"}, (422, "invalid", ["/valid_to"])),
        ({"file_id": county.file("rival")}, (404, "not_found", ["/file_id"])),
    ):
        assert county.refused("seller", "POST", ASSIST, an_assist(county, paper, **more)) == expected
    mandate = county.post("seller", ASSIST, an_assist(county, paper))["id"]
    assert county.ask("rival", "POST", f"{ASSIST}/{mandate}/revoke").status_code == 404
    assert county.ask("yanchi", "POST", f"/v1/admin/assist-mandates/{mandate}/revoke").status_code == 404
    asked = {"mandate_id": mandate}
    assert county.refused("agriculture", "POST", "/v1/auth/assist", asked)[:2] == (403, "forbidden")
    assert county.refused("seller", "POST", "/v1/auth/assist", asked)[:2] == (404, "not_found")
    with unit_of_work() as session:
        other = a.a_member(session, county.office, roles={Role.HELPER})
        county.enter(session, "other helper", other)
    assert county.refused("other helper", "POST", "/v1/auth/assist", asked) == (404, "not_found", ["/mandate_id"])
    assert [item["id"] for item in county.get("helper", "/v1/admin/assist-mandates")["items"]] == [mandate]
    assert county.get("other helper", "/v1/admin/assist-mandates")["items"] == []
    assert county.get("yanchi", "/v1/admin/assist-mandates")["items"] == []
    assert county.get("rival", ASSIST)["items"] == []
    assert county.post("agriculture", f"/v1/admin/assist-mandates/{mandate}/revoke")["revoked"]


def test_a_county_gives_the_mandate_where_nobody_can_log_in(county: County) -> None:
    with unit_of_work() as session:
        silent = a.an_organisation(session, Kind.COOPERATIVE)
    path = "/v1/admin/assist-mandates"
    body = an_assist(county, county.file("agriculture")) | {
        "cooperative_id": f"org_{silent.id.hex}",
        "reason": "社员不会使用电脑",
    }
    theirs = body | {"file_id": county.file("yanchi")}
    assert county.refused("yanchi", "POST", path, theirs) == (404, "not_found", ["/cooperative_id"])
    heard = body | {"cooperative_id": county.seller("seller")}
    assert county.refused("agriculture", "POST", path, heard) == (409, "members_can_log_in", ["/cooperative_id"])
    own = body | {"file_id": county.file("helper")}
    assert county.refused("helper", "POST", path, own) == (422, "invalid", ["/helper_id"])
    mandate = county.post("agriculture", path, body)
    assert mandate["reason"] == "社员不会使用电脑"
    county.tokens["for silent"] = county.post("helper", "/v1/auth/assist", {"mandate_id": mandate["id"]})["token"]
    assert county.post("for silent", LISTINGS, a_listing_body())["status"] == "in_review"


def test_a_helper_fills_in_an_application_and_never_recommends_it(county: County) -> None:
    made = county.applied()
    helped(county, "applicant")
    county.filled_in("for applicant")
    county.done(county.document("applicant", "bank_permit"))
    county.post("for applicant", "/v1/cooperative/application/submit")
    path = f"/v1/admin/applications/{made}/review"
    assert county.refused("helper", "POST", path, a_decision())[:2] == (403, "own_recommendation")
    assert county.approved(made)["status"] == "approved"


def test_who_recommended_a_cooperative_never_enters_for_it(county: County) -> None:
    made = county.submitted()
    county.done(county.decide("helper", made))
    body = an_assist(county, county.file("applicant"))
    assert county.refused("applicant", "POST", ASSIST, body) == (403, "own_recommendation", ["/helper_id"])


def test_an_agent_lists_what_a_mandate_in_force_names(county: County) -> None:
    county.seller("agent", Kind.AGENT)
    county.seller("grower")
    assert county.refused("agent", "POST", LISTINGS, a_listing_body())[:2] == (409, "mandate_expired")
    county.post("agent", AGENT, an_agency(county, county.file("agent")))
    listing = county.listed("agent", code="apple")
    assert county.order(listing).status_code == 201
    pears = a_listing_body(name="洛川梨")
    assert county.refused("agent", "POST", LISTINGS, pears)[:2] == (409, "mandate_expired")
    for name, found in (("agriculture", [listing]), ("revitalisation", [listing]), ("yanchi", [])):
        assert [one["id"] for one in county.get(name, "/v1/admin/listings?status=listed")["items"]] == found, name

    grower = f"org_{county.actors['grower'].organisation_id.hex}"
    body = an_agency(county, county.file("agent"), principal_name=None, principal_id=grower, products=["洛川梨"])
    mandate = county.post("agent", AGENT, body)
    assert not mandate["confirmed"]
    assert county.refused("agent", "POST", LISTINGS, pears)[1] == "mandate_expired"
    assert county.ask("agent", "POST", f"{AGENT}/{mandate['id']}/confirm").status_code == 404
    for _ in range(2):
        assert county.post("grower", f"{AGENT}/{mandate['id']}/confirm")["confirmed"]
    waiting = county.post("agent", LISTINGS, pears)
    for _ in range(2):
        assert county.post("grower", f"{AGENT}/{mandate['id']}/revoke")["revoked"]
    assert county.refused("grower", "POST", f"{AGENT}/{mandate['id']}/confirm")[:2] == (409, "wrong_mandate_status")
    review = f"/v1/admin/listings/{waiting['id']}/review"
    assert county.refused("operator", "POST", review, {"decision": "approve"})[:2] == (409, "mandate_expired")
    county.move_to(datetime(2024, 12, 15, tzinfo=UTC))
    assert county.refused("agent", "POST", LISTINGS, a_listing_body())[1] == "mandate_expired"


def test_an_agent_sells_no_longer_than_its_mandate(county: County) -> None:
    county.seller("agent", Kind.AGENT)
    county.seller("grower")
    paper = county.file("agent")
    body = an_agency(county, paper, principal_name=None, principal_id=seller_id(county, "grower"))
    first = county.post("agent", AGENT, body)["id"]
    county.post("grower", f"{AGENT}/{first}/confirm")
    listing = county.listed("agent")
    assert county.order(listing).status_code == 201
    county.post("grower", f"{AGENT}/{first}/revoke")
    assert not_selling(county, listing)
    assert county.get("", f"/v1/public/listings/{listing}")["id"] == listing  # until the worker hears of it
    assert "catalogue.follow_mandate" in work("catalogue.", "notices.tell")
    assert county.ask("", "GET", f"/v1/public/listings/{listing}").status_code == 404
    assert county.get("agent", "/v1/me/notices")["items"][0]["subject"] == first

    other = an_agency(county, paper)  # of somebody else, who sells the same
    county.post("agent", AGENT, other)
    assert not_selling(county, listing)
    again = county.post("agent", AGENT, body | {"valid_from": "2024-10-20"})["id"]
    county.post("grower", f"{AGENT}/{again}/confirm")
    assert not_selling(county, listing)
    county.move_to(datetime(2024, 10, 19, 16, 0, tzinfo=UTC))  # midnight in Beijing
    assert county.order(listing).status_code == 201
    sweep()
    work("catalogue.")
    assert county.get("", f"/v1/public/listings/{listing}")["id"] == listing
    county.move_to(datetime(2024, 12, 14, 16, 0, tzinfo=UTC))
    assert not_selling(county, listing)
    sweep()
    sweep()
    work("catalogue.", "notices.tell")
    assert county.get("", "/v1/public/listings")["items"] == []
    told = [(item["kind"], item["subject"]) for item in county.get("agent", "/v1/me/notices")["items"]]
    assert told.count(("agent_mandate.expired", again)) == 1


def seller_id(county: County, name: str) -> str:
    return f"org_{county.actors[name].organisation_id.hex}"


def not_selling(county: County, listing: str) -> bool:
    answer = county.order(listing)
    return [error["code"] for error in answer.get_json().get("errors", [])] == ["not_selling"]


def test_whose_mandate_is_none(county: County) -> None:
    agent, buyer = county.seller("agent", Kind.AGENT), county.actors["buyer"].organisation_id
    county.seller("grower")
    assert county.refused("grower", "POST", AGENT, an_agency(county, county.file("grower")))[:2] == (
        409,
        "not_an_agent",
    )
    paper = county.file("agent")
    for more, status in (
        ({"principal_name": None, "principal_id": agent}, 404),
        ({"principal_name": None, "principal_id": f"org_{buyer.hex}"}, 404),
        ({"principal_name": None}, 422),
        ({"products": []}, 422),
        ({"valid_to": "2024-10-01"}, 422),
        ({"file_id": county.file("grower")}, 404),
    ):
        assert county.ask("agent", "POST", AGENT, an_agency(county, paper, **more)).status_code == status
    mandate = county.post("agent", AGENT, an_agency(county, paper))["id"]
    assert county.ask("grower", "POST", f"{AGENT}/{mandate}/revoke").status_code == 404
    assert county.get("grower", AGENT)["items"] == []
    assert [item["id"] for item in county.get("agent", AGENT)["items"]] == [mandate]


def test_sales_beyond_the_declared_capacity_are_flagged_and_not_stopped(county: County) -> None:
    made = county.applied()
    county.filled_in()
    small = a_capacity(area_mu_hundredths=100, yield_grams=50_000, grams_per_year=50_000)  # ten packs
    county.put("applicant", "/v1/cooperative/application/capacities", {"items": [small]})
    county.post("applicant", "/v1/cooperative/application/submit")
    county.approved(made)
    within = county.post("applicant", LISTINGS, a_listing_body(max_packs=10))
    assert within["review_note"] is None
    listing = county.post("operator", f"/v1/admin/listings/{within['id']}/review", {"decision": "approve"})
    raised = county.ask(
        "applicant", "PATCH", f"{LISTINGS}/{listing['id']}", {"max_packs": 11}, If_Match=str(listing["revision"])
    )
    assert (raised.get_json()["status"], "50000" in raised.get_json()["review_note"]) == ("in_review", True)
    county.post("operator", f"/v1/admin/listings/{within['id']}/review", {"decision": "approve"})
    beyond = county.post("applicant", LISTINGS, a_listing_body(name="洛川梨", max_packs=1))
    assert "not declared" in beyond["review_note"]

    county.supply("applicant", listing["id"], packs=10)
    assert county.get("operator", "/v1/admin/capacity-flags")["items"] == []
    county.supply("applicant", listing["id"], packs=1)
    for _ in range(2):
        assert county.order(listing["id"], 6).status_code in (201, 409)
    with unit_of_work() as session:
        told = session.execute(text("SELECT payload FROM event WHERE kind = 'capacity.exceeded'")).scalars().all()
        assert [(payload["declared_grams"], payload["promised_grams"]) for payload in told] == [(50_000, 55_000)]
        session.execute(text("UPDATE fact SET posted_no = 1 WHERE measure = 'ordered'"))
    (flag,) = county.get("agriculture", "/v1/admin/capacity-flags")["items"]
    assert (flag["declared_grams"], flag["ordered_grams"], flag["promised_grams"]) == (50_000, 30_000, 55_000)
    assert county.get("operator", "/v1/admin/capacity-flags?year=2025")["items"] == []
    county.supply("applicant", beyond["id"], packs=1)
    flags = county.get("agriculture", "/v1/admin/capacity-flags")["items"]
    assert [
        (one["product_name"], one["declared_grams"], one["promised_grams"])
        for one in flags
        if not one["declared_grams"]
    ] == [("洛川梨", None, 5000)]
    assert county.get("yanchi", "/v1/admin/capacity-flags")["items"] == []
