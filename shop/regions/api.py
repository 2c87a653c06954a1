"""Which lists of counties admit sellers, and which count for what: dated rules that operators add and end."""

from datetime import datetime

from sqlalchemy.orm import Session

from shop import dated
from shop.actor import Actor, Audience, Role
from shop.dated import EndRuleIn, RuleOverlaps
from shop.errors import Invalid, NotFound
from shop.http.routes import PageQuery, Routes, roles
from shop.ids import ListRuleId
from shop.regions.models import ListRule
from shop.regions.schemas import ListRuleOut, ListRulePage, NewListRule, list_rule_out

routes = Routes("/v1/admin", tag="Policy", people_only=True)
operator = roles(Role.OPERATOR, of=Audience.ADMIN)
officer = roles(Role.OPERATOR, Role.ANALYST, Role.AUDITOR, of=Audience.ADMIN)


@routes.get("/list-rules", allow=officer, answers={200: ListRulePage}, refusals=(Invalid,))
def list_list_rules(session: Session, query: PageQuery) -> ListRulePage:
    """What the lists were, are and will be for, oldest first."""
    page, following = dated.page(session, ListRule, query)
    return ListRulePage(items=[list_rule_out(rule) for rule in page], next=following)


@routes.post("/list-rules", allow=operator, answers={201: ListRuleOut}, refusals=(Invalid, RuleOverlaps))
def add_list_rule(session: Session, actor: Actor, now: datetime, body: NewListRule) -> ListRuleOut:
    """Let a list admit sellers, or count for an indicator, from a day to come on."""
    return list_rule_out(dated.begin(session, ListRule, body.said(), wanted=body, by=actor, now=now))


@routes.post("/list-rules/<list_rule_id>/end", allow=operator, answers={200: ListRuleOut}, refusals=(NotFound, Invalid))
def end_list_rule(
    session: Session, actor: Actor, now: datetime, list_rule_id: ListRuleId, body: EndRuleIn
) -> ListRuleOut:
    """Let a list be for this no more from a day to come on; whom it admitted goes on selling."""
    return list_rule_out(dated.end(session, ListRule, list_rule_id, wanted=body, by=actor, now=now))
