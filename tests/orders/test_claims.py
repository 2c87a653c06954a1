"""Returns and disputes: who claims what by when, one decision, and money that follows to the fen."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from werkzeug.test import TestResponse

from config.settings import settings as shop_settings
from shop import clock
from shop.accounts.models import Kind, Organisation
from shop.accounts.service import logging_in
from shop.actor import SYSTEM, Actor, Role
from shop.agreements.models import FrameworkAgreement
from shop.catalogue.models import Listing, Product
from shop.db import checker_engine, in_unit_of_work, unit_of_work
from shop.facts.models import Fact, Measure
from shop.ledger.models import AccountKind, CreditLimit
from shop.ledger.service import PLATFORM_ID, balance
from shop.orders.models import SupplierOrder
from shop.orders.models_budgets import Budget
from shop.orders.models_claims import Claim, Correction, Receivable
from shop.orders.schemas_budgets import SetBudget
from shop.orders.service import budgeting
from shop.orders.service.moving import confirm_order
from shop.payments.models import Charge, Method, Refund
from shop.payments.service import charging, refunding
from shop.reporting.checks import run_checks
from tests import builders as a
from tests.agreements.table import agreed
from tests.application import a_client
from tests.files.test_images import a_photo
from tests.orders import journey
from tests.outbox.helpers import work
from workers.relay import number_and_fan_out
from workers.schedule import run

HOUR = timedelta(hours=1)
PAPER = b"%PDF-1.7 a laboratory's report"
PRICE, FREIGHT = 4_000, 3_000
OTHERS = text(
    "UPDATE delivery SET status = 'done', done_at = clock_timestamp()"
    " WHERE status <> 'done' AND consumer NOT LIKE 'payments.%' AND consumer NOT LIKE 'orders.%'"
)


class Counter:
    """A served shop: a buyer that claims, a cooperative that answers, an operator that decides; workers run by hand."""

    def __init__(self) -> None:
        self.client = a_client()
        self.keys = iter(range(100_000))
        with unit_of_work() as session:
            clock.move_to(session, a.NOW)
            platform = a.an_organisation(session, Kind.PLATFORM, id=PLATFORM_ID, uscc=None)
            self.world = a.World(session)
            listing = self.world.offer(10_000, lots=10_000)
            self.listing = listing.id
            seller = session.get_one(Organisation, listing.cooperative_id)
            second = a.a_product(session, seller, "小米")
            other = a.a_listing(
                session, second, price_fen=2_501, tiers=[[1, 2_501]], pack_base_quantity=2_000, pack_grams=2_000
            )
            a.a_supply(session, other, 10_000)
            a.a_lot(session, second, 10_000 * 2_000)
            self.other = other.id
            budget = SetBudget(
                budget_unit_id=self.world.unit.id, year=2024, purpose="canteen", amount_fen=10**12, reason="年初批复"
            )
            budgeting.set_budget(session, by=self.world.actor, wanted=budget, now=a.NOW)
            self.people: dict[str, Actor] = {
                "buyer": self.world.actor,
                "seller": a.a_member(session, seller),
                "shipper": a.a_member(session, seller, roles={Role.SHIPPER}),
                "operator": a.a_member(session, platform),
                "stranger": a.a_member(session, a.an_organisation(session)),
            }
            self.tokens = {
                name: logging_in.issue_token(session, user_id=actor.user_id)[0] for name, actor in self.people.items()
            }

    def at(self, instant: datetime) -> None:
        with unit_of_work() as session:
            clock.move_to(session, instant)

    def part(self, terms: str = "on_terms", *, packs: int = 10, others: int = 0, inspect: bool = True) -> str:
        """A delivered supplier order, inspected as wholly good unless told otherwise; paid when it is prepaid."""
        self.at(a.NOW)
        lines = {self.listing: packs} | ({self.other: others} if others else {})
        with unit_of_work() as session:
            self.world.session = session
            placed = self.world.place(lines, terms)
        if terms == "prepaid":
            self.pay(placed.id)
        key = placed.parts[0].id
        with unit_of_work() as session:
            confirm_order(session, order_id=placed.id, by=SYSTEM, now=a.NOW)
            journey.delivered(session, key)
        self.at(journey.LATER)
        part = f"so_{key.hex}"
        if inspect:
            answer = self.ask("buyer", "POST", f"/v1/buyer/supplier-orders/{part}/inspection", {"accept_all": True})
            assert answer.status_code == 201, answer.json
        return part

    def pay(self, order_id: UUID) -> None:
        with unit_of_work() as session:
            now = clock.business_now(session)
            charge = charging.request(
                session, actor=self.world.actor, order_id=order_id, method=Method.BANK_TRANSFER, payment_method=None,
                now=now,
            )  # fmt: skip
        self.receive(charge)

    def receive(self, charge: Charge) -> None:
        with unit_of_work() as session:
            charging.receive_transfer(
                session, reference=charge.reference, amount_fen=charge.amount_fen, payer_name="国库", by=SYSTEM,
                now=clock.business_now(session),
            )  # fmt: skip

    def settle(self) -> None:
        """Let the workers do what follows, and let the refunds arrive."""
        for _ in range(3):
            in_unit_of_work(number_and_fan_out)
            with unit_of_work() as session:  # notices and others are not what these tests are about
                session.execute(OTHERS)
            work("payments.after_claim", "payments.after_inspection", "payments.settle_what_is_paid")
        with unit_of_work() as session:
            for refund_id in session.scalars(select(Refund.id).where(Refund.status == "pending")).all():
                refunding.finish(session, refund_id=refund_id, gateway_id=None, now=clock.business_now(session))

    def ask(self, who: str, method: str, path: str, body: Any = None) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.tokens[who]}", "Accept-Language": "en"}
        if method == "POST":
            headers["Idempotency-Key"] = f"k{next(self.keys)}"
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        return self.client.open(path, method=method, headers=headers, **sent)

    def lines(self, part: str, *packs: int, **more: Any) -> list[dict[str, Any]]:
        """So many packs of each line's lot."""
        with unit_of_work() as session:
            shares = journey.sent_of(session, UUID(hex=part[3:]))
        return [
            {"line_id": f"line_{share.line_id.hex}", "lot_id": f"lot_{share.lot_id.hex}", "packs": count, **more}
            for share, count in zip(shares, packs, strict=False)
            if count
        ]

    def claim(self, part: str, *packs: int, kind: str = "return", **more: Any) -> TestResponse:
        body = {"kind": kind, "statement": "到货三日后腐烂", "lines": self.lines(part, *packs, reason="腐烂"), **more}
        return self.ask("buyer", "POST", f"/v1/buyer/supplier-orders/{part}/claims", body)

    def answer(self, claim: Any, agree: bool, who: str = "seller", **more: Any) -> TestResponse:
        body = {"agree": agree, "statement": "我方发货完好", **more}
        return self.ask(who, "POST", f"/v1/cooperative/claims/{claim.json['id']}/answer", body)

    def decide(self, claim: Any, part: str, *packs: int) -> TestResponse:
        body = {"grants": self.lines(part, *packs), "reason": "检测报告显示部分不合格"}
        return self.ask("operator", "POST", f"/v1/admin/claims/{claim.json['id']}/decide", body)

    def row(self, part: str) -> SupplierOrder:
        with unit_of_work() as session:
            return journey.part_of(session, UUID(hex=part[3:]))


