"""Ship, hear from the carriers, deliver."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shop.actor import SYSTEM, Actor
from shop.clock import business_day
from shop.errors import Refusal
from shop.ids import new_id
from shop.logistics import queries
from shop.logistics.carriers import CARRIERS, Trip
from shop.logistics.models import Shipment, TrackingEvent, TrackingKind
from shop.orders import queries as orders
from shop.orders import queries_fulfilment
from shop.orders.models import Order, OrderLine, Status, SupplierOrder
from shop.orders.service.moving import move
from shop.outbox import service as outbox
from shop.regions.models import province_of
from shop.stock.models_recalls import Outcome, Recall, RecallLine, RecallStatus
from shop.stock.service import holding, recalling

BATCH = 100


class WaybillTaken(Refusal):
    """The cooperative has another shipment under this waybill of this carrier."""

    code, status = "waybill_taken", 409
    title, title_zh = "This waybill is in use already.", "该运单号已被使用。"


class NotYours(Refusal):
    """The carrier of this shipment reports by itself; `carrier` names it."""

    code, status = "carrier_reports_itself", 409
    title, title_zh = "This carrier reports by itself.", "该承运方自行上报物流信息。"


class AlreadyDelivered(Refusal):
    """The shipment has arrived; nothing more happens to it."""

    code, status = "already_delivered", 409
    title, title_zh = "This shipment has arrived already.", "该货物已送达。"


class ShipmentHalted(Refusal):
    """Goods of this shipment are recalled; it goes on when the recall is released."""

    code, status = "shipment_halted", 409
    title, title_zh = "This shipment is halted by a recall.", "该货物因召回暂停配送。"


def ship(
    session: Session, *, actor: Actor, supplier_order_id: UUID, carrier: str, waybill: str | None, now: datetime
) -> UUID:
    """Hand a packed supplier order to a carrier; gives the shipment's id.

    Its lots go from bound to shipped in the same transaction, and the event of the move carries `shipment_id`. NotFound
    for another's, WrongStatus unless it is packed, WrongCarrier, WaybillTaken.
    """
    part = orders.supplier_order(session, actor, supplier_order_id)
    shipment_id = new_id()
    move(
        session,
        supplier_order_id=part.id,
        to=Status.SHIPPED,
        by=actor,
        now=now,
        told={"shipment_id": shipment_id},
    )
    lines = orders.lines_of(session, [part.id])[part.id]
    holding.ship(session, line_ids=[line.id for line in lines], now=now)
    taken = CARRIERS[carrier].take(trip_of(session, shipment_id, part, lines, now), waybill)
    written = session.execute(
        insert(Shipment)
        .values(
            id=shipment_id,
            supplier_order_id=part.id,
            cooperative_id=part.cooperative_id,
            carrier=carrier,
            waybill=taken.waybill,
            status="in_transit",
            grams=sum(line.packs_to_fill * line.pack_grams for line in lines),
            freight_fen=part.freight_fen,
            shipped_at=now,
            due_at=taken.due_at,
            plan=[planned.row() for planned in taken.plan],
            next_at=taken.plan[0].at if taken.plan else None,
        )
        .on_conflict_do_nothing(index_elements=["cooperative_id", "carrier", "waybill"])
        .returning(Shipment.id)
    ).first()
    if written is None:
        raise WaybillTaken(pointer="/waybill")
    return shipment_id


def trip_of(
    session: Session, shipment_id: UUID, part: SupplierOrder, lines: Sequence[OrderLine], now: datetime
) -> Trip:
    """The trip of a supplier order: from the county of its first line to where the order goes, hubs being provinces."""
    on = business_day(now)
    to_code = session.execute(select(Order.delivery_code).where(Order.id == part.order_id)).scalar_one()
    from_code = lines[0].dimensions["origin_code"]
    stops = [from_code, province_of(from_code), province_of(to_code), to_code]
    names = queries.names_of(session, stops, on)
    days = queries_fulfilment.lane_days(session, lines, to_code, on)
    return Trip(shipment_id, now, days, *(names[code] for code in stops))


def move_shipments(session: Session, *, now: datetime) -> int:
    """Let the simulated carrier report what is due; gives how many shipments had something to say.

    One batch: as many words per shipment as are due, each once by the carrier's number; a shipment whose word is
    `delivered` is delivered. Rows that another sweep works on are left to it.
    """
    due: Sequence[Shipment] = session.scalars(
        select(Shipment)
        .where(Shipment.status == "in_transit", Shipment.next_at <= now)
        .order_by(Shipment.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).all()
    if not due:
        return 0
    words: list[dict[str, Any]] = []
    delivered: list[tuple[Shipment, datetime]] = []
    for shipment in due:
        plan = [planned | {"at": datetime.fromisoformat(planned["at"])} for planned in shipment.plan]
        said = [planned for planned in plan if planned["at"] <= now]
        words += [
            word(shipment.id, said["ref"], said["kind"], said["place"], said["note"], said["at"]) for said in said
        ]
        shipment.next_at = min((planned["at"] for planned in plan if planned["at"] > now), default=None)
        arrived = [planned["at"] for planned in said if planned["kind"] == TrackingKind.DELIVERED]
        if arrived:
            delivered.append((shipment, arrived[0]))
    session.execute(insert(TrackingEvent).on_conflict_do_nothing(index_elements=["shipment_id", "carrier_ref"]), words)
    for shipment, at in sorted(delivered, key=lambda arrival: arrival[0].supplier_order_id):
        deliver(session, shipment, at=at, by=SYSTEM, now=now)
    session.flush()
    return len(due)


def has_word_due(session: Session, *, now: datetime) -> bool:
    """Whether the simulated carrier has something to say that was not heard yet."""
    return bool(session.scalar(select(exists().where(Shipment.status == "in_transit", Shipment.next_at <= now))))


def report(
    session: Session,
    *,
    actor: Actor,
    shipment_id: UUID,
    ref: str,
    kind: TrackingKind,
    place: str,
    note: str | None,
    now: datetime,
) -> UUID:
    """Write down what a cooperative says of its own carriage, once per `ref`; gives the supplier order's id.

    `delivered` delivers it. NotFound for another's shipment, NotYours when a carrier reports by itself,
    AlreadyDelivered for a new word about what has arrived, ShipmentHalted for the delivery of what is recalled.
    """
    shipment = queries.locked(session, actor, shipment_id)
    if shipment.carrier != "own":
        raise NotYours(carrier=shipment.carrier)
    known = session.scalar(
        select(TrackingEvent.id).where(TrackingEvent.shipment_id == shipment.id, TrackingEvent.carrier_ref == ref)
    )
    if known is not None:
        return shipment.supplier_order_id
    if shipment.status == "delivered":
        raise AlreadyDelivered
    if shipment.status == "halted" and kind is TrackingKind.DELIVERED:
        raise ShipmentHalted
    session.execute(insert(TrackingEvent), [word(shipment.id, ref, kind, place, note, now)])
    if kind is TrackingKind.DELIVERED:
        deliver(session, shipment, at=now, by=actor, now=now)
    return shipment.supplier_order_id


def word(shipment_id: UUID, ref: str, kind: str, place: str, note: str | None, at: datetime) -> dict[str, Any]:
    return {
        "id": new_id(),
        "shipment_id": shipment_id,
        "carrier_ref": ref,
        "kind": kind,
        "place": place,
        "note": note,
        "at": at,
    }


def deliver(session: Session, shipment: Shipment, *, at: datetime, by: Actor, now: datetime) -> None:
    """A shipment that is locked has arrived at `at`: so has its supplier order; announces `shipment.delivered`."""
    shipment.status, shipment.delivered_at, shipment.next_at = "delivered", at, None
    session.flush()
    order_id, buyer_id = session.execute(
        select(SupplierOrder.order_id, SupplierOrder.buyer_id).where(SupplierOrder.id == shipment.supplier_order_id)
    ).one()
    move(session, supplier_order_id=shipment.supplier_order_id, to=Status.DELIVERED, by=by, now=now)
    outbox.announce(
        session,
        "shipment.delivered",
        now=now,
        seen_by=[buyer_id, shipment.cooperative_id],
        shipment_id=shipment.id,
        supplier_order_id=shipment.supplier_order_id,
        order_id=order_id,
    )


def halt_recalled(session: Session, *, recall_id: UUID, now: datetime, limit: int = BATCH) -> int:
    """Halt shipments with recalled goods, and record which had arrived; gives how many were looked at.

    One batch, until that is 0; nothing of a recall that was released meanwhile. What has not left is for `orders`.
    """
    if not recalling.is_open(session, recall_id):
        return 0
    lines = dict(
        session.execute(
            select(RecallLine.line_id, OrderLine.supplier_order_id)
            .join(OrderLine, OrderLine.id == RecallLine.line_id)
            .join(Shipment, Shipment.supplier_order_id == OrderLine.supplier_order_id)
            .where(RecallLine.recall_id == recall_id, RecallLine.outcome.is_(None))
            .order_by(OrderLine.supplier_order_id)
            .limit(limit)
        ).all()
    )
    if not lines:
        return 0
    shipments: Sequence[Shipment] = session.scalars(
        select(Shipment)
        .where(Shipment.supplier_order_id.in_(set(lines.values())))
        .order_by(Shipment.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    arrived = {shipment.supplier_order_id for shipment in shipments if shipment.status == "delivered"}
    for shipment in shipments:
        if shipment.status == "in_transit":
            shipment.status = "halted"
    session.flush()
    for outcome, wanted in ((Outcome.DELIVERED, True), (Outcome.HALTED, False)):
        done = [line_id for line_id, part_id in lines.items() if (part_id in arrived) is wanted]
        recalling.record_outcome(session, recall_id=recall_id, line_ids=done, outcome=outcome, now=now)
    return len(lines)


def resume_released(session: Session, *, recall_id: UUID, limit: int = BATCH) -> int:
    """Let shipments go on that a released recall had halted and no other holds; gives how many. One batch."""
    of_part = OrderLine.supplier_order_id == Shipment.supplier_order_id
    reached = exists().where(of_part, RecallLine.line_id == OrderLine.id, RecallLine.recall_id == recall_id)
    held = exists().where(
        of_part,
        RecallLine.line_id == OrderLine.id,
        Recall.id == RecallLine.recall_id,
        Recall.status == RecallStatus.OPEN,
    )
    shipments: Sequence[Shipment] = session.scalars(
        select(Shipment)
        .where(Shipment.status == "halted", reached, ~held)
        .order_by(Shipment.id)
        .limit(limit)
        .with_for_update(of=Shipment)
        .execution_options(populate_existing=True)
    ).all()
    for shipment in shipments:
        shipment.status = "in_transit"
    session.flush()
    return len(shipments)
