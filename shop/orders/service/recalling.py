"""What orders do about a recall: what is packed from recalled lots and has not left is unpacked."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.actor import SYSTEM
from shop.orders import queries
from shop.orders.models import OrderLine, Status, SupplierOrder
from shop.orders.service.moving import move
from shop.stock.models_recalls import Outcome, RecallLine
from shop.stock.service import holding, recalling

LEFT = frozenset({Status.SHIPPED, Status.DELIVERED, Status.INSPECTED, Status.DISPUTED, Status.SETTLED})
REASON = "所装批次已召回，退回重新装箱。"


def stop_unshipped(session: Session, *, recall_id: UUID, now: datetime, limit: int = 100) -> int:
    """Unpack supplier orders that hold recalled goods and have not left; gives how many had to be looked at.

    One batch, until that is 0. An unpacked order is accepted again, with its supply held, and is packed from what is
    not recalled. Nothing is done about a recall that was released meanwhile. What has left is for `logistics`.
    """
    if not recalling.is_open(session, recall_id):
        return 0
    parts: Sequence[SupplierOrder] = session.scalars(
        select(SupplierOrder)
        .where(
            SupplierOrder.id.in_(
                select(OrderLine.supplier_order_id)
                .join(RecallLine, RecallLine.line_id == OrderLine.id)
                .where(RecallLine.recall_id == recall_id, RecallLine.outcome.is_(None))
            ),
            SupplierOrder.status.not_in(LEFT),
        )
        .order_by(SupplierOrder.id)
        .limit(limit)
        .with_for_update(of=SupplierOrder)
        .execution_options(populate_existing=True)
    ).all()
    lines = queries.lines_of(session, [part.id for part in parts])
    packed = [part.id for part in parts if part.status == Status.PACKED]
    for part_id in packed:
        move(
            session,
            supplier_order_id=part_id,
            to=Status.ACCEPTED,
            by=SYSTEM,
            now=now,
            reason=REASON,
            called="unpacked",
        )
    holding.unbind(session, line_ids=[line.id for part_id in packed for line in lines[part_id]], now=now)
    done = [line.id for part in parts if part.status not in LEFT for line in lines[part.id]]
    recalling.record_outcome(session, recall_id=recall_id, line_ids=done, outcome=Outcome.UNPACKED, now=now)
    return len(parts)
