"""What admission asks for: its steps and documents, as dated rules that operators add and end."""

from datetime import datetime

from sqlalchemy.orm import Session

from shop import dated
from shop.accounts.models_admission import DocumentRule, StepRule
from shop.accounts.schemas_admission_rules import (
    DocumentRuleOut,
    DocumentRulePage,
    NewDocumentRule,
    NewStepRule,
    StepRuleOut,
    StepRulePage,
    document_rule_out,
    step_rule_out,
)
from shop.accounts.service import ruling_admission
from shop.actor import Actor, Audience, Role
from shop.dated import EndRuleIn, RuleOverlaps
from shop.errors import Invalid, NotFound
from shop.http.routes import PageQuery, Routes, roles
from shop.ids import DocumentRuleId, StepRuleId

routes = Routes("/v1/admin", tag="Policy", people_only=True)
operator = roles(Role.OPERATOR, of=Audience.ADMIN)
officer = roles(Role.OPERATOR, Role.ANALYST, Role.AUDITOR, of=Audience.ADMIN)


@routes.get("/admission-steps", allow=officer, answers={200: StepRulePage}, refusals=(Invalid,))
def list_step_rules(session: Session, query: PageQuery) -> StepRulePage:
    """The steps of admission with their days: past, present and to come, oldest first."""
    page, following = dated.page(session, StepRule, query)
    return StepRulePage(items=[step_rule_out(rule) for rule in page], next=following)


@routes.post("/admission-steps", allow=operator, answers={201: StepRuleOut}, refusals=(Invalid, RuleOverlaps))
def add_step_rule(session: Session, actor: Actor, now: datetime, body: NewStepRule) -> StepRuleOut:
    """Add a step from a day to come on; what was handed in before keeps the steps that it has."""
    return step_rule_out(ruling_admission.add_step(session, by=actor, wanted=body, now=now))


@routes.post(
    "/admission-steps/<step_rule_id>/end", allow=operator, answers={200: StepRuleOut}, refusals=(NotFound, Invalid)
)
def end_step_rule(
    session: Session, actor: Actor, now: datetime, step_rule_id: StepRuleId, body: EndRuleIn
) -> StepRuleOut:
    """Let a step end on a day to come; what was handed in before still goes through it."""
    return step_rule_out(dated.end(session, StepRule, step_rule_id, wanted=body, by=actor, now=now))


@routes.get("/admission-documents", allow=officer, answers={200: DocumentRulePage}, refusals=(Invalid,))
def list_document_rules(session: Session, query: PageQuery) -> DocumentRulePage:
    """The documents of admission with their days: past, present and to come, oldest first."""
    page, following = dated.page(session, DocumentRule, query)
    return DocumentRulePage(items=[document_rule_out(rule) for rule in page], next=following)


@routes.post("/admission-documents", allow=operator, answers={201: DocumentRuleOut}, refusals=(Invalid, RuleOverlaps))
def add_document_rule(session: Session, actor: Actor, now: datetime, body: NewDocumentRule) -> DocumentRuleOut:
    """Ask for a document from a day to come on; of what was handed in before, it is not asked."""
    return document_rule_out(ruling_admission.add_document(session, by=actor, wanted=body, now=now))


@routes.post(
    "/admission-documents/<document_rule_id>/end",
    allow=operator,
    answers={200: DocumentRuleOut},
    refusals=(NotFound, Invalid),
)
def end_document_rule(
    session: Session, actor: Actor, now: datetime, document_rule_id: DocumentRuleId, body: EndRuleIn
) -> DocumentRuleOut:
    """Ask for a document no more from a day to come on."""
    return document_rule_out(dated.end(session, DocumentRule, document_rule_id, wanted=body, by=actor, now=now))
