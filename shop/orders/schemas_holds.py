"""How long supply is held, and the choice of a buyer whose money came when it was gone, as JSON."""

from typing import Annotated, Any, Literal

from pydantic import Field

from shop.dated import DatedIn, DatedOut, days_of
from shop.http.routes import In, Out
from shop.ids import HoldRuleId, SupplierOrderId
from shop.orders.models_holds import HoldRule, Lasts, SupplyChoice


class ChooseSupply(In):
    """`wait` until there is supply for all of it, or `refund`: have back all that was paid for it."""

    choice: Literal["wait", "refund"]


class SupplyChoiceOut(Out):
    """What a buyer may choose until `decide_by`; the money goes back then. `outcome` is null as long as it is open."""

    supplier_order_id: SupplierOrderId
    opened_at: str
    decide_by: str
    choice: str | None
    outcome: str | None


class NewHoldRule(DatedIn):
    """So many minutes: how long a hold lasts until the money comes by a method, how long a buyer whose supply is gone
    may choose, and how long one may wait for it. `reason` is the notice that the rule rests on."""

    kind: Annotated[Lasts, Field(strict=False)]
    minutes: Annotated[int, Field(ge=5, le=129600)]

    def said(self) -> dict[str, Any]:
        """The columns of the rule."""
        return {"kind": self.kind, "minutes": self.minutes, "source": self.reason}


class HoldRuleOut(DatedOut):
    id: HoldRuleId
    kind: str
    minutes: int
    source: str


class HoldRulePage(Out):
    items: list[HoldRuleOut]
    next: str | None


def supply_choice_out(choice: SupplyChoice) -> SupplyChoiceOut:
    return SupplyChoiceOut(
        supplier_order_id=choice.supplier_order_id,
        opened_at=choice.opened_at.isoformat(),
        decide_by=choice.decide_by.isoformat(),
        choice=choice.chosen,
        outcome=choice.outcome,
    )


def hold_rule_out(rule: HoldRule) -> HoldRuleOut:
    return HoldRuleOut(id=rule.id, kind=rule.kind, minutes=rule.minutes, source=rule.source, **days_of(rule.valid))
