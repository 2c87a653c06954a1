"""Budget units, links, mandates, invoice titles and addresses, as JSON."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from shop.accounts.models import Address, BudgetUnit
from shop.accounts.models_units import BuyingMandate, InvoiceProfile, UnitLink
from shop.http.fields import Day
from shop.http.routes import In, Out, PageQuery
from shop.ids import AddressId, BudgetUnitId, BuyingMandateId, InvoiceProfileId, OrganisationId, UnitLinkId

Name = Annotated[str, Field(min_length=1, max_length=200)]
Code = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]{0,39}$")]
DivisionCode = Annotated[str, Field(pattern=r"^[0-9]{6}$")]
Uscc = Annotated[str, Field(pattern=r"^[0-9A-Z]{18}$")]
Level = Literal["central", "province", "prefecture", "county", "township"]
Reason = Annotated[str, Field(min_length=1, max_length=500)]
Document = Annotated[str, Field(min_length=1, max_length=300)]


class NewUnit(In):
    """A budget unit. Without `parent_id` it is the top of a tree; `organisation_id` may name one below your own."""

    name: Name
    code: Code | None = None
    finance_level: Level
    funding_code: DivisionCode
    parent_id: BudgetUnitId | None = None
    organisation_id: OrganisationId | None = None


class ChangeUnit(In):
    name: Name | None = None
    code: Code | None = None
    finance_level: Level | None = None
    funding_code: DivisionCode | None = None


class MoveUnit(In):
    """Where a unit is to stand; without `parent_id` it becomes the top of a tree of its own."""

    parent_id: BudgetUnitId | None = None


class CloseUnit(In):
    successor_id: BudgetUnitId | None = None
    reason: Reason


class CloseOrganisation(In):
    successor_id: OrganisationId | None = None
    reason: Reason


class ClosedOrganisation(Out):
    """`open_orders` counts those that the successor's people end."""

    id: OrganisationId
    status: str
    successor_id: OrganisationId | None
    open_orders: int


class UnitsQuery(PageQuery):
    parent_id: BudgetUnitId | None = None
    status: Literal["open", "closed"] | None = None


class UnitOut(Out):
    id: BudgetUnitId
    organisation_id: OrganisationId
    parent_id: BudgetUnitId | None
    name: str
    code: str | None
    finance_level: str
    funding_code: str
    status: str
    successor_id: BudgetUnitId | None
    opened_on: str


class UnitPage(Out):
    items: list[UnitOut]
    next: str | None


def unit_out(unit: BudgetUnit) -> UnitOut:
    return UnitOut(
        id=unit.id,
        organisation_id=unit.organisation_id,
        parent_id=unit.parent_id,
        name=unit.name,
        code=unit.code,
        finance_level=unit.finance_level,
        funding_code=unit.funding_code,
        status=unit.status,
        successor_id=unit.successor_id,
        opened_on=unit.opened_on.isoformat(),
    )


class OfferLink(In):
    parent_id: BudgetUnitId
    uscc: Uscc


class AcceptLink(In):
    unit_id: BudgetUnitId


class LinkOut(Out):
    """An offer to stand below a unit; `organisation` is who was asked."""

    id: UnitLinkId
    parent_id: BudgetUnitId
    parent: str
    organisation_id: OrganisationId
    organisation: str
    unit_id: BudgetUnitId | None
    status: str


class LinkPage(Out):
    items: list[LinkOut]
    next: str | None


def link_out(link: UnitLink, parent: str, organisation: str) -> LinkOut:
    return LinkOut(
        id=link.id,
        parent_id=link.parent_id,
        parent=parent,
        organisation_id=link.organisation_id,
        organisation=organisation,
        unit_id=link.unit_id,
        status=link.status,
    )


class NewCatererMandate(In):
    """The caterer with this code may order for the unit from a day on, and before `to`."""

    unit_id: BudgetUnitId
    uscc: Uscc
    start: Day = Field(alias="from")
    end: Day | None = Field(alias="to", default=None)
    document: Document


class NewUnionMandate(In):
    """The unit that the union counts for from a day on, and before `to`."""

    unit_id: BudgetUnitId
    start: Day = Field(alias="from")
    end: Day | None = Field(alias="to", default=None)
    document: Document


class AnswerMandate(In):
    accept: bool


class BuyingMandateOut(Out):
    model_config = ConfigDict(serialize_by_alias=True)

    id: BuyingMandateId
    kind: str
    unit_id: BudgetUnitId
    unit: str
    organisation_id: OrganisationId
    organisation: str
    start: str = Field(serialization_alias="from")
    end: str | None = Field(serialization_alias="to")
    document: str
    status: str


class BuyingMandatePage(Out):
    items: list[BuyingMandateOut]
    next: str | None


def buying_mandate_out(mandate: BuyingMandate, unit: str, organisation: str) -> BuyingMandateOut:
    start, end = mandate.valid.lower, mandate.valid.upper
    assert start is not None
    return BuyingMandateOut(
        id=mandate.id,
        kind=mandate.kind,
        unit_id=mandate.unit_id,
        unit=unit,
        organisation_id=mandate.organisation_id,
        organisation=organisation,
        start=start.isoformat(),
        end=end.isoformat() if end else None,
        document=mandate.document,
        status=mandate.status,
    )


class InvoiceIn(In):
    """What invoices are made out to. `tax_number` is a unified social credit code."""

    title: Name
    tax_number: Uscc
    bank: Name
    account_number: Annotated[str, Field(pattern=r"^[0-9]{8,32}$")]


class InvoiceProfileOut(Out):
    """`account_number` is whole for managers and finance, else all but its last four digits are hidden."""

    id: InvoiceProfileId
    title: str
    tax_number: str
    bank: str
    account_number: str


class InvoiceProfiles(Out):
    items: list[InvoiceProfileOut]


def profile_out(profile: InvoiceProfile, *, whole: bool) -> InvoiceProfileOut:
    number = profile.account_number
    return InvoiceProfileOut(
        id=profile.id,
        title=profile.title,
        tax_number=profile.tax_number,
        bank=profile.bank,
        account_number=number if whole else "*" * (len(number) - 4) + number[-4:],
    )


class AddressIn(In):
    """A place of delivery. `contact` is who receives there, with a telephone number."""

    label: Annotated[str, Field(max_length=100)] = ""
    division_code: DivisionCode
    line: Annotated[str, Field(min_length=1, max_length=300)]
    contact: Annotated[str, Field(min_length=1, max_length=200)]


class ChangeAddress(In):
    label: Annotated[str, Field(max_length=100)] | None = None
    division_code: DivisionCode | None = None
    line: Annotated[str, Field(min_length=1, max_length=300)] | None = None
    contact: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class BuyerAddressOut(Out):
    id: AddressId
    label: str
    division_code: str
    line: str
    contact: str


class AddressPage(Out):
    items: list[BuyerAddressOut]
    next: str | None


def address_out(address: Address) -> BuyerAddressOut:
    return BuyerAddressOut(
        id=address.id,
        label=address.label,
        division_code=address.division_code,
        line=address.line,
        contact=address.contact,
    )
