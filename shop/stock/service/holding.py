"""Hold supply for order lines, release it, bind lots at packing, ship them: each in a constant number of statements.

Rows are locked in primary-key order by the statement that changes them, what is free is read after the lock, and a
CHECK refuses anything below zero: no two buyers ever share one pack, and nobody is refused what was free.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.orm import Session

from shop.clock import business_day
from shop.db import insert_rows
from shop.errors import Refusal
from shop.ids import new_id
from shop.stock.models import Hold, HoldStatus, Movement


class Shortage(Refusal):
    """Not enough open supply; `short` lists each listing with what was wanted and what is there, in packs."""

    code, status = "not_enough_supply", 409
    title, title_zh = "There is not enough supply.", "供应量不足。"


class LotsShort(Refusal):
    """Not enough in store to pack; `short` lists each product with what is needed and what is there, in base units."""

    code, status = "not_enough_in_store", 409
    title, title_zh = "There is not enough in store to pack this.", "库存批次不足，无法装箱。"


class LotRecalled(Refusal):
    """Part of what is packed is recalled; `lots` names it. Unpacked by the recall, the order is packed anew."""

    code, status = "lot_recalled", 409
    title, title_zh = "A lot of this order is recalled.", "该订单含有已召回的批次。"


@dataclass(frozen=True)
class Want:
    """A line's demand on a listing, in base units; `pack`: so many of them are the pack that buyers count in."""

    line_id: UUID
    listing_id: UUID
    buyer_id: UUID
    quantity: int
    pack: int = 1


@dataclass(frozen=True)
class Line:
    """A line to be packed: so many base units of a product."""

    line_id: UUID
    product_id: UUID
    buyer_id: UUID
    quantity: int


@dataclass(frozen=True)
class Bound:
    line_id: UUID
    lot_id: UUID
    quantity: int


TAKE_SUPPLY = text(
    """
    WITH wanted AS (
        SELECT * FROM unnest(CAST(:listings AS uuid[]), CAST(:quantities AS bigint[])) AS w(listing_id, quantity)
    ), locked AS MATERIALIZED (
        SELECT s.id, s.listing_id, s.open, s.ready_to, w.quantity
        FROM supply s JOIN wanted w ON w.listing_id = s.listing_id
        WHERE NOT s.closed AND s.open > 0 AND s.ready_to > :today
        ORDER BY s.id FOR UPDATE OF s
    ), dealt AS (
        SELECT id, listing_id, open, quantity,
               LEAST(open, GREATEST(0, quantity - (sum(open) OVER earlier - open))) AS take
        FROM locked WINDOW earlier AS (PARTITION BY listing_id ORDER BY ready_to, id)
    ), taken AS (
        UPDATE supply s SET open = s.open - d.take, held = s.held + d.take
        FROM dealt d WHERE s.id = d.id AND d.take > 0 AND s.open >= d.take
        RETURNING s.id, s.listing_id, d.take
    )
    SELECT d.listing_id, d.id, COALESCE(t.take, 0) AS take, d.open FROM dealt d LEFT JOIN taken t ON t.id = d.id
    ORDER BY d.listing_id, d.id
    """
)


def hold(session: Session, wants: Sequence[Want], *, now: datetime) -> None:
    """Hold supply for every line, the soonest to lapse first, or refuse the whole with a Shortage."""
    insert_rows(session, (Hold, take(session, wants, now=now)))


def take(session: Session, wants: Sequence[Want], *, now: datetime) -> list[dict[str, Any]]:
    """Like `hold`, but the rows of the holds are given back, for the caller to insert among others of its own."""
    demand: dict[UUID, int] = {}
    for want in wants:
        demand[want.listing_id] = demand.get(want.listing_id, 0) + want.quantity
    rows = session.execute(
        TAKE_SUPPLY,
        {"listings": list(demand), "quantities": list(demand.values()), "today": business_day(now)},
    ).all()
    shares: dict[UUID, list[list[Any]]] = {}
    there: dict[UUID, int] = dict.fromkeys(demand, 0)
    for listing_id, supply_id, take, was_open in rows:
        there[listing_id] += was_open
        if take:
            shares.setdefault(listing_id, []).append([supply_id, take])
    short = [listing for listing, needed in demand.items() if sum(s[1] for s in shares.get(listing, ())) < needed]
    if short:
        packs = {want.listing_id: want.pack for want in wants}
        raise Shortage(
            short=[
                {
                    "listing_id": f"lst_{listing.hex}",
                    "wanted": demand[listing] // packs[listing],
                    "available": there[listing] // packs[listing],
                }
                for listing in short
            ]
        )
    holds = []
    for want in wants:
        left = want.quantity
        for share in shares[want.listing_id]:
            part = min(left, share[1])
            if part:
                share[1] -= part
                left -= part
                holds.append(
                    {
                        "id": new_id(),
                        "supply_id": share[0],
                        "line_id": want.line_id,
                        "buyer_id": want.buyer_id,
                        "quantity": part,
                        "status": HoldStatus.ACTIVE,
                        "at": now,
                    }
                )
    return holds


