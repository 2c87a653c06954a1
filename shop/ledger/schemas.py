"""Ledger statements as JSON."""

from typing import Annotated

from pydantic import Field

from shop.http.routes import Out, Query
from shop.ids import OrderId


class StatementQuery(Query):
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, Field(max_length=400)] | None = None


class EntryOut(Out):
    """One leg of a posting, debit positive: on a buyer's account what it owes, on a cooperative's what it was paid."""

    kind: str
    order_id: OrderId | None
    amount_fen: int
    at: str


class StatementOut(Out):
    """Entries, newest first, and the balance as it stands."""

    items: list[EntryOut]
    balance_fen: int
    next: str | None
