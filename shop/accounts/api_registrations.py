"""Buying organisations register themselves; operators approve or return them, and close what has ended."""

from datetime import datetime

from sqlalchemy.orm import Session

from shop.accounts.api_units import paged
from shop.accounts.models_units import Registration
from shop.accounts.schemas_registrations import (
    ApproveRegistration,
    ChangeRegistration,
    Register,
    RegistrationOut,
    RegistrationPage,
    RegistrationsQuery,
    ReturnRegistration,
    registration_out,
)
from shop.accounts.service import registering_buyers as registering
from shop.accounts.service.registering_buyers import NobodyCameIn, WrongRegistrationStatus
from shop.actor import Actor, Audience, Role
from shop.clock import business_now
from shop.db import in_unit_of_work
from shop.errors import Invalid, NotFound, TooMany
from shop.http.routes import PUBLIC, Routes, audience, roles
from shop.ids import RegistrationId
from shop.notices.sms import NoTextMessages

public = Routes("/v1/public", tag="Registration")
buyer = Routes("/v1/buyer", tag="Institution", people_only=True)
admin = Routes("/v1/admin", tag="Registration", people_only=True)
operator = roles(Role.OPERATOR, of=Audience.ADMIN)


@public.post(
    "/registrations", allow=PUBLIC, answers={201: RegistrationOut}, refusals=(Invalid, NoTextMessages, TooMany)
)
def register_buyer(body: Register) -> RegistrationOut:
    """Register a buying organisation and send a link to its first member, known here or not.

    Who accepts by that link acts for the organisation, which may order when an operator has approved it. Until then a
    new registration with the same code takes the place of this one.
    """

    def register(session: Session) -> RegistrationOut:
        return registration_out(*registering.register(session, wanted=body, now=business_now(session)))

    return in_unit_of_work(register)


@buyer.get("/registration", allow=audience(Audience.BUYER), answers={200: RegistrationOut}, refusals=(NotFound,))
def read_own_registration(session: Session, actor: Actor) -> RegistrationOut:
    """Where the organisation's registration stands, with the operator's reason when it was returned."""
    return registration_out(*registering.own(session, actor))


@buyer.post(
    "/registration/resubmit",
    allow=roles(Role.MANAGER, of=Audience.BUYER),
    answers={200: RegistrationOut},
    refusals=(NotFound, Invalid, WrongRegistrationStatus),
)
def resubmit_registration(session: Session, actor: Actor, now: datetime, body: ChangeRegistration) -> RegistrationOut:
    """Correct a returned registration and submit it again."""
    registering.submit_again(session, by=actor, wanted=body, now=now)
    return registration_out(*registering.own(session, actor))


@admin.get("/registrations", allow=operator, answers={200: RegistrationPage})
def list_registrations(session: Session, query: RegistrationsQuery) -> RegistrationPage:
    """Registrations whose first member has come in, by status if one is given, oldest first."""
    wanted = registering.confirmed()
    if query.status:
        wanted = wanted.where(Registration.status == query.status)
    page, following = paged(session, wanted, Registration.id, query, f"registrations {query.status}")
    return RegistrationPage(items=[registration_out(*row) for row in page], next=following)


@admin.get("/registrations/<registration_id>", allow=operator, answers={200: RegistrationOut}, refusals=(NotFound,))
def read_registration(session: Session, registration_id: RegistrationId) -> RegistrationOut:
    """One registration with its organisation."""
    return registration_out(*registering.one(session, registration_id))


@admin.post(
    "/registrations/<registration_id>/approve",
    allow=operator,
    answers={200: RegistrationOut},
    refusals=(NotFound, NobodyCameIn, WrongRegistrationStatus),
)
def approve_registration(
    session: Session, actor: Actor, now: datetime, registration_id: RegistrationId, body: ApproveRegistration
) -> RegistrationOut:
    """Approve a buyer, which becomes active; its first member gets the order limit."""
    registering.approve(
        session, by=actor, registration_id=registration_id, order_limit_fen=body.order_limit_fen, now=now
    )
    return registration_out(*registering.one(session, registration_id))


@admin.post(
    "/registrations/<registration_id>/return",
    allow=operator,
    answers={200: RegistrationOut},
    refusals=(NotFound, WrongRegistrationStatus),
)
def return_registration(
    session: Session, actor: Actor, now: datetime, registration_id: RegistrationId, body: ReturnRegistration
) -> RegistrationOut:
    """Return a registration with the reason."""
    registering.send_back(session, by=actor, registration_id=registration_id, reason=body.reason, now=now)
    return registration_out(*registering.one(session, registration_id))
