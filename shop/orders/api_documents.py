"""Papers of an order, made by a job."""

from datetime import datetime
from typing import Literal

from sqlalchemy.orm import Session

from shop.actor import Actor, Audience
from shop.errors import Invalid
from shop.http.fields import Day
from shop.http.routes import In, Routes, audience
from shop.ids import OrderId
from shop.jobs import service as jobs
from shop.jobs.schemas import JobAsked, job_out
from shop.orders import queries

routes = Routes("/v1/buyer", tag="Buying")


class AskDocument(In):
    """Which paper: the order confirmation (采购订单)."""

    kind: Literal["order_confirmation"] = "order_confirmation"


class AskInspectionBook(In):
    first: Day
    end: Day


@routes.post("/orders/<order_id>/documents", allow=audience(Audience.BUYER), answers={202: JobAsked})
def ask_order_document(session: Session, actor: Actor, now: datetime, order_id: OrderId, body: AskDocument) -> JobAsked:
    """Have a paper of an order made as PDF; the answer is the job that makes it."""
    order = queries.order(session, actor, order_id)
    job = jobs.start(session, actor=actor, kind=body.kind, asked={"order_id": order.id.hex}, now=now)
    return JobAsked(job=job_out(session, job))


@routes.post("/inspection-book", allow=audience(Audience.BUYER), answers={202: JobAsked})
def ask_inspection_book(session: Session, actor: Actor, now: datetime, body: AskInspectionBook) -> JobAsked:
    """Have the inspection book (进货查验台账) of some days made: one zip with the sheet and every paper of its lots.

    What was sent from a business day until (and without) another; the answer is the job that makes it.
    """
    if body.end <= body.first:
        raise Invalid("The days end before they begin.", pointer="/end")
    asked = {"first": body.first.isoformat(), "end": body.end.isoformat()}
    return JobAsked(
        job=job_out(session, jobs.start(session, actor=actor, kind="inspection_book", asked=asked, now=now))
    )
