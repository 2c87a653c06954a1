"""Accept an invitation: two units of work with the hash between them, `look_up` and `accept`."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from shop.accounts import secrets
from shop.accounts.models import AUDIENCE, Kind, Membership, Organisation, User
from shop.accounts.models_people import Invitation
from shop.accounts.service import guessing, passwords
from shop.accounts.service.inviting import AlreadyMember
from shop.accounts.service.logging_in import WrongCredentials
from shop.accounts.service.messages import INVITATION_LINK
from shop.actor import Actor, Role
from shop.audit import service as audit
from shop.errors import Invalid, Refusal
from shop.ids import new_id
from shop.outbox import service as outbox

GONE = "The invitation was used, withdrawn, or has expired; ask for another."


class InvitationGone(Refusal):
    """The link is not ours, or its invitation was used, withdrawn or has expired; which of these is not said."""

    code, status = "invitation_gone", 410
    title, title_zh = "This invitation was used, withdrawn or has expired.", "该邀请已使用、已撤回或已过期。"


@dataclass(frozen=True)
class Invited:
    """Who is invited; `password_hash` is what a known person proves to know."""

    invitation_id: UUID
    user_id: UUID
    password_hash: str | None
    account: bytes


def look_up(session: Session, *, token: str, name: str | None, password: str) -> Invited:
    """Who a link is for, or InvitationGone. Of somebody new, Invalid without a name and WeakPassword; else TooMany."""
    invitation_id = secrets.row_of(INVITATION_LINK, token)
    row = session.execute(
        select(Invitation.id, User)
        .join(User, User.id == Invitation.user_id)
        .join(Organisation, Organisation.id == Invitation.organisation_id)
        .where(
            Invitation.id == invitation_id,
            Invitation.accepted_at.is_(None),
            Invitation.withdrawn_at.is_(None),
            Invitation.expires_at > func.clock_timestamp(),
            User.status != "closed",
            Organisation.status != "closed",
        )
    ).first()
    if row is None:
        raise InvitationGone(GONE)
    found, user = row
    account = guessing.account_of(user.id, "")
    if user.status == "active":
        guessing.check(session, account)
        return Invited(found, user.id, user.password_hash, account)
    if not name:
        raise Invalid("Give your name.", pointer="/name")
    passwords.check(password, user.email, user.phone, pointer="/password")
    return Invited(found, user.id, None, account)


def accept(
    session: Session, invited: Invited, *, name: str | None, new_hash: str | None, right: bool, now: datetime
) -> Membership | WrongCredentials:
    """The membership of whoever accepted, who is a person from now on; or WrongCredentials, to answer with.

    `new_hash` is for somebody new, `right` says whether a known person gave the own password. InvitationGone,
    AlreadyMember, TooMany.
    """
    if new_hash is None and not guessing.settle(session, invited.account, right=right):
        return WrongCredentials()
    organisation = session.scalars(  # held, so that it does not go from under its first member
        select(Organisation)
        .join(Invitation, Invitation.organisation_id == Organisation.id)
        .where(Invitation.id == invited.invitation_id, Organisation.status != "closed")
        .with_for_update(key_share=True, of=Organisation)
        .execution_options(populate_existing=True)
    ).first()
    if organisation is None:
        raise InvitationGone
    row = session.execute(
        update(Invitation)
        .where(
            Invitation.id == invited.invitation_id,
            Invitation.accepted_at.is_(None),
            Invitation.withdrawn_at.is_(None),
            Invitation.expires_at > func.clock_timestamp(),
        )
        .values(accepted_at=func.clock_timestamp())
        .returning(Invitation.organisation_id, Invitation.roles, Invitation.regions, Invitation.order_limit_fen)
        .execution_options(synchronize_session=False)
    ).first()
    if row is None:
        raise InvitationGone(GONE)
    if new_hash is not None and not begin(session, invited.user_id, name or "", new_hash):
        raise InvitationGone("Somebody registered with this contact meanwhile: accept with that password.")
    powers = {"roles": row.roles, "regions": row.regions, "order_limit_fen": row.order_limit_fen}
    made = session.execute(
        upsert(Membership)
        .values(id=new_id(), user_id=invited.user_id, organisation_id=row.organisation_id, **powers)
        .on_conflict_do_update(
            index_elements=["user_id", "organisation_id"],
            set_={**powers, "ended_at": None},
            where=Membership.ended_at.is_not(None),
        )
        .returning(Membership.id)
    ).scalar()
    if made is None:
        raise AlreadyMember("You are a member already: log in.", pointer="/token")
    membership = session.get_one(Membership, made, populate_existing=True)
    by = Actor(
        invited.user_id, made, organisation.id, AUDIENCE[Kind(organisation.kind)], frozenset(map(Role, row.roles))
    )
    audit.record(session, by=by, action="accept", kind="invitation", subject=invited.invitation_id, now=now)
    outbox.announce(session, "membership.begun", now=now, membership_id=made)
    return membership


def begin(session: Session, user_id: UUID, name: str, password_hash: str) -> bool:
    """Make an invited person an active one; False when somebody did already."""
    done = session.execute(
        update(User)
        .where(User.id == user_id, User.status == "invited")
        .values(name=name, password_hash=password_hash, status="active")
        .returning(User.id)
        .execution_options(synchronize_session=False)
    )
    return done.first() is not None
