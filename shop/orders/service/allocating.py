"""A harvest falls short: what is there is dealt to the lines that hold it, by the rule that their seller declared."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shop.actor import SYSTEM, Actor
from shop.audit import service as audit
from shop.clock import business_day
from shop.db import insert_rows, seeing_all
from shop.errors import Refusal
from shop.ids import new_id
from shop.orders.service import changing
from shop.orders.service.cancelling import cancel_parts
from shop.outbox import service as outbox
from shop.stock import queries, queries_allocations
from shop.stock.models import Supply
from shop.stock.models_allocations import Allocation, AllocationShare, Rule
from shop.stock.service.sharing import Claim, share

REASON = "歉收分配后无货可供。"
WORDS = {
    Rule.PRO_RATA: ("按订购量比例分配", "Everybody gets the same part of what was ordered."),
    Rule.PAIRED_FIRST: ("结对地区优先，其余按比例分配", "Paired regions come first, then everybody alike."),
    Rule.SMALL_FIRST: ("小单优先，依次满足", "The smallest orders are filled first, one after the other."),
}


class NothingShort(Refusal):
    """As much is there as orders hold; `held` says how many base units that is."""

    code, status = "nothing_short", 409
    title, title_zh = "There is enough for every order.", "供应充足，无需分配。"


class HoldsChanged(Refusal):
    """Orders came or went meanwhile: ask again."""

    code, status = "holds_changed", 409
    title, title_zh = "Orders have changed meanwhile; try again.", "订单已发生变化，请重试。"


HELD = text(
    """
    SELECT h.id AS hold_id, h.line_id, h.buyer_id, h.quantity, l.pack_base_quantity AS pack, s.id AS part_id,
           l.dimensions ->> 'bucket' = 'paired' AS paired
    FROM hold h JOIN order_line l ON l.id = h.line_id JOIN supplier_order s ON s.id = l.supplier_order_id
    WHERE h.supply_id = :supply AND h.status = 'active' ORDER BY h.id
    """
)
LOCK_PARTS = text("SELECT id FROM supplier_order WHERE id = ANY(CAST(:parts AS uuid[])) ORDER BY id FOR UPDATE")
LOCK_SUPPLY = text("SELECT id FROM supply WHERE id = :supply FOR UPDATE")
CUT_HOLDS = text(
    """
    UPDATE hold h SET quantity = CASE WHEN c.left > 0 THEN c.left ELSE h.quantity END,
                      status = CASE WHEN c.left > 0 THEN h.status ELSE 'released' END
    FROM unnest(CAST(:holds AS uuid[]), CAST(:left AS bigint[])) AS c(id, "left") WHERE h.id = c.id
    """
)
CUT_SUPPLY = text(
    """
    UPDATE supply SET held = held - :cut, withdrawn = withdrawn + :cut + open + stopped, open = 0, stopped = 0
    WHERE id = :supply
    """
)
CUT_LINES = text(
    """
    UPDATE order_line l SET allocated_packs = COALESCE(l.allocated_packs, l.packs) - c.packs
    FROM unnest(CAST(:lines AS uuid[]), CAST(:packs AS bigint[])) AS c(id, packs) WHERE l.id = c.id
    """
)
EMPTY_PARTS = text(
    """
    SELECT supplier_order_id FROM order_line WHERE supplier_order_id = ANY(CAST(:parts AS uuid[]))
    GROUP BY supplier_order_id HAVING bool_and(allocated_packs = 0) ORDER BY supplier_order_id
    """
)


def allocate(session: Session, *, by: Actor, supply_id: UUID, packs: int, reason: str, now: datetime) -> UUID:
    """Deal so many packs to the lines that hold a supply; gives the allocation's id and announces `supply.allocated`.

    What is open is withdrawn, holds are cut by whole packs, and lines say what they still get; an order of which
    nothing is left is cancelled. Every share keeps its explanation. NotFound, NothingShort, HoldsChanged.
    """
    supply = queries.own(session, Supply, by, supply_id)
    pack = queries_allocations.pack_of(session, supply.listing_id)
    with seeing_all(session):  # lines of every buyer who holds it, and cancelling keeps the books of both sides
        held = session.execute(HELD, {"supply": supply_id}).all()
        parts = sorted({row.part_id for row in held})
        session.execute(LOCK_PARTS, {"parts": parts})
        session.execute(LOCK_SUPPLY, {"supply": supply_id})
        held = session.execute(HELD, {"supply": supply_id}).all()
        if {row.part_id for row in held} - set(parts):
            raise HoldsChanged
        claims = claims_of(held)
        wanted = sum(claim.quantity for claim in claims.values())
        broken = sum(row.quantity for row in held) - wanted  # parts of packs whose rest another supply holds: kept
        available = max(0, packs * pack - broken)
        if wanted <= available:
            raise NothingShort(held=wanted)
        rule, declared = queries_allocations.rule_on(session, supply.cooperative_id, business_day(now))
        given = share(rule, available, list(claims.values()))
        allocation_id = record(session, supply, by, rule, declared, wanted, available, reason, held, claims, given, now)
        cut(session, supply_id, held, claims, given)
        changing.void(session, part_ids=parts, by=by, now=now)
        empty = session.scalars(EMPTY_PARTS, {"parts": parts}).all()
        if empty:
            cancel_parts(session, supplier_order_ids=empty, by=SYSTEM, reason=REASON, now=now)
    audit.record(
        session, by=by, action="supply.allocated", kind="supply", subject=supply_id, now=now, reason=reason,
        allocation=allocation_id.hex,
    )  # fmt: skip
    outbox.announce(
        session, "supply.allocated", now=now, seen_by=[supply.cooperative_id, *{row.buyer_id for row in held}],
        allocation_id=allocation_id, supply_id=supply_id,
    )  # fmt: skip
    return allocation_id


def claims_of(held: Sequence[Any]) -> dict[UUID, Claim]:
    """A claim for each line: the whole packs that it holds of the supply."""
    quantities: dict[UUID, int] = {}
    for row in held:
        quantities[row.line_id] = quantities.get(row.line_id, 0) + row.quantity
    return {row.line_id: Claim(row.line_id, quantities[row.line_id] // row.pack, row.pack, row.paired) for row in held}


def record(
    session: Session,
    supply: Supply,
    by: Actor,
    rule: Rule,
    declared: bool,
    wanted: int,
    available: int,
    reason: str,
    held: Sequence[Any],
    claims: dict[UUID, Claim],
    given: dict[UUID, int],
    now: datetime,
) -> UUID:
    allocation = {
        "id": new_id(), "supply_id": supply.id, "cooperative_id": supply.cooperative_id, "rule": rule,
        "declared": declared, "wanted": wanted, "available": available, "reason": reason, "by_user_id": by.user_id,
        "at": now,
    }  # fmt: skip
    buyers = {row.line_id: row.buyer_id for row in held}
    zh, en = WORDS[rule]
    shares = [
        {
            "id": new_id(),
            "allocation_id": allocation["id"],
            "cooperative_id": supply.cooperative_id,
            "line_id": line_id,
            "buyer_id": buyers[line_id],
            "pack": claim.pack,
            "wanted": claim.packs,
            "given": given[line_id],
            "explanation": {
                "text": f"{zh}：各订单共需 {wanted}，可供 {available}；本单 {claim.packs} 件，得 {given[line_id]} 件。",
                "text_en": f"{en} {wanted} wanted by all, {available} there; {given[line_id]} of {claim.packs} packs.",
                "wanted_by_all": wanted,
                "available": available,
                "paired": claim.paired,
                "declared": declared,
            },
        }
        for line_id, claim in sorted(claims.items())
    ]
    insert_rows(session, (Allocation, [allocation]), (AllocationShare, shares))
    made: UUID = allocation["id"]  # type: ignore[assignment]
    return made


def cut(
    session: Session, supply_id: UUID, held: Sequence[Any], claims: dict[UUID, Claim], given: dict[UUID, int]
) -> None:
    """Cut the holds of every line by the packs that it does not get, the line with them, and the supply by the sum."""
    cuts = {line_id: claim.packs - given[line_id] for line_id, claim in claims.items() if given[line_id] < claim.packs}
    to_cut = {line_id: packs * claims[line_id].pack for line_id, packs in cuts.items()}
    total = sum(to_cut.values())
    holds: dict[UUID, int] = {}
    for row in held:
        off = min(row.quantity, to_cut.get(row.line_id, 0))
        if off:
            to_cut[row.line_id] -= off
            holds[row.hold_id] = row.quantity - off
    session.execute(CUT_HOLDS, {"holds": list(holds), "left": list(holds.values())})
    session.execute(CUT_SUPPLY, {"supply": supply_id, "cut": total})
    session.execute(CUT_LINES, {"lines": list(cuts), "packs": list(cuts.values())})
