"""Statements of account."""

from uuid import UUID

from sqlalchemy.orm import Session

from shop.actor import Actor, Audience, Role
from shop.errors import Invalid, NotFound
from shop.http import cursors
from shop.http.routes import Routes, audience, roles
from shop.ledger import service
from shop.ledger.models import AccountKind
from shop.ledger.schemas import EntryOut, PostingOut, PostingsOut, PostingsQuery, StatementOut, StatementQuery

routes = Routes("/v1", tag="Ledger")


@routes.get("/buyer/ledger", allow=audience(Audience.BUYER), answers={200: StatementOut})
def read_buyer_ledger(session: Session, actor: Actor, query: StatementQuery) -> StatementOut:
    """What the institution owes and paid, entry by entry."""
    return statement(session, actor, query, AccountKind.BUYER)


@routes.get("/cooperative/ledger", allow=audience(Audience.COOPERATIVE, helpers=False), answers={200: StatementOut})
def read_cooperative_ledger(session: Session, actor: Actor, query: StatementQuery) -> StatementOut:
    """What the cooperative is owed and was paid, entry by entry."""
    return statement(session, actor, query, AccountKind.COOPERATIVE)


def statement(session: Session, actor: Actor, query: StatementQuery, kind: AccountKind) -> StatementOut:
    question = f"ledger {actor.organisation_id.hex}"
    found = service.statement(
        session,
        actor.organisation_id,
        kind,
        after=place_of(question, query.cursor) if query.cursor else None,
        limit=query.limit + 1,
    )
    page = found[: query.limit]
    return StatementOut(
        items=[
            EntryOut(
                kind=line.kind,
                order_id=line.order_id,
                amount_fen=line.amount_fen,
                running_fen=line.running_fen,
                at=line.at.isoformat(),
            )
            for line in page
        ],
        balance_fen=service.balance(session, actor.organisation_id, kind),
        next=cursors.encode(question, [page[-1].id.hex, page[-1].running_fen - page[-1].amount_fen])
        if len(found) > query.limit
        else None,
    )


def place_of(question: str, cursor: str) -> tuple[UUID, int]:
    """The last entry of the page before, and the running balance below it."""
    word, running = cursors.decode(question, cursor, (str, int))
    try:
        return UUID(hex=word), running
    except ValueError as error:
        raise Invalid("This cursor belongs to no such list.", pointer="/query/cursor") from error


@routes.get(
    "/admin/ledger",
    allow=roles(Role.OPERATOR, Role.AUDITOR, of=Audience.ADMIN),
    answers={200: PostingsOut},
    refusals=(NotFound,),
)
def read_order_postings(session: Session, actor: Actor, query: PostingsQuery) -> PostingsOut:
    """Everything that was posted for one order, on everybody's accounts; not for a mandate over some regions only."""
    if not actor.reads_everything:
        raise NotFound
    return PostingsOut(
        items=[
            PostingOut(
                kind=row.kind,
                at=row.at.isoformat(),
                organisation_id=row.organisation_id,
                account=row.account,
                amount_fen=row.amount_fen,
            )
            for row in service.of_order(session, query.order_id)
        ]
    )
