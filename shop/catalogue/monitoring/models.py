"""Rules, mappings, alerts and reports of price monitoring."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import DATERANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from shop.catalogue.models import Listing
from shop.db import Model, id_column
from shop.errors import Refusal
from shop.files.models import StoredFile


class AlertStatus(StrEnum):
    """Reported: buyers say so, and nobody has looked yet. Open: the cooperative is asked to answer or to lower."""

    REPORTED = "reported"
    OPEN = "open"
    EXPLAINED = "explained"
    LOWERING = "lowering"
    ACCEPTED = "accepted"
    LOWERED = "lowered"
    DELISTED = "delisted"
    DISMISSED = "dismissed"


_UNDER_WAY = {AlertStatus.LOWERED, AlertStatus.DELISTED, AlertStatus.ACCEPTED, AlertStatus.DISMISSED}
NEXT = {  # the whole life of an alert
    AlertStatus.REPORTED: {AlertStatus.OPEN, AlertStatus.DISMISSED, AlertStatus.DELISTED},
    AlertStatus.OPEN: {AlertStatus.EXPLAINED, AlertStatus.LOWERING, *_UNDER_WAY},
    AlertStatus.EXPLAINED: {AlertStatus.LOWERING, *_UNDER_WAY},
    AlertStatus.LOWERING: {AlertStatus.ACCEPTED, AlertStatus.LOWERED, AlertStatus.DELISTED},
    AlertStatus.ACCEPTED: set(),
    AlertStatus.LOWERED: set(),
    AlertStatus.DELISTED: set(),
    AlertStatus.DISMISSED: set(),
}
UNSETTLED = tuple(status for status, following in NEXT.items() if following)
UNSETTLED_SQL = "status IN ('reported', 'open', 'explained', 'lowering')"


class ReportStatus(StrEnum):
    RECEIVED = "received"
    UNDER_REVIEW = "under_review"
    UPHELD = "upheld"
    REJECTED = "rejected"


class WrongAlertStatus(Refusal):
    code, status = "wrong_price_alert_status", 409
    title, title_zh = "This price alert cannot do that now.", "该价格预警当前状态不允许此操作。"


class PriceRule(Model):
    """What is flagged from a day to a day, for a category or (empty) for all that have no rule of their own.

    A price is above when it is more than so many per cent above the mean of a reference that is at most
    `reference_max_age_days` old; above the median of at least `minimum_peers` other cooperatives, by per cent and by
    so many hundredths of their median absolute deviation; above the own median of the last `history_days`, of which it
    was on sale `minimum_history_days`. A cooperative has `response_days` to answer; what an operator accepted is not
    flagged again for `tolerated_days`.
    """

    __tablename__ = "price_rule"
    __table_args__ = (
        CheckConstraint(
            "reference_max_age_days > 0 AND above_reference_percent > 0 AND above_peers_percent > 0"
            " AND above_history_percent > 0 AND minimum_peers >= 3 AND mad_hundredths > 0 AND history_days > 0"
            " AND minimum_history_days > 0 AND response_days > 0 AND tolerated_days > 0",
            name="positive",
        ),
        ExcludeConstraint(("category", "="), ("valid", "&&"), name="ex_price_rule_one_at_a_time", using="gist"),
    )

    id: Mapped[UUID] = id_column()
    category: Mapped[str] = mapped_column(server_default="")
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)
    reference_max_age_days: Mapped[int]
    above_reference_percent: Mapped[int]
    above_peers_percent: Mapped[int]
    above_history_percent: Mapped[int]
    minimum_peers: Mapped[int]
    mad_hundredths: Mapped[int]
    history_days: Mapped[int]
    minimum_history_days: Mapped[int]
    response_days: Mapped[int]
    tolerated_days: Mapped[int]


class ReferenceMapping(Model):
    """Which series of a market fits a good, approved by an operator, from a day to a day.

    `name`, `spec` and `grade` are as `word_key` makes them; an empty spec or grade fits every one.
    """

    __tablename__ = "reference_mapping"
    __table_args__ = (
        CheckConstraint("name <> '' AND NOT isempty(valid)", name="says_something"),
        ExcludeConstraint(
            ("category", "="), ("name", "="), ("spec", "="), ("grade", "="), ("market", "="), ("valid", "&&"),
            name="ex_reference_mapping_one_at_a_time", using="gist",
        ),
    )  # fmt: skip

    id: Mapped[UUID] = id_column()
    category: Mapped[str]
    name: Mapped[str]
    spec: Mapped[str]
    grade: Mapped[str]
    market: Mapped[str]
    reference_kind: Mapped[str]
    reference_name: Mapped[str]
    reference_grade: Mapped[str]
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)
    note: Mapped[str]
    approved_by_user_id: Mapped[UUID]
    approved_at: Mapped[datetime]


class PriceAlert(Model):
    """A listing whose price is looked into, one unsettled at a time for a listing.

    `evidence` is the check as it was when the alert was opened, and never changes. `ceiling_fen` is the price of the
    pack at or below which the alert closes by itself: the lowest limit that was passed, or what an operator required.
    `due_on` is the last day to answer or to lower; `overdue_at` when it had passed. After an accepted explanation the
    listing is not flagged again at or below `tolerated_fen` until the day `tolerated_until`.
    """

    __tablename__ = "price_alert"
    __table_args__ = (
        CheckConstraint(
            "status IN ('reported', 'open', 'explained', 'lowering', 'accepted', 'lowered', 'delisted', 'dismissed')",
            name="status",
        ),
        CheckConstraint("opened_by IN ('check', 'report')", name="opened_by"),
        CheckConstraint("status <> 'explained' OR explanation IS NOT NULL", name="explanation"),
        CheckConstraint("status NOT IN ('open', 'lowering') OR due_on IS NOT NULL", name="due"),
        CheckConstraint("status <> 'lowering' OR ceiling_fen IS NOT NULL", name="ceiling"),
        CheckConstraint(f"({UNSETTLED_SQL}) = (closed_at IS NULL)", name="closed"),
        CheckConstraint("(tolerated_fen IS NULL) = (tolerated_until IS NULL)", name="tolerated"),
        Index("ix_price_alert_unsettled", "listing_id", unique=True, postgresql_where=text(UNSETTLED_SQL)),
        Index(
            "ix_price_alert_tolerated", "listing_id", "tolerated_until",
            postgresql_where=text("tolerated_until IS NOT NULL"),
        ),
        Index("ix_price_alert_cooperative", "cooperative_id", "id"),
        Index("ix_price_alert_status", "status", "id"),
        Index(
            "ix_price_alert_due", "due_on",
            postgresql_where=text("status IN ('open', 'lowering') AND overdue_at IS NULL"),
        ),
    )  # fmt: skip

    id: Mapped[UUID] = id_column()
    listing_id: Mapped[UUID] = mapped_column(ForeignKey(Listing.id))
    cooperative_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    origin_code: Mapped[str]
    status: Mapped[str]
    opened_by: Mapped[str]
    opened_at: Mapped[datetime]
    price_fen: Mapped[int]
    score: Mapped[int | None]
    evidence: Mapped[dict[str, Any]]
    ceiling_fen: Mapped[int | None]
    due_on: Mapped[date | None]
    overdue_at: Mapped[datetime | None]
    explanation: Mapped[str | None]
    explanation_file_id: Mapped[UUID | None] = mapped_column(ForeignKey(StoredFile.id))
    explained_at: Mapped[datetime | None]
    reason: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    tolerated_fen: Mapped[int | None]
    tolerated_until: Mapped[date | None]


class PriceReport(Model):
    """What a buyer saw elsewhere: so much money for so many base units of the same good, where, when, with evidence.

    The seller is never told whose report it is.
    """

    __tablename__ = "price_report"
    __table_args__ = (
        CheckConstraint("status IN ('received', 'under_review', 'upheld', 'rejected')", name="status"),
        CheckConstraint("(status IN ('upheld', 'rejected')) = (answer IS NOT NULL)", name="answer"),
        CheckConstraint("seen_fen > 0 AND seen_quantity > 0", name="seen"),
        CheckConstraint("link IS NOT NULL OR file_id IS NOT NULL", name="evidence"),
        Index(
            "ix_price_report_open", "buyer_id", "listing_id", unique=True,
            postgresql_where=text("status IN ('received', 'under_review')"),
        ),
        Index("ix_price_report_buyer", "buyer_id", "id"),
        Index("ix_price_report_alert", "alert_id", "id"),
    )  # fmt: skip

    id: Mapped[UUID] = id_column()
    alert_id: Mapped[UUID] = mapped_column(ForeignKey(PriceAlert.id))
    listing_id: Mapped[UUID] = mapped_column(ForeignKey(Listing.id))
    buyer_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    reported_by_user_id: Mapped[UUID]
    status: Mapped[str]
    price_fen: Mapped[int]
    seen_fen: Mapped[int]
    seen_quantity: Mapped[int]
    place: Mapped[str]
    seen_on: Mapped[date]
    link: Mapped[str | None]
    file_id: Mapped[UUID | None] = mapped_column(ForeignKey(StoredFile.id))
    note: Mapped[str]
    received_at: Mapped[datetime]
    review_at: Mapped[datetime | None]
    answer: Mapped[str | None]
    decided_at: Mapped[datetime | None]
