"""Post, balance, state, and move credit limits.

What posts what; debit is positive, and every posting sums to zero:

| kind | when | postings |
|---|---|---|
| payment | the buyer's money is in | bank +P, buyer −P |
| acceptance | a supplier order is inspected | buyer +A, cooperative −A |
| correction | accepted goods are taken back | buyer −C, cooperative +C |
| refund | money goes back to the buyer | buyer +R, bank −R |
| settlement | a cooperative is paid | cooperative +S, bank −S |
| recovery | what it was paid for and was corrected then is kept from that | cooperative −K, bank +K |
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Select, cast, func, literal, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shop.db import seeing_all
from shop.errors import Refusal
from shop.ids import new_id
from shop.ledger.models import Account, AccountKind, Balance, CreditLimit, Entry, Transaction

PLATFORM_ID = UUID("01900000-0000-7000-8000-000000000001")
"""The organisation that holds money in between; the reference loader makes it."""

SHARDS = 8  # rows that a hot balance is kept in, so that postings do not queue up behind one another


class CreditExceeded(Refusal):
    """The order would pass the buyer's credit limit; `available_fen` is what is left of it."""

    code, status = "credit_exceeded", 409
    title, title_zh = "This is above your credit limit.", "超出可用授信额度。"


class LimitBelowUse(Refusal):
    """The limit would be below what is open on terms already; `used_fen` says how much that is."""

    code, status = "limit_below_use", 409
    title, title_zh = "More than this is open on terms already.", "已使用授信额度超过该限额。"


@dataclass(frozen=True)
class Leg:
    """One leg of a posting: whose account of which kind moves by how much (debit positive)."""

    organisation_id: UUID
    kind: AccountKind
    amount_fen: int


@dataclass(frozen=True)
class Posting:
    """A transaction to be: why (one of a kind for each source), for which order, and its legs."""

    kind: str
    source_id: UUID
    order_id: UUID | None
    legs: Sequence[Leg]


def post(
    session: Session, *, kind: str, source_id: UUID, order_id: UUID | None, legs: Sequence[Leg], now: datetime
) -> UUID | None:
    """Post a transaction and move the kept balances with it; gives its id, or None when this source was posted before.

    The legs sum to zero (ValueError otherwise); legs of zero are dropped, and nothing but zeros posts nothing. A unit
    of work posts once: several transactions go through `post_all`, which locks all their balances in one order.
    """
    return post_all(session, [Posting(kind, source_id, order_id, legs)], now=now).get((kind, source_id))


def post_all(session: Session, postings: Sequence[Posting], *, now: datetime) -> dict[tuple[str, UUID], UUID]:
    """Post several transactions, each as `post` does; gives the ids of those posted now by kind and source.

    Four statements however many, and balances are locked in the order of their keys, so two units of work that post to
    the same accounts never lock each other out.
    """
    moving: dict[tuple[str, UUID], list[Leg]] = {}
    orders: dict[tuple[str, UUID], UUID | None] = {}
    for posting in postings:
        if total := sum(leg.amount_fen for leg in posting.legs):
            raise ValueError(f"the legs of {posting.kind} {posting.source_id} sum to {total}")
        if legs := [leg for leg in posting.legs if leg.amount_fen]:
            moving[posting.kind, posting.source_id] = legs
            orders[posting.kind, posting.source_id] = posting.order_id
    if not moving:
        return {}
    rows = [
        {"id": new_id(), "kind": kind, "source_id": source_id, "order_id": orders[kind, source_id], "at": now}
        for kind, source_id in sorted(moving)
    ]
    with seeing_all(session):  # the books of both sides of a trade
        made = session.execute(
            insert(Transaction)
            .values(rows)
            .on_conflict_do_nothing(index_elements=["kind", "source_id"])
            .returning(Transaction.kind, Transaction.source_id, Transaction.id)
        )
        posted = {(kind, source_id): key for kind, source_id, key in made}
        if posted:
            enter(session, {source: (key, moving[source]) for source, key in posted.items()})
    return posted


def enter(session: Session, posted: Mapping[tuple[str, UUID], tuple[UUID, Sequence[Leg]]]) -> None:
    """Write the entries of new transactions and move the balances."""
    accounts = accounts_of(session, [(leg.organisation_id, leg.kind) for _, legs in posted.values() for leg in legs])
    session.execute(
        Entry.__table__.insert(),  # type: ignore[attr-defined]
        [
            {
                "id": new_id(),
                "transaction_id": transaction_id,
                "account_id": accounts[leg.organisation_id, leg.kind],
                "amount_fen": leg.amount_fen,
            }
            for transaction_id, legs in posted.values()
            for leg in legs
        ],
    )
    changes: Counter[tuple[UUID, int]] = Counter()
    for (_, source_id), (_, legs) in posted.items():
        for leg in legs:
            shard = source_id.int % SHARDS if leg.kind == AccountKind.BANK else 0
            changes[accounts[leg.organisation_id, leg.kind], shard] += leg.amount_fen
    balances = insert(Balance).values(
        [
            {"account_id": account_id, "shard": shard, "amount_fen": amount}
            for (account_id, shard), amount in sorted(changes.items())  # one order of locks for everybody
        ]
    )
    session.execute(
        balances.on_conflict_do_update(
            index_elements=["account_id", "shard"],
            set_={"amount_fen": Balance.amount_fen + balances.excluded.amount_fen},
        )
    )


