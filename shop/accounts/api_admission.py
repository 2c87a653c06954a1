"""Applying for the right to sell."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from shop.accounts import queries_admission as queries
from shop.accounts.models_admission import WrongApplicationStatus
from shop.accounts.schemas_admission import (
    ApplicationOut,
    AppliedOut,
    Apply,
    ChangeApplication,
    DeclareCapacities,
    DocumentKindOut,
    DocumentQuery,
    FileQuery,
    RequirementsOut,
    SellerOut,
    SellingCountiesOut,
    SellingCountyOut,
    StepOut,
    UploadedOut,
    application_out,
    seller_out,
)
from shop.accounts.service import applying, uploading
from shop.actor import Actor, Audience, Role
from shop.clock import business_day, business_now
from shop.db import in_unit_of_work
from shop.errors import Busy, Invalid, NotFound, TooMany
from shop.http.routes import ANY_MEMBER, NO_KEY, PUBLIC, Routes, audience, roles, work_of
from shop.ids import DocumentId
from shop.notices.sms import NoTextMessages

public = Routes("/v1/public", tag="Admission")
own = Routes("/v1/cooperative", tag="Admission")
files = Routes("/v1/me", tag="Files")
applicant = roles(Role.MANAGER, Role.LISTER, of=Audience.COOPERATIVE)
member = audience(Audience.COOPERATIVE)
NOT_NOW = (NotFound, WrongApplicationStatus)


def own_application(session: Session, actor: Actor, now: datetime) -> ApplicationOut:
    application, organisation = queries.latest(session, actor)
    parts = queries.parts(session, application.id)
    lacking = queries.missing(session, application, organisation.kind, parts, business_day(now))
    return application_out(application, organisation, parts, lacking)


@public.get("/admission", allow=PUBLIC, answers={200: RequirementsOut})
def read_requirements(session: Session, now: datetime) -> RequirementsOut:
    """What admission asks for today: the steps of the review and the documents."""
    on = business_day(now)
    return RequirementsOut(
        steps=[
            StepOut(code=rule.code, name=rule.name, name_en=rule.name_en, decided_by=rule.decided_by)
            for rule in queries.steps_on(session, on)
        ],
        documents=[
            DocumentKindOut(kind=rule.kind, name=rule.name, name_en=rule.name_en, needed_of=rule.needed_of)
            for rule in queries.document_kinds(session, on)
        ],
    )


@public.get("/counties", allow=PUBLIC, answers={200: SellingCountiesOut})
def list_selling_counties(session: Session, now: datetime) -> SellingCountiesOut:
    """The counties whose sellers were admitted and may sell today, with how many there are."""
    return SellingCountiesOut(
        items=[
            SellingCountyOut(code=row.code, name=row.name, sellers=row.sellers)
            for row in queries.selling_counties(session, business_day(now))
        ]
    )


@public.post(
    "/applications",
    allow=PUBLIC,
    answers={201: AppliedOut},
    refusals=(Invalid, NoTextMessages, applying.CountyNotAdmitted, TooMany),
)
def apply_to_sell(body: Apply) -> AppliedOut:
    """Begin an application from nothing.

    Makes the organisation and a draft, and sends a link to its first member, known here or not: who accepts by it fills
    the draft in. Until then a new application with the same code takes the place of this one.
    """

    def apply(session: Session) -> AppliedOut:
        made = applying.apply(session, wanted=body, now=business_now(session))
        return AppliedOut(id=made.id, organisation_id=made.organisation_id, status=made.status)

    return in_unit_of_work(apply)


@own.get("/application", allow=member, answers={200: ApplicationOut}, refusals=(NotFound,))
def read_own_application(session: Session, actor: Actor, now: datetime) -> ApplicationOut:
    """The organisation's newest application with what it lacks and what was said of it."""
    return own_application(session, actor, now)


@own.patch(
    "/application",
    allow=applicant,
    answers={200: ApplicationOut},
    refusals=(*NOT_NOW, Invalid, applying.CountyNotAdmitted),
    key=NO_KEY,
)
def change_application(session: Session, actor: Actor, now: datetime, body: ChangeApplication) -> ApplicationOut:
    """Correct the statement, and before admission the names and the county."""
    applying.change(session, by=actor, wanted=body, now=now)
    return own_application(session, actor, now)


