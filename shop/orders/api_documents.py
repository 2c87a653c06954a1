"""Papers of an order, made by a job."""

from datetime import datetime
from typing import Literal

from sqlalchemy.orm import Session

from shop.actor import Actor, Audience
from shop.http.routes import In, Routes, audience
from shop.ids import OrderId
from shop.jobs import service as jobs
from shop.jobs.schemas import JobAsked, job_out
from shop.orders import queries

routes = Routes("/v1/buyer", tag="Buying")


class AskDocument(In):
    """Which paper: the order confirmation (采购订单)."""

    kind: Literal["order_confirmation"] = "order_confirmation"


@routes.post("/orders/<order_id>/documents", allow=audience(Audience.BUYER), answers={202: JobAsked})
def ask_order_document(session: Session, actor: Actor, now: datetime, order_id: OrderId, body: AskDocument) -> JobAsked:
    """Have a paper of an order made as PDF; the answer is the job that makes it."""
    order = queries.order(session, actor, order_id)
    job = jobs.start(session, actor=actor, kind=body.kind, asked={"order_id": order.id.hex}, now=now)
    return JobAsked(job=job_out(session, job))