def code(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.json["code"]


def proven() -> list[Any]:
    with checker_engine().connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        return run_checks(connection)


@pytest.fixture
def counter(committed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Counter]:
    monkeypatch.setenv("SHOP_FILES", str(tmp_path / "files"))
    shop_settings.cache_clear()
    yield Counter()
    assert proven() == []


def accounts(counter: Counter) -> tuple[int, int, int]:
    """What the buyer owes, what the cooperative is owed (negative), and what the bank holds."""
    with unit_of_work() as session:
        seller = counter.people["seller"].organisation_id
        return (
            balance(session, counter.world.buyer.id, AccountKind.BUYER),
            balance(session, seller, AccountKind.COOPERATIVE),
            balance(session, PLATFORM_ID, AccountKind.BANK),
        )


def test_what_a_cooperative_agrees_to_is_corrected_at_once_in_bill_ledger_facts_credit_and_budget(
    counter: Counter,
) -> None:
    part = counter.part()
    claim = counter.claim(part, 3)
    assert (claim.status_code, claim.json["status"], claim.json["number"]) == (201, "open", "AS-2024-000001")
    assert counter.row(part).status == "disputed"
    done = counter.answer(claim, agree=True)
    assert (done.status_code, done.json["status"], done.json["lines"][0]["granted"]) == (200, "agreed", 3)
    assert done.json["correction"]["total_fen"] == 3 * PRICE
    row = counter.row(part)
    assert (row.status, row.accepted_goods_fen, row.accepted_freight_fen) == ("inspected", 7 * PRICE, FREIGHT)
    assert accounts(counter) == (7 * PRICE + FREIGHT, -7 * PRICE - FREIGHT, 0)
    with unit_of_work() as session:
        assert session.scalars(select(CreditLimit.used_fen)).one() == 7 * PRICE + FREIGHT
        assert session.scalars(select(Budget.drawn_fen)).one() == 7 * PRICE + FREIGHT
        for measure, packs in ((Measure.ACCEPTED, [10, -3]), (Measure.CORRECTED, [-3])):
            facts = session.scalars(select(Fact).where(Fact.measure == measure).order_by(Fact.id)).all()
            assert [fact.packs for fact in facts] == packs
            assert (facts[-1].goods_fen, facts[-1].freight_fen, facts[-1].grams) == (-12_000, 0, -15_000)


def test_returning_all_in_steps_costs_what_returning_it_at_once_does_and_freight_falls_with_the_last_pack(
    counter: Counter,
) -> None:
    part = counter.part(others=3)
    for packs in ((4, 0), (6, 1), (0, 2)):
        assert counter.answer(counter.claim(part, *packs), agree=True).status_code == 200
        row = counter.row(part)
        left = (row.accepted_goods_fen or 0) + (row.accepted_freight_fen or 0)
        assert accounts(counter) == (left, -left, 0)
    assert (row.accepted_goods_fen, row.accepted_freight_fen) == (0, 0)
    with unit_of_work() as session:
        assert session.scalars(select(CreditLimit.used_fen)).one() == 0
        assert session.scalars(select(Budget.drawn_fen)).one() == 0


def test_what_is_returned_in_steps_is_given_back_to_the_agreement_that_priced_it(counter: Counter) -> None:
    with unit_of_work() as session:
        counter.world.session = session
        agreement = agreed(counter.world, session.get_one(Listing, counter.listing), 3_500).id
    part = counter.part()
    drawn = []
    for packs in (0, 3, 2):
        if packs:
            assert counter.answer(counter.claim(part, packs), agree=True).status_code == 200
        with unit_of_work() as session:
            drawn.append(session.get_one(FrameworkAgreement, agreement).drawn_fen)
    assert drawn == [10 * 3_500, 7 * 3_500, 5 * 3_500]


def test_the_platform_decides_a_contested_claim_once_and_may_grant_a_part(counter: Counter) -> None:
    part = counter.part()
    claim = counter.claim(part, 5, kind="dispute")
    assert code(counter.decide(claim, part, 2)) == (409, "wrong_claim_status")  # the cooperative has its hours
    assert counter.answer(claim, agree=False, who="shipper").status_code == 403
    contested = counter.answer(claim, agree=False)
    assert (contested.json["status"], contested.json["answer"]) == ("contested", "我方发货完好")
    assert code(counter.answer(claim, agree=False)) == (409, "wrong_claim_status")
    assert code(counter.decide(claim, part, 6)) == (422, "wrong_claim")
    decided = counter.decide(claim, part, 2)
    assert (decided.json["status"], decided.json["lines"][0]["granted"]) == ("decided", 2)
    assert decided.json["correction"]["goods_fen"] == 2 * PRICE
    assert code(counter.decide(claim, part, 5)) == (409, "wrong_claim_status")
    assert code(counter.answer(claim, agree=True)) == (409, "wrong_claim_status")
    assert counter.row(part).status == "inspected"


def test_a_claim_that_is_rejected_or_withdrawn_changes_nothing_and_lets_the_settlement_go_on(counter: Counter) -> None:
    part = counter.part("prepaid")
    claim = counter.claim(part, 5)
    counter.settle()
    assert counter.row(part).status == "disputed"  # the money is in, and the cooperative waits for it
    counter.answer(claim, agree=False)
    assert counter.decide(claim, part).json["correction"] is None
    counter.settle()
    assert (counter.row(part).status, accounts(counter)) == ("settled", (0, 0, 0))
    second = counter.part("prepaid")
    claim = counter.claim(second, 5)
    taken = counter.ask("buyer", "POST", f"/v1/buyer/claims/{claim.json['id']}/withdraw")
    assert (taken.json["status"], taken.json["correction"]) == ("withdrawn", None)
    counter.settle()
    assert counter.row(second).status == "settled"


def test_what_is_not_answered_in_time_goes_to_the_platform(counter: Counter) -> None:
    part = counter.part()
    claim = counter.claim(part, 5)
    counter.at(journey.LATER + 73 * HOUR)
    assert code(counter.answer(claim, agree=False)) == (409, "wrong_claim_status")
    for _ in range(2):
        run("tell_order_times")
    waiting = counter.ask("operator", "GET", "/v1/admin/claims?status=undefended").json["items"]
    assert [each["id"] for each in waiting] == [claim.json["id"]]
    assert counter.decide(claim, part, 5).json["status"] == "decided"
    assert counter.row(part).accepted_goods_fen == 5 * PRICE


def test_prepaid_money_goes_back_before_and_after_the_settlement_and_what_was_paid_out_is_kept_from_the_next(
    counter: Counter,
) -> None:
    part = counter.part("prepaid")
    claim = counter.claim(part, 2)  # before the workers have settled anything
    counter.answer(claim, agree=True)
    counter.settle()
    assert (counter.row(part).status, accounts(counter)) == ("settled", (0, 0, 0))
    claim = counter.claim(part, 3)
    assert (claim.status_code, counter.row(part).status) == (201, "settled")
    counter.answer(claim, agree=True)
    counter.settle()
    assert accounts(counter) == (0, 3 * PRICE, -3 * PRICE)  # the buyer has it back, the cooperative owes it
    with unit_of_work() as session:
        owed = session.scalars(select(Receivable)).one()
        assert (owed.amount_fen, owed.recovered_fen) == (3 * PRICE, 0)
        assert [refund.amount_fen for refund in session.scalars(select(Refund).order_by(Refund.id))] == [
            2 * PRICE, 3 * PRICE,
        ]  # fmt: skip
    assert proven() == []
    following = counter.part("prepaid", packs=1)  # worth less than what is owed: goods and freight
    counter.settle()
    worth = counter.row(following).goods_fen + counter.row(following).freight_fen
    assert accounts(counter) == (0, 3 * PRICE - worth, worth - 3 * PRICE)
    counter.part("prepaid")
    counter.settle()
    assert accounts(counter) == (0, 0, 0)


def test_on_terms_the_notice_of_the_old_sum_is_taken_back_and_money_for_it_is_given_back(counter: Counter) -> None:
    part = counter.part(others=3)
    order_id = counter.row(part).order_id
    with unit_of_work() as session:
        charge = charging.request(
            session, actor=counter.world.actor, order_id=order_id, method=Method.BANK_TRANSFER, payment_method=None,
            now=journey.LATER,
        )  # fmt: skip
    counter.answer(counter.claim(part, 2, 1), agree=True)
    counter.receive(charge)  # it was on its way
    counter.settle()
    row = counter.row(part)
    assert row.status == "settled"
    with unit_of_work() as session:
        refund = session.scalars(select(Refund)).one()
        assert (refund.reason, refund.amount_fen) == ("corrected", 2 * PRICE + 2_501)
        assert session.scalars(select(CreditLimit.used_fen)).one() == 0
    assert accounts(counter) == (0, 0, 0)
    later = counter.part()
    with unit_of_work() as session:
        charge = charging.request(
            session, actor=counter.world.actor, order_id=counter.row(later).order_id, method=Method.BANK_TRANSFER,
            payment_method=None, now=journey.LATER,
        )  # fmt: skip
    counter.answer(counter.claim(later, 1), agree=True)
    counter.settle()
    with unit_of_work() as session:
        assert session.get_one(Charge, charge.id).failure == "corrected"
    counter.pay(counter.row(later).order_id)
    counter.settle()
    assert accounts(counter) == (0, 0, 0)


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ([(0, 11)], "more_than_accepted"), ([(0, 4), (0, 4)], "repeated"), ([(1, 1)], "not_accepted"),
    ],
)  # fmt: skip
def test_what_was_not_accepted_is_not_claimed(counter: Counter, lines: list[tuple[int, int]], fault: str) -> None:
    part, other = counter.part(), counter.part()
    places = [counter.lines(part, 1)[0], counter.lines(other, 1)[0]]
    wanted = [places[place] | {"packs": packs, "reason": "腐烂"} for place, packs in lines]
    body = {"kind": "return", "statement": "x", "lines": wanted}
    refused = counter.ask("buyer", "POST", f"/v1/buyer/supplier-orders/{part}/claims", body)
    assert code(refused) == (422, "wrong_claim")
    assert fault in [error["code"] for error in refused.json["errors"]]
    assert counter.row(part).status == "inspected"


