"""What the papers of an order show, as texts ready to print."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.accounts.models import Address, BudgetUnit, Organisation
from shop.catalogue.models import Product
from shop.clock import BEIJING
from shop.documents.words import in_words
from shop.errors import NotFound
from shop.money import yuan
from shop.orders import queries
from shop.orders.models import Order, SupplierOrder, Terms
from shop.regions.models import Division, province_of

TERMS = {Terms.PREPAID: "预付 Prepaid", Terms.ON_TERMS: "账期 On terms"}


def order_paper(session: Session, order_id: UUID) -> dict[str, Any]:
    """The data of the template `order` (采购订单): the order as it was placed, all its cooperatives, line by line."""
    found = session.execute(
        select(Order, Organisation.name, BudgetUnit.name, Address.line)
        .join(Organisation, Organisation.id == Order.buyer_id)
        .join(BudgetUnit, BudgetUnit.id == Order.budget_unit_id)
        .outerjoin(Address, Address.id == Order.address_id)
        .where(Order.id == order_id)
    ).first()
    if found is None:
        raise NotFound
    order, buyer, unit, address = found
    parts = session.scalars(select(SupplierOrder.id).where(SupplierOrder.order_id == order_id)).all()
    lines = [line for own in queries.lines_of(session, parts).values() for line in own]
    places = names_of(session, [order.delivery_code, *(line.dimensions["origin_code"] for line in lines)])
    codes = dict(
        session.execute(
            select(Product.id, Product.code).where(Product.id.in_({line.product_id for line in lines}))
        ).all()
    )
    return {
        "number": order.number,
        "placed_on": order.placed_at.astimezone(BEIJING).strftime("%Y-%m-%d"),
        "buyer": buyer,
        "buyer_unit": unit,
        "cooperative": several([line.snapshot["cooperative"] for line in lines]),
        "county": several([places[line.dimensions["origin_code"]] for line in lines]),
        "deliver_to": f"{places[order.delivery_code]} {address or ''}".strip(),
        "terms": TERMS[Terms(order.terms)],
        "lines": [
            {
                "code": codes.get(line.product_id, ""),
                "name": named(line.snapshot, with_seller=len(parts) > 1),
                "origin": places[line.dimensions["origin_code"]],
                "pack": line.snapshot["pack_name"],
                "quantity": f"{line.packs:,}",
                "price": yuan(line.unit_fen),
                "amount": yuan(line.goods_fen),
            }
            for line in lines
        ],
        "goods": yuan(order.goods_fen),
        "freight": yuan(order.freight_fen),
        "total": yuan(order.total_fen),
        "total_in_words": in_words(order.total_fen),
    }


def named(snapshot: dict[str, Any], *, with_seller: bool) -> str:
    """The goods of a line, with the cooperative where an order has several."""
    goods = " ".join(filter(None, (snapshot["name"], snapshot["spec"], snapshot["grade"])))
    return f"{goods}（{snapshot['cooperative']}）" if with_seller else goods


def several(names: list[str]) -> str:
    """The names, each once, or the first with how many there are when they would not fit on a line."""
    once = list(dict.fromkeys(names))
    return "、".join(once) if len(once) <= 3 else f"{once[0]} 等 {len(once)} 家"


def names_of(session: Session, codes: list[str]) -> dict[str, str]:
    """Division code → its name below its province's; a code that is in no list stands for itself."""
    wanted = {*codes, *map(province_of, codes)}
    known = dict(
        session.execute(
            select(Division.code, Division.name).where(Division.code.in_(wanted)).order_by(Division.valid_from)
        ).all()
    )
    full = {}
    for code in codes:
        above = known.get(province_of(code), "") if code != province_of(code) else ""
        full[code] = above + known.get(code, code)
    return full
