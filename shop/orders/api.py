"""Placing, reading and cancelling orders, for buyers."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.accounts.models import Organisation
from shop.accounts.models_units import MandateExpired, OrganisationNotActive, UnitClosed
from shop.actor import Actor, Audience, Role
from shop.agreements.models import AgreementDrawnOn, QuoteUsed
from shop.errors import NotFound
from shop.freight.service import NoLane
from shop.http import cursors
from shop.http.routes import REQUIRED, Routes, audience, roles
from shop.ids import OrderId
from shop.ledger.service import CreditExceeded
from shop.orders import queries
from shop.orders.models import Order, Status, SupplierOrder, WrongStatus
from shop.orders.models_budgets import BudgetExceeded
from shop.orders.schemas import (
    Cancel,
    CooperativeOut,
    LineOut,
    OrderItem,
    OrderOut,
    OrderPage,
    OrdersQuery,
    PlaceOrder,
    SupplierOrderOut,
    line_out,
    wishes_out,
)
from shop.orders.service import cancelling, judging, placing, recording
from shop.stock.service.holding import Shortage

routes = Routes("/v1/buyer", tag="Buying")
LIFE = list(Status)


@routes.post(
    "/orders",
    allow=roles(Role.REQUESTER, Role.APPROVER, Role.MANAGER, of=Audience.BUYER),
    answers={201: OrderOut},
    refusals=(
        NotFound,
        judging.NotOrderable,
        placing.ApprovalRequired,
        NoLane,
        CreditExceeded,
        BudgetExceeded,
        AgreementDrawnOn,
        QuoteUsed,
        Shortage,
        OrganisationNotActive,
        UnitClosed,
        MandateExpired,
    ),
    key=REQUIRED,
)
def place_order(session: Session, actor: Actor, now: datetime, body: PlaceOrder) -> OrderOut:
    """Order from any number of cooperatives at once.

    The answer shows the split: one supplier order per cooperative, with freight and the bucket each line counts in.
    Everything is held, or nothing.
    """
    return placed_out(placing.place(session, actor=actor, wanted=body, now=now))


@routes.get("/orders", allow=audience(Audience.BUYER), answers={200: OrderPage})
def list_orders(session: Session, actor: Actor, query: OrdersQuery) -> OrderPage:
    """The institution's orders, newest first; with `split_suspected=true` those that look like a part of a larger."""
    wanted = queries.visible_orders(actor).order_by(Order.id.desc()).limit(query.limit + 1)
    name = "orders"
    if query.split_suspected:
        wanted, name = wanted.where(Order.split_suspected), "orders split"
    if query.cursor:
        wanted = wanted.where(Order.id < cursors.decode_id(name, query.cursor))
    found = session.scalars(wanted).all()
    page, following = cursors.cut(name, found, query.limit)
    return OrderPage(
        items=[
            OrderItem(
                id=order.id,
                number=order.number,
                reference=order.reference,
                deliver_on=order.deliver_on.isoformat() if order.deliver_on else None,
                total_fen=order.total_fen,
                purpose=order.purpose,
                payment_terms=order.terms,
                placed_at=order.placed_at.isoformat(),
                approved=order.approved,
                split_suspected=order.split_suspected,
            )
            for order in page
        ],
        next=following,
    )


@routes.get("/orders/<order_id>", allow=audience(Audience.BUYER), answers={200: OrderOut})
def read_order(session: Session, actor: Actor, order_id: OrderId) -> OrderOut:
    """One order with its parts and lines."""
    return order_out(session, queries.order(session, actor, order_id))


@routes.post(
    "/orders/<order_id>/cancel",
    allow=roles(Role.REQUESTER, Role.APPROVER, Role.MANAGER, of=Audience.BUYER),
    answers={200: OrderOut},
    refusals=(WrongStatus,),
    key=REQUIRED,
)
def cancel_order(session: Session, actor: Actor, now: datetime, order_id: OrderId, body: Cancel) -> OrderOut:
    """Cancel the whole order, as long as no part of it is packed; money paid is refunded by the workers."""
    cancelling.cancel_order(session, order_id=order_id, by=actor, reason=body.reason, now=now)
    session.expire_all()
    return order_out(session, queries.order(session, actor, order_id))


