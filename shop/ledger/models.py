"""Accounts, transactions, entries, balances and credit limits. Entries are never changed; the database sees to it."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column


class AccountKind(StrEnum):
    """Debit is positive. BUYER: what a buyer owes (negative: paid ahead). COOPERATIVE: what is owed to it (negative).
    BANK: money held at the bank or the gateway."""

    BUYER = "buyer"
    COOPERATIVE = "cooperative"
    BANK = "bank"


class Account(Model):
    __tablename__ = "ledger_account"
    __table_args__ = (UniqueConstraint("organisation_id", "kind"),)

    id: Mapped[UUID] = id_column()
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    kind: Mapped[str]


class Transaction(Model):
    """Why money moved: one row per source, so that no source is posted twice."""

    __tablename__ = "ledger_transaction"
    __table_args__ = (UniqueConstraint("kind", "source_id"),)

    id: Mapped[UUID] = id_column()
    kind: Mapped[str]
    source_id: Mapped[UUID]
    order_id: Mapped[UUID | None] = mapped_column(index=True)
    at: Mapped[datetime]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class Entry(Model):
    """One leg; the legs of a transaction sum to zero by a deferred constraint."""

    __tablename__ = "ledger_entry"
    __table_args__ = (
        CheckConstraint("amount_fen <> 0", name="not_zero"),
        Index("ix_ledger_entry_account", "account_id", "id"),
    )

    id: Mapped[UUID] = id_column()
    transaction_id: Mapped[UUID] = mapped_column(ForeignKey("ledger_transaction.id"), index=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("ledger_account.id"))
    amount_fen: Mapped[int]


class Balance(Model):
    """The kept balance of an account, in several rows where it is hot; the sum of its rows is the balance."""

    __tablename__ = "ledger_balance"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("ledger_account.id"), primary_key=True)
    shard: Mapped[int] = mapped_column(primary_key=True)
    amount_fen: Mapped[int]


class CreditLimit(Model):
    """How much a buyer may have open on terms; `used_fen` moves by conditional updates and never passes the limit."""

    __tablename__ = "credit_limit"
    __table_args__ = (CheckConstraint("used_fen >= 0 AND used_fen <= limit_fen", name="within"),)

    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"), primary_key=True)
    limit_fen: Mapped[int]
    used_fen: Mapped[int] = mapped_column(default=0)
