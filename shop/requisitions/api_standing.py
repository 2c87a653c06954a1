"""Standing orders, for buying institutions."""

from datetime import datetime

from sqlalchemy.orm import Session

from shop.accounts.models_units import MandateExpired, OrganisationNotActive, UnitClosed
from shop.actor import Actor, Audience, Role
from shop.errors import Invalid, NotFound, VersionConflict
from shop.http import cursors
from shop.http.routes import PageQuery, Routes, audience, roles
from shop.ids import StandingOrderId
from shop.requisitions import queries_standing as queries
from shop.requisitions.models_standing import StandingOrder, StandingRun
from shop.requisitions.schemas_standing import (
    RunPage,
    StandingIn,
    StandingOut,
    StandingPage,
    StandingQuery,
    run_out,
    standing_out,
)
from shop.requisitions.service import standing
from shop.requisitions.service.drafting import VersionMissing
from shop.requisitions.service.standing import WrongStandingStatus

routes = Routes("/v1/buyer", tag="Standing orders", people_only=True)
anyone = audience(Audience.BUYER)
asker = roles(Role.REQUESTER, Role.APPROVER, Role.MANAGER, of=Audience.BUYER)
NAMED = (NotFound, Invalid, OrganisationNotActive, UnitClosed, MandateExpired)


def shown(session: Session, actor: Actor, standing_id: StandingOrderId) -> StandingOut:
    return standing_out(queries.one(session, actor, standing_id))


@routes.post("/standing-orders", allow=asker, answers={201: StandingOut}, refusals=NAMED)
def make_standing_order(session: Session, actor: Actor, now: datetime, body: StandingIn) -> StandingOut:
    """Have a saved list ordered again and again, in the caller's name and within what the caller may order."""
    return shown(session, actor, standing.make(session, by=actor, wanted=body, now=now))


@routes.get("/standing-orders", allow=anyone, answers={200: StandingPage})
def list_standing_orders(session: Session, actor: Actor, query: StandingQuery) -> StandingPage:
    """The institution's standing orders, newest first."""
    wanted = queries.visible_to(actor)
    if query.status:
        wanted = wanted.where(StandingOrder.status == query.status)
    name = f"standing orders {query.status}"
    if query.cursor:
        wanted = wanted.where(StandingOrder.id < cursors.decode_id(name, query.cursor))
    found = session.scalars(wanted.order_by(StandingOrder.id.desc()).limit(query.limit + 1)).all()
    page, following = cursors.cut(name, found, query.limit)
    return StandingPage(items=[standing_out(row) for row in page], next=following)


@routes.get("/standing-orders/<standing_id>", allow=anyone, answers={200: StandingOut}, refusals=(NotFound,))
def read_standing_order(session: Session, actor: Actor, standing_id: StandingOrderId) -> StandingOut:
    """One standing order, and the day of its next cycle."""
    return shown(session, actor, standing_id)


@routes.put(
    "/standing-orders/<standing_id>",
    allow=asker,
    answers={200: StandingOut},
    refusals=(*NAMED, VersionConflict, VersionMissing, WrongStandingStatus),
)
def change_standing_order(
    session: Session, actor: Actor, now: datetime, standing_id: StandingOrderId, body: StandingIn, if_match: str | None
) -> StandingOut:
    """Replace it, at the version given as If-Match; from then on it is ordered in the caller's name."""
    standing.change(session, standing_id=standing_id, by=actor, wanted=body, version=if_match, now=now)
    return shown(session, actor, standing_id)


@routes.post(
    "/standing-orders/<standing_id>/pause",
    allow=asker,
    answers={200: StandingOut},
    refusals=(NotFound, WrongStandingStatus),
)
def pause_standing_order(session: Session, actor: Actor, now: datetime, standing_id: StandingOrderId) -> StandingOut:
    """Order nothing until it is taken up again."""
    standing.pause(session, standing_id=standing_id, by=actor, now=now)
    return shown(session, actor, standing_id)


@routes.post(
    "/standing-orders/<standing_id>/resume",
    allow=asker,
    answers={200: StandingOut},
    refusals=(NotFound, WrongStandingStatus),
)
def resume_standing_order(session: Session, actor: Actor, now: datetime, standing_id: StandingOrderId) -> StandingOut:
    """Take it up again in the caller's name, from the next of its days that has not passed."""
    standing.resume(session, standing_id=standing_id, by=actor, now=now)
    return shown(session, actor, standing_id)


@routes.post(
    "/standing-orders/<standing_id>/end",
    allow=asker,
    answers={200: StandingOut},
    refusals=(NotFound, WrongStandingStatus),
)
def end_standing_order(session: Session, actor: Actor, now: datetime, standing_id: StandingOrderId) -> StandingOut:
    """Order it no more; what was ordered stays."""
    standing.end(session, standing_id=standing_id, by=actor, now=now)
    return shown(session, actor, standing_id)


@routes.get("/standing-orders/<standing_id>/runs", allow=anyone, answers={200: RunPage}, refusals=(NotFound,))
def list_runs(session: Session, actor: Actor, standing_id: StandingOrderId, query: PageQuery) -> RunPage:
    """What became of each cycle, line by line, the last one first."""
    wanted = queries.runs_of(queries.one(session, actor, standing_id).id)
    name = f"standing runs {standing_id.hex}"
    if query.cursor:
        wanted = wanted.where(StandingRun.id < cursors.decode_id(name, query.cursor))
    found = session.scalars(wanted.order_by(StandingRun.id.desc()).limit(query.limit + 1)).all()
    page, following = cursors.cut(name, found, query.limit)
    lines = queries.lines_of(session, [run.id for run in page])
    return RunPage(items=[run_out(run, lines[run.id]) for run in page], next=following)
