"""Prices are watched: what is flagged and why, what both sides answer, what buyers report."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from shop.audit.models import AuditEntry
from shop.catalogue.monitoring.models import NEXT, AlertStatus, PriceAlert
from shop.catalogue.monitoring.service import watching
from shop.catalogue.monitoring.service.answering import WrongAlertStatus, to_become
from shop.catalogue.monitoring.service.reporting import AlreadyReported
from shop.db import unit_of_work, unless_taken
from shop.errors import Invalid
from shop.outbox.models import Event
from tests import builders as a
from tests.catalogue.market import statements
from tests.catalogue.prices import TODAY, Prices, days_from, hexed
from workers import schedule, sweeps


@pytest.fixture
def market(committed: str) -> Prices:
    return Prices()


PDF = b"%PDF-1.7 why"


def paper(market: Prices, name: str) -> str:
    answer = market.client.post("/v1/me/files?name=why.pdf", data=PDF, headers={"Authorization": name})
    assert answer.status_code == 201, answer.text
    return str(answer.get_json()["id"])


# What is flagged


def test_a_price_far_above_its_peers_opens_one_alert_with_every_number_that_was_used(market: Prices) -> None:
    listing = market.dear()
    found = market.alert()
    assert (found["status"], found["opened_by"], found["listing_id"]) == ("open", "check", listing["id"])
    assert (found["price_fen"], found["due_on"], found["overdue"]) == (9000, days_from(TODAY, 7), False)
    evidence = found["evidence"]
    assert evidence["peers"] == {
        "count": 5, "minimum": 5, "scored": True, "why": "scored", "median_fen": 800_000, "mad_fen": 20_000,
        "percent_above": 125, "limit_fen": 5200, "above": True,
        "prices": [760_000, 780_000, 800_000, 820_000, 840_000],
    }  # fmt: skip
    assert (evidence["verdict"], evidence["score"], evidence["rests_on"]) == ("above", 95, ["peers"])
    assert (evidence["per_tonne_fen"], evidence["references"], found["ceiling_fen"]) == (1_800_000, [], 5200)
    assert evidence["own_history"]["why"] == "too_short"
    assert "无有效参考价（尚无经批准的参考对应）；依据：同规格供应商" in evidence["says"]
    assert "No fresh reference (no reference was approved for this good); rests on peers" in evidence["says_en"]
    assert evidence["rule"]["from"] == "1996-01-01"
    market.change(listing, max_packs=500)
    market.work()
    assert [alert["id"] for alert in market.alerts()] == [found["id"]]


def test_too_few_peers_are_shown_and_not_scored(committed: str) -> None:
    market = Prices(peers=(4000, 4000, 4000, 4000))
    said = market.check(market.dear())
    assert (said["verdict"], said["score"], said["rests_on"]) == ("not_scored", None, [])
    assert (said["peers"]["count"], said["peers"]["why"], said["peers"]["prices"]) == (4, "too_few", [800_000] * 4)
    assert "not scored" in said["says_en"]
    assert market.alerts() == []


def test_one_wild_peer_changes_no_verdict(market: Prices) -> None:
    fair, dear = market.dear(4400), market.dear(9000, spec="80 MM")
    for wild in (1, 10**9):
        with unit_of_work() as session:
            session.execute(
                text("UPDATE listing SET price_fen = :wild WHERE id = :one"), {"wild": wild, "one": market.peers[2]}
            )
        assert [market.check(listing)["verdict"] for listing in (fair, dear)] == ["within", "above"]


def test_a_listing_is_compared_by_weight_whatever_its_pack(market: Prices) -> None:
    for more in (
        {"pack_base_quantity": 10_000, "pack_grams": 10_500, "tiers": [{"min_packs": 1, "price_fen": 18_000}]},
        {"base_unit": "piece", "pack_base_quantity": 25, "pack_grams": 5000},
    ):
        tiers = more.pop("tiers", [{"min_packs": 1, "price_fen": 9000}])
        said = market.check(market.listed(tiers=tiers, **more))
        assert (said["peers"]["percent_above"], said["verdict"]) == (125, "above")


def test_a_fresh_reference_is_scored_and_told_with_its_place_grade_and_age(market: Prices) -> None:
    listing = market.dear(5000)
    market.reference("2024-09")
    mapping = market.mapped()
    assert (mapping.status_code, mapping.get_json()["name"]) == (201, "洛川苹果")
    said = market.check(listing)
    assert said["references"] == [
        {
            "mapping_id": mapping.get_json()["id"], "market": "新发地", "place_code": "610000", "place": "陕西省",
            "kind": "fruit", "name": "红富士", "grade": "一级", "month": "2024-09", "age_days": 15, "per": "tonne",
            "low_fen": 200_000, "mean_fen": 800_000, "high_fen": 18_000_000, "quotes": 20, "scored": True,
            "why": "scored", "unit_fen": 1_000_000, "percent_above": 25, "limit_fen": 6000, "above": False,
        }
    ]  # fmt: skip
    assert (said["verdict"], said["rests_on"]) == ("within", ["reference", "peers"])
    shown = market.get(f"/v1/public/listings/{listing['id']}/reference-prices")
    assert (shown["items"], shown["max_age_days"], shown["per_tonne_fen"]) == (said["references"], 30, 1_000_000)


def test_a_reference_that_arrives_has_all_prices_checked(market: Prices) -> None:
    listing = market.dear(5000)
    market.reference("2024-08", mean="1.2")
    market.mapped()
    assert market.work().count("prices.watch_all") == 2
    assert market.alerts() == []
    market.reference("2024-09", mean="1.2")
    assert market.work() == ["prices.watch_all"]
    found = market.alert(query="?status=open&limit=1")
    assert (found["listing_id"], found["evidence"]["rests_on"]) == (listing["id"], ["reference", "peers"])
    assert (found["ceiling_fen"], found["score"]) == (1800, 316 - 50)
    assert {alert["listing_id"] for alert in market.alerts()} == {
        listing["id"], *(f"lst_{peer.hex}" for peer in market.peers)
    }  # fmt: skip


def test_every_price_is_checked_once_a_day_for_others_may_have_become_cheaper(market: Prices) -> None:
    schedule.run("watch_prices")
    market.work()
    listing = market.dear(4400)
    assert market.alerts() == []
    with unit_of_work() as session:
        session.execute(text("UPDATE listing SET price_fen = 2000 WHERE id = ANY(:them)"), {"them": market.peers})
    schedule.run("watch_prices")
    assert (market.work(), market.alerts()) == ([], [])
    market.move(days=1)
    for _ in range(2):
        schedule.run("watch_prices")
    assert market.work() == ["prices.watch_all"]
    assert [alert["listing_id"] for alert in market.alerts()] == [listing["id"]]


@pytest.mark.parametrize(("month", "age", "why"), [("2024-09", 15, "scored"), ("2024-08", 45, "stale")])
def test_beyond_the_rules_age_a_reference_is_shown_and_never_scored(
    market: Prices, month: str, age: int, why: str
) -> None:
    listing = market.dear(4000)
    market.reference(month, mean="0.001", min_price="0.001")
    market.mapped()
    (reference,) = market.check(listing)["references"]
    assert (reference["age_days"], reference["why"], reference["scored"]) == (age, why, why == "scored")
    assert market.check(listing)["verdict"] == ("above" if why == "scored" else "within")
    assert market.get(f"/v1/public/listings/{listing['id']}/reference-prices")["items"] == [reference]
    if why == "stale":
        assert (reference["percent_above"], reference["limit_fen"], reference["above"]) == (None, None, None)
        assert "参考价已过期" in market.check(listing)["says"]


def test_a_reference_by_the_piece_is_not_held_against_goods_by_weight(market: Prices) -> None:
    listing = market.dear(4000)
    market.reference("2024-09", unit="元/个")
    market.mapped()
    (reference,) = market.check(listing)["references"]
    assert (reference["why"], reference["unit_fen"]) == ("other_measure", None)
    eggs = market.listed(name="鸡蛋", base_unit="piece", pack_base_quantity=30)
    assert market.mapped(name="鸡蛋").status_code == 201
    (reference,) = market.check(eggs)["references"]
    assert (reference["why"], reference["unit_fen"], reference["mean_fen"]) == ("scored", 133_333, 400_000)


def test_the_mapping_that_names_the_spec_fits_before_the_one_for_all(market: Prices) -> None:
    listing = market.dear(4000)
    market.reference("2024-09")
    market.reference("2024-09", mean="6.0", spec="特级")
    assert market.mapped().status_code == 201
    assert market.mapped(grade="二级", reference_grade="特级").status_code == 201
    assert market.check(listing)["references"][0]["grade"] == "一级"
    special = market.mapped(spec="80MM", reference_grade="特级").get_json()
    assert [reference["grade"] for reference in market.check(listing)["references"]] == ["特级"]
    path = f"/v1/admin/reference-mappings/{special['id']}/end"
    ended = market.post("operator", path, {"to": TODAY.isoformat(), "reason": "等级不同"})
    assert ended["to"] == TODAY.isoformat()
    assert [reference["grade"] for reference in market.check(listing)["references"]] == ["一级"]
    for to in ("2024-10-14", "2024-10-16"):
        answer = market.ask("operator", "POST", path, {"to": to, "reason": "x"})
        assert (answer.status_code, answer.get_json()["errors"][0]["pointer"]) == (422, "/to")
    assert len(market.get("/v1/admin/reference-mappings", "operator")["items"]) == 3


def test_a_suggestion_is_never_scored_and_says_when_it_is_ambiguous(market: Prices) -> None:
    listing = market.dear(4000)
    for name in ("苹果", "洛川苹果", "红富士", "蕉"):
        market.reference("2024-09", mean="0.01", name=name, min_price="0.01")
    path = "/v1/admin/reference-mappings/suggestions?name="
    exact = market.get(path + "洛川 苹果", "operator")
    assert [(s["match"], s["reference_name"]) for s in exact["items"]] == [("exact", "洛川苹果"), ("contained", "苹果")]
    assert exact["ambiguous"] is False
    assert market.get(path + "静宁苹果", "operator")["ambiguous"] is False
    market.reference("2024-09", name="苹果", spec="二级")
    assert market.get(path + "静宁苹果", "operator")["ambiguous"] is True
    assert market.get(path + "香蕉", "operator") == {"ambiguous": False, "items": []}
    assert (market.check(listing)["references"], market.check(listing)["verdict"]) == ([], "within")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [({"reference_name": "香蕉"}, "/reference_name"), ({"name": "洛川苹果"}, "/name"), ({"name": "\u2003."}, None)],
)
def test_a_mapping_names_a_series_that_is_there_and_no_two_of_a_market(
    market: Prices, change: dict[str, str], pointer: str | None
) -> None:
    market.reference("2024-09")
    assert market.mapped().status_code == 201
    answer = market.mapped(**change)
    if pointer is None:
        assert answer.status_code == 201
    else:
        assert (answer.status_code, answer.get_json()["errors"][0]["pointer"]) == (422, pointer)


def test_without_reference_and_peers_the_score_rests_on_the_own_history(committed: str) -> None:
    market = Prices(peers=())
    listing = market.dear(4000)
    market.move(days=20)
    assert market.check(listing)["own_history"]["why"] == "too_short"
    changed = market.change(listing, tiers=[{"min_packs": 1, "price_fen": 100}]).get_json()
    market.move(hours=1)
    dearer = market.change(changed, tiers=[{"min_packs": 1, "price_fen": 8000}]).get_json()
    assert market.check(dearer)["own_history"]["median_fen"] == 800_000
    market.approved(dearer)
    market.work()
    found = market.alert()
    history = found["evidence"]["own_history"]
    assert found["evidence"]["rests_on"] == ["own_history"]
    assert (history["on_sale_days"], history["median_fen"], history["limit_fen"]) == (20, 800_000, 5200)
    assert [(span["price_fen"], span["start"]) for span in history["prices"]] == [
        (4000, a.NOW.isoformat()),
        (100, (a.NOW + timedelta(days=20)).isoformat()),
    ]
    market.move(days=100)
    assert market.check(dearer)["own_history"]["why"] == "too_short"


def test_a_rule_of_a_category_begins_on_a_day_to_come_and_ends_the_one_before(market: Prices) -> None:
    (first,) = market.get("/v1/public/price-rules")["items"]
    numbers = {name: value for name, value in first.items() if name not in ("id", "from", "to")}
    path = "/v1/admin/price-rules"
    late = market.ask("operator", "POST", path, numbers | {"from": TODAY.isoformat()})
    assert (late.status_code, late.get_json()["errors"][0]["pointer"]) == (422, "/from")
    market.post("operator", path, numbers | {"from": days_from(TODAY, 1), "above_peers_percent": 200})
    special = numbers | {"category": "fruit", "from": days_from(TODAY, 2), "above_peers_percent": 100}
    market.post("operator", path, special)
    again = market.ask("operator", "POST", path, special)
    assert again.status_code == 422
    rules = market.get("/v1/public/price-rules")["items"]
    assert [(rule["category"], rule["from"], rule["to"]) for rule in rules] == [
        ("", "1996-01-01", days_from(TODAY, 1)),
        ("", days_from(TODAY, 1), None),
        ("fruit", days_from(TODAY, 2), None),
    ]
    listing = market.dear()
    for percent in (30, 200, 100):
        assert market.check(listing)["rule"]["above_peers_percent"] == percent
        market.move(days=1)


def test_a_check_of_any_number_of_listings_costs_the_same_statements(market: Prices) -> None:
    counts = []
    for more in (1, 3):
        with unit_of_work() as session:
            found = [market.peer(session, 90_000 + n).id for n in range(more)]
        with unit_of_work() as session, statements() as sent:
            assert watching.watch(session, found, now=market.now) == more
        counts.append(len([statement for statement in sent if "savepoint" not in statement.lower()]))
    assert counts[0] == counts[1] <= 12


# What follows


def test_lowering_the_price_to_the_ceiling_closes_the_alert(market: Prices) -> None:
    listing = market.dear()
    market.report(listing)
    for price, status in ((5201, "open"), (5200, "lowered")):
        listing = market.change(listing, tiers=[{"min_packs": 1, "price_fen": price}]).get_json()
        market.work()
        assert market.alerts(query="?status=" + status)[0]["status"] == status
    assert market.alerts() == []
    (report,) = market.get("/v1/buyer/price-reports", "buyer")["items"]
    assert (report["status"], "已降价" in report["answer"]) == ("upheld", True)
    market.tell()
    assert market.told("seller") == ["price_alert.opened", "price_alert.closed"]
    assert market.told("buyer") == ["price_report.decided"]
    assert market.told("operator") == ["price_report.received"]


def test_an_accepted_explanation_stands_for_that_price_until_its_day(market: Prices) -> None:
    listing = market.dear()
    alert = market.alert("seller")
    path = f"/v1/cooperative/price-alerts/{alert['id']}/explain"
    explained = market.post("seller", path, {"text": "有机认证", "file_id": paper(market, "seller")})
    assert (explained["status"], explained["explanation"]) == ("explained", "有机认证")
    assert explained["explanation_file"].startswith("/v1/downloads/")
    again = market.ask("seller", "POST", path, {"text": "再次"})
    assert (again.status_code, again.get_json()["code"]) == (409, "wrong_price_alert_status")
    accepted = market.decide(alert, "accept").get_json()
    assert (accepted["status"], accepted["tolerated_until"]) == ("accepted", days_from(TODAY, 90))
    assert accepted["now"]["verdict"] == "above"
    listing = market.change(listing, max_packs=900).get_json()
    market.work()
    assert market.alerts() == []
    market.change(listing, tiers=[{"min_packs": 1, "price_fen": 9001}])
    market.work()
    assert [row["price_fen"] for row in market.alerts()] == [9001]
    market.tell()
    assert market.told("operator") == ["price_alert.explained"]
    assert market.told("seller") == ["price_alert.opened", "price_alert.closed", "price_alert.opened"]


def test_what_was_accepted_is_flagged_again_when_its_days_are_over(market: Prices) -> None:
    listing = market.dear()
    market.decide(market.alert(), "dismiss")
    market.move(days=89)
    market.change(listing, max_packs=900)
    market.work()
    assert market.alerts() == []
    market.move(days=1)
    with unit_of_work() as session:
        assert watching.watch(session, [hexed(listing)], now=market.now) == 1


def test_a_price_is_lowered_by_a_day_or_both_sides_are_told_that_it_was_not(market: Prices) -> None:
    listing = market.dear()
    alert = market.alert()
    bad = [
        ({"lower_to_fen": 9000}, "/lower_to_fen"), ({"lower_by": "2024-10-14"}, "/lower_by"),
        ({"lower_by": "2026-10-14"}, "/lower_by"),
    ]  # fmt: skip
    for more, pointer in bad:
        answer = market.decide(alert, "lower", **more)
        assert (answer.status_code, answer.get_json()["errors"][0]["pointer"]) == (422, pointer)
    assert market.decide(alert, "accept", lower_to_fen=5).status_code == 422
    required = market.decide(alert, "lower", lower_to_fen=6000, lower_by="2024-10-18").get_json()
    assert (required["status"], required["ceiling_fen"], required["due_on"]) == ("lowering", 6000, "2024-10-18")
    market.at(a.NOW.replace(day=18, hour=15))
    with unit_of_work() as session:
        assert sweeps.pass_price_deadlines(session) == 0
    market.move(hours=1)  # midnight in Beijing
    for late in (1, 0):
        with unit_of_work() as session:
            assert sweeps.pass_price_deadlines(session) == late
    assert [row["id"] for row in market.alerts(query="?overdue=true")] == [alert["id"]]
    market.tell()
    assert market.told("seller") == ["price_alert.opened", "price_alert.decided", "price_alert.overdue"]
    assert market.told("operator") == ["price_alert.overdue"]
    market.change(listing, tiers=[{"min_packs": 1, "price_fen": 6000}])
    market.work()
    assert [row["overdue"] for row in market.alerts(query="?status=lowered")] == [False]


def test_an_alert_that_nobody_answers_is_overdue_once(market: Prices) -> None:
    market.dear()
    market.move(days=7)
    with unit_of_work() as session:
        assert sweeps.pass_price_deadlines(session) == 0
    market.move(days=1)
    with unit_of_work() as session:
        assert sweeps.pass_price_deadlines(session) == 1
    alert = market.alert("seller", "?overdue=true")
    explained = market.post("seller", f"/v1/cooperative/price-alerts/{alert['id']}/explain", {"text": "晚了"})
    assert explained["overdue"] is False


def test_a_listing_is_taken_off_sale_for_its_price(market: Prices) -> None:
    listing = market.dear()
    done = market.decide(market.alert(), "delist").get_json()
    assert (done["status"], done["reason"]) == ("delisted", "已核实")
    assert market.get(f"/v1/cooperative/listings/{listing['id']}", "seller")["status"] == "delisted"
    again = market.decide(done, "accept")
    assert (again.status_code, again.get_json()["code"]) == (409, "wrong_price_alert_status")
    market.work()
    with unit_of_work() as session:
        actions = session.scalars(
            select(AuditEntry.action).where(AuditEntry.subject_kind == "price_alert").order_by(AuditEntry.id)
        ).all()
    assert actions == ["price_alert.opened", "price_alert.closed"]


def test_a_seller_that_takes_its_listing_off_sale_ends_the_alert(market: Prices) -> None:
    listing = market.dear()
    market.report(listing)
    market.post("seller", f"/v1/cooperative/listings/{listing['id']}/delist")
    market.work()
    assert [row["status"] for row in market.alerts(query="?status=delisted")] == ["delisted"]
    assert market.get("/v1/buyer/price-reports", "buyer")["items"][0]["status"] == "upheld"


def test_each_side_sees_its_own_alerts_and_no_other(market: Prices) -> None:
    market.dear()
    alert = market.alert()
    assert [row["id"] for row in market.alerts("luochuan")] == [alert["id"]]
    assert market.alerts("yanchi") == market.alerts("rival") == []
    for name, method, path, status in (
        ("yanchi", "GET", f"/v1/admin/price-alerts/{alert['id']}", 404),
        ("rival", "GET", f"/v1/cooperative/price-alerts/{alert['id']}", 404),
        ("luochuan", "POST", f"/v1/admin/price-alerts/{alert['id']}/decide", 403),
        ("seller", "GET", f"/v1/admin/price-alerts/{alert['id']}", 404),
        ("shipper", "POST", f"/v1/cooperative/price-alerts/{alert['id']}/explain", 403),
    ):
        assert market.ask(name, method, path, {"text": "x"} if method == "POST" else None).status_code == status


def test_the_queue_comes_in_pages(market: Prices) -> None:
    for price in (8000, 9000, 10_000):
        market.dear(price)
    page = market.get("/v1/admin/price-alerts?limit=2", "operator")
    rest = market.get(f"/v1/admin/price-alerts?limit=2&cursor={page['next']}", "operator")
    prices = [row["price_fen"] for row in page["items"] + rest["items"]]
    assert (prices, rest["next"]) == ([10_000, 9000, 8000], None)


@pytest.mark.parametrize("start", list(AlertStatus))
@pytest.mark.parametrize("to", list(AlertStatus))
def test_an_alert_makes_only_the_moves_of_the_table(start: AlertStatus, to: AlertStatus) -> None:
    alert = PriceAlert(status=start)
    if to in NEXT[start]:
        to_become(alert, to)
    else:
        with pytest.raises(WrongAlertStatus):
            to_become(alert, to)


# What buyers report


def test_reports_of_a_listing_gather_and_the_seller_never_learns_whose_they_are(market: Prices) -> None:
    listing = market.dear(4400)
    first = market.report(listing, file_id=paper(market, "buyer"), link=None).get_json()
    assert (first["status"], first["answer"], first["price_fen"]) == ("received", None, 4400)
    assert first["file"].startswith("/v1/downloads/")
    twice = market.report(listing)
    assert (twice.status_code, twice.get_json()["code"]) == (409, AlreadyReported.code)
    assert market.report(listing, "second buyer").status_code == 201
    assert market.alerts("seller") == []
    alert = market.alert()
    assert (alert["status"], alert["opened_by"], alert["due_on"]) == ("reported", "report", None)
    buyers = [f"org_{market.actors[name].organisation_id.hex}" for name in ("buyer", "second buyer")]
    assert [report["buyer_id"] for report in alert["reports"]] == buyers
    market.tell()
    assert market.told("seller") == []

    taken = market.post("operator", f"/v1/admin/price-alerts/{alert['id']}/take-up")
    assert (taken["status"], taken["due_on"]) == ("open", days_from(TODAY, 7))
    assert {report["status"] for report in taken["reports"]} == {"under_review"}
    again = market.ask("operator", "POST", f"/v1/admin/price-alerts/{alert['id']}/take-up")
    assert (again.status_code, again.get_json()["code"]) == (409, WrongAlertStatus.code)
    shown = market.ask("seller", "GET", f"/v1/cooperative/price-alerts/{alert['id']}").text
    assert all(
        secret not in shown
        for buyer in ("buyer", "second buyer")
        for secret in (market.actors[buyer].organisation_id.hex, market.actors[buyer].user_id.hex, first["id"])
    )
    (seen, _) = market.alert("seller")["seen_elsewhere"]
    assert seen == {"seen_fen": 1200, "seen_quantity": 2500, "place": "某超市", "seen_on": TODAY.isoformat()}
    with unit_of_work() as session:
        seller = market.actors["seller"].organisation_id
        told = session.scalars(select(Event.payload).where(Event.seen_by.contains([seller]))).all()
    assert not any("report_id" in payload for payload in told)

    without = market.decide(alert, "dismiss")
    assert (without.status_code, without.get_json()["errors"][0]["pointer"]) == (422, "/answer")
    assert market.decide(alert, "dismiss", answer="规格不同，价格合理。").status_code == 200
    (report,) = market.get("/v1/buyer/price-reports", "second buyer")["items"]
    assert (report["status"], report["answer"]) == ("rejected", "规格不同，价格合理。")
    market.tell()
    assert market.told("second buyer") == ["price_report.decided"]
    assert market.report(listing).status_code == 201  # and may be reported again


def test_a_report_of_what_is_looked_into_already_is_under_review_at_once(market: Prices) -> None:
    listing = market.dear()
    report = market.report(listing).get_json()
    assert (report["status"], report["review_at"]) == ("under_review", report["received_at"])
    alert = market.alert("seller")
    assert (alert["opened_by"], len(alert["seen_elsewhere"])) == ("check", 1)
    upheld = market.decide(alert, "lower", answer="已责令降价。").get_json()
    assert [(r["status"], r["answer"]) for r in upheld["reports"]] == [("upheld", "已责令降价。")]


def test_what_was_only_reported_is_asked_when_a_check_flags_it_too(market: Prices) -> None:
    listing = market.dear(5000)
    market.report(listing)
    assert market.alert()["status"] == "reported"
    market.change(listing, tiers=[{"min_packs": 1, "price_fen": 5500}])
    market.work()
    alert = market.alert("seller")
    assert (alert["status"], alert["opened_by"], alert["ceiling_fen"]) == ("open", "report", 5200)
    assert market.get("/v1/buyer/price-reports", "buyer")["items"][0]["status"] == "under_review"


def test_a_report_that_was_found_without_ground_leaves_no_trace_with_the_seller(market: Prices) -> None:
    market.report(market.dear(4000))
    assert market.decide(market.alert(), "dismiss", answer="不属实").status_code == 200
    market.tell()
    assert (market.alerts("seller", "?status=dismissed"), market.told("seller")) == ([], [])


@pytest.mark.parametrize(
    ("change", "status", "pointer"),
    [
        ({"seen_on": "2024-10-16"}, 422, "/seen_on"),
        ({"seen_on": "2023-10-14"}, 422, "/seen_on"),
        ({"link": None}, 422, ""),
        ({"link": "javascript:alert(1)"}, 422, "/link"),
        ({"listing_id": "lst_" + "f" * 32}, 404, "/listing_id"),
        ({"file_id": "file_" + "f" * 32}, 404, "/file_id"),
        ({"seen_fen": 0}, 422, "/seen_fen"),
    ],
)
def test_a_report_needs_evidence_a_day_and_a_listing_on_sale(
    market: Prices, change: dict[str, Any], status: int, pointer: str
) -> None:
    listing = market.dear(4000)
    answer = market.report(listing, **change)
    assert (answer.status_code, answer.get_json()["errors"][0]["pointer"]) == (status, pointer)
    assert market.alerts() == []


def test_what_is_off_sale_has_no_public_references(market: Prices) -> None:
    listing = market.submitted()
    assert market.ask("", "GET", f"/v1/public/listings/{listing['id']}/reference-prices").status_code == 404
    assert market.check(listing, "luochuan")["verdict"] == "within"
    assert market.ask("yanchi", "GET", f"/v1/admin/listings/{listing['id']}/price-check").status_code == 404
    assert market.check(listing, "seller")["verdict"] == "within"


def test_overlapping_rules_and_mappings_are_refused_by_the_database_too(market: Prices) -> None:
    with unit_of_work() as session, pytest.raises(Invalid), unless_taken(session, Invalid("taken", pointer="/from")):
        session.execute(
            text(
                "INSERT INTO price_rule SELECT gen_random_uuid(), category, valid, 1, 1, 1, 1, 3, 1, 1, 1, 1, 1"
                " FROM price_rule"
            )
        )
