"""How long supply is held and money may take, and what becomes of an order that was paid when its supply was gone."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import DATERANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column
from shop.errors import Refusal


class Lasts(StrEnum):
    """What lasts for the minutes of a rule: a hold until the money comes by a method, the buyer's choice, or the
    time to pay in.

    An order that is placed to be paid first holds its supply as for a transfer until another method is asked for; what
    is ordered on terms is held until it is accepted, and has no rule.
    """

    BANK_TRANSFER = "bank_transfer"
    STRIPE = "stripe"
    VOUCHER = "voucher"
    """How much longer supply is held, from when the bank's voucher of a transfer is handed in."""
    CHOICE = "choice"
    WAIT = "wait"
    PAYMENT = "payment"
    """How long an order that is to be paid first waits for its money, before it is cancelled."""
    EXTENSION = "extension"
    """How much longer it waits when its buyer asks for more time, once."""
    NOTICE = "notice"
    """How long a payment notice of an order on terms may stay open."""


class HoldRule(Model):
    """So many minutes from a day to a day."""

    __tablename__ = "hold_rule"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('bank_transfer', 'stripe', 'choice', 'wait', 'payment', 'extension', 'notice', 'voucher')",
            name="kind",
        ),
        CheckConstraint("minutes BETWEEN 5 AND 129600", name="minutes"),
        ExcludeConstraint(("kind", "="), ("valid", "&&"), name="ex_hold_rule_one_at_a_time", using="gist"),
    )

    id: Mapped[UUID] = id_column()
    kind: Mapped[str]
    minutes: Mapped[int]
    source: Mapped[str]
    valid: Mapped[Range[date]] = mapped_column(DATERANGE)


class Chosen(StrEnum):
    WAIT = "wait"
    REFUND = "refund"


class Outcome(StrEnum):
    FILLED = "filled"
    REFUNDED = "refunded"


class SupplyChoice(Model):
    """A supplier order was paid when its supply was no longer held and no longer there: its buyer chooses.

    One per supplier order, since what is filled or refunded does not come back to it. Refunded when `decide_by` passes.
    """

    __tablename__ = "supply_choice"
    __table_args__ = (
        CheckConstraint("chosen IN ('wait', 'refund')", name="chosen"),
        CheckConstraint("outcome IN ('filled', 'refunded')", name="outcome"),
        CheckConstraint("(ended_at IS NULL) = (outcome IS NULL)", name="ended"),
        Index("ix_supply_choice_due", "decide_by", postgresql_where=text("ended_at IS NULL")),
        Index(
            "ix_supply_choice_waiting",
            "opened_at",
            "supplier_order_id",
            postgresql_where=text("ended_at IS NULL AND chosen = 'wait'"),
        ),
    )

    supplier_order_id: Mapped[UUID] = mapped_column(ForeignKey("supplier_order.id"), primary_key=True)
    opened_at: Mapped[datetime]
    decide_by: Mapped[datetime]
    chosen: Mapped[str | None]
    chosen_by: Mapped[UUID | None]
    chosen_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    ended_at: Mapped[datetime | None]


class PaymentExtension(Model):
    """An order that is to be paid first was given `minutes` more for it, once; its parts are to be paid by
    `pay_before`. Append-only."""

    __tablename__ = "payment_extension"

    order_id: Mapped[UUID] = mapped_column(ForeignKey("purchase_order.id"), primary_key=True)
    buyer_id: Mapped[UUID]
    by_user_id: Mapped[UUID]
    reason: Mapped[str]
    minutes: Mapped[int]
    pay_before: Mapped[datetime]
    at: Mapped[datetime]


class NothingToExtend(Refusal):
    """Nothing of this order waits for money that is to come first, or its time is over, or no rule gives more."""

    code, status = "nothing_to_extend", 409
    title, title_zh = "There is no time to pay that could be extended.", "该订单没有可延长的付款期限。"


class AlreadyExtended(Refusal):
    """The time to pay was extended before; `pay_before` says until when."""

    code, status = "already_extended", 409
    title, title_zh = "The time to pay was extended before.", "该订单的付款期限已延长过一次。"


class NoSupplyChoice(Refusal):
    """Nothing is to be chosen for this part: its supply is held, it is not paid, or it was filled or refunded."""

    code, status = "no_supply_choice", 409
    title, title_zh = "There is nothing to choose for this order.", "该订单没有待选择的缺货处理。"
