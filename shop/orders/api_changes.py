"""Changes of a supplier order before it is accepted: each side proposes, the other answers."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.actor import Actor, Audience, Role
from shop.errors import NotFound
from shop.http.routes import REQUIRED, Routes, audience, roles
from shop.ids import OrderChangeId, SupplierOrderId
from shop.orders import queries
from shop.orders.models import WrongStatus
from shop.orders.models_changes import ChangeIsOpen, OrderChange, OtherSide, WrongChange, WrongChangeStatus
from shop.orders.schemas_changes import AnswerChange, ChangeLineOut, ChangeOut, Changes, ProposeChange
from shop.orders.service import changing

buying = Routes("/v1/buyer", tag="Buying")
selling = Routes("/v1/cooperative", tag="Selling")
ANSWERS = (NotFound, WrongChangeStatus, OtherSide)
PROPOSING = (NotFound, WrongStatus, ChangeIsOpen, WrongChange)
buyer = roles(Role.REQUESTER, Role.APPROVER, Role.MANAGER, of=Audience.BUYER)
seller = roles(Role.SHIPPER, of=Audience.COOPERATIVE)
PATH = "/supplier-orders/<supplier_order_id>/changes"
ONE = f"{PATH}/<order_change_id>"


def changes_out(session: Session, changes: Sequence[OrderChange]) -> list[ChangeOut]:
    lines = changing.lines_of(session, [change.id for change in changes])
    return [
        ChangeOut(
            id=change.id,
            supplier_order_id=change.supplier_order_id,
            side=change.side,
            status=change.status,
            reason=change.reason,
            lines=[
                ChangeLineOut(line_id=line.line_id, packs_before=line.packs_before, packs=line.packs)
                for line in lines[change.id]
            ],
            goods_fen_before=change.goods_fen_before,
            goods_fen=change.goods_fen,
            freight_fen_before=change.freight_fen_before,
            freight_fen=change.freight_fen,
            proposed_by=change.proposed_by,
            proposed_at=change.proposed_at.isoformat(),
            answer_by=change.answer_by.isoformat() if change.answer_by else None,
            answer=change.answer,
            ended_by=change.ended_by,
            ended_at=change.ended_at.isoformat() if change.ended_at else None,
        )
        for change in changes
    ]


def changes_of(session: Session, actor: Actor, supplier_order_id: UUID) -> Changes:
    part = queries.supplier_order(session, actor, supplier_order_id)
    found = session.scalars(
        select(OrderChange).where(OrderChange.supplier_order_id == part.id).order_by(OrderChange.id)
    ).all()
    return Changes(items=changes_out(session, found))


@buying.get(PATH, allow=audience(Audience.BUYER), answers={200: Changes}, refusals=(NotFound,))
def list_order_changes(session: Session, actor: Actor, supplier_order_id: SupplierOrderId) -> Changes:
    """What was proposed for a supplier order, oldest first, and what became of it."""
    return changes_of(session, actor, supplier_order_id)


@selling.get(PATH, allow=audience(Audience.COOPERATIVE), answers={200: Changes}, refusals=(NotFound,))
def list_changes_of_sales(session: Session, actor: Actor, supplier_order_id: SupplierOrderId) -> Changes:
    """What was proposed for a supplier order, oldest first, and what became of it."""
    return changes_of(session, actor, supplier_order_id)


@buying.post(PATH, allow=buyer, answers={201: ChangeOut}, refusals=PROPOSING, key=REQUIRED)
def propose_order_change(
    session: Session, actor: Actor, now: datetime, supplier_order_id: SupplierOrderId, body: ProposeChange
) -> ChangeOut:
    """Ask for fewer packs before the cooperative accepts the order; until it answers it does not accept it."""
    change = changing.propose(session, actor=actor, supplier_order_id=supplier_order_id, wanted=body, now=now)
    return changes_out(session, [change])[0]


@selling.post(PATH, allow=seller, answers={201: ChangeOut}, refusals=PROPOSING, key=REQUIRED)
def propose_change_of_sale(
    session: Session, actor: Actor, now: datetime, supplier_order_id: SupplierOrderId, body: ProposeChange
) -> ChangeOut:
    """Propose, before accepting the order, fewer packs or another freight; the order never costs more by it."""
    change = changing.propose(session, actor=actor, supplier_order_id=supplier_order_id, wanted=body, now=now)
    return changes_out(session, [change])[0]


@buying.post(f"{ONE}/answer", allow=buyer, answers={200: ChangeOut}, refusals=ANSWERS, key=REQUIRED)
def answer_order_change(
    session: Session,
    actor: Actor,
    now: datetime,
    supplier_order_id: SupplierOrderId,
    order_change_id: OrderChangeId,
    body: AnswerChange,
) -> ChangeOut:
    """Agree to what the cooperative proposed, and it holds, or refuse, and the order stays as it is."""
    change = changing.answer(
        session, actor=actor, supplier_order_id=supplier_order_id, change_id=order_change_id, agree=body.agree,
        said=body.reason, now=now,
    )  # fmt: skip
    return changes_out(session, [change])[0]


@selling.post(f"{ONE}/answer", allow=seller, answers={200: ChangeOut}, refusals=ANSWERS, key=REQUIRED)
def answer_change_of_sale(
    session: Session,
    actor: Actor,
    now: datetime,
    supplier_order_id: SupplierOrderId,
    order_change_id: OrderChangeId,
    body: AnswerChange,
) -> ChangeOut:
    """Agree to what the buyer asked for, and it holds, or refuse, and the order stays as it is."""
    change = changing.answer(
        session, actor=actor, supplier_order_id=supplier_order_id, change_id=order_change_id, agree=body.agree,
        said=body.reason, now=now,
    )  # fmt: skip
    return changes_out(session, [change])[0]


@buying.post(f"{ONE}/withdraw", allow=buyer, answers={200: ChangeOut}, refusals=ANSWERS, key=REQUIRED)
def withdraw_order_change(
    session: Session, actor: Actor, now: datetime, supplier_order_id: SupplierOrderId, order_change_id: OrderChangeId
) -> ChangeOut:
    """Take back what one's own side proposed."""
    change = changing.withdraw(
        session, actor=actor, supplier_order_id=supplier_order_id, change_id=order_change_id, now=now
    )
    return changes_out(session, [change])[0]


@selling.post(f"{ONE}/withdraw", allow=seller, answers={200: ChangeOut}, refusals=ANSWERS, key=REQUIRED)
def withdraw_change_of_sale(
    session: Session, actor: Actor, now: datetime, supplier_order_id: SupplierOrderId, order_change_id: OrderChangeId
) -> ChangeOut:
    """Take back what one's own side proposed."""
    change = changing.withdraw(
        session, actor=actor, supplier_order_id=supplier_order_id, change_id=order_change_id, now=now
    )
    return changes_out(session, [change])[0]
