"""Change one's phone or e-mail: it counts once a code or link that was sent there comes back."""

from datetime import datetime

from sqlalchemy import func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shop.accounts import contacts
from shop.accounts.models import User
from shop.accounts.models_people import Channel, Invitation, Purpose
from shop.accounts.service import confirming, guessing
from shop.accounts.service.messages import CONTACT_LINK
from shop.accounts.service.proving import WrongCode
from shop.actor import Actor
from shop.audit import service as audit
from shop.db import seeing_all
from shop.errors import Refusal
from shop.outbox import service as outbox


class ContactTaken(Refusal):
    code, status = "contact_taken", 409
    title, title_zh = "Somebody else has this phone or e-mail.", "该手机号或邮箱已被他人使用。"


def ask(session: Session, *, user: User, channel: Channel, contact: str, by: Actor, now: datetime) -> None:
    """Send a code or link to the new contact. Whether somebody has it already is told to its owner only. TooMany."""
    account = guessing.asking(guessing.inside(by.user_id))
    guessing.count_asking(session, account)
    user.pending_contact = contact
    session.flush()
    confirming.end(session, user_id=user.id, purpose=Purpose.CONTACT)  # a code that went elsewhere proves nothing here
    made = confirming.ask(session, user_id=user.id, purpose=Purpose.CONTACT, channel=channel)
    audit.record(session, by=by, action="ask", kind="contact", subject=user.id, now=now, channel=channel)
    outbox.announce(session, "confirmation.asked", now=now, confirmation_id=made)


def confirm(session: Session, *, token: str | None, code: str | None, by: Actor, now: datetime) -> WrongCode | None:
    """Take the new contact in place of the old one; or WrongCode with the guess counted, to answer with.

    ContactTaken, TooMany.
    """
    account = guessing.inside(by.user_id)
    guessing.hold(session, account)
    guessing.check(session, account)
    if token is not None:
        found = confirming.by_link(session, token=token, link=CONTACT_LINK, purpose=Purpose.CONTACT)
    else:
        found = confirming.by_code(session, user_id=by.user_id, code=code or "", purpose=Purpose.CONTACT)
    user = session.get_one(User, by.user_id, with_for_update=True)
    if found is None or found.user_id != by.user_id or user.pending_contact is None:
        guessing.note(session, account)
        return WrongCode(pointer="/token" if token is not None else "/code")
    confirming.redeem(session, found.id)
    contact = user.pending_contact
    taken = select(User).where(or_(User.email == contact, User.phone == contact), User.id != user.id)
    with seeing_all(session):  # whoever it is, of whichever organisation
        other = session.scalars(taken).first()
        if other is not None and other.status == "invited":
            take_over(session, invited=other, user=user)
        elif other is not None:
            raise ContactTaken
    try:
        with session.begin_nested():
            if contacts.is_phone(contact):
                user.phone = contact
            else:
                user.email = contact
            session.flush()
    except IntegrityError as error:  # somebody else was first
        raise ContactTaken from error
    user.pending_contact = None
    session.flush()
    audit.record(session, by=by, action="change", kind="contact", subject=user.id, now=now, channel=found.channel)
    return None


def take_over(session: Session, *, invited: User, user: User) -> None:
    """Give the invitations of somebody who is only invited to the person that the contact belongs to, it turns out."""
    already = select(Invitation.organisation_id).where(Invitation.user_id == user.id)
    session.execute(
        update(Invitation)
        .where(
            Invitation.user_id == invited.id,
            Invitation.organisation_id.in_(already),
            Invitation.accepted_at.is_(None),
            Invitation.withdrawn_at.is_(None),
        )
        .values(withdrawn_at=func.clock_timestamp())
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(Invitation)
        .where(Invitation.user_id == invited.id)
        .values(user_id=user.id)
        .execution_options(synchronize_session=False)
    )
    session.delete(invited)
    session.flush()
