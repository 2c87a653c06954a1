"""Auditors: the mandate that lets them read, and the log of what they read."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from shop.accounts.models import Membership
from shop.accounts.models_audit import AuditMandate
from shop.actor import Actor, Role
from shop.audit import service as audit
from shop.errors import Invalid, NotFound, Refusal
from shop.regions.models import Division


class MandateEnded(Refusal):
    code, status = "mandate_ended", 409
    title, title_zh = "This mandate was revoked before.", "该授权已被撤销。"


def grant_mandate(
    session: Session,
    *,
    by: Actor,
    membership_id: UUID,
    regions: Sequence[str],
    start: date,
    end: date,
    document: str,
    now: datetime,
) -> AuditMandate:
    """Let an auditor read what `regions` pay for or grow (none: everything), from a day to a day, by a document.

    NotFound unless the membership holds the role of auditor; Invalid for a range that is empty or a code that is none.
    """
    roles = session.scalar(select(Membership.roles).where(Membership.id == membership_id))
    if roles is None or Role.AUDITOR not in roles:
        raise NotFound("No such auditor.")
    if end <= start:
        raise Invalid("The mandate ends before it begins.", pointer="/valid_to")
    known = set(session.scalars(select(Division.code).where(Division.code.in_(regions))))
    for place, code in enumerate(regions):
        if code not in known:
            raise Invalid(f"{code} is no division.", pointer=f"/regions/{place}")
    mandate = AuditMandate(
        membership_id=membership_id, regions=sorted(set(regions)), valid=Range(start, end), document=document,
        granted_by=by.user_id, granted_at=now,
    )  # fmt: skip
    session.add(mandate)
    session.flush()
    audit.record(
        session, by=by, action="audit_mandate.granted", kind="audit_mandate", subject=mandate.id, now=now,
        membership_id=membership_id.hex, regions=mandate.regions, start=str(start), end=str(end), document=document,
    )  # fmt: skip
    return mandate


def revoke_mandate(session: Session, *, by: Actor, mandate_id: UUID, reason: str, now: datetime) -> AuditMandate:
    """End a mandate at once; its auditor is refused from the next request on."""
    done = session.execute(
        update(AuditMandate)
        .where(AuditMandate.id == mandate_id, AuditMandate.revoked_at.is_(None))
        .values(revoked_at=now)
        .execution_options(synchronize_session=False)
        .returning(AuditMandate.id)
    ).first()
    mandate = session.get(AuditMandate, mandate_id, populate_existing=True)
    if mandate is None:
        raise NotFound
    if done is None:
        raise MandateEnded
    audit.record(
        session, by=by, action="audit_mandate.revoked", kind="audit_mandate", subject=mandate_id, now=now, reason=reason
    )
    return mandate


def mandates(session: Session, *, before: UUID | None, limit: int) -> Sequence[AuditMandate]:
    """All mandates, newest first."""
    wanted = select(AuditMandate)
    if before:
        wanted = wanted.where(AuditMandate.id < before)
    return session.scalars(wanted.order_by(AuditMandate.id.desc()).limit(limit)).all()


def log_access(session: Session, actor: Actor, *, what: str, now: datetime) -> None:
    """Keep what an auditor was shown, in the transaction of the answer; what is refused shows nothing."""
    audit.record(
        session, by=actor, action="audit.read", kind="membership", subject=actor.membership_id, now=now, what=what[:500]
    )
