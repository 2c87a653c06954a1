"""Supply that is no longer held, money that takes longer: what a buyer may choose or ask for, and the dated rules."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop import dated
from shop.actor import Actor, Audience, Role
from shop.dated import EndRuleIn, RuleOverlaps
from shop.errors import Invalid, NotFound
from shop.http import cursors
from shop.http.routes import REQUIRED, PageQuery, Routes, audience, roles
from shop.ids import HoldRuleId, OrderId, SupplierOrderId
from shop.orders import queries
from shop.orders.models import SupplierOrder
from shop.orders.models_holds import AlreadyExtended, Chosen, HoldRule, NoSupplyChoice, NothingToExtend, SupplyChoice
from shop.orders.schemas_holds import (
    ChooseSupply,
    ExtendPayment,
    HoldRuleOut,
    HoldRulePage,
    NewHoldRule,
    PaymentExtensionOut,
    SupplyChoiceOut,
    SupplyChoicePage,
    hold_rule_out,
    payment_extension_out,
    supply_choice_out,
)
from shop.orders.service import choosing_supply, extending

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


@routes.get("/supply-choices", allow=audience(Audience.BUYER), answers={200: SupplyChoicePage}, refusals=(Invalid,))
def list_supply_choices(session: Session, actor: Actor, query: PageQuery) -> SupplyChoicePage:
    """What is still to be chosen, or waits, the part that was ordered first at the head."""
    name = "supply choices"
    wanted = (
        select(SupplyChoice)
        .join(SupplierOrder, SupplierOrder.id == SupplyChoice.supplier_order_id)
        .where(SupplierOrder.buyer_id == actor.organisation_id, SupplyChoice.ended_at.is_(None))
        .order_by(SupplyChoice.supplier_order_id)
        .limit(query.limit + 1)
    )
    if query.cursor:
        wanted = wanted.where(SupplyChoice.supplier_order_id > cursors.decode_id(name, query.cursor))
    found = session.scalars(wanted).all()
    page, following = cursors.cut(name, found, query.limit, id_of=lambda choice: choice.supplier_order_id)
    return SupplyChoicePage(items=[supply_choice_out(choice) for choice in page], next=following)


@routes.post(
    "/orders/<order_id>/payment-extension",
    allow=roles(Role.REQUESTER, Role.FINANCE, Role.MANAGER, of=Audience.BUYER),
    answers={201: PaymentExtensionOut},
    refusals=(NotFound, AlreadyExtended, NothingToExtend),
    key=REQUIRED,
)
def extend_payment(
    session: Session, actor: Actor, now: datetime, order_id: OrderId, body: ExtendPayment
) -> PaymentExtensionOut:
    """Ask once for more time to pay an order that is to be paid first; supply is held no longer for it."""
    return payment_extension_out(extending.extend(session, actor=actor, order_id=order_id, reason=body.reason, now=now))


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
