"""From nothing to selling, over HTTP: application, steps, right, suspension, expiry, re-check."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from shop.accounts.models import Kind, Organisation
from shop.accounts.models_admission import StepRule
from shop.accounts.schemas_admission import CapacityIn, Category
from shop.accounts.service import granting, registering
from shop.accounts.service.applying import grams_of
from shop.actor import SYSTEM
from shop.catalogue.models import CATEGORIES
from shop.db import in_unit_of_work, unit_of_work
from shop.ledger.service import PLATFORM_ID
from shop.outbox.models import Event
from shop.regions.models import EligibilityMember
from tests import builders as a
from tests.accounts import people
from tests.accounts.county import (
    DOCUMENTS,
    JPEG,
    PDF,
    County,
    a_capacity,
    a_decision,
    a_listing_body,
    a_return,
    an_application,
)
from tests.application import a_client
from tests.catalogue.market import statements
from tests.outbox.helpers import work
from workers import catalogue
from workers.subscriptions import SUBSCRIPTIONS
from workers.sweeps import drop_files, pass_selling_time

APPLICATION = "/v1/cooperative/application"
PUBLIC = "/v1/public/applications"


def faults(answer: Any) -> list[str]:
    assert answer.status_code == 409, answer.text
    return [error["code"] for error in answer.get_json()["errors"]]


def events(kind: str) -> int:
    with unit_of_work() as session:
        return len(session.scalars(select(Event.id).where(Event.kind == kind)).all())


def sweep() -> None:
    while in_unit_of_work(pass_selling_time):
        pass


def follow(kind: str) -> None:
    """Let the worker hear of every event of a kind."""
    with unit_of_work() as session:
        for payload in session.scalars(select(Event.payload).where(Event.kind == kind)).all():
            assert catalogue.follow_right in SUBSCRIPTIONS[kind]
            catalogue.follow_right(session, organisation_id=UUID(hex=payload["organisation_id"]))


def test_a_cooperative_comes_from_nothing_to_selling(county: County) -> None:
    made = county.applied()
    lacking = {gap["pointer"] for gap in county.get("applicant", APPLICATION)["missing"]}
    assert lacking == {"/capacities", *(f"/documents/{kind}" for kind in DOCUMENTS)}
    assert county.refused("applicant", "POST", f"{APPLICATION}/submit")[:2] == (409, "application_incomplete")
    assert county.refused("applicant", "POST", "/v1/cooperative/listings", a_listing_body())[:2] == (
        409,
        "no_selling_right",
    )
    county.filled_in()
    assert county.post("applicant", f"{APPLICATION}/submit")["step"] == "agriculture"
    assert [item["id"] for item in county.get("agriculture", "/v1/admin/applications?step=agriculture")["items"]] == [
        made
    ]

    returned = county.done(county.decide("agriculture", made, **a_return()))
    assert (returned["status"], returned["step"]) == ("returned", None)
    (said,) = county.get("applicant", APPLICATION)["reviews"]
    assert said["fields"] == [{"pointer": "/capacities/0/evidence", "reason": "请补充"}]
    assert (said["officer_name"], said["office"]) == ("李科长", "洛川县农业农村局")
    county.put("applicant", f"{APPLICATION}/capacities", {"items": [a_capacity(evidence="合同与照片")]})
    assert county.post("applicant", f"{APPLICATION}/submit")["round"] == 2

    photo = county.file("agriculture", JPEG)
    county.done(county.decide("agriculture", made, photo_file_ids=[photo]))
    county.done(county.decide("revitalisation", made, step="revitalisation"))
    approved = county.done(county.decide("operator", made, step="platform"))
    assert approved["status"] == "approved"
    assert [photo["media_type"] for photo in approved["reviews"][1]["photos"]] == ["image/jpeg"]
    shown = county.get("applicant", APPLICATION)["reviews"][1]["photos"]  # the office's file
    assert county.client.get(shown[0]["link"]).data == JPEG
    right = county.get("applicant", "/v1/cooperative/selling-right")
    assert (right["organisation"]["status"], right["selling_until"]) == ("active", "2025-10-15")
    assert right["right"]["number"] == "XS-2024-000001"

    listing = county.listed()
    order = county.order(listing)
    assert order.status_code == 201, order.text
    part = order.get_json()["supplier_orders"][0]["id"]
    seller = right["organisation"]["id"]

    county.post("operator", f"/v1/admin/sellers/{seller}/suspend", {"reason": "抽检不合格"})
    assert faults(county.order(listing)) == ["not_selling"]
    assert county.get("", f"/v1/public/listings/{listing}")["id"] == listing  # until the worker hears of it
    follow("selling_right.suspended")
    assert county.ask("", "GET", f"/v1/public/listings/{listing}").status_code == 404
    assert faults(county.order(listing)) == ["not_selling"]
    assert county.refused("applicant", "POST", "/v1/cooperative/listings", a_listing_body())[1] == "no_selling_right"
    ship(county, part, listing)

    county.post("operator", f"/v1/admin/sellers/{seller}/reinstate", {"reason": "整改完成"})
    assert county.order(listing).status_code == 201
    follow("selling_right.reinstated")
    follow("selling_right.suspended")  # late, or once more: what stands now counts
    assert county.get("", f"/v1/public/listings/{listing}")["id"] == listing
    county.move_to(datetime(2025, 10, 14, 15, 59, tzinfo=UTC))  # the last minute of the last day in Beijing
    assert county.order(listing).status_code == 201
    county.move_to(datetime(2025, 10, 14, 16, 0, tzinfo=UTC))
    assert faults(county.order(listing)) == ["not_selling"]
    sweep()
    follow("selling_right.expired")
    assert county.get("", "/v1/public/listings")["items"] == []
    history = county.get("operator", f"/v1/admin/sellers/{seller}/selling-right")["history"]
    assert [entry["what"] for entry in history] == ["expired", "reinstated", "suspended", "granted"]


def ship(county: County, part: str, listing: str, name: str = "applicant") -> None:
    """Accept, pack and ship a supplier order of two packs."""
    with unit_of_work() as session:  # the order is on terms: what the worker would confirm
        session.execute(text("UPDATE supplier_order SET status = 'confirmed' WHERE status = 'placed'"))
    county.post(name, f"/v1/cooperative/supplier-orders/{part}/accept")
    lot = {
        "listing_id": listing,
        "code": "L1",
        "harvested_on": "2024-10-10",
        "best_before": "2024-12-10",
        "packs": 5,
    }
    county.post(name, "/v1/cooperative/lots", lot)
    county.post(name, f"/v1/cooperative/supplier-orders/{part}/pack")
    county.post(name, f"/v1/cooperative/supplier-orders/{part}/ship", {"carrier": "simulated"})


def test_the_yearly_re_check_follows_the_right_that_runs(county: County) -> None:
    county.applied()
    county.filled_in()
    county.document("applicant", "licence", PDF + b" dated", valid_until="2025-08-01")
    county.post("applicant", f"{APPLICATION}/submit")
    county.approved(county.get("applicant", APPLICATION)["id"])
    assert county.refused("applicant", "POST", f"{APPLICATION}/begin-again")[:2] == (409, "renewal_not_due")
    county.move_to(datetime(2025, 9, 14, tzinfo=UTC))
    sweep()
    assert events("selling_right.reminded") == 0
    county.move_to(datetime(2025, 9, 15, tzinfo=UTC))
    sweep()
    sweep()
    assert events("selling_right.reminded") == 1
    again = county.post("applicant", f"{APPLICATION}/begin-again")
    assert (again["purpose"], len(again["capacities"]), len(again["documents"])) == ("renewal", 1, 5)
    assert county.refused("applicant", "POST", f"{APPLICATION}/begin-again")[1] == "application_open"
    county.post("applicant", f"{APPLICATION}/submit")
    county.approved(again["id"])
    right = county.get("applicant", "/v1/cooperative/selling-right")
    assert (right["right"]["valid_from"], right["selling_until"]) == ("2025-10-15", "2026-10-15")
    county.move_to(datetime(2025, 10, 16, tzinfo=UTC))
    sweep()
    assert events("selling_right.expired") == 0
    county.move_to(datetime(2026, 10, 15, tzinfo=UTC))
    sweep()
    assert events("selling_right.expired") == 1


def test_a_suspension_with_an_end_lifts_itself_and_a_revoked_seller_applies_anew(county: County) -> None:
    county.approved(county.submitted())
    seller = county.get("applicant", "/v1/cooperative/selling-right")["organisation"]["id"]
    path = f"/v1/admin/sellers/{seller}"
    past = {"reason": "x", "until": "2024-10-15"}
    assert county.refused("operator", "POST", f"{path}/suspend", past) == (422, "invalid", ["/until"])
    county.post("operator", f"{path}/suspend", {"reason": "投诉", "until": "2024-10-20"})
    assert county.refused("operator", "POST", f"{path}/suspend", {"reason": "投诉"})[1] == "wrong_selling_status"
    county.move_to(datetime(2024, 10, 20, tzinfo=UTC))
    sweep()
    assert county.get("operator", f"{path}/selling-right")["organisation"]["status"] == "active"
    assert county.refused("operator", "POST", f"{path}/reinstate", {"reason": "x"})[1] == "wrong_selling_status"
    county.post("operator", f"{path}/suspend", {"reason": "造假"})
    revoked = county.post("operator", f"{path}/revoke", {"reason": "造假"})
    assert (revoked["selling_until"], revoked["suspension"]) == (None, None)
    assert county.refused("operator", "POST", f"{path}/revoke", {"reason": "x"})[1] == "wrong_selling_status"
    again = county.post("applicant", f"{APPLICATION}/begin-again")
    assert again["purpose"] == "admission"
    county.post("applicant", f"{APPLICATION}/submit")
    county.approved(again["id"])
    right = county.get("applicant", "/v1/cooperative/selling-right")
    assert (right["right"]["valid_from"], right["selling_until"]) == ("2024-10-20", "2025-10-20")


@pytest.mark.parametrize(
    ("party", "expected"),
    [
        ({"uscc": "93610629MA5000001X"}, (422, "invalid", ["/organisation/uscc"])),
        ({"division_code": "610600"}, (422, "invalid", ["/organisation/division_code"])),
        ({"division_code": a.YANCHI}, (409, "county_not_admitted", ["/organisation/division_code"])),
        ({"kind": "platform"}, (422, "invalid", ["/organisation/kind"])),
    ],
)
def test_an_application_that_cannot_begin_names_why(county: County, party: dict[str, str], expected: Any) -> None:
    assert county.refused("", "POST", "/v1/public/applications", an_application(**party)) == expected
    with unit_of_work() as session:
        assert session.scalars(select(Organisation.id).where(Organisation.status == "applying")).all() == []


def test_a_code_begins_one_application_once_somebody_came_in(county: County) -> None:
    body = an_application()
    county.applied(**body["organisation"])
    assert county.refused("", "POST", "/v1/public/applications", body)[2] == ["/organisation/uscc"]


def test_an_application_whose_link_nobody_used_makes_way_for_another_with_its_code(county: County) -> None:
    body = an_application()
    first = county.post("", PUBLIC, body)
    mistyped = people.link_of(body["member"]["contact"])
    second = county.post("", PUBLIC, body | {"member": {"contact": "head@example.org"}})
    assert first["organisation_id"] != second["organisation_id"]
    late = people.anybody().post(
        "/v1/auth/invitations/accept", json={"token": mistyped, "name": "王社长", "password": people.PASSWORD}
    )
    assert people.code(late) == (410, "invitation_gone")
    assert people.come_in("head@example.org").json["organisation_id"] == second["organisation_id"]


def test_of_many_who_apply_with_one_code_at_once_one_is_left(county: County) -> None:
    body = an_application()
    bodies = [body | {"member": {"contact": f"head{n}@example.org"}} for n in range(4)]
    with ThreadPoolExecutor(len(bodies)) as pool:
        answers = list(pool.map(lambda one: a_client().post(PUBLIC, json=one).status_code, bodies))
    assert set(answers) <= {201, 422}
    assert 201 in answers
    with unit_of_work() as session:
        assert len(session.scalars(select(Organisation.id).where(Organisation.status == "applying")).all()) == 1


def test_the_queue_costs_the_same_however_long_it_is(county: County) -> None:
    def cost() -> int:
        with statements() as sent:
            county.get("operator", "/v1/admin/applications")
        return len(sent)

    county.submitted()
    cost()  # the token's first use is noted
    one = cost()
    for place in range(3):
        county.submitted(f"applicant{place}")
    assert cost() == one


def test_what_follows_a_right_costs_the_same_for_any_number_of_listings(county: County) -> None:
    seller = UUID(hex=county.seller("seller")[4:])

    def cost(status: str) -> int:
        with unit_of_work() as session:
            session.execute(update(Organisation).where(Organisation.id == seller).values(status=status))
        with statements() as sent, unit_of_work() as session:
            catalogue.follow_right(session, organisation_id=seller)
        return len(sent)

    county.listed("seller")
    one = cost("suspended"), cost("active")
    for _ in range(2):
        county.listed("seller")
    assert (cost("suspended"), cost("active")) == one
    with unit_of_work() as session:
        kept = session.execute(text("SELECT action, count(*) FROM audit_entry GROUP BY action")).all()
        assert {kind: count for kind, count in kept if kind in ("listing.paused", "listing.resumed")} == {
            "listing.paused": 4,
            "listing.resumed": 4,
        }


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(area=st.integers(1, 10**9), grams=st.integers(1, 10**8))
def test_land_times_yield_is_the_same_here_and_in_the_database(session: Session, area: int, grams: int) -> None:
    expected = session.scalar(text("SELECT (2 * CAST(:a AS bigint) * :g + 100) / 200"), {"a": area, "g": grams})
    item = CapacityIn(**a_capacity(area_mu_hundredths=area, yield_grams=grams, grams_per_year=0))
    assert grams_of(item) == expected
    assert abs(100 * grams_of(item) - area * grams) <= 50


def test_a_seller_is_told_of_its_application_and_its_right(county: County) -> None:
    made = county.submitted()
    county.done(county.decide("agriculture", made, **a_return()))
    county.post("applicant", f"{APPLICATION}/submit")
    county.approved(made)
    work("notices.tell", "catalogue.")
    seller = county.get("applicant", "/v1/me")["organisation"]["id"]
    told = county.get("applicant", "/v1/me/notices")["items"]
    assert [(notice["kind"], notice["subject"]) for notice in told] == [
        ("selling_right.granted", seller),
        ("application.returned", made),
    ]


def test_a_list_that_lapses_ends_admission_only_when_its_rule_says_so(county: County) -> None:
    with unit_of_work() as session:
        session.execute(update(EligibilityMember).values(valid=Range(date(2012, 6, 14), date(2024, 10, 15))))
    assert county.refused("", "POST", "/v1/public/applications", an_application())[1] == "county_not_admitted"


@pytest.mark.parametrize(
    ("items", "pointers"),
    [
        ([a_capacity(grams_per_year=241_000_001)], ["/items/0/grams_per_year"]),
        ([a_capacity(), a_capacity()], ["/items/1/product_name"]),
        ([a_capacity(heads=5)], ["/items/0/area_mu_hundredths", "/items/0/heads"]),
        ([a_capacity(area_mu_hundredths=None)], ["/items/0/area_mu_hundredths", "/items/0/heads"]),
        ([a_capacity(category="gold")], ["/items/0/category"]),
        ([], ["/items"]),
    ],
)
def test_a_capacity_is_size_times_yield(county: County, items: list[Any], pointers: list[str]) -> None:
    county.applied()
    answer = county.refused("applicant", "PUT", f"{APPLICATION}/capacities", {"items": items})
    assert answer == (422, "invalid", pointers)


def test_heads_count_like_land(county: County) -> None:
    county.applied()
    sheep = a_capacity(
        product_name="盐池滩羊", category="meat", area_mu_hundredths=None, heads=300, yield_grams=18_000,
        grams_per_year=5_400_000,
    )  # fmt: skip
    found = county.put("applicant", f"{APPLICATION}/capacities", {"items": [sheep, a_capacity()]})
    assert sum(capacity["grams_per_year"] for capacity in found["capacities"]) == 246_400_000


@pytest.mark.parametrize(
    ("kind", "data", "query", "expected"),
    [
        ("licence", b"<html>not a paper</html>", {}, (415, "unsupported_file")),
        ("licence", b"", {}, (422, "invalid")),
        ("diploma", PDF, {}, (422, "invalid")),
        ("licence", PDF, {"valid_until": "2024-10-15"}, (422, "invalid")),
        ("licence", PDF + b"0" * 5_000_000, {}, (413, "request_entity_too_large")),
    ],
)
def test_a_document_that_is_none_is_refused(
    county: County, kind: str, data: bytes, query: dict[str, str], expected: tuple[int, str]
) -> None:
    county.applied()
    answer = county.document("applicant", kind, data, **query)
    assert (answer.status_code, answer.get_json()["code"]) == expected
    assert county.get("applicant", APPLICATION)["documents"] == []


def test_a_document_is_added_once_handed_out_as_an_attachment_and_removed(county: County) -> None:
    county.applied()
    data = b"\x89PNG\r\n\x1a\n" + b"0" * 2_000_000
    for _ in range(2):
        path = f"{APPLICATION}/documents?kind=licence&name=../../etc/passwd"
        county.done(county.ask("applicant", "POST", path, data))
    (document,) = county.get("applicant", APPLICATION)["documents"]
    assert document["file"]["media_type"] == "image/png"
    answer = county.client.get(document["file"]["link"])
    assert answer.data == data
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    drop_files()  # the second upload is nobody's
    with unit_of_work() as session:
        assert session.scalar(text("SELECT count(*) FROM stored_file")) == 1
    county.done(county.ask("applicant", "DELETE", f"{APPLICATION}/documents/{document['id']}"))
    assert county.ask("applicant", "DELETE", f"{APPLICATION}/documents/{document['id']}").status_code == 404
    assert county.get("applicant", APPLICATION)["documents"] == []
    drop_files()
    with unit_of_work() as session:
        assert session.scalar(text("SELECT count(*) FROM stored_file")) == 0


def test_who_sells_processed_food_and_who_is_an_agent_shows_more(county: County) -> None:
    county.applied(kind="agent")
    county.filled_in(category="processed")
    lacking = [gap["pointer"] for gap in county.get("applicant", APPLICATION)["missing"]]
    assert lacking == ["/documents/commission", "/documents/food_licence"]
    assert county.refused("applicant", "POST", f"{APPLICATION}/submit") == (409, "application_incomplete", lacking)


def test_an_application_that_is_handed_in_stays_as_it_is(county: County) -> None:
    county.submitted()
    for method, path, body in (
        ("PATCH", APPLICATION, {"linkage": "x"}),
        ("PUT", f"{APPLICATION}/capacities", {"items": [a_capacity()]}),
        ("POST", f"{APPLICATION}/documents?kind=licence&name=x.pdf", PDF),
        ("POST", f"{APPLICATION}/submit", {}),
    ):
        assert county.refused("applicant", method, path, body)[:2] == (409, "wrong_application_status")


def test_what_was_returned_is_corrected_and_a_name_changes_before_admission_only(county: County) -> None:
    made = county.applied()
    county.patch("applicant", APPLICATION, {"name": "洛川新社", "linkage": "分红"})
    wrong = {"division_code": a.YANCHI}
    assert county.refused("applicant", "PATCH", APPLICATION, wrong)[:2] == (409, "county_not_admitted")
    county.filled_in()
    county.post("applicant", f"{APPLICATION}/submit")
    assert county.approved(made)["organisation"]["name"] == "洛川新社"
    county.move_to(a.NOW + timedelta(days=330))
    county.post("applicant", f"{APPLICATION}/begin-again")
    assert county.refused("applicant", "PATCH", APPLICATION, {"name": "又一社"})[1] == "wrong_application_status"


def test_another_county_sees_nothing_and_an_office_above_sees_it(county: County) -> None:
    made = county.submitted()
    for method, path, body in (
        ("GET", f"/v1/admin/applications/{made}", None),
        ("POST", f"/v1/admin/applications/{made}/review", a_decision()),
    ):
        assert county.refused("yanchi", method, path, body)[:2] == (404, "not_found")
    assert county.get("yanchi", "/v1/admin/applications")["items"] == []
    assert county.get("revitalisation", f"/v1/admin/applications/{made}")["id"] == made
    seller = county.get("applicant", "/v1/cooperative/selling-right")["organisation"]["id"]
    assert county.ask("yanchi", "GET", f"/v1/admin/sellers/{seller}/selling-right").status_code == 404
    assert county.ask("agriculture", "GET", f"/v1/admin/sellers/{seller}/selling-right").status_code == 200
    assert county.ask("buyer", "GET", f"/v1/admin/applications/{made}").status_code == 404
    for name, found in (("agriculture", 1), ("revitalisation", 1), ("yanchi", 0)):
        people = county.get(name, f"/v1/admin/members?organisation_id={seller}")["items"]
        assert len(people) == found, name
    draft = county.applied("another")
    assert county.ask("agriculture", "GET", f"/v1/admin/applications/{draft}").status_code == 404


def test_each_step_has_its_office_and_its_own_officer(county: County) -> None:
    made = county.submitted()
    path = f"/v1/admin/applications/{made}/review"
    assert county.refused("operator", "POST", path, a_decision())[:2] == (403, "not_your_step")
    assert county.refused("agriculture", "POST", path, a_decision(step="platform"))[:2] == (409, "step_not_open")
    assert county.refused("agriculture", "POST", path, a_decision(step="nowhere")) == (422, "invalid", ["/step"])
    assert county.refused("agriculture", "POST", path, a_decision(round=2)) == (422, "invalid", ["/round"])
    assert county.refused("agriculture", "POST", path, a_decision(decision="return"))[:2] == (422, "invalid")
    county.done(county.decide("agriculture", made))
    assert county.refused("agriculture", "POST", path, a_decision())[:2] == (409, "step_decided")
    again = a_decision(step="revitalisation")
    assert county.refused("agriculture", "POST", path, again)[:2] == (409, "officer_decided_before")
    theirs = county.file("buyer")
    photo = again | {"photo_file_ids": [theirs]}
    assert county.refused("revitalisation", "POST", path, photo) == (404, "not_found", ["/photo_file_ids"])
    county.done(county.decide("revitalisation", made, step="revitalisation"))
    assert county.refused("agriculture", "POST", path, a_decision(step="platform"))[:2] == (403, "not_your_step")


@pytest.mark.parametrize(
    ("pointer", "there"),
    [
        ("/linkage", True),
        ("/organisation/name", True),
        ("/name", True),
        ("/capacities/0/evidence", True),
        ("/capacities", True),
        ("/documents/licence", True),
        ("/documents/4/valid_until", True),
        ("/documents/5", False),
        ("/capacities/1/evidence", False),
        ("/capacities/0/colour", False),
        ("/linkage/0", False),
        ("/nowhere", False),
        ("/documents/diploma", False),
    ],
)
def test_an_officer_points_at_what_the_application_shows(county: County, pointer: str, there: bool) -> None:
    made = county.submitted()
    answer = county.decide("agriculture", made, **a_return(pointer))
    if there:
        assert answer.status_code == 200, answer.text
    else:
        assert [one["pointer"] for one in answer.get_json()["errors"]] == ["/fields/0/pointer"]


def test_everybody_reads_which_counties_sell(county: County) -> None:
    assert county.get("", "/v1/public/counties")["items"] == []
    county.approved(county.submitted())
    county.seller("seller")
    county.submitted("waiting")
    assert county.get("", "/v1/public/counties")["items"] == [{"code": a.LUOCHUAN, "name": "洛川县", "sellers": 2}]
    county.move_to(datetime(2025, 10, 15, tzinfo=UTC))
    assert [row["sellers"] for row in county.get("", "/v1/public/counties")["items"]] == [1]


def test_a_return_from_a_later_step_begins_again_with_the_first(county: County) -> None:
    made = county.submitted()
    county.done(county.decide("agriculture", made))
    county.done(county.decide("revitalisation", made, **a_return("/linkage", step="revitalisation")))
    county.patch("applicant", APPLICATION, {"linkage": "改为保底收购"})
    found = county.post("applicant", f"{APPLICATION}/submit")
    assert (found["round"], found["step"]) == (2, "agriculture")
    assert county.approved(made)["status"] == "approved"


def test_nobody_recommends_an_organisation_of_their_own(county: County) -> None:
    made = county.submitted()
    with unit_of_work() as session:
        organisation = session.scalars(select(Organisation).where(Organisation.status == "applying")).one()
        officer = county.actors["agriculture"].user_id
        session.execute(
            text(
                "INSERT INTO membership (id, user_id, organisation_id, roles, regions)"
                " VALUES (gen_random_uuid(), :user, :organisation, '{lister}', '{}')"
            ),
            {"user": officer, "organisation": organisation.id},
        )
    path = f"/v1/admin/applications/{made}/review"
    assert county.refused("agriculture", "POST", path, a_decision())[:2] == (403, "own_recommendation")


def test_the_platform_rejects_and_the_code_is_free(county: County) -> None:
    uscc = an_application()["organisation"]["uscc"]
    made = county.submitted(uscc=uscc)
    path = f"/v1/admin/applications/{made}/review"
    reject = {"decision": "reject", "reason": "冒用他人代码"}
    assert county.refused("agriculture", "POST", path, a_decision(**reject)) == (422, "invalid", ["/decision"])
    county.done(county.decide("agriculture", made))
    county.done(county.decide("revitalisation", made, step="revitalisation"))
    named = a_return(step="platform") | {"decision": "reject"}
    assert county.refused("operator", "POST", path, named)[:2] == (422, "invalid")
    rejected = county.done(county.decide("operator", made, step="platform", **reject))
    assert (rejected["status"], rejected["step"], rejected["organisation"]["status"]) == ("rejected", None, "rejected")
    assert county.refused("operator", "POST", path, a_decision(step="platform"))[0] == 409
    assert county.get("applicant", APPLICATION)["reviews"][-1]["reason"] == "冒用他人代码"
    assert county.get("operator", "/v1/admin/applications?status=rejected")["items"][0]["id"] == made
    work("notices.tell")
    assert county.get("applicant", "/v1/me/notices")["items"][0]["kind"] == "application.rejected"

    again = county.post("applicant", f"{APPLICATION}/begin-again")  # nobody else came
    assert (again["status"], again["organisation"]["status"], len(again["documents"])) == ("draft", "applying", 5)
    county.post("applicant", f"{APPLICATION}/submit")
    county.done(county.decide("agriculture", again["id"]))
    county.done(county.decide("revitalisation", again["id"], step="revitalisation"))
    county.done(county.decide("operator", again["id"], step="platform", **reject))
    county.approved(county.submitted("owner", uscc=uscc))
    assert county.refused("applicant", "POST", f"{APPLICATION}/begin-again")[:2] == (422, "invalid")


def test_a_rejected_re_check_leaves_the_right_that_runs(county: County) -> None:
    county.approved(county.submitted())
    county.move_to(datetime(2025, 9, 15, tzinfo=UTC))
    again = county.post("applicant", f"{APPLICATION}/begin-again")["id"]
    county.post("applicant", f"{APPLICATION}/submit")
    county.done(county.decide("agriculture", again))
    county.done(county.decide("revitalisation", again, step="revitalisation"))
    county.done(county.decide("operator", again, step="platform", decision="reject"))
    found = county.get("applicant", "/v1/cooperative/selling-right")
    assert (found["organisation"]["status"], found["selling_until"]) == ("active", "2025-10-15")
    assert county.post("applicant", f"{APPLICATION}/begin-again")["purpose"] == "renewal"


def test_an_operator_corrects_what_an_organisation_is_recorded_as(county: County) -> None:
    county.approved(county.submitted())
    listing = county.listed()
    seller = county.get("applicant", "/v1/me")["organisation"]["id"]
    path = f"/v1/admin/organisations/{seller}"
    other = an_application()["organisation"]["uscc"]
    county.submitted("another", uscc=other)
    for wrong, expected in (
        ({"uscc": other}, (422, "invalid", ["/uscc"])),
        ({"uscc": "93610629MA5000001X"}, (422, "invalid", ["/uscc"])),
        ({"kind": "enterprise"}, (422, "invalid", ["/kind"])),
        ({"kind": "platform"}, (422, "invalid", ["/kind"])),
        ({"division_code": "610600"}, (422, "invalid", ["/division_code"])),
    ):
        assert county.refused("operator", "PATCH", path, wrong | {"reason": "x"}) == expected
    assert county.refused("operator", "PATCH", path, {"name": "新社"}) == (422, "invalid", ["/reason"])
    assert county.ask("agriculture", "PATCH", path, {"name": "新社", "reason": "x"}).status_code == 403
    before = county.get("applicant", "/v1/me")["organisation"]["name"]
    code = an_application()["organisation"]["uscc"]
    body = {"kind": "family_farm", "name": "洛川新社", "uscc": code, "reason": "营业执照变更"}
    found = county.patch("operator", path, body)
    assert (found["kind"], found["name"], found["uscc"]) == ("family_farm", "洛川新社", code)
    county.patch("operator", path, body)  # changes nothing more
    (entry,) = county.get("operator", "/v1/admin/audit?action=correct")["items"]
    assert (entry["reason"], entry["change"]["before"]["name"]) == ("营业执照变更", before)
    assert entry["change"]["after"]["uscc"] == code
    work("catalogue.")
    assert county.get("", f"/v1/public/listings/{listing}")["cooperative"]["name"] == "洛川新社"
    nobody = f"/v1/admin/organisations/org_{PLATFORM_ID.hex}"
    assert county.ask("operator", "PATCH", nobody, {"name": "x", "reason": "x"}).status_code == 404


def test_a_seller_is_closed_when_its_orders_are_over_and_its_code_is_free(county: County) -> None:
    uscc = an_application()["organisation"]["uscc"]
    county.approved(county.submitted(uscc=uscc))
    listing = county.listed()
    seller = county.get("applicant", "/v1/me")["organisation"]["id"]
    order = county.done(county.order(listing))["id"]
    path = f"/v1/admin/sellers/{seller}/close"
    refused = county.ask("operator", "POST", path, {"reason": "注销"}).get_json()
    assert (refused["code"], refused["open_orders"]) == ("open_orders", 1)
    assert county.get("applicant", "/v1/cooperative/selling-right")["selling_until"] == "2025-10-15"
    county.post("buyer", f"/v1/buyer/orders/{order}/cancel", {"reason": "x"})
    assert county.post("operator", path, {"reason": "注销"})["status"] == "closed"
    assert county.refused("operator", "POST", path, {"reason": "注销"})[:2] == (409, "organisation_closed")
    work("catalogue.")
    assert county.ask("", "GET", f"/v1/public/listings/{listing}").status_code == 404
    assert county.ask("applicant", "GET", "/v1/me").status_code == 401
    county.applied("anew", uscc=uscc)
    squatter = county.get("anew", "/v1/me")["organisation"]["id"]  # one that never handed anything in
    county.post("operator", f"/v1/admin/sellers/{squatter}/close", {"reason": "冒用"})
    county.applied("owner", uscc=uscc)


def test_a_document_that_lapses_during_the_review_stops_the_grant(county: County) -> None:
    made = county.applied()
    county.filled_in()
    licence = county.get("applicant", APPLICATION)["documents"]
    (old,) = [document["id"] for document in licence if document["kind"] == "licence"]
    county.done(county.ask("applicant", "DELETE", f"{APPLICATION}/documents/{old}"))
    county.done(county.document("applicant", "licence", valid_until="2024-10-20"))
    county.post("applicant", f"{APPLICATION}/submit")
    county.done(county.decide("agriculture", made))
    county.done(county.decide("revitalisation", made, step="revitalisation"))
    county.move_to(datetime(2024, 10, 20, tzinfo=UTC))
    answer = county.decide("operator", made, step="platform")
    assert (answer.status_code, answer.get_json()["errors"][0]["pointer"]) == (409, "/documents/licence")


def test_many_are_decided_at_once_and_each_says_how_it_went(county: County) -> None:
    first, second, third = (county.submitted(f"applicant{place}") for place in range(3))
    county.done(county.decide("agriculture", third))
    stranger = f"app_{'0' * 32}"
    body = {
        "decisions": [
            a_decision(application_id=second),
            a_decision(application_id=third),
            a_return(application_id=first),
            a_decision(application_id=stranger),
        ]
    }
    answer = county.post("agriculture", "/v1/admin/applications/reviews", body)
    assert [(item["application_id"], item["result"], item["status"]) for item in answer["items"]] == [
        (second, "done", 200),
        (third, "step_decided", 409),
        (first, "done", 200),
        (stranger, "not_found", 404),
    ]
    found = county.get("operator", "/v1/admin/applications?limit=2")
    rest = county.get("operator", f"/v1/admin/applications?limit=2&cursor={found['next']}")
    assert [(item["id"], item["status"], item["step"]) for item in found["items"] + rest["items"]] == [
        (first, "returned", None),
        (second, "submitted", "revitalisation"),
        (third, "submitted", "revitalisation"),
    ]
    assert rest["next"] is None
    log = county.get("agriculture", "/v1/admin/applications/reviews?limit=2")
    older = county.get("agriculture", f"/v1/admin/applications/reviews?limit=2&cursor={log['next']}")
    decided = [(item["application_id"], item["decision"]) for item in log["items"] + older["items"]]
    assert sorted(decided) == sorted([(first, "return"), (second, "approve"), (third, "approve")])
    assert county.get("yanchi", "/v1/admin/applications/reviews")["items"] == []
    twice = {"decisions": [a_decision(application_id=first)] * 2}
    assert county.refused("agriculture", "POST", "/v1/admin/applications/reviews", twice)[0] == 422


def test_of_two_who_decide_a_step_at_once_exactly_one_does(county: County) -> None:
    made = county.submitted()
    names = ["agriculture", "revitalisation"] * 3
    with ThreadPoolExecutor(len(names)) as pool:
        clients = [pool.submit(decide_alone, county, name, made) for name in names]
    assert sorted(client.result() for client in clients) == [200] + [409] * 5
    assert len(county.get("operator", f"/v1/admin/applications/{made}")["reviews"]) == 1


def decide_alone(county: County, name: str, application_id: str) -> int:
    headers = {"Authorization": f"Bearer {county.tokens[name]}"}
    path = f"/v1/admin/applications/{application_id}/review"
    return a_client().post(path, json=a_decision(), headers=headers).status_code


def test_the_steps_are_those_of_the_day_of_submission(county: County) -> None:
    with unit_of_work() as session:
        (middle,) = session.scalars(select(StepRule).where(StepRule.code == "revitalisation"))
        middle.valid = Range(date(1996, 1, 1), date(2024, 10, 20))
    before = county.submitted()
    county.move_to(datetime(2024, 10, 21, tzinfo=UTC))
    after = county.submitted("later")
    assert county.get("operator", f"/v1/admin/applications/{before}")["steps"][1] == "revitalisation"
    assert county.get("operator", f"/v1/admin/applications/{after}")["steps"] == ["agriculture", "platform"]
    assert [step["code"] for step in county.get("", "/v1/public/admission")["steps"]] == ["agriculture", "platform"]
    assert county.approved(before)["status"] == "approved"
    with unit_of_work() as session:
        for rule in session.scalars(select(StepRule)):
            rule.valid = Range(date(1996, 1, 1), date(2024, 10, 20))
    county.applied("last")
    county.filled_in("last")
    assert county.refused("last", "POST", f"{APPLICATION}/submit")[:2] == (409, "admission_closed")


def test_a_county_on_no_list_still_sells_when_the_system_registers_it(county: County) -> None:
    with unit_of_work() as session:
        made = registering.register(
            session, kind=Kind.COOPERATIVE, name="盐池社", name_en="Yanchi", division_code=a.YANCHI,
            uscc=an_application()["organisation"]["uscc"], parent_id=None, by=SYSTEM, now=a.NOW,
        )  # fmt: skip
        county.enter(session, "registered", a.a_member(session, made))
        a.a_lane(session, "640000")
    found = county.get("registered", "/v1/cooperative/selling-right")
    assert (found["selling_until"], found["organisation"]["status"]) == ("2025-10-15", "active")
    assert county.order(county.listed("registered", origin_code=a.YANCHI)).status_code == 201


def test_history_and_reviews_are_append_only(county: County) -> None:
    county.approved(county.submitted())
    for table in ("application_review", "selling_history"):
        with pytest.raises(Exception, match=r"permission denied|append-only"), unit_of_work() as session:
            session.execute(text(f"DELETE FROM {table}"))


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        (date(2024, 10, 15), 12, date(2025, 10, 15)),
        (date(2024, 2, 29), 12, date(2025, 3, 1)),
        (date(2024, 12, 31), 2, date(2025, 3, 1)),
    ],
)
def test_a_year_later_is_the_same_day(day: date, months: int, later: date) -> None:
    assert granting.months_later(day, months) == later


def test_what_may_be_declared_is_what_may_be_sold() -> None:
    assert set(Category.__args__) == set(CATEGORIES)
