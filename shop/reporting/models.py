"""Rollups, how far they have read, and report runs."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, SmallInteger, func
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column

PROCUREMENT = "procurement"
"""The name of the mark of the one rollup there is."""


class Rollup(Model):
    """Sums of facts, each fact once in every grain: a report reads the coarsest one that knows its dimensions.

    Grain 0 has every dimension, 1 is without purpose, 2 without category and purpose; what a grain is without is empty.
    `pairing_key` is the pairing's id in hex, or empty.
    """

    __tablename__ = "rollup"
    __table_args__ = (
        Index("ix_rollup_month", "grain", "measure", "month"),
        {"postgresql_with": {"fillfactor": 50}},  # sums change often and stay in their page, beside their neighbours
    )

    grain: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    measure: Mapped[str] = mapped_column(primary_key=True)
    month: Mapped[date] = mapped_column(primary_key=True)
    scheme: Mapped[str] = mapped_column(primary_key=True)
    bucket: Mapped[str] = mapped_column(primary_key=True)
    east_province: Mapped[str] = mapped_column(primary_key=True)
    west_province: Mapped[str] = mapped_column(primary_key=True)
    pairing_key: Mapped[str] = mapped_column(primary_key=True)
    category: Mapped[str] = mapped_column(primary_key=True)
    purpose: Mapped[str] = mapped_column(primary_key=True)
    goods_fen: Mapped[int]
    freight_fen: Mapped[int]
    amount_fen: Mapped[int]
    packs: Mapped[int]
    grams: Mapped[int]
    facts: Mapped[int]


class RollupMark(Model):
    """Up to which fact number a rollup has read."""

    __tablename__ = "rollup_mark"

    name: Mapped[str] = mapped_column(primary_key=True)
    upto_no: Mapped[int]


class ReportRun(Model):
    """A report as it was run: question, watermark and hash, so that it can be repeated and proven."""

    __tablename__ = "report_run"

    id: Mapped[UUID] = id_column()
    question: Mapped[dict[str, Any]]
    upto_no: Mapped[int]
    total_fen: Mapped[int]
    content_hash: Mapped[str]
    by_user_id: Mapped[UUID]
    organisation_id: Mapped[UUID] = mapped_column(index=True)
    at: Mapped[datetime]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
