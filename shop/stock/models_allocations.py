"""Who gets how much when a harvest falls short: the declared rule, and every share with its reason."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import DATERANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column


class Rule(StrEnum):
    PRO_RATA = "pro_rata"
    PAIRED_FIRST = "paired_first"
    SMALL_FIRST = "small_first"


RULES = "rule IN ('pro_rata', 'paired_first', 'small_first')"


class AllocationRule(Model):
    """What a cooperative declared, from a day to a day; without a declaration goods are dealt pro rata."""

    __tablename__ = "allocation_rule"
    __table_args__ = (
        CheckConstraint(RULES, name="rule"),
        ExcludeConstraint(
            ("cooperative_id", "="), ("valid", "&&"), name="ex_allocation_rule_one_at_a_time", using="gist"
        ),
    )

    id: Mapped[UUID] = id_column()
    cooperative_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    rule: Mapped[str]
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)
    declared_at: Mapped[datetime]


class Allocation(Model):
    """A supply that fell short: what was held of it and what there is, in base units; append-only."""

    __tablename__ = "allocation"
    __table_args__ = (
        CheckConstraint(RULES, name="rule"),
        CheckConstraint("available >= 0 AND available < wanted", name="short"),
        Index("ix_allocation_cooperative", "cooperative_id", "id"),
    )

    id: Mapped[UUID] = id_column()
    supply_id: Mapped[UUID] = mapped_column(ForeignKey("supply.id"))
    cooperative_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    rule: Mapped[str]
    declared: Mapped[bool]
    wanted: Mapped[int]
    available: Mapped[int]
    reason: Mapped[str]
    by_user_id: Mapped[UUID]
    at: Mapped[datetime]


class AllocationShare(Model):
    """What an order line wanted and got, in packs, and why; append-only. `explanation` holds the words and the sums."""

    __tablename__ = "allocation_share"
    __table_args__ = (
        CheckConstraint("given BETWEEN 0 AND wanted AND pack > 0", name="given"),
        UniqueConstraint("allocation_id", "line_id"),
        Index("ix_allocation_share_buyer", "buyer_id", "allocation_id"),
    )

    id: Mapped[UUID] = id_column()
    allocation_id: Mapped[UUID] = mapped_column(ForeignKey("allocation.id"))
    cooperative_id: Mapped[UUID]
    line_id: Mapped[UUID]
    buyer_id: Mapped[UUID]
    pack: Mapped[int]
    wanted: Mapped[int]
    given: Mapped[int]
    explanation: Mapped[dict[str, Any]]
