"""Organisations, budget units, addresses, users, memberships and tokens."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ColumnElement, ForeignKey, Index, LargeBinary, Text, func, or_, text
from sqlalchemy.orm import Mapped, mapped_column

from shop.accounts.models_mandates import AssistMandate
from shop.actor import Audience
from shop.db import Model, id_column

SINCE_EVER = date(1996, 1, 1)


class Kind(StrEnum):
    """What an organisation is."""

    BUDGET_UNIT = "budget_unit"
    CANTEEN = "canteen"
    TRADE_UNION = "trade_union"
    ENTERPRISE = "enterprise"
    COOPERATIVE = "cooperative"
    FAMILY_FARM = "family_farm"
    PRODUCER = "producer"
    AGENT = "agent"
    COUNTY_REVIEWER = "county_reviewer"
    PLATFORM = "platform"


AUDIENCE = {
    Kind.BUDGET_UNIT: Audience.BUYER,
    Kind.CANTEEN: Audience.BUYER,
    Kind.TRADE_UNION: Audience.BUYER,
    Kind.ENTERPRISE: Audience.BUYER,
    Kind.COOPERATIVE: Audience.COOPERATIVE,
    Kind.FAMILY_FARM: Audience.COOPERATIVE,
    Kind.PRODUCER: Audience.COOPERATIVE,
    Kind.AGENT: Audience.COOPERATIVE,
    Kind.COUNTY_REVIEWER: Audience.ADMIN,
    Kind.PLATFORM: Audience.ADMIN,
}


BUYERS = tuple(kind for kind, audience in AUDIENCE.items() if audience is Audience.BUYER)
SELLERS = tuple(kind for kind, audience in AUDIENCE.items() if audience is Audience.COOPERATIVE)


class Organisation(Model):
    """A party. `uscc`: unified social credit code; a canteen without one hangs below an organisation that has it.

    One that was rejected may apply again; like one that was closed, it leaves its code to another one. A closed one
    stays, with its history; `successor_id` is the one that it was merged into. `selling_until`: the first business day
    on which a seller has no right to sell any more; null is no right at all.
    """

    __tablename__ = "organisation"
    __table_args__ = (
        CheckConstraint("status IN ('applying', 'rejected', 'active', 'suspended', 'closed')", name="status"),
        Index(
            "ix_organisation_uscc", "uscc", unique=True, postgresql_where=text("status NOT IN ('rejected', 'closed')")
        ),
        CheckConstraint(
            "uscc IS NOT NULL OR parent_id IS NOT NULL OR kind IN ('platform', 'county_reviewer')",
            name="has_code_or_parent",
        ),
    )

    id: Mapped[UUID] = id_column()
    kind: Mapped[str]
    name: Mapped[str]
    name_en: Mapped[str]
    uscc: Mapped[str | None]
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("organisation.id"))
    division_code: Mapped[str]
    status: Mapped[str] = mapped_column(default="active")
    successor_id: Mapped[UUID | None] = mapped_column(ForeignKey("organisation.id"), index=True)
    created_at: Mapped[datetime]
    selling_until: Mapped[date | None]


def may_be_entered() -> ColumnElement[bool]:
    """That members act for an organisation: it is not closed, or its successor's people end what is under way."""
    return or_(Organisation.status != "closed", Organisation.successor_id.is_not(None))


class FinanceLevel(StrEnum):
    """Whose treasury pays a budget unit."""

    CENTRAL = "central"
    PROVINCE = "province"
    PREFECTURE = "prefecture"
    COUNTY = "county"
    TOWNSHIP = "township"


class BudgetUnit(Model):
    """Whose budget pays: the unit that a purchase counts for. `funding_code` is the division of that budget.

    `parent_id` is the supervising unit; `code` is what the finance department calls the unit. It files quotas from
    `opened_on` on. A closed unit stays, with its history; `successor_id` is the one that it was merged into.
    """

    __tablename__ = "budget_unit"
    __table_args__ = (
        CheckConstraint(
            "finance_level IN ('central', 'province', 'prefecture', 'county', 'township')", name="finance_level"
        ),
        CheckConstraint("status IN ('open', 'closed')", name="status"),
        CheckConstraint("parent_id <> id AND successor_id <> id", name="not_itself"),
        Index("ix_budget_unit_code", "organisation_id", "code", unique=True, postgresql_where=text("code IS NOT NULL")),
    )

    id: Mapped[UUID] = id_column()
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"), index=True)
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("budget_unit.id"), index=True)
    name: Mapped[str]
    code: Mapped[str | None]
    finance_level: Mapped[str]
    funding_code: Mapped[str]
    status: Mapped[str] = mapped_column(default="open", server_default="open")
    successor_id: Mapped[UUID | None] = mapped_column(ForeignKey("budget_unit.id"), index=True)
    opened_on: Mapped[date] = mapped_column(default=SINCE_EVER, server_default="1996-01-01")


