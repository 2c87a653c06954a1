"""How long whoever's turn it is may take, as JSON."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from shop.dated import DatedIn, DatedOut, days_of
from shop.http.fields import across
from shop.http.routes import Out
from shop.ids import OrderTimeRuleId
from shop.orders.models_times import OrderTimeRule, Waits

Hours = Annotated[int, Field(ge=1, le=8760)]


class NewOrderTimeRule(DatedIn):
    """So many hours for goods of a storage class, or for all; `reason` is the notice that the rule rests on."""

    waits_for: Annotated[Waits, Field(strict=False)]
    storage: Literal["ambient", "chilled", "frozen"] | None = None
    hours: Hours
    remind_hours: Hours | None = None
    lapse_hours: Hours | None = None

    @model_validator(mode="after")
    def in_order(self) -> Self:
        if self.remind_hours is not None and self.remind_hours >= self.hours:
            raise across("times", "the reminder comes after the wait begins", "remind_hours", "hours")
        if self.lapse_hours is not None and self.lapse_hours < self.hours:
            raise across("times", "what lapses is due by then", "lapse_hours", "hours")
        if self.lapse_hours is not None and self.waits_for not in (Waits.CONFIRMATION, Waits.ACCEPTANCE):
            raise across("times", "only a confirmation and an acceptance lapse", "lapse_hours", "waits_for")
        return self

    def said(self) -> dict[str, Any]:
        """The columns of the rule."""
        return {
            "waits_for": self.waits_for, "storage": self.storage or "", "hours": self.hours,
            "remind_hours": self.remind_hours, "lapse_hours": self.lapse_hours, "source": self.reason,
        }  # fmt: skip


class OrderTimeRuleOut(DatedOut):
    """Reminded `remind_hours` before `hours` are over; cancelled or counted as accepted after `lapse_hours`."""

    id: OrderTimeRuleId
    waits_for: str
    storage: str | None
    hours: int
    remind_hours: int | None
    lapse_hours: int | None
    source: str


class OrderTimeRulePage(Out):
    items: list[OrderTimeRuleOut]
    next: str | None


def order_time_rule_out(rule: OrderTimeRule) -> OrderTimeRuleOut:
    return OrderTimeRuleOut(
        id=rule.id,
        waits_for=rule.waits_for,
        storage=rule.storage or None,
        hours=rule.hours,
        remind_hours=rule.remind_hours,
        lapse_hours=rule.lapse_hours,
        source=rule.source,
        **days_of(rule.valid),
    )
