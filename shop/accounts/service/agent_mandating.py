"""Mandates of agents: registered by the agent with the paper, confirmed by a principal here, ended by either."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from shop.accounts import queries_mandates as queries
from shop.accounts.models import AUDIENCE, Kind, Organisation
from shop.accounts.models_mandates import AgentMandate
from shop.accounts.schemas_mandates import NewAgentMandate
from shop.actor import SYSTEM, Actor, Audience
from shop.audit import service as audit
from shop.clock import business_day
from shop.errors import Invalid, NotFound, Refusal
from shop.files import service as files
from shop.outbox import service as outbox

LONGEST_DAYS = 1100
AT_ONCE = 200


class NotAnAgent(Refusal):
    code, status = "not_an_agent", 409
    title, title_zh = "Only an agent sells for principals.", "仅代理机构可登记代理委托。"


class WrongMandateStatus(Refusal):
    code, status = "wrong_mandate_status", 409
    title, title_zh = "This mandate cannot do that now.", "该委托当前状态不允许此操作。"


def check_days(valid_from: date, valid_to: date, today: date) -> None:
    """Refuse days that a mandate cannot have: none, past ones, or more than three years of them."""
    if valid_to <= valid_from:
        raise Invalid("The mandate ends before it begins.", pointer="/valid_to")
    if valid_to <= today:
        raise Invalid("The mandate is over.", pointer="/valid_to")
    if (valid_to - valid_from).days > LONGEST_DAYS:
        raise Invalid(f"A mandate is at most {LONGEST_DAYS} days long.", pointer="/valid_to")


def register(session: Session, *, by: Actor, wanted: NewAgentMandate, now: datetime) -> AgentMandate:
    """A mandate of the actor's agency. With a producer that has no code the paper is all; a principal here confirms."""
    kind = session.scalar(select(Organisation.kind).where(Organisation.id == by.organisation_id))
    if kind != Kind.AGENT:
        raise NotAnAgent
    check_days(wanted.valid_from, wanted.valid_to, business_day(now))
    if wanted.principal_id is not None:
        principal = session.scalar(select(Organisation.kind).where(Organisation.id == wanted.principal_id))
        if principal in (None, Kind.AGENT) or AUDIENCE[Kind(principal)] is not Audience.COOPERATIVE:
            raise NotFound("No such principal.", pointer="/principal_id")
    files.keep(session, organisation_id=by.organisation_id, file_ids={wanted.file_id})
    mandate = AgentMandate(
        agent_id=by.organisation_id,
        principal_id=wanted.principal_id,
        principal_name=wanted.principal_name,
        products=list(dict.fromkeys(wanted.products)),
        valid=Range(wanted.valid_from, wanted.valid_to),
        file_id=wanted.file_id,
        created_at=now,
        began_at=now if wanted.valid_from <= business_day(now) else None,
    )
    session.add(mandate)
    session.flush()
    record(session, mandate, "registered", by, now)
    return mandate


def confirm(session: Session, *, by: Actor, mandate_id: UUID, now: datetime) -> AgentMandate:
    """The principal's yes; again changes nothing."""
    mandate = queries.agent_mandate(session, by, mandate_id)
    if mandate.principal_id != by.organisation_id:
        raise NotFound("No such mandate of yours to confirm.")
    if mandate.confirmed_at is not None and mandate.revoked_at is None:
        return mandate
    return moved(session, mandate, "confirmed", by, now)


def revoke(session: Session, *, by: Actor, mandate_id: UUID, now: datetime) -> AgentMandate:
    """End a mandate before its time, by the agent or the principal; again changes nothing."""
    mandate = queries.agent_mandate(session, by, mandate_id)
    if mandate.revoked_at is not None:
        return mandate
    return moved(session, mandate, "revoked", by, now)


def moved(session: Session, mandate: AgentMandate, what: str, by: Actor, now: datetime) -> AgentMandate:
    done = session.execute(
        update(AgentMandate)
        .where(AgentMandate.id == mandate.id, AgentMandate.revoked_at.is_(None))
        .values(**{f"{what}_at": now})
        .returning(AgentMandate.id)
        .execution_options(synchronize_session="fetch")
    ).first()
    if done is None:
        raise WrongMandateStatus
    record(session, mandate, what, by, now)
    return mandate


def record(session: Session, mandate: AgentMandate, what: str, by: Actor, now: datetime) -> None:
    audit.record(session, by=by, action=f"agent_mandate.{what}", kind="agent_mandate", subject=mandate.id, now=now)
    seen_by = [party for party in (mandate.agent_id, mandate.principal_id) if party]
    outbox.announce(session, f"agent_mandate.{what}", now=now, seen_by=seen_by, mandate_id=mandate.id)


def pass_time(session: Session, *, now: datetime) -> int:
    """Tell of the mandates whose first day has come and of those whose last one is over; gives how many."""
    today = business_day(now)
    count = 0
    for what, noted, bound in (
        ("began", AgentMandate.began_at, func.lower(AgentMandate.valid)),
        ("expired", AgentMandate.ended_at, func.upper(AgentMandate.valid)),
    ):
        due = session.scalars(
            select(AgentMandate)
            .where(noted.is_(None), AgentMandate.revoked_at.is_(None), bound <= today)
            .order_by(bound, AgentMandate.id)
            .limit(AT_ONCE)
            .with_for_update(skip_locked=True)
        ).all()
        for mandate in due:
            setattr(mandate, noted.key, now)
            record(session, mandate, what, SYSTEM, now)
        session.flush()
        count += len(due)
    return count