class Address(Model):
    """Where goods go. Erasable: other rows hold its id and the division only.

    What an order names does not change under it: a changed address is a new row, and the old one is retired. `label`
    is what the organisation calls the place. `contact` is forgotten when it is retired and the written period is over.
    """

    __tablename__ = "address"
    __table_args__ = (
        Index(
            "ix_address_label",
            "organisation_id",
            "label",
            unique=True,
            postgresql_where=text("retired_at IS NULL AND label <> ''"),
        ),
        Index("ix_address_retired_contact", "retired_at", postgresql_where=text("contact <> ''")),
    )

    id: Mapped[UUID] = id_column()
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"), index=True)
    division_code: Mapped[str]
    line: Mapped[str]
    contact: Mapped[str]
    label: Mapped[str] = mapped_column(default="", server_default="")
    retired_at: Mapped[datetime | None]


class User(Model):
    """A person. Erasable: other rows hold the id only, and no other row holds a phone, an e-mail or a name.

    `invited` until the first invitation is accepted. `pending_contact`: the phone or e-mail to be, once confirmed.
    """

    __tablename__ = "person"
    __table_args__ = (
        CheckConstraint("status IN ('invited', 'active', 'closed')", name="status"),
        CheckConstraint("email IS NOT NULL OR phone IS NOT NULL OR status = 'closed'", name="reachable"),
        Index("ix_person_invited", "id", postgresql_where=text("status = 'invited'")),
    )

    id: Mapped[UUID] = id_column()
    email: Mapped[str | None] = mapped_column(unique=True)
    phone: Mapped[str | None] = mapped_column(unique=True)
    pending_contact: Mapped[str | None]
    name: Mapped[str]
    password_hash: Mapped[str]
    status: Mapped[str] = mapped_column(default="active")


class Membership(Model):
    """What a person may do for one organisation. `regions`: the divisions an analyst or reviewer may look into.

    The one that was used last is where the next log-in leads. One that has ended gives nothing to anybody.
    """

    __tablename__ = "membership"
    __table_args__ = (
        Index("ix_membership_user_organisation", "user_id", "organisation_id", unique=True),
        # A mandate says what an auditor may read, and would say it for the other roles too.
        CheckConstraint("NOT 'auditor' = ANY (roles) OR cardinality(roles) = 1", name="auditor_alone"),
    )

    id: Mapped[UUID] = id_column()
    user_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"), index=True)
    roles: Mapped[list[str]] = mapped_column(ARRAY(Text))
    regions: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list)
    order_limit_fen: Mapped[int | None]
    last_used_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class ApiToken(Model):
    """An opaque token; only its SHA-256 is kept. `kind`: the session of a person, or a machine with its `scopes`.

    `name`: what the machine is called; of a session, the words for the browser or program that it was begun with.
    `assist_mandate_id`: a helper's session for a cooperative.
    """

    __tablename__ = "api_token"
    __table_args__ = (
        CheckConstraint("kind IN ('session', 'machine')", name="kind"),
        CheckConstraint("(kind = 'machine') = (scopes IS NOT NULL)", name="scopes"),
        Index("ix_api_token_revoked_at", "revoked_at", postgresql_where=text("revoked_at IS NOT NULL")),
    )

    id: Mapped[UUID] = id_column()
    kind: Mapped[str] = mapped_column(default="session", server_default="session")
    name: Mapped[str] = mapped_column(default="", server_default="")
    scopes: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    membership_id: Mapped[UUID] = mapped_column(ForeignKey("membership.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    expires_at: Mapped[datetime] = mapped_column(index=True)
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    assist_mandate_id: Mapped[UUID | None] = mapped_column(ForeignKey(AssistMandate.id))


class LoginFailure(Model):
    """A wrong guess at an account, counted over all addresses."""

    __tablename__ = "login_failure"
    __table_args__ = (
        Index("ix_login_failure_account", "account_hash", "at"),
        Index("ix_login_failure_at", "at"),
    )

    id: Mapped[UUID] = id_column()
    account_hash: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
