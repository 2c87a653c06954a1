"""Say what placing a requisition would meet, and place it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.clock import business_day
from shop.http.parsing import fault
from shop.orders.schemas import PlaceOrder
from shop.orders.service import judging, placing, quoting, recording
from shop.requisitions import queries
from shop.requisitions.models import RequisitionStatus, WrongRequisitionStatus
from shop.requisitions.service.drafting import become, order_of, tell
from shop.stock.queries import open_packs


@dataclass(frozen=True)
class Held:
    """A line as it stands today: its price, or the fault that holds it, and how many packs of it are there."""

    fault: dict[str, Any] | None
    packs_there: int
    priced: judging.Priced | None


@dataclass(frozen=True)
class Checked:
    """What placing an order would meet, line by line; the sums are of the lines that nothing holds."""

    lines: list[Held]
    goods_fen: int
    freight_fen: int
    chain: list[dict[str, Any]]

    @property
    def total_fen(self) -> int:
        return self.goods_fen + self.freight_fen


def check(session: Session, *, by: Actor, wanted: PlaceOrder, now: datetime) -> Checked:
    """What placing this now would meet; a constant number of statements, and nothing is changed."""
    today = business_day(now)
    _, address = quoting.whose_and_where(session, by, wanted, today)
    lines, faults = judging.judge(session, wanted.lines, today, buyer=by.organisation_id)
    there = open_packs(session, {line.listing_id for line in wanted.lines}, on=today)
    good = {line.place: line for line in lines}
    held = {int(one["pointer"].split("/")[2]): one for one in faults}
    for place, line in list(good.items()):
        packs = there.get(line.listing.id, 0)
        if packs < line.packs:
            del good[place]
            held[place] = fault(f"/lines/{place}/quantity", "not_enough_supply", f"{packs} packs are there")
            held[place] |= {"allowed": packs}
    parts = quoting.by_cooperative([good[place] for place in sorted(good)])
    quoting.quote_freight(session, parts, to_code=address.division_code, on=today)
    goods = sum(part.goods_fen for part in parts)
    freight = sum(part.freight_fen for part in parts)
    return Checked(
        lines=[
            Held(held.get(place), there.get(line.listing_id, 0), good.get(place))
            for place, line in enumerate(wanted.lines)
        ],
        goods_fen=goods,
        freight_fen=freight,
        chain=queries.chain(
            session,
            organisation_id=by.organisation_id,
            budget_unit_id=wanted.budget_unit_id,
            purpose=wanted.purpose,
            total_fen=goods + freight,
            on=today,
        ),
    )


def place(session: Session, *, requisition_id: UUID, by: Actor, now: datetime) -> recording.Placed:
    """Place the order of an approved requisition, up to what was approved; a draft within the member's own limit.

    Refused as any order is; with AboveApproval when it has become dearer than what was approved.
    """
    row = queries.locked(session, by, requisition_id)
    approval = None
    if row.status == RequisitionStatus.APPROVED:
        assert row.total_fen is not None
        approval = placing.Approval(row.total_fen)
    elif row.status != RequisitionStatus.DRAFT:
        raise WrongRequisitionStatus(requisition_status=row.status)
    wanted = order_of(row, queries.lines_of(session, row.id))
    placed = placing.place(session, actor=by, wanted=wanted, now=now, approval=approval)
    if row.total_fen is None:
        row.total_fen = placed.total_fen
    become(session, row, RequisitionStatus.PLACED, order_id=placed.id)
    tell(session, row, "requisition.placed", by=by, now=now)
    return placed
