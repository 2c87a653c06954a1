"""How a buying organisation joins, as JSON."""

from typing import Annotated, Literal

from pydantic import Field

from shop.accounts.models import Organisation
from shop.accounts.models_units import Registration, RegistrationStatus
from shop.accounts.schemas_people import FirstMember
from shop.accounts.schemas_units import Code, DivisionCode, InvoiceIn, Level, Name, Reason, Uscc
from shop.http.routes import In, Out, PageQuery
from shop.ids import OrganisationId, RegistrationId

BuyerKind = Literal["budget_unit", "canteen", "trade_union", "enterprise"]


class FirstUnit(In):
    name: Name
    code: Code | None = None
    finance_level: Level
    funding_code: DivisionCode


class Register(In):
    """A buying organisation. Without a code of its own (`uscc`) it names the one that it hangs below."""

    kind: BuyerKind
    name: Name
    name_en: Name
    uscc: Uscc | None = None
    parent_uscc: Uscc | None = None
    division_code: DivisionCode
    member: FirstMember
    budget_unit: FirstUnit | None = None
    invoice: InvoiceIn | None = None


class ChangeRegistration(In):
    """What is corrected before it is submitted again."""

    name: Name | None = None
    name_en: Name | None = None
    division_code: DivisionCode | None = None


class ApproveRegistration(In):
    """`order_limit_fen` is what the first member may order alone; without it, the limit of the day."""

    order_limit_fen: Annotated[int, Field(ge=0, le=10**15)] | None = None


class ReturnRegistration(In):
    reason: Reason


class RegistrationsQuery(PageQuery):
    status: RegistrationStatus | None = None


class RegistrationOut(Out):
    """`reason` is why the operator returned it."""

    id: RegistrationId
    organisation_id: OrganisationId
    status: str
    organisation_status: str
    kind: str
    name: str
    name_en: str
    uscc: str | None
    parent_id: OrganisationId | None
    division_code: str
    reason: str | None
    submitted_at: str


class RegistrationPage(Out):
    items: list[RegistrationOut]
    next: str | None


def registration_out(registration: Registration, organisation: Organisation) -> RegistrationOut:
    return RegistrationOut(
        id=registration.id,
        organisation_id=organisation.id,
        status=registration.status,
        organisation_status=organisation.status,
        kind=organisation.kind,
        name=organisation.name,
        name_en=organisation.name_en,
        uscc=organisation.uscc,
        parent_id=organisation.parent_id,
        division_code=organisation.division_code,
        reason=registration.reason,
        submitted_at=registration.submitted_at.isoformat(),
    )
