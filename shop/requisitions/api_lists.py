"""Saved lists and the short ways to a requisition: headcounts, an earlier order, pasted codes."""

from datetime import datetime

from sqlalchemy.orm import Session

from shop.accounts.models_units import MandateExpired, OrganisationNotActive, UnitClosed
from shop.actor import Actor, Audience, Role
from shop.clock import business_day
from shop.errors import Invalid, NotFound, VersionConflict
from shop.freight.service import NoLane
from shop.http import cursors
from shop.http.routes import NO_KEY, PageQuery, Routes, audience, roles
from shop.ids import OrderId, RequisitionListId
from shop.orders.service.judging import NotOrderable
from shop.requisitions import queries_lists as queries
from shop.requisitions.api import shown
from shop.requisitions.models_lists import RequisitionList
from shop.requisitions.schemas_lists import (
    CopiedOut,
    DrawnUpMany,
    DrawUp,
    ListIn,
    ListItem,
    ListOut,
    ListPage,
    Pasted,
    PastedOut,
    WorkedOut,
    WorkOut,
    list_item,
    list_out,
)
from shop.requisitions.service import entering, keeping_lists
from shop.requisitions.service.drafting import VersionMissing
from shop.requisitions.service.keeping_lists import ListNameTaken
from shop.requisitions.service.working_out import shelf_of, work_out

routes = Routes("/v1/buyer", tag="Requisitions")
anyone = audience(Audience.BUYER)
asker = roles(Role.REQUESTER, Role.APPROVER, Role.MANAGER, of=Audience.BUYER)


def list_shown(session: Session, actor: Actor, list_id: RequisitionListId) -> ListOut:
    row = queries.one(session, actor, list_id)
    return list_out(row, queries.lines_of(session, row.id))


@routes.post("/requisition-lists", allow=asker, answers={201: ListOut}, refusals=(Invalid, ListNameTaken))
def make_list(session: Session, actor: Actor, now: datetime, body: ListIn) -> ListOut:
    """Keep a list of what is bought again and again, in packs or in grams a head and meal."""
    return list_shown(session, actor, keeping_lists.make(session, by=actor, wanted=body, now=now))


@routes.get("/requisition-lists", allow=anyone, answers={200: ListPage})
def list_lists(session: Session, actor: Actor, query: PageQuery) -> ListPage:
    """The institution's lists, newest first."""
    wanted = queries.visible_to(actor)
    if query.cursor:
        wanted = wanted.where(RequisitionList.id < cursors.decode_id("requisition lists", query.cursor))
    found = session.scalars(wanted.order_by(RequisitionList.id.desc()).limit(query.limit + 1)).all()
    page, following = cursors.cut("requisition lists", found, query.limit)
    return ListPage(items=[ListItem(**list_item(row)) for row in page], next=following)


@routes.get("/requisition-lists/<list_id>", allow=anyone, answers={200: ListOut}, refusals=(NotFound,))
def read_list(session: Session, actor: Actor, list_id: RequisitionListId) -> ListOut:
    """One list with its lines."""
    return list_shown(session, actor, list_id)


@routes.put(
    "/requisition-lists/<list_id>",
    allow=asker,
    answers={200: ListOut},
    refusals=(NotFound, Invalid, ListNameTaken, VersionConflict, VersionMissing),
)
def change_list(
    session: Session, actor: Actor, now: datetime, list_id: RequisitionListId, body: ListIn, if_match: str | None
) -> ListOut:
    """Replace a list, at the version given as If-Match; what on it is off sale by now may stay."""
    keeping_lists.change(session, list_id=list_id, by=actor, wanted=body, version=if_match, now=now)
    return list_shown(session, actor, list_id)


@routes.delete("/requisition-lists/<list_id>", allow=asker, answers={200: ListItem}, refusals=(NotFound,))
def retire_list(session: Session, actor: Actor, now: datetime, list_id: RequisitionListId) -> ListItem:
    """Use a list no more; requisitions made from it stay."""
    gone = ListItem(**list_item(queries.one(session, actor, list_id)))
    keeping_lists.retire(session, list_id=list_id, by=actor, now=now)
    return gone


@routes.post(
    "/requisition-lists/<list_id>/workings", allow=anyone, answers={200: WorkedOut}, refusals=(NotFound,), key=NO_KEY
)
def work_out_list(
    session: Session, actor: Actor, now: datetime, list_id: RequisitionListId, body: WorkOut
) -> WorkedOut:
    """What a list comes to for so many heads and meals, and what takes the place of what cannot be ordered."""
    lines = queries.lines_of(session, queries.one(session, actor, list_id).id)
    shelf = shelf_of(session, lines, on=business_day(now))
    return WorkedOut(lines=work_out(shelf, lines, heads=body.headcount, meals=body.meals))


@routes.post(
    "/requisition-lists/<list_id>/requisitions",
    allow=asker,
    answers={201: DrawnUpMany},
    refusals=(NotFound, Invalid, NotOrderable, NoLane, OrganisationNotActive, UnitClosed, MandateExpired),
)
def draw_up_requisitions(
    session: Session, actor: Actor, now: datetime, list_id: RequisitionListId, body: DrawUp
) -> DrawnUpMany:
    """A requisition for every canteen from one list: all are made, or none and the first fault is named."""
    return DrawnUpMany(items=entering.draw_up(session, list_id=list_id, by=actor, wanted=body, now=now))


@routes.post("/pasted-lines", allow=anyone, answers={200: PastedOut}, refusals=(Invalid,), key=NO_KEY)
def read_pasted_lines(session: Session, body: Pasted) -> PastedOut:
    """What pasted codes and quantities mean; `lines` can stand in a requisition as they are."""
    return entering.read_pasted(session, pasted=body)


@routes.post(
    "/orders/<order_id>/requisition",
    allow=asker,
    answers={201: CopiedOut},
    refusals=(NotFound, Invalid, NotOrderable, OrganisationNotActive, UnitClosed, MandateExpired),
)
def copy_order(session: Session, actor: Actor, now: datetime, order_id: OrderId) -> CopiedOut:
    """A draft with the lines of an earlier order, for the same unit and place."""
    made, left_out = entering.copy_order(session, order_id=order_id, by=actor, now=now)
    return CopiedOut(requisition=shown(session, actor, made), left_out=left_out)
