"""The second step of log-in: an authenticator and recovery codes."""

from datetime import datetime

from flask import Response
from sqlalchemy.orm import Session

from shop.accounts import queries_people
from shop.accounts.schemas_people import (
    CodeIn,
    EnrolmentOut,
    PasswordAndCode,
    PasswordIn,
    RecoveryCodesOut,
    TwoStepBegunOut,
    TwoStepOut,
)
from shop.accounts.service import proving, two_step
from shop.actor import Actor
from shop.errors import Refusal, TooMany
from shop.http.problems import from_refusal
from shop.http.routes import ANY_MEMBER, NO_KEY, Routes

routes = Routes("/v1/me/two-step", tag="Two step", people_only=True)


@routes.get("", allow=ANY_MEMBER, answers={200: TwoStepOut}, before_two_step=True)
def read_two_step(session: Session, actor: Actor) -> TwoStepOut:
    """Whether the caller's log-in has a second step, and how many recovery codes are left."""
    row, left = queries_people.two_step(session, actor)
    since = row.confirmed_at if row else None
    return TwoStepOut(enabled=since is not None, since=since.isoformat() if since else None, recovery_codes_left=left)


@routes.post(
    "",
    allow=ANY_MEMBER,
    answers={201: EnrolmentOut},
    refusals=(proving.WrongPassword, two_step.TwoStepOn, TooMany),
    calls_out=True,
    before_two_step=True,
)
def enrol_two_step(actor: Actor, now: datetime, body: PasswordIn) -> EnrolmentOut | Response:
    """A key for the caller's authenticator, shown once; it counts when a code of it is given."""
    made = proving.own_password(
        actor,
        body.password,
        lambda session, user: two_step.enrol(session, by=actor, user=user, now=now),
        pointer="/password",
    )
    return from_refusal(made) if isinstance(made, Refusal) else EnrolmentOut(secret=made.secret, uri=made.uri)


@routes.post(
    "/confirm",
    allow=ANY_MEMBER,
    answers={200: TwoStepBegunOut},
    refusals=(proving.WrongCode, two_step.TwoStepOff, TooMany),
    key=NO_KEY,
    before_two_step=True,
)
def confirm_two_step(session: Session, actor: Actor, now: datetime, body: CodeIn) -> TwoStepBegunOut | Response:
    """Put the second step in force and end the caller's other sessions; gives ten recovery codes, shown once."""
    done = two_step.confirm(session, by=actor, code=body.code, now=now)
    if done is None:
        return from_refusal(proving.WrongCode(pointer="/code"))
    codes, ended = done
    return TwoStepBegunOut(recovery_codes=codes, ended_sessions=ended)


@routes.post(
    "/recovery-codes",
    allow=ANY_MEMBER,
    answers={200: RecoveryCodesOut},
    refusals=(proving.WrongPassword, proving.WrongCode, two_step.TwoStepOff, TooMany),
    calls_out=True,
)
def renew_recovery_codes(actor: Actor, now: datetime, body: PasswordAndCode) -> RecoveryCodesOut | Response:
    """Ten new recovery codes, shown once, in place of all older ones."""
    codes = proving.own_password(
        actor,
        body.password,
        lambda session, _: two_step.renew_recovery_codes(session, by=actor, code=body.code, now=now),
        pointer="/password",
    )
    if isinstance(codes, Refusal):
        return from_refusal(codes)
    return from_refusal(proving.WrongCode(pointer="/code")) if codes is None else RecoveryCodesOut(recovery_codes=codes)


@routes.post(
    "/disable",
    allow=ANY_MEMBER,
    answers={204: None},
    refusals=(proving.WrongPassword, proving.WrongCode, two_step.TwoStepOff, TooMany),
    calls_out=True,
)
def disable_two_step(actor: Actor, now: datetime, body: PasswordAndCode) -> Response | None:
    """Take the second step of log-in away."""
    done = proving.own_password(
        actor,
        body.password,
        lambda session, _: two_step.disable(session, by=actor, code=body.code, now=now),
        pointer="/password",
    )
    if isinstance(done, Refusal):
        return from_refusal(done)
    return None if done else from_refusal(proving.WrongCode(pointer="/code"))
