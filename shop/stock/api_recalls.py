"""Recalls and traces: for the cooperative, for county and platform, and for the buyers whom a recall reached."""

from datetime import datetime

from sqlalchemy.orm import Session

from shop.actor import Actor, Audience, Role
from shop.errors import NotFound
from shop.http import cursors
from shop.http.routes import REQUIRED, Routes, audience, roles
from shop.ids import LotId, RecallId
from shop.stock import queries_recalls as queries
from shop.stock.schemas_recalls import (
    OrderRecall,
    RecallLinePage,
    RecallOut,
    RecallPage,
    RecallsQuery,
    ReleaseRecall,
    TraceOut,
    recall_item,
    recall_line_out,
    recall_out,
    trace_out,
)
from shop.stock.service import recalling

selling = Routes("/v1/cooperative", tag="Recalls")
watching = Routes("/v1/admin", tag="Recalls")
buying = Routes("/v1/buyer", tag="Recalls")
seller = roles(Role.SHIPPER, Role.MANAGER, of=Audience.COOPERATIVE, helpers=False)
officer = roles(Role.OPERATOR, Role.COUNTY_REVIEWER, of=Audience.ADMIN)
onlooker = roles(Role.OPERATOR, Role.COUNTY_REVIEWER, Role.AUDITOR, of=Audience.ADMIN)


def whole(session: Session, actor: Actor, recall_id: RecallId) -> RecallOut:
    found = queries.recall(session, actor, recall_id)
    return recall_out(
        found,
        queries.lots_of(session, recall_id),
        queries.reached(session, actor, recall_id),
        queries.progress(session, actor, recall_id),
    )


def listed(session: Session, actor: Actor, query: RecallsQuery) -> RecallPage:
    before = cursors.decode_id("recalls", query.cursor) if query.cursor else None
    found = queries.page(session, actor, before=before, limit=query.limit)
    page, following = cursors.cut("recalls", found, query.limit)
    return RecallPage(items=[recall_item(recall) for recall in page], next=following)


def lines(session: Session, actor: Actor, recall_id: RecallId, query: RecallsQuery) -> RecallLinePage:
    queries.recall(session, actor, recall_id)
    question = f"recall-lines {recall_id.hex}"
    after = cursors.decode_id(question, query.cursor) if query.cursor else None
    found = queries.lines_of(session, actor, recall_id, after=after, limit=query.limit)
    page, following = cursors.cut(question, found, query.limit)
    return RecallLinePage(items=[recall_line_out(line) for line in page], next=following)


def traced(session: Session, actor: Actor, lot_id: LotId) -> TraceOut:
    queries.lots(session, actor, [lot_id])
    return trace_out(lot_id, queries.trace(session, [lot_id]))


@selling.post("/recalls", allow=seller, answers={201: RecallOut}, refusals=(NotFound,), key=REQUIRED)
def order_recall(session: Session, actor: Actor, now: datetime, body: OrderRecall) -> RecallOut:
    """Recall lots of one's own: nothing of them is sold, packed or shipped from now on, and every buyer is told."""
    return whole(session, actor, recalling.order(session, by=actor, wanted=body, now=now))


@selling.get("/recalls", allow=audience(Audience.COOPERATIVE), answers={200: RecallPage})
def list_own_recalls(session: Session, actor: Actor, query: RecallsQuery) -> RecallPage:
    """The recalls of the cooperative's lots, newest first."""
    return listed(session, actor, query)


@selling.get("/recalls/<recall_id>", allow=audience(Audience.COOPERATIVE), answers={200: RecallOut})
def read_own_recall(session: Session, actor: Actor, recall_id: RecallId) -> RecallOut:
    """A recall with its lots, every buyer whom it reached and how far it is."""
    return whole(session, actor, recall_id)


@selling.get("/recalls/<recall_id>/lines", allow=audience(Audience.COOPERATIVE), answers={200: RecallLinePage})
def list_own_recall_lines(session: Session, actor: Actor, recall_id: RecallId, query: RecallsQuery) -> RecallLinePage:
    """The order lines of a recall, each with what was done about it."""
    return lines(session, actor, recall_id, query)


