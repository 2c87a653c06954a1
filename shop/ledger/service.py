"""Post, balance, state, and move credit limits.

What posts what; debit is positive, and every posting sums to zero:

| kind | when | postings |
|---|---|---|
| payment | the buyer's money is in | bank +P, buyer −P |
| acceptance | a supplier order is inspected | buyer +A, cooperative −A |
| refund | money goes back to the buyer | buyer +R, bank −R |
| settlement | a cooperative is paid | cooperative +S, bank −S |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

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


@dataclass(frozen=True)
class Leg:
    """One leg of a posting: whose account of which kind moves by how much (debit positive)."""

    organisation_id: UUID
    kind: AccountKind
    amount_fen: int


def post(
    session: Session, *, kind: str, source_id: UUID, order_id: UUID | None, legs: Sequence[Leg], now: datetime
) -> UUID | None:
    """Post a transaction and move the kept balances with it; gives its id, or None when this source was posted before.

    The legs sum to zero (ValueError otherwise); legs of zero are dropped, and nothing but zeros posts nothing.
    """
    if sum(leg.amount_fen for leg in legs):
        raise ValueError(f"the legs of {kind} {source_id} sum to {sum(leg.amount_fen for leg in legs)}")
    moving = [leg for leg in legs if leg.amount_fen]
    if not moving:
        return None
    transaction_id = session.execute(
        insert(Transaction)
        .values(id=new_id(), kind=kind, source_id=source_id, order_id=order_id, at=now)
        .on_conflict_do_nothing(index_elements=["kind", "source_id"])
        .returning(Transaction.id)
    ).scalar_one_or_none()
    if transaction_id is None:
        return None
    accounts = accounts_of(session, [(leg.organisation_id, leg.kind) for leg in moving])
    session.execute(
        Entry.__table__.insert(),  # type: ignore[attr-defined]
        [
            {
                "id": new_id(),
                "transaction_id": transaction_id,
                "account_id": accounts[leg.organisation_id, leg.kind],
                "amount_fen": leg.amount_fen,
            }
            for leg in moving
        ],
    )
    changes: dict[tuple[UUID, int], int] = {}
    for leg in moving:
        shard = source_id.int % SHARDS if leg.kind == AccountKind.BANK else 0
        place = accounts[leg.organisation_id, leg.kind], shard
        changes[place] = changes.get(place, 0) + leg.amount_fen
    for (account_id, shard), amount in sorted(changes.items()):  # one order of locks for everybody
        session.execute(
            insert(Balance)
            .values(account_id=account_id, shard=shard, amount_fen=amount)
            .on_conflict_do_update(
                index_elements=["account_id", "shard"], set_={"amount_fen": Balance.amount_fen + amount}
            )
        )
    return transaction_id


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


def balance(session: Session, organisation_id: UUID, kind: AccountKind) -> int:
    """The kept balance, in fen; zero where there is no account."""
    return int(
        session.scalar(
            select(func.coalesce(func.sum(Balance.amount_fen), 0))
            .join(Account, Account.id == Balance.account_id)
            .where(Account.organisation_id == organisation_id, Account.kind == kind)
        )
        or 0
    )


def statement(session: Session, organisation_id: UUID, *, before: UUID | None = None, limit: int = 50) -> Sequence[Any]:
    """Entries of an organisation, newest first: id, transaction kind, order, account kind, amount, instant."""
    wanted = (
        select(
            Entry.id,
            Transaction.kind,
            Transaction.order_id,
            Account.kind.label("account"),
            Entry.amount_fen,
            Transaction.at,
        )
        .join(Account, Account.id == Entry.account_id)
        .join(Transaction, Transaction.id == Entry.transaction_id)
        .where(Account.organisation_id == organisation_id)
        .order_by(Entry.id.desc())
        .limit(limit)
    )
    if before is not None:
        wanted = wanted.where(Entry.id < before)
    return session.execute(wanted).all()


def set_credit_limit(session: Session, organisation_id: UUID, limit_fen: int) -> None:
    """Set what an organisation may have open on terms; below what is open already is refused by the database."""
    session.execute(
        insert(CreditLimit)
        .values(organisation_id=organisation_id, limit_fen=limit_fen, used_fen=0)
        .on_conflict_do_update(index_elements=["organisation_id"], set_={"limit_fen": limit_fen})
    )


def reserve_credit(session: Session, organisation_id: UUID, amount_fen: int) -> None:
    """Take credit by one conditional update, or refuse with CreditExceeded."""
    taken = session.execute(
        update(CreditLimit)
        .where(
            CreditLimit.organisation_id == organisation_id,
            CreditLimit.used_fen + amount_fen <= CreditLimit.limit_fen,
        )
        .values(used_fen=CreditLimit.used_fen + amount_fen)
        .returning(CreditLimit.organisation_id)
        .execution_options(synchronize_session=False)
    ).first()
    if taken is None:
        left = session.scalar(
            select(CreditLimit.limit_fen - CreditLimit.used_fen).where(CreditLimit.organisation_id == organisation_id)
        )
        raise CreditExceeded(available_fen=left or 0, wanted_fen=amount_fen)


def release_credit(session: Session, organisation_id: UUID, amount_fen: int) -> None:
    """Give credit back; more than was taken is refused by the database."""
    if amount_fen:
        session.execute(
            update(CreditLimit)
            .where(CreditLimit.organisation_id == organisation_id)
            .values(used_fen=CreditLimit.used_fen - amount_fen)
            .execution_options(synchronize_session=False)
        )
