"""Requests for quotation, the quotes that come in, who saw them, and what was awarded."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column
from shop.errors import Refusal


class RequestStatus(StrEnum):
    OPEN = "open"
    AWARDED = "awarded"
    CANCELLED = "cancelled"


NEXT: Mapping[RequestStatus, frozenset[RequestStatus]] = {  # the whole life of a request
    RequestStatus.OPEN: frozenset({RequestStatus.AWARDED, RequestStatus.CANCELLED}),
    RequestStatus.AWARDED: frozenset(),
    RequestStatus.CANCELLED: frozenset(),
}


class WrongRequestStatus(Refusal):
    """The request cannot become that from where it stands; `request_status` says where that is."""

    code, status = "wrong_quotation_request_status", 409
    title, title_zh = "This request for quotation cannot become that now.", "该询价当前状态不允许此操作。"


class QuotesSealed(Refusal):
    """Nobody reads a quote before the deadline, `deadline`."""

    code, status = "quotes_sealed", 409
    title, title_zh = "The quotes are sealed until the deadline.", "截止时间前报价保密，不可查看。"


class DeadlinePassed(Refusal):
    """No quote is taken after the deadline, `deadline`."""

    code, status = "deadline_passed", 409
    title, title_zh = "The deadline of this request has passed.", "该询价已截止。"


class QuotationRequest(Model):
    """What a buyer asks for: lines, where to, and until when. It never changes; `status` alone moves.

    `valid_days`: for how many days an awarded price may be ordered at. `opened_at`: when the sweep said that the
    deadline had passed.
    """

    __tablename__ = "quotation_request"
    __table_args__ = (
        CheckConstraint("status IN ('open', 'awarded', 'cancelled')", name="status"),
        CheckConstraint("deadline > made_at", name="deadline"),
        CheckConstraint("valid_days BETWEEN 1 AND 366", name="valid_days"),
        CheckConstraint("(status = 'open') = (closed_at IS NULL)", name="closed"),
        UniqueConstraint("buyer_id", "number"),
        Index("ix_quotation_request_buyer", "buyer_id", "id"),
        Index(
            "ix_quotation_request_sealed",
            "deadline",
            postgresql_where=text("status = 'open' AND opened_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = id_column()
    buyer_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    number: Mapped[str]
    title: Mapped[str]
    address_id: Mapped[UUID] = mapped_column(ForeignKey("address.id"))
    delivery_code: Mapped[str]
    deadline: Mapped[datetime]
    valid_days: Mapped[int]
    note: Mapped[str | None]
    status: Mapped[str] = mapped_column(default=RequestStatus.OPEN)
    made_by: Mapped[UUID]
    made_at: Mapped[datetime]
    opened_at: Mapped[datetime | None]
    closed_by: Mapped[UUID | None]
    closed_at: Mapped[datetime | None]
    reason: Mapped[str | None]


class RequestLine(Model):
    """Goods that are asked for: so many packs of so much, in base units."""

    __tablename__ = "quotation_request_line"
    __table_args__ = (
        CheckConstraint("base_unit IN ('g', 'piece')", name="base_unit"),
        CheckConstraint("pack_base_quantity > 0 AND packs > 0", name="quantity"),
    )

    request_id: Mapped[UUID] = mapped_column(ForeignKey("quotation_request.id"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    spec: Mapped[str]
    base_unit: Mapped[str]
    pack_base_quantity: Mapped[int]
    packs: Mapped[int]

    @property
    def quantity(self) -> int:
        return self.packs * self.pack_base_quantity


class Invitation(Model):
    """A cooperative that is asked."""

    __tablename__ = "quotation_invitation"
    __table_args__ = (Index("ix_quotation_invitation_cooperative", "cooperative_id", "request_id"),)

    request_id: Mapped[UUID] = mapped_column(ForeignKey("quotation_request.id"), primary_key=True)
    cooperative_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"), primary_key=True)
    buyer_id: Mapped[UUID]


class Quotation(Model):
    """What a cooperative quoted; append-only. The last version before the deadline counts, one without lines is none.

    Nobody but the cooperative sees it before `opens_at`, which is the deadline of its request.
    """

    __tablename__ = "quotation"
    __table_args__ = (
        UniqueConstraint("request_id", "cooperative_id", "version"),
        CheckConstraint("version > 0 AND at < opens_at", name="in_time"),
    )

    id: Mapped[UUID] = id_column()
    request_id: Mapped[UUID] = mapped_column(ForeignKey("quotation_request.id"))
    buyer_id: Mapped[UUID]
    cooperative_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    version: Mapped[int]
    opens_at: Mapped[datetime]
    note: Mapped[str | None]
    by_user_id: Mapped[UUID]
    at: Mapped[datetime]


class QuotationLine(Model):
    """The price of a pack of a listing for a line that was asked for, with the listing as it was; append-only."""

    __tablename__ = "quotation_line"
    __table_args__ = (
        CheckConstraint("unit_fen > 0 AND unit_fen <= 1000000000", name="price"),
        CheckConstraint("packs > 0 AND pack_base_quantity > 0 AND pack_grams > 0", name="packs"),
        ForeignKeyConstraint(
            ["request_id", "place"],
            ["quotation_request_line.request_id", "quotation_request_line.place"],
            name="fk_quotation_line_request_line",
        ),
    )

    quotation_id: Mapped[UUID] = mapped_column(ForeignKey("quotation.id"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)
    request_id: Mapped[UUID]
    listing_id: Mapped[UUID] = mapped_column(ForeignKey("listing.id"))
    listing_revision: Mapped[int]
    name: Mapped[str]
    spec: Mapped[str]
    grade: Mapped[str]
    pack_name: Mapped[str]
    base_unit: Mapped[str]
    pack_base_quantity: Mapped[int]
    pack_grams: Mapped[int]
    origin_code: Mapped[str]
    storage: Mapped[str]
    packs: Mapped[int]
    unit_fen: Mapped[int]

    @property
    def net_grams(self) -> int:
        """What the packs hold: their net weight, or where they are counted in pieces, their whole weight."""
        return self.packs * (self.pack_base_quantity if self.base_unit == "g" else self.pack_grams)


class Seen(StrEnum):
    """What somebody read."""

    REQUEST = "request"
    QUOTES = "quotes"
    EVIDENCE = "evidence"


class QuotationView(Model):
    """Who read what, and when; append-only."""

    __tablename__ = "quotation_view"
    __table_args__ = (
        CheckConstraint("what IN ('request', 'quotes', 'evidence')", name="what"),
        Index("ix_quotation_view_request", "request_id", "id"),
    )

    id: Mapped[UUID] = id_column()
    request_id: Mapped[UUID] = mapped_column(ForeignKey("quotation_request.id"))
    buyer_id: Mapped[UUID]
    organisation_id: Mapped[UUID]
    user_id: Mapped[UUID]
    what: Mapped[str]
    at: Mapped[datetime]


class QuotationAward(Model):
    """Who a line goes to, at which price, and why where another was cheaper; append-only."""

    __tablename__ = "quotation_award"
    __table_args__ = (
        ForeignKeyConstraint(
            ["quotation_id", "place"],
            ["quotation_line.quotation_id", "quotation_line.place"],
            name="fk_quotation_award_quotation_line",
        ),
        CheckConstraint("cheapest OR reason IS NOT NULL", name="reason"),
        UniqueConstraint("request_id", "place"),
    )

    id: Mapped[UUID] = id_column()
    request_id: Mapped[UUID] = mapped_column(ForeignKey("quotation_request.id"))
    place: Mapped[int]
    quotation_id: Mapped[UUID]
    buyer_id: Mapped[UUID]
    cooperative_id: Mapped[UUID]
    cheapest: Mapped[bool]
    reason: Mapped[str | None]
    by_user_id: Mapped[UUID]
    at: Mapped[datetime]


class QuotationEvidence(Model):
    """What an award rests on, as it stood then: the request, every quote and version, the comparison, the readers."""

    __tablename__ = "quotation_evidence"

    request_id: Mapped[UUID] = mapped_column(ForeignKey("quotation_request.id"), primary_key=True)
    buyer_id: Mapped[UUID]
    content: Mapped[dict[str, Any]]
    sha256: Mapped[str]
    at: Mapped[datetime]
