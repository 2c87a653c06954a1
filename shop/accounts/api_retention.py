"""How long what names a person is kept: dated rules that operators add and end."""

from datetime import datetime

from sqlalchemy.orm import Session

from shop import dated
from shop.accounts.schemas_retention import (
    NewRetentionRule,
    RetentionRuleOut,
    RetentionRulePage,
    retention_rule_out,
)
from shop.actor import Actor, Audience, Role
from shop.dated import EndRuleIn, RuleOverlaps
from shop.errors import Invalid, NotFound
from shop.http.routes import PageQuery, Routes, roles
from shop.ids import RetentionRuleId
from shop.retention import RetentionRule

routes = Routes("/v1/admin", tag="Policy", people_only=True)
operator = roles(Role.OPERATOR, of=Audience.ADMIN)
officer = roles(Role.OPERATOR, Role.ANALYST, Role.AUDITOR, of=Audience.ADMIN)


@routes.get("/retention-rules", allow=officer, answers={200: RetentionRulePage}, refusals=(Invalid,))
def list_retention_rules(session: Session, query: PageQuery) -> RetentionRulePage:
    """How long names and papers were, are and will be kept, oldest rule first."""
    page, following = dated.page(session, RetentionRule, query)
    return RetentionRulePage(items=[retention_rule_out(rule) for rule in page], next=following)


@routes.post("/retention-rules", allow=operator, answers={201: RetentionRuleOut}, refusals=(Invalid, RuleOverlaps))
def add_retention_rule(session: Session, actor: Actor, now: datetime, body: NewRetentionRule) -> RetentionRuleOut:
    """Keep something for so many months, from a day to come on."""
    return retention_rule_out(dated.begin(session, RetentionRule, body.said(), wanted=body, by=actor, now=now))


@routes.post(
    "/retention-rules/<retention_rule_id>/end",
    allow=operator,
    answers={200: RetentionRuleOut},
    refusals=(NotFound, Invalid),
)
def end_retention_rule(
    session: Session, actor: Actor, now: datetime, retention_rule_id: RetentionRuleId, body: EndRuleIn
) -> RetentionRuleOut:
    """End a period on a day to come; without another one, nothing more is forgotten from then on."""
    return retention_rule_out(dated.end(session, RetentionRule, retention_rule_id, wanted=body, by=actor, now=now))
