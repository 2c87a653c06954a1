"""Which applications somebody may look at, and what belongs to one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, false, func, or_, select
from sqlalchemy.orm import Session

from shop.accounts.models import SELLERS, Kind, Membership, Organisation
from shop.accounts.models_admission import (
    FILLED_IN,
    Application,
    ApplicationDocument,
    ApplicationReview,
    ApplicationStatus,
    DeclaredCapacity,
    DocumentRule,
    SellingHistory,
    SellingRight,
    SellingSuspension,
    StepRule,
)
from shop.accounts.models_mandates import AssistMandate
from shop.actor import Actor, Audience, Role
from shop.clock import business_day
from shop.db import seeing_all
from shop.errors import NotFound
from shop.files.models import StoredFile
from shop.regions.models import Division, ancestors, lies_in

PROCESSED = "processed"


def in_region(actor: Actor, county_code: str) -> bool:
    """Whether a county lies in what a reviewer may look into: the county itself, its prefecture or its province."""
    return not set(ancestors(county_code)).isdisjoint(actor.regions)


def of_regions(actor: Actor) -> Any:
    """`in_region` as a condition on organisations."""
    return lies_in(Organisation.division_code, actor.regions)


def visible_applications(actor: Actor) -> Select[Application, Organisation]:
    """Applications with their organisations that this actor may know of.

    An applicant sees its own, an operator all that were handed in, a county reviewer those of the reviewer's counties.
    """
    wanted = select(Application, Organisation).join(Organisation, Organisation.id == Application.organisation_id)
    if actor.audience is Audience.COOPERATIVE:
        return wanted.where(Application.organisation_id == actor.organisation_id)
    handed_in = wanted.where(Application.status != ApplicationStatus.DRAFT)
    if actor.audience is Audience.ADMIN and actor.has(Role.OPERATOR):
        return handed_in
    if actor.audience is Audience.ADMIN and actor.has(Role.COUNTY_REVIEWER):
        return handed_in.where(of_regions(actor))
    return wanted.where(false())


def application(
    session: Session, actor: Actor, application_id: UUID, *, lock: bool = False
) -> tuple[Application, Organisation]:
    """One application as it stands, kept so until the commit when it is to change; NotFound when it is another's."""
    wanted = visible_applications(actor).where(Application.id == application_id)
    if lock:
        wanted = wanted.with_for_update(of=Application)
    row = session.execute(wanted.execution_options(populate_existing=True)).first()
    if row is None:
        raise NotFound("No such application.")
    return row[0], row[1]


def latest(session: Session, actor: Actor, *, lock: bool = False) -> tuple[Application, Organisation]:
    """The applicant's newest application; NotFound for who never applied."""
    wanted = visible_applications(actor).order_by(Application.id.desc()).limit(1)
    if lock:
        wanted = wanted.with_for_update(of=Application)
    row = session.execute(wanted.execution_options(populate_existing=True)).first()
    if row is None:
        raise NotFound("There is no application.")
    return row[0], row[1]


def queue(
    session: Session, actor: Actor, *, status: str | None, step: str | None, after: UUID | None, limit: int
) -> Sequence[Any]:
    """Applications with organisations, oldest first, one more than the limit when there are more."""
    wanted = visible_applications(actor).order_by(Application.id).limit(limit + 1)
    if status:
        wanted = wanted.where(Application.status == status)
    if step:
        wanted = wanted.where(Application.step == step)
    if after:
        wanted = wanted.where(Application.id > after)
    return session.execute(wanted).all()


def decisions(session: Session, actor: Actor, *, before: UUID | None, limit: int) -> Sequence[ApplicationReview]:
    """What was decided of the applications that the actor may see, newest first, one more than the limit."""
    seen = visible_applications(actor).with_only_columns(Application.id)
    wanted = select(ApplicationReview).where(ApplicationReview.application_id.in_(seen))
    if before:
        wanted = wanted.where(ApplicationReview.id < before)
    return session.scalars(wanted.order_by(ApplicationReview.id.desc()).limit(limit + 1)).all()


@dataclass(frozen=True)
class Parts:
    """What belongs to an application: capacities, documents with files, reviews with the files of their photos."""

    capacities: Sequence[DeclaredCapacity]
    documents: Sequence[tuple[ApplicationDocument, StoredFile | None]]
    reviews: Sequence[ApplicationReview]
    photos: dict[UUID, StoredFile]


def parts(session: Session, application_id: UUID) -> Parts:
    """Everything of an application, in four statements."""
    capacities = session.scalars(
        select(DeclaredCapacity)
        .where(DeclaredCapacity.application_id == application_id)
        .order_by(DeclaredCapacity.product_name, DeclaredCapacity.category)
        .execution_options(populate_existing=True)
    ).all()
    documents = session.execute(
        select(ApplicationDocument, StoredFile)
        .outerjoin(StoredFile, StoredFile.id == ApplicationDocument.file_id)
        .where(ApplicationDocument.application_id == application_id)
        .order_by(ApplicationDocument.kind, ApplicationDocument.id)
    ).all()
    reviews = session.scalars(
        select(ApplicationReview)
        .where(ApplicationReview.application_id == application_id)
        .order_by(ApplicationReview.id)
    ).all()
    wanted = {file_id for review in reviews for file_id in review.photo_file_ids}
    with seeing_all(session):  # the photos are the offices' files, and shown to the applicant with what was said
        photos = session.scalars(select(StoredFile).where(StoredFile.id.in_(wanted))).all() if wanted else []
    return Parts(capacities, [(row[0], row[1]) for row in documents], reviews, {file.id: file for file in photos})


