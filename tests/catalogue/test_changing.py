"""Revisions, the rule of what is reviewed again, the review queue, prices that run out, standards and sheets."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from shop.actor import SYSTEM
from shop.catalogue import rules
from shop.catalogue.models import Listing, ListingRevision, ListingStatus
from shop.catalogue.rules import Again, needs_review
from shop.catalogue.schemas import ChangeListing, ProductIn
from shop.catalogue.service.reviewing import follow_right, lapse_prices
from shop.catalogue.service.revising import changed, move
from shop.clock import business_day
from shop.db import unit_of_work
from shop.outbox.models import Event
from tests import builders as a
from tests.catalogue.market import Market, a_body
from tests.catalogue.test_listings import hexed, public

TODAY = business_day(a.NOW)
OWN, ALL = "/v1/cooperative/listings", "/v1/admin/listings"
STANDARD = {"code": "GB/T 10651-2008", "text": "一级：果径不小于80毫米"}
SHEET = [{"criterion": "腐烂果", "tolerance": "不超过2%", "method": "每批随机抽10箱"}]


@pytest.fixture
def market(committed: str) -> Market:
    return Market()


def day(days: int) -> str:
    return f"{TODAY + timedelta(days=days)}"


def revert(market: Market, listing: Any, to: int, name: str = "seller") -> Any:
    path = f"{OWN}/{listing['id']}/revert"
    return market.ask(name, "POST", path, {"revision": to}, If_Match=str(listing["revision"]))


OTHER: dict[str, Any] = {
    "name": "洛川红富士", "name_en": "Fuji", "category": "processed", "origin_code": a.YANCHI, "storage": "chilled",
    "shelf_life_days": 30, "grade": "二级", "variety": "秦冠", "spec": "70mm", "standard": STANDARD,
    "acceptance": SHEET, "tiers": [{"min_packs": 1, "price_fen": 4401}],
    "price_from": day(-1), "price_to": day(9), "min_packs": 2,
    "step_packs": 5, "max_packs": 2000, "season_from": 1, "season_to": 12,
}  # fmt: skip
"""For every field of the table, something else than the market's listing says."""


def test_whatever_can_be_changed_stands_in_the_table() -> None:
    assert set(rules.PRODUCT) - {"photos"} == set(ProductIn.model_fields) - {"code"}
    assert set(rules.LISTING) == set(ChangeListing.model_fields)
    assert set(OTHER) | {"photos"} == {*rules.PRODUCT, *rules.LISTING}


@pytest.mark.parametrize("name", OTHER)
def test_what_is_reviewed_again_is_what_the_table_says(market: Market, name: str) -> None:
    first = market.listed("rival", code="apple")
    if name in rules.PRODUCT:
        body = a_body(code="apple")
        body["product"][name] = OTHER[name]
        market.post("rival", OWN, body)
    else:
        assert market.change(first, "rival", **{name: OTHER[name]}).status_code == 200
    now = market.get(f"{OWN}/{first['id']}", "rival")
    wanted = {Again.ALWAYS: "in_review", Again.WHEN_DEARER: "in_review", Again.NEVER: "listed"}
    # Nobody declared a capacity here, so nothing is beyond it.
    assert now["status"] == wanted.get((rules.PRODUCT | rules.LISTING)[name], "listed")
    assert now["revision"] == 3
    assert (now["product"] | now)[name] == OTHER[name]


@pytest.mark.parametrize(
    ("grows", "beyond", "why"), [(True, True, ["max_packs"]), (True, False, []), (False, True, [])]
)
def test_more_than_was_declared_is_reviewed_when_it_grows(grows: bool, beyond: bool, why: list[str]) -> None:
    tiers = [[1, 100]]
    found = needs_review(["max_packs", "min_packs"], reviewed=tiers, wanted=tiers, grows=grows, beyond=beyond, on=TODAY)
    assert found == why


def test_the_rule_of_the_day_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    tomorrow = TODAY + timedelta(days=1)
    monkeypatch.setattr(rules, "RULES", (*rules.RULES, (tomorrow, {"season_from": Again.ALWAYS})))
    monkeypatch.setattr(rules, "RISES", (*rules.RISES, (tomorrow, 0)))
    same: dict[str, Any] = {"reviewed": [[1, 100]], "wanted": [[1, 110]], "grows": False, "beyond": False}
    assert needs_review(["season_from"], on=TODAY, **same) == []
    assert needs_review(["season_from"], on=tomorrow, **same) == ["season_from"]
    assert rules.stays_listed([[1, 100]], [[1, 110]], TODAY)
    assert not rules.stays_listed([[1, 100]], [[1, 110]], tomorrow)


