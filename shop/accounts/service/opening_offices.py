"""County offices, which have no manager of their own: the platform opens them and looks after their people."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.accounts.models import Kind, Membership, Organisation
from shop.accounts.schemas_people import NewOffice
from shop.accounts.service import registering
from shop.actor import Actor
from shop.clock import business_day
from shop.errors import Invalid, NotFound
from shop.regions import service as regions


def open_office(session: Session, *, wanted: NewOffice, by: Actor, now: datetime) -> Organisation:
    """A new office of a county; Invalid for what is no county today."""
    if not regions.is_county(session, wanted.division_code, business_day(now)):
        raise Invalid("This code is no county on this day.", pointer="/division_code")
    return registering.register(
        session,
        kind=Kind.COUNTY_REVIEWER,
        name=wanted.name,
        name_en=wanted.name_en,
        division_code=wanted.division_code,
        uscc=None,
        parent_id=None,
        by=by,
        now=now,
    )


def office_of(session: Session, membership_id: UUID) -> UUID:
    """The county office that somebody is a member of; NotFound for members of anything else."""
    found = session.scalars(
        select(Membership.organisation_id)
        .join(Organisation, Organisation.id == Membership.organisation_id)
        .where(Membership.id == membership_id, Membership.ended_at.is_(None), Organisation.kind == Kind.COUNTY_REVIEWER)
    ).first()
    if found is None:
        raise NotFound
    return found
