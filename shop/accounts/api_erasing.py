"""The right to be forgotten: a person asks for it, or an operator does it for one."""

from datetime import datetime

from flask import Response
from sqlalchemy.orm import Session

from shop.accounts.schemas_people import PasswordIn, ReasonIn
from shop.accounts.service import erasing, managing_members, proving
from shop.actor import Actor, Audience, Role
from shop.errors import NotFound, TooMany
from shop.http.problems import from_refusal
from shop.http.routes import ANY_MEMBER, Routes, roles
from shop.ids import UserId

routes = Routes("/v1", tag="Erasure", people_only=True)


@routes.post(
    "/me/erase",
    allow=ANY_MEMBER,
    answers={204: None},
    refusals=(proving.WrongPassword, managing_members.LastManager, TooMany),
    calls_out=True,
)
def erase_oneself(actor: Actor, now: datetime, body: PasswordIn) -> Response | None:
    """Erase the caller's name, phone and e-mail for good; every membership, session and token ends.

    What the caller did stays under an id that names nobody. Refused while an organisation has no other manager.
    """
    wrong = proving.own_password(
        actor,
        body.password,
        lambda session, user: erasing.erase(session, user_id=user.id, by=actor, now=now),
        pointer="/password",
    )
    return from_refusal(wrong) if wrong else None


@routes.post(
    "/admin/people/<user_id>/erase",
    allow=roles(Role.OPERATOR, of=Audience.ADMIN),
    answers={204: None},
    refusals=(NotFound,),
)
def erase_person(session: Session, actor: Actor, now: datetime, user_id: UserId, body: ReasonIn) -> None:
    """Erase a person who asked for it in another way, even the last manager of an organisation."""
    erasing.erase(session, user_id=user_id, by=actor, now=now, reason=body.reason, even_last=True)
