"""Erase a person: who they were goes, what they did stays under an id that names nobody (PIPL, article 47).

Orders, the trail and the books name people by id alone, so only the rows here hold anything to erase. The trail keeps a
keyed hash of the contacts: who claims later to have been this person can prove it, and nobody can read it back.
"""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from shop.accounts import secrets
from shop.accounts.models import ApiToken, Membership, User
from shop.accounts.models_people import Confirmation, Invitation
from shop.accounts.service import two_step
from shop.accounts.service.ending import end_memberships
from shop.accounts.service.managing_members import MANAGING, LastManager, managers
from shop.actor import Actor
from shop.audit import service as audit
from shop.db import seeing_all
from shop.errors import NotFound


def erase(
    session: Session, *, user_id: UUID, by: Actor, now: datetime, reason: str | None = None, even_last: bool = False
) -> None:
    """Forget who a person is and end all they may do; who is erased already is NotFound.

    LastManager with the `organisations` that nobody else manages, unless `even_last`.
    """
    with seeing_all(session):  # a person's memberships of all organisations end together
        user = session.get(User, user_id, with_for_update=True)
        if user is None or user.status == "closed":
            raise NotFound
        places = select(Membership.organisation_id).where(Membership.user_id == user_id, Membership.ended_at.is_(None))
        held = managers(session, session.scalars(places).all(), Membership.user_id == user_id)
        memberships = [each for each in held if each.user_id == user_id]
        if not even_last and (alone := managed_by_nobody_else(user_id, held)):
            raise LastManager(organisations=[f"org_{organisation_id.hex}" for organisation_id in alone])
        contacts = [secrets.keyed_hash("erased contact", each).hex() for each in (user.phone, user.email) if each]
        own = select(Membership.id).where(Membership.user_id == user_id)
        end = {"synchronize_session": False}
        end_memberships(session, memberships, by=by, reason=reason or "erased", now=now)
        session.execute(
            update(ApiToken).where(ApiToken.membership_id.in_(own)).values(name="").execution_options(**end)
        )
        session.execute(
            update(Invitation)
            .where(
                Invitation.user_id == user_id,
                Invitation.accepted_at.is_(None),
                Invitation.withdrawn_at.is_(None),
            )
            .values(withdrawn_at=func.clock_timestamp())
            .execution_options(**end)
        )
        session.execute(delete(Confirmation).where(Confirmation.user_id == user_id))
        two_step.drop(session, user_id)
        user.email = user.phone = user.pending_contact = None
        user.name = user.password_hash = ""
        user.status = "closed"
        session.flush()
    audit.record(
        session, by=by, action="erase", kind="person", subject=user_id, now=now, reason=reason, contacts=contacts
    )


def managed_by_nobody_else(user_id: UUID, held: Collection[Membership]) -> list[UUID]:
    """The organisations that this person manages and no other member does."""
    managing = [each for each in held if not MANAGING.isdisjoint(each.roles)]
    by_others = {each.organisation_id for each in managing if each.user_id != user_id}
    return sorted({each.organisation_id for each in managing if each.user_id == user_id} - by_others)
