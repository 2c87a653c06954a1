"""Tokens for machines."""

from datetime import datetime

from flask import current_app
from sqlalchemy.orm import Session

from shop.accounts import queries_people
from shop.accounts.schemas_people import (
    ApiTokenOut,
    ApiTokenPage,
    MadeTokenOut,
    MakeToken,
    ScopesOut,
    token_fields,
)
from shop.accounts.service import making_tokens
from shop.actor import Actor, Role
from shop.errors import NotFound
from shop.http import cursors
from shop.http.routes import NO_KEY, PageQuery, Routes, roles, scopes_of
from shop.ids import TokenId

routes = Routes("/v1/me/tokens", tag="Tokens", people_only=True)
maker = roles(Role.MANAGER, Role.LISTER, Role.OPERATOR, helpers=False)  # a token would outlive the mandate


@routes.post(
    "",
    allow=maker,
    answers={201: MadeTokenOut},
    refusals=(making_tokens.UnknownScope, making_tokens.TooManyTokens),
    key=NO_KEY,
)
def make_token(session: Session, actor: Actor, now: datetime, body: MakeToken) -> MadeTokenOut:
    """A token with which a machine acts as the caller within the named scopes; it is shown once."""
    made, secret = making_tokens.make(
        session,
        name=body.name,
        scopes=body.scopes,
        allowed=scopes_of(current_app, actor.audience),
        days=body.expires_in_days,
        by=actor,
        now=now,
    )
    return MadeTokenOut(**token_fields(made, True), token=secret)  # type: ignore[arg-type]


@routes.get("", allow=maker, answers={200: ApiTokenPage})
def list_tokens(session: Session, actor: Actor, query: PageQuery) -> ApiTokenPage:
    """The caller's machine tokens, for managers the whole organisation's, newest first, with their last use."""
    question = f"tokens {actor.membership_id.hex}"
    before = cursors.decode_id(question, query.cursor) if query.cursor else None
    found = queries_people.tokens(session, actor, before=before, limit=query.limit + 1)
    page, following = cursors.cut(question, found, query.limit, lambda row: row[0].id)
    return ApiTokenPage(items=[ApiTokenOut(**token_fields(*row)) for row in page], next=following)  # type: ignore[arg-type]


@routes.get("/scopes", allow=maker, answers={200: ScopesOut})
def list_scopes(actor: Actor) -> ScopesOut:
    """The scopes that a token of the caller may name."""
    return ScopesOut(items=sorted(scopes_of(current_app, actor.audience)))


@routes.post("/<token_id>/revoke", allow=maker, answers={204: None}, refusals=(NotFound,))
def revoke_token(session: Session, actor: Actor, now: datetime, token_id: TokenId) -> None:
    """Revoke a machine token; the very next request with it is refused."""
    making_tokens.revoke(session, token_id=token_id, by=actor, now=now)
