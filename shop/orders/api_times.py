"""How long whoever's turn it is with an order may take: dated rules that operators add and end."""

from datetime import datetime

from sqlalchemy.orm import Session

from shop import dated
from shop.actor import Actor, Audience, Role
from shop.dated import EndRuleIn, RuleOverlaps
from shop.errors import Invalid, NotFound
from shop.http.routes import PageQuery, Routes, roles
from shop.ids import OrderTimeRuleId
from shop.orders.models_times import OrderTimeRule
from shop.orders.schemas_times import NewOrderTimeRule, OrderTimeRuleOut, OrderTimeRulePage, order_time_rule_out

routes = Routes("/v1/admin", tag="Policy", people_only=True)
operator = roles(Role.OPERATOR, of=Audience.ADMIN)
officer = roles(Role.OPERATOR, Role.ANALYST, Role.AUDITOR, of=Audience.ADMIN)


@routes.get("/order-time-rules", allow=officer, answers={200: OrderTimeRulePage}, refusals=(Invalid,))
def list_order_time_rules(session: Session, query: PageQuery) -> OrderTimeRulePage:
    """How long orders wait for whose turn it is, past, present and to come, oldest rule first."""
    page, following = dated.page(session, OrderTimeRule, query)
    return OrderTimeRulePage(items=[order_time_rule_out(rule) for rule in page], next=following)


@routes.post("/order-time-rules", allow=operator, answers={201: OrderTimeRuleOut}, refusals=(Invalid, RuleOverlaps))
def add_order_time_rule(session: Session, actor: Actor, now: datetime, body: NewOrderTimeRule) -> OrderTimeRuleOut:
    """Give so many hours, from a day to come on; what waits already keeps the time that it began with."""
    return order_time_rule_out(dated.begin(session, OrderTimeRule, body.said(), wanted=body, by=actor, now=now))


@routes.post(
    "/order-time-rules/<order_time_rule_id>/end",
    allow=operator,
    answers={200: OrderTimeRuleOut},
    refusals=(NotFound, Invalid),
)
def end_order_time_rule(
    session: Session, actor: Actor, now: datetime, order_time_rule_id: OrderTimeRuleId, body: EndRuleIn
) -> OrderTimeRuleOut:
    """End a rule on a day to come; without another one, what begins to wait from then on has all the time."""
    return order_time_rule_out(dated.end(session, OrderTimeRule, order_time_rule_id, wanted=body, by=actor, now=now))
