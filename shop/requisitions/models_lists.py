"""Saved lists: what an institution buys again and again, in packs or by the head."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column


class RequisitionList(Model):
    """A named list; `retired_at`: it is used no more and its name may be given again."""

    __tablename__ = "requisition_list"
    __table_args__ = (
        Index(
            "ix_requisition_list_name", "organisation_id", "name", unique=True,
            postgresql_where=text("retired_at IS NULL"),
        ),
    )  # fmt: skip

    id: Mapped[UUID] = id_column()
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    name: Mapped[str]
    version: Mapped[int] = mapped_column(default=1)
    made_by: Mapped[UUID]
    made_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]


class RequisitionListLine(Model):
    """So many packs of a listing, or so many grams on the plate for a head and meal.

    `yield_percent` of what is bought reaches the plate.
    `substitutes`: listings that take its place in this order while it cannot be ordered.
    """

    __tablename__ = "requisition_list_line"
    __table_args__ = (
        CheckConstraint("packs > 0 AND grams_per_meal > 0", name="positive"),
        CheckConstraint("(packs IS NULL) <> (grams_per_meal IS NULL)", name="measure"),
        CheckConstraint(
            "(yield_percent IS NULL) = (grams_per_meal IS NULL) AND yield_percent BETWEEN 1 AND 100", name="yield"
        ),
    )

    list_id: Mapped[UUID] = mapped_column(ForeignKey("requisition_list.id"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)
    listing_id: Mapped[UUID] = mapped_column(ForeignKey("listing.id"))
    packs: Mapped[int | None]
    grams_per_meal: Mapped[int | None]
    yield_percent: Mapped[int | None]
    substitutes: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid(as_uuid=True)), default=list)
