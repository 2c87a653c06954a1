"""What the workers keep for the storefront."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from shop.clock import business_day, business_now
from shop.storefront import landing


def land(session: Session, *, listing_id: UUID, **_newer: Any) -> None:
    """The landed prices of a listing follow it."""
    landing.follow(session, listing_id, on=business_day(business_now(session)))