def test_revisions_are_listed_and_a_listing_is_made_again_what_it_was(market: Market) -> None:
    first = market.listed()
    cut = market.change(first, tiers=[{"min_packs": 1, "price_fen": 3000}], max_packs=50).json
    back = revert(market, cut, 2)
    assert (back.status_code, back.json["status"], back.json["revision"]) == (200, "listed", 4)
    same = ("tiers", "max_packs", "min_packs", "season_from", "product")
    assert {name: back.json[name] for name in same} == {name: first[name] for name in same}
    page = market.get(f"{OWN}/{first['id']}/revisions?limit=3", "seller")
    rest = market.get(f"{OWN}/{first['id']}/revisions?limit=3&cursor={page['next']}", "seller")
    said = [(r["revision"], r["status"], r["price_fen"]) for r in page["items"] + rest["items"]]
    assert said == [(4, "listed", 4000), (3, "listed", 3000), (2, "listed", 4000), (1, "in_review", 4000)]
    assert rest["next"] is None
    assert market.get(f"{ALL}/{first['id']}/revisions", "luochuan")["items"] == page["items"] + rest["items"]
    assert market.get(f"{ALL}/{first['id']}", "luochuan") == back.json
    for name, path in (("rival", OWN), ("yanchi", ALL)):
        assert market.ask(name, "GET", f"{path}/{first['id']}/revisions").status_code == 404


def test_what_an_old_revision_did_not_keep_yet_stays_as_it_is(market: Market) -> None:
    body = a_body()
    body["product"]["variety"] = "秦冠"
    first = market.approved(market.post("seller", OWN, body))
    with unit_of_work() as session:
        kept = session.get_one(ListingRevision, (hexed(first), 2))
        said = {name: value for name, value in kept.content.items() if name not in ("price_from", "price_to")}
        said["product"] = {
            name: value
            for name, value in said["product"].items()
            if name not in ("variety", "standard", "acceptance", "photos")
        }
        session.add(
            ListingRevision(listing_id=hexed(first), revision=50, content=said, at=a.NOW, by_user_id=kept.by_user_id)
        )
    back = revert(market, first, 50).json
    assert (back["status"], back["product"]["variety"]) == ("listed", "秦冠")
    old = market.get(f"/v1/public/listings/{first['id']}/revisions/50")["product"]
    assert (old["variety"], old["standard"], old["acceptance"]) == ("", None, [])


def test_a_rise_back_to_the_reviewed_price_stays_on_sale(market: Market) -> None:
    first = market.listed()
    cut = market.change(first, tiers=[{"min_packs": 1, "price_fen": 3900}, {"min_packs": 100, "price_fen": 3800}]).json
    assert revert(market, cut, 2).json["status"] == "listed"


def test_what_a_product_said_comes_back_too_and_is_reviewed(market: Market) -> None:
    first = market.listed(code="apple", grade="一级")
    second = market.listed(code="apple", grade="一级")
    third = market.submitted(code="apple", grade="特级")
    now = market.approved(market.get(f"{OWN}/{first['id']}", "seller"))
    assert now["product"]["grade"] == "特级"
    back = revert(market, now, 2)
    assert (back.json["status"], back.json["revision"], back.json["product"]["grade"]) == ("in_review", 5, "一级")
    other = market.get(f"{OWN}/{second['id']}", "seller")
    assert (other["status"], other["product"]["grade"]) == ("in_review", "一级")
    assert market.get(f"{OWN}/{third['id']}", "seller")["status"] == "in_review"


def test_a_product_that_changed_since_it_was_looked_at_is_not_approved(market: Market) -> None:
    looked_at = market.submitted(code="apple", grade="一级")
    market.submitted(code="apple", grade="特级")
    path = f"{ALL}/{looked_at['id']}/review"
    late = market.ask("operator", "POST", path, {"decision": "approve", "revision": looked_at["revision"]})
    assert (late.status_code, late.json["code"]) == (412, "version_conflict")


def test_what_never_was_or_was_changed_meanwhile_is_not_reverted(market: Market) -> None:
    first = market.listed()
    never = revert(market, first, 9)
    assert (never.status_code, never.json["errors"][0]["pointer"]) == (404, "/revision")
    stale = revert(market, first | {"revision": 1}, 1)
    assert (stale.status_code, stale.json["code"]) == (412, "version_conflict")
    assert revert(market, first, 1, "rival").status_code == 404


