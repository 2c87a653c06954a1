"""How long supply is held and money may take, and the choice of a buyer whose money came too late, as JSON."""

from typing import Annotated, Any, Literal

from pydantic import Field

from shop.dated import DatedIn, DatedOut, days_of
from shop.http.routes import In, Out
from shop.ids import HoldRuleId, OrderId, SupplierOrderId, UserId
from shop.orders.models_holds import HoldRule, Lasts, PaymentExtension, SupplyChoice


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


class SupplyChoicePage(Out):
    items: list[SupplyChoiceOut]
    next: str | None


class ExtendPayment(In):
    """Why the money comes later."""

    reason: Annotated[str, Field(min_length=1, max_length=500)]


class PaymentExtensionOut(Out):
    """Until when the order is to be paid now. Its supply is not held for longer by it."""

    order_id: OrderId
    pay_before: str
    reason: str
    extended_by: UserId
    extended_at: str


class NewHoldRule(DatedIn):
    """So many minutes. Of supply: how long it is held until the money comes by a method (`bank_transfer`, `stripe`) and
    how much longer from a `voucher` on, how long a buyer whose supply is gone has a `choice` and may `wait`. Of money:
    how long an order that is to be paid first waits for its `payment`, how much longer an `extension` gives, how long a
    `notice` of an order on terms stays open. `reason` is the notice that the rule rests on."""

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


def payment_extension_out(row: PaymentExtension) -> PaymentExtensionOut:
    return PaymentExtensionOut(
        order_id=row.order_id,
        pay_before=row.pay_before.isoformat(),
        reason=row.reason,
        extended_by=row.by_user_id,
        extended_at=row.at.isoformat(),
    )


def hold_rule_out(rule: HoldRule) -> HoldRuleOut:
    return HoldRuleOut(id=rule.id, kind=rule.kind, minutes=rule.minutes, source=rule.source, **days_of(rule.valid))
