"""What lists are for, as JSON."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from shop.dated import DatedIn, DatedOut, days_of
from shop.http.fields import across
from shop.http.routes import Out
from shop.ids import ListRuleId
from shop.regions.models import ListRule

Indicator = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class NewListRule(DatedIn):
    """A list that admits sellers of its counties, or whose goods count for an indicator, which is named then."""

    use: Literal["admits", "counts"]
    list: Literal["poverty_832", "key_160"]
    indicator: Indicator | None = None

    @model_validator(mode="after")
    def named_where_it_counts(self) -> Self:
        if (self.use == "counts") != (self.indicator is not None):
            raise across("indicator", "an indicator is named where a list counts, and only there", "indicator")
        return self

    def said(self) -> dict[str, Any]:
        """The columns of the rule."""
        return {"use": self.use, "list": self.list, "indicator": self.indicator or ""}


class ListRuleOut(DatedOut):
    id: ListRuleId
    use: str
    list: str
    indicator: str | None


class ListRulePage(Out):
    items: list[ListRuleOut]
    next: str | None


def list_rule_out(rule: ListRule) -> ListRuleOut:
    return ListRuleOut(
        id=rule.id, use=rule.use, list=rule.list, indicator=rule.indicator or None, **days_of(rule.valid)
    )
