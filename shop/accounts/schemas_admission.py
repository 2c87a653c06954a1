"""Admission as JSON: applications, their parts, decisions, and the right to sell."""

from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from shop.accounts.models import Organisation
from shop.accounts.models_admission import Application
from shop.accounts.queries_admission import Parts, Seller
from shop.accounts.schemas_people import FirstMember
from shop.files import service as files
from shop.files.models import StoredFile
from shop.http.fields import Day, across
from shop.http.routes import In, Out, Query
from shop.ids import ApplicationId, DocumentId, FileId, OrganisationId, RightId

Name = Annotated[str, Field(min_length=1, max_length=100)]
Code = Annotated[str, Field(pattern=r"^[0-9]{6}$")]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
Reason = Annotated[str, Field(min_length=1, max_length=500)]
Word = Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,39}$")]
FileName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Category = Literal[
    "fruit", "vegetable", "grain_oil", "meat", "dairy", "tea", "mushroom", "nut", "herb", "aquatic", "honey_egg",
    "processed",
]  # fmt: skip
Size = Annotated[int, Field(ge=1, le=1_000_000_000)]


class PartyIn(In):
    """A seller to be: its kind, names, unified social credit code (GB 32100) and the county it stands in."""

    kind: Literal["cooperative", "family_farm", "producer", "agent"]
    name: Name
    name_en: Name
    uscc: Annotated[str, Field(min_length=18, max_length=18)]
    division_code: Code


class Apply(In):
    """An application from nothing; `linkage` says how farmers benefit (联农带农)."""

    organisation: PartyIn
    member: FirstMember
    linkage: Text


class AppliedOut(Out):
    id: ApplicationId
    organisation_id: OrganisationId
    status: str


class ChangeApplication(In):
    """What to correct; what is left out stays. Names and county change before admission only."""

    name: Name | None = None
    name_en: Name | None = None
    division_code: Code | None = None
    linkage: Text | None = None


class CapacityIn(In):
    """A product's yearly capacity: land in hundredths of a mu, or heads, times the grams that a mu or a head yields."""

    product_name: Name
    category: Category
    area_mu_hundredths: Size | None = None
    heads: Size | None = None
    yield_grams: Annotated[int, Field(ge=1, le=100_000_000)]
    households: Annotated[int, Field(ge=0, le=1_000_000)]
    grams_per_year: Annotated[int, Field(ge=0, le=10**17)]
    evidence: Annotated[str, Field(min_length=1, max_length=500)]

    @model_validator(mode="after")
    def measured_once(self) -> Self:
        if (self.area_mu_hundredths is None) == (self.heads is None):
            raise across("size", "give either area_mu_hundredths or heads", "area_mu_hundredths", "heads")
        return self


class DeclareCapacities(In):
    items: Annotated[list[CapacityIn], Field(min_length=1, max_length=100)]


class DocumentQuery(Query):
    """What the bytes of the body are: `kind` of the required documents, a name to show, and when it lapses."""

    kind: Word
    name: FileName
    valid_until: Day | None = None


class FileQuery(Query):
    name: FileName


class UploadedOut(Out):
    id: FileId


class FieldReason(In):
    """A field to correct, as the application shows it (RFC 6901), and why."""

    pointer: Annotated[str, Field(pattern=r"^(/[^/]{1,100}){1,6}$")]
    reason: Reason


class Decision(In):
    """What an officer says of the step (and, when given, the round) that was looked at.

    A return names each field to correct with its reason. The platform may also reject, which ends the application. Name
    and office stand as they would on the paper.
    """

    step: Word
    round: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    decision: Literal["approve", "return", "reject"]
    reason: Reason
    fields: Annotated[list[FieldReason], Field(max_length=50, default_factory=list)]
    officer_name: Name
    office: Name
    photo_file_ids: Annotated[list[FileId], Field(max_length=20, default_factory=list)]

    @model_validator(mode="after")
    def says_why(self) -> Self:
        if (self.decision == "return") != bool(self.fields):
            raise across("fields", "a return names the fields to correct, another decision names none", "fields")
        return self


class DecideOne(Decision):
    application_id: ApplicationId


class DecideMany(In):
    """Up to a hundred decisions, each on another application."""

    decisions: Annotated[list[DecideOne], Field(min_length=1, max_length=100)]

    @model_validator(mode="after")
    def each_once(self) -> Self:
        if len({one.application_id for one in self.decisions}) < len(self.decisions):
            raise across("repeated", "an application stands in the list once", "decisions")
        return self


class OutcomeOut(Out):
    """What became of a decision: `result` is `done`, or the code of the refusal with its status and facts."""

    application_id: ApplicationId
    result: str
    status: int
    detail: str | None
    facts: dict[str, Any]


class OutcomesOut(Out):
    items: list[OutcomeOut]


class QueueQuery(Query):
    status: Literal["submitted", "returned", "approved", "rejected"] | None = None
    step: Word | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 24
    cursor: Annotated[str, Field(max_length=400)] | None = None


class ApplicantOut(Out):
    id: OrganisationId
    kind: str
    name: str
    name_en: str
    uscc: str | None
    division_code: str
    status: str


class ApplicationItem(Out):
    """An application as the queue shows it."""

    id: ApplicationId
    organisation: ApplicantOut
    purpose: str
    status: str
    step: str | None
    round: int
    created_at: str
    submitted_at: str | None


