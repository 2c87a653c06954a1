"""Tokens by which people act: how a session begins, and how what a person or a membership holds ends."""

import hashlib
import secrets as random
from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import CursorResult, func, insert, select, update
from sqlalchemy.orm import Session

from shop.accounts.models import ApiToken, Membership
from shop.db import seeing_all
from shop.ids import new_id

TOKEN_LIFE = timedelta(hours=12)


def token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def new_session(
    session: Session,
    *,
    membership_id: UUID,
    words: str = "",
    expires_at: datetime | None = None,
    assist_mandate_id: UUID | None = None,
) -> tuple[str, datetime]:
    """A session for a membership, which is the current one from now on: its token and when it ends."""
    token = random.token_urlsafe(32)
    session.execute(
        update(Membership).where(Membership.id == membership_id).values(last_used_at=func.clock_timestamp())
    )
    ends: datetime = session.execute(
        insert(ApiToken)
        .values(
            id=new_id(),
            name=words,
            token_hash=token_hash(token),
            membership_id=membership_id,
            expires_at=expires_at or func.clock_timestamp() + TOKEN_LIFE,
            assist_mandate_id=assist_mandate_id,
        )
        .returning(ApiToken.expires_at)
    ).scalar_one()
    return token, ends


def end_sessions(session: Session, *, user_id: UUID, but: UUID | None = None, only: UUID | None = None) -> int:
    """End the sessions of a person, for whichever organisation: all, all but one, or one; gives how many.

    Tokens of machines go on.
    """
    own = select(Membership.id).where(Membership.user_id == user_id)
    wanted = update(ApiToken).where(
        ApiToken.membership_id.in_(own),
        ApiToken.kind == "session",
        ApiToken.revoked_at.is_(None),
        ApiToken.expires_at > func.clock_timestamp(),
    )
    if but:
        wanted = wanted.where(ApiToken.id != but)
    if only:
        wanted = wanted.where(ApiToken.id == only)
    with seeing_all(session):  # a person's sessions for all of their organisations
        done = session.execute(
            wanted.values(revoked_at=func.clock_timestamp()).execution_options(synchronize_session=False)
        )
    assert isinstance(done, CursorResult)
    return done.rowcount


def revoke_all(session: Session, membership_ids: Collection[UUID]) -> None:
    """End every session and machine token of these memberships, for good: whoever comes back begins anew."""
    session.execute(
        update(ApiToken)
        .where(ApiToken.membership_id.in_(membership_ids), ApiToken.revoked_at.is_(None))
        .values(revoked_at=func.clock_timestamp())
        .execution_options(synchronize_session=False)
    )
