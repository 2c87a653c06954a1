"""Mandates as JSON."""

from datetime import date
from typing import Annotated, Self

from pydantic import Field, model_validator

from shop.accounts.models_mandates import AgentMandate, AssistMandate
from shop.http.fields import Day, across
from shop.http.routes import In, Out
from shop.ids import AgentMandateId, AssistMandateId, FileId, OrganisationId, UserId

Name = Annotated[str, Field(min_length=1, max_length=100)]


class NewAgentMandate(In):
    """An agent's mandate on days `[valid_from, valid_to)` for products by name, of an organisation here or a producer.

    `file_id` is the paper, uploaded before.
    """

    principal_id: OrganisationId | None = None
    principal_name: Name | None = None
    products: Annotated[list[Name], Field(min_length=1, max_length=200)]
    valid_from: Day
    valid_to: Day
    file_id: FileId

    @model_validator(mode="after")
    def one_principal(self) -> Self:
        if (self.principal_id is None) == (self.principal_name is None):
            raise across("principal", "give either principal_id or principal_name", "principal_id", "principal_name")
        return self


class AgentMandateOut(Out):
    id: AgentMandateId
    agent_id: OrganisationId
    principal_id: OrganisationId | None
    principal_name: str | None
    products: list[str]
    valid_from: date | None
    valid_to: date | None
    confirmed: bool
    revoked: bool


class AgentMandatePage(Out):
    items: list[AgentMandateOut]
    next: str | None


class NewAssistMandate(In):
    """Who helps, for which office, on days `[valid_from, valid_to)`; `file_id` is the signed paper."""

    helper_id: UserId
    helper_organisation_id: OrganisationId
    valid_from: Day
    valid_to: Day
    file_id: FileId


class NewAssistMandateFor(NewAssistMandate):
    """The same, given by the county for a cooperative in which nobody can log in, with the reason."""

    cooperative_id: OrganisationId
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class AssistIn(In):
    mandate_id: AssistMandateId


class AssistMandateOut(Out):
    id: AssistMandateId
    helper_id: UserId
    helper_organisation_id: OrganisationId
    cooperative_id: OrganisationId
    valid_from: date | None
    valid_to: date | None
    given_by_organisation_id: OrganisationId
    reason: str | None
    revoked: bool


class AssistMandatePage(Out):
    items: list[AssistMandateOut]
    next: str | None


def agent_mandate_out(mandate: AgentMandate) -> AgentMandateOut:
    return AgentMandateOut(
        id=mandate.id,
        agent_id=mandate.agent_id,
        principal_id=mandate.principal_id,
        principal_name=mandate.principal_name,
        products=mandate.products,
        valid_from=mandate.valid.lower,
        valid_to=mandate.valid.upper,
        confirmed=mandate.principal_id is None or mandate.confirmed_at is not None,
        revoked=mandate.revoked_at is not None,
    )


def assist_mandate_out(mandate: AssistMandate) -> AssistMandateOut:
    return AssistMandateOut(
        id=mandate.id,
        helper_id=mandate.helper_user_id,
        helper_organisation_id=mandate.helper_organisation_id,
        cooperative_id=mandate.cooperative_id,
        valid_from=mandate.valid.lower,
        valid_to=mandate.valid.upper,
        given_by_organisation_id=mandate.given_by_organisation_id,
        reason=mandate.reason,
        revoked=mandate.revoked_at is not None,
    )
