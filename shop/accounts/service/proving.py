"""Who is logged in proves it once more by the own password, before what must not follow from a stolen session."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from shop.accounts.models import User
from shop.accounts.service import guessing, passwords
from shop.actor import Actor
from shop.db import Result
from shop.errors import Invalid, Refusal
from shop.http.routes import work_of


class WrongPassword(Invalid):
    code, status = "wrong_password", 422
    title, title_zh = "This is not your password.", "密码不正确。"


class WrongCode(Refusal):
    """The code or link is not ours, used, expired or guessed at too often; which of these is not said."""

    code, status = "wrong_code", 422
    title, title_zh = "This code or link is wrong, used or expired.", "验证码或链接错误、已使用或已过期。"


@dataclass(frozen=True)
class Known:
    """What a password is checked against, and the log-ins that a new one must not be."""

    password_hash: str
    logins: tuple[str | None, ...]


def own_password(
    by: Actor,
    password: str,
    use_case: Callable[[Session, User], Result],
    *,
    pointer: str,
    between: Callable[[Known], None] | None = None,
) -> Result | WrongPassword:
    """Do something for the actor when this is their password; else WrongPassword, to answer with: the guess is kept.

    Two units of work with the hash between them, as at log-in, so that hashing holds no transaction open; `between`
    is done there too when the password is right. TooMany after too many wrong ones.
    """
    known = work_of(by, lambda session: look_up(session, by))
    right = passwords.matches(known.password_hash, password)
    if right and between is not None:
        between(known)

    def decide(session: Session) -> Result | WrongPassword:
        user = session.get_one(User, by.user_id, with_for_update=True)
        unchanged = user.status == "active" and user.password_hash == known.password_hash
        if not guessing.settle(session, guessing.inside(by.user_id), right=right and unchanged):
            return WrongPassword(pointer=pointer)
        return use_case(session, user)

    return work_of(by, decide)


def look_up(session: Session, by: Actor) -> Known:
    guessing.check(session, guessing.inside(by.user_id))
    user = session.get_one(User, by.user_id)
    return Known(user.password_hash, (user.email, user.phone))
