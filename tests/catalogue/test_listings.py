"""Listings: handed in, reviewed, changed, taken off; by whom, and what each leaves behind."""

from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import Range

from shop.audit.models import AuditEntry
from shop.catalogue.models import NEXT, Certificate, Listing, ListingRevision, ListingStatus, WrongListingStatus
from shop.catalogue.rules import stays_listed
from shop.catalogue.service.revising import move
from shop.clock import business_day
from shop.db import unit_of_work
from shop.outbox.models import Event
from shop.regions.models import Division
from tests import builders as a
from tests.catalogue.market import Market, a_body


@pytest.fixture
def market(committed: str) -> Market:
    return Market()


def hexed(listing: Any) -> UUID:
    return UUID(hex=listing["id"][4:])


def public(market: Market) -> list[Any]:
    items: list[Any] = market.get("/v1/public/listings")["items"]
    return items


def test_a_listing_is_submitted_reviewed_shown_and_taken_off(market: Market) -> None:
    listing = market.submitted()
    assert (listing["status"], listing["revision"], listing["price_fen"]) == ("in_review", 1, 4000)
    assert public(market) == []
    assert market.get("/v1/admin/listings?status=in_review", "operator")["items"] == [listing]
    listed = market.approved(listing)
    assert (listed["status"], listed["revision"]) == ("listed", 2)
    assert [item["id"] for item in public(market)] == [listing["id"]]
    off = market.post("seller", f"/v1/cooperative/listings/{listing['id']}/delist")
    assert (off["status"], off["revision"]) == ("delisted", 3)
    assert public(market) == []
    assert market.ask("", "GET", f"/v1/public/listings/{listing['id']}").status_code == 404
    again = market.ask("seller", "POST", f"/v1/cooperative/listings/{listing['id']}/delist")
    assert (again.status_code, again.get_json()["code"]) == (409, "wrong_listing_status")


def test_every_change_leaves_a_revision_an_audit_entry_and_an_event(market: Market) -> None:
    listing = market.listed()
    assert market.change(listing, tiers=[{"min_packs": 1, "price_fen": 3900}]).status_code == 200
    market.post("seller", f"/v1/cooperative/listings/{listing['id']}/delist")
    with unit_of_work() as session:
        revisions = session.scalars(
            select(ListingRevision)
            .where(ListingRevision.listing_id == hexed(listing))
            .order_by(ListingRevision.revision)
        ).all()
        assert [(r.revision, r.content["status"], r.content["price_fen"]) for r in revisions] == [
            (1, "in_review", 4000),
            (2, "listed", 4000),
            (3, "listed", 3900),
            (4, "delisted", 3900),
        ]
        kinds = ["listing.submitted", "listing.published", "listing.changed", "listing.delisted"]
        events = session.execute(select(Event.kind, Event.seen_by, Event.payload).order_by(Event.id)).all()
        cooperative = market.actors["seller"].organisation_id
        assert [(kind, seen_by) for kind, seen_by, _ in events] == [(kind, [cooperative]) for kind in kinds]
        assert {payload["listing_id"] for _, _, payload in events} == {hexed(listing).hex}
        entries = session.execute(
            select(AuditEntry.action, AuditEntry.user_id)
            .where(AuditEntry.subject_id == hexed(listing))
            .order_by(AuditEntry.id)
        ).all()
        seller, operator = market.actors["seller"].user_id, market.actors["operator"].user_id
        assert [tuple(entry) for entry in entries] == list(zip(kinds, [seller, operator, seller, seller], strict=True))


def test_a_returned_listing_is_a_draft_with_a_note_until_it_is_changed(market: Market) -> None:
    listing = market.submitted()
    returned = market.post(
        "operator", f"/v1/admin/listings/{listing['id']}/review", {"decision": "return", "note": "规格不清"}
    )
    assert (returned["status"], returned["review_note"]) == ("draft", "规格不清")
    changed = market.change(returned, max_packs=500).get_json()
    assert (changed["status"], changed["max_packs"]) == ("in_review", 500)


def test_another_cooperative_sees_and_changes_nothing(market: Market) -> None:
    listing = market.listed()
    path = f"/v1/cooperative/listings/{listing['id']}"
    assert market.get("/v1/cooperative/listings", "rival")["items"] == []
    assert market.ask("rival", "GET", path).status_code == 404
    assert market.change(listing, name="rival", max_packs=5).status_code == 404
    assert market.ask("rival", "POST", f"{path}/delist").status_code == 404
    assert market.get("/v1/cooperative/listings", "seller")["items"] == [listing]


@pytest.mark.parametrize(
    ("name", "status"), [("", 401), ("buyer", 404), ("operator", 404), ("shipper", 403), ("seller", 201)]
)
def test_only_a_lister_submits(market: Market, name: str, status: int) -> None:
    assert market.ask(name, "POST", "/v1/cooperative/listings", a_body()).status_code == status


