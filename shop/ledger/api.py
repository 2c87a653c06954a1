"""Statements of account."""

from sqlalchemy.orm import Session

from shop.actor import Actor, Audience
from shop.http import cursors
from shop.http.routes import Routes, audience
from shop.ledger import service
from shop.ledger.models import AccountKind
from shop.ledger.schemas import EntryOut, StatementOut, StatementQuery

routes = Routes("/v1", tag="Ledger")


@routes.get("/buyer/ledger", allow=audience(Audience.BUYER), answers={200: StatementOut})
def read_buyer_ledger(session: Session, actor: Actor, query: StatementQuery) -> StatementOut:
    """What the institution owes and paid, entry by entry."""
    return statement(session, actor, query, AccountKind.BUYER)


@routes.get("/cooperative/ledger", allow=audience(Audience.COOPERATIVE), answers={200: StatementOut})
def read_cooperative_ledger(session: Session, actor: Actor, query: StatementQuery) -> StatementOut:
    """What the cooperative is owed and was paid, entry by entry."""
    return statement(session, actor, query, AccountKind.COOPERATIVE)


def statement(session: Session, actor: Actor, query: StatementQuery, kind: AccountKind) -> StatementOut:
    before = cursors.decode_id("ledger", query.cursor) if query.cursor else None
    found = service.statement(session, actor.organisation_id, before=before, limit=query.limit + 1)
    page = found[: query.limit]
    return StatementOut(
        items=[
            EntryOut(kind=row.kind, order_id=row.order_id, amount_fen=row.amount_fen, at=row.at.isoformat())
            for row in page
        ],
        balance_fen=service.balance(session, actor.organisation_id, kind),
        next=cursors.encode("ledger", [page[-1].id.hex]) if len(found) > query.limit else None,
    )
