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

from shop.accounts.models import (
    AUDIENCE,
    Address,
    ApiToken,
    BudgetUnit,
    Kind,
    LoginFailure,
    Membership,
    Organisation,
    User,
)
from shop.accounts.uscc import is_valid
from shop.actor import ADMIN_ROLES, BUYER_ROLES, COOPERATIVE_ROLES, Actor, Audience, Role
from shop.audit import service as audit_service
from shop.errors import Invalid, TooMany, Unauthenticated
from shop.ids import new_id

TOKEN_LIFE = timedelta(hours=12)
GUESSES_A_MINUTE, GUESSES_AN_HOUR = 5, 20
ROLES_OF = {Audience.BUYER: BUYER_ROLES, Audience.COOPERATIVE: COOPERATIVE_ROLES, Audience.ADMIN: ADMIN_ROLES}


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


FIND_ACTOR = text(
    """
    SELECT u.id, m.id, o.id, o.kind, m.roles, m.order_limit_fen, m.regions,
           clock_timestamp() + (SELECT offset_us FROM business_clock) * interval '1 microsecond'
    FROM api_token t
    JOIN membership m ON m.id = t.membership_id
    JOIN person u ON u.id = m.user_id
    JOIN organisation o ON o.id = m.organisation_id
    WHERE t.token_hash = :token_hash AND t.revoked_at IS NULL AND t.expires_at > clock_timestamp()
      AND u.status = 'active' AND o.status <> 'closed'
    """
)


def authenticate(session: Session, token: str) -> tuple[Actor, datetime] | None:
    """The actor behind a token and the business time, in one statement; None for a token that does not hold.

    Roles are read afresh each time: a role taken away is gone at the next request.
    """
    row = session.execute(FIND_ACTOR, {"token_hash": token_hash(token)}).first()
    if row is None:
        return None
    user_id, membership_id, organisation_id, kind, roles, limit, regions, now = row
    actor = Actor(
        user_id, membership_id, organisation_id, AUDIENCE[Kind(kind)], frozenset(Role(r) for r in roles), limit,
        tuple(regions),
    )  # fmt: skip
    return actor, now


def register(
    session: Session,
    *,
    kind: Kind,
    name: str,
    name_en: str,
    division_code: str,
    uscc: str | None,
    parent_id: UUID | None,
    by: Actor,
    now: datetime,
) -> Organisation:
    """A new organisation, or Invalid naming the field (a code that fails GB 32100, or that another one has)."""
    if uscc is not None:
        if not is_valid(uscc):
            raise Invalid("This is not a unified social credit code (GB 32100).", pointer="/uscc")
        if session.scalars(select(Organisation.id).where(Organisation.uscc == uscc)).first():
            raise Invalid("Another organisation has this code.", pointer="/uscc")
    elif parent_id is None and AUDIENCE[kind] is not Audience.ADMIN:
        raise Invalid("An organisation without a code hangs below one that has it.", pointer="/uscc")
    organisation = Organisation(
        kind=kind,
        name=name,
        name_en=name_en,
        uscc=uscc,
        parent_id=parent_id,
        division_code=division_code,
        created_at=now,
    )
    session.add(organisation)
    session.flush()
    audit_service.record(session, by=by, action="register", kind="organisation", subject=organisation.id, now=now)
    return organisation


def register_user(
    session: Session,
    *,
    organisation: Organisation,
    email: str,
    name: str,
    roles: list[Role],
    password: str | None = None,
    password_hash: str | None = None,
    order_limit_fen: int | None = None,
    regions: list[str] | None = None,
) -> User:
    """A person with a membership; Invalid when the roles are not of the organisation's kind or the e-mail is taken.

    Give the password, or a hash of `hasher()` when many people share one (the demo).
    """
    allowed = ROLES_OF[AUDIENCE[Kind(organisation.kind)]]
    if not roles or not allowed.issuperset(roles):
        raise Invalid(f"Roles here are: {', '.join(sorted(allowed))}.", pointer="/roles")
    if session.scalars(select(User.id).where(User.email == email.strip().lower())).first():
        raise Invalid("This e-mail is taken.", pointer="/email")
    hashed = password_hash or hasher().hash(password or "")
    user = User(email=email.strip().lower(), name=name, password_hash=hashed)
    session.add(user)
    session.flush()
    session.add(
        Membership(
            user_id=user.id,
            organisation_id=organisation.id,
            roles=[str(role) for role in roles],
            regions=regions or [],
            order_limit_fen=order_limit_fen,
        )
    )
    session.flush()
    return user


def add_budget_unit(
    session: Session, *, organisation_id: UUID, name: str, finance_level: str, funding_code: str
) -> BudgetUnit:
    unit = BudgetUnit(
        organisation_id=organisation_id, name=name, finance_level=finance_level, funding_code=funding_code
    )
    session.add(unit)
    session.flush()
    return unit


def add_address(session: Session, *, organisation_id: UUID, division_code: str, line: str, contact: str) -> Address:
    address = Address(organisation_id=organisation_id, division_code=division_code, line=line, contact=contact)
    session.add(address)
    session.flush()
    return address