def test_a_submission_needs_a_key_and_is_made_once(market: Market) -> None:
    body = a_body()
    answers = [market.ask("seller", "POST", "/v1/cooperative/listings", body, Idempotency_Key="once") for _ in "12"]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].get_json() == answers[1].get_json()
    assert len(market.get("/v1/cooperative/listings", "seller")["items"]) == 1
    without = market.client.post("/v1/cooperative/listings", json=body, headers={"Authorization": "seller"})
    assert (without.status_code, without.get_json()["code"]) == (400, "idempotency_key_missing")


def test_a_reviewer_of_another_county_finds_nothing(market: Market) -> None:
    listing = market.submitted()
    path = f"/v1/admin/listings/{listing['id']}/review"
    assert market.get("/v1/admin/listings", "yanchi")["items"] == []
    assert market.ask("yanchi", "POST", path, {"decision": "approve"}).status_code == 404
    assert market.get("/v1/admin/listings", "luochuan")["items"] == [listing]
    assert market.ask("seller", "POST", path, {"decision": "approve"}).status_code == 404
    assert market.post("luochuan", path, {"decision": "approve"})["status"] == "listed"


def test_a_review_of_what_was_changed_meanwhile_is_refused(market: Market) -> None:
    listing = market.submitted()
    assert market.change(listing, max_packs=10).status_code == 200
    path = f"/v1/admin/listings/{listing['id']}/review"
    answer = market.ask("operator", "POST", path, {"decision": "approve", "revision": 1})
    assert (answer.status_code, answer.get_json()["code"]) == (412, "version_conflict")
    assert market.post("operator", path, {"decision": "approve", "revision": 2})["status"] == "listed"


def test_another_pack_of_a_product_is_submitted_by_its_id(market: Market) -> None:
    first = market.listed()
    body = a_body(pack_name="20斤箱", pack_base_quantity=10_000, pack_grams=10_500) | {
        "product_id": first["product_id"]
    }
    del body["product"]
    second = market.post("seller", "/v1/cooperative/listings", body)
    assert (second["product"], second["status"], second["pack_name"]) == (first["product"], "in_review", "20斤箱")
    assert market.get(f"/v1/cooperative/listings/{first['id']}", "seller")["status"] == "listed"
    rival = market.ask("rival", "POST", "/v1/cooperative/listings", body)
    assert rival.status_code == 404
    for wrong in (body | {"product": a_body()["product"]}, {k: v for k, v in body.items() if k != "product_id"}):
        answer = market.ask("seller", "POST", "/v1/cooperative/listings", wrong)
        assert (answer.status_code, answer.get_json()["errors"][0]["code"]) == (422, "product")


def test_a_product_whose_county_is_no_more_is_not_listed_again(market: Market) -> None:
    first = market.listed()
    with unit_of_work() as session:
        session.execute(update(Division).where(Division.code == a.LUOCHUAN).values(valid_to=business_day(a.NOW)))
    body = a_body() | {"product_id": first["product_id"]}
    del body["product"]
    answer = market.ask("seller", "POST", "/v1/cooperative/listings", body)
    assert (answer.status_code, answer.get_json()["errors"][0]["pointer"]) == (422, "/product_id")


def test_all_listings_of_a_product_share_a_base_unit(market: Market) -> None:
    first = market.listed()
    by_id = a_body(base_unit="piece", pack_base_quantity=20) | {"product_id": first["product_id"]}
    del by_id["product"]
    by_code = a_body(base_unit="piece", pack_base_quantity=20, code=first["product"]["code"])
    for body in (by_id, by_code):
        answer = market.ask("seller", "POST", "/v1/cooperative/listings", body)
        assert (answer.status_code, answer.get_json()["errors"][0]["pointer"]) == (422, "/base_unit")


def test_a_change_of_an_old_revision_is_refused(market: Market) -> None:
    listing = market.listed()
    assert market.change(listing, max_packs=10).status_code == 200
    stale = market.change(listing, max_packs=20)
    assert (stale.status_code, stale.get_json()["code"]) == (412, "version_conflict")
    without = market.ask("seller", "PATCH", f"/v1/cooperative/listings/{listing['id']}", {"max_packs": 20})
    assert (without.status_code, without.get_json()["code"]) == (428, "precondition_required")
    assert market.get("/v1/cooperative/listings", "seller")["items"][0]["max_packs"] == 10


def test_rises_do_not_add_up_past_the_reviewed_price(market: Market) -> None:
    listing = market.listed(tiers=[{"min_packs": 1, "price_fen": 1000}])
    for price, status in ((1100, "listed"), (900, "listed"), (1100, "listed"), (1101, "in_review")):
        listing = market.change(listing, tiers=[{"min_packs": 1, "price_fen": price}]).get_json()
        assert (listing["price_fen"], listing["status"]) == (price, status)
    assert market.approved(listing)["status"] == "listed"


