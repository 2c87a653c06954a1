"""Addresses and invoice titles of a buying organisation: add, change, retire."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shop.accounts import queries_units as queries
from shop.accounts.models import Address
from shop.accounts.models_units import InvoiceProfile
from shop.accounts.schemas_units import AddressIn, ChangeAddress, InvoiceIn
from shop.accounts.uscc import is_valid
from shop.actor import Actor
from shop.audit import service as audit
from shop.clock import business_day
from shop.db import changed, unless_taken
from shop.errors import Invalid, NotFound

TAKEN = "Another address of the organisation has this label."


def add(session: Session, *, by: Actor, wanted: AddressIn, now: datetime) -> Address:
    """A new place of delivery."""
    queries.require_division(session, wanted.division_code, business_day(now), pointer="/division_code")
    made = Address(organisation_id=by.organisation_id, **wanted.model_dump())
    with unless_taken(session, Invalid(TAKEN, pointer="/label")):
        session.add(made)
    audit.record(session, by=by, action="create", kind="address", subject=made.id, now=now)
    return made


def own(session: Session, by: Actor, address_id: UUID) -> Address:
    found = session.scalars(
        select(Address).where(
            Address.id == address_id, Address.organisation_id == by.organisation_id, Address.retired_at.is_(None)
        )
    ).first()
    if found is None:
        raise NotFound("No such address of yours.")
    return found


def change(session: Session, *, by: Actor, address_id: UUID, wanted: ChangeAddress, now: datetime) -> Address:
    """The address as it is to be: a new one, with the old one retired, as orders on their way name the old one."""
    before = own(session, by, address_id)
    names = ("label", "division_code", "line", "contact")
    was = {name: getattr(before, name) for name in names}
    given = was | wanted.model_dump(exclude_unset=True, exclude_none=True)
    if given == was:
        return before
    retire(session, by=by, address_id=address_id, now=now)
    return add(session, by=by, wanted=AddressIn(**given), now=now)


def retire(session: Session, *, by: Actor, address_id: UUID, now: datetime) -> None:
    """Take an address out of use; orders that name it keep it."""
    retired = (
        update(Address)
        .where(Address.id == address_id, Address.organisation_id == by.organisation_id, Address.retired_at.is_(None))
        .values(retired_at=now)
    )
    if not changed(session, retired):
        raise NotFound("No such address of yours.")
    audit.record(session, by=by, action="retire", kind="address", subject=address_id, now=now)


def checked(wanted: InvoiceIn, at: str = "") -> InvoiceIn:
    """The title as given, or Invalid when its tax number is no unified social credit code."""
    if not is_valid(wanted.tax_number):
        raise Invalid("This is not a unified social credit code (GB 32100).", pointer=f"{at}/tax_number")
    return wanted


def add_profile(session: Session, *, by: Actor, wanted: InvoiceIn, now: datetime) -> InvoiceProfile:
    """A new title that invoices may be made out to."""
    made = InvoiceProfile(organisation_id=by.organisation_id, **checked(wanted).model_dump())
    session.add(made)
    session.flush()
    audit.record(session, by=by, action="create", kind="invoice_profile", subject=made.id, now=now)
    return made


def profiles(session: Session, by: Actor) -> list[InvoiceProfile]:
    """The organisation's titles in use."""
    return list(
        session.scalars(
            select(InvoiceProfile)
            .where(InvoiceProfile.organisation_id == by.organisation_id, InvoiceProfile.retired_at.is_(None))
            .order_by(InvoiceProfile.id)
            .limit(100)
        )
    )


def retire_profile(session: Session, *, by: Actor, profile_id: UUID, now: datetime) -> None:
    """Take a title out of use."""
    retired = (
        update(InvoiceProfile)
        .where(
            InvoiceProfile.id == profile_id,
            InvoiceProfile.organisation_id == by.organisation_id,
            InvoiceProfile.retired_at.is_(None),
        )
        .values(retired_at=now)
    )
    if not changed(session, retired):
        raise NotFound("No such invoice title of yours.")
    audit.record(session, by=by, action="retire", kind="invoice_profile", subject=profile_id, now=now)


def first_division(session: Session, by: Actor) -> str | None:
    """The division of the actor's first delivery address that is in use."""
    return session.scalar(
        select(Address.division_code)
        .where(Address.organisation_id == by.organisation_id, Address.retired_at.is_(None))
        .order_by(Address.id)
        .limit(1)
    )
