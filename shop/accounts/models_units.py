"""Who may act for a budget unit, how an institution joins, and the title its invoices carry."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import DATERANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column
from shop.errors import Refusal

DEEPEST = 8
"""How many units may stand one below the other, the top counted."""


class RegistrationStatus(StrEnum):
    SUBMITTED, RETURNED, APPROVED = "submitted", "returned", "approved"


REGISTRATION_NEXT = {
    RegistrationStatus.SUBMITTED: {RegistrationStatus.APPROVED, RegistrationStatus.RETURNED},
    RegistrationStatus.RETURNED: {RegistrationStatus.SUBMITTED},
    RegistrationStatus.APPROVED: set[RegistrationStatus](),
}
"""The life of a buyer's registration: what each status may become."""


class LinkStatus(StrEnum):
    OFFERED, ACCEPTED, DECLINED, WITHDRAWN = "offered", "accepted", "declined", "withdrawn"


LINK_NEXT = {
    LinkStatus.OFFERED: {LinkStatus.ACCEPTED, LinkStatus.DECLINED, LinkStatus.WITHDRAWN},
    LinkStatus.ACCEPTED: set[LinkStatus](),
    LinkStatus.DECLINED: set[LinkStatus](),
    LinkStatus.WITHDRAWN: set[LinkStatus](),
}


class MandateKind(StrEnum):
    """Why another organisation buys for a unit: it runs the unit's canteen, or it is the unit's trade union."""

    CATERER, UNION = "caterer", "union"


class MandateStatus(StrEnum):
    PROPOSED, ACTIVE, DECLINED, ENDED = "proposed", "active", "declined", "ended"


MANDATE_NEXT = {
    MandateStatus.PROPOSED: {MandateStatus.ACTIVE, MandateStatus.DECLINED, MandateStatus.ENDED},
    MandateStatus.ACTIVE: {MandateStatus.ENDED},
    MandateStatus.DECLINED: set[MandateStatus](),
    MandateStatus.ENDED: set[MandateStatus](),
}
"""`ended` before its time, or withdrawn by the union that proposed it.

One whose days are over stays `active` and is no longer in force."""


WHY_NOT = {
    "applying": "Your organisation waits for the platform's approval.",
    "rejected": "Your organisation was rejected.",
    "suspended": "Your organisation is suspended.",
    "closed": "Your organisation is closed.",
}


class OrganisationNotActive(Refusal):
    """The organisation is not approved yet, or suspended; `organisation_status` says which."""

    code, status = "organisation_not_active", 409
    title, title_zh = "Your organisation may not act yet or any more.", "贵单位尚未通过审核或已被停用。"


class UnitClosed(Refusal):
    code, status = "unit_closed", 409
    title, title_zh = "This budget unit is closed.", "该预算单位已停用。"


class MandateExpired(Refusal):
    """The mandate to buy for this unit is not in force today."""

    code, status = "mandate_expired", 409
    title, title_zh = "The mandate to buy for this unit is not in force.", "代购授权不在有效期内。"


class Registration(Model):
    """How a buying organisation asks to join, and what the operator answered."""

    __tablename__ = "registration"
    __table_args__ = (
        CheckConstraint("status IN ('submitted', 'returned', 'approved')", name="status"),
        Index("ix_registration_status", "status", "id"),
    )

    id: Mapped[UUID] = id_column()
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"), unique=True)
    status: Mapped[str] = mapped_column(default=RegistrationStatus.SUBMITTED)
    reason: Mapped[str | None]
    submitted_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[UUID | None]


class InvoiceProfile(Model):
    """A title that invoices are made out to, with its tax number and the account that pays."""

    __tablename__ = "invoice_profile"

    id: Mapped[UUID] = id_column()
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"), index=True)
    title: Mapped[str]
    tax_number: Mapped[str]
    bank: Mapped[str]
    account_number: Mapped[str]
    retired_at: Mapped[datetime | None]


class UnitLink(Model):
    """A supervising unit's offer to take in a unit of another organisation, which that organisation answers."""

    __tablename__ = "unit_link"
    __table_args__ = (
        CheckConstraint("status IN ('offered', 'accepted', 'declined', 'withdrawn')", name="status"),
        CheckConstraint("(status = 'accepted') = (unit_id IS NOT NULL)", name="unit"),
        Index(
            "ix_unit_link_open",
            "parent_id",
            "organisation_id",
            unique=True,
            postgresql_where=text("status = 'offered'"),
        ),
        Index("ix_unit_link_organisation", "organisation_id", "id"),
    )

    id: Mapped[UUID] = id_column()
    parent_id: Mapped[UUID] = mapped_column(ForeignKey("budget_unit.id"))
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    offered_by_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"), index=True)
    unit_id: Mapped[UUID | None] = mapped_column(ForeignKey("budget_unit.id"))
    status: Mapped[str] = mapped_column(default=LinkStatus.OFFERED)
    offered_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]


class BuyingMandate(Model):
    """From a day to a day an organisation may order for a unit of another, and its orders count for that unit."""

    __tablename__ = "buying_mandate"
    __table_args__ = (
        CheckConstraint("kind IN ('caterer', 'union')", name="kind"),
        CheckConstraint("status IN ('proposed', 'active', 'declined', 'ended')", name="status"),
        CheckConstraint("NOT isempty(valid)", name="valid"),
        ExcludeConstraint(
            ("unit_id", "="),
            ("organisation_id", "="),
            ("valid", "&&"),
            name="ex_buying_mandate_one_at_a_time",
            using="gist",
            where=text("status IN ('proposed', 'active')"),
        ),
        ExcludeConstraint(
            ("organisation_id", "="),
            ("valid", "&&"),
            name="ex_buying_mandate_one_unit_of_a_union",
            using="gist",
            where=text("kind = 'union' AND status IN ('proposed', 'active')"),
        ),
        Index("ix_buying_mandate_organisation", "organisation_id", "id"),
    )

    id: Mapped[UUID] = id_column()
    kind: Mapped[str]
    unit_id: Mapped[UUID] = mapped_column(ForeignKey("budget_unit.id"), index=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)
    document: Mapped[str]
    status: Mapped[str]
    created_at: Mapped[datetime]
