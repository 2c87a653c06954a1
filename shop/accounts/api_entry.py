"""What somebody does who is not logged in: accept an invitation, ask for a new password and set it."""

from flask import Response, request
from sqlalchemy.orm import Session

from shop.accounts.schemas_people import AcceptedOut, AcceptInvitation, AskReset, ConfirmReset, ResetAskedOut
from shop.accounts.service import accepting, inviting, logging_in, passwords, proving, resetting
from shop.clock import business_now
from shop.db import in_unit_of_work
from shop.errors import Invalid, Refusal, TooMany
from shop.http.problems import from_refusal
from shop.http.routes import PUBLIC, Answer, Routes
from shop.notices.sms import NoTextMessages

routes = Routes("/v1/auth", tag="Entry", people_only=True)


@routes.post(
    "/invitations/accept",
    allow=PUBLIC,
    answers={201: AcceptedOut},
    refusals=(
        accepting.InvitationGone, inviting.AlreadyMember, logging_in.WrongCredentials, passwords.WeakPassword, TooMany,
    ),
)  # fmt: skip
def accept_invitation(body: AcceptInvitation) -> AcceptedOut | Response:
    """Become a member by the link of an invitation; log in afterwards.

    Somebody new names themselves and chooses a password; a known person gives the own password.
    """
    invited = in_unit_of_work(
        lambda session: accepting.look_up(session, token=body.token, name=body.name, password=body.password)
    )
    known = invited.password_hash is not None
    right = known and passwords.matches(invited.password_hash, body.password)
    new_hash = None if known else passwords.hash_of(body.password)

    def accept(session: Session) -> AcceptedOut | logging_in.WrongCredentials:
        done = accepting.accept(
            session, invited, name=body.name, new_hash=new_hash, right=right, now=business_now(session)
        )
        if isinstance(done, Refusal):
            return done
        return AcceptedOut(membership_id=done.id, organisation_id=done.organisation_id, roles=sorted(done.roles))

    done = in_unit_of_work(accept)
    return from_refusal(done) if isinstance(done, Refusal) else done


@routes.post("/reset", allow=PUBLIC, answers={202: ResetAskedOut}, refusals=(NoTextMessages, TooMany))
def ask_for_reset(body: AskReset) -> Answer:
    """Send a code to a phone or a link to an e-mail.

    Nothing is sent where nobody logs in with it, and the answer is the same. When many ask for one account, the code or
    link that was sent last holds until it expires, and no other is sent meanwhile.
    """
    asked = in_unit_of_work(
        lambda session: resetting.ask(
            session,
            login=body.login,
            device=body.device,
            address=request.remote_addr or "",
            now=business_now(session),
        )
    )
    return Answer(ResetAskedOut(request=asked), 202)


@routes.post(
    "/reset/confirm",
    allow=PUBLIC,
    answers={204: None},
    refusals=(proving.WrongCode, passwords.WeakPassword, TooMany),
)
def confirm_reset(body: ConfirmReset) -> Response | None:
    """Set a new password by the code or link, and end every session of the account."""
    if (body.token is None) == (body.login is None or body.code is None):
        raise Invalid("Give the token of the link, or the log-in and the code.", pointer="/token")
    passwords.check(body.new_password, body.login, pointer="/new_password")
    found = in_unit_of_work(
        lambda session: resetting.look_up(
            session, token=body.token, login=body.login, code=body.code, device=body.device, request=body.request
        )
    )
    if isinstance(found, Refusal):
        return from_refusal(found)
    new_hash = passwords.hash_of(body.new_password)
    in_unit_of_work(
        lambda session: resetting.reset(
            session,
            confirmation_id=found,
            password=body.new_password,
            new_hash=new_hash,
            now=business_now(session),
        )
    )
    return None