RELEASE = text(
    """
    WITH ended AS (
        UPDATE hold SET status = 'released' WHERE line_id = ANY(CAST(:lines AS uuid[])) AND status = 'active'
        RETURNING supply_id, quantity
    ), summed AS (
        SELECT supply_id, sum(quantity) AS quantity FROM ended GROUP BY supply_id
    ), locked AS MATERIALIZED (
        SELECT s.id, m.quantity FROM supply s JOIN summed m ON m.supply_id = s.id ORDER BY s.id FOR UPDATE OF s
    )
    UPDATE supply s SET
        held = s.held - l.quantity,
        open = s.open + CASE WHEN s.closed OR s.recalls > 0 THEN 0 ELSE l.quantity END,
        stopped = s.stopped + CASE WHEN NOT s.closed AND s.recalls > 0 THEN l.quantity ELSE 0 END,
        withdrawn = s.withdrawn + CASE WHEN s.closed THEN l.quantity ELSE 0 END
    FROM locked l WHERE s.id = l.id
    """
)


def release(session: Session, *, line_ids: Iterable[UUID]) -> None:
    """Give back what these lines hold; what lines no longer hold is left alone, so twice is once."""
    session.execute(RELEASE, {"lines": sorted(line_ids)})


TAKE_LOTS = text(
    """
    WITH wanted AS (
        SELECT * FROM unnest(CAST(:products AS uuid[]), CAST(:quantities AS bigint[])) AS w(product_id, quantity)
    ), locked AS MATERIALIZED (
        SELECT l.id, l.product_id, l.in_store, l.best_before, w.quantity
        FROM lot l JOIN wanted w ON w.product_id = l.product_id
        WHERE l.in_store > 0 AND l.best_before > :today AND l.recalls = 0
        ORDER BY l.id FOR UPDATE OF l
    ), dealt AS (
        SELECT id, product_id, in_store, best_before, quantity,
               LEAST(in_store, GREATEST(0, quantity - (sum(in_store) OVER earlier - in_store))) AS take
        FROM locked WINDOW earlier AS (PARTITION BY product_id ORDER BY best_before, id)
    ), taken AS (
        UPDATE lot l SET in_store = l.in_store - d.take, bound = l.bound + d.take
        FROM dealt d WHERE l.id = d.id AND d.take > 0 AND l.in_store >= d.take
        RETURNING l.id, d.take
    )
    SELECT d.product_id, d.id, COALESCE(t.take, 0) AS take, d.in_store FROM dealt d LEFT JOIN taken t ON t.id = d.id
    ORDER BY d.product_id, d.best_before, d.id
    """
)
HOLDS_TO_BOUND = text(
    """
    WITH ended AS (
        UPDATE hold SET status = 'bound' WHERE line_id = ANY(CAST(:lines AS uuid[])) AND status = 'active'
        RETURNING supply_id, quantity
    ), summed AS (
        SELECT supply_id, sum(quantity) AS quantity FROM ended GROUP BY supply_id
    ), locked AS MATERIALIZED (
        SELECT s.id, m.quantity FROM supply s JOIN summed m ON m.supply_id = s.id ORDER BY s.id FOR UPDATE OF s
    )
    UPDATE supply s SET held = s.held - l.quantity, bound = s.bound + l.quantity FROM locked l WHERE s.id = l.id
    """
)


def bind(session: Session, *, lines: Sequence[Line], now: datetime) -> list[Bound]:
    """Bind lots to lines, first expired first out, never past their date nor recalled, or refuse all with LotsShort."""
    demand: dict[UUID, int] = {}
    for line in lines:
        demand[line.product_id] = demand.get(line.product_id, 0) + line.quantity
    session.execute(HOLDS_TO_BOUND, {"lines": sorted(line.line_id for line in lines)})
    rows = session.execute(
        TAKE_LOTS, {"products": list(demand), "quantities": list(demand.values()), "today": business_day(now)}
    ).all()
    shares: dict[UUID, list[list[Any]]] = {}
    there: dict[UUID, int] = dict.fromkeys(demand, 0)
    for product_id, lot_id, take, in_store in rows:
        there[product_id] += in_store
        if take:
            shares.setdefault(product_id, []).append([lot_id, take])
    short = [product for product, needed in demand.items() if sum(s[1] for s in shares.get(product, ())) < needed]
    if short:
        raise LotsShort(
            short=[
                {"product_id": f"prd_{product.hex}", "needed": demand[product], "in_store": there[product]}
                for product in short
            ]
        )
    bound = []
    for line in sorted(lines, key=lambda line: line.line_id):
        left = line.quantity
        for share in shares[line.product_id]:
            part = min(left, share[1])
            if part:
                share[1] -= part
                left -= part
                bound.append((line, share[0], part))
    session.execute(
        Movement.__table__.insert(),  # type: ignore[attr-defined]
        [
            {
                "id": new_id(),
                "lot_id": lot_id,
                "kind": "bound",
                "quantity": part,
                "line_id": line.line_id,
                "buyer_id": line.buyer_id,
                "at": now,
            }
            for line, lot_id, part in bound
        ],
    )
    return [Bound(line.line_id, lot_id, part) for line, lot_id, part in bound]


