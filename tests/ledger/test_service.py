"""The ledger: what sums to zero is posted once, balances are their entries, credit is taken by one statement."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from shop.accounts.models import Kind
from shop.db import in_unit_of_work, unit_of_work
from shop.ids import new_id
from shop.ledger import service as ledger
from shop.ledger.checks import CHECKS
from shop.ledger.models import AccountKind, Balance, CreditLimit, Entry, Transaction
from shop.ledger.service import PLATFORM_ID, Leg, Posting
from tests import builders as a

BANK, BUYER, COOPERATIVE = AccountKind.BANK, AccountKind.BUYER, AccountKind.COOPERATIVE


def parties(session: Session, count: int = 1) -> list[UUID]:
    a.an_organisation(session, Kind.PLATFORM, id=PLATFORM_ID)
    return [a.an_organisation(session).id for _ in range(count)]


def pay(buyer: UUID, fen: int) -> list[Leg]:
    return [Leg(PLATFORM_ID, BANK, fen), Leg(buyer, BUYER, -fen)]


def post(session: Session, legs: list[Leg], **more: Any) -> UUID | None:
    fields: dict[str, Any] = {"kind": "payment", "source_id": new_id(), "order_id": None, "now": a.NOW}
    return ledger.post(session, legs=legs, **fields | more)


def adds_up(session: Session) -> None:
    for name, statement in CHECKS.items():
        assert session.execute(text(statement)).all() == [], name


def test_a_source_is_posted_once_for_each_kind(session: Session) -> None:
    (buyer,) = parties(session)
    source = new_id()
    assert post(session, pay(buyer, 700), source_id=source) is not None
    assert post(session, pay(buyer, 700), source_id=source) is None
    assert post(session, pay(buyer, 5), source_id=source, kind="refund") is not None
    assert ledger.balance(session, buyer, BUYER) == -705
    assert ledger.balance(session, PLATFORM_ID, BANK) == 705
    adds_up(session)


def test_legs_of_zero_are_dropped_and_nothing_but_zeros_posts_nothing(session: Session) -> None:
    buyer, other = parties(session, 2)
    assert post(session, [*pay(buyer, 3), Leg(other, BUYER, 0)]) is not None
    assert post(session, [Leg(buyer, BUYER, 0), Leg(other, BUYER, 0)]) is None
    assert session.scalar(select(func.count()).select_from(Entry)) == 2
    assert ledger.balance(session, other, BUYER) == 0


def test_many_transactions_go_in_one_pass_and_those_posted_before_are_left_out(session: Session) -> None:
    buyer, other = parties(session, 2)
    known, fresh = new_id(), new_id()
    post(session, pay(buyer, 1), source_id=known)
    done = ledger.post_all(
        session,
        [
            Posting("payment", known, None, pay(buyer, 1)),
            Posting("payment", fresh, None, pay(other, 20)),
            Posting("refund", fresh, None, [Leg(other, BUYER, 4), Leg(PLATFORM_ID, BANK, -4)]),
        ],
        now=a.NOW,
    )
    assert set(done) == {("payment", fresh), ("refund", fresh)}
    assert [ledger.balance(session, who, BUYER) for who in (buyer, other)] == [-1, -16]
    adds_up(session)


def test_what_does_not_sum_to_zero_is_refused_before_anything_is_written(session: Session) -> None:
    (buyer,) = parties(session)
    with pytest.raises(ValueError, match="sum to 1"):
        post(session, [Leg(PLATFORM_ID, BANK, 2), Leg(buyer, BUYER, -1)])
    assert session.scalar(select(func.count()).select_from(Transaction)) == 0


def one_leg_more(session: Session, transaction: UUID, account: UUID) -> None:
    session.execute(
        text("INSERT INTO ledger_entry (id, transaction_id, account_id, amount_fen) VALUES (:i, :t, :a, 5)"),
        {"i": new_id(), "t": transaction, "a": account},
    )


def one_leg_of_zero(session: Session, transaction: UUID, account: UUID) -> None:
    session.execute(
        text("INSERT INTO ledger_entry (id, transaction_id, account_id, amount_fen) VALUES (:i, :t, :a, 0)"),
        {"i": new_id(), "t": transaction, "a": account},
    )


def rewrite(statement: str) -> Callable[[Session, UUID, UUID], None]:
    def write(session: Session, _transaction: UUID, _account: UUID) -> None:
        session.execute(text(statement))

    return write


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (one_leg_more, "do not sum to zero"),
        (one_leg_of_zero, "not_zero"),
        (rewrite("UPDATE ledger_entry SET amount_fen = 7"), "permission denied"),
        (rewrite("DELETE FROM ledger_entry"), "permission denied"),
        (rewrite("TRUNCATE ledger_entry"), "permission denied"),
        (rewrite("UPDATE ledger_transaction SET kind = 'y'"), "permission denied"),
        (rewrite("DELETE FROM ledger_transaction"), "permission denied"),
    ],
)
def test_the_database_refuses_the_role_of_the_application(
    committed: str, wrong: Callable[[Session, UUID, UUID], None], why: str
) -> None:
    with unit_of_work() as session:
        (buyer,) = parties(session)
        transaction = post(session, pay(buyer, 700))
        account = session.scalars(select(Entry.account_id).where(Entry.amount_fen > 0)).one()
    assert transaction is not None

    def attempt() -> None:
        with unit_of_work() as session:
            assert session.scalar(text("SELECT current_user")) == "shop_app"
            wrong(session, transaction, account)

    with pytest.raises(DBAPIError, match=why):
        attempt()
    with unit_of_work() as session:
        assert sorted(session.scalars(select(Entry.amount_fen))) == [-700, 700]
        adds_up(session)


def test_eight_at_once_over_the_same_accounts_in_any_order_lock_nobody_out(committed: str) -> None:
    with unit_of_work() as session:
        buyers = parties(session, 4)
        before = session.scalar(text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"))

    def work(place: int) -> None:
        turned = buyers[place % 4 :] + buyers[: place % 4]
        postings = [Posting("payment", new_id(), None, pay(buyer, place + step)) for step, buyer in enumerate(turned)]
        in_unit_of_work(lambda session: ledger.post_all(session, postings, now=a.NOW), attempts=1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(1, 81)))
    with unit_of_work() as session:
        total = sum(4 * place + 6 for place in range(1, 81))
        assert ledger.balance(session, PLATFORM_ID, BANK) == total
        assert sum(ledger.balance(session, buyer, BUYER) for buyer in buyers) == -total
        assert (session.scalar(select(func.count()).select_from(Balance)) or 0) > 4 + 1  # the bank stands in shards
        after = session.scalar(text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"))
        assert after == before
        adds_up(session)


def test_one_source_posted_by_eight_at_once_is_posted_once(committed: str) -> None:
    with unit_of_work() as session:
        (buyer,) = parties(session)
    source = new_id()

    def work(_: int) -> bool:
        return in_unit_of_work(lambda session: post(session, pay(buyer, 9), source_id=source)) is not None

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 1
    with unit_of_work() as session:
        assert ledger.balance(session, buyer, BUYER) == -9


def test_twenty_at_once_never_pass_the_credit_limit(committed: str) -> None:
    with unit_of_work() as session:
        (buyer,) = parties(session)
        ledger.set_credit_limit(session, buyer, 1_000)

    def reserve(_: int) -> int | None:
        try:
            in_unit_of_work(lambda session: ledger.reserve_credit(session, buyer, 150))
        except ledger.CreditExceeded as refused:
            return int(refused.facts["available_fen"])
        return None

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(reserve, range(20)))
    assert answers.count(None) == 6
    assert {left for left in answers if left is not None} == {100}
    with unit_of_work() as session:
        ledger.release_credit(session, buyer, 900)
        assert session.get_one(CreditLimit, buyer).used_fen == 0


def test_without_a_limit_there_is_no_credit_and_a_limit_never_falls_below_its_use(session: Session) -> None:
    (buyer,) = parties(session)
    with pytest.raises(ledger.CreditExceeded) as refused:
        ledger.reserve_credit(session, buyer, 1)
    assert refused.value.facts["available_fen"] == 0
    ledger.set_credit_limit(session, buyer, 50)
    ledger.reserve_credit(session, buyer, 50)
    with pytest.raises(ledger.LimitBelowUse) as below:
        ledger.set_credit_limit(session, buyer, 49)
    assert below.value.facts["used_fen"] == 50
    ledger.set_credit_limit(session, buyer, 60)
    ledger.reserve_credit(session, buyer, 10)


@given(amounts=st.lists(st.integers(1, 10**12), min_size=1, max_size=12), size=st.integers(1, 5))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_statement_read_page_by_page_runs_down_from_the_balance_to_nothing(
    session: Session, amounts: list[int], size: int
) -> None:
    buyer = a.an_organisation(session).id
    seller = a.an_organisation(session, Kind.COOPERATIVE).id
    for fen in amounts:
        post(session, [Leg(buyer, BUYER, fen), Leg(seller, COOPERATIVE, -fen)], kind="acceptance")
    read: list[ledger.Line] = []
    while True:
        after = (read[-1].id, read[-1].running_fen - read[-1].amount_fen) if read else None
        page = ledger.statement(session, buyer, BUYER, after=after, limit=size)
        read += page
        if len(page) < size:
            break
    assert sorted(line.amount_fen for line in read) == sorted(amounts)
    assert read[0].running_fen == sum(amounts) == ledger.balance(session, buyer, BUYER)
    for newer, older in pairwise(read):
        assert newer.running_fen - newer.amount_fen == older.running_fen
    assert read[-1].running_fen == read[-1].amount_fen
