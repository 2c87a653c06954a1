"""Invite somebody to act for an organisation, and withdraw the invitation."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from shop.accounts import contacts
from shop.accounts.models import AUDIENCE, Kind, Membership, Organisation, User
from shop.accounts.models_people import Channel, Invitation
from shop.accounts.models_units import OrganisationNotActive
from shop.accounts.schemas_people import FirstMember
from shop.accounts.service import guessing
from shop.accounts.service.registering import roles_of
from shop.actor import SYSTEM, Actor, Audience, Role
from shop.audit import service as audit
from shop.db import seeing_all
from shop.errors import Invalid, NotFound, Refusal
from shop.ids import new_id
from shop.notices import sms
from shop.outbox import service as outbox
from shop.regions.models import Division

INVITATION_LIFE = timedelta(days=7)
"""How long an invitation may be accepted; since 2024."""
INVITING = ("applying", "active")
"""The statuses in which an organisation asks people in: an applicant needs colleagues to apply with."""
MOST_OPEN = 500
"""How many open invitations an organisation may have: whoever writes to strangers writes to few of them at a time."""


class AlreadyMember(Refusal):
    code, status = "already_member", 409
    title, title_zh = "This person is a member already.", "该人员已是本单位成员。"


class InvitationOpen(Refusal):
    code, status = "invitation_open", 409
    title, title_zh = "This person is invited already.", "已向该人员发出邀请。"


class TooManyInvitations(Refusal):
    code, status = "too_many_invitations", 409
    title, title_zh = f"At most {MOST_OPEN} invitations may be open.", f"未接受的邀请最多{MOST_OPEN}个。"


class InvitationEnded(Refusal):
    code, status = "invitation_ended", 409
    title, title_zh = "This invitation was accepted, withdrawn or has expired.", "该邀请已接受、已撤回或已过期。"


@dataclass(frozen=True)
class Wanted:
    """Who is invited, by one contact, to do what."""

    phone: str | None = None
    email: str | None = None
    roles: Collection[Role] = ()
    order_limit_fen: int | None = None
    regions: Collection[str] = field(default=())


def check_powers(
    session: Session,
    organisation: Organisation,
    *,
    roles: Collection[Role],
    limit: int | None,
    regions: Collection[str],
) -> None:
    """Invalid unless an organisation of this kind has members with these roles, this limit and these regions."""
    allowed = roles_of(Kind(organisation.kind))
    if not roles or not allowed.issuperset(roles):
        raise Invalid(f"Roles here are: {', '.join(sorted(allowed))}.", pointer="/roles")
    audience = AUDIENCE[Kind(organisation.kind)]
    if limit is not None and audience is not Audience.BUYER:
        raise Invalid("Only members of a buyer have an order limit.", pointer="/order_limit_fen")
    if regions and audience is not Audience.ADMIN:
        raise Invalid("Only members of an admin organisation have regions.", pointer="/regions")
    if Role.COUNTY_REVIEWER in roles and not regions:
        raise Invalid("A county reviewer has counties.", pointer="/regions")
    if regions:
        known = set(session.scalars(select(Division.code).where(Division.code.in_(regions))))
        if unknown := sorted(set(regions) - known):
            raise Invalid(f"There is no division {unknown[0]}.", pointer="/regions")


def contact_of(wanted: Wanted) -> tuple[Channel, str]:
    """The one contact in its one spelling, or Invalid; NoTextMessages for a phone where none are sent."""
    if (wanted.phone is None) == (wanted.email is None):
        if wanted.phone is None:
            raise Invalid("Give a phone or an e-mail.", pointer="/phone")
        raise Invalid("Give a phone or an e-mail, not both.", pointer="/email")
    if wanted.phone is not None:
        phone = contacts.phone_of(wanted.phone)
        if phone is None:
            raise Invalid("This is not a mobile phone number.", pointer="/phone")
        sms.require("/phone")
        return Channel.TEXT, phone
    email = contacts.email_of(wanted.email or "")
    if email is None:
        raise Invalid("This is not an e-mail address.", pointer="/email")
    return Channel.MAIL, email


def person_with(session: Session, contact: str) -> UUID:
    """The person with a contact, made as `invited` when there is none; nobody else can drop it in this transaction."""
    return people_with(session, [contact])[contact]


def people_with(session: Session, found: Collection[str]) -> dict[str, UUID]:
    """The people with these contacts, in two statements; those whom nobody knew are made as `invited`."""
    new: dict[str, Any] = {"status": "invited", "name": "", "password_hash": ""}
    rows = [
        {"id": new_id(), "phone": each if phone else None, "email": None if phone else each} | new
        for each in sorted(found)
        for phone in (contacts.is_phone(each),)
    ]
    session.execute(upsert(User).values(rows).on_conflict_do_nothing())
    wanted = or_(User.phone.in_(found), User.email.in_(found))
    with seeing_all(session):  # may be known as members of other organisations
        people = session.execute(
            select(User.id, User.phone, User.email).where(wanted).order_by(User.id).with_for_update(key_share=True)
        ).all()
    return {each: user_id for user_id, *own in people for each in own if each is not None and each in found}


def invite(session: Session, *, organisation_id: UUID, by: Actor, wanted: Wanted, now: datetime) -> Invitation:
    """Invite somebody; the link is sent when this is committed (`person.invited`).

    An organisation that applies or is active invites by itself; to one that is suspended, whose open orders run on, the
    platform may still send people. Invalid naming the field, AlreadyMember, InvitationOpen, TooManyInvitations,
    OrganisationNotActive, NotFound for no such organisation.
    """
    organisation = session.get(Organisation, organisation_id, with_for_update={"key_share": True})
    if organisation is None or organisation.status == "closed":
        raise NotFound
    if organisation.status not in INVITING and by.organisation_id == organisation_id:
        raise OrganisationNotActive(organisation_status=organisation.status)
    check_powers(session, organisation, roles=wanted.roles, limit=wanted.order_limit_fen, regions=wanted.regions)
    channel, contact = contact_of(wanted)
    user_id = person_with(session, contact)
    member = select(Membership.id).where(
        Membership.user_id == user_id, Membership.organisation_id == organisation_id, Membership.ended_at.is_(None)
    )
    if session.scalars(member).first():
        raise AlreadyMember(
            "Whoever has this contact is a member; change the roles there.",
            pointer="/phone" if wanted.phone else "/email",
        )
    withdraw_expired(session, organisation_id)
    if open_in(session, organisation_id) >= MOST_OPEN:
        raise TooManyInvitations
    made = session.execute(
        upsert(Invitation)
        .values(
            id=new_id(),
            organisation_id=organisation_id,
            user_id=user_id,
            inviter_id=by.membership_id if by.organisation_id == organisation_id else None,
            channel=channel,
            roles=sorted(wanted.roles),
            regions=sorted(set(wanted.regions)),
            order_limit_fen=wanted.order_limit_fen,
            expires_at=func.clock_timestamp() + INVITATION_LIFE,
        )
        .on_conflict_do_nothing()
        .returning(Invitation.id)
    ).scalar()
    if made is None:
        pointer = "/phone" if wanted.phone else "/email"
        raise InvitationOpen("An invitation of this contact is open; withdraw it first.", pointer=pointer)
    audit.record(
        session, by=by, action="invite", kind="invitation", subject=made, now=now, organisation_id=organisation_id.hex,
        roles=sorted(wanted.roles), order_limit_fen=wanted.order_limit_fen, regions=sorted(set(wanted.regions)),
    )  # fmt: skip
    outbox.announce(session, "person.invited", now=now, invitation_id=made)
    return session.get_one(Invitation, made)


def invite_first(
    session: Session,
    *,
    organisation_id: UUID,
    member: FirstMember,
    roles: Collection[Role],
    order_limit_fen: int | None = None,
    now: datetime,
) -> None:
    """Invite whoever registers an organisation by itself, known here or not: a contact proves nothing until its link
    comes back. Invalid for what is no contact, NoTextMessages, TooMany for one that was named again and again.
    """
    contact = contacts.contact_of(member.contact)
    if contact is None:
        raise Invalid("This is neither a mobile phone number nor an e-mail address.", pointer="/member/contact")
    phone = contacts.is_phone(contact)
    if phone:
        sms.require("/member/contact")
    account = guessing.asking(guessing.account_of(None, f"registered {contact}"))
    guessing.count_asking(session, account)
    wanted = Wanted(contact if phone else None, None if phone else contact, roles, order_limit_fen)
    invite(session, organisation_id=organisation_id, by=SYSTEM, wanted=wanted, now=now)


def still_open() -> ColumnElement[bool]:
    """An invitation that may still be accepted."""
    return and_(
        Invitation.accepted_at.is_(None),
        Invitation.withdrawn_at.is_(None),
        Invitation.expires_at > func.clock_timestamp(),
    )


def open_in(session: Session, organisation_id: UUID) -> int:
    """How many invitations of an organisation are open."""
    wanted = select(func.count()).select_from(Invitation).where(Invitation.organisation_id == organisation_id)
    return session.scalar(wanted.where(still_open())) or 0


def withdraw_expired(session: Session, organisation_id: UUID) -> None:
    """Close what nobody accepted in time, so that the same person may be invited again."""
    session.execute(
        update(Invitation)
        .where(
            Invitation.organisation_id == organisation_id,
            Invitation.accepted_at.is_(None),
            Invitation.withdrawn_at.is_(None),
            Invitation.expires_at <= func.clock_timestamp(),
        )
        .values(withdrawn_at=func.clock_timestamp())
        .execution_options(synchronize_session=False)
    )


def withdraw(session: Session, *, invitation_id: UUID, by: Actor, now: datetime) -> None:
    """Withdraw an open invitation of the actor's organisation; twice is once. NotFound, InvitationEnded."""
    row = session.scalars(
        select(Invitation)
        .where(Invitation.id == invitation_id, Invitation.organisation_id == by.organisation_id)
        .with_for_update()
    ).first()
    if row is None:
        raise NotFound
    if row.accepted_at is not None:
        raise InvitationEnded
    if row.withdrawn_at is not None:
        return
    row.withdrawn_at = session.scalars(select(func.clock_timestamp())).one()
    session.flush()
    audit.record(session, by=by, action="withdraw", kind="invitation", subject=invitation_id, now=now)
