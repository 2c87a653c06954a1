"""What admission asks for from a day on: its steps and its documents.

An application keeps the steps and the documents of the day on which it was handed in.
"""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shop import dated
from shop.accounts.models_admission import DocumentRule, StepRule
from shop.accounts.schemas_admission_rules import NewDocumentRule, NewStepRule
from shop.actor import Actor
from shop.dated import RuleOverlaps


def add_step(session: Session, *, by: Actor, wanted: NewStepRule, now: datetime) -> StepRule:
    """A step from a day to come on. RuleOverlaps names the position where another step stands in it, Invalid."""
    on_these_days = StepRule.valid.op("&&")(func.daterange(wanted.start, wanted.end))
    in_its_place = select(StepRule.id).where(
        StepRule.position == wanted.position, StepRule.code != wanted.code, on_these_days
    )
    if (wanted.end is None or wanted.start < wanted.end) and session.scalars(in_its_place.limit(1)).first():
        raise RuleOverlaps("Another step stands in this position on some of these days.", pointer="/position")
    return dated.begin(session, StepRule, wanted.said(), wanted=wanted, by=by, now=now)


def add_document(session: Session, *, by: Actor, wanted: NewDocumentRule, now: datetime) -> DocumentRule:
    """A document that is asked for from a day to come on. RuleOverlaps, Invalid."""
    return dated.begin(session, DocumentRule, wanted.said(), wanted=wanted, by=by, now=now)
