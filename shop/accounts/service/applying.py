"""Apply for the right to sell: begin from nothing, fill in, hand in; and the yearly re-check."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from shop.accounts import queries_admission as queries
from shop.accounts.models import Kind, Organisation
from shop.accounts.models_admission import (
    ENDED,
    FILLED_IN,
    Application,
    ApplicationDocument,
    ApplicationStatus,
    DeclaredCapacity,
    Purpose,
    WrongApplicationStatus,
)
from shop.accounts.schemas_admission import Apply, CapacityIn, ChangeApplication
from shop.accounts.service import inviting, registering
from shop.actor import NOBODY, Actor, Audience, Role
from shop.audit import service as audit
from shop.clock import business_day
from shop.db import unless_taken
from shop.errors import Invalid, NotFound, Refusal
from shop.files import service as files
from shop.http.parsing import fault
from shop.ids import new_id
from shop.money import half_up
from shop.outbox import service as outbox
from shop.regions import service as regions

FIRST_ROLES = [Role.MANAGER, Role.LISTER, Role.SHIPPER, Role.SELLER_FINANCE]
RENEWAL_OPENS: Sequence[tuple[date, timedelta]] = ((date(1996, 1, 1), timedelta(days=90)),)
"""From which day on the re-check may begin how long before the right ends; the last one that has begun counts."""
MOST_DOCUMENTS = 50
OF_THE_BANK = frozenset({"bank_permit"})
"""The kinds of documents that say which bank account is the seller's."""


class CountyNotAdmitted(Refusal):
    code, status = "county_not_admitted", 409
    title, title_zh = "No list admits sellers of this county today.", "该县目前不在可入驻名单内。"


class ApplicationIncomplete(Invalid):
    """Every part that is missing is named by its pointer."""

    code, status = "application_incomplete", 409
    title, title_zh = "The application is not complete.", "申请材料不完整。"


class ApplicationOpen(Refusal):
    code, status = "application_open", 409
    title, title_zh = "There is an open application already.", "已有进行中的申请。"


class RenewalNotDue(Refusal):
    """The re-check begins at most so long before the right ends: from the day `opens_on`."""

    code, status = "renewal_not_due", 409
    title, title_zh = "It is too early for the yearly re-check.", "尚未到年度复核时间。"


class NoStepsInForce(Refusal):
    code, status = "admission_closed", 409
    title, title_zh = "Nobody reviews applications at the moment.", "目前暂不受理入驻申请。"


class BankPaperByHelper(Refusal):
    """A helper enters for a cooperative, and never what says which bank account is its own."""

    code, status = "bank_paper_by_helper", 403
    title, title_zh = (
        "A helper does not enter papers of the bank account.",
        "协助人员不能代办银行账户材料。",
    )


def admitted_county(session: Session, code: str, on: date, pointer: str) -> None:
    """Refuse what is no county of today, or a county that no list admits."""
    if not regions.is_county(session, code, on):
        raise Invalid("This code is no county on this day.", pointer=pointer)
    if not regions.admits(session, code, on):
        raise CountyNotAdmitted(pointer=pointer)


def apply(session: Session, *, wanted: Apply, now: datetime) -> Application:
    """An organisation that applies, its first member invited, and a draft to fill in."""
    party = wanted.organisation
    admitted_county(session, party.division_code, business_day(now), "/organisation/division_code")
    try:
        organisation = registering.register(
            session,
            kind=Kind(party.kind),
            name=party.name,
            name_en=party.name_en,
            division_code=party.division_code,
            uscc=party.uscc,
            parent_id=None,
            by=Actor(NOBODY, NOBODY, NOBODY, Audience.COOPERATIVE, frozenset()),
            now=now,
            applying=True,
        )
    except Invalid as wrong:
        raise Invalid(wrong.detail, pointer=f"/organisation{wrong.pointer}") from wrong
    inviting.invite_first(session, organisation_id=organisation.id, member=wanted.member, roles=FIRST_ROLES, now=now)
    by = Actor(NOBODY, NOBODY, organisation.id, Audience.COOPERATIVE, frozenset())
    return begin(session, organisation.id, Purpose.ADMISSION, wanted.linkage, by=by, now=now)


def begin(
    session: Session, organisation_id: UUID, purpose: Purpose, linkage: str, *, by: Actor, now: datetime
) -> Application:
    application = Application(organisation_id=organisation_id, purpose=purpose, linkage=linkage, created_at=now)
    session.add(application)
    session.flush()
    audit.record(session, by=by, action="application.begun", kind="application", subject=application.id, now=now)
    return application