def accounts_of(session: Session, wanted: Sequence[tuple[UUID, AccountKind]]) -> dict[tuple[UUID, AccountKind], UUID]:
    """The accounts of these organisations and kinds, made where they are missing."""
    places = sorted(set(wanted))

    def read() -> dict[tuple[UUID, AccountKind], UUID]:
        rows = session.execute(
            select(Account.organisation_id, Account.kind, Account.id).where(
                tuple_(Account.organisation_id, Account.kind).in_(places)
            )
        )
        return {(organisation_id, AccountKind(kind)): key for organisation_id, kind, key in rows}

    found = read()
    missing = [place for place in places if place not in found]
    if missing:
        session.execute(
            insert(Account).on_conflict_do_nothing(index_elements=["organisation_id", "kind"]),
            [{"id": new_id(), "organisation_id": owner, "kind": kind} for owner, kind in missing],
        )
        found = read()
    return found


def kept(organisation_id: UUID, kind: AccountKind) -> Select[int]:
    return (
        select(cast(func.coalesce(func.sum(Balance.amount_fen), 0), BigInteger))
        .join(Account, Account.id == Balance.account_id)
        .where(Account.organisation_id == organisation_id, Account.kind == kind)
    )


def balance(session: Session, organisation_id: UUID, kind: AccountKind) -> int:
    """The kept balance, in fen; zero where there is no account."""
    return session.execute(kept(organisation_id, kind)).scalar_one()


@dataclass(frozen=True)
class Line:
    """A line of a statement of account; `running_fen` is the balance with this entry and all before it."""

    id: UUID
    kind: str
    order_id: UUID | None
    amount_fen: int
    running_fen: int
    at: datetime


def statement(
    session: Session,
    organisation_id: UUID,
    kind: AccountKind,
    *,
    after: tuple[UUID, int] | None = None,
    limit: int = 50,
) -> list[Line]:
    """The entries of an account, newest first, with the running balance.

    `after` is the id of the last line seen and the running balance below it (`running_fen` - `amount_fen`), so that
    page 200 costs what page 1 costs.
    """
    wanted = (
        select(Entry.id, Transaction.kind, Transaction.order_id, Entry.amount_fen, Transaction.at)
        .add_columns(kept(organisation_id, kind).scalar_subquery() if after is None else literal(after[1]))
        .join(Account, Account.id == Entry.account_id)
        .join(Transaction, Transaction.id == Entry.transaction_id)
        .where(Account.organisation_id == organisation_id, Account.kind == kind)
        .order_by(Entry.id.desc())
        .limit(limit)
    )
    if after is not None:
        wanted = wanted.where(Entry.id < after[0])
    lines: list[Line] = []
    for entry_id, why, order_id, amount, at, balance_fen in session.execute(wanted):
        running = lines[-1].running_fen - lines[-1].amount_fen if lines else int(balance_fen)
        lines.append(Line(entry_id, why, order_id, amount, running, at))
    return lines


def of_order(session: Session, order_id: UUID) -> Sequence[Any]:
    """Everything posted for an order, oldest first: transaction, kind, instant, organisation, account kind, amount."""
    return session.execute(
        select(
            Transaction.id,
            Transaction.kind,
            Transaction.at,
            Account.organisation_id,
            Account.kind.label("account"),
            Entry.amount_fen,
        )
        .join(Entry, Entry.transaction_id == Transaction.id)
        .join(Account, Account.id == Entry.account_id)
        .where(Transaction.order_id == order_id)
        .order_by(Transaction.id, Entry.id)
    ).all()


def set_credit_limit(session: Session, organisation_id: UUID, limit_fen: int) -> None:
    """Set what an organisation may have open on terms, or refuse with LimitBelowUse."""
    row = insert(CreditLimit).values(organisation_id=organisation_id, limit_fen=limit_fen, used_fen=0)
    done = session.execute(
        row.on_conflict_do_update(
            index_elements=["organisation_id"],
            set_={"limit_fen": limit_fen},
            where=CreditLimit.used_fen <= limit_fen,
        )
        .returning(CreditLimit.organisation_id)
        .execution_options(synchronize_session=False)
    ).first()
    if done is None:
        used = session.scalar(select(CreditLimit.used_fen).where(CreditLimit.organisation_id == organisation_id))
        raise LimitBelowUse(used_fen=used or 0)


RESERVE = text(
    """
    UPDATE credit_limit SET used_fen = used_fen + :fen
    WHERE organisation_id = :buyer AND used_fen + :fen <= limit_fen RETURNING used_fen
    """
)


def reserve_credit(session: Session, organisation_id: UUID, amount_fen: int) -> None:
    """Take credit by one conditional update, or refuse with CreditExceeded."""
    taken = session.execute(RESERVE, {"buyer": organisation_id, "fen": amount_fen}).first()
    if taken is None:
        left = session.scalar(
            select(CreditLimit.limit_fen - CreditLimit.used_fen).where(CreditLimit.organisation_id == organisation_id)
        )
        raise CreditExceeded(
            f"The order would take {amount_fen} fen and {left or 0} fen are left of the limit.",
            pointer="/payment_terms", available_fen=left or 0, wanted_fen=amount_fen,
        )  # fmt: skip


def release_credit(session: Session, organisation_id: UUID, amount_fen: int) -> None:
    """Give credit back; more than was taken is refused by the database."""
    if amount_fen:
        session.execute(
            update(CreditLimit)
            .where(CreditLimit.organisation_id == organisation_id)
            .values(used_fen=CreditLimit.used_fen - amount_fen)
            .execution_options(synchronize_session=False)
        )
