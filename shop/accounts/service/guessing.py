"""Wrong guesses at an account, counted over all addresses: at most 5 in a minute and 20 in an hour.

A known and an unknown account count alike. Whoever brings the `device` of an earlier log-in is counted apart, so that
strangers cannot lock the owner out. Requests for codes and links are limited by the same counter, under other names:
each address for one account and for all of them. What strangers at many addresses ask of one account locks nobody out
either: from there on the code is a long one, and the one that was sent stands until it expires.
"""

import hashlib
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from shop.accounts import secrets
from shop.accounts.models import LoginFailure
from shop.errors import TooMany
from shop.ids import new_id

GUESSES_A_MINUTE, GUESSES_AN_HOUR = 5, 20
ASKED_A_MINUTE, ASKED_AN_HOUR = 2, 6
"""How many codes or links one asker may ask for, for one account."""
ASKED_FROM_A_MINUTE, ASKED_FROM_AN_HOUR = 20, 200
"""How many one address may ask for, for all accounts together: an office has one address for everybody."""
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def account_of(user_id: UUID | None, login: str, device: str | None = None) -> bytes:
    """What guesses are counted under: the device of this person, else the person, else the log-in that nobody has."""
    name = secrets.device_of(device, user_id) if user_id else None
    word = f"device {name}" if name else f"person {user_id.hex}" if user_id else login
    return hashlib.sha256(word.encode()).digest()


def inside(user_id: UUID) -> bytes:
    """What the guesses of somebody who is logged in are counted under: apart from those of strangers at the door."""
    return hashlib.sha256(f"inside {user_id.hex}".encode()).digest()


def asking(account: bytes) -> bytes:
    """What requests for a code or a link are counted under."""
    return hashlib.sha256(b"asking " + account).digest()


def check(session: Session, account: bytes, *, minute: int = GUESSES_A_MINUTE, hour: int = GUESSES_AN_HOUR) -> None:
    """TooMany, with the seconds to wait, when there were too many; one statement that reads no more than it counts."""
    waits = session.execute(
        select(
            func.ceil(func.extract("epoch", MINUTE + LoginFailure.at - func.clock_timestamp())),
            func.ceil(func.extract("epoch", HOUR + LoginFailure.at - func.clock_timestamp())),
        )
        .where(LoginFailure.account_hash == account, LoginFailure.at > func.clock_timestamp() - HOUR)
        .order_by(LoginFailure.at.desc())
        .limit(hour)
    ).all()
    wait = max(
        int(waits[minute - 1][0]) if len(waits) >= minute else 0, int(waits[hour - 1][1]) if len(waits) >= hour else 0
    )
    if wait > 0:
        raise TooMany("Too many wrong guesses at this account.", retry_after=wait)


def count_asking(session: Session, account: bytes, *, minute: int = ASKED_A_MINUTE, hour: int = ASKED_AN_HOUR) -> None:
    """Count one request for a code or a link. TooMany."""
    hold(session, account)
    try:
        check(session, account, minute=minute, hour=hour)
    except TooMany as wait:
        raise TooMany("Too many codes were asked for.", **wait.facts) from wait
    note(session, account)


def count_stranger(session: Session, account: bytes, address: str) -> None:
    """Count one request of a stranger at an address, for an account. TooMany for this address alone."""
    place = b"from " + address.encode()
    count_asking(session, hashlib.sha256(place + account).digest())
    count_asking(session, hashlib.sha256(place).digest(), minute=ASKED_FROM_A_MINUTE, hour=ASKED_FROM_AN_HOUR)


def is_crowded(session: Session, account: bytes, *, counts: bool) -> bool:
    """Whether strangers together ask for more codes of an account than one of them may; `counts` one more of them."""
    everybody = asking(account)
    hold(session, everybody)
    try:
        check(session, everybody, minute=ASKED_A_MINUTE, hour=ASKED_AN_HOUR)
    except TooMany:
        return True
    finally:
        if counts:
            note(session, everybody)
    return False


def hold(session: Session, account: bytes) -> None:
    """Let the guesses at one account be settled one after another, until the transaction ends."""
    session.execute(select(func.pg_advisory_xact_lock(int.from_bytes(account[:8], signed=True))))


def note(session: Session, account: bytes) -> None:
    """Count one."""
    session.execute(insert(LoginFailure).values(id=new_id(), account_hash=account))


def settle(session: Session, account: bytes, *, right: bool) -> bool:
    """Decide a guess when its turn comes, and count it when it is wrong; gives back `right`.

    TooMany even for a right one when too many wrong ones were settled meanwhile: of guesses made at the same time no
    more are answered than of those made one by one.
    """
    hold(session, account)
    check(session, account)
    if not right:
        note(session, account)
    return right
