"""Supply that is no longer held: what its buyer chooses, and the dated rules of how long it is."""

from datetime import datetime

from sqlalchemy.orm import Session

from shop import dated
from shop.actor import Actor, Audience, Role
from shop.dated import EndRuleIn, RuleOverlaps
from shop.errors import Invalid, NotFound
from shop.http.routes import REQUIRED, PageQuery, Routes, audience, roles
from shop.ids import HoldRuleId, SupplierOrderId
from shop.orders import queries
from shop.orders.models_holds import Chosen, HoldRule, NoSupplyChoice, SupplyChoice
from shop.orders.schemas_holds import (
    ChooseSupply,
    HoldRuleOut,
    HoldRulePage,
    NewHoldRule,
    SupplyChoiceOut,
    hold_rule_out,
    supply_choice_out,
)
from shop.orders.service import choosing_supply

routes = Routes("/v1/buyer", tag="Buying")
rules = Routes("/v1/admin", tag="Policy", people_only=True)
operator = roles(Role.OPERATOR, of=Audience.ADMIN)
officer = roles(Role.OPERATOR, Role.ANALYST, Role.AUDITOR, of=Audience.ADMIN)


@routes.get(
    "/supplier-orders/<supplier_order_id>/supply-choice",
    allow=audience(Audience.BUYER),
    answers={200: SupplyChoiceOut},
    refusals=(NotFound,),
)
def read_supply_choice(session: Session, actor: Actor, supplier_order_id: SupplierOrderId) -> SupplyChoiceOut:
    """What is, or was, to be chosen for a part that was paid when its supply was gone."""
    part = queries.supplier_order(session, actor, supplier_order_id)
    choice = session.get(SupplyChoice, part.id)
    if choice is None:
        raise NotFound("Nothing was to be chosen for this order.")
    return supply_choice_out(choice)


@routes.post(
    "/supplier-orders/<supplier_order_id>/supply-choice",
    allow=roles(Role.REQUESTER, Role.APPROVER, Role.MANAGER, of=Audience.BUYER),
    answers={200: SupplyChoiceOut},
    refusals=(NotFound, NoSupplyChoice),
    key=REQUIRED,
)
def choose_supply(
    session: Session, actor: Actor, now: datetime, supplier_order_id: SupplierOrderId, body: ChooseSupply
) -> SupplyChoiceOut:
    """Wait for supply or have the money back. Who says nothing by the deadline has it back; who waits may still ask."""
    return supply_choice_out(
        choosing_supply.choose(
            session, actor=actor, supplier_order_id=supplier_order_id, chosen=Chosen(body.choice), now=now
        )
    )


@rules.get("/hold-rules", allow=officer, answers={200: HoldRulePage}, refusals=(Invalid,))
def list_hold_rules(session: Session, query: PageQuery) -> HoldRulePage:
    """How long supply is held, past, present and to come, oldest rule first."""
    page, following = dated.page(session, HoldRule, query)
    return HoldRulePage(items=[hold_rule_out(rule) for rule in page], next=following)


@rules.post("/hold-rules", allow=operator, answers={201: HoldRuleOut}, refusals=(Invalid, RuleOverlaps))
def add_hold_rule(session: Session, actor: Actor, now: datetime, body: NewHoldRule) -> HoldRuleOut:
    """Give so many minutes, from a day to come on; what is held already keeps its time."""
    return hold_rule_out(dated.begin(session, HoldRule, body.said(), wanted=body, by=actor, now=now))


@rules.post("/hold-rules/<hold_rule_id>/end", allow=operator, answers={200: HoldRuleOut}, refusals=(NotFound, Invalid))
def end_hold_rule(
    session: Session, actor: Actor, now: datetime, hold_rule_id: HoldRuleId, body: EndRuleIn
) -> HoldRuleOut:
    """End a rule on a day to come. Without a rule a hold does not lapse, and a choice is a refund at once."""
    return hold_rule_out(dated.end(session, HoldRule, hold_rule_id, wanted=body, by=actor, now=now))
