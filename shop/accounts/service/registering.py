"""Register organisations, people and what a buyer needs to order."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shop.accounts import contacts
from shop.accounts.models import AUDIENCE, Address, BudgetUnit, Kind, Membership, Organisation, User
from shop.accounts.models_admission import Application
from shop.accounts.models_people import Invitation
from shop.accounts.models_units import InvoiceProfile, Registration
from shop.accounts.service import granting
from shop.accounts.service.passwords import hash_of
from shop.accounts.uscc import is_valid
from shop.actor import ROLES_OF, Actor, Audience, Role
from shop.audit import service as audit_service
from shop.clock import business_day
from shop.db import unless_taken
from shop.errors import Invalid

HAS_CODE = Organisation.status.not_in(("rejected", "closed"))
"""That an organisation keeps its code from others."""
OF_THE_PLATFORM = frozenset({Role.OPERATOR, Role.AUDITOR})
"""Roles of an admin that reach beyond a county, so no county's office gives them."""


def roles_of(kind: Kind) -> frozenset[Role]:
    """The roles that members of this kind of organisation may hold."""
    found = ROLES_OF[AUDIENCE[kind]]
    return found - OF_THE_PLATFORM if kind is Kind.COUNTY_REVIEWER else found


def register(
    session: Session,
    *,
    kind: Kind,
    name: str,
    name_en: str,
    division_code: str,
    uscc: str | None,
    parent_id: UUID | None,
    by: Actor,
    now: datetime,
    applying: bool = False,
    terms: int = 1,
) -> Organisation:
    """A new organisation, or Invalid naming the field (a code that fails GB 32100, or that another one has).

    A seller that the system registers may sell at once, for so many terms; one that is `applying` waits for its
    admission.
    """
    if uscc is not None:
        if not is_valid(uscc):
            raise Invalid("This is not a unified social credit code (GB 32100).", pointer="/uscc")
        if applying:
            make_way(session, uscc)
        if session.scalars(select(Organisation.id).where(Organisation.uscc == uscc, HAS_CODE)).first():
            raise Invalid("Another organisation has this code.", pointer="/uscc")
    elif parent_id is None and AUDIENCE[kind] is not Audience.ADMIN:
        raise Invalid("An organisation without a code hangs below one that has it.", pointer="/uscc")
    organisation = Organisation(
        kind=kind,
        name=name,
        name_en=name_en,
        uscc=uscc,
        parent_id=parent_id,
        division_code=division_code,
        status="applying" if applying else "active",
        created_at=now,
    )
    with unless_taken(session, Invalid("Another organisation has this code.", pointer="/uscc")):
        session.add(organisation)
    if by.audience is Audience.SYSTEM and AUDIENCE[kind] is Audience.COOPERATIVE and not applying:
        today = business_day(now)
        ends = today
        for _ in range(terms):
            ends = granting.term_of(ends, today)
        granting.give(session, organisation_id=organisation.id, begins=today, ends=ends, by=by, now=now)
    audit_service.record(session, by=by, action="register", kind="organisation", subject=organisation.id, now=now)
    return organisation


def make_way(session: Session, uscc: str) -> None:
    """Forget an organisation with this code that was registered by itself and in which nobody came in yet.

    Who registers names a contact that may be mistyped or another's, and must not keep the code from those it belongs
    to: the last registration counts, until somebody accepts its invitation.
    """
    found = session.scalars(
        select(Organisation.id)
        .where(Organisation.uscc == uscc, Organisation.status == "applying", ~has_members())
        .with_for_update()
    ).first()
    if found is None:
        return
    with suppress(IntegrityError), session.begin_nested():  # another organisation's paper names it: it stays
        for kept in (Invitation, Registration, InvoiceProfile, BudgetUnit, Application):
            session.execute(delete(kept).where(kept.organisation_id == found))
        session.execute(delete(Organisation).where(Organisation.id == found))


def has_members() -> ColumnElement[bool]:
    """Whether anybody ever came in to act for the organisation of a row."""
    return select(Membership.id).where(Membership.organisation_id == Organisation.id).exists()


def register_user(
    session: Session,
    *,
    organisation: Organisation,
    email: str | None = None,
    phone: str | None = None,
    name: str,
    roles: list[Role],
    password: str | None = None,
    password_hash: str | None = None,
    order_limit_fen: int | None = None,
    regions: list[str] | None = None,
) -> User:
    """A person with a membership; Invalid when the roles are not of the organisation's kind or a contact is taken.

    Give the password, or a hash of `hash_of()` when many people share one (the demo).
    """
    allowed = roles_of(Kind(organisation.kind))
    if not roles or not allowed.issuperset(roles):
        raise Invalid(f"Roles here are: {', '.join(sorted(allowed))}.", pointer="/roles")
    if Role.AUDITOR in roles and len(set(roles)) > 1:
        raise Invalid("An auditor holds no other role.", pointer="/roles")
    email, phone = contact(email, contacts.email_of, "/email"), contact(phone, contacts.phone_of, "/phone")
    if email and session.scalars(select(User.id).where(User.email == email)).first():
        raise Invalid("This e-mail is taken.", pointer="/email")
    if phone and session.scalars(select(User.id).where(User.phone == phone)).first():
        raise Invalid("This phone is taken.", pointer="/phone")
    if not email and not phone:
        raise Invalid("Give a phone or an e-mail.", pointer="/email")
    user = User(email=email, phone=phone, name=name, password_hash=password_hash or hash_of(password or ""))
    with unless_taken(session, Invalid("This phone or e-mail is taken.", pointer="/email" if email else "/phone")):
        session.add(user)
    session.add(
        Membership(
            user_id=user.id,
            organisation_id=organisation.id,
            roles=[str(role) for role in roles],
            regions=regions or [],
            order_limit_fen=order_limit_fen,
        )
    )
    session.flush()
    return user


def contact(given: str | None, spelt: Callable[[str], str | None], pointer: str) -> str | None:
    """A contact in its one spelling; Invalid for what is none."""
    found = spelt(given) if given is not None else None
    if given is not None and found is None:
        raise Invalid("This is not a phone or an e-mail.", pointer=pointer)
    return found


def add_budget_unit(
    session: Session, *, organisation_id: UUID, name: str, finance_level: str, funding_code: str
) -> BudgetUnit:
    unit = BudgetUnit(
        organisation_id=organisation_id, name=name, finance_level=finance_level, funding_code=funding_code
    )
    session.add(unit)
    session.flush()
    return unit


def add_address(session: Session, *, organisation_id: UUID, division_code: str, line: str, contact: str) -> Address:
    address = Address(organisation_id=organisation_id, division_code=division_code, line=line, contact=contact)
    session.add(address)
    session.flush()
    return address