@pytest.mark.parametrize(
    ("wanted", "stays"),
    [
        ([[1, 1100], [10, 880]], True),
        ([[1, 1100], [10, 881]], False),
        ([[1, 1100], [11, 880]], False),
        ([[1, 1000]], False),
        ([[1, 880]], True),
        ([[1, 10], [20, 5]], True),
    ],
)
def test_a_price_is_compared_at_every_quantity(wanted: list[list[int]], stays: bool) -> None:
    assert stays_listed([[1, 1000], [10, 800]], wanted, business_day(a.NOW)) is stays


def test_a_product_cannot_be_changed_behind_the_reviewers_back(market: Market) -> None:
    first = market.listed(code="apple")
    same = market.submitted(code="apple", pack_name="5斤箱")
    assert same["product_id"] == first["product_id"]
    assert [item["id"] for item in public(market)] == [first["id"]]
    market.submitted(code="apple", name="有机苹果")
    mine = {item["id"]: item for item in market.get("/v1/cooperative/listings", "seller")["items"]}
    assert (mine[first["id"]]["status"], mine[first["id"]]["product"]["name"]) == ("in_review", "有机苹果")
    assert public(market) == []
    assert market.submitted("rival", code="apple")["product_id"] != first["product_id"]


@pytest.mark.parametrize(
    ("pointer", "more"),
    [
        ("/product/origin_code", {"origin_code": "999999"}),
        ("/product/origin_code", {"origin_code": "610000"}),
        ("/product/category", {"category": "cars"}),
        ("/pack_base_quantity", {"pack_base_quantity": 0}),
        ("/pack_grams", {"pack_grams": 100}),
        ("/pack_grams", {"pack_grams": 4999}),
        ("/pack /base_unit /pack_base_quantity", {"base_unit": None}),
        ("/pack /base_unit /pack_base_quantity", {"pack": {"count": 10, "unit": "斤"}}),
        ("/tiers/0/price_fen", {"tiers": [{"min_packs": 1, "price_fen": 1.5}]}),
        ("/tiers", {"tiers": [{"min_packs": 1, "price_fen": 5}, {"min_packs": 1, "price_fen": 4}]}),
        ("/tiers", {"tiers": [{"min_packs": 1, "price_fen": 5}, {"min_packs": 2, "price_fen": 5}]}),
        ("/tiers /min_packs", {"tiers": [{"min_packs": 2, "price_fen": 5}]}),
        ("/min_packs /max_packs", {"max_packs": 5, "min_packs": 6}),
    ],
)
def test_what_cannot_be_is_refused_where_it_stands(market: Market, pointer: str, more: dict[str, Any]) -> None:
    answer = market.ask("seller", "POST", "/v1/cooperative/listings", a_body(**more))
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.get_json()["errors"]] == pointer.split()


@pytest.mark.parametrize(
    ("pack", "found"),
    [
        ({"count": 10, "unit": "斤"}, ("g", 5000)),
        ({"count": "2.5", "unit": "KG"}, ("g", 2500)),
        ({"count": 20, "unit": "袋", "of": {"count": "1/4", "unit": "公斤"}}, ("g", 5000)),
        ({"count": 2, "unit": "打"}, ("piece", 24)),
    ],
)
def test_a_pack_is_told_in_the_units_of_the_field(market: Market, pack: Any, found: tuple[str, int]) -> None:
    body = a_body(pack=pack)
    del body["base_unit"], body["pack_base_quantity"]
    made = market.post("seller", "/v1/cooperative/listings", body)
    assert (made["base_unit"], made["pack_base_quantity"]) == found
    assert made["pack"]["unit"] == {"KG": "公斤"}.get(pack["unit"], pack["unit"])


@pytest.mark.parametrize(
    ("pointer", "pack"),
    [
        ("/pack/unit", {"count": 10, "unit": "升"}),
        ("/pack/count", {"count": 0, "unit": "斤"}),
        ("/pack", {"count": "1/3", "unit": "公斤"}),
        ("/pack", {"count": 1, "unit": "箱"}),
        ("/pack/of/unit", {"count": 1, "unit": "箱", "of": {"count": 1, "unit": "x"}}),
        ("/pack_grams", {"count": 6, "unit": "公斤"}),
    ],
)
def test_a_pack_that_is_no_whole_amount_is_refused(market: Market, pointer: str, pack: Any) -> None:
    body = a_body(pack=pack)
    del body["base_unit"], body["pack_base_quantity"]
    answer = market.ask("seller", "POST", "/v1/cooperative/listings", body)
    assert answer.status_code == 422
    assert pointer in {error["pointer"][: len(pointer)] for error in answer.json["errors"]}


