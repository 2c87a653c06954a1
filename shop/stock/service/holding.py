"""Hold supply for order lines, release it, bind lots at packing, ship them: each in a constant number of statements.

Rows are locked in primary-key order by the statement that changes them, what is free is read after the lock, and a
CHECK refuses anything below zero: no two buyers ever share one pack, and nobody is refused what was free.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NoReturn
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


class LotsTooOld(Refusal):
    """What is in store would do, but not with the shelf life that the buyer wants on delivery.

    `short` lists each line with what it needs, until when the goods must keep, and how much in store keeps so long.
    """

    code, status = "lots_too_old", 409
    title, title_zh = "What is in store will not keep long enough.", "在库批次剩余保质期不足。"


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
    """A line to be packed: so many base units of a product, good beyond a day (today, where none is named)."""

    line_id: UUID
    product_id: UUID
    buyer_id: UUID
    quantity: int
    fresh_until: date | None = None


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


LOCK_SUPPLY = text(
    """
    SELECT s.id FROM supply s WHERE s.listing_id = ANY(CAST(:listings AS uuid[])) AND NOT s.closed AND s.open > 0
    ORDER BY s.id FOR UPDATE OF s
    """
)


def lock(session: Session, *, listing_ids: Iterable[UUID]) -> None:
    """Lock the open supply of listings, for who holds for several orders one after the other."""
    session.execute(LOCK_SUPPLY, {"listings": sorted(listing_ids)})


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


GIVE_UP = text(
    """
    WITH wanted AS (
        SELECT * FROM unnest(CAST(:lines AS uuid[]), CAST(:quantities AS bigint[])) AS w(line_id, quantity)
    ), held AS (
        SELECT h.id, h.supply_id, h.quantity, w.quantity AS wanted,
               sum(h.quantity) OVER (PARTITION BY h.line_id ORDER BY h.id DESC) - h.quantity AS before
        FROM hold h JOIN wanted w ON w.line_id = h.line_id WHERE h.status = 'active'
    ), cut AS (
        SELECT id, supply_id, quantity, LEAST(quantity, wanted - before) AS off FROM held WHERE wanted > before
    ), fewer AS (
        UPDATE hold h SET quantity = CASE WHEN c.off < c.quantity THEN c.quantity - c.off ELSE h.quantity END,
                          status = CASE WHEN c.off < c.quantity THEN h.status ELSE 'released' END
        FROM cut c WHERE h.id = c.id
    ), summed AS (
        SELECT supply_id, sum(off) AS quantity FROM cut GROUP BY supply_id
    ), locked AS MATERIALIZED (
        SELECT s.id, m.quantity, :again AND NOT s.closed AS again
        FROM supply s JOIN summed m ON m.supply_id = s.id ORDER BY s.id FOR UPDATE OF s
    )
    UPDATE supply s SET
        held = s.held - l.quantity,
        open = s.open + CASE WHEN l.again AND s.recalls = 0 THEN l.quantity ELSE 0 END,
        stopped = s.stopped + CASE WHEN l.again AND s.recalls > 0 THEN l.quantity ELSE 0 END,
        withdrawn = s.withdrawn + CASE WHEN l.again THEN 0 ELSE l.quantity END
    FROM locked l WHERE s.id = l.id
    """
)


def give_up(session: Session, *, quantities: Mapping[UUID, int], offered_again: bool) -> None:
    """Hold so many base units less for each line, the youngest hold first; they are open again, or withdrawn."""
    fewer = {line_id: quantity for line_id, quantity in sorted(quantities.items()) if quantity}
    if fewer:
        session.execute(GIVE_UP, {"lines": list(fewer), "quantities": list(fewer.values()), "again": offered_again})


LOCK_LOTS = text(
    """
    SELECT id, product_id, in_store, best_before FROM lot
    WHERE product_id = ANY(CAST(:products AS uuid[])) AND in_store > 0 AND best_before > :today AND recalls = 0
        AND (CAST(:location AS uuid) IS NULL OR location_id = :location)
    ORDER BY id FOR UPDATE
    """
)
BIND_LOTS = text(
    """
    UPDATE lot l SET in_store = l.in_store - t.take, bound = l.bound + t.take
    FROM unnest(CAST(:lots AS uuid[]), CAST(:takes AS bigint[])) AS t(id, take) WHERE l.id = t.id
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


def bind(session: Session, *, lines: Sequence[Line], now: datetime, location_id: UUID | None = None) -> list[Bound]:
    """Bind lots to lines, first expired first out, never past their date nor recalled; or refuse all of it.

    LotsShort when too little is in store (at the place, where one is named), LotsTooOld when what is there does not
    keep as long as a line asks for.
    """
    session.execute(HOLDS_TO_BOUND, {"lines": sorted(line.line_id for line in lines)})
    today = business_day(now)
    products = sorted({line.product_id for line in lines})
    given = {"products": products, "today": today, "location": location_id}
    lots: dict[UUID, list[Any]] = {product: [] for product in products}
    for row in session.execute(LOCK_LOTS, given).all():
        lots[row.product_id].append(row)
    left = {lot.id: lot.in_store for found in lots.values() for lot in found}
    for found in lots.values():
        found.sort(key=lambda lot: (lot.best_before, lot.id))
    bound: list[tuple[Line, UUID, int]] = []
    short: list[Line] = []
    # What must keep longest chooses first: whatever it may have, the others may have too, so nothing is dealt amiss.
    for line in sorted(lines, key=lambda line: (-(line.fresh_until or today).toordinal(), line.line_id)):
        needed = line.quantity
        for lot in lots[line.product_id]:
            part = min(needed, left[lot.id]) if lot.best_before > (line.fresh_until or today) else 0
            if part:
                left[lot.id] -= part
                needed -= part
                bound.append((line, lot.id, part))
        if needed:
            short.append(line)
    if short:
        refuse_short(lines, lots, short)
    takes: dict[UUID, int] = {}
    for _, lot_id, part in bound:
        takes[lot_id] = takes.get(lot_id, 0) + part
    session.execute(BIND_LOTS, {"lots": list(takes), "takes": list(takes.values())})
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


def refuse_short(lines: Sequence[Line], lots: dict[UUID, list[Any]], short: Sequence[Line]) -> NoReturn:
    """Say what is missing: of products that there is too little of, else of lines whose goods would not keep."""
    demand: dict[UUID, int] = {}
    for line in lines:
        demand[line.product_id] = demand.get(line.product_id, 0) + line.quantity
    there = {product: sum(lot.in_store for lot in found) for product, found in lots.items()}
    missing = [product for product, needed in demand.items() if there[product] < needed]
    if missing:
        raise LotsShort(
            f"Lots are missing of {len(missing)} of the products; `short` says of which.",
            short=[
                {"product_id": f"prd_{product.hex}", "needed": demand[product], "in_store": there[product]}
                for product in missing
            ],
        )
    raise LotsTooOld(
        short=[
            {
                "line_id": f"line_{line.line_id.hex}",
                "product_id": f"prd_{line.product_id.hex}",
                "needed": line.quantity,
                "keeps_beyond": line.fresh_until.isoformat() if line.fresh_until else None,
                "in_store": sum(
                    lot.in_store
                    for lot in lots[line.product_id]
                    if line.fresh_until is None or lot.best_before > line.fresh_until
                ),
                "lots_too_old": [
                    {"lot_id": f"lot_{lot.id.hex}", "best_before": lot.best_before.isoformat()}
                    for lot in lots[line.product_id]
                    if line.fresh_until is not None and lot.best_before <= line.fresh_until
                ],
            }
            for line in short
        ]
    )


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
