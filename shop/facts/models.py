"""Facts: signed amounts with finished dimensions, numbered after commit."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column


class Measure(StrEnum):
    """Separate measures, each with its own date, never added to each other."""

    ORDERED = "ordered"
    ACCEPTED = "accepted"
    PAID = "paid"
    REFUNDED = "refunded"
    CORRECTED = "corrected"
    """What corrections changed of `accepted`, which has the same signed rows among its own."""


class Fact(Model):
    """One line of the record. Corrections are new rows with the opposite sign, never changes.

    `class_`: procured (采购) or helped to sell (帮助销售). `grade`: A ordered and accepted here, B a line with an
    invoice or channel statement, C a declared total with its document. `month` is the first day of the business month
    that it counts in. `silent`: accepted because nobody inspected in time.
    """

    __tablename__ = "fact"
    __table_args__ = (
        UniqueConstraint("measure", "source_id"),
        CheckConstraint("grade IN ('A', 'B', 'C')", name="grade"),
        CheckConstraint("class IN ('procured', 'helped')", name="class"),
        CheckConstraint("amount_fen = goods_fen + freight_fen", name="amount"),
        CheckConstraint("month = date_trunc('month', occurred_on)::date", name="month"),
        Index("ix_fact_unnumbered", "id", postgresql_where=text("posted_no IS NULL")),
        # Reports read numbered facts only, so their indexes cost nothing in the transaction that records a fact.
        Index(
            "ix_fact_drill",
            "measure",
            "month",
            "east_province",
            "west_province",
            "category",
            "posted_no",
            postgresql_where=text("posted_no IS NOT NULL"),
        ),
        Index("ix_fact_buyer", "buyer_id", "month", postgresql_where=text("posted_no IS NOT NULL")),
        Index("ix_fact_cooperative", "cooperative_id", "month", postgresql_where=text("posted_no IS NOT NULL")),
        Index("ix_fact_origin", "origin_code", "month", postgresql_where=text("posted_no IS NOT NULL")),
        Index("ix_fact_funding", "funding_code", "month", postgresql_where=text("posted_no IS NOT NULL")),
    )

    id: Mapped[UUID] = id_column()
    measure: Mapped[str]
    class_: Mapped[str] = mapped_column("class", default="procured")
    grade: Mapped[str] = mapped_column(default="A")
    occurred_on: Mapped[date]
    month: Mapped[date]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    posted_no: Mapped[int | None] = mapped_column(unique=True)
    source_id: Mapped[UUID]
    goods_fen: Mapped[int]
    freight_fen: Mapped[int]
    amount_fen: Mapped[int]
    packs: Mapped[int]
    grams: Mapped[int]
    scheme: Mapped[str]
    bucket: Mapped[str]
    pairing_id: Mapped[UUID | None]
    east_province: Mapped[str]
    west_province: Mapped[str]
    funding_code: Mapped[str]
    origin_code: Mapped[str]
    buyer_id: Mapped[UUID]
    budget_unit_id: Mapped[UUID]
    cooperative_id: Mapped[UUID]
    product_id: Mapped[UUID]
    category: Mapped[str]
    purpose: Mapped[str]
    terms: Mapped[str]
    order_id: Mapped[UUID] = mapped_column(index=True)
    supplier_order_id: Mapped[UUID]
    line_id: Mapped[UUID]
    silent: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
