"""The steps and documents of admission as dated rules, as JSON."""

from typing import Annotated, Any, Literal

from pydantic import Field

from shop.accounts.models_admission import DocumentRule, StepRule
from shop.accounts.schemas_admission import Name, Word
from shop.dated import DatedIn, DatedOut, days_of
from shop.http.routes import Out
from shop.ids import DocumentRuleId, StepRuleId

DAYS = {"start", "end", "reason"}


class NewStepRule(DatedIn):
    """A step of the review, and who decides it; applications go through the steps in the order of their positions."""

    code: Word
    name: Name
    name_en: Name
    decided_by: Literal["county_reviewer", "operator"]
    position: Annotated[int, Field(ge=1, le=100)]

    def said(self) -> dict[str, Any]:
        """The columns of the rule."""
        return self.model_dump(exclude=DAYS)


class NewDocumentRule(DatedIn):
    """A document that applications are to hold, and whose: everybody's, of who sells processed food, of agents.

    `personal`: it shows who somebody is, and its file goes when the period for such papers is over.
    """

    kind: Word
    name: Name
    name_en: Name
    needed_of: Literal["everybody", "processors", "agents"]
    personal: bool = False

    def said(self) -> dict[str, Any]:
        """The columns of the rule."""
        return self.model_dump(exclude=DAYS)


class StepRuleOut(DatedOut):
    id: StepRuleId
    code: str
    name: str
    name_en: str
    decided_by: str
    position: int


class StepRulePage(Out):
    items: list[StepRuleOut]
    next: str | None


class DocumentRuleOut(DatedOut):
    id: DocumentRuleId
    kind: str
    name: str
    name_en: str
    needed_of: str
    personal: bool


class DocumentRulePage(Out):
    items: list[DocumentRuleOut]
    next: str | None


def step_rule_out(rule: StepRule) -> StepRuleOut:
    return StepRuleOut(
        id=rule.id,
        code=rule.code,
        name=rule.name,
        name_en=rule.name_en,
        decided_by=rule.decided_by,
        position=rule.position,
        **days_of(rule.valid),
    )


def document_rule_out(rule: DocumentRule) -> DocumentRuleOut:
    return DocumentRuleOut(
        id=rule.id,
        kind=rule.kind,
        name=rule.name,
        name_en=rule.name_en,
        needed_of=rule.needed_of,
        personal=rule.personal,
        **days_of(rule.valid),
    )
