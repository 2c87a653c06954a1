"""Admission of sellers: applications with their capacities, documents and reviews, the steps, and the selling right."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, LargeBinary, Text, UniqueConstraint, Uuid, func, text
from sqlalchemy.dialects.postgresql import DATERANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column
from shop.errors import Refusal
from shop.files.models import StoredFile


class ApplicationStatus(StrEnum):
    DRAFT = "draft"
    SUBMITTED = "submitted"
    RETURNED = "returned"
    APPROVED = "approved"
    REJECTED = "rejected"


NEXT = {  # the whole life of an application
    ApplicationStatus.DRAFT: {ApplicationStatus.SUBMITTED},
    ApplicationStatus.SUBMITTED: {ApplicationStatus.RETURNED, ApplicationStatus.APPROVED, ApplicationStatus.REJECTED},
    ApplicationStatus.RETURNED: {ApplicationStatus.SUBMITTED},
    ApplicationStatus.APPROVED: set(),
    ApplicationStatus.REJECTED: set(),
}
ENDED = frozenset({ApplicationStatus.APPROVED, ApplicationStatus.REJECTED})
FILLED_IN = frozenset({ApplicationStatus.DRAFT, ApplicationStatus.RETURNED})
"""While an application is in the applicant's hands."""


class Purpose(StrEnum):
    """What is asked for: the first right to sell, or its yearly re-check."""

    ADMISSION = "admission"
    RENEWAL = "renewal"


class WrongApplicationStatus(Refusal):
    code, status = "wrong_application_status", 409
    title, title_zh = "This application cannot do that now.", "该申请当前状态不允许此操作。"


class StepRule(Model):
    """A step of the review, from a day to a day: who decides it, and in which order it comes."""

    __tablename__ = "admission_step_rule"
    __table_args__ = (
        CheckConstraint("decided_by IN ('county_reviewer', 'operator')", name="decided_by"),
        CheckConstraint("position > 0", name="position"),
        ExcludeConstraint(("code", "="), ("valid", "&&"), name="ex_admission_step_rule_one_at_a_time", using="gist"),
        ExcludeConstraint(
            ("position", "="), ("valid", "&&"), name="ex_admission_step_rule_one_in_a_place", using="gist"
        ),
    )

    id: Mapped[UUID] = id_column()
    code: Mapped[str]
    name: Mapped[str]
    name_en: Mapped[str]
    decided_by: Mapped[str]
    position: Mapped[int]
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)


class DocumentRule(Model):
    """A document that is asked for from a day to a day: of everybody, of who sells processed food, of agents.

    `personal`: it shows who somebody is, so its file goes when the written period is over.
    """

    __tablename__ = "admission_document_rule"
    __table_args__ = (
        CheckConstraint("needed_of IN ('everybody', 'processors', 'agents')", name="needed_of"),
        ExcludeConstraint(
            ("kind", "="), ("valid", "&&"), name="ex_admission_document_rule_one_at_a_time", using="gist"
        ),
    )

    id: Mapped[UUID] = id_column()
    kind: Mapped[str]
    name: Mapped[str]
    name_en: Mapped[str]
    needed_of: Mapped[str]
    personal: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)


class Application(Model):
    """An application for the right to sell, one open at a time for an organisation.

    `round` counts submissions, `steps` are the codes of the steps in force when it was last submitted, `step` the one
    that it waits for.
    """

    __tablename__ = "admission_application"
    __table_args__ = (
        CheckConstraint("purpose IN ('admission', 'renewal')", name="purpose"),
        CheckConstraint("status IN ('draft', 'submitted', 'returned', 'approved', 'rejected')", name="status"),
        CheckConstraint("(status = 'submitted') = (step IS NOT NULL)", name="step"),
        CheckConstraint("round >= 0", name="round"),
        Index(
            "ix_admission_application_open",
            "organisation_id",
            unique=True,
            postgresql_where=text("status NOT IN ('approved', 'rejected')"),
        ),
        Index("ix_admission_application_organisation", "organisation_id", "id"),
        Index("ix_admission_application_queue", "status", "step", "id"),
    )

    id: Mapped[UUID] = id_column()
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    purpose: Mapped[str]
    status: Mapped[str] = mapped_column(default=ApplicationStatus.DRAFT)
    linkage: Mapped[str]
    round: Mapped[int] = mapped_column(default=0)
    steps: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list)
    step: Mapped[str | None]
    created_at: Mapped[datetime]
    submitted_at: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]


