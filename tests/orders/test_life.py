"""Whatever becomes of an order, in every order and at the same moment, money and supply add up after each step."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import text
from structlog.testing import capture_logs

from shop.db import checker_engine, unit_of_work
from shop.orders.models import NEXT
from shop.reporting.checks import run_checks
from tests.orders.life import DEEDS, Deed, Market, who_is_refused
from tests.stock.test_conservation import deadlocks

A_DEED = st.tuples(st.sampled_from(DEEDS), st.integers(0, 999), st.integers(1, 6))
LEGAL = {f"{was}>{to}" for was, following in NEXT.items() for to in following} | {">placed"}

WRONG_LIVES = """
    SELECT s.id, s.status, string_agg(coalesce(h.was, '') || '>' || h.status, ' ' ORDER BY h.step)
    FROM supplier_order s JOIN order_history h ON h.supplier_order_id = s.id
    WHERE s.buyer_id = :buyer
    GROUP BY s.id
    HAVING min(h.step) <> 1 OR max(h.step) <> count(*) OR (array_agg(h.status ORDER BY h.step DESC))[1] <> s.status
        OR NOT array_agg(coalesce(h.was, '') || '>' || h.status) <@ :legal
"""
"""Supplier orders whose history has a hole, ends elsewhere than they stand, or has a move that is not in the table."""

WRONG_MONEY = """
    SELECT o.id, o.number, o.terms, COALESCE(paid.fen, 0) AS paid, COALESCE(back.fen, 0) AS back, kept.fen AS kept
    FROM purchase_order o
    LEFT JOIN LATERAL (SELECT sum(amount_fen) AS fen FROM charge WHERE order_id = o.id AND status = 'succeeded') paid
        ON true
    LEFT JOIN LATERAL (
        SELECT sum(r.amount_fen) AS fen FROM refund r JOIN charge c ON c.id = r.charge_id WHERE c.order_id = o.id
    ) back ON true
    JOIN LATERAL (
        SELECT COALESCE(sum(CASE WHEN s.status = 'cancelled' THEN 0
                                 WHEN s.accepted_goods_fen IS NULL THEN s.goods_fen + s.freight_fen
                                 ELSE s.accepted_goods_fen + s.accepted_freight_fen END), 0) AS fen
        FROM supplier_order s WHERE s.order_id = o.id AND EXISTS (
            SELECT FROM charge c WHERE c.order_id = o.id AND c.status = 'succeeded' AND s.id = ANY(c.parts))
    ) kept ON true
    WHERE o.buyer_id = :buyer AND COALESCE(paid.fen, 0) - COALESCE(back.fen, 0) <> kept.fen
"""
"""Orders, once nothing is left to do, of whose money more or less is kept than their goods cost as they stand."""


class Life(RuleBasedStateMachine):
    """Orders of one buyer with three cooperatives, and rounds in which several deeds happen at the same moment."""

    seen: ClassVar[Counter[str]] = Counter()
    refused: ClassVar[Counter[str]] = Counter()

    @initialize(
        packs=st.lists(st.integers(4, 20), min_size=3, max_size=3), two_sign=st.booleans(), agreement=st.booleans()
    )
    def begin(self, packs: list[int], two_sign: bool, agreement: bool) -> None:
        self.market = Market(packs=packs, two_sign=two_sign, with_agreement=agreement)

    @rule(deeds=st.lists(A_DEED, min_size=1, max_size=4), hours=st.sampled_from((0, 0, 0, 1, 5, 30, 80)))
    def happen_at_once(self, deeds: list[tuple[str, int, int]], hours: int) -> None:
        self.market.tick(hours)
        calls = [self.market.deed(*deed) for deed in deeds]
        with capture_logs() as logs:
            self.refused.update(at_once(calls))
        assert [log for log in logs if log["log_level"] in ("error", "critical")] == []

    @invariant()
    def everything_adds_up(self) -> None:
        if getattr(self, "market", None) is not None:
            with checker_engine().connect().execution_options(isolation_level="REPEATABLE READ") as connection:
                assert run_checks(connection) == []
                assert self.found(connection, WRONG_LIVES) == []

    def found(self, connection: Any, sql: str) -> list[Any]:
        return list(connection.execute(text(sql), {"buyer": self.market.world.buyer.id, "legal": sorted(LEGAL)}))

    def teardown(self) -> None:
        if getattr(self, "market", None) is None:
            return
        self.market.come_to_rest()
        self.everything_adds_up()
        with checker_engine().connect() as connection:
            assert self.found(connection, WRONG_MONEY) == []
        self.seen.update(self.market.done)


def at_once(calls: list[Deed]) -> list[str]:
    """Let all of them loose at the same moment; gives the codes of those that were refused."""
    gate = Barrier(len(calls))

    def go(call: Callable[[], None]) -> str | None:
        gate.wait()
        refusal = who_is_refused(call)
        return refusal.code if refusal else None

    with ThreadPoolExecutor(len(calls)) as pool:
        return [code for code in pool.map(go, calls) if code is not None]


def lives(examples: int, steps: int) -> tuple[Counter[str], Counter[str]]:
    """So many markets of so many rounds; gives in how many each deed was done, and how often what was refused."""
    Life.seen.clear()
    Life.refused.clear()
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],  # what happens at once does not happen again alike, so nothing is made smaller
        ),
    )  # fmt: skip
    with unit_of_work() as session:
        assert deadlocks(session) == 0
    return Life.seen, Life.refused


def test_an_order_that_lives_through_anything_adds_up_after_every_step(committed: str) -> None:
    lives(examples=3, steps=15)


@pytest.mark.deep
def test_orders_that_live_through_everything_in_every_order_add_up_after_every_step(committed: str) -> None:
    seen, refused = lives(examples=40, steps=60)
    print(dict(seen), dict(refused))
    assert set(seen) == set(DEEDS)
