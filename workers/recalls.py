"""What the workers do about recalls, batch after batch under the claim, each batch a commit of its own."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from shop.clock import business_now
from shop.logistics import service as logistics
from shop.orders.service import recalling as orders
from shop.outbox import service as outbox


def stop_unshipped(taken: outbox.Claim, *, recall_id: UUID, **_newer: Any) -> None:
    """Unpack what is packed from recalled lots and has not left."""
    in_batches(taken, lambda session: orders.stop_unshipped(session, recall_id=recall_id, now=business_now(session)))


def halt_shipments(taken: outbox.Claim, *, recall_id: UUID, **_newer: Any) -> None:
    """Halt what is on its way with recalled goods."""
    in_batches(taken, lambda session: logistics.halt_recalled(session, recall_id=recall_id, now=business_now(session)))


def resume_shipments(taken: outbox.Claim, *, recall_id: UUID, **_newer: Any) -> None:
    """Let go on what only the released recall had halted."""
    in_batches(taken, lambda session: logistics.resume_released(session, recall_id=recall_id))


def in_batches(taken: outbox.Claim, batch: Callable[[Session], int]) -> None:
    while True:
        with outbox.working(taken) as session:
            if not batch(session):
                outbox.finish(session, taken)
                return
            outbox.renew(session, taken)


for consumer in (stop_unshipped, halt_shipments, resume_shipments):
    consumer.takes_claim = True  # type: ignore[attr-defined]
