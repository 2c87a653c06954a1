"""Divisions (GB/T 2260), pairings with their dates, and the lists that counties are members of."""

from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, and_, func, or_, text
from sqlalchemy.dialects.postgresql import DATERANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column


class Level(StrEnum):
    PROVINCE = "province"
    PREFECTURE = "prefecture"
    COUNTY = "county"


class Scheme(StrEnum):
    EAST_WEST = "east_west"


class Bucket(StrEnum):
    """Where a purchase counts in one scheme; the four are disjoint and cover everything."""

    PAIRED = "paired"
    OTHER_EAST = "other_east"
    OTHER = "other"
    UNKNOWN = "unknown"


def province_of(code: str) -> str:
    """The province that a GB/T 2260 code lies in."""
    return code[:2] + "0000"


def prefecture_of(code: str) -> str:
    return code[:4] + "00"


def stem_of(code: str) -> str:
    """What the codes of a division and of all that lies in it begin with."""
    return code[:2] if code == province_of(code) else code[:4] if code == prefecture_of(code) else code


def ancestors(code: str) -> list[str]:
    """A division and everything above it, most specific first."""
    return list(dict.fromkeys((code, prefecture_of(code), province_of(code))))


def lies_in(column: Any, divisions: Sequence[str]) -> ColumnElement[bool]:
    """That a column holds the code of one of these divisions, or of one that lies in one of them."""
    return or_(
        column.in_(divisions),
        func.concat(func.left(column, 4), "00").in_(divisions),
        func.concat(func.left(column, 2), "0000").in_(divisions),
    )


class Division(Model):
    """A division in its time: a code that was renamed or recoded has one row for each time."""

    __tablename__ = "division"

    code: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    name: Mapped[str]
    name_en: Mapped[str]
    level: Mapped[str]
    parent_code: Mapped[str | None]
    successor_code: Mapped[str | None]

    @classmethod
    def in_force(cls, on: date | ColumnElement[date]) -> ColumnElement[bool]:
        """Whether a row, also one of an alias (`aliased(Division)`), is the division as it is on a day."""
        return and_(cls.valid_from <= on, or_(cls.valid_to.is_(None), cls.valid_to > on))


class Pairing(Model):
    """East helps west, from a day to a day. `shared`: the west has more partners, so member counties decide."""

    __tablename__ = "pairing"
    __table_args__ = (
        ExcludeConstraint(
            ("scheme", "="),
            ("east_code", "="),
            ("west_code", "="),
            ("valid", "&&"),
            name="ex_pairing_one_at_a_time",
            using="gist",
        ),
        Index("ix_pairing_west_code", "west_code"),
    )

    id: Mapped[UUID] = id_column()
    scheme: Mapped[str]
    level: Mapped[str]
    round: Mapped[str]
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("pairing.id"))
    east_code: Mapped[str]
    west_code: Mapped[str]
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)
    shared: Mapped[bool] = mapped_column(default=False, server_default=text("false"))


class PairingMember(Model):
    """A county that a shared pairing covers, from a day to a day."""

    __tablename__ = "pairing_member"
    __table_args__ = (
        ExcludeConstraint(
            ("pairing_id", "="),
            ("county_code", "="),
            ("valid", "&&"),
            name="ex_pairing_member_one_at_a_time",
            using="gist",
        ),
    )

    id: Mapped[UUID] = id_column()
    pairing_id: Mapped[UUID] = mapped_column(ForeignKey("pairing.id"), index=True)
    county_code: Mapped[str]
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)


class ListRule(Model):
    """What a list is for, from a day to a day: it admits sellers of its counties, or goods of them count for something.

    Two uses, two rules: when a list counts no more, who was admitted by it goes on trading.
    """

    __tablename__ = "list_rule"
    __table_args__ = (
        CheckConstraint("list IN ('poverty_832', 'key_160')", name="list"),
        CheckConstraint("use IN ('admits', 'counts')", name="use"),
        CheckConstraint("(use = 'counts') = (indicator <> '')", name="indicator"),
        ExcludeConstraint(
            ("use", "="),
            ("indicator", "="),
            ("list", "="),
            ("valid", "&&"),
            name="ex_list_rule_one_at_a_time",
            using="gist",
        ),
    )

    id: Mapped[UUID] = id_column()
    use: Mapped[str]
    indicator: Mapped[str] = mapped_column(default="", server_default="")
    list: Mapped[str]
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)


class EligibilityMember(Model):
    """A county on a list (832 former poverty counties, 160 key counties), from a day to a day."""

    __tablename__ = "eligibility_member"
    __table_args__ = (
        CheckConstraint("list IN ('poverty_832', 'key_160')", name="list"),
        Index("ix_eligibility_member_county_code", "county_code"),
    )

    id: Mapped[UUID] = id_column()
    list: Mapped[str]
    county_code: Mapped[str]
    name_as_designated: Mapped[str]
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)
