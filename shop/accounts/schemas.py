"""Log-in and the caller's own place, as JSON."""

from typing import Annotated

from pydantic import Field

from shop.http.routes import In, Out
from shop.ids import AddressId, BudgetUnitId, OrganisationId, UserId

Login = Annotated[str, Field(min_length=3, max_length=200)]
Password = Annotated[str, Field(min_length=1, max_length=256)]
Device = Annotated[str, Field(max_length=400)]


class LogIn(In):
    """By `email` or `login` (a phone or an e-mail). `code`: of the authenticator, or a recovery code, where it is on.

    `organisation_id`: for which organisation, else the one used last. `device`: what an earlier log-in gave.
    """

    email: Login | None = None
    login: Login | None = None
    password: Password
    code: Annotated[str, Field(max_length=40)] | None = None
    organisation_id: OrganisationId | None = None
    device: Device | None = None


class TokenOut(Out):
    """`device`: keep it and send it with the next log-in, so that others' wrong guesses do not lock this browser out.

    `two_step_required`: this session can do nothing but set up the second step of log-in.
    """

    token: str
    expires_at: str
    device: str
    two_step_required: bool


class OrganisationOut(Out):
    id: OrganisationId
    name: str
    name_en: str
    kind: str
    division_code: str


class AddressOut(Out):
    id: AddressId
    division_code: str
    line: str


class BudgetUnitOut(Out):
    id: BudgetUnitId
    name: str
    finance_level: str
    funding_code: str


class MeOut(Out):
    """Who the caller is, for whom, and with what."""

    user_id: UserId
    organisation: OrganisationOut
    audience: str
    roles: list[str]
    order_limit_fen: int | None
    delivery_addresses: list[AddressOut]
    budget_units: list[BudgetUnitOut]
    business_time: str