def begin_again(session: Session, *, by: Actor, now: datetime) -> Application:
    """The yearly re-check of a seller, or a new application of one that was rejected or whose right was revoked.

    What was declared last and the documents that still hold are carried over, to be looked at again.
    """
    today = business_day(now)
    organisation = session.scalars(
        select(Organisation)
        .where(Organisation.id == by.organisation_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    last = session.scalars(
        select(Application)
        .where(Application.organisation_id == organisation.id)
        .order_by(Application.id.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    ).first()
    if last is not None and last.status not in ENDED:
        raise ApplicationOpen
    if organisation.status == "rejected":
        with unless_taken(session, Invalid("Another organisation has this code now.", pointer="")):
            organisation.status = "applying"
    purpose = Purpose.ADMISSION
    if organisation.selling_until is not None:
        purpose = Purpose.RENEWAL
        opens_on = organisation.selling_until - [span for since, span in RENEWAL_OPENS if since <= today][-1]
        if today < opens_on:
            raise RenewalNotDue(opens_on=opens_on.isoformat())
    admitted_county(session, organisation.division_code, today, "")
    made = begin(session, organisation.id, purpose, last.linkage if last else "", by=by, now=now)
    if last is not None:
        carry_over(session, last.id, made, today)
    return made


def carry_over(session: Session, from_id: UUID, to: Application, today: date) -> None:
    """Copy capacities and the documents that still hold into a new application."""
    found = queries.parts(session, from_id)
    session.add_all(
        DeclaredCapacity(application_id=to.id, **{name: getattr(old, name) for name in ("organisation_id", *DECLARED)})
        for old in found.capacities
    )
    session.add_all(
        ApplicationDocument(
            application_id=to.id,
            **{name: getattr(old, name) for name in ("kind", "file_id", "sha256", "valid_until", "added_at")},
        )
        for old, _ in found.documents
        if old.file_id and (old.valid_until is None or old.valid_until > today)
    )
    session.flush()


DECLARED = (
    "product_name", "category", "area_mu_hundredths", "heads", "yield_grams", "households", "grams_per_year",
    "evidence",
)  # fmt: skip


def in_hand(session: Session, by: Actor) -> tuple[Application, Organisation]:
    """The applicant's application, locked, while it is the applicant's to change."""
    application, organisation = queries.latest(session, by, lock=True)
    if application.status not in FILLED_IN:
        raise WrongApplicationStatus(application_status=application.status)
    return application, organisation


def change(session: Session, *, by: Actor, wanted: ChangeApplication, now: datetime) -> None:
    """Correct what was said of the organisation (before it is admitted) and of how farmers benefit."""
    application, organisation = in_hand(session, by)
    given = wanted.model_dump(exclude_none=True)
    linkage = given.pop("linkage", None)
    if linkage is not None:
        application.linkage = linkage
    if given and organisation.status != "applying":
        raise WrongApplicationStatus("An organisation is renamed or moved before it is admitted only.")
    if "division_code" in given:
        admitted_county(session, given["division_code"], business_day(now), "/division_code")
    for name, value in given.items():
        setattr(organisation, name, value)
    session.flush()
    record(session, application, "application.changed", by, now, fields=sorted(wanted.model_fields_set))


def declare(session: Session, *, by: Actor, items: Sequence[CapacityIn], now: datetime) -> None:
    """Replace the declared yearly capacities; Invalid names each that is not its area or heads times its yield."""
    application, _ = in_hand(session, by)
    faults = []
    seen: set[tuple[str, str]] = set()
    for place, item in enumerate(items):
        grams = grams_of(item)
        if item.grams_per_year != grams:
            told = fault(f"/items/{place}/grams_per_year", "capacity_mismatch", f"size times yield is {grams} grams")
            faults.append(told | {"expected": grams})
        if (item.product_name, item.category) in seen:
            faults.append(fault(f"/items/{place}/product_name", "repeated", "this product is declared already"))
        seen.add((item.product_name, item.category))
    if faults:
        raise Invalid(errors=faults)
    session.execute(delete(DeclaredCapacity).where(DeclaredCapacity.application_id == application.id))
    session.execute(
        insert(DeclaredCapacity),
        [
            {
                "id": new_id(),
                "application_id": application.id,
                "organisation_id": by.organisation_id,
                "current": False,
                **item.model_dump(),
            }
            for item in items
        ],
    )
    record(session, application, "application.capacities", by, now, products=len(items))


def grams_of(item: CapacityIn) -> int:
    """What a year gives, by size and yield, to the nearest gram."""
    if item.heads is not None:
        return item.heads * item.yield_grams
    return half_up((item.area_mu_hundredths or 0) * item.yield_grams, 100)


def check_kind(session: Session, *, by: Actor, kind: str, now: datetime) -> None:
    """Refuse a document before its bytes are taken in: of no kind that is asked for, or when nothing is to be added."""
    application, _ = in_hand(session, by)
    refuse_helper(by, kind, "/query/kind")
    known = [rule.kind for rule in queries.document_kinds(session, business_day(now))]
    if kind not in known:
        raise Invalid(f"Documents are: {', '.join(known)}.", pointer="/query/kind")
    if len(queries.parts(session, application.id).documents) >= MOST_DOCUMENTS:
        raise Invalid(f"An application has at most {MOST_DOCUMENTS} documents.", pointer="/query/kind")


def refuse_helper(by: Actor, kind: str, pointer: str | None = None) -> None:
    if by.mandate_id is not None and kind in OF_THE_BANK:
        raise BankPaperByHelper(pointer=pointer)


def add_document(
    session: Session, *, by: Actor, kind: str, file_id: UUID, valid_until: date | None, now: datetime
) -> None:
    """Put an uploaded file to the application; the same bytes of the same kind again are the same document."""
    application, _ = in_hand(session, by)
    check_kind(session, by=by, kind=kind, now=now)
    if valid_until is not None and valid_until <= business_day(now):
        raise Invalid("This document holds no more.", pointer="/query/valid_until")
    kept = files.keep(session, organisation_id=by.organisation_id, file_ids={file_id})[file_id]
    known = session.scalars(
        select(ApplicationDocument).where(
            ApplicationDocument.application_id == application.id,
            ApplicationDocument.kind == kind,
            ApplicationDocument.sha256 == kept.sha256,
        )
    ).first()
    if known is not None:
        known.valid_until = valid_until
        if known.file_id is None:
            known.file_id = file_id
        elif known.file_id != file_id:
            files.let_go(session, file_id)
    else:
        session.add(
            ApplicationDocument(
                application_id=application.id,
                kind=kind,
                file_id=file_id,
                sha256=kept.sha256,
                valid_until=valid_until,
                added_at=now,
            )
        )
    session.flush()
    record(session, application, "application.document_added", by, now, document=kind, file_id=file_id.hex)


def remove_document(session: Session, *, by: Actor, document_id: UUID, now: datetime) -> None:
    """Take a document off the application, as long as it is in the applicant's hands."""
    application, _ = in_hand(session, by)
    gone = session.execute(
        delete(ApplicationDocument)
        .where(ApplicationDocument.id == document_id, ApplicationDocument.application_id == application.id)
        .returning(ApplicationDocument.kind, ApplicationDocument.file_id)
    ).first()
    if gone is None:
        raise NotFound("No such document.")
    refuse_helper(by, gone[0])
    if gone[1] is not None:
        files.let_go(session, gone[1])
    record(session, application, "application.document_removed", by, now, document=gone[0])


def submit(session: Session, *, by: Actor, now: datetime) -> None:
    """Hand the application in, or refuse with all that is missing.

    Every round begins with the first step, also after a return from a later one: what was corrected is what each office
    before had vouched for.
    """
    application, organisation = in_hand(session, by)
    today = business_day(now)
    lacking = queries.missing(session, application, organisation.kind, queries.parts(session, application.id), today)
    if lacking:
        raise ApplicationIncomplete(errors=[fault(pointer, "missing", words) for pointer, words in lacking])
    admitted_county(session, organisation.division_code, today, "/division_code")
    steps = [rule.code for rule in queries.steps_on(session, today)]
    if not steps:
        raise NoStepsInForce
    application.status = ApplicationStatus.SUBMITTED
    application.steps, application.step = steps, steps[0]
    application.round += 1
    application.submitted_at = now
    session.flush()
    record(session, application, "application.submitted", by, now, round=application.round)
    outbox.announce(session, "application.submitted", now=now, seen_by=[organisation.id], application_id=application.id)


def record(session: Session, application: Application, action: str, by: Actor, now: datetime, **change: Any) -> None:
    audit.record(session, by=by, action=action, kind="application", subject=application.id, now=now, **change)