class DeclaredCapacity(Model):
    """What an applicant can grow of a product in a year: land in hundredths of a mu, or heads, times the yield of each.

    `current`: it is of the application that the present right was granted on.
    """

    __tablename__ = "declared_capacity"
    __table_args__ = (
        CheckConstraint("(area_mu_hundredths IS NULL) <> (heads IS NULL)", name="measured"),
        CheckConstraint("COALESCE(area_mu_hundredths, heads) > 0 AND yield_grams > 0", name="positive"),
        CheckConstraint(
            "grams_per_year = CASE WHEN heads IS NOT NULL THEN heads * yield_grams"
            " ELSE (2 * area_mu_hundredths * yield_grams + 100) / 200 END",
            name="multiplies",
        ),
        CheckConstraint("households >= 0", name="households"),
        UniqueConstraint("application_id", "product_name", "category"),
        Index(
            "ix_declared_capacity_current",
            "organisation_id",
            "product_name",
            "category",
            unique=True,
            postgresql_where=text("current"),
        ),
    )

    id: Mapped[UUID] = id_column()
    application_id: Mapped[UUID] = mapped_column(ForeignKey("admission_application.id"))
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    product_name: Mapped[str]
    category: Mapped[str]
    area_mu_hundredths: Mapped[int | None]
    heads: Mapped[int | None]
    yield_grams: Mapped[int]
    households: Mapped[int]
    grams_per_year: Mapped[int]
    evidence: Mapped[str]
    current: Mapped[bool] = mapped_column(default=False, server_default=text("false"))


class ApplicationDocument(Model):
    """A document of an application. `valid_until`: the first day on which it holds no more, where it has one.

    Without a file it was there, and its file is forgotten.
    """

    __tablename__ = "application_document"
    __table_args__ = (
        UniqueConstraint("application_id", "kind", "sha256"),
        Index("ix_application_document_file", "kind", postgresql_where=text("file_id IS NOT NULL")),
    )

    id: Mapped[UUID] = id_column()
    application_id: Mapped[UUID] = mapped_column(ForeignKey("admission_application.id"))
    kind: Mapped[str]
    file_id: Mapped[UUID | None] = mapped_column(ForeignKey(StoredFile.id))
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    valid_until: Mapped[date | None]
    added_at: Mapped[datetime]


class ApplicationReview(Model):
    """What an officer said of a step, signed with name and office as on the paper; append-only, one for each step of a
    round. The name is forgotten when the written period is over. `fields`: `[{"pointer": …, "reason": …}, …]` where it
    was returned.
    """

    __tablename__ = "application_review"
    __table_args__ = (
        CheckConstraint("decision IN ('approve', 'return', 'reject')", name="decision"),
        UniqueConstraint("application_id", "round", "step"),
        Index("ix_application_review_named", "at", postgresql_where=text("officer_name <> ''")),
    )

    id: Mapped[UUID] = id_column()
    application_id: Mapped[UUID] = mapped_column(ForeignKey("admission_application.id"))
    round: Mapped[int]
    step: Mapped[str]
    decision: Mapped[str]
    reason: Mapped[str]
    fields: Mapped[list[Any]]
    officer_name: Mapped[str]
    office: Mapped[str]
    photo_file_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
    user_id: Mapped[UUID]
    organisation_id: Mapped[UUID]
    at: Mapped[datetime]


class SellingRight(Model):
    """The right to sell, from a day to a day; the next one follows it after the yearly re-check.

    Without an application it was given by the system (demo, tests, sellers from before there was admission).
    """

    __tablename__ = "selling_right"
    __table_args__ = (
        ExcludeConstraint(
            ("organisation_id", "="), ("valid", "&&"), name="ex_selling_right_one_at_a_time", using="gist"
        ),
        Index("ix_selling_right_end", func.upper(text("valid")), postgresql_where=text("ended_at IS NULL")),
    )

    id: Mapped[UUID] = id_column()
    number: Mapped[str] = mapped_column(unique=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    application_id: Mapped[UUID | None] = mapped_column(ForeignKey("admission_application.id"), unique=True)
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)
    granted_at: Mapped[datetime]
    reminded_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class SellingSuspension(Model):
    """A time in which a seller takes no new orders; without `until` it lasts until it is lifted."""

    __tablename__ = "selling_suspension"
    __table_args__ = (
        Index("ix_selling_suspension_open", "organisation_id", unique=True, postgresql_where=text("ended_at IS NULL")),
        Index("ix_selling_suspension_until", "until", postgresql_where=text("ended_at IS NULL")),
    )

    id: Mapped[UUID] = id_column()
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    reason: Mapped[str]
    until: Mapped[date | None]
    began_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class SellingHistory(Model):
    """What happened to a right to sell, append-only."""

    __tablename__ = "selling_history"
    __table_args__ = (
        CheckConstraint(
            "what IN ('granted', 'renewed', 'suspended', 'reinstated', 'revoked', 'reminded', 'expired')", name="what"
        ),
        Index("ix_selling_history_organisation", "organisation_id", "id"),
    )

    id: Mapped[UUID] = id_column()
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    right_id: Mapped[UUID | None] = mapped_column(ForeignKey("selling_right.id"))
    what: Mapped[str]
    reason: Mapped[str | None]
    until: Mapped[date | None]
    by_user_id: Mapped[UUID]
    at: Mapped[datetime]