@own.put(
    "/application/capacities", allow=applicant, answers={200: ApplicationOut}, refusals=(*NOT_NOW, Invalid), key=NO_KEY
)
def declare_capacities(session: Session, actor: Actor, now: datetime, body: DeclareCapacities) -> ApplicationOut:
    """Declare the yearly capacity of every product, in place of what was declared before."""
    applying.declare(session, by=actor, items=body.items, now=now)
    return own_application(session, actor, now)


@own.post(
    "/application/documents",
    allow=applicant,
    answers={201: ApplicationOut},
    refusals=(*NOT_NOW, Invalid, applying.BankPaperByHelper, uploading.UnsupportedFile, Busy),
    raw_body=True,
    calls_out=True,
    max_body=uploading.MAX_FILE,
)
def add_application_document(actor: Actor, now: datetime, query: DocumentQuery, raw: bytes) -> ApplicationOut:
    """Add a document: the body is the PDF, JPEG or PNG itself, of at most 5 MB; the same again is added once.

    A helper adds none of the bank account.
    """
    work_of(actor, lambda session: applying.check_kind(session, by=actor, kind=query.kind, now=now))
    file_id = uploading.upload(by=actor, name=query.name, data=raw)

    def add(session: Session) -> ApplicationOut:
        applying.add_document(
            session, by=actor, kind=query.kind, file_id=file_id, valid_until=query.valid_until, now=now
        )
        return own_application(session, actor, now)

    return work_of(actor, add)


@own.delete(
    "/application/documents/<document_id>",
    allow=applicant,
    answers={200: ApplicationOut},
    refusals=(*NOT_NOW, applying.BankPaperByHelper),
    key=NO_KEY,
)
def remove_application_document(
    session: Session, actor: Actor, now: datetime, document_id: DocumentId
) -> ApplicationOut:
    """Take a document off the application."""
    applying.remove_document(session, by=actor, document_id=document_id, now=now)
    return own_application(session, actor, now)


@own.post(
    "/application/submit",
    allow=applicant,
    answers={200: ApplicationOut},
    refusals=(*NOT_NOW, applying.ApplicationIncomplete, applying.CountyNotAdmitted, applying.NoStepsInForce),
    key=NO_KEY,
)
def submit_application(session: Session, actor: Actor, now: datetime) -> ApplicationOut:
    """Hand the application in for review, from its first step."""
    applying.submit(session, by=actor, now=now)
    return own_application(session, actor, now)


@own.post(
    "/application/begin-again",
    allow=applicant,
    answers={201: ApplicationOut},
    refusals=(Invalid, applying.ApplicationOpen, applying.RenewalNotDue, applying.CountyNotAdmitted),
    key=NO_KEY,
)
def begin_application_again(session: Session, actor: Actor, now: datetime) -> ApplicationOut:
    """Begin the yearly re-check, or a new application after a rejection or a revocation, with what still holds."""
    applying.begin_again(session, by=actor, now=now)
    return own_application(session, actor, now)


@own.get("/selling-right", allow=member, answers={200: SellerOut})
def read_own_selling_right(session: Session, actor: Actor) -> SellerOut:
    """The organisation's right to sell, until when, and what happened to it."""
    return seller_out(queries.seller(session, actor.organisation_id))


@files.post(
    "/files",
    allow=ANY_MEMBER,
    answers={201: UploadedOut},
    refusals=(Invalid, uploading.UnsupportedFile, Busy),
    raw_body=True,
    calls_out=True,
    max_body=uploading.MAX_FILE,
)
def upload_file(actor: Actor, query: FileQuery, raw: bytes) -> UploadedOut:
    """Upload a photo or a paper (PDF, JPEG, PNG, at most 5 MB), to be named within a day by what it belongs to."""
    file_id: UUID = uploading.upload(by=actor, name=query.name, data=raw)
    return UploadedOut(id=file_id)
