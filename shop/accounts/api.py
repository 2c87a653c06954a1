"""Log in, log out, who am I."""

from datetime import datetime
from urllib.parse import quote

from flask import Response, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.accounts.models import Address, BudgetUnit, Organisation
from shop.accounts.schemas import AddressOut, BudgetUnitOut, LogIn, MeOut, OrganisationOut, TokenOut
from shop.accounts.service import auditing, logging_in
from shop.actor import Actor, Role
from shop.db import seeing_all
from shop.errors import TooMany
from shop.http.problems import from_refusal
from shop.http.routes import ANY_MEMBER, PUBLIC, Routes

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


@routes.post("/auth/token", allow=PUBLIC, answers={200: TokenOut}, refusals=(logging_in.WrongCredentials, TooMany))
def log_in(session: Session, body: LogIn) -> TokenOut | Response:
    """Exchange an e-mail and a password for a token of 12 hours."""
    user_id = logging_in.check_password(session, email=body.email, password=body.password)
    if user_id is None:
        # Answered, not raised: the recorded failure must be kept.
        return from_refusal(logging_in.WrongCredentials())
    with seeing_all(session):  # nobody is known yet, and what is asked for are this person's memberships
        token, expires_at = logging_in.issue_token(session, user_id=user_id)
    return TokenOut(token=token, expires_at=expires_at.isoformat())


@routes.post("/auth/logout", allow=ANY_MEMBER, answers={204: None})
def log_out(session: Session) -> None:
    """End the token of this request."""
    logging_in.log_out(session, bearer() or "")


@routes.get("/me", allow=ANY_MEMBER, answers={200: MeOut})
def who_am_i(session: Session, actor: Actor, now: datetime) -> MeOut:
    """The caller, the organisation acted for, its delivery addresses and budget units."""
    organisation = session.get_one(Organisation, actor.organisation_id)
    addresses = session.scalars(
        select(Address).where(Address.organisation_id == actor.organisation_id).order_by(Address.id)
    )
    units = session.scalars(
        select(BudgetUnit).where(BudgetUnit.organisation_id == actor.organisation_id).order_by(BudgetUnit.id)
    )
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
