"""Rules and mappings: dated data that operators add, of which none is rewritten."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, func, select, update
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.audit import service as audit
from shop.catalogue.models import ReferencePrice
from shop.catalogue.monitoring import queries
from shop.catalogue.monitoring.models import PriceRule, ReferenceMapping
from shop.catalogue.monitoring.schemas import NUMBERS, EndMapping, NewMapping, PriceRuleIn
from shop.clock import business_day
from shop.db import unless_taken
from shop.errors import Invalid, NotFound
from shop.ledger.service import PLATFORM_ID
from shop.outbox import service as outbox


def add_rule(session: Session, *, by: Actor, wanted: PriceRuleIn, now: datetime) -> PriceRule:
    """A rule from a day to come; the one that runs for the category ends there."""
    if wanted.start <= business_day(now):
        raise Invalid("A rule begins on a day to come: what was flagged by another stays.", pointer="/from")
    with unless_taken(session, Invalid("A later rule of this category is there already.", pointer="/from")):
        session.execute(
            update(PriceRule)
            .where(PriceRule.category == wanted.category, PriceRule.valid.contains(wanted.start))
            .where(func.upper_inf(PriceRule.valid), func.lower(PriceRule.valid) < wanted.start)
            .values(valid=func.daterange(func.lower(PriceRule.valid), wanted.start))
            .execution_options(synchronize_session=False)
        )
        made = PriceRule(
            category=wanted.category,
            valid=Range(wanted.start, None),
            **{name: getattr(wanted, name) for name in NUMBERS},
        )
        session.add(made)
    audit.record(
        session, by=by, action="price_rule.added", kind="price_rule", subject=made.id, now=now,
        **wanted.model_dump(mode="json"),
    )  # fmt: skip
    return made


def approve_mapping(session: Session, *, by: Actor, wanted: NewMapping, now: datetime) -> ReferenceMapping:
    """Approve that a series fits goods of a name; announces `price_mapping.changed`, on which they are checked."""
    known = select(
        exists().where(
            ReferencePrice.market == wanted.market,
            ReferencePrice.kind == wanted.reference_kind,
            ReferencePrice.name == wanted.reference_name,
            ReferencePrice.grade == wanted.reference_grade,
        )
    )
    if not session.scalar(known):
        raise Invalid("No market has quoted such a series.", pointer="/reference_name")
    name, spec, grade = (queries.word_key(session, words) for words in (wanted.name, wanted.spec, wanted.grade))
    if not name:
        raise Invalid("This name has no words.", pointer="/name")
    made = ReferenceMapping(
        category=wanted.category, name=name, spec=spec, grade=grade, market=wanted.market,
        reference_kind=wanted.reference_kind, reference_name=wanted.reference_name,
        reference_grade=wanted.reference_grade, valid=Range(wanted.start, None), note=wanted.note,
        approved_by_user_id=by.user_id, approved_at=now,
    )  # fmt: skip
    with unless_taken(session, Invalid("Another series of this market fits these goods already.", pointer="/name")):
        session.add(made)
    audit.record(
        session, by=by, action="price_mapping.approved", kind="reference_mapping", subject=made.id, now=now,
        **wanted.model_dump(mode="json"),
    )  # fmt: skip
    announce_changed(session, made, now)
    return made


def end_mapping(
    session: Session, *, by: Actor, mapping_id: UUID, wanted: EndMapping, now: datetime
) -> ReferenceMapping:
    """End a mapping before a day; what was scored by it until then stays."""
    mapping = session.scalars(
        select(ReferenceMapping)
        .where(ReferenceMapping.id == mapping_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()
    if mapping is None:
        raise NotFound("No such mapping.")
    lower = mapping.valid.lower
    assert lower is not None
    past = mapping.valid.upper is not None and wanted.end >= mapping.valid.upper
    if wanted.end < business_day(now) or wanted.end <= lower or past:
        raise Invalid("A mapping ends after it begins, not in the past and not later than it does.", pointer="/to")
    mapping.valid = Range(lower, wanted.end)
    session.flush()
    audit.record(
        session, by=by, action="price_mapping.ended", kind="reference_mapping", subject=mapping.id, now=now,
        reason=wanted.reason, end=wanted.end.isoformat(),
    )  # fmt: skip
    announce_changed(session, mapping, now)
    return mapping


def announce_changed(session: Session, mapping: ReferenceMapping, now: datetime) -> None:
    outbox.announce(
        session, "price_mapping.changed", now=now, seen_by=[PLATFORM_ID], mapping_id=mapping.id,
        category=mapping.category, name=mapping.name,
    )  # fmt: skip
