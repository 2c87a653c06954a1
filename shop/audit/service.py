"""Write the audit trail."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.audit.models import AuditEntry
from shop.ids import new_id


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
    session.execute(
        insert(AuditEntry).values(
            id=new_id(),
            at=now,
            organisation_id=by.organisation_id,
            user_id=by.user_id,
            action=action,
            subject_kind=kind,
            subject_id=subject,
            reason=reason,
            home_organisation_id=by.home_id,
            mandate_id=by.mandate_id,
            change=change,
        )
    )
