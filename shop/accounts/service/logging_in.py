"""Log in, log out, and the Actor behind a token."""

import hashlib
import secrets
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error
from sqlalchemy import Select, func, insert, select, text, update
from sqlalchemy.orm import Session

from shop.accounts.models import AUDIENCE, ApiToken, Kind, LoginFailure, Membership, User
from shop.actor import HELPER_ROLES, Actor, Audience, Role
from shop.errors import TooMany, Unauthenticated
from shop.ids import new_id

TOKEN_LIFE = timedelta(hours=12)
GUESSES_A_MINUTE, GUESSES_AN_HOUR = 5, 20


class WrongCredentials(Unauthenticated):
    code, status = "wrong_credentials", 401
    title, title_zh = "The e-mail or the password is wrong.", "邮箱或密码错误。"


@cache
def hasher() -> PasswordHasher:
    """argon2id at OWASP's cost (46 MiB, one pass, one lane)."""
    return PasswordHasher(time_cost=1, memory_cost=47_104, parallelism=1)


@cache
def decoy() -> str:
    """A hash to check against when there is no such user, so that an unknown name takes as long as a known one."""
    return hasher().hash(secrets.token_urlsafe(16))


def token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def guessed_too_often(session: Session, account: bytes) -> bool:
    def since(span: timedelta) -> Select[int]:
        return (
            select(func.count())
            .select_from(LoginFailure)
            .where(LoginFailure.account_hash == account, LoginFailure.at > func.clock_timestamp() - span)
        )

    row = session.execute(
        select(since(timedelta(minutes=1)).scalar_subquery(), since(timedelta(hours=1)).scalar_subquery())
    ).one()
    minute, hour = row
    return bool(minute >= GUESSES_A_MINUTE or hour >= GUESSES_AN_HOUR)


def check_password(session: Session, *, email: str, password: str) -> UUID | None:
    """The user whose e-mail and password these are, or None with the failure recorded.

    Wrong guesses are limited per account over all addresses (TooMany), known account or not.
    """
    account = hashlib.sha256(email.strip().lower().encode()).digest()
    if guessed_too_often(session, account):
        raise TooMany("Too many wrong guesses at this account.", retry_after=60)
    user = session.execute(select(User).where(User.email == email.strip().lower())).scalar_one_or_none()
    try:
        hasher().verify(user.password_hash if user else decoy(), password)
        right = user is not None and user.status == "active"
    except Argon2Error:
        right = False
    if user is None or not right:
        session.execute(insert(LoginFailure).values(id=new_id(), account_hash=account))
        return None
    return user.id


def issue_token(session: Session, *, user_id: UUID, organisation_id: UUID | None = None) -> tuple[str, datetime]:
    """A new token for one of the user's memberships (the first, unless an organisation is named), and when it ends."""
    wanted = select(Membership.id).where(Membership.user_id == user_id).order_by(Membership.id)
    if organisation_id:
        wanted = wanted.where(Membership.organisation_id == organisation_id)
    membership_id = session.scalars(wanted.limit(1)).first()
    if membership_id is None:
        raise WrongCredentials
    token = secrets.token_urlsafe(32)
    expires_at = session.execute(
        insert(ApiToken)
        .values(
            id=new_id(),
            token_hash=token_hash(token),
            membership_id=membership_id,
            expires_at=func.clock_timestamp() + TOKEN_LIFE,
        )
        .returning(ApiToken.expires_at)
    ).scalar_one()
    return token, expires_at


def log_out(session: Session, token: str) -> None:
    """End a token; ending it twice is ending it once."""
    session.execute(
        update(ApiToken)
        .where(ApiToken.token_hash == token_hash(token), ApiToken.revoked_at.is_(None))
        .values(revoked_at=func.clock_timestamp())
    )


USE_NOTED_EVERY = timedelta(minutes=10)
"""A token's last use is written at most so often, so that reading does not become writing."""

FIND_ACTOR = text(
    """
    SELECT u.id, m.id, o.id, o.kind, m.roles, m.order_limit_fen, m.regions, t.scopes, t.id,
           clock_timestamp() + (SELECT offset_us FROM business_clock) * interval '1 microsecond',
           t.last_used_at IS NULL OR t.last_used_at < clock_timestamp() - CAST(:every AS interval),
           a.id, a.cooperative_id
    FROM api_token t
    JOIN membership m ON m.id = t.membership_id
    JOIN person u ON u.id = m.user_id
    JOIN organisation o ON o.id = m.organisation_id
    LEFT JOIN assist_mandate a ON a.id = t.assist_mandate_id
    LEFT JOIN organisation c ON c.id = a.cooperative_id
    WHERE t.token_hash = :token_hash AND t.revoked_at IS NULL AND t.expires_at > clock_timestamp()
      AND u.status = 'active' AND o.status <> 'closed'
      AND (t.assist_mandate_id IS NULL OR (
          a.revoked_at IS NULL AND 'helper' = ANY(m.roles) AND c.status IN ('active', 'applying')
          AND a.valid @> (SELECT ((clock_timestamp() + offset_us * interval '1 microsecond')
                                  AT TIME ZONE 'Asia/Shanghai')::date FROM business_clock)
      ))
    """
)


def authenticate(session: Session, token: str) -> tuple[Actor, datetime] | None:
    """The actor behind a token and the business time, in one statement; None for a token that does not hold.

    Roles are read afresh each time: a role taken away is gone at the next request. So is a helper's mandate, which
    holds on its days, until it is revoked, and for a cooperative that sells or applies.
    """
    row = session.execute(FIND_ACTOR, {"token_hash": token_hash(token), "every": USE_NOTED_EVERY}).first()
    if row is None:
        return None
    user_id, membership_id, organisation_id, kind, roles, limit, regions, scopes, token_id, now, unnoted, *lent = row
    if unnoted:
        session.execute(
            update(ApiToken)
            .where(ApiToken.id == token_id)
            .values(last_used_at=func.clock_timestamp())
            .execution_options(synchronize_session=False)
        )
    mandate_id, cooperative_id = lent
    if mandate_id is not None:
        return Actor(
            user_id, membership_id, cooperative_id, Audience.COOPERATIVE, HELPER_ROLES,
            mandate_id=mandate_id, home_id=organisation_id, token_id=token_id,
        ), now  # fmt: skip
    actor = Actor(
        user_id, membership_id, organisation_id, AUDIENCE[Kind(kind)], frozenset(Role(r) for r in roles), limit,
        tuple(regions), None if scopes is None else frozenset(scopes), token_id=token_id,
    )  # fmt: skip
    return actor, now
