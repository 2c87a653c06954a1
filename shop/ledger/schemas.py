"""Ledger statements as JSON."""

from typing import Annotated

from pydantic import Field

from shop.http.routes import Out, Query
from shop.ids import OrderId, OrganisationId


class StatementQuery(Query):
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, Field(max_length=400)] | None = None


class EntryOut(Out):
    """One leg of a posting, debit positive: on a buyer's account what it owes, on a cooperative's what it was paid.

    `running_fen` is the balance with this entry and all before it.
    """

    kind: str
    order_id: OrderId | None
    amount_fen: int
    running_fen: int
    at: str


class StatementOut(Out):
    """Entries, newest first, and the balance as it stands."""

    items: list[EntryOut]
    balance_fen: int
    next: str | None


class PostingsQuery(Query):
    order_id: OrderId


class PostingOut(Out):
    """One leg: whose account of which kind moved by how much, debit positive."""

    kind: str
    at: str
    organisation_id: OrganisationId
    account: str
    amount_fen: int


class PostingsOut(Out):
    """Everything posted for one order, oldest first; its amounts sum to zero."""

    items: list[PostingOut]
