"""Passwords: what one may be, its hash, and how many are hashed at once."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from shop.errors import Invalid, TooMany

SHORTEST, LONGEST = 10, 256
AT_ONCE, WAIT_SECONDS = 2, 1.0
"""So many hashes at once in a process (46 MiB and a core each); others wait so long, then are asked to come again."""

COMMONEST = frozenset(
    """
    0123456789 01234567890 0987654321 1029384756 1111111111 11111111111 111222333444 1122334455 112233445566
    1212121212 1231231231 123123123123 1234512345 123456123456 1234567890 12345678900 12345678901 12345678910
    123456789a 123456789abc 123456789q 123456789qwe 1234567891 12345qwert 1234qwer1234 123abc123abc 123qweasdzxc
    147258369a 1qaz2wsx3edc 1q2w3e4r5t 1q2w3e4r5t6y 2222222222 5201314520 520520520520 5555555555 6666666666
    66666666666 7777777777 8888888888 88888888888 888888888888 987654321a 9876543210 9999999999 a1234567890
    a123456789 a12345678910 aa123456789 aaaaaaaaaa aaaa123456 abc1234567 abc123456789 abcd123456 abcd12345678
    abcdefghij admin12345 admin123456 administrator asd123456789 asdasdasdasd asdfghjkl1 asdfghjkl123 changeme123
    computer123 football123 iloveyou123 iloveyou1314 iloveyou520 letmein123 letmein12345 liverpool1 mima123456
    p@ssw0rd123 passw0rd123 password00 password01 password10 password12 password123 password1234 password12345
    passwordpassword q123456789 q1w2e3r4t5 q1w2e3r4t5y6 qazwsxedc1 qazwsxedc123 qazwsxedcrfv qq123456789
    qq1234567890 qwe123456789 qwer123456 qwer12345678 qwerasdfzxcv qwerty1234 qwerty12345 qwerty123456 qwertyuiop
    qwertyuiop1 qwertyuiop123 qwertyuiop[] w123456789 welcome123 welcome1234 woaini1314 woaini13145 woaini1314520
    woaini5201314 woaini520520 woaini123456 woaiwojia1 xiaoming123 zhang123456 wang123456 zxc123456789 zxcvbnm123
    zxcvbnm1234 zxcvbnm,./ zxcvbnmasdfghjkl
    """.split()  # noqa: SIM905 - a list to read
)
"""Passwords of at least ten characters that many people think of first; a list by hand, of 2024."""

gate = threading.BoundedSemaphore(AT_ONCE)


class WeakPassword(Invalid):
    code, status = "weak_password", 422
    title, title_zh = (
        f"A password has {SHORTEST} to {LONGEST} characters and is neither your log-in nor a common one.",
        f"密码须为{SHORTEST}至{LONGEST}个字符，不能与登录名相同，也不能是常见密码。",
    )


@cache
def hasher() -> PasswordHasher:
    """argon2id, 46 MiB, two passes, one lane: 60 ms a hash on the machine it was measured on (one pass: 36 ms)."""
    return PasswordHasher(time_cost=2, memory_cost=47_104, parallelism=1)


@cache
def decoy() -> str:
    """A hash to check against when there is no such person, so that an unknown log-in takes as long as a known one."""
    return hasher().hash(secrets.token_urlsafe(16))


@contextmanager
def place() -> Iterator[None]:
    """One of the places to hash at; TooMany when none comes free in time."""
    if not gate.acquire(timeout=WAIT_SECONDS):
        raise TooMany("Too many log-ins at this moment.", retry_after=1)
    try:
        yield
    finally:
        gate.release()


def hash_of(password: str) -> str:
    """The hash to keep of a password."""
    with place():
        return hasher().hash(password)


def matches(password_hash: str | None, password: str) -> bool:
    """Whether this is the password behind a hash; with None, as much work for the answer no."""
    with place():
        try:
            return hasher().verify(password_hash or decoy(), password) and password_hash is not None
        except (Argon2Error, InvalidHashError):
            return False


def renewed(password_hash: str | None, password: str) -> str | None:
    """A new hash of a password that was right, where its hash was made at another cost than today's; else None."""
    return hash_of(password) if password_hash and hasher().check_needs_rehash(password_hash) else None


def check(password: str, *logins: str | None, pointer: str) -> None:
    """WeakPassword unless a person may choose this password. There are no rules of composition."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise WeakPassword(pointer=pointer)
    plain = password.casefold()
    if plain in COMMONEST or plain in spellings(logins):
        raise WeakPassword(pointer=pointer)


def spellings(logins: tuple[str | None, ...]) -> set[str]:
    """The log-ins as people write them: a phone also without its country."""
    return {word for login in logins if login for word in (login.casefold(), login.lstrip("+"), login[3:])}
