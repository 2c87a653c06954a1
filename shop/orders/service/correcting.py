"""Take back what was accepted: a correction in the bill, the ledger, the facts, credit and budget at once.

The bill is always that of what is still accepted, whatever led there: goods as the note has them, in proportion of the
packs of each lot that stay accepted (half up), and freight in full as long as anything stays, which then is dealt as at
the acceptance. So returning all of a delivery in steps costs what returning it at once does.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import exists, func, insert, select, update
from sqlalchemy.orm import Session

from shop.accounts.service.numbering import next_number
from shop.actor import Actor
from shop.agreements.models import DrawingKind
from shop.agreements.service import drawing
from shop.clock import business_day
from shop.db import seeing_all
from shop.facts import service as facts
from shop.facts.models import Fact, Measure
from shop.ids import new_id
from shop.ledger import service as ledger
from shop.ledger.models import AccountKind
from shop.money import half_up
from shop.orders import queries
from shop.orders.models import Acceptance, AcceptanceLine, Status, SupplierOrder, Terms
from shop.orders.models_budgets import Drawing
from shop.orders.models_claims import Correction, CorrectionLine, Receivable
from shop.orders.service import budgeting
from shop.orders.service.acceptance import freight_shares
from shop.orders.service.recording import finished

NUMBERED_AS = "CN"
Place = tuple[UUID, UUID]
"""A line and a lot of it."""
SUMS = ("goods_fen", "freight_fen", "packs", "grams")


def noted(session: Session, supplier_order_id: UUID) -> tuple[Acceptance, dict[Place, AcceptanceLine]]:
    """The acceptance note of a supplier order, and its lines by line and lot."""
    note = session.scalars(select(Acceptance).where(Acceptance.supplier_order_id == supplier_order_id)).one()
    lines = session.scalars(select(AcceptanceLine).where(AcceptanceLine.acceptance_id == note.id))
    return note, {(line.line_id, line.lot_id): line for line in lines}


def taken_back(session: Session, supplier_order_id: UUID) -> dict[Place, int]:
    """The packs that corrections took back so far."""
    rows = session.execute(
        select(CorrectionLine.line_id, CorrectionLine.lot_id, func.sum(CorrectionLine.packs))
        .join(Correction, Correction.id == CorrectionLine.correction_id)
        .where(Correction.supplier_order_id == supplier_order_id)
        .group_by(CorrectionLine.line_id, CorrectionLine.lot_id)
    )
    return {(line_id, lot_id): int(packs) for line_id, lot_id, packs in rows}


def apply(
    session: Session, *, part: SupplierOrder, claim_id: UUID, packs: Mapping[Place, int], by: Actor, now: datetime
) -> UUID:
    """Take packs back of a supplier order that is locked; gives the id of the correction.

    In one transaction: the correction with its lines, the supplier order's bill, the posting, signed `accepted` and
    `corrected` facts, what is given back of credit, budget and agreements, and what the cooperative owes where it was
    paid already. Whoever agrees or decides keeps the books of both sides.
    """
    with seeing_all(session):
        return write(session, part, claim_id, packs, by, now)


def write(
    session: Session, part: SupplierOrder, claim_id: UUID, packs: Mapping[Place, int], by: Actor, now: datetime
) -> UUID:
    note, on_note = noted(session, part.id)
    before = taken_back(session, part.id)
    lines = queries.lines_of(session, [part.id])[part.id]
    rows: list[dict[str, Any]] = []
    still = dict.fromkeys((line.id for line in lines), 0)
    for place, line in on_note.items():
        left = line.accepted - before.get(place, 0)
        stays = left - packs.get(place, 0)
        still[line.line_id] += stays
        if stays != left:
            worth = goods_of(line, left) - goods_of(line, stays)
            rows.append({"id": new_id(), "line_id": place[0], "lot_id": place[1], "packs": left - stays,
                         "goods_fen": worth})  # fmt: skip
    freight = freight_shares(lines, still, part.freight_to_bill)
    goods_fen = sum(row["goods_fen"] for row in rows)
    freight_fen = (part.accepted_freight_fen or 0) - sum(freight.values())
    fen = goods_fen + freight_fen
    key = new_id()
    session.execute(
        insert(Correction).values(
            id=key, claim_id=claim_id, supplier_order_id=part.id,
            number=next_number(session, part.buyer_id, NUMBERED_AS, business_day(now).year),
            by_user_id=by.user_id, at=now, goods_fen=goods_fen, freight_fen=freight_fen,
        )
    )  # fmt: skip
    session.execute(insert(CorrectionLine), [row | {"correction_id": key} for row in rows])
    session.execute(
        update(SupplierOrder)
        .where(SupplierOrder.id == part.id)
        .values(
            accepted_goods_fen=SupplierOrder.accepted_goods_fen - goods_fen,
            accepted_freight_fen=SupplierOrder.accepted_freight_fen - freight_fen,
        )
        .execution_options(synchronize_session=False)
    )
    session.refresh(part)
    ledger.post(
        session, kind="correction", source_id=key, order_id=part.order_id, now=now,
        legs=[
            ledger.Leg(part.buyer_id, AccountKind.BUYER, -fen),
            ledger.Leg(part.cooperative_id, AccountKind.COOPERATIVE, fen),
        ],
    )  # fmt: skip
    restate(session, part, key, lines, still, freight, rows, silent=note.silent, now=now)
    if queries.terms_of(session, part.order_id) == Terms.ON_TERMS and not is_paid(session, part):
        ledger.release_credit(session, part.buyer_id, fen)
    budgeting.give_back(session, supplier_order_id=part.id, kind=Drawing.CORRECTED, fen=fen, now=now, correction_id=key)
    back: Counter[UUID] = Counter()
    for row in rows:
        back[row["line_id"]] += row["packs"]
    drawing.give_back(
        session,
        packs={line.id: back[line.id] for line in lines if line.agreement_id is not None},
        kind=DrawingKind.CORRECTED,
        now=now,
        correction_id=key,
    )
    if part.status == Status.SETTLED and fen:
        session.add(
            Receivable(
                correction_id=key, supplier_order_id=part.id, order_id=part.order_id,
                cooperative_id=part.cooperative_id, amount_fen=fen,
            )
        )  # fmt: skip
        session.flush()
    return key


def goods_of(line: AcceptanceLine, packs: int) -> int:
    """What so many of the accepted packs of a lot cost."""
    return half_up(line.goods_fen * packs, line.accepted) if line.accepted else 0


def is_paid(session: Session, part: SupplierOrder) -> bool:
    """Whether the money for a supplier order is in. Who books money locks its parts first, as the caller did."""
    paid = exists().where(
        Fact.order_id == part.order_id, Fact.measure == Measure.PAID, Fact.supplier_order_id == part.id
    )
    return bool(session.scalar(select(paid)))


def restate(
    session: Session,
    part: SupplierOrder,
    correction_id: UUID,
    lines: Any,
    still: Mapping[UUID, int],
    freight: Mapping[UUID, int],
    rows: list[dict[str, Any]],
    *,
    silent: bool,
    now: datetime,
) -> None:
    """Signed facts that make what is recorded as accepted that which still is, dated today; `corrected` has the same.

    Grams stay in the proportion of packs that they were accepted in.
    """
    recorded = session.execute(
        select(
            Fact.line_id,
            *(func.sum(getattr(Fact, name)).label(name) for name in SUMS),
            func.sum(Fact.packs).filter(Fact.source_id == Fact.line_id).label("packs_noted"),
            func.sum(Fact.grams).filter(Fact.source_id == Fact.line_id).label("grams_noted"),
        )
        .where(Fact.order_id == part.order_id, Fact.supplier_order_id == part.id, Fact.measure == Measure.ACCEPTED)
        .group_by(Fact.line_id)
    )
    by_line = {row.line_id: row for row in recorded}
    goods_back = dict.fromkeys(still, 0)
    for row in rows:
        goods_back[row["line_id"]] += row["goods_fen"]
    restated = []
    for line in lines:
        was = by_line.get(line.id)
        if was is None:
            continue
        grams = half_up(int(was.grams_noted) * still[line.id], int(was.packs_noted))
        change = {
            "goods_fen": -goods_back[line.id],
            "freight_fen": freight[line.id] - int(was.freight_fen),
            "packs": still[line.id] - int(was.packs),
            "grams": grams - int(was.grams),
        }
        if any(change.values()):
            source = uuid5(correction_id, line.id.hex)
            restated.append(finished(line.dimensions) | change | {"source_id": source, "silent": silent})
    for measure in (Measure.ACCEPTED, Measure.CORRECTED):
        facts.record(session, measure, restated, now=now)
