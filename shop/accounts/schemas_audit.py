"""The audit trail as JSON."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from shop.accounts.models_audit import AuditMandate
from shop.audit.models import AuditAcknowledgement, AuditEntry
from shop.http.fields import Day
from shop.http.routes import In, Out, Query
from shop.ids import AssistMandateId, AuditEntryId, AuditMandateId, MembershipId, OrganisationId, UserId

Word = Annotated[str, Field(min_length=1, max_length=80)]


class AuditFilter(Query):
    """What to look for; `from` and `to` are business days, half-open."""

    organisation_id: OrganisationId | None = None
    user_id: UserId | None = None
    action: Word | None = None
    kind: Word | None = None
    subject_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    start: Annotated[Day | None, Field(alias="from")] = None
    end: Annotated[Day | None, Field(alias="to")] = None
    acknowledged: bool | None = None

    def asked(self) -> dict[str, Any]:
        """The filter as `service.entries` takes it, but for the days."""
        return {
            "organisation_id": self.organisation_id,
            "user_id": self.user_id,
            "action": self.action,
            "kind": self.kind,
            "subject_id": UUID(hex=self.subject_id) if self.subject_id else None,
            "acknowledged": self.acknowledged,
        }


class AuditQuery(AuditFilter):
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, Field(max_length=400)] | None = None


class AuditEntryOut(Out):
    """One act. `subject_id` is the row's id without its prefix, `change` what was before and after, by id.

    What a helper did for the organisation names the helper's own (`home_organisation_id`) and the mandate.
    """

    id: AuditEntryId
    at: str
    recorded_at: str
    organisation_id: OrganisationId
    user_id: UserId
    action: str
    kind: str
    subject_id: str
    reason: str | None
    change: dict[str, Any]
    address: str | None
    request_id: str | None
    home_organisation_id: OrganisationId | None
    mandate_id: AssistMandateId | None
    acknowledged_at: str | None
    acknowledged_by: UserId | None
    note: str | None


class AuditPage(Out):
    items: list[AuditEntryOut]
    next: str | None


class Acknowledge(In):
    entries: Annotated[list[AuditEntryId], Field(min_length=1, max_length=500)]
    note: Annotated[str, Field(max_length=500)] = ""


class Acknowledged(Out):
    acknowledged: int


class GrantMandate(In):
    """Who may read what by which document; no regions mean everything. The days are half-open."""

    membership_id: MembershipId
    regions: Annotated[list[Annotated[str, Field(pattern=r"^\d{6}$")]], Field(max_length=50, default_factory=list)]
    valid_from: Day
    valid_to: Day
    document: Annotated[str, Field(min_length=2, max_length=200)]


class RevokeMandate(In):
    reason: Annotated[str, Field(min_length=2, max_length=500)]


class MandatesQuery(Query):
    limit: Annotated[int, Field(ge=1, le=100)] = 50
    cursor: Annotated[str, Field(max_length=400)] | None = None


class MandateOut(Out):
    id: AuditMandateId
    membership_id: MembershipId
    regions: list[str]
    valid_from: str
    valid_to: str
    document: str
    granted_at: str
    revoked_at: str | None


class MandatePage(Out):
    items: list[MandateOut]
    next: str | None


def mandate_out(mandate: AuditMandate) -> MandateOut:
    return MandateOut(
        id=mandate.id,
        membership_id=mandate.membership_id,
        regions=mandate.regions,
        valid_from=str(mandate.valid.lower),
        valid_to=str(mandate.valid.upper),
        document=mandate.document,
        granted_at=mandate.granted_at.isoformat(),
        revoked_at=mandate.revoked_at.isoformat() if mandate.revoked_at else None,
    )


def entry_out(entry: AuditEntry, known: AuditAcknowledgement | None) -> AuditEntryOut:
    return AuditEntryOut(
        id=entry.id,
        at=entry.at.isoformat(),
        recorded_at=entry.recorded_at.isoformat(),
        organisation_id=entry.organisation_id,
        user_id=entry.user_id,
        action=entry.action,
        kind=entry.subject_kind,
        subject_id=entry.subject_id.hex,
        reason=entry.reason,
        change=entry.change,
        address=entry.address,
        request_id=entry.request_id,
        home_organisation_id=entry.home_organisation_id,
        mandate_id=entry.mandate_id,
        acknowledged_at=known.at.isoformat() if known else None,
        acknowledged_by=known.by_user_id if known else None,
        note=known.note if known else None,
    )
