"""What households brought to a lot, under the codes that their cooperative gave them."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column


class Contribution(Model):
    """So many grams that a household brought to a lot on a day, and what it was paid for them.

    The household is a code of its cooperative's; who is behind it stands nowhere here. Never needed to sell: it may
    follow when the lot is long eaten.
    """

    __tablename__ = "contribution"
    __table_args__ = (
        CheckConstraint("grams > 0 AND paid_fen >= 0", name="amount"),
        UniqueConstraint("lot_id", "household", "brought_on"),
        Index("ix_contribution_month", "cooperative_id", "brought_on"),
    )

    id: Mapped[UUID] = id_column()
    lot_id: Mapped[UUID] = mapped_column(ForeignKey("lot.id"))
    cooperative_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    household: Mapped[str]
    brought_on: Mapped[date]
    grams: Mapped[int]
    paid_fen: Mapped[int]
    certificate: Mapped[str | None]
    recorded_at: Mapped[datetime]
