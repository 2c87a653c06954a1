"""Hubs and lanes: dated rates between provinces by temperature class."""

from datetime import date
from uuid import UUID

from sqlalchemy import CheckConstraint
from sqlalchemy.dialects.postgresql import DATERANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column


class Hub(Model):
    """A place where goods change vehicles."""

    __tablename__ = "hub"

    id: Mapped[UUID] = id_column()
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    kind: Mapped[str]
    division_code: Mapped[str]


class Lane(Model):
    """What a tonne costs from one province to another in one temperature class, and the least that is charged."""

    __tablename__ = "lane"
    __table_args__ = (
        CheckConstraint("rate_fen_per_tonne >= 0 AND minimum_fen >= 0 AND days > 0", name="sane"),
        ExcludeConstraint(
            ("from_code", "="),
            ("to_code", "="),
            ("storage", "="),
            ("valid", "&&"),
            name="ex_lane_one_at_a_time",
            using="gist",
        ),
    )

    id: Mapped[UUID] = id_column()
    from_code: Mapped[str]
    to_code: Mapped[str]
    storage: Mapped[str]
    distance_km: Mapped[int]
    days: Mapped[int]
    rate_fen_per_tonne: Mapped[int]
    minimum_fen: Mapped[int]
    source: Mapped[str]
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)