def test_the_card_says_what_the_listing_says(market: Market) -> None:
    listing = market.listed()
    market.supplied(listing, 7)
    assert market.get("/v1/public/listings") == {
        "items": [
            {
                "id": listing["id"],
                "product": {
                    "id": listing["product_id"],
                    "name": "洛川苹果",
                    "name_en": "Luochuan apple",
                    "variety": "",
                    "grade": "一级",
                    "spec": "80mm",
                },
                "photo": None,
                "certificates": [],
                "cooperative": {
                    "id": f"org_{market.actors['seller'].organisation_id.hex}",
                    "name": "洛川果业合作社",
                },
                "origin": {"code": a.LUOCHUAN, "county": "洛川县", "province": "陕西省"},
                "category": "fruit",
                "storage": "ambient",
                "pack_name": "10斤箱",
                "unit": "10斤箱",
                "base_unit": "g",
                "pack_base_quantity": 5000,
                "price_fen": 4000,
                "price_per_kg_fen": 800,
                "tiers": [{"min_packs": 1, "price_fen": 4000}, {"min_packs": 100, "price_fen": 3800}],
                "min_packs": 1,
                "step_packs": 1,
                "max_packs": 1000,
                "price_from": None,
                "price_to": None,
                "season_from": 9,
                "season_to": 4,
                "available": 7,
            }
        ],
        "next": None,
        "approximate": False,
        "searched": None,
    }


def test_goods_sold_by_the_piece_are_priced_by_the_weight_of_the_pack(market: Market) -> None:
    market.listed(base_unit="piece", pack_base_quantity=20, pack_grams=5250)
    assert public(market)[0]["price_per_kg_fen"] == 762


def test_a_listing_tells_more_than_its_card(market: Market) -> None:
    with unit_of_work() as session:
        a.on_a_list(session, a.LUOCHUAN)
        a.on_a_list(session, a.LUOCHUAN, "key_160", valid=Range(date(2021, 1, 1), date(2024, 10, 15)))
    listing = market.listed()
    (card,) = public(market)
    assert market.get(f"/v1/public/listings/{listing['id']}") == card | {
        "revision": 2,
        "pack": None,
        "standard": None,
        "acceptance": [],
        "photos": [],
        "pack_grams": 5250,
        "shelf_life_days": 90,
        "lists": ["poverty_832"],
        "supplies": [],
    }


def test_a_lapsed_certificate_leaves_the_card(market: Market) -> None:

    from shop.catalogue.cards import rewrite_lapsed, write_cards

    listing = market.listed()
    with unit_of_work() as session:
        product_id = session.get_one(Listing, hexed(listing)).product_id
        for number, until in (("A1", date(2024, 12, 1)), ("A2", date(2024, 10, 15))):
            session.add(
                Certificate(
                    product_id=product_id,
                    kind="green",
                    number=number,
                    issuer="中心",
                    expires_on=until,
                    status="approved",
                )
            )
        write_cards(session, [hexed(listing)], on=date(2024, 10, 15))
    assert [c["number"] for c in public(market)[0]["certificates"]] == ["A1"]
    with unit_of_work() as session:
        assert rewrite_lapsed(session, on=date(2024, 11, 30)) == 0
        assert rewrite_lapsed(session, on=date(2024, 12, 1)) == 1
        assert rewrite_lapsed(session, on=date(2024, 12, 1)) == 0
    assert public(market)[0]["certificates"] == []


@pytest.mark.parametrize("start", list(ListingStatus))
@pytest.mark.parametrize("to", list(ListingStatus))
def test_a_listing_makes_only_the_moves_of_the_table(session: Any, start: ListingStatus, to: ListingStatus) -> None:
    from shop.accounts.models import Kind

    cooperative = a.an_organisation(session, Kind.COOPERATIVE)
    listing = a.a_listing(session, a.a_product(session, cooperative), status=start)
    if to in NEXT[start]:
        move(session, [listing.id], to=to)
        session.refresh(listing)
        assert (listing.status, listing.revision) == (to, 2)
    else:
        with pytest.raises(WrongListingStatus):
            move(session, [listing.id], to=to)


def test_own_listings_come_in_pages(market: Market) -> None:
    made = [market.submitted()["id"] for _ in range(5)]
    seen, cursor = [], ""
    for _ in range(3):
        page = market.get(f"/v1/cooperative/listings?limit=2{cursor}", "seller")
        seen += [item["id"] for item in page["items"]]
        cursor = f"&cursor={page['next']}"
    assert (seen, page["next"]) == (made[::-1], None)
    wrong = market.ask("rival", "GET", "/v1/cooperative/listings?limit=2&cursor=" + cursor[8:])
    assert wrong.status_code == 422