@selling.post(
    "/recalls/<recall_id>/release",
    allow=seller,
    answers={200: RecallOut},
    refusals=(recalling.NotYourRecall, recalling.RecallEnded),
    key=REQUIRED,
)
def release_own_recall(
    session: Session, actor: Actor, now: datetime, recall_id: RecallId, body: ReleaseRecall
) -> RecallOut:
    """End a recall that the cooperative ordered itself."""
    recalling.release(session, by=actor, recall_id=recall_id, reason=body.reason, now=now)
    return whole(session, actor, recall_id)


@selling.get("/lots/<lot_id>/trace", allow=audience(Audience.COOPERATIVE), answers={200: TraceOut})
def trace_own_lot(session: Session, actor: Actor, lot_id: LotId) -> TraceOut:
    """Every order line and buyer that got something of a lot."""
    return traced(session, actor, lot_id)


@watching.post("/recalls", allow=officer, answers={201: RecallOut}, refusals=(NotFound,), key=REQUIRED)
def order_recall_as_officer(session: Session, actor: Actor, now: datetime, body: OrderRecall) -> RecallOut:
    """Recall lots of a cooperative: for a county of its own cooperatives, for the platform of any."""
    return whole(session, actor, recalling.order(session, by=actor, wanted=body, now=now))


@watching.get("/recalls", allow=onlooker, answers={200: RecallPage})
def list_recalls(session: Session, actor: Actor, query: RecallsQuery) -> RecallPage:
    """The recalls of the cooperatives that one may look into, newest first."""
    return listed(session, actor, query)


@watching.get("/recalls/<recall_id>", allow=onlooker, answers={200: RecallOut})
def read_recall(session: Session, actor: Actor, recall_id: RecallId) -> RecallOut:
    """A recall with its lots, every buyer whom it reached and how far it is."""
    return whole(session, actor, recall_id)


@watching.get("/recalls/<recall_id>/lines", allow=onlooker, answers={200: RecallLinePage})
def list_recall_lines(session: Session, actor: Actor, recall_id: RecallId, query: RecallsQuery) -> RecallLinePage:
    """The order lines of a recall, each with what was done about it."""
    return lines(session, actor, recall_id, query)


@watching.post(
    "/recalls/<recall_id>/release",
    allow=officer,
    answers={200: RecallOut},
    refusals=(recalling.NotYourRecall, recalling.RecallEnded),
    key=REQUIRED,
)
def release_recall(
    session: Session, actor: Actor, now: datetime, recall_id: RecallId, body: ReleaseRecall
) -> RecallOut:
    """End a recall: for a county one that it ordered, for the platform any."""
    recalling.release(session, by=actor, recall_id=recall_id, reason=body.reason, now=now)
    return whole(session, actor, recall_id)


@watching.get("/lots/<lot_id>/trace", allow=onlooker, answers={200: TraceOut})
def trace_lot(session: Session, actor: Actor, lot_id: LotId) -> TraceOut:
    """Every order line and buyer that got something of a lot."""
    return traced(session, actor, lot_id)


@buying.get("/recalls", allow=audience(Audience.BUYER), answers={200: RecallPage})
def list_recalls_of_bought(session: Session, actor: Actor, query: RecallsQuery) -> RecallPage:
    """The recalls of lots that the institution's order lines were packed from, newest first."""
    return listed(session, actor, query)


@buying.get("/recalls/<recall_id>", allow=audience(Audience.BUYER), answers={200: RecallOut})
def read_recall_of_bought(session: Session, actor: Actor, recall_id: RecallId) -> RecallOut:
    """A recall as it concerns the institution: the lots, what it got of them and what was done about it."""
    return whole(session, actor, recall_id)


@buying.get("/recalls/<recall_id>/lines", allow=audience(Audience.BUYER), answers={200: RecallLinePage})
def list_bought_recall_lines(
    session: Session, actor: Actor, recall_id: RecallId, query: RecallsQuery
) -> RecallLinePage:
    """The institution's own order lines of a recall."""
    return lines(session, actor, recall_id, query)
