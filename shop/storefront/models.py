"""Landed prices: what goods cost where they arrive, kept so that a list is sorted by them from an index."""

from datetime import date
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.dialects.postgresql import DATERANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from shop.catalogue.models import Listing
from shop.db import Model, id_column

NOWHERE = 2**62
"""The place of what no lane leads to: behind everything that can be carried."""


class LossRate(Model):
    """How much of the goods of a temperature class is expected to be lost in a day on the way, in ten-thousandths."""

    __tablename__ = "loss_rate"
    __table_args__ = (
        CheckConstraint("storage IN ('ambient', 'chilled', 'frozen')", name="storage"),
        CheckConstraint("per_day BETWEEN 0 AND 10000", name="per_day"),
        ExcludeConstraint(("storage", "="), ("valid", "&&"), name="ex_loss_rate_one_at_a_time", using="gist"),
    )

    id: Mapped[UUID] = id_column()
    storage: Mapped[str]
    per_day: Mapped[int]
    source: Mapped[str]
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)


class LandedDestination(Model):
    """A prefecture that landed prices are kept for, because a buyer has goods brought there.

    `rates` names the lanes and loss rates that its prices were made with, `doing` those that they are being made anew
    with, of listings up to `done_through`.
    """

    __tablename__ = "landed_destination"

    prefecture: Mapped[str] = mapped_column(primary_key=True)
    rates: Mapped[str] = mapped_column(default="", server_default="")
    doing: Mapped[str] = mapped_column(default="", server_default="")
    done_through: Mapped[UUID | None]


class LandedPrice(Model):
    """What the least quantity of a listing costs in a prefecture: goods, freight and the loss that is expected.

    `place` is the price of a kilogram that arrives, which a list is sorted by; the last of all where no lane leads,
    and there is no price then.
    """

    __tablename__ = "landed_price"
    __table_args__ = (
        CheckConstraint("(per_kg_fen IS NULL) = (freight_fen IS NULL)", name="whole"),
        Index("ix_landed_price_place", "prefecture", "place", "listing_id"),
    )

    listing_id: Mapped[UUID] = mapped_column(ForeignKey(Listing.id), primary_key=True)
    prefecture: Mapped[str] = mapped_column(primary_key=True)
    packs: Mapped[int]
    goods_fen: Mapped[int]
    freight_fen: Mapped[int | None]
    loss_fen: Mapped[int | None]
    days: Mapped[int | None]
    per_kg_fen: Mapped[int | None]
    place: Mapped[int]
