"""Change a supplier order before its cooperative accepts it: fewer packs, another freight, agreed by both sides.

The order stays as it was placed: its lines keep what was ordered beside what is still to be delivered, and the
acceptance bills that, with the agreed freight. So credit, budget, agreement and money paid are given back as they are
for whatever is not accepted. While a change waits for its answer nobody accepts the order.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, text, update
from sqlalchemy.orm import Session

from shop.actor import SYSTEM, Actor, Audience
from shop.db import insert_rows
from shop.errors import NotFound
from shop.http.parsing import fault
from shop.orders import queries, queries_fulfilment
from shop.orders.models import OrderLine, Status, SupplierOrder, WrongStatus
from shop.orders.models_changes import (
    ChangeIsOpen,
    ChangeStatus,
    OrderChange,
    OrderChangeLine,
    OtherSide,
    WrongChange,
    WrongChangeStatus,
)
from shop.orders.models_times import Waits
from shop.orders.schemas_changes import ProposeChange
from shop.orders.service import keeping_times
from shop.outbox import service as outbox
from shop.outbox.models import Event
from shop.stock.service import holding

VOID = text(
    """
    UPDATE order_change SET status = 'void', ended_by = :by, ended_at = :now
    WHERE supplier_order_id = ANY(CAST(:parts AS uuid[])) AND status = 'open'
    """
)
SET_PACKS = text(
    """
    UPDATE order_line l SET allocated_packs = c.packs FROM order_change_line c
    WHERE c.change_id = :change AND l.id = c.line_id
    """
)


def propose(
    session: Session, *, actor: Actor, supplier_order_id: UUID, wanted: ProposeChange, now: datetime
) -> OrderChange:
    """Propose fewer packs or, as the cooperative, another freight: NotFound, WrongStatus, ChangeIsOpen, WrongChange."""
    part = waiting(session, actor, supplier_order_id)
    there = open_change(session, part.id)
    if there is not None:
        raise ChangeIsOpen(change_id=f"och_{there.id.hex}")
    lines = {line.id: line for line in queries.lines_of(session, [part.id])[part.id]}
    freight_before = part.freight_to_bill
    freight = freight_before if wanted.freight_fen is None else wanted.freight_fen
    goods_before = sum(line.packs_to_fill * line.unit_fen for line in lines.values())
    refuse_wrong(actor, wanted, lines, freight_before, freight, goods_before)
    fewer = {line.line_id: line.packs for line in wanted.lines}
    hours = keeping_times.hours_for(session, Waits.CHANGE, supplier_order_id=part.id, now=now)
    change = OrderChange(
        supplier_order_id=part.id,
        side="buyer" if actor.audience is Audience.BUYER else "cooperative",
        status=ChangeStatus.OPEN,
        reason=wanted.reason,
        goods_fen_before=goods_before,
        goods_fen=sum(fewer.get(key, line.packs_to_fill) * line.unit_fen for key, line in lines.items()),
        freight_fen_before=freight_before,
        freight_fen=freight,
        proposed_by=actor.user_id,
        proposed_at=now,
        answer_by=now + timedelta(hours=hours) if hours else None,
    )
    session.add(change)
    session.flush()
    if fewer:
        session.execute(
            insert(OrderChangeLine),
            [
                {"change_id": change.id, "line_id": key, "packs_before": lines[key].packs_to_fill, "packs": packs}
                for key, packs in fewer.items()
            ],
        )
    insert_rows(session, (Event, [told("proposed", change, part, now)]))
    return change


def refuse_wrong(
    actor: Actor,
    wanted: ProposeChange,
    lines: dict[UUID, OrderLine],
    freight_before: int,
    freight: int,
    goods_before: int,
) -> None:
    """WrongChange unless it names lines of the order, each once and with fewer packs, leaves something and is not
    dearer."""
    faults: list[dict[str, Any]] = []
    left = {key: line.packs_to_fill for key, line in lines.items()}
    seen: set[UUID] = set()
    for number, line in enumerate(wanted.lines):
        pointer = f"/lines/{number}"
        if line.line_id not in lines:
            faults.append(fault(f"{pointer}/line_id", "no_such_line", "this is no line of this order"))
        elif line.line_id in seen:
            faults.append(fault(f"{pointer}/line_id", "repeated", "this line is named above already"))
        elif line.packs >= left[line.line_id]:
            faults.append(fault(f"{pointer}/packs", "not_fewer", f"{left[line.line_id]} packs are to be delivered"))
        else:
            left[line.line_id] = line.packs
        seen.add(line.line_id)
    if actor.audience is Audience.BUYER and wanted.freight_fen is not None:
        faults.append(fault("/freight_fen", "not_yours", "the cooperative names the freight"))
    goods = sum(packs * lines[key].unit_fen for key, packs in left.items())
    if not faults and not goods:
        faults.append(fault("/lines", "nothing_left", "nothing would be left; cancel the order instead"))
    elif not faults and goods + freight > goods_before + freight_before:
        most = goods_before + freight_before - goods
        faults.append(fault("/freight_fen", "dearer", f"the order may not cost more than it did: at most {most}"))
    elif not faults and not wanted.lines and freight == freight_before:
        faults.append(fault("/lines", "nothing_changes", "nothing would change"))
    if faults:
        raise WrongChange(errors=faults)


def answer(
    session: Session, *, actor: Actor, supplier_order_id: UUID, change_id: UUID, agree: bool, said: str | None,
    now: datetime,
) -> OrderChange:  # fmt: skip
    """The other side agrees, and it holds from now on, or refuses, and the order stays as it is.

    NotFound, WrongChangeStatus, OtherSide.
    """
    part, change = locked(session, actor, supplier_order_id, change_id, now)
    if change.side == side_of(actor):
        raise OtherSide
    end(session, change, ChangeStatus.AGREED if agree else ChangeStatus.REFUSED, by=actor, now=now, answer=said)
    if agree:
        hold_less(session, part, change)
    insert_rows(session, (Event, [told(change.status, change, part, now)]))
    return change


def withdraw(session: Session, *, actor: Actor, supplier_order_id: UUID, change_id: UUID, now: datetime) -> OrderChange:
    """Whoever proposed a change takes it back: NotFound, WrongChangeStatus, OtherSide."""
    part, change = locked(session, actor, supplier_order_id, change_id, now)
    if change.side != side_of(actor):
        raise OtherSide
    end(session, change, ChangeStatus.WITHDRAWN, by=actor, now=now)
    insert_rows(session, (Event, [told("withdrawn", change, part, now)]))
    return change


def hold_less(session: Session, part: SupplierOrder, change: OrderChange) -> None:
    """What was agreed: lines are filled with fewer packs, supply is held for no more, the freight is another.

    What the cooperative cannot deliver is not offered to others either; what the buyer does without is open again.
    """
    lines = {line.id: line for line in queries.lines_of(session, [part.id])[part.id]}
    fewer = session.scalars(select(OrderChangeLine).where(OrderChangeLine.change_id == change.id)).all()
    holding.give_up(
        session,
        quantities={
            line.line_id: (line.packs_before - line.packs) * lines[line.line_id].pack_base_quantity for line in fewer
        },
        offered_again=change.side == "buyer",
    )
    session.execute(SET_PACKS, {"change": change.id})
    if change.freight_fen != change.freight_fen_before:
        session.execute(
            update(SupplierOrder).where(SupplierOrder.id == part.id).values(agreed_freight_fen=change.freight_fen)
        )


def void(session: Session, *, part_ids: Sequence[UUID], by: Actor, now: datetime) -> None:
    """Whatever is proposed for these supplier orders is over: they were cancelled, or get less by an allocation."""
    session.execute(VOID, {"parts": sorted(part_ids), "by": by.user_id, "now": now})


def side_of(actor: Actor) -> str:
    return "buyer" if actor.audience is Audience.BUYER else "cooperative"


def waiting(session: Session, actor: Actor, supplier_order_id: UUID) -> SupplierOrder:
    """A supplier order of the actor's, locked, that its cooperative has not accepted yet; or NotFound, WrongStatus."""
    part = queries_fulfilment.locked(session, actor, supplier_order_id)
    if part.status != Status.CONFIRMED:
        raise WrongStatus(f"A supplier order that is {part.status} is not changed.", is_now=part.status)
    return part