def test_what_was_taken_back_is_not_claimed_again_and_one_claim_is_open_at_a_time(counter: Counter) -> None:
    part = counter.part()
    claim = counter.claim(part, 8)
    assert code(counter.claim(part, 1)) == (409, "claim_open")
    counter.answer(claim, agree=True)
    assert code(counter.claim(part, 3)) == (422, "wrong_claim")
    assert counter.claim(part, 2).status_code == 201


def test_it_is_claimed_within_the_hours_of_the_storage_class_of_what_was_accepted_only(counter: Counter) -> None:
    part, delivered = counter.part(), counter.part(inspect=False)
    assert code(counter.claim(delivered, 1)) == (409, "wrong_order_status")
    counter.at(journey.LATER + 169 * HOUR)
    assert code(counter.claim(part, 1)) == (409, "claim_too_late")
    with unit_of_work() as session:
        session.execute(Product.__table__.update().values(storage="chilled"))
    counter.at(journey.LATER + 49 * HOUR)
    assert code(counter.claim(part, 1)) == (409, "claim_too_late")


def test_evidence_of_both_sides_is_seen_by_both_and_the_platform_and_by_nobody_else(counter: Counter) -> None:
    part = counter.part()
    photo = counter.ask("buyer", "POST", f"/v1/buyer/supplier-orders/{part}/photos", a_photo()).json["items"][0]["id"]
    file_id = counter.ask("buyer", "POST", "/v1/me/files?name=x.pdf", PAPER).json["id"]
    theirs = counter.ask("stranger", "POST", "/v1/me/files?name=x.pdf", PAPER).json["id"]
    lines = counter.lines(part, 2, reason="农残超标", photo_ids=[photo])
    body = {"kind": "dispute", "statement": "检测不合格", "lines": lines}
    path = f"/v1/buyer/supplier-orders/{part}/claims"
    assert counter.ask("buyer", "POST", path, body | {"file_ids": [theirs]}).status_code == 404
    claim = counter.ask("buyer", "POST", path, body | {"file_ids": [file_id]})
    assert claim.status_code == 201, claim.json
    work("orders.make_photo")
    mine = counter.ask("seller", "POST", f"/v1/cooperative/supplier-orders/{part}/photos", a_photo(size=(300, 300)))
    own = mine.json["items"][0]["id"]
    assert code(counter.answer(claim, agree=False, photo_ids=[photo])) == (422, "wrong_claim")
    counter.answer(claim, agree=False, photo_ids=[own])
    work("orders.make_photo")
    for who, branch in (("buyer", "buyer"), ("seller", "cooperative"), ("operator", "admin")):
        seen = counter.ask(who, "GET", f"/v1/{branch}/claims/{claim.json['id']}").json
        links = [seen["lines"][0]["photos"][0]["link"], seen["answer_photos"][0]["link"], seen["papers"][0]["link"]]
        assert [counter.client.get(link).status_code for link in links] == [200, 200, 200]
        assert counter.client.get(links[2]).data == PAPER
    assert counter.ask("stranger", "GET", f"/v1/buyer/claims/{claim.json['id']}").status_code == 404
    assert counter.ask("stranger", "GET", "/v1/buyer/claims").json["items"] == []
    assert len(counter.ask("buyer", "GET", "/v1/buyer/claims").json["items"]) == 1


