"""What the workers do about listings."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from shop.catalogue.service import reviewing
from shop.clock import business_now


def follow_right(session: Session, *, organisation_id: UUID, **_newer: Any) -> None:
    """The listings of a seller are shown while it may sell, and only then."""
    reviewing.follow_right(session, cooperative_id=organisation_id, now=business_now(session))
