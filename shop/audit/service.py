"""Write the audit trail, read it, acknowledge it."""

from collections.abc import Sequence
from contextvars import ContextVar
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Select, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from shop.actor import Actor, Role
from shop.audit.models import AuditAcknowledgement, AuditEntry
from shop.ids import new_id

address_of_request: ContextVar[str | None] = ContextVar("address_of_request", default=None)
"""The network address behind the request that is being answered; the edge sets it, work by the clock has none."""


def record(
    session: Session,
    *,
    by: Actor,
    action: str,
    kind: str,
    subject: UUID,
    now: datetime,
    reason: str | None = None,
    **change: Any,
) -> None:
    """Record that `by` did `action` to a row, in the commit of the change."""
    row = row_of(by=by, action=action, kind=kind, subject=subject, now=now, reason=reason, **change)
    session.execute(insert(AuditEntry).values(row))


def row_of(
    *, by: Actor, action: str, kind: str, subject: UUID, now: datetime, reason: str | None = None, **change: Any
) -> dict[str, Any]:
    """The row of an entry, for a caller that inserts it among others of its own."""
    return {
        "id": new_id(),
        "at": now,
        "organisation_id": by.organisation_id,
        "user_id": by.user_id,
        "action": action,
        "subject_kind": kind,
        "subject_id": subject,
        "reason": reason,
        "home_organisation_id": by.home_id,
        "mandate_id": by.mandate_id,
        "change": change,
        "address": address_of_request.get(),
        "request_id": structlog.contextvars.get_contextvars().get("request_id"),
    }


def visible_to(actor: Actor) -> Select[AuditEntry]:
    """The entries this actor may know of: everybody's, those of the own organisation, or an auditor's own acts.

    An auditor whose mandate names regions belongs to the platform, but its trail is not what was mandated.
    """
    if actor.reads_everything:
        return select(AuditEntry)
    if actor.has(Role.AUDITOR):
        return select(AuditEntry).where(AuditEntry.user_id == actor.user_id)
    return select(AuditEntry).where(AuditEntry.organisation_id == actor.organisation_id)


def entries(
    session: Session,
    actor: Actor,
    *,
    organisation_id: UUID | None = None,
    user_id: UUID | None = None,
    action: str | None = None,
    kind: str | None = None,
    subject_id: UUID | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    acknowledged: bool | None = None,
    before: UUID | None = None,
    limit: int,
) -> Sequence[tuple[AuditEntry, AuditAcknowledgement | None]]:
    """Entries that fit, newest first, each with its acknowledgement if it has one; times are of the act, half-open."""
    given = {
        AuditEntry.organisation_id: organisation_id, AuditEntry.user_id: user_id, AuditEntry.action: action,
        AuditEntry.subject_kind: kind, AuditEntry.subject_id: subject_id,
    }  # fmt: skip
    wanted = visible_to(actor).where(*(column == value for column, value in given.items() if value is not None))
    if start is not None:
        wanted = wanted.where(AuditEntry.at >= start)
    if end is not None:
        wanted = wanted.where(AuditEntry.at < end)
    if before is not None:
        wanted = wanted.where(AuditEntry.id < before)
    if acknowledged is not None:
        known = AuditAcknowledgement.entry_id
        wanted = wanted.where(known.is_not(None) if acknowledged else known.is_(None))
    found = session.execute(
        wanted.add_columns(AuditAcknowledgement)
        .outerjoin(AuditAcknowledgement, AuditAcknowledgement.entry_id == AuditEntry.id)
        .order_by(AuditEntry.id.desc())
        .limit(limit)
    )
    return [(entry, known) for entry, known in found]


def acknowledge(session: Session, *, by: Actor, entry_ids: Sequence[UUID], note: str, now: datetime) -> int:
    """Note that entries were looked at; gives how many had not been. One that is not there is passed over."""
    there = session.scalars(
        visible_to(by).with_only_columns(AuditEntry.id).where(AuditEntry.id.in_(entry_ids)).order_by(AuditEntry.id)
    ).all()
    if not there:
        return 0
    made = session.scalars(
        upsert(AuditAcknowledgement)
        .values([{"entry_id": key, "by_user_id": by.user_id, "note": note, "at": now} for key in there])
        .on_conflict_do_nothing()
        .returning(AuditAcknowledgement.entry_id)
    )
    return len(made.all())