def test_a_return_names_the_fields_to_correct_until_the_next_decision(market: Market) -> None:
    listing = market.submitted()
    path = f"{ALL}/{listing['id']}/review"
    why = [{"pointer": "/product/spec", "reason": "规格不清"}, {"pointer": "/tiers/0/price_fen", "reason": "高于市价"}]
    for wrong, pointer in (
        ({"decision": "return"}, "/note"),
        ({"decision": "approve", "fields": why}, "/fields"),
        ({"decision": "return", "fields": [{"pointer": "/nothing", "reason": "x"}]}, "/fields/0/pointer"),
    ):
        answer = market.ask("operator", "POST", path, wrong)
        assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, pointer)
    returned = market.post("operator", path, {"decision": "return", "fields": why})
    assert (returned["status"], returned["review_fields"], returned["review_note"]) == ("draft", why, None)
    changed = market.change(returned, max_packs=500).json
    assert changed["review_fields"] == why
    assert market.approved(changed)["review_fields"] == []


def test_many_are_decided_at_once_and_each_by_itself(market: Market) -> None:
    one, two, three = market.submitted(), market.submitted("rival", origin_code=a.YANCHI), market.submitted()
    market.approved(three)
    decisions = [
        {"listing_id": three["id"], "decision": "approve"},
        {"listing_id": one["id"], "decision": "approve", "revision": 1},
        {"listing_id": two["id"], "decision": "return", "note": "图文不符"},
    ]
    path = "/v1/admin/listing-reviews"
    found = market.post("operator", path, {"decisions": decisions})["items"]
    assert [(item["listing_id"], item["result"], item["status"]) for item in found] == [
        (three["id"], "wrong_listing_status", 409),
        (one["id"], "done", 200),
        (two["id"], "done", 200),
    ]
    assert market.get(f"{ALL}/{two['id']}", "operator")["status"] == "draft"
    twice = market.ask("operator", "POST", path, {"decisions": decisions[:1] * 2})
    assert (twice.status_code, twice.json["errors"][0]["code"]) == (422, "repeated")
    theirs = market.post("luochuan", path, {"decisions": decisions[2:]})["items"]
    assert [item["result"] for item in theirs] == ["not_found"]


def test_a_reviewer_takes_a_listing_off_sale_and_says_why(market: Market) -> None:
    listing = market.listed()
    path = f"{ALL}/{listing['id']}/delist"
    assert market.ask("yanchi", "POST", path, {"reason": "x"}).status_code == 404
    assert market.ask("operator", "POST", path, {"reason": ""}).status_code == 422
    off = market.post("luochuan", path, {"reason": "价格虚高"})
    assert (off["status"], off["review_note"], public(market)) == ("delisted", "价格虚高", [])
    assert market.change(off, tiers=[{"min_packs": 1, "price_fen": 10}]).json["status"] == "in_review"


def test_an_officer_of_a_prefecture_or_province_reviews_what_lies_in_it(market: Market) -> None:
    listing = market.submitted()
    with unit_of_work() as session:
        office = a.an_organisation(session, a.Kind.COUNTY_REVIEWER, uscc=None)
        for name, region in (("prefecture", "610600"), ("province", "610000"), ("elsewhere", "640000")):
            market.actors[name] = a.a_member(session, office, roles={"county_reviewer"}, regions=[region])
    seen = [bool(market.get(ALL, name)["items"]) for name in ("prefecture", "province", "elsewhere")]
    assert seen == [True, True, False]
    assert market.post("province", f"{ALL}/{listing['id']}/review", {"decision": "approve"})["status"] == "listed"


def lapse(days: int) -> int:
    with unit_of_work() as session:
        return lapse_prices(session, now=a.NOW + timedelta(days=days))


def test_a_listing_whose_price_has_run_out_is_off_sale_until_another_is_named(market: Market) -> None:
    listing = market.listed(price_from=day(0), price_to=day(10))
    assert (public(market)[0]["price_from"], public(market)[0]["price_to"]) == (day(0), day(10))
    assert (lapse(9), lapse(10), lapse(10)) == (0, 1, 0)
    lapsed = market.get(f"{OWN}/{listing['id']}", "seller")
    assert (lapsed["status"], lapsed["revision"], public(market)) == ("lapsed", 3, [])
    with unit_of_work() as session:
        kinds = session.query(Event.kind).order_by(Event.id).all()
    assert kinds[-1] == ("listing.lapsed",)
    market.now = a.NOW + timedelta(days=11)
    without = market.change(lapsed, max_packs=5)
    assert (without.status_code, without.json["errors"][0]["pointer"]) == (422, "/price_to")
    again = market.change(lapsed, tiers=[{"min_packs": 1, "price_fen": 3500}], price_to=day(40)).json
    assert (again["status"], again["price_from"], again["price_to"]) == ("listed", day(0), day(40))
    assert market.change(again, price_from=None, price_to=None).json["price_to"] is None