@pytest.mark.parametrize("table", ["claim_line", "correction", "correction_line"])
@pytest.mark.parametrize("deed", ["UPDATE {} SET id = id", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_what_was_claimed_and_corrected_is_not_changed_afterwards(committed: str, table: str, deed: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"), unit_of_work() as session:
        session.execute(text(deed.format(table)))


@given(data=st.data())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_inspected_claimed_agreed_decided_and_paid_ledger_facts_and_bill_are_one(
    counter: Counter, data: st.DataObject
) -> None:
    terms = data.draw(st.sampled_from(["prepaid", "on_terms"]), "terms")
    part = counter.part(terms, packs=6, others=4, inspect=False)
    shares = counter.lines(part, 1, 1)
    sent = [6, 4]
    found = []
    for place, packs in zip(shares, sent, strict=True):
        rejected = data.draw(st.integers(0, packs), "rejected")
        found.append(
            {"line_id": place["line_id"], "lot_id": place["lot_id"], "accepted": packs - rejected,
             "rejected": rejected, "short": 0, "reason": "坏" if rejected else None}
        )  # fmt: skip
    answer = counter.ask("buyer", "POST", f"/v1/buyer/supplier-orders/{part}/inspection", {"lines": found})
    assert answer.status_code == 201, answer.json
    left = [line["accepted"] for line in found]
    steps = st.sampled_from(["work", "pay", "return", "dispute"])
    for step in data.draw(st.lists(steps, min_size=1, max_size=6), "steps"):
        if step == "work":
            counter.settle()
        elif step == "pay":
            if terms == "on_terms":
                with suppress(charging.NothingToPay, charging.AlreadyAsked):
                    counter.pay(counter.row(part).order_id)
        elif any(left):
            packs = [data.draw(st.integers(0, most), "packs") for most in left]
            if not any(packs):
                continue
            claim = counter.claim(part, *packs, kind=step)
            assert claim.status_code == 201, claim.json
            if data.draw(st.booleans(), "works meanwhile"):
                counter.settle()
            if step == "return":
                granted = packs
                assert counter.answer(claim, agree=True).status_code == 200
            else:
                granted = [data.draw(st.integers(0, most), "granted") for most in packs]
                assert counter.answer(claim, agree=False).status_code == 200
                assert counter.decide(claim, part, *granted).status_code == 200
            left = [most - back for most, back in zip(left, granted, strict=True)]
        row = counter.row(part)
        assert row.accepted_goods_fen == left[0] * PRICE + left[1] * 2_501
        assert row.accepted_freight_fen == (row.freight_fen if any(left) else 0)
        assert proven() == []
    counter.settle()
    assert proven() == []


def test_a_claim_and_its_numbers_are_seen_by_the_row(counter: Counter) -> None:
    part = counter.part()
    counter.answer(counter.claim(part, 1), agree=True)
    with unit_of_work() as session:
        claim, correction = session.scalars(select(Claim)).one(), session.scalars(select(Correction)).one()
        assert (claim.number, correction.number, correction.claim_id) == (
            "AS-2024-000001", "CN-2024-000001", claim.id,
        )  # fmt: skip
