"""Framework agreements, their lines, and what orders drew on them."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import DATERANGE, Range
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column
from shop.errors import Refusal


class AgreementStatus(StrEnum):
    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    ENDED = "ended"


NEXT: Mapping[AgreementStatus, frozenset[AgreementStatus]] = {  # the whole life of an agreement
    AgreementStatus.PROPOSED: frozenset(
        {AgreementStatus.ACCEPTED, AgreementStatus.DECLINED, AgreementStatus.WITHDRAWN}
    ),
    AgreementStatus.ACCEPTED: frozenset({AgreementStatus.ENDED}),
    AgreementStatus.DECLINED: frozenset(),
    AgreementStatus.WITHDRAWN: frozenset(),
    AgreementStatus.ENDED: frozenset(),
}
STATUSES = ", ".join(f"'{status}'" for status in AgreementStatus)


class WrongAgreementStatus(Refusal):
    """The agreement cannot become that from where it stands; `agreement_status` says where that is."""

    code, status = "wrong_agreement_status", 409
    title, title_zh = "This agreement cannot become that now.", "该框架协议当前状态不允许此操作。"


class AgreementDrawnOn(Refusal):
    """Others drew on the agreement since it was priced, or it has ended; `lines` names what is priced anew."""

    code, status = "agreement_drawn_on", 409
    title, title_zh = "The agreement no longer covers this order; price it again.", "框架协议额度已变动，请重新报价。"


class FrameworkAgreement(Model):
    """What a buyer and a cooperative agreed on, on the days `valid`; its terms never change once they are proposed.

    `ceiling_fen` is the most that orders may draw at its prices, goods without freight; `drawn_fen` the sum of its
    drawings. `proposed_by` is the organisation that proposed it, `reference` the number of the paper behind it.
    """

    __tablename__ = "framework_agreement"
    __table_args__ = (
        CheckConstraint(f"status IN ({STATUSES})", name="status"),
        CheckConstraint("proposed_by IN (buyer_id, cooperative_id)", name="proposed_by"),
        CheckConstraint("NOT isempty(valid) AND NOT lower_inf(valid) AND NOT upper_inf(valid)", name="valid"),
        CheckConstraint("drawn_fen >= 0 AND (ceiling_fen IS NULL OR drawn_fen <= ceiling_fen)", name="drawn"),
        CheckConstraint("status NOT IN ('accepted', 'ended') OR answered_at IS NOT NULL", name="answered"),
        Index("ix_framework_agreement_buyer", "buyer_id", "id"),
        Index("ix_framework_agreement_cooperative", "cooperative_id", "id"),
        Index("ix_framework_agreement_accepted", "buyer_id", postgresql_where=text("status = 'accepted'")),
    )

    id: Mapped[UUID] = id_column()
    buyer_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    cooperative_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    proposed_by: Mapped[UUID]
    reference: Mapped[str]
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)
    ceiling_fen: Mapped[int | None]
    drawn_fen: Mapped[int] = mapped_column(default=0)
    status: Mapped[str] = mapped_column(default=AgreementStatus.PROPOSED)
    note: Mapped[str | None]
    proposed_by_user_id: Mapped[UUID]
    proposed_at: Mapped[datetime]
    answered_by_user_id: Mapped[UUID | None]
    answered_at: Mapped[datetime | None]
    ended_by_user_id: Mapped[UUID | None]
    ended_at: Mapped[datetime | None]
    reason: Mapped[str | None]


class AgreementLine(Model):
    """The agreed price of a pack of a listing, as long as the pack holds what it held when that was agreed.

    `ceiling_packs` is the most that may be drawn at this price, `drawn_packs` the sum of the line's drawings.
    """

    __tablename__ = "agreement_line"
    __table_args__ = (
        CheckConstraint("unit_fen > 0 AND unit_fen <= 1000000000", name="price"),
        CheckConstraint("drawn_packs >= 0 AND (ceiling_packs IS NULL OR drawn_packs <= ceiling_packs)", name="drawn"),
        CheckConstraint("pack_base_quantity > 0", name="pack"),
        UniqueConstraint("agreement_id", "listing_id"),
    )

    id: Mapped[UUID] = id_column()
    agreement_id: Mapped[UUID] = mapped_column(ForeignKey("framework_agreement.id"))
    place: Mapped[int]
    listing_id: Mapped[UUID] = mapped_column(ForeignKey("listing.id"))
    listing_revision: Mapped[int]
    name: Mapped[str]
    pack_name: Mapped[str]
    pack_base_quantity: Mapped[int]
    unit_fen: Mapped[int]
    ceiling_packs: Mapped[int | None]
    drawn_packs: Mapped[int] = mapped_column(default=0)


class DrawingKind(StrEnum):
    """Why an agreement was drawn on or given back to."""

    PLACED = "placed"
    CANCELLED = "cancelled"
    NOT_ACCEPTED = "not_accepted"
    CORRECTED = "corrected"


class AgreementDrawing(Model):
    """What a line of an order drew, and what it gave back; append-only. Negative gives back.

    `correction_id`: the correction that took back what had been accepted.
    """

    __tablename__ = "agreement_drawing"
    __table_args__ = (
        CheckConstraint("kind IN ('placed', 'cancelled', 'not_accepted', 'corrected')", name="kind"),
        CheckConstraint("(kind = 'corrected') = (correction_id IS NOT NULL)", name="correction"),
        CheckConstraint("(kind = 'placed') = (packs > 0) AND packs <> 0 AND sign(packs) = sign(fen)", name="sign"),
        Index(
            "ix_agreement_drawing_once",
            "order_line_id",
            "kind",
            unique=True,
            postgresql_where=text("correction_id IS NULL"),
        ),
        Index("ix_agreement_drawing_correction", "correction_id", "order_line_id", unique=True),
        Index("ix_agreement_drawing_agreement", "agreement_id", "id"),
        Index("ix_agreement_drawing_line", "agreement_line_id"),
    )

    id: Mapped[UUID] = id_column()
    agreement_id: Mapped[UUID] = mapped_column(ForeignKey("framework_agreement.id"))
    agreement_line_id: Mapped[UUID] = mapped_column(ForeignKey("agreement_line.id"))
    order_line_id: Mapped[UUID]
    kind: Mapped[str]
    correction_id: Mapped[UUID | None]
    packs: Mapped[int]
    fen: Mapped[int]
    at: Mapped[datetime]


class QuoteUsed(Refusal):
    """A negotiated quote was used since the order was priced; `lines` names what is priced anew."""

    code, status = "quote_used", 409
    title, title_zh = "A negotiated quote was used meanwhile; price it again.", "议价已被使用，请重新报价。"


class NegotiatedQuote(Model):
    """A price that was awarded to a buyer for a listing: for one line of an order, up to `packs`, on the days `valid`.

    Append-only; its id is that of the award behind it.
    """

    __tablename__ = "negotiated_quote"
    __table_args__ = (
        CheckConstraint("unit_fen > 0 AND unit_fen <= 1000000000 AND packs > 0", name="price"),
        CheckConstraint("pack_base_quantity > 0", name="pack"),
        CheckConstraint("NOT isempty(valid) AND NOT lower_inf(valid) AND NOT upper_inf(valid)", name="valid"),
        Index("ix_negotiated_quote_buyer", "buyer_id", "listing_id"),
        Index("ix_negotiated_quote_cooperative", "cooperative_id", "id"),
    )

    id: Mapped[UUID] = id_column()
    buyer_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    cooperative_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    listing_id: Mapped[UUID] = mapped_column(ForeignKey("listing.id"))
    pack_base_quantity: Mapped[int]
    unit_fen: Mapped[int]
    packs: Mapped[int]
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)
    made_at: Mapped[datetime]


class NegotiatedQuoteUse(Model):
    """The line of an order that was priced by a quote; append-only, and there is one for each quote, for good."""

    __tablename__ = "negotiated_quote_use"
    __table_args__ = (CheckConstraint("packs > 0", name="packs"),)

    quote_id: Mapped[UUID] = mapped_column(ForeignKey("negotiated_quote.id"), primary_key=True)
    order_line_id: Mapped[UUID] = mapped_column(unique=True)
    packs: Mapped[int]
    at: Mapped[datetime]
