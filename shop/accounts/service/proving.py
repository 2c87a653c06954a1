"""Who is logged in proves it once more by the own password, before what must not follow from a stolen session."""

from sqlalchemy.orm import Session

from shop.accounts.models import User
from shop.accounts.service import guessing, passwords
from shop.actor import Actor
from shop.errors import Invalid, Refusal


class WrongPassword(Invalid):
    code, status = "wrong_password", 422
    title, title_zh = "This is not your password.", "密码不正确。"


class WrongCode(Refusal):
    """The code or link is not ours, used, expired or guessed at too often; which of these is not said."""

    code, status = "wrong_code", 422
    title, title_zh = "This code or link is wrong, used or expired.", "验证码或链接错误、已使用或已过期。"


def own_password(session: Session, by: Actor, password: str) -> User | None:
    """The actor's person when this is their password; None with the wrong guess recorded, for an answer that keeps it.

    TooMany after too many wrong ones.
    """
    account = guessing.inside(by.user_id)
    guessing.check(session, account)
    user = session.get_one(User, by.user_id)
    right = passwords.matches(user.password_hash, password)
    return user if guessing.settle(session, account, right=right) else None
