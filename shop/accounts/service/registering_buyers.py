"""A buying organisation registers itself; an operator approves it or returns it with reasons."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, any_, literal, select, update
from sqlalchemy.orm import Session

from shop.accounts import queries_units as queries
from shop.accounts.models import BudgetUnit, Kind, Membership, Organisation
from shop.accounts.models_units import REGISTRATION_NEXT, InvoiceProfile, Registration, RegistrationStatus
from shop.accounts.schemas_registrations import ChangeRegistration, Register
from shop.accounts.service import inviting
from shop.accounts.service.keeping_addresses import checked
from shop.accounts.service.registering import has_members, make_way
from shop.accounts.uscc import is_valid
from shop.actor import BUYER_ROLES, SYSTEM, Actor, Role
from shop.audit import service as audit
from shop.clock import business_day
from shop.db import moved, unless_taken
from shop.errors import Invalid, NotFound, Refusal
from shop.outbox import service as outbox

FIRST_LIMITS: Sequence[tuple[date, int]] = ((date(1996, 1, 1), 5_000_000),)
"""From which day on the first member of an approved buyer may order how much alone, in fen."""


class WrongRegistrationStatus(Refusal):
    """`registration_status` says where it is."""

    code, status = "wrong_registration_status", 409
    title, title_zh = "This registration cannot become that now.", "该注册申请当前状态不允许此操作。"


class OrganisationClosed(Refusal):
    code, status = "organisation_closed", 409
    title, title_zh = "This organisation is closed.", "该单位已注销。"


class NobodyCameIn(Refusal):
    """The link that was sent to the first member has not been used."""

    code, status = "nobody_came_in", 409
    title, title_zh = "Nobody of this organisation has confirmed the contact yet.", "该单位的联系人尚未确认。"


def register(session: Session, *, wanted: Register, now: datetime) -> tuple[Registration, Organisation]:
    """The organisation as `applying`, its first member invited, and its unit and invoice title if it names them."""
    today = business_day(now)
    parent_id = belonging(session, wanted)
    queries.require_division(session, wanted.division_code, today, pointer="/division_code")
    if wanted.uscc is not None:
        make_way(session, wanted.uscc)
    organisation = Organisation(
        kind=wanted.kind,
        name=wanted.name,
        name_en=wanted.name_en,
        uscc=wanted.uscc,
        parent_id=parent_id,
        division_code=wanted.division_code,
        status="applying",
        created_at=now,
    )
    with unless_taken(session, Invalid("Another organisation has this code.", pointer="/uscc")):
        session.add(organisation)
    inviting.invite_first(
        session, organisation_id=organisation.id, member=wanted.member, roles=BUYER_ROLES, order_limit_fen=0, now=now
    )
    made = Registration(organisation_id=organisation.id, submitted_at=now)
    session.add(made)
    if unit := wanted.budget_unit:
        queries.require_funding(
            session, unit.funding_code, unit.finance_level, today, pointer="/budget_unit/funding_code"
        )
        session.add(BudgetUnit(organisation_id=organisation.id, opened_on=today, **unit.model_dump()))
    if wanted.invoice:
        invoice = checked(wanted.invoice, "/invoice")
        session.add(InvoiceProfile(organisation_id=organisation.id, **invoice.model_dump()))
    session.flush()
    audit.record(session, by=SYSTEM, action="apply", kind="organisation", subject=organisation.id, now=now)
    outbox.announce(
        session,
        "registration.submitted",
        now=now,
        seen_by=[organisation.id],
        registration_id=made.id,
        organisation_id=organisation.id,
    )
    return made, organisation


def belonging(session: Session, wanted: Register) -> UUID | None:
    """The organisation that one without a code hangs below; Invalid when there is neither, or a wrong code."""
    if wanted.uscc is not None and not is_valid(wanted.uscc):
        raise Invalid("This is not a unified social credit code (GB 32100).", pointer="/uscc")
    if wanted.parent_uscc is None:
        if wanted.uscc is None:
            raise Invalid("An organisation without a code hangs below one that has it.", pointer="/uscc")
        return None
    if wanted.uscc is None and wanted.kind in (Kind.TRADE_UNION, Kind.ENTERPRISE):
        raise Invalid("A union or an enterprise has a code of its own.", pointer="/uscc")
    kinds = (Kind.BUDGET_UNIT, Kind.ENTERPRISE, Kind.TRADE_UNION, Kind.CANTEEN)
    return queries.buyer_by_code(session, wanted.parent_uscc, kinds=kinds, pointer="/parent_uscc")


def all_of_them() -> Select[Registration, Organisation]:
    return select(Registration, Organisation).join(Organisation, Organisation.id == Registration.organisation_id)


def confirmed() -> Select[Registration, Organisation]:
    """The registrations in which the first member proved to have the contact: what is worth an operator's look."""
    return all_of_them().where(has_members())


