"""One's own memberships, sessions, password and contacts."""

from datetime import datetime

from flask import Response
from sqlalchemy.orm import Session

from shop.accounts import queries_people
from shop.accounts.schemas_people import (
    AskContact,
    AskedOut,
    ChangePassword,
    ConfirmContact,
    EndedOut,
    MembershipOut,
    MembershipsOut,
    SessionOut,
    SessionsOut,
    Switch,
    SwitchedOut,
    organisation_out,
)
from shop.accounts.service import changing_contact, inviting, passwords, proving, resetting, switching
from shop.actor import Actor
from shop.errors import Invalid, NotFound, TooMany
from shop.http.problems import from_refusal
from shop.http.routes import ANY_MEMBER, NO_KEY, Answer, Routes
from shop.ids import SessionId
from shop.notices.sms import NoTextMessages

routes = Routes("/v1", tag="Sessions", people_only=True)


@routes.get("/me/memberships", allow=ANY_MEMBER, answers={200: MembershipsOut})
def list_own_memberships(session: Session, actor: Actor) -> MembershipsOut:
    """The organisations that the caller may act for, and which one this session acts for."""
    return MembershipsOut(
        items=[
            MembershipOut(
                id=membership.id,
                organisation=organisation_out(organisation),
                roles=sorted(membership.roles),
                order_limit_fen=membership.order_limit_fen,
                current=membership.id == actor.membership_id,
            )
            for membership, organisation in queries_people.own_memberships(session, actor)
        ]
    )


@routes.post("/auth/switch", allow=ANY_MEMBER, answers={200: SwitchedOut}, refusals=(NotFound,), key=NO_KEY)
def switch_membership(session: Session, actor: Actor, now: datetime, body: Switch) -> SwitchedOut:
    """A token for another of the caller's memberships; this one ends, and the next log-in leads there."""
    token, expires_at = switching.switch(session, membership_id=body.membership_id, by=actor, now=now)
    return SwitchedOut(token=token, expires_at=expires_at.isoformat())


@routes.get("/me/sessions", allow=ANY_MEMBER, answers={200: SessionsOut})
def list_own_sessions(session: Session, actor: Actor) -> SessionsOut:
    """The caller's sessions, newest first."""
    return SessionsOut(
        items=[
            SessionOut(
                id=token.id,
                organisation_id=organisation_id,
                device=token.name,
                made_at=token.created_at.isoformat(),
                last_used_at=token.last_used_at.isoformat() if token.last_used_at else None,
                expires_at=token.expires_at.isoformat(),
                current=token.id == actor.token_id,
            )
            for token, organisation_id in queries_people.sessions(session, actor)
        ]
    )


@routes.post("/me/sessions/<session_id>/end", allow=ANY_MEMBER, answers={204: None}, refusals=(NotFound,))
def end_session(session: Session, actor: Actor, now: datetime, session_id: SessionId) -> None:
    """End one of the caller's sessions."""
    switching.end_one(session, session_id=session_id, by=actor, now=now)


@routes.post("/me/sessions/end-others", allow=ANY_MEMBER, answers={200: EndedOut})
def end_other_sessions(session: Session, actor: Actor, now: datetime) -> EndedOut:
    """End every session of the caller but this one."""
    return EndedOut(ended=switching.end_others(session, by=actor, now=now))


@routes.post(
    "/me/password",
    allow=ANY_MEMBER,
    answers={204: None},
    refusals=(proving.WrongPassword, passwords.WeakPassword, TooMany),
    calls_out=True,
)
def change_password(actor: Actor, now: datetime, body: ChangePassword) -> Response | None:
    """Change the caller's password; every session ends, this one too, and machine tokens go on."""
    wrong = resetting.change(current=body.current, new=body.new, by=actor, now=now)
    return from_refusal(wrong) if wrong else None


@routes.post(
    "/me/contact",
    allow=ANY_MEMBER,
    answers={202: AskedOut},
    refusals=(proving.WrongPassword, NoTextMessages, TooMany),
    calls_out=True,
)
def ask_for_contact(actor: Actor, now: datetime, body: AskContact) -> Answer | Response:
    """Send a code to a new phone or a link to a new e-mail, which counts when it is confirmed."""
    channel, contact = inviting.contact_of(inviting.Wanted(phone=body.phone, email=body.email))
    wrong = proving.own_password(
        actor,
        body.password,
        lambda session, user: changing_contact.ask(
            session, user=user, channel=channel, contact=contact, by=actor, now=now
        ),
        pointer="/password",
    )
    return from_refusal(wrong) if wrong else Answer(AskedOut(), 202)


@routes.post(
    "/me/contact/confirm",
    allow=ANY_MEMBER,
    answers={204: None},
    refusals=(proving.WrongCode, changing_contact.ContactTaken, TooMany),
    key=NO_KEY,
)
def confirm_contact(session: Session, actor: Actor, now: datetime, body: ConfirmContact) -> Response | None:
    """Take the new phone or e-mail in place of the old one."""
    if (body.token is None) == (body.code is None):
        raise Invalid("Give the token of the link, or the code.", pointer="/token")
    wrong = changing_contact.confirm(session, token=body.token, code=body.code, by=actor, now=now)
    return from_refusal(wrong) if wrong else None
