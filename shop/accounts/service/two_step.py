"""The second step of log-in: an authenticator's code (TOTP, RFC 6238) or, when it is lost, a recovery code."""

import base64
import re
import secrets as random
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from uuid import UUID

import pyotp
from sqlalchemy import CursorResult, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from shop.accounts import secrets
from shop.accounts.models import User
from shop.accounts.models_people import RecoveryCode, TwoStep
from shop.accounts.service import guessing
from shop.accounts.service.sessions import end_sessions
from shop.actor import Actor
from shop.audit import service as audit
from shop.clock import machine_now
from shop.errors import Refusal
from shop.ids import new_id

ISSUER = "produce-exchange"
STEP_SECONDS, DRIFT = 30, 1
"""A code is of one step of 30 seconds; the one before and the one after are taken too, for clocks that differ."""
RECOVERY_CODES = 10


class TwoStepOn(Refusal):
    code, status = "two_step_on", 409
    title, title_zh = "Two-step log-in is on already.", "已启用两步验证。"


class TwoStepOff(Refusal):
    code, status = "two_step_off", 409
    title, title_zh = "Two-step log-in is not on.", "尚未启用两步验证。"


@dataclass(frozen=True)
class Enrolment:
    """What an authenticator needs, shown once."""

    secret: str
    uri: str


def is_on(session: Session, user_id: UUID) -> bool:
    found = session.scalar(
        select(func.count()).select_from(TwoStep).where(TwoStep.user_id == user_id, TwoStep.confirmed_at.is_not(None))
    )
    return bool(found)


def enrol(session: Session, *, by: Actor, user: User, now: datetime) -> Enrolment:
    """A new key for the actor's authenticator, in force when a code of it was given; TwoStepOn when one is in force."""
    enrolment_id = new_id()
    fresh = {"enrolment_id": enrolment_id, "last_counter": 0, "created_at": func.clock_timestamp()}
    written = session.execute(
        upsert(TwoStep)
        .values(user_id=by.user_id, **fresh)
        .on_conflict_do_update(index_elements=["user_id"], set_=fresh, where=TwoStep.confirmed_at.is_(None))
        .returning(TwoStep.user_id)
    ).first()
    if written is None:
        raise TwoStepOn
    audit.record(session, by=by, action="enrol", kind="two_step", subject=by.user_id, now=now)
    secret = secrets.authenticator_key(enrolment_id)
    name = user.email or user.phone or ""
    return Enrolment(secret, pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER))


def confirm(session: Session, *, by: Actor, code: str, now: datetime) -> tuple[list[str], int] | None:
    """Put the new key in force and end the person's other sessions, which began without it.

    Gives the recovery codes, to be shown once, and how many sessions ended. None for a wrong code, which is counted.
    TwoStepOff without a key that waits for this, TooMany.
    """
    account = guessing.inside(by.user_id)
    row = session.scalars(select(TwoStep).where(TwoStep.user_id == by.user_id)).first()
    if row is None or row.confirmed_at is not None:
        raise TwoStepOff("There is no new authenticator to confirm.")
    if not guessing.settle(session, account, right=use_totp(session, by.user_id, code, confirmed=False)):
        return None
    session.execute(update(TwoStep).where(TwoStep.user_id == by.user_id).values(confirmed_at=func.clock_timestamp()))
    ended = end_sessions(session, user_id=by.user_id, but=by.token_id)
    audit.record(session, by=by, action="enable", kind="two_step", subject=by.user_id, now=now, ended_sessions=ended)
    return new_recovery_codes(session, by.user_id), ended


def disable(session: Session, *, by: Actor, code: str, now: datetime) -> bool:
    """Take the second step away; False for a wrong code, which is counted. TwoStepOff, TooMany."""
    if not prove(session, by=by, code=code):
        return False
    drop(session, by.user_id)
    audit.record(session, by=by, action="disable", kind="two_step", subject=by.user_id, now=now)
    return True


def renew_recovery_codes(session: Session, *, by: Actor, code: str, now: datetime) -> list[str] | None:
    """Ten new recovery codes in place of all older ones; None for a wrong code. TwoStepOff, TooMany."""
    if not prove(session, by=by, code=code):
        return None
    audit.record(session, by=by, action="renew", kind="recovery_codes", subject=by.user_id, now=now)
    return new_recovery_codes(session, by.user_id)


def prove(session: Session, *, by: Actor, code: str) -> bool:
    """Whether the actor has the second step; a wrong code is counted."""
    if not is_on(session, by.user_id):
        raise TwoStepOff
    account = guessing.inside(by.user_id)
    return guessing.settle(session, account, right=use(session, user_id=by.user_id, code=code))


def drop(session: Session, user_id: UUID) -> None:
    """Forget a person's second step."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    session.execute(delete(TwoStep).where(TwoStep.user_id == user_id))


def use(session: Session, *, user_id: UUID, code: str) -> bool:
    """Use a code of the authenticator or a recovery code; each works once."""
    plain = re.sub(r"[\s-]", "", code).upper()
    if len(plain) == 6 and plain.isascii() and plain.isdecimal():
        return use_totp(session, user_id, plain, confirmed=True)
    used = session.execute(
        update(RecoveryCode)
        .where(
            RecoveryCode.user_id == user_id,
            RecoveryCode.code_hash == secrets.keyed_hash("recovery code", f"{user_id.hex} {plain}"),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=func.clock_timestamp())
        .execution_options(synchronize_session=False)
    )
    assert isinstance(used, CursorResult)
    return used.rowcount == 1


def use_totp(session: Session, user_id: UUID, code: str, *, confirmed: bool) -> bool:
    """Whether a code is one of now, by machine time; its step is marked, so that it and older ones work no more."""
    row = session.execute(select(TwoStep.enrolment_id).where(TwoStep.user_id == user_id)).first()
    if row is None:
        return False
    authenticator = pyotp.TOTP(secrets.authenticator_key(row.enrolment_id), interval=STEP_SECONDS)
    step = int(machine_now(session).timestamp()) // STEP_SECONDS
    steps = range(step - DRIFT, step + DRIFT + 1)
    found = [at for at in steps if compare_digest(authenticator.generate_otp(at).encode(), code.encode())]
    if not found:
        return False
    marked = session.execute(
        update(TwoStep)
        .where(
            TwoStep.user_id == user_id,
            TwoStep.enrolment_id == row.enrolment_id,
            TwoStep.last_counter < found[-1],
            TwoStep.confirmed_at.is_not(None) if confirmed else TwoStep.confirmed_at.is_(None),
        )
        .values(last_counter=found[-1])
        .execution_options(synchronize_session=False)
    )
    assert isinstance(marked, CursorResult)
    return marked.rowcount == 1


def new_recovery_codes(session: Session, user_id: UUID) -> list[str]:
    """Ten codes of 50 bits in place of all older ones, in the spelling that people read."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    plain = [base64.b32encode(random.token_bytes(7)).decode()[:10] for _ in range(RECOVERY_CODES)]
    session.execute(
        insert(RecoveryCode),
        [
            {
                "id": new_id(),
                "user_id": user_id,
                "code_hash": secrets.keyed_hash("recovery code", f"{user_id.hex} {code}"),
            }
            for code in plain
        ],
    )
    return [f"{code[:5]}-{code[5:]}" for code in plain]
