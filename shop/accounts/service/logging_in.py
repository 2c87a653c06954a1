"""Log in, log out, and the Actor behind a token.

A log-in is two units of work with the hash between them, so that hashing holds no connection: `look_up`, then
`passwords.matches`, then `decide`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Select, func, select, text, update
from sqlalchemy.orm import Session

from config.settings import settings
from shop.accounts import contacts, secrets
from shop.accounts.models import AUDIENCE, ApiToken, Kind, Membership, Organisation, User, may_be_entered
from shop.accounts.service import guessing, two_step
from shop.accounts.service.sessions import new_session, token_hash
from shop.actor import HELPER_ROLES, Actor, Audience, Role
from shop.errors import NotFound, Refusal, Unauthenticated


class WrongCredentials(Unauthenticated):
    code, status = "wrong_credentials", 401
    title, title_zh = "The log-in or the password is wrong.", "登录名或密码错误。"


class CodeNeeded(Unauthenticated):
    """The password is right, and the second step is missing, wrong or used already."""

    code, status = "code_needed", 401
    title, title_zh = (
        "Give the current code of your authenticator, or a recovery code.",
        "请输入验证器当前的动态码或恢复码。",
    )


class NoMembership(Refusal):
    code, status = "no_membership", 403
    title, title_zh = "You are a member of no organisation any more.", "您已不属于任何单位。"


@dataclass(frozen=True)
class Claim:
    """Who somebody says to be: the person if there is one, the hash to check against, where guesses are counted."""

    user_id: UUID | None
    password_hash: str | None
    account: bytes


@dataclass(frozen=True)
class LoggedIn:
    """A new session: its token and end, what the browser keeps, and whether a second step must be set up first."""

    token: str
    expires_at: datetime
    device: str
    two_step_required: bool


def person_of(login: str) -> Select[User]:
    """The person with a log-in in its one spelling."""
    return select(User).where(User.phone == login if contacts.is_phone(login) else User.email == login)


def look_up(session: Session, *, login: str, device: str | None = None) -> Claim:
    """Who has this log-in, to check a password against; TooMany when it was guessed at too often, known or not."""
    login = contacts.login_of(login)
    user = session.scalars(person_of(login)).first()
    known = user is not None and user.status == "active"
    account = guessing.account_of(user.id if user and known else None, login, device)
    guessing.check(session, account)
    return Claim(user.id, user.password_hash, account) if user and known else Claim(None, None, account)


def decide(
    session: Session,
    claim: Claim,
    *,
    right: bool,
    renewed: str | None = None,
    code: str | None = None,
    organisation_id: UUID | None = None,
    device: str | None = None,
    words: str = "",
) -> LoggedIn | WrongCredentials | CodeNeeded:
    """The new session; or the refusal to answer with, not to raise, because the wrong guess that it records must stay.

    `renewed`: a hash at today's cost, kept in place of an older one. NotFound for an organisation that the person is
    no member of, NoMembership, TooMany.
    """
    user = session.get(User, claim.user_id, with_for_update={"read": True}) if claim.user_id else None
    unchanged = user is not None and user.status == "active" and user.password_hash == claim.password_hash
    if not guessing.settle(session, claim.account, right=right and unchanged) or user is None:
        return WrongCredentials()
    if two_step.is_on(session, user.id):
        if not code:
            return CodeNeeded()
        if not two_step.use(session, user_id=user.id, code=code):
            guessing.note(session, claim.account)
            return CodeNeeded("This code is wrong or was used.", pointer="/code")
    if renewed:
        session.execute(update(User).where(User.id == user.id).values(password_hash=renewed))
    token, expires_at = issue_token(session, user_id=user.id, organisation_id=organisation_id, words=words)
    kept = device if device and secrets.device_of(device, user.id) else secrets.device_for(user.id)
    found = authenticate(session, token) if settings().production else None
    return LoggedIn(token, expires_at, kept, found is not None and found[0].needs_two_step)


def memberships_of(user_id: UUID) -> Select[Membership]:
    """The memberships that a person may act with, the one used last first."""
    return (
        select(Membership)
        .join(Organisation, Organisation.id == Membership.organisation_id)
        .where(Membership.user_id == user_id, Membership.ended_at.is_(None), may_be_entered())
        .order_by(Membership.last_used_at.desc().nulls_last(), Membership.id)
    )


def issue_token(
    session: Session, *, user_id: UUID, organisation_id: UUID | None = None, words: str = ""
) -> tuple[str, datetime]:
    """A new session for one of the person's memberships (the last used, unless one is named), and when it ends."""
    wanted = memberships_of(user_id)
    if organisation_id:
        wanted = wanted.where(Membership.organisation_id == organisation_id)
    membership = session.scalars(wanted.limit(1)).first()
    if membership is None:
        raise NotFound(pointer="/organisation_id") if organisation_id else NoMembership
    return new_session(session, membership_id=membership.id, words=words)


def log_out(session: Session, token: str) -> None:
    """End a token; ending it twice is ending it once."""
    session.execute(
        update(ApiToken)
        .where(ApiToken.token_hash == token_hash(token), ApiToken.revoked_at.is_(None))
        .values(revoked_at=func.clock_timestamp())
    )


USE_NOTED_EVERY = timedelta(minutes=10)
"""A token's last use is written at most so often, so that reading does not become writing."""

FIND_ACTOR = text("SELECT * FROM find_actor(:token_hash, :every)")


def authenticate(session: Session, token: str) -> tuple[Actor, datetime] | None:
    """The actor behind a token and the business time, in one statement; None for a token that does not hold.

    From then on the transaction sees the rows of the actor's organisation (admins: of everybody). Roles are read afresh
    each time: a role taken away is gone at the next request. So is a helper's mandate, which holds on its days, until
    it is revoked, and for a cooperative that sells or applies. In production an admin whose log-in has no second step
    may do nothing but set one up.
    """
    row = session.execute(FIND_ACTOR, {"token_hash": token_hash(token), "every": USE_NOTED_EVERY}).first()
    if row is None:
        return None
    audience = AUDIENCE[Kind(row.kind)]
    actor = Actor(
        user_id=row.user_id,
        membership_id=row.membership_id,
        organisation_id=row.organisation_id,
        audience=audience,
        roles=HELPER_ROLES if row.mandate_id else frozenset(Role(role) for role in row.roles),
        order_limit_fen=row.order_limit_fen,
        regions=tuple(row.regions),
        scopes=None if row.scopes is None else frozenset(row.scopes),
        mandate_id=row.mandate_id,
        home_id=row.home_id,
        token_id=row.token_id,
        needs_two_step=settings().production and audience is Audience.ADMIN and not row.has_two_step,
    )
    return actor, row.now
