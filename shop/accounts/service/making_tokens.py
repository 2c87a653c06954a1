"""Tokens of machines: made with scopes, shown once, revoked at once."""

import secrets as random
from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import cast, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import INTERVAL
from sqlalchemy.orm import Session

from shop.accounts import queries_people
from shop.accounts.models import ApiToken, Membership
from shop.accounts.service.sessions import token_hash
from shop.actor import Actor
from shop.audit import service as audit
from shop.errors import Invalid, NotFound, Refusal
from shop.ids import new_id

MOST_DAYS = 366
MOST_TOKENS = 50
"""How many machine tokens of one member may hold at a time."""


class UnknownScope(Invalid):
    code, status = "unknown_scope", 422
    title, title_zh = "There is no such scope for you.", "没有此权限范围。"


class TooManyTokens(Refusal):
    code, status = "too_many_tokens", 409
    title, title_zh = f"A member has at most {MOST_TOKENS} tokens.", f"每名成员最多{MOST_TOKENS}个令牌。"


def make(
    session: Session,
    *,
    name: str,
    scopes: Collection[str],
    allowed: frozenset[str],
    days: int,
    by: Actor,
    now: datetime,
) -> tuple[ApiToken, str]:
    """A machine's token, which acts as the actor within these scopes, and its secret, to be shown once.

    `allowed` are the scopes of all that the actor's audience may call. UnknownScope names the one at fault.
    """
    for place, scope in enumerate(scopes):
        if scope not in allowed:
            raise UnknownScope(f"Scopes here are: {', '.join(sorted(allowed))}.", pointer=f"/scopes/{place}")
    session.execute(select(Membership.id).where(Membership.id == by.membership_id).with_for_update())
    held = (
        select(func.count())
        .select_from(ApiToken)
        .where(ApiToken.membership_id == by.membership_id, queries_people.living("machine"))
    )
    if (session.scalar(held) or 0) >= MOST_TOKENS:
        raise TooManyTokens
    secret = random.token_urlsafe(32)
    made = session.execute(
        insert(ApiToken)
        .values(
            id=new_id(),
            kind="machine",
            name=name,
            scopes=sorted(set(scopes)),
            token_hash=token_hash(secret),
            membership_id=by.membership_id,
            expires_at=func.clock_timestamp() + cast(literal(timedelta(days=days)), INTERVAL),
        )
        .returning(ApiToken.id)
    ).scalar_one()
    audit.record(
        session, by=by, action="make", kind="token", subject=made, now=now, scopes=sorted(set(scopes)), days=days
    )
    return session.get_one(ApiToken, made), secret


def revoke(session: Session, *, token_id: UUID, by: Actor, now: datetime) -> None:
    """Revoke a machine token in the actor's sight; twice is once. NotFound."""
    found = session.scalars(queries_people.tokens_in_sight(by).where(ApiToken.id == token_id)).first()
    if found is None:
        raise NotFound
    revoked = session.execute(
        update(ApiToken)
        .where(ApiToken.id == token_id, ApiToken.revoked_at.is_(None))
        .values(revoked_at=func.clock_timestamp())
        .returning(ApiToken.id)
        .execution_options(synchronize_session=False)
    ).first()
    if revoked is not None:
        audit.record(session, by=by, action="revoke", kind="token", subject=token_id, now=now)
