"""How long what names a person is kept in rows that stay: periods as dated rules, and where each begins.

Each room forgets its own (`forgetting`), a batch at a time, by the rule of the day; without one nothing is forgotten.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Integer, cast, func, literal_column, select, update
from sqlalchemy.dialects.postgresql import DATERANGE, ExcludeConstraint, Range
from sqlalchemy.orm import InstrumentedAttribute, Mapped, Session, mapped_column

from shop.clock import BEIJING, business_day
from shop.db import Model, changed, id_column

BATCH = 500


class Personal(StrEnum):
    """What is forgotten, and from when its period runs."""

    OFFICER_NAME = "officer_name"
    """Who signed a step of an application: from the day of signing."""
    IDENTITY_PAPER = "identity_paper"
    """Files of an application that show who somebody is: from its end, or since it was left lying."""
    ADDRESS_CONTACT = "address_contact"
    """Whom to call at a place of delivery: from the day that it was retired."""
    PAYER_NAME = "payer_name"
    """Who paid by bank transfer: from the day that the line was booked."""


class RetentionRule(Model):
    """So many months from a day to a day."""

    __tablename__ = "retention_rule"
    __table_args__ = (
        CheckConstraint("what IN ('officer_name', 'identity_paper', 'address_contact', 'payer_name')", name="what"),
        CheckConstraint("months BETWEEN 1 AND 600", name="months"),
        ExcludeConstraint(("what", "="), ("valid", "&&"), name="ex_retention_rule_one_at_a_time", using="gist"),
    )

    id: Mapped[UUID] = id_column()
    what: Mapped[str]
    months: Mapped[int]
    source: Mapped[str]
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)


def kept_since(session: Session, what: Personal, *, now: datetime) -> datetime | None:
    """The instant before which this is kept no more; None when no rule says so today."""
    today = business_day(now)
    back = func.make_interval(0, cast(RetentionRule.months, Integer))
    found = session.scalar(
        select(func.date(today) - back).where(RetentionRule.what == what, RetentionRule.valid.contains(today))
    )
    return None if found is None else found.replace(tzinfo=BEIJING)


def forget_column(
    session: Session,
    what: Personal,
    column: InstrumentedAttribute[Any],
    *,
    since: InstrumentedAttribute[Any],
    empty: str | None,
    now: datetime,
) -> int:
    """Empty a column of a batch of rows whose period, running from `since`, is over; gives how many. The rows stay."""
    before = kept_since(session, what, now=now)
    if before is None:
        return 0
    model = column.class_
    held = column.is_not(None) if empty is None else column != literal_column("''")  # as the partial indexes say it
    old = select(model.id).where(held, since < before).order_by(since).limit(BATCH)
    return changed(session, update(model).where(model.id.in_(old)).values({column: empty}))
