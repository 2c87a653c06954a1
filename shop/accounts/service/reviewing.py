"""Decide the steps of applications, one by one or many at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.accounts import queries_admission as queries
from shop.accounts.models import Organisation
from shop.accounts.models_admission import Application, ApplicationReview, ApplicationStatus
from shop.accounts.schemas_admission import ApplicantOut, CapacityOut, DecideOne, Decision, DocumentOut
from shop.accounts.service import granting
from shop.accounts.service.applying import ApplicationIncomplete
from shop.actor import Actor, Role
from shop.audit import service as audit
from shop.clock import business_day
from shop.errors import Forbidden, Invalid, Refusal
from shop.files import service as files
from shop.http.parsing import fault
from shop.outbox import service as outbox


class StepDecided(Refusal):
    """The step was decided meanwhile; `step` is the one that the application waits for now, if any."""

    code, status = "step_decided", 409
    title, title_zh = "This step has been decided already.", "该步骤已有审核结论。"


class StepNotOpen(Refusal):
    """Nobody has decided this step: the application waits for another one, which `step` names, or for the applicant."""

    code, status = "step_not_open", 409
    title, title_zh = "This step is not open to be decided.", "该步骤尚未进入审核。"


class NotYourStep(Forbidden):
    code, status = "not_your_step", 403
    title, title_zh = "This step is another office's to decide.", "该步骤不由您所在单位审核。"


class OwnRecommendation(Forbidden):
    code, status = "own_recommendation", 403
    title, title_zh = (
        "Nobody recommends an organisation of their own, or one whose entry they assisted.",
        "不得审核本单位或本人协助录入单位的申请。",
    )


class DecidedBefore(Refusal):
    code, status = "officer_decided_before", 409
    title, title_zh = "Another officer decides this step: you have decided one.", "您已审核过其他步骤，须由他人审核。"


def decide(session: Session, *, application_id: UUID, wanted: Decision, by: Actor, now: datetime) -> None:
    """Approve the step that an application waits for, return it or reject it; the last approval grants the right.

    Two who decide the same step at once are two who ask for the same row: one decides, the other reads StepDecided.
    """
    application, organisation = queries.application(session, by, application_id, lock=True)
    refuse_step(session, application, wanted)
    decided_by = refuse_others(session, application, organisation, by)
    if wanted.decision == "reject" and decided_by is not Role.OPERATOR:
        raise Invalid("The county returns an application; the platform may reject it.", pointer="/decision")
    if wanted.fields:
        refuse_pointers(session, application, wanted, business_day(now))
    photos = sorted(set(wanted.photo_file_ids))
    if photos:
        files.keep(session, organisation_id=by.organisation_id, file_ids=photos, pointer="/photo_file_ids")
    session.add(
        ApplicationReview(
            application_id=application.id,
            round=application.round,
            step=wanted.step,
            decision=wanted.decision,
            reason=wanted.reason,
            fields=[field.model_dump() for field in wanted.fields],
            officer_name=wanted.officer_name,
            office=wanted.office,
            photo_file_ids=photos,
            user_id=by.user_id,
            organisation_id=by.organisation_id,
            at=now,
        )
    )
    if wanted.decision == "return":
        application.status, application.step = ApplicationStatus.RETURNED, None
        told = "application.returned"
    elif wanted.decision == "reject":
        application.status, application.step, application.decided_at = ApplicationStatus.REJECTED, None, now
        if organisation.status == "applying":  # and no other: who sells, sells until its right ends or is taken away
            organisation.status = "rejected"
        told = "application.rejected"
    else:
        told = approve(session, application, organisation, by=by, now=now)
    session.flush()
    audit.record(
        session, by=by, action=f"application.{wanted.decision}", kind="application", subject=application.id, now=now,
        step=wanted.step, round=application.round,
    )  # fmt: skip
    outbox.announce(session, told, now=now, seen_by=[organisation.id], application_id=application.id)


def refuse_step(session: Session, application: Application, wanted: Decision) -> None:
    """Refuse a step or round that the application does not have, or that it does not wait for."""
    if wanted.step not in application.steps:
        raise Invalid(f"The steps of this application are: {', '.join(application.steps)}.", pointer="/step")
    if wanted.round is not None and wanted.round > application.round:
        raise Invalid(f"The application is in its round {application.round}.", pointer="/round")
    asked = wanted.round or application.round
    if application.status == ApplicationStatus.SUBMITTED and (application.round, application.step) == (
        asked,
        wanted.step,
    ):
        return
    decided = session.scalar(
        select(ApplicationReview.id).where(
            ApplicationReview.application_id == application.id,
            ApplicationReview.round == asked,
            ApplicationReview.step == wanted.step,
        )
    )
    refusal = StepDecided if decided else StepNotOpen
    raise refusal(
        pointer="/step", application_status=application.status, step=application.step, round=application.round
    )


SHOWN = {  # what an officer may point at in an application: its own words, and those of its parts
    "organisation": frozenset(ApplicantOut.model_fields),
    "capacities": frozenset(CapacityOut.model_fields),
    "documents": frozenset(DocumentOut.model_fields),
}
WORDS = frozenset({"linkage", "name", "name_en", "division_code", *SHOWN})


def refuse_pointers(session: Session, application: Application, wanted: Decision, on: date) -> None:
    """Refuse fields that the application does not show, each named; a document is named by its place or its kind."""
    found = queries.parts(session, application.id)
    asked = queries.document_kinds(session, queries.ruled_on(application, on))
    kinds = {rule.kind for rule in asked} | {one.kind for one, _ in found.documents}
    counts = {"capacities": len(found.capacities), "documents": len(found.documents)}
    faults = []
    for place, field in enumerate(wanted.fields):
        first, *rest = field.pointer[1:].split("/")
        there = first in WORDS and (first in SHOWN or not rest)
        if there and first in counts and rest:
            number, *rest = rest
            known = number.isdecimal() and number.isascii() and int(number) < counts[first]
            there = known or (first == "documents" and number in kinds)
        there = there and (not rest or rest[0] in SHOWN[first])
        if not there:
            faults.append(fault(f"/fields/{place}/pointer", "no_such_field", "the application shows no such field"))
    if faults:
        raise Invalid(errors=faults)


def refuse_others(session: Session, application: Application, organisation: Organisation, by: Actor) -> Role:
    """Refuse whoever may see the application but not decide this step of it; gives the role that decides it."""
    rule = queries.step_rule(
        session, application.step or "", business_day(application.submitted_at or application.created_at)
    )
    role = Role(rule.decided_by)
    if not by.has(role) or (role is Role.COUNTY_REVIEWER and not queries.in_region(by, organisation.division_code)):
        raise NotYourStep(
            f"It is decided by the role {role}.",
            step=application.step,
            decided_by=role,
        )
    if queries.is_own(session, by.user_id, organisation.id):
        raise OwnRecommendation
    other = session.scalars(
        select(ApplicationReview.id).where(
            ApplicationReview.application_id == application.id,
            ApplicationReview.user_id == by.user_id,
            ApplicationReview.step != application.step,
        )
    ).first()
    if other is not None:
        raise DecidedBefore
    return role


def approve(session: Session, application: Application, organisation: Organisation, *, by: Actor, now: datetime) -> str:
    """Let the application go on to its next step, or grant; gives the event that tells of it."""
    following = application.steps[application.steps.index(application.step or "") + 1 :]
    if following:
        application.step = following[0]
        return "application.step_approved"
    today = business_day(now)
    lacking = queries.missing(session, application, organisation.kind, queries.parts(session, application.id), today)
    if lacking:  # a document that held when it was handed in may have lapsed since
        raise ApplicationIncomplete(errors=[fault(pointer, "missing", words) for pointer, words in lacking])
    application.status, application.step, application.decided_at = ApplicationStatus.APPROVED, None, now
    session.flush()
    granting.grant(session, application=application, by=by, now=now)
    return "application.approved"


@dataclass(frozen=True)
class Outcome:
    """What became of one decision of many: done, or refused with its reason."""

    application_id: UUID
    refusal: Refusal | None


def decide_many(session: Session, *, decisions: Sequence[DecideOne], by: Actor, now: datetime) -> list[Outcome]:
    """Decide each in a savepoint of its own, so that one that is refused leaves the others alone; in the given order.

    Rows are locked in the order of their ids, whatever the order of the list.
    """
    outcomes: dict[UUID, Outcome] = {}
    for one in sorted(decisions, key=lambda one: one.application_id):
        try:
            with session.begin_nested():
                decide(session, application_id=one.application_id, wanted=one, by=by, now=now)
            outcomes[one.application_id] = Outcome(one.application_id, None)
        except Refusal as refusal:
            outcomes[one.application_id] = Outcome(one.application_id, refusal)
    return [outcomes[one.application_id] for one in decisions]
