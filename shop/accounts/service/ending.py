"""What ends with a membership, and does not come back when the person is invited again."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.orm import Session

from shop.accounts.models import Membership
from shop.accounts.models_audit import AuditMandate
from shop.accounts.models_mandates import AssistMandate
from shop.accounts.models_people import Invitation
from shop.accounts.service import assisting, auditing
from shop.accounts.service.sessions import revoke_all
from shop.actor import Actor
from shop.outbox import service as outbox


def end_memberships(session: Session, ended: Sequence[Membership], *, by: Actor, reason: str, now: datetime) -> None:
    """End memberships that the caller holds locked, with their sessions and machine tokens, the mandates to audit and
    to enter for cooperatives, and the invitations they sent that nobody accepted.
    """
    ids = [membership.id for membership in ended]
    unsynchronised = {"synchronize_session": False}
    session.execute(
        update(Membership)
        .where(Membership.id.in_(ids))
        .values(ended_at=func.clock_timestamp())
        .execution_options(**unsynchronised)
    )
    revoke_all(session, ids)
    session.execute(
        update(Invitation)
        .where(Invitation.inviter_id.in_(ids), Invitation.accepted_at.is_(None), Invitation.withdrawn_at.is_(None))
        .values(withdrawn_at=func.clock_timestamp())
        .execution_options(**unsynchronised)
    )
    audits = select(AuditMandate.id).where(AuditMandate.membership_id.in_(ids), AuditMandate.revoked_at.is_(None))
    for mandate_id in session.scalars(audits).all():
        auditing.revoke_mandate(session, by=by, mandate_id=mandate_id, reason=reason, now=now)
    helpers = [(membership.user_id, membership.organisation_id) for membership in ended]
    assists = select(AssistMandate).where(
        tuple_(AssistMandate.helper_user_id, AssistMandate.helper_organisation_id).in_(helpers),
        AssistMandate.revoked_at.is_(None),
    )
    for mandate in session.scalars(assists).all():
        assisting.end(session, mandate, by=by, now=now)
    for membership_id in ids:
        outbox.announce(session, "membership.ended", now=now, membership_id=membership_id)