def test_a_price_that_rose_too_much_while_it_had_run_out_is_reviewed(market: Market) -> None:
    listing = market.listed(price_to=day(10))
    assert lapse(10) == 1
    market.now = a.NOW + timedelta(days=10)
    lapsed = market.get(f"{OWN}/{listing['id']}", "seller")
    dear = market.change(lapsed, tiers=[{"min_packs": 1, "price_fen": 9000}], price_to=None).json
    assert dear["status"] == "in_review"


def test_a_seller_that_may_sell_again_does_not_bring_back_a_price_that_has_run_out(market: Market) -> None:
    listing = market.listed(price_to=day(10))
    cooperative = market.actors["seller"].organisation_id
    with unit_of_work() as session:
        session.execute(update(Listing).values(status="paused"))
    assert lapse(10) == 1
    with unit_of_work() as session:
        assert follow_right(session, cooperative_id=cooperative, now=a.NOW + timedelta(days=11)) == 0
    assert market.get(f"{OWN}/{listing['id']}", "seller")["status"] == "lapsed"


@pytest.mark.parametrize(
    ("days", "pointer"),
    [({"price_to": day(0)}, "/price_to"), ({"price_from": day(5), "price_to": day(5)}, "/price_to"),
     ({"price_to": "2024-13-01"}, "/price_to")],
)  # fmt: skip
def test_days_that_cannot_be_are_refused(market: Market, days: dict[str, str], pointer: str) -> None:
    answers = [market.ask("seller", "POST", OWN, a_body(**days)), market.change(market.listed(), **days)]
    assert [(x.status_code, x.json["errors"][0]["pointer"]) for x in answers] == [(422, pointer)] * 2


def test_an_old_revisions_days_that_are_over_are_not_taken_up_again(market: Market) -> None:
    first = market.listed(price_to=day(5))
    longer = market.change(first, price_to=day(50)).json
    market.now = a.NOW + timedelta(days=6)
    back = revert(market, longer, 2).json
    assert (back["status"], back["price_to"]) == ("listed", day(50))


def test_a_line_can_be_traced_to_the_standard_and_sheet_it_was_bought_under(market: Market) -> None:
    body = a_body(code="apple")
    body["product"] |= {"standard": STANDARD, "acceptance": SHEET}
    listing = market.approved(market.post("seller", OWN, body))
    shown = market.get(f"/v1/public/listings/{listing['id']}")
    assert (shown["revision"], shown["standard"], shown["acceptance"]) == (2, STANDARD, SHEET)
    kept = market.submitted(code="apple")  # what is left out stays
    assert (kept["product"]["standard"], kept["product"]["acceptance"]) == (STANDARD, SHEET)
    body["product"]["acceptance"] = [SHEET[0] | {"tolerance": "不超过5%"}]
    market.post("seller", OWN, body)
    assert market.get(f"{OWN}/{listing['id']}", "seller")["status"] == "in_review"
    path = f"/v1/public/listings/{listing['id']}/revisions"
    bought = market.get(f"{path}/2")
    assert (bought["product"]["standard"], bought["product"]["acceptance"]) == (STANDARD, SHEET)
    for revision in (1, 3, 4, 0, 10**20, "x"):  # handed in, in review, or never
        assert market.ask("", "GET", f"{path}/{revision}").status_code == 404


def test_a_revision_that_was_ordered_in_a_pause_is_shown(market: Market) -> None:
    listing = market.listed()
    with unit_of_work() as session:
        move(session, [hexed(listing)], to=ListingStatus.PAUSED)
        changed(session, [hexed(listing)], "listing.paused", by=SYSTEM, now=a.NOW, today=TODAY)
    assert market.get(f"/v1/public/listings/{listing['id']}/revisions/3")["status"] == "paused"


@pytest.mark.parametrize(
    "code", ["NY/T 1075", "DB61/T 1234.1-2020", "Q/LCGY 0001S-2020", "GB 2762-2022", "T/SXGY 001-2021"]
)
def test_the_numbers_of_standards_are_taken_as_they_are_written(market: Market, code: str) -> None:
    body = a_body()
    body["product"]["standard"] = {"code": code, "text": "一级"}
    assert market.post("seller", OWN, body)["product"]["standard"]["code"] == code
    body["product"]["standard"] = {"code": "国标", "text": "一级"}
    wrong = market.ask("seller", "POST", OWN, body)
    assert (wrong.status_code, wrong.json["errors"][0]["pointer"]) == (422, "/product/standard/code")
