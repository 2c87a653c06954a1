"""Log-in and the caller's own place, as JSON."""

from pydantic import Field

from shop.http.routes import In, Out
from shop.ids import AddressId, BudgetUnitId, OrganisationId, UserId


class LogIn(In):
    email: str = Field(min_length=3, max_length=200)
    password: str = Field(min_length=1, max_length=256)


class TokenOut(Out):
    token: str
    expires_at: str


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
