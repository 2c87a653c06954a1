"""Log in, log out, who am I."""

from datetime import datetime
from urllib.parse import quote

from flask import Response, request
from sqlalchemy.orm import Session

from shop.accounts import queries_units
from shop.accounts.devices import device_words
from shop.accounts.models import Organisation
from shop.accounts.schemas import AddressOut, BudgetUnitOut, LogIn, MeOut, OrganisationOut, TokenOut
from shop.accounts.service import auditing, logging_in, passwords
from shop.actor import Actor, Role
from shop.clock import business_day
from shop.db import in_unit_of_work
from shop.errors import Invalid, NotFound, Refusal, TooMany
from shop.http.problems import from_refusal
from shop.http.routes import ANY_MEMBER, ANYBODY_LOGGED_IN, PUBLIC, Routes

routes = Routes("/v1", tag="Account")


def bearer() -> str | None:
    """The token of the request's Authorization header."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip().isascii() and len(token) < 200 else None


def actor_of_request(session: Session) -> tuple[Actor, datetime] | None:
    """What `shop.app` hands to the HTTP edge: the Actor behind the request's credential."""
    token = bearer()
    found = logging_in.authenticate(session, token) if token else None
    if found and found[0].has(Role.AUDITOR):
        # As it was sent, percent-encoded: what is decoded may hold characters that no text can keep.
        question = request.query_string.decode("ascii", "replace")
        asked = f"{request.method} {quote(request.path)}{'?' if question else ''}{question}"
        auditing.log_access(session, found[0], what=asked, now=found[1])
    return found


@routes.post(
    "/auth/token",
    allow=PUBLIC,
    answers={200: TokenOut},
    refusals=(
        logging_in.WrongCredentials, logging_in.CodeNeeded, logging_in.NoMembership, NotFound, Invalid, TooMany,
    ),
)  # fmt: skip
def log_in(body: LogIn) -> TokenOut | Response:
    """Exchange a phone or e-mail and a password for a token of 12 hours."""
    if body.login is None and body.email is None:
        raise Invalid("Give a phone or an e-mail.", pointer="/login")
    if body.login is not None and body.email is not None:
        raise Invalid("Give a phone or an e-mail, not both.", pointer="/email")
    login = body.login or body.email or ""
    # Two units of work, so that no connection waits for the hash between them.
    claim = in_unit_of_work(lambda session: logging_in.look_up(session, login=login, device=body.device))
    right = passwords.matches(claim.password_hash, body.password)
    renewed = passwords.renewed(claim.password_hash, body.password) if right else None
    words = device_words(request.user_agent.string)
    done = in_unit_of_work(
        lambda session: logging_in.decide(
            session, claim, right=right, renewed=renewed, code=body.code, organisation_id=body.organisation_id,
            device=body.device, words=words,
        )
    )  # fmt: skip
    if isinstance(done, Refusal):
        return from_refusal(done)
    return TokenOut(
        token=done.token,
        expires_at=done.expires_at.isoformat(),
        device=done.device,
        two_step_required=done.two_step_required,
    )


@routes.post("/auth/logout", allow=ANYBODY_LOGGED_IN, answers={204: None}, before_two_step=True)
def log_out(session: Session) -> None:
    """End the token of this request."""
    logging_in.log_out(session, bearer() or "")


@routes.get("/me", allow=ANY_MEMBER, answers={200: MeOut})
def who_am_i(session: Session, actor: Actor, now: datetime) -> MeOut:
    """The caller, the organisation acted for, and where and for which budget units it may order today."""
    organisation = session.get_one(Organisation, actor.organisation_id)
    today = business_day(now)
    addresses = queries_units.delivery_addresses(session, actor.organisation_id, today)
    units = queries_units.orderable_units(session, actor.organisation_id, today)
    return MeOut(
        user_id=actor.user_id,
        organisation=OrganisationOut(
            id=organisation.id,
            name=organisation.name,
            name_en=organisation.name_en,
            kind=organisation.kind,
            division_code=organisation.division_code,
        ),
        audience=actor.audience,
        roles=sorted(actor.roles),
        order_limit_fen=actor.order_limit_fen,
        delivery_addresses=[AddressOut(id=a.id, division_code=a.division_code, line=a.line) for a in addresses],
        budget_units=[
            BudgetUnitOut(id=u.id, name=u.name, finance_level=u.finance_level, funding_code=u.funding_code)
            for u in units
        ],
        business_time=now.isoformat(),
    )