def one(session: Session, registration_id: UUID) -> tuple[Registration, Organisation]:
    """A registration with its organisation, as they stand in the database, for operators."""
    found = session.execute(
        all_of_them().where(Registration.id == registration_id).execution_options(populate_existing=True)
    ).first()
    if found is None:
        raise NotFound("No such registration.")
    return found[0], found[1]


def own(session: Session, by: Actor) -> tuple[Registration, Organisation]:
    """The registration of the actor's organisation."""
    found = session.execute(
        all_of_them()
        .where(Registration.organisation_id == by.organisation_id)
        .execution_options(populate_existing=True)
    ).first()
    if found is None:
        raise NotFound("Your organisation was not registered here by itself.")
    return found[0], found[1]


def approve(session: Session, *, by: Actor, registration_id: UUID, order_limit_fen: int | None, now: datetime) -> None:
    """Make the organisation active and give its first members their limit. NobodyCameIn, WrongRegistrationStatus."""
    registration, organisation = one(session, registration_id)
    if not session.scalar(confirmed().where(Registration.id == registration_id).exists().select()):
        raise NobodyCameIn
    become(session, registration, RegistrationStatus.APPROVED, by, now)
    limit = order_limit_fen
    if limit is None:
        limit = [fen for begins, fen in FIRST_LIMITS if begins <= business_day(now)][-1]
    session.execute(
        update(Organisation)
        .where(Organisation.id == organisation.id, Organisation.status == "applying")
        .values(status="active")
    )
    session.execute(
        update(Membership)
        .where(Membership.organisation_id == organisation.id, literal(Role.MANAGER.value) == any_(Membership.roles))
        .values(order_limit_fen=limit)
    )
    tell(session, registration, by, "approve", None, now, order_limit_fen=limit)


def send_back(session: Session, *, by: Actor, registration_id: UUID, reason: str, now: datetime) -> None:
    """Return a registration with the reason, for its member to correct and submit again."""
    registration, _ = one(session, registration_id)
    become(session, registration, RegistrationStatus.RETURNED, by, now, reason)
    tell(session, registration, by, "return", reason, now)


def submit_again(session: Session, *, by: Actor, wanted: ChangeRegistration, now: datetime) -> None:
    """Correct a returned registration and submit it again."""
    registration, organisation = own(session, by)
    if wanted.division_code:
        queries.require_division(session, wanted.division_code, business_day(now), pointer="/division_code")
    become(session, registration, RegistrationStatus.SUBMITTED, by, now)
    given = wanted.model_dump(exclude_unset=True, exclude_none=True)
    for name, value in given.items():
        setattr(organisation, name, value)
    session.flush()
    tell(session, registration, by, "submit", None, now, fields=sorted(given))


def become(
    session: Session,
    registration: Registration,
    to: RegistrationStatus,
    by: Actor,
    now: datetime,
    reason: str | None = None,
) -> None:
    decided = to is not RegistrationStatus.SUBMITTED
    values: dict[str, Any] = {"reason": reason}
    values |= {"decided_at": now, "decided_by": by.user_id} if decided else {"submitted_at": now}
    if not moved(session, registration, to, REGISTRATION_NEXT, **values):
        raise WrongRegistrationStatus(registration_status=registration.status)


def tell(
    session: Session,
    registration: Registration,
    by: Actor,
    action: str,
    reason: str | None,
    now: datetime,
    **change: object,
) -> None:
    audit.record(
        session,
        by=by,
        action=action,
        kind="registration",
        subject=registration.id,
        now=now,
        reason=reason,
        **change,
    )
    outbox.announce(
        session,
        f"registration.{registration.status}",
        now=now,
        seen_by=[registration.organisation_id],
        registration_id=registration.id,
        organisation_id=registration.organisation_id,
    )
