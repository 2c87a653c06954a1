"""Act for another of one's organisations; end sessions."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from shop.accounts.models import ApiToken, Membership
from shop.accounts.service.logging_in import memberships_of
from shop.accounts.service.sessions import end_sessions, new_session
from shop.actor import Actor
from shop.audit import service as audit
from shop.db import seeing_all
from shop.errors import NotFound, Unauthenticated


def switch(session: Session, *, membership_id: UUID, by: Actor, now: datetime) -> tuple[str, datetime]:
    """A new session for another membership of the same person; the old one ends, and its time is not made longer.

    NotFound for a membership that is not the actor's own or has ended.
    """
    wanted = memberships_of(by.user_id).where(Membership.id == membership_id)
    with seeing_all(session):  # the same person's, of another organisation
        if session.scalars(wanted).first() is None:
            raise NotFound
    ended = session.execute(
        update(ApiToken)
        .where(ApiToken.id == by.token_id, ApiToken.revoked_at.is_(None))
        .values(revoked_at=func.clock_timestamp())
        .returning(ApiToken.expires_at, ApiToken.name)
        .execution_options(synchronize_session=False)
    ).first()
    if ended is None:  # the twin of this request was first
        raise Unauthenticated
    audit.record(session, by=by, action="switch", kind="membership", subject=membership_id, now=now)
    with seeing_all(session):
        return new_session(session, membership_id=membership_id, words=ended.name, expires_at=ended.expires_at)


def end_one(session: Session, *, session_id: UUID, by: Actor, now: datetime) -> None:
    """End one of the actor's sessions; one that has ended stays ended. NotFound for another's."""
    own = select(ApiToken.id).join(Membership, Membership.id == ApiToken.membership_id)
    own = own.where(ApiToken.id == session_id, ApiToken.kind == "session", Membership.user_id == by.user_id)
    with seeing_all(session):  # begun for whichever of the actor's organisations
        if session.scalars(own).first() is None:
            raise NotFound
    if end_sessions(session, user_id=by.user_id, only=session_id):
        audit.record(session, by=by, action="end", kind="session", subject=session_id, now=now)


def end_others(session: Session, *, by: Actor, now: datetime) -> int:
    """End every session of the actor but this one; gives how many."""
    ended = end_sessions(session, user_id=by.user_id, but=by.token_id)
    if ended:
        audit.record(session, by=by, action="end_other_sessions", kind="person", subject=by.user_id, now=now)
    return ended
