"""The checks find nothing in a shop that works, and each finds what it is for."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from config.settings import settings
from shop.actor import SYSTEM
from shop.db import checker_engine, make_engine, unit_of_work
from shop.ledger.service import PLATFORM_ID
from shop.orders.schemas_budgets import SetBudget
from shop.orders.schemas_claims import NewAnswer, NewClaim
from shop.orders.schemas_fulfilment import Inspect
from shop.orders.service import acceptance, budgeting, claiming
from shop.orders.service.cancelling import cancel_order
from shop.payments.service import charging
from shop.reporting.checks import CHECKS, OWN, run_checks
from tests import builders as a
from tests.agreements.table import a_quote, agreed
from tests.orders import journey
from tests.reporting.helpers import break_it, number, roll

MOVE = "UPDATE supplier_order SET status = '{}' WHERE status = '{}'"
BREAKAGES = {
    "stock: what a supply says is held and bound is what holds say": (
        "UPDATE supply SET held = held + 1, open = open - 1"
    ),
    "stock: what a lot says is what its movements say": "UPDATE lot SET lost = lost + 1, in_store = in_store - 1",
    "stock: what leaves one place of a lot arrives at another": (
        "UPDATE lot SET transferred = 1, in_store = in_store - 1"
    ),
    "stock: a lot is of one product, harvest and date wherever it lies": (
        "INSERT INTO lot (id, product_id, cooperative_id, code, harvested_on, best_before, received, in_store, bound,"
        " shipped, lost, origin_id, created_at) SELECT gen_random_uuid(), product_id, cooperative_id, code || 'x',"
        " harvested_on, best_before, 0, 0, 0, 0, 0, id, now() FROM lot"
    ),
    "stock: a count that differs is booked, and nothing else is": (
        "INSERT INTO movement (id, lot_id, kind, quantity, at)"
        " SELECT gen_random_uuid(), id, 'counted_more', 1, now() FROM lot"
    ),
    "stock: what a line has bound of supply it has bound of lots": (
        "UPDATE movement SET quantity = quantity + 1 WHERE kind = 'bound'"
    ),
    "stock: what is held and stopped is what open recalls hold and stop": "UPDATE lot SET recalls = 1",
    "stock: an open recall names every line that has goods of its lots": (
        "WITH made AS (INSERT INTO recall (id, product_id, cooperative_id, ordered_by_id, by_user_id, reason, status,"
        " ordered_at) SELECT gen_random_uuid(), product_id, cooperative_id, cooperative_id, id, 'x', 'open', now()"
        " FROM lot RETURNING id, product_id) INSERT INTO recall_lot (recall_id, lot_id, at)"
        " SELECT made.id, lot.id, now() FROM made JOIN lot ON lot.product_id = made.product_id"
    ),
    "stock: households bring no more to a lot than it weighs": (
        "INSERT INTO contribution (id, lot_id, cooperative_id, household, brought_on, grams, paid_fen, recorded_at)"
        " SELECT gen_random_uuid(), id, cooperative_id, 'H1', harvested_on, received + 1, 0, now() FROM lot"
    ),
    "orders: a line gets what its allocations gave it, and they deal out no more than was there": (
        "UPDATE order_line SET allocated_packs = 0"
    ),
    "orders: an order is the sum of its parts": (
        "UPDATE purchase_order SET goods_fen = goods_fen + 1, total_fen = total_fen + 1"
    ),
    "orders: a supplier order is the sum of its lines": ("UPDATE order_line SET freight_fen = freight_fen + 1"),
    "orders: the last step of the history is the status": MOVE.format("delivered", "inspected"),
    "orders: the steps of a history have no hole and each begins where the one before ended": (
        "DELETE FROM order_history WHERE step = 2"
    ),
    "orders: ordered facts are the lines of living supplier orders": (
        "DELETE FROM fact WHERE measure = 'ordered' AND amount_fen < 0"
    ),
    "orders: no hold stands without its line": (
        "UPDATE hold SET line_id = gen_random_uuid() WHERE id = (SELECT id FROM hold LIMIT 1)"
    ),
    "orders: only what is neither packed nor cancelled has active holds": (
        "UPDATE hold SET status = 'active' WHERE status = 'released'"
    ),
    "orders: a living line holds exactly what it ordered": (
        "UPDATE hold SET status = 'released' WHERE status = 'active'"
    ),
    "orders: what lapsed holds nothing": "UPDATE supplier_order SET supply_held = false WHERE status = 'placed'",
    "orders: a buyer chooses for what is placed without supply, and a choice ends as its order did": (
        "INSERT INTO supply_choice (supplier_order_id, opened_at, decide_by)"
        " SELECT id, now(), now() FROM supplier_order LIMIT 1"
    ),
    "orders: freight that is billed is what was ordered or agreed on last; only what is confirmed is being changed": (
        "UPDATE supplier_order SET agreed_freight_fen = 1"
    ),
    "orders: an acceptance note is the sum of its lines and, less its corrections, what its supplier order says": (
        "UPDATE supplier_order SET accepted_goods_fen = accepted_goods_fen - 1"
    ),
    "orders: what is due ends with the move that answers it": (
        "UPDATE order_due SET ended_at = NULL WHERE waits_for = 'acceptance'"
    ),
    "orders: what nobody inspected is marked so on its lines and facts, and nothing else is": (
        "UPDATE fact SET silent = true WHERE measure = 'accepted'"
    ),
    "orders: a budget's drawn sum is that of its entries": "UPDATE budget SET drawn_fen = drawn_fen + 1",
    "orders: what an order draws on its budget is what its parts still cost": (
        "UPDATE budget_entry SET amount_fen = amount_fen + 1 WHERE kind = 'placed'"
    ),
    "orders: what a line draws on its agreement is what is still bought of it": (
        "UPDATE agreement_drawing SET packs = packs + 1"
    ),
    "orders: a quote prices one line, at its price and for no more than was quoted": (
        "UPDATE negotiated_quote SET packs = 1"
    ),
    "agreements: what an agreement has drawn is the sum of its drawings": (
        "UPDATE framework_agreement SET drawn_fen = drawn_fen + 1"
    ),
    "agreements: what a line has drawn is the sum of its drawings": (
        "UPDATE agreement_line SET drawn_packs = drawn_packs + 1"
    ),
    "agreements: drawings are at the price of their line, of its agreement, and give back no more than was drawn": (
        "UPDATE agreement_drawing SET fen = fen + 1"
    ),
    "reporting: the rollup is the sum of the numbered facts up to its mark": (
        "UPDATE rollup SET grams = grams - 1 WHERE measure = 'accepted'"
    ),
    "reporting: fact numbers run from one without a hole, and the rollup's mark is one of them": (
        "UPDATE fact SET posted_no = posted_no + 100 WHERE posted_no = 2"
    ),
    "orders: a correction is the sum of its lines, and all of them take back no more than was accepted and claimed": (
        "UPDATE correction_line SET packs = packs + 1"
    ),
    "orders: what is disputed has an open claim, and what has one is disputed or settled": (
        "UPDATE claim SET status = 'open', closed_at = NULL"
    ),
    "reporting: corrected facts are the corrections": "DELETE FROM fact WHERE measure = 'corrected'",
    "reporting: accepted facts are the acceptance note less its corrections, and their postings to the buyer": (
        "UPDATE fact SET freight_fen = freight_fen + 1, amount_fen = amount_fen + 1 WHERE measure = 'accepted'"
    ),
    "reporting: every posting of an acceptance or correction has its row": (
        "UPDATE ledger_transaction SET source_id = gen_random_uuid() WHERE kind = 'acceptance'"
    ),
    "reporting: every fact has an order line behind it": (
        "UPDATE fact SET line_id = gen_random_uuid() WHERE measure = 'accepted'"
    ),
    "ledger: the entries of every transaction sum to zero": (
        "UPDATE ledger_entry SET amount_fen = amount_fen + 1 WHERE id = (SELECT id FROM ledger_entry LIMIT 1)"
    ),
    "ledger: kept balances equal their entries": "UPDATE ledger_balance SET amount_fen = amount_fen + 1",
    "payments: every successful charge is posted once, to the fen": "UPDATE charge SET amount_fen = amount_fen + 1",
    "payments: the credit in use is what is open on terms": "UPDATE credit_limit SET used_fen = used_fen + 1",
}


def play(session: Session) -> None:
    """One order inspected, one paid and confirmed, one cancelled, one placed at an agreed price; all rolled up."""
    a.an_organisation(session, a.Kind.PLATFORM, id=PLATFORM_ID, uscc=None)
    world = a.World(session)
    listing = world.offer(lots=500)
    budget = SetBudget(
        budget_unit_id=world.unit.id, year=2024, purpose="canteen", amount_fen=10**12, reason="年初预算批复"
    )
    budgeting.set_budget(session, by=world.actor, wanted=budget, now=a.NOW)
    (part,) = journey.confirmed(world, {listing.id: 10})
    journey.delivered(session, part)
    shares = journey.sent_of(session, part)
    lines = [
        {"line_id": f"line_{s.line_id.hex}", "lot_id": f"lot_{s.lot_id.hex}", "accepted": s.packs - 1, "rejected": 1,
         "short": 0, "reason": "破损"}
        for s in shares
    ]  # fmt: skip
    found = Inspect.model_validate({"lines": lines})
    acceptance.inspect(session, actor=world.actor, supplier_order_id=part, found=found, now=journey.LATER)
    claimed = {"line_id": lines[0]["line_id"], "lot_id": lines[0]["lot_id"], "packs": 1, "reason": "腐烂"}
    wanted = NewClaim.model_validate({"kind": "return", "statement": "腐烂", "lines": [claimed]})
    claim = claiming.raise_claim(session, actor=world.actor, supplier_order_id=part, wanted=wanted, now=journey.LATER)
    seller = journey.seller_of(session, journey.part_of(session, part).cooperative_id)
    agrees = NewAnswer(agree=True, statement="同意", file_ids=[], photo_ids=[])
    claiming.answer(session, actor=seller, claim_id=claim, wanted=agrees, now=journey.LATER)
    paid = world.place({listing.id: 5}, "prepaid")
    charge = charging.request(
        session, actor=world.actor, order_id=paid.id, method=charging.Method.BANK_TRANSFER, payment_method=None,
        now=a.NOW,
    )  # fmt: skip
    charging.receive_transfer(
        session, reference=charge.reference, amount_fen=charge.amount_fen, payer_name="国库", by=SYSTEM, now=a.NOW
    )
    cancelled = world.place({listing.id: 3})
    cancel_order(session, order_id=cancelled.id, by=world.actor, reason="不需要", now=a.NOW)
    other = world.offer()
    agreed(world, other, 3_500)
    quoted = world.offer()
    a_quote(world, quoted, 3_600, packs=5)
    world.place({listing.id: 2, other.id: 2, quoted.id: 2})
    number(session)
    roll(session)


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A database with a played shop, as its owner."""
    from tests import conftest

    name = f"{conftest.DATABASE}_checks"
    conftest.clone(name)
    conftest.settle(name)
    settings.cache_clear()
    from shop.db import engine, forget_connections

    forget_connections()
    with unit_of_work() as session:
        play(session)
    owner = make_engine(settings().database_owner_url, pool_size=1)
    yield owner
    owner.dispose()
    engine().dispose()
    checker_engine().dispose()
    conftest.settle(conftest.DATABASE)
    settings.cache_clear()
    forget_connections()
    conftest.drop(name)


def test_a_shop_that_works_has_no_findings_and_the_checker_s_role_may_look_at_all_of_it(played: Engine) -> None:
    with checker_engine().connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        assert run_checks(connection) == []


@pytest.mark.parametrize(("name", "breakage"), BREAKAGES.items(), ids=list(BREAKAGES))
def test_what_is_broken_is_found_by_its_name_with_one_row_to_look_at(played: Engine, name: str, breakage: str) -> None:
    with played.connect() as connection, connection.begin() as broken:
        assert break_it(connection, breakage) > 0
        findings = {finding.name: finding for finding in run_checks(connection)}
        assert name in findings
        assert findings[name].rows > 0
        assert findings[name].sample
        broken.rollback()


def test_every_check_of_stock_orders_and_reports_is_seen_to_find_something_or_kept_by_the_database() -> None:
    by_the_database = {
        "stock: a supply's parts sum to what was promised, none below zero",
        "stock: a lot's parts sum to what was received and gained, none below zero",
    }
    mine = {name for name in CHECKS if name in OWN or name.startswith(("stock:", "orders:", "agreements:"))}
    assert mine == {name for name in BREAKAGES if name in mine} | by_the_database
