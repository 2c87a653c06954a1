"""Requisitions, their lines, the decisions on them, and the rules of who decides."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import DATERANGE, Range
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column
from shop.errors import Refusal


class RequisitionStatus(StrEnum):
    DRAFT = "draft"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    RETURNED = "returned"
    PLACED = "placed"
    WITHDRAWN = "withdrawn"


NEXT: dict[RequisitionStatus, frozenset[RequisitionStatus]] = {  # a change makes a draft of it, whatever it was
    RequisitionStatus.DRAFT: frozenset(
        {
            RequisitionStatus.DRAFT, RequisitionStatus.SUBMITTED, RequisitionStatus.PLACED,
            RequisitionStatus.WITHDRAWN,
        }
    ),
    RequisitionStatus.SUBMITTED: frozenset(
        {
            RequisitionStatus.DRAFT, RequisitionStatus.SUBMITTED, RequisitionStatus.APPROVED,
            RequisitionStatus.RETURNED, RequisitionStatus.WITHDRAWN,
        }
    ),
    RequisitionStatus.APPROVED: frozenset(
        {RequisitionStatus.DRAFT, RequisitionStatus.PLACED, RequisitionStatus.WITHDRAWN}
    ),
    RequisitionStatus.RETURNED: frozenset(
        {RequisitionStatus.DRAFT, RequisitionStatus.SUBMITTED, RequisitionStatus.WITHDRAWN}
    ),
    RequisitionStatus.PLACED: frozenset(),
    RequisitionStatus.WITHDRAWN: frozenset(),
}  # fmt: skip
STATUSES = ", ".join(f"'{status}'" for status in RequisitionStatus)


class Step(StrEnum):
    """Who may take a step of a chain: the role that a member must hold."""

    APPROVER = "approver"
    FINANCE = "finance"
    MANAGER = "manager"


class WrongRequisitionStatus(Refusal):
    """The requisition cannot become that from where it stands; `requisition_status` says where that is."""

    code, status = "wrong_requisition_status", 409
    title, title_zh = "This requisition cannot become that now.", "采购申请当前状态不允许此操作。"


class Requisition(Model):
    """What an institution means to buy. `version` rises with every change, and decisions name the one they saw.

    `chain` are the steps that the rules asked for when this version was submitted, `step` the next one to take; what
    was approved is `total_fen`, goods and freight, as quoted at the submission.
    """

    __tablename__ = "requisition"
    __table_args__ = (
        CheckConstraint(f"status IN ({STATUSES})", name="status"),
        CheckConstraint("purpose IN ('canteen', 'union_welfare', 'other')", name="purpose"),
        CheckConstraint("terms IN ('prepaid', 'on_terms')", name="terms"),
        CheckConstraint("(status = 'placed') = (order_id IS NOT NULL)", name="placed"),
        CheckConstraint("status NOT IN ('submitted', 'approved', 'placed') OR total_fen IS NOT NULL", name="quoted"),
        UniqueConstraint("buyer_id", "number"),
        UniqueConstraint("order_id"),
        Index("ix_requisition_buyer", "buyer_id", "id"),
        Index("ix_requisition_waiting", "buyer_id", "id", postgresql_where=text("status = 'submitted'")),
    )

    id: Mapped[UUID] = id_column()
    buyer_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    number: Mapped[str | None]
    reference: Mapped[str | None]
    status: Mapped[str] = mapped_column(default=RequisitionStatus.DRAFT)
    version: Mapped[int] = mapped_column(default=1)
    budget_unit_id: Mapped[UUID] = mapped_column(ForeignKey("budget_unit.id"))
    address_id: Mapped[UUID] = mapped_column(ForeignKey("address.id"))
    purpose: Mapped[str]
    terms: Mapped[str]
    deliver_on: Mapped[date | None]
    deliver_from: Mapped[str | None]
    deliver_to: Mapped[str | None]
    note: Mapped[str | None]
    made_by: Mapped[UUID]
    changed_by: Mapped[UUID]
    created_at: Mapped[datetime]
    submitted_by: Mapped[UUID | None]
    submitted_at: Mapped[datetime | None]
    chain: Mapped[list[Any] | None]
    step: Mapped[int] = mapped_column(default=0)
    total_fen: Mapped[int | None]
    order_id: Mapped[UUID | None] = mapped_column(ForeignKey("purchase_order.id"))


class RequisitionLine(Model):
    """So many packs of a listing; `unit_fen` is the price a pack when the version was submitted."""

    __tablename__ = "requisition_line"
    __table_args__ = (CheckConstraint("packs > 0", name="packs"),)

    requisition_id: Mapped[UUID] = mapped_column(ForeignKey("requisition.id"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)
    listing_id: Mapped[UUID] = mapped_column(ForeignKey("listing.id"))
    packs: Mapped[int]
    min_shelf_life_days: Mapped[int | None]
    unit_fen: Mapped[int | None]


class RequisitionDecision(Model):
    """What somebody said of a version; append-only, and a step of a version is approved once.

    `for_user_id`: whose word it is, when a delegate gave it. `file_id`: the scan of an approval that was given on paper
    or in the institution's office system and is only recorded here.
    """

    __tablename__ = "requisition_decision"
    __table_args__ = (
        CheckConstraint("decision IN ('approved', 'returned')", name="decision"),
        CheckConstraint("(file_id IS NULL) = (signed_on IS NULL)", name="paper"),
        Index(
            "ix_requisition_decision_approved",
            "requisition_id",
            "version",
            "step",
            unique=True,
            postgresql_where=text("decision = 'approved'"),
        ),
    )

    id: Mapped[UUID] = id_column()
    requisition_id: Mapped[UUID] = mapped_column(ForeignKey("requisition.id"))
    version: Mapped[int]
    step: Mapped[int]
    decision: Mapped[str]
    by_user_id: Mapped[UUID]
    for_user_id: Mapped[UUID | None]
    comment: Mapped[str | None]
    file_id: Mapped[UUID | None] = mapped_column(ForeignKey("stored_file.id"))
    signed_on: Mapped[date | None]
    at: Mapped[datetime]


class ApprovalRule(Model):
    """One step that a requisition needs from an amount on: all rules that fit make the chain, by `step`.

    Without a unit or a purpose it is for every unit or purpose. `member_id`: the one member who may take the step.
    """

    __tablename__ = "approval_rule"
    __table_args__ = (
        CheckConstraint("role IN ('approver', 'finance', 'manager')", name="role"),
        CheckConstraint("purpose IN ('canteen', 'union_welfare', 'other')", name="purpose"),
        CheckConstraint("from_fen >= 0 AND step BETWEEN 1 AND 9", name="step"),
        CheckConstraint("NOT isempty(valid)", name="valid"),
        Index("ix_approval_rule_organisation", "organisation_id", "id"),
    )

    id: Mapped[UUID] = id_column()
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    budget_unit_id: Mapped[UUID | None] = mapped_column(ForeignKey("budget_unit.id"))
    purpose: Mapped[str | None]
    from_fen: Mapped[int]
    step: Mapped[int]
    role: Mapped[str]
    member_id: Mapped[UUID | None] = mapped_column(ForeignKey("membership.id"))
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)
    made_by: Mapped[UUID]
    made_at: Mapped[datetime]


class ApprovalDelegation(Model):
    """Somebody decides in the place of another from a day to a day; `ended_at`: taken back before."""

    __tablename__ = "approval_delegation"
    __table_args__ = (
        CheckConstraint("from_user_id <> to_user_id", name="not_oneself"),
        CheckConstraint("NOT isempty(valid) AND NOT upper_inf(valid)", name="valid"),
        Index("ix_approval_delegation_organisation", "organisation_id", "id"),
    )

    id: Mapped[UUID] = id_column()
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    from_user_id: Mapped[UUID]
    to_user_id: Mapped[UUID]
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)
    reason: Mapped[str]
    made_by: Mapped[UUID]
    made_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