SHIP = text(
    """
    WITH packed AS (
        SELECT lot_id, line_id, buyer_id,
               sum(CASE kind WHEN 'bound' THEN quantity ELSE -quantity END) AS quantity
        FROM movement WHERE line_id = ANY(:lines) AND kind IN ('bound', 'unbound', 'shipped')
        GROUP BY lot_id, line_id, buyer_id
        HAVING sum(CASE kind WHEN 'bound' THEN quantity ELSE -quantity END) > 0
    ), summed AS (
        SELECT lot_id, sum(quantity) AS quantity FROM packed GROUP BY lot_id
    ), locked AS MATERIALIZED (
        SELECT l.id, m.quantity, l.recalls FROM lot l JOIN summed m ON m.lot_id = l.id ORDER BY l.id FOR UPDATE OF l
    ), moved AS (
        UPDATE lot l SET bound = l.bound - k.quantity, shipped = l.shipped + k.quantity
        FROM locked k WHERE l.id = k.id AND k.recalls = 0 RETURNING l.id
    )
    SELECT p.lot_id, p.line_id, p.buyer_id, p.quantity, k.recalls FROM packed p JOIN locked k ON k.id = p.lot_id
    ORDER BY p.line_id, p.lot_id
    """
).bindparams(bindparam("lines"))


def ship(session: Session, *, line_ids: Iterable[UUID], now: datetime) -> list[Bound]:
    """Send what is bound to these lines on its way, or refuse all of it with LotRecalled; nothing is sent twice."""
    rows = session.execute(SHIP, {"lines": sorted(line_ids)}).all()
    recalled = sorted({lot_id for lot_id, *_, recalls in rows if recalls})
    if recalled:
        raise LotRecalled(lots=[f"lot_{lot_id.hex}" for lot_id in recalled])
    if rows:
        session.execute(
            Movement.__table__.insert(),  # type: ignore[attr-defined]
            [
                {
                    "id": new_id(),
                    "lot_id": lot_id,
                    "kind": "shipped",
                    "quantity": quantity,
                    "line_id": line_id,
                    "buyer_id": buyer_id,
                    "at": now,
                }
                for lot_id, line_id, buyer_id, quantity, _ in rows
            ],
        )
    return [Bound(line_id, lot_id, quantity) for lot_id, line_id, _, quantity, _ in rows]


HOLDS_TO_ACTIVE = text(
    """
    WITH again AS (
        UPDATE hold SET status = 'active' WHERE line_id = ANY(CAST(:lines AS uuid[])) AND status = 'bound'
        RETURNING supply_id, quantity
    ), summed AS (
        SELECT supply_id, sum(quantity) AS quantity FROM again GROUP BY supply_id
    ), locked AS MATERIALIZED (
        SELECT s.id, m.quantity FROM supply s JOIN summed m ON m.supply_id = s.id ORDER BY s.id FOR UPDATE OF s
    )
    UPDATE supply s SET bound = s.bound - l.quantity, held = s.held + l.quantity FROM locked l WHERE s.id = l.id
    """
)
UNBIND = text(
    """
    WITH packed AS (
        SELECT lot_id, line_id, buyer_id,
               sum(CASE kind WHEN 'bound' THEN quantity ELSE -quantity END) AS quantity
        FROM movement WHERE line_id = ANY(CAST(:lines AS uuid[])) AND kind IN ('bound', 'unbound', 'shipped')
        GROUP BY lot_id, line_id, buyer_id
        HAVING sum(CASE kind WHEN 'bound' THEN quantity ELSE -quantity END) > 0
    ), summed AS (
        SELECT lot_id, sum(quantity) AS quantity FROM packed GROUP BY lot_id
    ), locked AS MATERIALIZED (
        SELECT l.id, m.quantity FROM lot l JOIN summed m ON m.lot_id = l.id ORDER BY l.id FOR UPDATE OF l
    ), moved AS (
        UPDATE lot l SET bound = l.bound - k.quantity, in_store = l.in_store + k.quantity
        FROM locked k WHERE l.id = k.id RETURNING l.id
    )
    SELECT p.lot_id, p.line_id, p.buyer_id, p.quantity FROM packed p JOIN moved m ON m.id = p.lot_id
    ORDER BY p.line_id, p.lot_id
    """
)


def unbind(session: Session, *, line_ids: Iterable[UUID], now: datetime) -> list[Bound]:
    """Put what is packed for these lines, and not sent, back into store; they hold their supply as before packing."""
    lines = {"lines": sorted(line_ids)}
    session.execute(HOLDS_TO_ACTIVE, lines)
    rows = session.execute(UNBIND, lines).all()
    insert_rows(
        session,
        (
            Movement,
            [
                {
                    "id": new_id(),
                    "lot_id": lot_id,
                    "kind": "unbound",
                    "quantity": int(quantity),
                    "line_id": line_id,
                    "buyer_id": buyer_id,
                    "at": now,
                }
                for lot_id, line_id, buyer_id, quantity in rows
            ],
        ),
    )
    return [Bound(line_id, lot_id, int(quantity)) for lot_id, line_id, _, quantity in rows]
