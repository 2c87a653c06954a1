"""Changes of a supplier order before it is accepted: one side proposes, the other agrees or refuses."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column
from shop.errors import Invalid, Refusal


class ChangeStatus(StrEnum):
    OPEN = "open"
    AGREED = "agreed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"
    """Nobody answered in time."""
    VOID = "void"
    """The order was cancelled meanwhile."""


class ChangeIsOpen(Refusal):
    """A proposed change waits for its answer; `change_id` names it."""

    code, status = "change_open", 409
    title, title_zh = "A proposed change waits for its answer.", "有待答复的订单变更。"


class WrongChangeStatus(Refusal):
    """This change was answered, withdrawn, or its time is over; `is_now` says which."""

    code, status = "wrong_change_status", 409
    title, title_zh = "This change cannot be answered any more.", "该订单变更已办结，不能再处理。"


class OtherSide(Refusal):
    """Who did not propose a change answers it, and who did may withdraw it."""

    code, status = "other_side", 409
    title, title_zh = "This is for the other side of the order to do.", "此操作须由订单的另一方进行。"


class WrongChange(Invalid):
    """It asks for more than was ordered, changes nothing or leaves nothing; `errors` points at what is wrong."""

    code, status = "wrong_change", 422
    title, title_zh = "An order cannot be changed like this.", "不能这样变更订单。"


class OrderChange(Model):
    """Fewer packs of some lines, another freight, or both; never dearer than what was ordered.

    `answer_by`: it lapses then (null: it waits). The sums are of the supplier order as it would be billed if all of it
    were accepted, before and after.
    """

    __tablename__ = "order_change"
    __table_args__ = (
        CheckConstraint("side IN ('buyer', 'cooperative')", name="side"),
        CheckConstraint("status IN ('open', 'agreed', 'refused', 'withdrawn', 'lapsed', 'void')", name="status"),
        CheckConstraint("(status = 'open') = (ended_at IS NULL)", name="ended"),
        CheckConstraint(
            "goods_fen > 0 AND goods_fen <= goods_fen_before AND freight_fen >= 0"
            " AND goods_fen + freight_fen <= goods_fen_before + freight_fen_before",
            name="never_dearer",
        ),
        Index("ix_order_change_open", "supplier_order_id", unique=True, postgresql_where=text("status = 'open'")),
        Index("ix_order_change_order", "supplier_order_id", "id"),
        Index("ix_order_change_due", "answer_by", postgresql_where=text("status = 'open'")),
    )

    id: Mapped[UUID] = id_column()
    supplier_order_id: Mapped[UUID] = mapped_column(ForeignKey("supplier_order.id"))
    side: Mapped[str]
    status: Mapped[str] = mapped_column(default=ChangeStatus.OPEN)
    reason: Mapped[str]
    goods_fen_before: Mapped[int]
    goods_fen: Mapped[int]
    freight_fen_before: Mapped[int]
    freight_fen: Mapped[int]
    proposed_by: Mapped[UUID]
    proposed_at: Mapped[datetime]
    answer_by: Mapped[datetime | None]
    ended_by: Mapped[UUID | None]
    ended_at: Mapped[datetime | None]
    answer: Mapped[str | None]


class OrderChangeLine(Model):
    """A line of which there would be fewer packs."""

    __tablename__ = "order_change_line"
    __table_args__ = (
        CheckConstraint("packs >= 0 AND packs < packs_before", name="fewer"),
        Index("ix_order_change_line_line", "line_id"),
    )

    change_id: Mapped[UUID] = mapped_column(ForeignKey("order_change.id"), primary_key=True)
    line_id: Mapped[UUID] = mapped_column(ForeignKey("order_line.id"), primary_key=True)
    packs_before: Mapped[int]
    packs: Mapped[int]