def placed_out(placed: recording.Placed) -> OrderOut:
    """A freshly placed order, without reading it again."""
    wanted = placed.wanted
    return OrderOut(
        id=placed.id,
        number=placed.number,
        status=Status.PLACED,
        purpose=wanted.purpose,
        payment_terms=wanted.payment_terms,
        budget_unit_id=wanted.budget_unit_id,
        **wishes_out(wanted),
        goods_fen=placed.goods_fen,
        freight_fen=placed.freight_fen,
        total_fen=placed.total_fen,
        placed_at=placed.placed_at.isoformat(),
        approved=placed.approved,
        split_suspected=placed.split_suspected,
        supplier_orders=[
            SupplierOrderOut(
                id=part.id,
                cooperative=CooperativeOut(id=part.cooperative_id, name=part.cooperative_name),
                status=Status.PLACED,
                goods_fen=part.goods_fen,
                freight_fen=part.freight_fen,
                agreed_freight_fen=None,
                accepted_goods_fen=None,
                accepted_freight_fen=None,
                supply_held=True,
                held_until=placed.held_until.isoformat() if placed.held_until else None,
                pay_before=placed.pay_before.isoformat() if placed.pay_before else None,
                lines=[
                    LineOut(
                        id=line.id,
                        listing_id=line.listing.id,
                        name=line.listing.name,
                        spec=line.listing.spec,
                        pack_name=line.listing.pack_name,
                        origin_code=line.listing.origin_code,
                        quantity=line.packs,
                        min_shelf_life_days=wanted.lines[line.place].min_shelf_life_days,
                        unit_fen=line.unit_fen,
                        priced_by=line.basis.value,
                        agreement_id=line.agreement_id,
                        quote_id=line.quote_id,
                        goods_fen=line.goods_fen,
                        freight_fen=line.freight_fen,
                        bucket=placed.buckets[line.listing.origin_code],
                    )
                    for line in part.lines
                ],
            )
            for part in placed.parts
        ],
    )


def order_out(session: Session, order: Order) -> OrderOut:
    """An order as it stands, in two statements."""
    rows = session.execute(
        select(SupplierOrder, Organisation.name)
        .join(Organisation, Organisation.id == SupplierOrder.cooperative_id)
        .where(SupplierOrder.order_id == order.id)
        .order_by(SupplierOrder.id)
    ).all()
    lines = queries.lines_of(session, [part.id for part, _ in rows])
    living = [Status(part.status) for part, _ in rows if part.status != Status.CANCELLED]
    return OrderOut(
        id=order.id,
        number=order.number,
        status=min(living, key=LIFE.index) if living else Status.CANCELLED,
        purpose=order.purpose,
        payment_terms=order.terms,
        budget_unit_id=order.budget_unit_id,
        **wishes_out(order),
        goods_fen=order.goods_fen,
        freight_fen=order.freight_fen,
        total_fen=order.total_fen,
        placed_at=order.placed_at.isoformat(),
        approved=order.approved,
        split_suspected=order.split_suspected,
        supplier_orders=[
            SupplierOrderOut(
                id=part.id,
                cooperative=CooperativeOut(id=part.cooperative_id, name=name),
                status=Status(part.status),
                goods_fen=part.goods_fen,
                freight_fen=part.freight_fen,
                agreed_freight_fen=part.agreed_freight_fen,
                accepted_goods_fen=part.accepted_goods_fen,
                accepted_freight_fen=part.accepted_freight_fen,
                supply_held=part.supply_held and part.status != Status.CANCELLED,
                held_until=part.held_until.isoformat() if part.held_until and part.status == Status.PLACED else None,
                pay_before=part.pay_before.isoformat() if part.pay_before and part.status == Status.PLACED else None,
                lines=[line_out(line) for line in lines[part.id]],
            )
            for part, name in rows
        ],
    )