def open_change(session: Session, part_id: UUID) -> OrderChange | None:
    return session.scalars(
        select(OrderChange)
        .where(OrderChange.supplier_order_id == part_id, OrderChange.status == ChangeStatus.OPEN)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()


def refuse_while_open(session: Session, part_id: UUID) -> None:
    """ChangeIsOpen while a change of the supplier order waits for its answer."""
    waits = session.scalar(
        select(OrderChange.id).where(OrderChange.supplier_order_id == part_id, OrderChange.status == ChangeStatus.OPEN)
    )
    if waits is not None:
        raise ChangeIsOpen(change_id=f"och_{waits.hex}")


def locked(
    session: Session, actor: Actor, supplier_order_id: UUID, change_id: UUID, now: datetime
) -> tuple[SupplierOrder, OrderChange]:
    """An open change with its supplier order, which is locked first, as its moves lock it."""
    part = queries_fulfilment.locked(session, actor, supplier_order_id)
    change = session.scalars(
        select(OrderChange)
        .where(OrderChange.id == change_id, OrderChange.supplier_order_id == part.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()
    if change is None:
        raise NotFound("No such change of this order.")
    if change.status != ChangeStatus.OPEN:
        raise WrongChangeStatus(is_now=change.status)
    if change.answer_by is not None and change.answer_by <= now:
        raise WrongChangeStatus("The time to answer is over.", is_now=ChangeStatus.LAPSED)
    return part, change


def end(
    session: Session, change: OrderChange, to: ChangeStatus, *, by: Actor, now: datetime, answer: str | None = None
) -> None:
    change.status, change.ended_by, change.ended_at, change.answer = to, by.user_id, now, answer
    session.flush()


def lapse(session: Session, *, now: datetime, limit: int = 500) -> int:
    """End the changes that nobody answered in time and tell both sides; gives how many. The orders stay as they are."""
    due = (
        select(OrderChange.id)
        .where(OrderChange.status == ChangeStatus.OPEN, OrderChange.answer_by <= now)
        .order_by(OrderChange.answer_by)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    late = session.scalars(
        update(OrderChange)
        .where(OrderChange.id.in_(due))
        .values(status=ChangeStatus.LAPSED, ended_by=SYSTEM.user_id, ended_at=now)
        .returning(OrderChange)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).all()
    if not late:
        return 0
    found = session.scalars(
        select(SupplierOrder).where(SupplierOrder.id.in_([change.supplier_order_id for change in late]))
    )
    parts = {part.id: part for part in found}
    insert_rows(session, (Event, [told("lapsed", change, parts[change.supplier_order_id], now) for change in late]))
    return len(late)


def told(what: str, change: OrderChange, part: SupplierOrder, now: datetime) -> dict[str, Any]:
    """The event `order_change.<what>`, which both sides hear."""
    return outbox.row_of(
        f"order_change.{what}", now=now, seen_by=[part.buyer_id, part.cooperative_id], change_id=change.id,
        supplier_order_id=part.id, order_id=part.order_id, side=change.side,
    )  # fmt: skip


def lines_of(session: Session, change_ids: Sequence[UUID]) -> dict[UUID, list[OrderChangeLine]]:
    """The lines of changes, by change."""
    found: dict[UUID, list[OrderChangeLine]] = {key: [] for key in change_ids}
    for line in session.scalars(
        select(OrderChangeLine).where(OrderChangeLine.change_id.in_(change_ids)).order_by(OrderChangeLine.line_id)
    ):
        found[line.change_id].append(line)
    return found
