"""The two clocks. Machine time is the database's; business time is that clock plus one offset row.

Leases, sessions and links go by machine time. Holds, validity, shelf life and every date that people read go by
business time, which the edge reads once and passes on as `now`. The offset is zero outside demo and tests.
"""

from datetime import date, datetime, timedelta, timezone

from sqlalchemy import BigInteger, CheckConstraint, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from config.settings import settings
from shop.db import Model

BEIJING = timezone(timedelta(hours=8), "Asia/Shanghai")  # no summer time since 1991
"""The zone of business days. China has kept one offset since 1991, so a fixed one is exact for every date held here."""


class BusinessClock(Model):
    """One row: how many microseconds business time runs ahead of the database's clock."""

    __tablename__ = "business_clock"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, default=1)
    offset_us: Mapped[int] = mapped_column(BigInteger, default=0)


offset = select(BusinessClock.offset_us).scalar_subquery() * func.make_interval(0, 0, 0, 0, 0, 0, 0.000001)
business_time = func.clock_timestamp() + offset
"""An SQL expression for the business time, to be read beside something else in one statement."""

TODAY = (
    "(SELECT ((clock_timestamp() + offset_us * interval '1 microsecond') AT TIME ZONE 'Asia/Shanghai')::date"
    " FROM business_clock)"
)
"""The business day, for statements that are written as text."""


def machine_now(session: Session) -> datetime:
    """The database's own clock, for leases, sessions and links."""
    now: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return now


def business_now(session: Session) -> datetime:
    """The business time of this moment, in UTC."""
    now: datetime = session.execute(select(business_time)).scalar_one()
    return now


def business_day(instant: datetime) -> date:
    """The day in Asia/Shanghai that an instant falls on."""
    return instant.astimezone(BEIJING).date()


def day_start(day: date) -> datetime:
    """The first instant of a business day."""
    return datetime(day.year, day.month, day.day, tzinfo=BEIJING)


def clock_is_moved(session: Session) -> bool:
    """Whether business time is another than the database's: a restored demo, which production refuses to serve."""
    return bool(session.scalar(select(BusinessClock.offset_us)))


def move_to(session: Session, instant: datetime) -> None:
    """Set business time to `instant`, for demo and tests; refused in production."""
    if settings().production:
        raise RuntimeError("The business clock is not moved in production.")
    ahead = (instant - machine_now(session)) // timedelta(microseconds=1)
    session.execute(update(BusinessClock).values(offset_us=ahead))
