"""Which mandates somebody may look at."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Select, any_, false, or_, select
from sqlalchemy.orm import Session

from shop.accounts.models import Kind, Membership, Organisation, User
from shop.accounts.models_mandates import AgentMandate, AssistMandate
from shop.accounts.queries_admission import of_regions
from shop.actor import Actor, Audience, Role
from shop.errors import NotFound


def visible_agent_mandates(actor: Actor) -> Select[AgentMandate]:
    """Mandates in which the actor's organisation is agent or principal."""
    mine = actor.organisation_id
    return select(AgentMandate).where(or_(AgentMandate.agent_id == mine, AgentMandate.principal_id == mine))


def agent_mandates(session: Session, actor: Actor, *, after: UUID | None, limit: int) -> Sequence[AgentMandate]:
    """The newest first, one more than the limit when there are more."""
    wanted = visible_agent_mandates(actor).order_by(AgentMandate.id.desc()).limit(limit + 1)
    if after:
        wanted = wanted.where(AgentMandate.id < after)
    return session.scalars(wanted.execution_options(populate_existing=True)).all()


def agent_mandate(session: Session, actor: Actor, mandate_id: UUID) -> AgentMandate:
    found = session.scalars(
        visible_agent_mandates(actor).where(AgentMandate.id == mandate_id).execution_options(populate_existing=True)
    ).first()
    if found is None:
        raise NotFound("No such mandate.")
    return found


def visible_assist_mandates(actor: Actor) -> Select[AssistMandate]:
    """A cooperative sees those it is helped by, an operator all, a reviewer those of the counties, a helper the own."""
    wanted = select(AssistMandate).join(Organisation, Organisation.id == AssistMandate.cooperative_id)
    if actor.audience is Audience.COOPERATIVE:
        return wanted.where(AssistMandate.cooperative_id == actor.organisation_id)
    if actor.audience is not Audience.ADMIN:
        return wanted.where(false())
    if actor.has(Role.OPERATOR):
        return wanted
    own = AssistMandate.helper_user_id == actor.user_id
    return wanted.where(or_(own, of_regions(actor)) if actor.has(Role.COUNTY_REVIEWER) else own)


def assist_mandates(session: Session, actor: Actor, *, after: UUID | None, limit: int) -> Sequence[AssistMandate]:
    """The newest first, one more than the limit when there are more."""
    wanted = visible_assist_mandates(actor).order_by(AssistMandate.id.desc()).limit(limit + 1)
    if after:
        wanted = wanted.where(AssistMandate.id < after)
    return session.scalars(wanted.execution_options(populate_existing=True)).all()


def assist_mandate(session: Session, actor: Actor, mandate_id: UUID) -> AssistMandate:
    found = session.scalars(
        visible_assist_mandates(actor).where(AssistMandate.id == mandate_id).execution_options(populate_existing=True)
    ).first()
    if found is None:
        raise NotFound("No such mandate.")
    return found


def is_helper(session: Session, user_id: UUID, organisation_id: UUID) -> bool:
    """Whether a person is a helper of a county office."""
    member = (
        select(Membership.id)
        .join(User, User.id == Membership.user_id)
        .join(Organisation, Organisation.id == Membership.organisation_id)
        .where(
            Membership.user_id == user_id,
            Membership.organisation_id == organisation_id,
            any_(Membership.roles) == Role.HELPER.value,
            Membership.ended_at.is_(None),
            User.status == "active",
            Organisation.status == "active",
            Organisation.kind == Kind.COUNTY_REVIEWER,
        )
    )
    return bool(session.scalar(select(member.exists())))


def can_log_in(session: Session, organisation_id: UUID) -> bool:
    """Whether an organisation has a member who can log in."""
    member = (
        select(Membership.id)
        .join(User, User.id == Membership.user_id)
        .where(Membership.organisation_id == organisation_id, Membership.ended_at.is_(None), User.status == "active")
    )
    return bool(session.scalar(select(member.exists())))
