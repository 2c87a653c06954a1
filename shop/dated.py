"""Policy is rows that hold from a day to a day: how operators let one begin, and how they let it end.

Both on a day to come: what was decided until today was decided by the rules of today, and stays so.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from pydantic import ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.audit import service as audit
from shop.clock import business_day
from shop.db import unless_taken
from shop.errors import Invalid, NotFound, Refusal
from shop.http import cursors
from shop.http.fields import Day
from shop.http.routes import In, Out, PageQuery

Rule = TypeVar("Rule", bound=Any)
Reason = Annotated[str, Field(min_length=1, max_length=500)]


class RuleOverlaps(Refusal):
    """End the other one before the day that this one begins on."""

    code, status = "rule_overlaps", 409
    title, title_zh = "Another such rule holds on some of these days.", "该时段内已有同类规则。"


class DatedIn(In):
    """Holds from a day to come on, and before `to` where that is named. `reason`: the notice that it rests on."""

    start: Day = Field(alias="from")
    end: Day | None = Field(alias="to", default=None)
    reason: Reason


class EndRuleIn(In):
    """The first day on which it holds no more; the day that it was to begin on takes it back before it ever held."""

    end: Day = Field(alias="to")
    reason: Reason


class DatedOut(Out):
    """`from` is the first day, `to` the first on which it holds no more; without one it has no end."""

    model_config = ConfigDict(serialize_by_alias=True)

    start: str = Field(serialization_alias="from")
    end: str | None = Field(serialization_alias="to")


def days_of(valid: Range[date]) -> dict[str, Any]:
    """`start` and `end` of a DatedOut."""
    assert valid.lower is not None
    return {"start": valid.lower.isoformat(), "end": valid.upper.isoformat() if valid.upper else None}


def page(session: Session, model: type[Rule], query: PageQuery) -> tuple[Sequence[Rule], str | None]:
    """The rules of past, present and future, in the order in which they were written, with the next page's cursor."""
    wanted = select(model).order_by(model.id).limit(query.limit + 1)
    if query.cursor:
        wanted = wanted.where(model.id > cursors.decode_id(model.__tablename__, query.cursor))
    return cursors.cut(model.__tablename__, session.scalars(wanted).all(), query.limit)


def begin(
    session: Session, model: type[Rule], said: Mapping[str, Any], *, wanted: DatedIn, by: Actor, now: datetime
) -> Rule:
    """A new rule that says `said`. Invalid for days that are past or turned round, RuleOverlaps."""
    if wanted.start <= business_day(now):
        raise Invalid("A rule begins on a day to come.", pointer="/from")
    if wanted.end is not None and wanted.end <= wanted.start:
        raise Invalid("A rule ends after it begins.", pointer="/to")
    made: Rule = model(**said, valid=Range(wanted.start, wanted.end))
    with unless_taken(session, RuleOverlaps(pointer="/from")):
        session.add(made)
    audit.record(
        session, by=by, action=f"{model.__tablename__}.added", kind=model.__tablename__, subject=made.id, now=now,
        reason=wanted.reason, after=wanted.model_dump(mode="json", by_alias=True, exclude={"reason"}),
    )  # fmt: skip
    return made


def end(session: Session, model: type[Rule], rule_id: UUID, *, wanted: EndRuleIn, by: Actor, now: datetime) -> Rule:
    """Let a rule end before a day, earlier than it would. NotFound, Invalid."""
    rule: Rule | None = session.scalars(
        select(model).where(model.id == rule_id).with_for_update().execution_options(populate_existing=True)
    ).first()
    if rule is None:
        raise NotFound("No such rule.")
    first, last = rule.valid.lower, rule.valid.upper
    if wanted.end <= business_day(now):
        raise Invalid("A rule ends on a day to come.", pointer="/to")
    if wanted.end < first:
        raise Invalid("A rule ends after it begins.", pointer="/to")
    if last is not None and wanted.end >= last:
        raise Invalid(f"This rule ends on {last.isoformat()} already.", pointer="/to")
    if wanted.end == first:
        session.delete(rule)
    else:
        rule.valid = Range(first, wanted.end)
    session.flush()
    rule.valid = Range(first, wanted.end)
    audit.record(
        session, by=by, action=f"{model.__tablename__}.ended", kind=model.__tablename__, subject=rule_id, now=now,
        reason=wanted.reason, before=last.isoformat() if last else None, after=wanted.end.isoformat(),
    )  # fmt: skip
    return rule
