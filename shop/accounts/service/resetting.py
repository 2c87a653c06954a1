"""A new password: changed by whoever knows the old one, or reset by a code, by a link, or in person."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.accounts import contacts, queries_people, secrets
from shop.accounts.models import Membership, User
from shop.accounts.models_people import Channel, Confirmation, Purpose
from shop.accounts.service import confirming, guessing, passwords, proving, two_step
from shop.accounts.service.logging_in import person_of
from shop.accounts.service.messages import RESET_LINK
from shop.accounts.service.proving import Known, WrongCode, WrongPassword
from shop.accounts.service.sessions import end_sessions
from shop.actor import SYSTEM, Actor
from shop.audit import service as audit
from shop.db import seeing_all
from shop.errors import NotFound, Refusal
from shop.notices import sms
from shop.outbox import service as outbox

REQUEST = "reset request"
"""What names a request for a code: signed, and no link, so that it opens nothing."""


class MemberElsewhere(Refusal):
    code, status = "member_elsewhere", 409
    title, title_zh = (
        "This person is a member of other organisations too, so the platform has to reset the password.",
        "该人员同时属于其他单位，不能由本单位重设密码。",
    )


def alone(user_id: UUID) -> Actor:
    """A person who acts for no organisation: who forgot the password and proves to be reached."""
    return replace(SYSTEM, user_id=user_id)


def ask(session: Session, *, login: str, device: str | None, address: str, now: datetime) -> str:
    """Send a code or a link to whoever has this log-in, when this is committed (`confirmation.asked`).

    Gives what names this request when the code is given, so that nobody else's wrong guesses stand in its way. The same
    statements run and the same rows are written whether or not there is such a person. Strangers who ask for somebody's
    account again and again stop nobody: the limits are those of each asker's `address`, a browser that logged in before
    has its own, and when too many ask for one account, they are sent a long code that stands until it expires. TooMany,
    NoTextMessages.
    """
    login = contacts.login_of(login)
    channel = Channel.TEXT if contacts.is_phone(login) else Channel.MAIL
    if channel is Channel.TEXT:
        sms.require("/login")
    user = session.scalars(person_of(login)).first()
    user_id = user.id if user and user.status == "active" else None
    account = guessing.account_of(user_id, login)
    if user_id and secrets.device_of(device, user_id):
        stranger = False
        guessing.count_asking(session, guessing.asking(guessing.account_of(user_id, login, device)))
    else:
        stranger = True
        guessing.count_stranger(session, account, address)
    crowded = guessing.is_crowded(session, account, counts=stranger)
    made = confirming.ask(
        session, user_id=user_id, purpose=Purpose.RESET, channel=channel, letters=crowded,
        keeps_open=crowded and stranger,
    )  # fmt: skip
    outbox.announce(session, "confirmation.asked", now=now, confirmation_id=made)
    return secrets.link_token(REQUEST, made)


def ask_in_person(
    session: Session, *, membership_id: UUID, reason: str, drops_two_step: bool, by: Actor, now: datetime
) -> Confirmation:
    """A one-time code to hand to a member who is reached by nothing else; the code is made from the row given back.

    NotFound unless the membership is in the actor's reach, MemberElsewhere when the person acts for others as well:
    whoever holds the code holds the whole account.
    """
    membership = session.scalars(
        queries_people.in_reach(by).where(Membership.id == membership_id, Membership.ended_at.is_(None))
    ).first()
    if membership is None or membership.user_id == by.user_id:
        raise NotFound
    reached = queries_people.in_reach(by).with_only_columns(Membership.id)
    elsewhere = select(Membership.id).where(
        Membership.user_id == membership.user_id, Membership.ended_at.is_(None), Membership.id.not_in(reached)
    )
    with seeing_all(session):  # who acts for organisations out of the actor's sight too
        if session.scalars(elsewhere.limit(1)).first():
            raise MemberElsewhere
    made = confirming.ask(
        session,
        user_id=membership.user_id,
        purpose=Purpose.RESET,
        channel=Channel.IN_PERSON,
        drops_two_step=drops_two_step,
    )
    audit.record(
        session, by=by, action="reset_in_person", kind="membership", subject=membership_id, now=now, reason=reason,
        drops_two_step=drops_two_step,
    )  # fmt: skip
    return session.get_one(Confirmation, made)


def look_up(
    session: Session,
    *,
    token: str | None,
    login: str | None,
    code: str | None,
    device: str | None,
    request: str | None = None,
) -> UUID | WrongCode:
    """The confirmation that a link or a code is of; or WrongCode with the guess counted, to answer with. TooMany.

    Guesses count against the `request` that asked for the code, else as at log-in: so no stranger burns the code of
    whoever asked for it.
    """
    if token is not None:
        found = confirming.by_link(session, token=token, link=RESET_LINK, purpose=Purpose.RESET)
        return found.id if found else WrongCode(pointer="/token")
    login = contacts.login_of(login or "")
    user = session.scalars(person_of(login)).first()
    user_id = user.id if user and user.status == "active" else None
    if request is not None:
        asked = confirming.asked(session, secrets.row_of(REQUEST, request), user_id=user_id)
        if asked is None:
            return WrongCode(pointer="/request")
        found = confirming.by_code(session, user_id=user_id, code=code or "", purpose=Purpose.RESET)
        if found is None:
            asked.tries += 1
            session.flush()
            return WrongCode(pointer="/code")
        return found.id
    account = guessing.account_of(user_id, login, device)
    guessing.hold(session, account)
    guessing.check(session, account)
    found = confirming.by_code(session, user_id=user_id, code=code or "", purpose=Purpose.RESET)
    if found is None:
        guessing.note(session, account)
        return WrongCode(pointer="/code")
    return found.id


def reset(session: Session, *, confirmation_id: UUID, password: str, new_hash: str, now: datetime) -> None:
    """Set the new password and end every session of the person. WrongCode, WeakPassword."""
    found = confirming.redeem(session, confirmation_id)
    if found is None or found.user_id is None:
        raise WrongCode
    user = session.get_one(User, found.user_id, with_for_update=True)
    passwords.check(password, user.email, user.phone, pointer="/new_password")
    confirming.end(session, user_id=user.id, purpose=Purpose.RESET)
    set_password(session, user, new_hash)
    if found.drops_two_step:
        two_step.drop(session, user.id)
    audit.record(
        session, by=alone(user.id), action="reset_password", kind="person", subject=user.id, now=now,
        channel=found.channel,
    )  # fmt: skip


def change(*, current: str, new: str, by: Actor, now: datetime) -> WrongPassword | None:
    """Set a new password for somebody who knows the old one, and end every session; WrongPassword to answer with.

    WeakPassword, TooMany. Both are hashed while no transaction is open.
    """
    hashed: list[str] = []

    def hash_new(known: Known) -> None:
        passwords.check(new, *known.logins, pointer="/new")
        hashed.append(passwords.hash_of(new))

    def keep(session: Session, user: User) -> None:
        set_password(session, user, hashed[0])
        audit.record(session, by=by, action="change_password", kind="person", subject=user.id, now=now)

    return proving.own_password(by, current, keep, pointer="/current", between=hash_new)


def set_password(session: Session, user: User, new_hash: str) -> None:
    user.password_hash = new_hash
    session.flush()
    end_sessions(session, user_id=user.id)
