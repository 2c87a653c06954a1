"""Recall lots and release them again: hold lots, stop supply, name every line and buyer, announce it.

Everything that is held is held in the commit of the recall: from then on nothing recalled is sold, bound or shipped.
What is packed already or on its way is seen to by those who hear `recall.ordered`, who record each outcome here.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from shop.actor import Actor, Role
from shop.audit import service as audit
from shop.db import seeing_all
from shop.errors import Forbidden, Invalid, Refusal
from shop.ids import new_id
from shop.outbox import service as outbox
from shop.stock import queries_recalls as queries
from shop.stock.models import Supply
from shop.stock.models_recalls import Outcome, Recall, RecallStatus
from shop.stock.schemas_recalls import OrderRecall


class RecallEnded(Refusal):
    code, status = "recall_ended", 409
    title, title_zh = "This recall was released already.", "该召回已解除。"


class NotYourRecall(Forbidden):
    """A recall is released by the organisation that ordered it, or by the platform."""

    code, status = "not_your_recall", 403
    title, title_zh = "Another organisation ordered this recall.", "该召回由其他单位发起，不能由您解除。"


@dataclass(frozen=True)
class Scope:
    """What a recall holds: lots of one product, and the days on which supply could be filled from them."""

    product_id: UUID
    cooperative_id: UUID
    lot_ids: Sequence[UUID] | None
    harvest: tuple[date, date] | None
    supply: tuple[date, date]


LOCK = "SELECT pg_advisory_xact_lock{kind}(hashtextextended('recall ' || :product, 0))"


def lock_products(session: Session, product_id: UUID, *, shared: bool = False) -> None:
    """Wait for recalls of a product, or (not shared) for whoever offers supply or receives lots of it, until commit.

    So a recall misses nothing that is being entered, and what is entered later sees the recall.
    """
    session.execute(text(LOCK.format(kind="_shared" if shared else "")), {"product": product_id.hex})


HOLD_NAMED = text(
    """
    SELECT id FROM lot WHERE id = ANY(CAST(:lots AS uuid[])) OR origin_id = ANY(CAST(:lots AS uuid[]))
    ORDER BY id FOR UPDATE
    """
)
HOLD_HARVEST = text(
    """
    SELECT id FROM lot WHERE product_id = :product AND harvested_on >= :first AND harvested_on < :end
    ORDER BY id FOR UPDATE
    """
)
HOLD_LOTS = text(
    """
    WITH held AS (
        UPDATE lot SET recalls = recalls + 1 WHERE id = ANY(CAST(:lots AS uuid[])) RETURNING id
    )
    INSERT INTO recall_lot (recall_id, lot_id, at) SELECT :recall, id, :now FROM held
    """
)
STOP_SUPPLY = text(
    """
    WITH locked AS MATERIALIZED (
        SELECT s.id FROM supply s JOIN listing l ON l.id = s.listing_id
        WHERE l.product_id = :product AND NOT s.closed AND s.ready_from < :end AND s.ready_to > :first
        ORDER BY s.id FOR UPDATE OF s
    ), stopped AS (
        UPDATE supply s SET recalls = s.recalls + 1, stopped = s.stopped + s.open, open = 0
        FROM locked k WHERE s.id = k.id AND NOT s.closed RETURNING s.id
    )
    INSERT INTO recall_supply (recall_id, supply_id, at) SELECT :recall, id, :now FROM stopped
    """
)
NAME_LINES = text(
    """
    INSERT INTO recall_line (id, recall_id, lot_id, line_id, buyer_id, cooperative_id, quantity, shipped)
    SELECT gen_random_uuid(), :recall, lot_id, line_id, buyer_id, :cooperative, quantity, shipped FROM (
        SELECT lot_id, line_id, buyer_id,
               sum(CASE kind WHEN 'bound' THEN quantity WHEN 'unbound' THEN -quantity ELSE 0 END) AS quantity,
               sum(CASE kind WHEN 'shipped' THEN quantity ELSE 0 END) AS shipped
        FROM movement WHERE lot_id = ANY(CAST(:lots AS uuid[])) AND line_id IS NOT NULL
        GROUP BY lot_id, line_id, buyer_id
    ) reached WHERE quantity > 0
    """
)
BUYERS = text("SELECT DISTINCT buyer_id FROM recall_line WHERE recall_id = :recall")


def order(session: Session, *, by: Actor, wanted: OrderRecall, now: datetime) -> UUID:
    """Recall lots; gives the recall's id and announces `recall.ordered` to the seller, the buyers and who ordered it.

    NotFound for what is not the actor's to recall, Invalid for lots of several products.
    """
    scope = scope_of(session, by, wanted)
    recall = Recall(
        id=new_id(),
        product_id=scope.product_id,
        cooperative_id=scope.cooperative_id,
        ordered_by_id=by.organisation_id,
        by_user_id=by.user_id,
        harvested_from=scope.harvest[0] if scope.harvest else None,
        harvested_to=scope.harvest[1] if scope.harvest else None,
        supply_from=scope.supply[0] if wanted.hold_supply else None,
        supply_to=scope.supply[1] if wanted.hold_supply else None,
        reason=wanted.reason,
        status=RecallStatus.OPEN,
        ordered_at=now,
        released_at=None,
        release_reason=None,
    )
    lock_products(session, scope.product_id)
    session.add(recall)
    session.flush()
    with seeing_all(session):  # whose lots they are is known; a policy on each of a million movements would be dear
        if wanted.hold_supply:
            first, end = scope.supply
            session.execute(
                STOP_SUPPLY,
                {"product": scope.product_id, "first": first, "end": end, "recall": recall.id, "now": now},
            )
        lots = hold_lots(session, scope, recall.id, now)
        session.execute(NAME_LINES, {"recall": recall.id, "cooperative": scope.cooperative_id, "lots": lots})
        buyers = session.scalars(BUYERS, {"recall": recall.id}).all()
    audit.record(
        session, by=by, action="recall.ordered", kind="recall", subject=recall.id, now=now, reason=wanted.reason,
        lots=len(lots), buyers=len(buyers),
    )  # fmt: skip
    tell(session, "recall.ordered", recall, buyers, now)
    return recall.id


def tell(session: Session, kind: str, recall: Recall, buyers: Sequence[UUID], now: datetime) -> None:
    outbox.announce(
        session, kind, now=now, seen_by=[recall.cooperative_id, recall.ordered_by_id, *buyers],
        recall_id=recall.id, cooperative_id=recall.cooperative_id,
    )  # fmt: skip


def scope_of(session: Session, by: Actor, wanted: OrderRecall) -> Scope:
    """What is to be held, found among what the actor may recall."""
    if wanted.lot_ids is not None:
        lots = queries.lots(session, by, wanted.lot_ids)
        if len({lot.product_id for lot in lots}) > 1:
            raise Invalid("Lots of several products are several recalls.", pointer="/lot_ids")
        span = min(lot.harvested_on for lot in lots), max(lot.best_before for lot in lots)
        whole = sorted({lot.origin_id or lot.id for lot in lots})  # wherever parts of it lie
        return Scope(lots[0].product_id, lots[0].cooperative_id, whole, None, span)
    assert wanted.product_id is not None
    assert wanted.harvested_from is not None
    assert wanted.harvested_to is not None
    product = queries.product(session, by, wanted.product_id)
    if wanted.harvested_to <= wanted.harvested_from:
        raise Invalid("The window ends before it begins.", pointer="/harvested_to")
    last = wanted.harvested_to + timedelta(days=product.shelf_life_days)
    return Scope(
        product.id,
        product.cooperative_id,
        None,
        (wanted.harvested_from, wanted.harvested_to),
        (wanted.harvested_from, last),
    )


def hold_lots(session: Session, scope: Scope, recall_id: UUID, now: datetime) -> list[UUID]:
    """Lock what is in the scope in the order of all locks, and hold it."""
    if scope.lot_ids is not None:
        found = session.scalars(HOLD_NAMED, {"lots": list(scope.lot_ids)})
    else:
        assert scope.harvest is not None
        first, end = scope.harvest
        found = session.scalars(HOLD_HARVEST, {"product": scope.product_id, "first": first, "end": end})
    lots = list(found)
    session.execute(HOLD_LOTS, {"lots": lots, "recall": recall_id, "now": now})
    return lots


JOIN_LOT = text(
    """
    WITH open AS (
        SELECT r.id FROM recall r JOIN lot l ON l.id = :lot AND l.product_id = r.product_id
        WHERE r.status = 'open' AND l.harvested_on >= r.harvested_from AND l.harvested_on < r.harvested_to
    ), held AS (
        INSERT INTO recall_lot (recall_id, lot_id, at) SELECT id, :lot, :now FROM open RETURNING 1
    )
    UPDATE lot SET recalls = found.recalls FROM (SELECT count(*) AS recalls FROM held) found
    WHERE lot.id = :lot AND found.recalls > 0
    """
)
JOIN_SUPPLY = text(
    """
    WITH open AS (
        SELECT id FROM recall WHERE product_id = :product AND status = 'open'
            AND supply_from < :ready_to AND supply_to > :ready_from
    ), stops AS (
        INSERT INTO recall_supply (recall_id, supply_id, at) SELECT id, :supply, :now FROM open RETURNING 1
    )
    UPDATE supply SET recalls = found.recalls, stopped = open, open = 0
    FROM (SELECT count(*) AS recalls FROM stops) found WHERE supply.id = :supply AND found.recalls > 0
    """
)


def hold_new_lot(session: Session, lot_id: UUID, *, now: datetime) -> None:
    """Hold a lot that was just received where its harvest is recalled; `lock_products` comes before the lot."""
    session.execute(JOIN_LOT, {"lot": lot_id, "now": now})


def stop_new_supply(session: Session, supply: Supply, *, product_id: UUID, now: datetime) -> None:
    """Stop a supply that was just offered where it could be filled from what is recalled."""
    given = {"supply": supply.id, "product": product_id, "ready_from": supply.ready_from, "ready_to": supply.ready_to}
    session.execute(JOIN_SUPPLY, given | {"now": now})
    session.refresh(supply)


LET_SUPPLY_GO = text(
    """
    WITH locked AS MATERIALIZED (
        SELECT s.id FROM supply s JOIN recall_supply r ON r.supply_id = s.id AND r.recall_id = :recall
        ORDER BY s.id FOR UPDATE OF s
    )
    UPDATE supply s SET
        recalls = s.recalls - 1,
        open = s.open + CASE WHEN s.recalls = 1 THEN s.stopped ELSE 0 END,
        stopped = CASE WHEN s.recalls = 1 THEN 0 ELSE s.stopped END
    FROM locked k WHERE s.id = k.id
    """
)
LET_LOTS_GO = text(
    """
    WITH locked AS MATERIALIZED (
        SELECT l.id FROM lot l JOIN recall_lot r ON r.lot_id = l.id AND r.recall_id = :recall
        ORDER BY l.id FOR UPDATE OF l
    )
    UPDATE lot l SET recalls = l.recalls - 1 FROM locked k WHERE l.id = k.id
    """
)


def release(session: Session, *, by: Actor, recall_id: UUID, reason: str, now: datetime) -> None:
    """End a recall: what no other recall holds may be sold, packed and shipped again; announces `recall.released`.

    NotFound, NotYourRecall, RecallEnded.
    """
    lock_products(session, queries.recall(session, by, recall_id).product_id)  # before its row, as for what is entered
    found = queries.recall(session, by, recall_id, lock=True)
    if found.ordered_by_id != by.organisation_id and not by.has(Role.OPERATOR):
        raise NotYourRecall
    if found.status != RecallStatus.OPEN:
        raise RecallEnded
    found.status, found.released_at, found.release_reason = RecallStatus.RELEASED, now, reason
    session.flush()
    with seeing_all(session):  # the buyers of a recall are told of its end, whoever ends it
        session.execute(LET_SUPPLY_GO, {"recall": recall_id})
        session.execute(LET_LOTS_GO, {"recall": recall_id})
        buyers = session.scalars(BUYERS, {"recall": recall_id}).all()
    audit.record(
        session, by=by, action="recall.released", kind="recall", subject=recall_id, now=now, reason=reason,
        buyers=len(buyers),
    )  # fmt: skip
    tell(session, "recall.released", found, buyers, now)


def is_open(session: Session, recall_id: UUID) -> bool:
    """Whether a recall holds; while this transaction lasts it is not released."""
    status = session.scalar(select(Recall.status).where(Recall.id == recall_id).with_for_update(read=True))
    return status == RecallStatus.OPEN


RECORD = text(
    """
    UPDATE recall_line SET outcome = :outcome, outcome_at = :now
    WHERE recall_id = :recall AND line_id = ANY(CAST(:lines AS uuid[])) AND outcome IS NULL
    """
)
TOLD = text(
    """
    UPDATE recall_line SET told_at = :now
    WHERE recall_id = :recall AND buyer_id = ANY(CAST(:buyers AS uuid[])) AND told_at IS NULL
    """
)


def record_outcome(
    session: Session, *, recall_id: UUID, line_ids: Collection[UUID], outcome: Outcome, now: datetime
) -> int:
    """Record what was done about these lines; what was recorded before stays. Gives how many rows say so now."""
    given: dict[str, Any] = {"recall": recall_id, "lines": sorted(line_ids), "outcome": outcome, "now": now}
    return session.execute(RECORD, given).rowcount  # type: ignore[attr-defined, no-any-return]


def record_told(session: Session, *, recall_id: UUID, buyer_ids: Collection[UUID], now: datetime) -> None:
    """Record that these buyers were told."""
    session.execute(TOLD, {"recall": recall_id, "buyers": sorted(buyer_ids), "now": now})