def selling_counties(session: Session, on: date) -> Sequence[Any]:
    """The counties in which somebody may sell on a day, with how many do, in the order of their codes."""
    return session.execute(
        select(
            Organisation.division_code.label("code"),
            func.max(Division.name).label("name"),
            func.count(Organisation.id.distinct()).label("sellers"),
        )
        .outerjoin(
            Division,
            and_(
                Division.code == Organisation.division_code,
                Division.valid_from <= on,
                or_(Division.valid_to.is_(None), Division.valid_to > on),
            ),
        )
        .where(
            Organisation.kind.in_(SELLERS),
            Organisation.status == "active",
            Organisation.selling_until > on,
        )
        .group_by(Organisation.division_code)
        .order_by(Organisation.division_code)
    ).all()


def steps_on(session: Session, on: date) -> Sequence[StepRule]:
    """The steps in force on a day, in their order."""
    return session.scalars(select(StepRule).where(StepRule.valid.contains(on)).order_by(StepRule.position)).all()


def step_rule(session: Session, code: str, on: date) -> StepRule:
    """The rule of a step as it was on a day."""
    return session.scalars(select(StepRule).where(StepRule.code == code, StepRule.valid.contains(on))).one()


def document_kinds(session: Session, on: date) -> Sequence[DocumentRule]:
    """Every kind of document that may be asked for on a day."""
    return session.scalars(
        select(DocumentRule).where(DocumentRule.valid.contains(on)).order_by(DocumentRule.kind)
    ).all()


def ruled_on(application: Application, today: date) -> date:
    """The day whose rules an application goes by: that on which it was handed in, today while it is filled in."""
    if application.submitted_at is None or application.status in FILLED_IN:
        return today
    return business_day(application.submitted_at)


def missing(session: Session, application: Application, kind: str, found: Parts, on: date) -> list[tuple[str, str]]:
    """What an application lacks on a day, as pointers with a sentence; a document that has lapsed is lacking.

    Which documents it needs does not change while it is under review.
    """
    lacking = []
    if not application.linkage.strip():
        lacking.append(("/linkage", "say how farmers benefit"))
    if not found.capacities:
        lacking.append(("/capacities", "declare the yearly capacity of at least one product"))
    held = {d.kind for d, _ in found.documents if d.file_id and (d.valid_until is None or d.valid_until > on)}
    needed_of = {"everybody"}
    if any(capacity.category == PROCESSED for capacity in found.capacities):
        needed_of.add("processors")
    if kind == Kind.AGENT:
        needed_of.add("agents")
    return lacking + [
        (f"/documents/{rule.kind}", f"{rule.name} / {rule.name_en}")
        for rule in document_kinds(session, ruled_on(application, on))
        if rule.needed_of in needed_of and rule.kind not in held
    ]


def is_own(session: Session, user_id: UUID, organisation_id: UUID) -> bool:
    """Whether a person belongs to an organisation, or was ever given a mandate to enter for it."""
    member = select(Membership.id).where(Membership.user_id == user_id, Membership.organisation_id == organisation_id)
    helper = select(AssistMandate.id).where(
        AssistMandate.helper_user_id == user_id, AssistMandate.cooperative_id == organisation_id
    )
    return bool(session.scalar(select(or_(member.exists(), helper.exists()))))


def has_decided(session: Session, user_id: UUID, organisation_id: UUID) -> bool:
    """Whether a person ever decided a step of an application of this organisation."""
    decided = (
        select(ApplicationReview.id)
        .join(Application, Application.id == ApplicationReview.application_id)
        .where(ApplicationReview.user_id == user_id, Application.organisation_id == organisation_id)
    )
    return bool(session.scalar(select(decided.exists())))


@dataclass(frozen=True)
class Seller:
    """A seller with its right: the newest one, the suspension that is open, and what happened, newest first."""

    organisation: Organisation
    right: SellingRight | None
    suspension: SellingSuspension | None
    history: Sequence[SellingHistory]


def seller(session: Session, organisation_id: UUID, *, sees: Any = None) -> Seller:
    """A seller's right to sell; NotFound for what is no seller, or outside the condition `sees`."""
    wanted = select(Organisation).where(Organisation.id == organisation_id)
    if sees is not None:
        wanted = wanted.where(sees)
    organisation = session.scalars(wanted.execution_options(populate_existing=True)).first()
    if organisation is None:
        raise NotFound("No such seller.")
    right = session.scalars(
        select(SellingRight)
        .where(SellingRight.organisation_id == organisation_id)
        .order_by(SellingRight.id.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    ).first()
    suspension = session.scalars(
        select(SellingSuspension)
        .where(SellingSuspension.organisation_id == organisation_id, SellingSuspension.ended_at.is_(None))
        .execution_options(populate_existing=True)
    ).first()
    history = session.scalars(
        select(SellingHistory)
        .where(SellingHistory.organisation_id == organisation_id)
        .order_by(SellingHistory.id.desc())
        .limit(100)
    ).all()
    return Seller(organisation, right, suspension, history)
