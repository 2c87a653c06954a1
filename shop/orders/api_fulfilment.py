"""Filling a supplier order, for cooperatives, and inspecting what arrived, for buyers.

Shipping, tracking and the full view of one supplier order stand in `shop.logistics.api`, which knows the shipment too.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from shop.accounts.models import Address, Organisation
from shop.actor import Actor, Audience, Role
from shop.clock import business_day, business_now
from shop.errors import NotFound
from shop.http import cursors
from shop.http.routes import REQUIRED, Answer, Routes, audience, roles
from shop.ids import SupplierOrderId
from shop.orders import queries, queries_fulfilment, queries_inspections
from shop.orders.models import Order, Status, SupplierOrder, WrongStatus
from shop.orders.models_inspections import InspectionSigning, InspectorOrdered, SignatureWaits
from shop.orders.models_times import OrderDue
from shop.orders.queries_fulfilment import LotShare
from shop.orders.schemas import line_out, wishes_out
from shop.orders.schemas_fulfilment import (
    AcceptanceLineOut,
    AcceptanceOut,
    BuyerOut,
    DeadlineOut,
    DestinationOut,
    FilledOrderOut,
    Inspect,
    LotOut,
    MoveOut,
    PackQuery,
    ShipmentOut,
    SupplierOrderItem,
    SupplierOrderPage,
    SupplierOrdersQuery,
    photo_out,
)
from shop.orders.schemas_inspections import SigningOut, signing_out
from shop.orders.service import acceptance, filling, inspecting
from shop.stock import queries_documents
from shop.stock.schemas_documents import missing_out
from shop.stock.service.documenting import DocumentsMissing
from shop.stock.service.holding import LotsShort, LotsTooOld

filling_routes = Routes("/v1/cooperative/supplier-orders", tag="Selling")
inspection_routes = Routes("/v1/buyer/supplier-orders", tag="Buying")


@filling_routes.get("", allow=audience(Audience.COOPERATIVE), answers={200: SupplierOrderPage})
def list_supplier_orders(session: Session, actor: Actor, query: SupplierOrdersQuery) -> SupplierOrderPage:
    """The supplier orders of this cooperative, newest first; of one status when it is given."""
    wanted = (
        queries.visible_to(actor)
        .join(Order, Order.id == SupplierOrder.order_id)
        .join(Organisation, Organisation.id == SupplierOrder.buyer_id)
        .add_columns(Order, Organisation.name)
        .order_by(SupplierOrder.id.desc())
        .limit(query.limit + 1)
    )
    question = f"supplier-orders {query.status or ''}"
    if query.status:
        wanted = wanted.where(SupplierOrder.status == query.status)
    if query.cursor:
        wanted = wanted.where(SupplierOrder.id < cursors.decode_id(question, query.cursor))
    found = session.execute(wanted).all()
    page, following = cursors.cut(question, found, query.limit, lambda row: row[0].id)
    return SupplierOrderPage(
        items=[
            SupplierOrderItem(
                id=part.id,
                order_id=order.id,
                order_number=order.number,
                status=Status(part.status),
                buyer=BuyerOut(id=part.buyer_id, name=buyer_name),
                goods_fen=part.goods_fen,
                freight_fen=part.freight_fen,
                placed_at=order.placed_at.isoformat(),
            )
            for part, order, buyer_name in page
        ],
        next=following,
    )


@filling_routes.post(
    "/<supplier_order_id>/accept",
    allow=roles(Role.SHIPPER, of=Audience.COOPERATIVE),
    answers={200: FilledOrderOut},
    refusals=(WrongStatus,),
    key=REQUIRED,
)
def accept_supplier_order(
    session: Session, actor: Actor, now: datetime, supplier_order_id: SupplierOrderId
) -> FilledOrderOut:
    """Take a confirmed supplier order on."""
    filling.accept(session, actor=actor, supplier_order_id=supplier_order_id, now=now)
    return filled_out(session, actor, supplier_order_id)


@filling_routes.post(
    "/<supplier_order_id>/pack",
    allow=roles(Role.SHIPPER, of=Audience.COOPERATIVE),
    answers={200: FilledOrderOut},
    refusals=(WrongStatus, LotsShort, LotsTooOld, DocumentsMissing),
    key=REQUIRED,
)
def pack_supplier_order(
    session: Session, actor: Actor, now: datetime, supplier_order_id: SupplierOrderId, query: PackQuery
) -> FilledOrderOut:
    """Pack an accepted supplier order from what is in store (at one place, if one is named), first expired first out.

    The answer's `lots` say which lots each line was packed from, `missing_documents` which of their papers are not
    there. Every line is packed, or none.
    """
    filling.pack(session, actor=actor, supplier_order_id=supplier_order_id, now=now, location_id=query.location_id)
    return filled_out(session, actor, supplier_order_id)


@inspection_routes.post(
    "/<supplier_order_id>/inspection",
    allow=roles(Role.RECEIVER, Role.MANAGER, Role.REQUESTER, of=Audience.BUYER),
    answers={201: AcceptanceOut, 202: SigningOut},
    refusals=(WrongStatus, acceptance.WrongCounts, InspectorOrdered, SignatureWaits),
    key=REQUIRED,
)
def inspect_delivery(
    session: Session, actor: Actor, now: datetime, supplier_order_id: SupplierOrderId, body: Inspect
) -> AcceptanceOut | Answer:
    """Record what was accepted, rejected and short of a delivery, in packs per line and lot.

    For every lot that was shipped (`GET …/tracking` lists them) the three sum to the packs shipped; rejected packs
    need a reason. What is accepted settles the bill, so there is one inspection: a draft that is sent again is the
    same one. Where the unit demands two signatures the answer is 202, and another person countersigns.
    """
    done = inspecting.hand_in(session, actor=actor, supplier_order_id=supplier_order_id, found=body, now=now)
    if isinstance(done, InspectionSigning):
        return Answer(signing_out(done), 202)
    return acceptance_out(session, supplier_order_id)


@inspection_routes.get("/<supplier_order_id>/inspection", allow=audience(Audience.BUYER), answers={200: AcceptanceOut})
def read_inspection(session: Session, actor: Actor, supplier_order_id: SupplierOrderId) -> AcceptanceOut:
    """The acceptance note of a supplier order."""
    queries.supplier_order(session, actor, supplier_order_id)
    return acceptance_out(session, supplier_order_id)


def acceptance_out(session: Session, supplier_order_id: UUID) -> AcceptanceOut:
    """The acceptance note as JSON, NotFound without one."""
    found = queries_fulfilment.acceptance_of(session, supplier_order_id)
    if found is None:
        raise NotFound
    note, lines = found
    photos = queries_inspections.named_photos(session, {each for line in lines for each in line.photo_ids})
    return AcceptanceOut(
        id=note.id,
        number=note.number,
        supplier_order_id=note.supplier_order_id,
        at=note.at.isoformat(),
        goods_fen=note.goods_fen,
        freight_fen=note.freight_fen,
        total_fen=note.goods_fen + note.freight_fen,
        note=note.note,
        silent=note.silent,
        signed_by=[each for each in (note.by_user_id, note.second_user_id) if each and not note.silent],
        lines=[
            AcceptanceLineOut(
                line_id=line.line_id,
                lot_id=line.lot_id,
                accepted=line.accepted,
                rejected=line.rejected,
                short=line.short,
                reason=line.reason,
                goods_fen=line.goods_fen,
                silent=line.silent,
                photos=[photo_out(*photos[each]) for each in line.photo_ids if each in photos],
                temperature_tenths=line.temperature_tenths,
            )
            for line in lines
        ],
    )


def deadlines_out(dues: Sequence[OrderDue]) -> list[DeadlineOut]:
    return [
        DeadlineOut(
            waits_for=due.waits_for,
            began_at=due.began_at.isoformat(),
            due_at=due.due_at.isoformat(),
            lapses_at=due.lapse_at.isoformat() if due.lapse_at else None,
            ended_at=due.ended_at.isoformat() if due.ended_at else None,
        )
        for due in dues
    ]


def lots_out(lots: Sequence[LotShare]) -> list[LotOut]:
    return [
        LotOut(
            line_id=lot.line_id,
            lot_id=lot.lot_id,
            code=lot.code,
            best_before=lot.best_before.isoformat(),
            packs=lot.packs,
            quantity=lot.quantity,
        )
        for lot in lots
    ]


def filled_out(
    session: Session, actor: Actor, supplier_order_id: UUID, *, shipment: ShipmentOut | None = None
) -> FilledOrderOut:
    """A supplier order in full as it stands, NotFound for another's."""
    row = session.execute(
        queries.visible_to(actor)
        .join(Order, Order.id == SupplierOrder.order_id)
        .join(Organisation, Organisation.id == SupplierOrder.buyer_id)
        .outerjoin(Address, Address.id == Order.address_id)
        .add_columns(Order, Organisation.name, Address.line)
        .where(SupplierOrder.id == supplier_order_id)
        .execution_options(populate_existing=True)
    ).first()
    if row is None:
        raise NotFound
    part, order, buyer_name, address_line = row
    lines = queries.lines_of(session, [part.id])[part.id]
    accepted = part.accepted_goods_fen is not None
    lots = queries_fulfilment.packed(session, lines)
    today = business_day(business_now(session))
    return FilledOrderOut(
        id=part.id,
        order_id=order.id,
        order_number=order.number,
        status=Status(part.status),
        buyer=BuyerOut(id=part.buyer_id, name=buyer_name),
        destination=DestinationOut(division_code=order.delivery_code, line=address_line or ""),
        **wishes_out(order),
        goods_fen=part.goods_fen,
        freight_fen=part.freight_fen,
        agreed_freight_fen=part.agreed_freight_fen,
        accepted_goods_fen=part.accepted_goods_fen,
        accepted_freight_fen=part.accepted_freight_fen,
        placed_at=order.placed_at.isoformat(),
        lines=[line_out(line) for line in lines],
        lots=lots_out(lots),
        missing_documents=[
            missing_out(one) for one in queries_documents.missing(session, [lot.lot_id for lot in lots], today)
        ],
        history=[
            MoveOut(status=Status(move.status), at=move.at.isoformat(), reason=move.reason)
            for move in queries_fulfilment.history_of(session, part.id)
        ],
        deadlines=deadlines_out(queries_fulfilment.dues_of(session, part.id)),
        shipment=shipment,
        acceptance=acceptance_out(session, part.id) if accepted else None,
    )
