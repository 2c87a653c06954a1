"""Who approves what from which amount on, and who stands in for whom."""

from datetime import datetime

from sqlalchemy.orm import Session

from shop.actor import Actor, Audience, Role
from shop.errors import Invalid, NotFound
from shop.http import cursors
from shop.http.routes import PageQuery, Routes, audience, roles
from shop.ids import ApprovalDelegationId, ApprovalRuleId
from shop.requisitions import queries
from shop.requisitions.models import ApprovalDelegation, ApprovalRule
from shop.requisitions.schemas import (
    DelegationOut,
    DelegationPage,
    EndRule,
    NewDelegation,
    NewRule,
    RuleOut,
    RulePage,
    delegation_out,
    rule_out,
)
from shop.requisitions.service import ruling
from shop.requisitions.service.ruling import NotYourDelegation

routes = Routes("/v1/buyer", tag="Approvals", people_only=True)
anyone = audience(Audience.BUYER)
manager = roles(Role.MANAGER, of=Audience.BUYER)


@routes.get("/approval-rules", allow=anyone, answers={200: RulePage})
def list_approval_rules(session: Session, actor: Actor, query: PageQuery) -> RulePage:
    """The institution's rules with their days, oldest first; without any, one approver decides."""
    wanted = queries.rules_of(actor).order_by(ApprovalRule.id).limit(query.limit + 1)
    if query.cursor:
        wanted = wanted.where(ApprovalRule.id > cursors.decode_id("approval-rules", query.cursor))
    page, following = cursors.cut("approval-rules", session.scalars(wanted).all(), query.limit)
    return RulePage(items=[rule_out(row) for row in page], next=following)


@routes.post("/approval-rules", allow=manager, answers={201: RuleOut}, refusals=(NotFound, Invalid))
def add_approval_rule(session: Session, actor: Actor, now: datetime, body: NewRule) -> RuleOut:
    """Ask for one more step from an amount on; it binds what is handed in from then on."""
    return rule_out(ruling.add_rule(session, by=actor, wanted=body, now=now))


@routes.post("/approval-rules/<rule_id>/end", allow=manager, answers={200: RuleOut}, refusals=(NotFound, Invalid))
def end_approval_rule(session: Session, actor: Actor, now: datetime, rule_id: ApprovalRuleId, body: EndRule) -> RuleOut:
    """Let a rule end, tomorrow at the earliest."""
    return rule_out(ruling.end_rule(session, by=actor, rule_id=rule_id, valid_to=body.valid_to, now=now))


@routes.get("/approval-delegations", allow=anyone, answers={200: DelegationPage})
def list_approval_delegations(session: Session, actor: Actor, query: PageQuery) -> DelegationPage:
    """Who stood, stands and will stand in for whom, oldest first."""
    wanted = queries.delegations_of(actor).order_by(ApprovalDelegation.id).limit(query.limit + 1)
    if query.cursor:
        wanted = wanted.where(ApprovalDelegation.id > cursors.decode_id("approval-delegations", query.cursor))
    page, following = cursors.cut("approval-delegations", session.scalars(wanted).all(), query.limit)
    return DelegationPage(items=[delegation_out(row) for row in page], next=following)


@routes.post(
    "/approval-delegations", allow=anyone, answers={201: DelegationOut}, refusals=(NotFound, Invalid, NotYourDelegation)
)
def delegate_approval(session: Session, actor: Actor, now: datetime, body: NewDelegation) -> DelegationOut:
    """Let somebody decide in one's place for some days; a manager may do so for others."""
    return delegation_out(ruling.delegate(session, by=actor, wanted=body, now=now))


@routes.post(
    "/approval-delegations/<delegation_id>/end",
    allow=anyone,
    answers={200: DelegationOut},
    refusals=(NotFound, NotYourDelegation),
)
def end_approval_delegation(
    session: Session, actor: Actor, now: datetime, delegation_id: ApprovalDelegationId
) -> DelegationOut:
    """Take a delegation back at once."""
    return delegation_out(ruling.take_back(session, by=actor, delegation_id=delegation_id, now=now))
