"""How long what names a person is kept, as JSON."""

from typing import Annotated, Any

from pydantic import Field

from shop.dated import DatedIn, DatedOut, days_of
from shop.http.routes import Out
from shop.ids import RetentionRuleId
from shop.retention import Personal, RetentionRule


class NewRetentionRule(DatedIn):
    """So many months; `reason` is the law or notice that the period rests on."""

    what: Annotated[Personal, Field(strict=False)]
    months: Annotated[int, Field(ge=1, le=600)]

    def said(self) -> dict[str, Any]:
        """The columns of the rule."""
        return {"what": self.what, "months": self.months, "source": self.reason}


class RetentionRuleOut(DatedOut):
    id: RetentionRuleId
    what: str
    months: int
    source: str


class RetentionRulePage(Out):
    items: list[RetentionRuleOut]
    next: str | None


def retention_rule_out(rule: RetentionRule) -> RetentionRuleOut:
    return RetentionRuleOut(id=rule.id, what=rule.what, months=rule.months, source=rule.source, **days_of(rule.valid))
