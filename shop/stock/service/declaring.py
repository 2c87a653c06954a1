"""Declare how scarce goods are dealt, and offer supply week by week."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from shop.accounts.models import Organisation
from shop.actor import Actor
from shop.audit import service as audit
from shop.clock import business_day
from shop.errors import Invalid
from shop.ids import new_id
from shop.stock.models import Supply
from shop.stock.models_allocations import AllocationRule
from shop.stock.schemas_allocations import DeclareRule, WeekIn
from shop.stock.service import offering

MONDAY = 0


def declare(session: Session, *, by: Actor, wanted: DeclareRule, now: datetime) -> AllocationRule:
    """Declare a rule from a day to come; the one before it ends there. What was declared later than that is replaced.

    A rule is never declared for today, so that nobody chooses it when the shortfall is known.
    """
    if wanted.valid_from <= business_day(now):
        raise Invalid("A rule is declared for a day to come.", pointer="/valid_from")
    session.execute(
        select(Organisation.id).where(Organisation.id == by.organisation_id).with_for_update(key_share=True)
    )
    mine = AllocationRule.cooperative_id == by.organisation_id
    later = session.scalars(
        select(AllocationRule).where(mine, func.lower(AllocationRule.valid) >= wanted.valid_from)
    ).all()
    for rule in later:
        session.delete(rule)
    session.flush()
    session.execute(
        update(AllocationRule)
        .where(mine, AllocationRule.valid.contains(wanted.valid_from))
        .values(valid=func.daterange(func.lower(AllocationRule.valid), wanted.valid_from))
        .execution_options(synchronize_session=False)
    )
    made = AllocationRule(
        id=new_id(), cooperative_id=by.organisation_id, rule=wanted.rule, valid=Range(wanted.valid_from, None),
        declared_at=now,
    )  # fmt: skip
    session.add(made)
    session.flush()
    audit.record(
        session, by=by, action="allocation_rule.declared", kind="allocation_rule", subject=made.id, now=now,
        rule=wanted.rule, valid_from=wanted.valid_from.isoformat(),
    )  # fmt: skip
    return made


def offer_weeks(session: Session, *, by: Actor, weeks: Sequence[WeekIn], now: datetime) -> list[Supply]:
    """Offer packs of listings week by week, all or nothing; a fault names its week. NotFound for another's listing."""
    made = []
    seen = set()
    for place, week in enumerate(weeks):
        pointer = f"/weeks/{place}/monday"
        if week.monday.weekday() != MONDAY:
            raise Invalid("A week begins on a Monday.", pointer=pointer)
        if (week.listing_id, week.monday) in seen:
            raise Invalid("This week of this listing is above already.", pointer=pointer)
        seen.add((week.listing_id, week.monday))
        try:
            supply = offering.offer(
                session, by=by, listing_id=week.listing_id, ready_from=week.monday,
                ready_to=week.monday + timedelta(days=7), packs=week.packs, now=now,
            )  # fmt: skip
        except Invalid as fault:
            raise Invalid(fault.detail, pointer=pointer) from fault
        made.append(supply)
    return made
