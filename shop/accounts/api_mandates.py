"""Mandates of agents and of helpers, and the helper's log-in for a cooperative."""

from datetime import datetime

from sqlalchemy.orm import Session

from shop.accounts import queries_mandates as queries
from shop.accounts.schemas_mandates import (
    AgentMandateOut,
    AgentMandatePage,
    AssistIn,
    AssistMandateOut,
    AssistMandatePage,
    NewAgentMandate,
    NewAssistMandate,
    NewAssistMandateFor,
    agent_mandate_out,
    assist_mandate_out,
)
from shop.accounts.schemas_people import SwitchedOut
from shop.accounts.service import agent_mandating, assisting
from shop.accounts.service.reviewing import OwnRecommendation
from shop.actor import Actor, Audience, Role
from shop.errors import Invalid, NotFound
from shop.http import cursors
from shop.http.routes import NO_KEY, PageQuery, Routes, audience, roles
from shop.ids import AgentMandateId, AssistMandateId

auth = Routes("/v1", tag="Account")
own = Routes("/v1/cooperative", tag="Mandates")
county = Routes("/v1/admin", tag="Mandates")
manager = roles(Role.MANAGER, of=Audience.COOPERATIVE)
giver = roles(Role.COUNTY_REVIEWER, of=Audience.ADMIN)
seer = roles(Role.OPERATOR, Role.COUNTY_REVIEWER, Role.HELPER, of=Audience.ADMIN)


@own.post(
    "/agent-mandates",
    allow=manager,
    answers={201: AgentMandateOut},
    refusals=(NotFound, Invalid, agent_mandating.NotAnAgent),
)
def register_agent_mandate(session: Session, actor: Actor, now: datetime, body: NewAgentMandate) -> AgentMandateOut:
    """Register a principal's mandate to sell its products; a principal that is here has yet to confirm it."""
    return agent_mandate_out(agent_mandating.register(session, by=actor, wanted=body, now=now))


@own.get("/agent-mandates", allow=audience(Audience.COOPERATIVE), answers={200: AgentMandatePage})
def list_agent_mandates(session: Session, actor: Actor, query: PageQuery) -> AgentMandatePage:
    """The mandates in which the organisation is agent or principal, newest first."""
    question = f"agent mandates {actor.organisation_id.hex}"
    after = cursors.decode_id(question, query.cursor) if query.cursor else None
    found = queries.agent_mandates(session, actor, after=after, limit=query.limit)
    page, following = cursors.cut(question, found, query.limit)
    return AgentMandatePage(items=[agent_mandate_out(mandate) for mandate in page], next=following)


@own.post(
    "/agent-mandates/<agent_mandate_id>/confirm",
    allow=manager,
    answers={200: AgentMandateOut},
    refusals=(NotFound, agent_mandating.WrongMandateStatus),
)
def confirm_agent_mandate(
    session: Session, actor: Actor, now: datetime, agent_mandate_id: AgentMandateId
) -> AgentMandateOut:
    """Confirm, as the principal, that the agent sells for the organisation."""
    return agent_mandate_out(agent_mandating.confirm(session, by=actor, mandate_id=agent_mandate_id, now=now))


@own.post(
    "/agent-mandates/<agent_mandate_id>/revoke",
    allow=manager,
    answers={200: AgentMandateOut},
    refusals=(NotFound, agent_mandating.WrongMandateStatus),
)
def revoke_agent_mandate(
    session: Session, actor: Actor, now: datetime, agent_mandate_id: AgentMandateId
) -> AgentMandateOut:
    """End a mandate before its time, as its agent or its principal."""
    return agent_mandate_out(agent_mandating.revoke(session, by=actor, mandate_id=agent_mandate_id, now=now))


def assist_page(session: Session, actor: Actor, query: PageQuery) -> AssistMandatePage:
    question = f"assist mandates {actor.organisation_id.hex} {actor.user_id.hex}"
    after = cursors.decode_id(question, query.cursor) if query.cursor else None
    found = queries.assist_mandates(session, actor, after=after, limit=query.limit)
    page, following = cursors.cut(question, found, query.limit)
    return AssistMandatePage(items=[assist_mandate_out(mandate) for mandate in page], next=following)


@own.post(
    "/assist-mandates",
    allow=manager,
    answers={201: AssistMandateOut},
    refusals=(NotFound, Invalid, OwnRecommendation),
)
def give_assist_mandate(session: Session, actor: Actor, now: datetime, body: NewAssistMandate) -> AssistMandateOut:
    """Let a helper of the county list and ship for the cooperative; never its money."""
    return assist_mandate_out(assisting.give(session, by=actor, wanted=body, now=now))


@own.get("/assist-mandates", allow=audience(Audience.COOPERATIVE), answers={200: AssistMandatePage})
def list_own_assist_mandates(session: Session, actor: Actor, query: PageQuery) -> AssistMandatePage:
    """Who may enter for the cooperative, newest first."""
    return assist_page(session, actor, query)


@own.post(
    "/assist-mandates/<assist_mandate_id>/revoke", allow=manager, answers={200: AssistMandateOut}, refusals=(NotFound,)
)
def revoke_own_assist_mandate(
    session: Session, actor: Actor, now: datetime, assist_mandate_id: AssistMandateId
) -> AssistMandateOut:
    """Take a mandate back; the helper's next request is refused."""
    return assist_mandate_out(assisting.revoke(session, by=actor, mandate_id=assist_mandate_id, now=now))


@county.post(
    "/assist-mandates",
    allow=giver,
    answers={201: AssistMandateOut},
    refusals=(NotFound, Invalid, OwnRecommendation, assisting.MembersCanLogIn),
)
def give_assist_mandate_for(
    session: Session, actor: Actor, now: datetime, body: NewAssistMandateFor
) -> AssistMandateOut:
    """Give a helper the mandate for a cooperative of the county in which nobody can log in."""
    made = assisting.give_for(
        session, by=actor, cooperative_id=body.cooperative_id, wanted=body, reason=body.reason, now=now
    )
    return assist_mandate_out(made)


@county.get("/assist-mandates", allow=seer, answers={200: AssistMandatePage})
def list_assist_mandates(session: Session, actor: Actor, query: PageQuery) -> AssistMandatePage:
    """The mandates of the reviewer's counties, and the helper's own, newest first."""
    return assist_page(session, actor, query)


@county.post(
    "/assist-mandates/<assist_mandate_id>/revoke",
    allow=roles(Role.OPERATOR, Role.COUNTY_REVIEWER, of=Audience.ADMIN),
    answers={200: AssistMandateOut},
    refusals=(NotFound,),
)
def revoke_assist_mandate(
    session: Session, actor: Actor, now: datetime, assist_mandate_id: AssistMandateId
) -> AssistMandateOut:
    """End a mandate for the county or the platform."""
    return assist_mandate_out(assisting.revoke(session, by=actor, mandate_id=assist_mandate_id, now=now))


@auth.post(
    "/auth/assist",
    allow=roles(Role.HELPER, of=Audience.ADMIN),
    answers={200: SwitchedOut},
    refusals=(NotFound, assisting.AssistMandateEnded),
    key=NO_KEY,
)
def assist_cooperative(session: Session, actor: Actor, now: datetime, body: AssistIn) -> SwitchedOut:
    """A token by which the helper lists and ships for the cooperative, as long as the mandate holds."""
    token, expires_at = assisting.begin(session, by=actor, mandate_id=body.mandate_id, now=now)
    return SwitchedOut(token=token, expires_at=expires_at.isoformat())