class ApplicationPage(Out):
    items: list[ApplicationItem]
    next: str | None


class CapacityOut(Out):
    product_name: str
    category: str
    area_mu_hundredths: int | None
    heads: int | None
    yield_grams: int
    households: int
    grams_per_year: int
    evidence: str


class FileOut(Out):
    """A file with a link that hands it over for a day."""

    id: FileId
    name: str
    media_type: str
    size: int
    link: str


class DocumentOut(Out):
    """A document; without a file once the period is over for which papers that show who somebody is are kept."""

    id: DocumentId
    kind: str
    valid_until: date | None
    file: FileOut | None


class FieldReasonOut(Out):
    pointer: str
    reason: str


class ReviewOut(Out):
    round: int
    step: str
    decision: str
    reason: str
    fields: list[FieldReasonOut]
    officer_name: str
    office: str
    photos: list[FileOut]
    at: str


class DecisionItem(Out):
    """A decision as the log of reviews shows it."""

    application_id: ApplicationId
    round: int
    step: str
    decision: str
    reason: str
    officer_name: str
    office: str
    at: str


class DecisionPage(Out):
    items: list[DecisionItem]
    next: str | None


class MissingOut(Out):
    pointer: str
    detail: str


class ApplicationOut(ApplicationItem):
    """An application with all that belongs to it; `missing` is what it lacks today."""

    linkage: str
    steps: list[str]
    capacities: list[CapacityOut]
    documents: list[DocumentOut]
    reviews: list[ReviewOut]
    missing: list[MissingOut]
    decided_at: str | None


class StepOut(Out):
    code: str
    name: str
    name_en: str
    decided_by: str


class DocumentKindOut(Out):
    kind: str
    name: str
    name_en: str
    needed_of: str


class RequirementsOut(Out):
    """What admission asks for today: its steps in order, and the documents."""

    steps: list[StepOut]
    documents: list[DocumentKindOut]


class SellingCountyOut(Out):
    code: str
    name: str | None
    sellers: int


class SellingCountiesOut(Out):
    """The counties whose sellers may sell today, by code."""

    items: list[SellingCountyOut]


class SuspendIn(In):
    """Why, and the day (if any) on which the seller sells again by itself."""

    reason: Reason
    until: Day | None = None


class ReasonIn(In):
    reason: Reason


class HistoryOut(Out):
    what: str
    reason: str | None
    until: date | None
    at: str


class RightOut(Out):
    """`valid_to` is the first day without it."""

    id: RightId
    number: str
    valid_from: date | None
    valid_to: date | None


class SuspensionOut(Out):
    reason: str
    until: date | None
    began_at: str


class SellerOut(Out):
    """How a seller stands: it takes orders on days before `selling_until` while its status is `active`."""

    organisation: ApplicantOut
    selling_until: date | None
    right: RightOut | None
    suspension: SuspensionOut | None
    history: list[HistoryOut]


def applicant_out(organisation: Organisation) -> ApplicantOut:
    return ApplicantOut(**{name: getattr(organisation, name) for name in ApplicantOut.model_fields})


def item_of(application: Application, organisation: Organisation) -> dict[str, Any]:
    return {
        "id": application.id,
        "organisation": applicant_out(organisation),
        "purpose": application.purpose,
        "status": application.status,
        "step": application.step,
        "round": application.round,
        "created_at": application.created_at.isoformat(),
        "submitted_at": application.submitted_at.isoformat() if application.submitted_at else None,
    }


def file_out(file: StoredFile) -> FileOut:
    return FileOut(id=file.id, name=file.name, media_type=file.media_type, size=file.size, link=files.link(file))


def application_out(
    application: Application, organisation: Organisation, parts: Parts, missing: list[tuple[str, str]]
) -> ApplicationOut:
    return ApplicationOut(
        **item_of(application, organisation),
        linkage=application.linkage,
        steps=application.steps,
        capacities=[CapacityOut(**{n: getattr(c, n) for n in CapacityOut.model_fields}) for c in parts.capacities],
        documents=[
            DocumentOut(
                id=document.id,
                kind=document.kind,
                valid_until=document.valid_until,
                file=file_out(file) if file else None,
            )
            for document, file in parts.documents
        ],
        reviews=[
            ReviewOut(
                round=review.round,
                step=review.step,
                decision=review.decision,
                reason=review.reason,
                fields=[FieldReasonOut(**field) for field in review.fields],
                officer_name=review.officer_name,
                office=review.office,
                photos=[file_out(parts.photos[key]) for key in review.photo_file_ids if key in parts.photos],
                at=review.at.isoformat(),
            )
            for review in parts.reviews
        ],
        missing=[MissingOut(pointer=pointer, detail=detail) for pointer, detail in missing],
        decided_at=application.decided_at.isoformat() if application.decided_at else None,
    )


def seller_out(found: Seller) -> SellerOut:
    right, suspension = found.right, found.suspension
    return SellerOut(
        organisation=applicant_out(found.organisation),
        selling_until=found.organisation.selling_until,
        right=RightOut(id=right.id, number=right.number, valid_from=right.valid.lower, valid_to=right.valid.upper)
        if right
        else None,
        suspension=SuspensionOut(
            reason=suspension.reason, until=suspension.until, began_at=suspension.began_at.isoformat()
        )
        if suspension
        else None,
        history=[HistoryOut(what=h.what, reason=h.reason, until=h.until, at=h.at.isoformat()) for h in found.history],
    )
