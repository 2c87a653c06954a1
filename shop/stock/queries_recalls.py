"""Recalls and traces: who may know of which, and whom a lot reached."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, exists, false, func, select, text
from sqlalchemy.orm import Session

from shop.accounts.models import Organisation
from shop.accounts.queries_admission import of_regions
from shop.actor import Actor, Audience, Role
from shop.catalogue.models import Product
from shop.db import seeing_all
from shop.errors import NotFound
from shop.stock.models import Lot
from shop.stock.models_recalls import Outcome, Recall, RecallLine


def of_sellers(actor: Actor, wanted: Select[Any], cooperative_id: Any) -> Select[Any]:
    """Narrow a selection to the cooperatives whose goods this actor may look into and recall.

    A cooperative's own; for a county reviewer those of the reviewer's counties; for the platform all.
    """
    if actor.audience is Audience.COOPERATIVE:
        return wanted.where(cooperative_id == actor.organisation_id)
    if actor.reads_everything:
        return wanted
    if actor.audience is Audience.ADMIN and actor.has(Role.COUNTY_REVIEWER, Role.AUDITOR):
        return wanted.where(exists().where(Organisation.id == cooperative_id, of_regions(actor)))
    return wanted.where(false())


def lots(session: Session, actor: Actor, lot_ids: Sequence[UUID]) -> Sequence[Lot]:
    """These lots; NotFound unless the actor may look into every one."""
    wanted = of_sellers(actor, select(Lot), Lot.cooperative_id)
    found: Sequence[Lot] = session.scalars(wanted.where(Lot.id.in_(lot_ids)).order_by(Lot.id)).all()
    if len(found) != len(set(lot_ids)):
        raise NotFound("No such lot of yours.", pointer="/lot_ids")
    return found


def product(session: Session, actor: Actor, product_id: UUID) -> Product:
    """A product that the actor may look into, or NotFound."""
    wanted = of_sellers(actor, select(Product), Product.cooperative_id)
    found: Product | None = session.scalars(wanted.where(Product.id == product_id)).first()
    if found is None:
        raise NotFound("No such product of yours.", pointer="/product_id")
    return found


def visible_recalls(actor: Actor) -> Select[Recall]:
    """The recalls this actor may know of: of the sellers one may look into, and for a buyer those that reached it."""
    if actor.audience is Audience.BUYER:
        reached = exists().where(RecallLine.recall_id == Recall.id, RecallLine.buyer_id == actor.organisation_id)
        return select(Recall).where(reached)
    return of_sellers(actor, select(Recall), Recall.cooperative_id)


def recall(session: Session, actor: Actor, recall_id: UUID, *, lock: bool = False) -> Recall:
    """One recall that the actor may know of, or NotFound; locked, it stays so until the commit."""
    wanted = visible_recalls(actor).where(Recall.id == recall_id).execution_options(populate_existing=True)
    found = session.scalars(wanted.with_for_update(of=Recall) if lock else wanted).first()
    if found is None:
        raise NotFound
    return found


def page(session: Session, actor: Actor, *, before: UUID | None, limit: int) -> Sequence[Recall]:
    """The recalls the actor may know of, newest first, one more than the limit when there are more."""
    wanted = visible_recalls(actor).order_by(Recall.id.desc()).limit(limit + 1)
    return session.scalars(wanted.where(Recall.id < before) if before else wanted).all()


@dataclass(frozen=True)
class Reached:
    """A buyer whom recalled goods reached or would have reached, in base units."""

    buyer_id: UUID
    name: str
    lines: int
    quantity: int
    shipped: int
    waiting: int
    told_at: datetime | None


REACHED = text(
    """
    SELECT l.buyer_id, o.name, l.lines, l.quantity, l.shipped, l.waiting, l.told_at FROM (
        SELECT buyer_id, count(*) AS lines, sum(quantity)::bigint AS quantity, sum(shipped)::bigint AS shipped,
               count(*) FILTER (WHERE outcome IS NULL) AS waiting, max(told_at) AS told_at
        FROM recall_line WHERE recall_id = :recall AND (CAST(:buyer AS uuid) IS NULL OR buyer_id = :buyer)
        GROUP BY buyer_id
    ) l JOIN organisation o ON o.id = l.buyer_id ORDER BY l.quantity DESC, l.buyer_id
    """
)


def reached(session: Session, actor: Actor, recall_id: UUID) -> list[Reached]:
    """Every buyer of a recall, the most concerned first; to a buyer only itself."""
    buyer = actor.organisation_id if actor.audience is Audience.BUYER else None
    return [Reached(*row) for row in session.execute(REACHED, {"recall": recall_id, "buyer": buyer})]


def progress(session: Session, actor: Actor, recall_id: UUID) -> dict[str, int]:
    """How many lines of a recall (to a buyer its own) have which outcome; `waiting` for those that have none yet."""
    wanted = select(func.coalesce(RecallLine.outcome, "waiting"), func.count()).where(RecallLine.recall_id == recall_id)
    if actor.audience is Audience.BUYER:
        wanted = wanted.where(RecallLine.buyer_id == actor.organisation_id)
    rows = session.execute(wanted.group_by(RecallLine.outcome)).all()
    return dict.fromkeys(["waiting", *Outcome], 0) | {str(outcome): number for outcome, number in rows}


LOTS_OF = text(
    """
    SELECT l.id, l.code, l.harvested_on, l.best_before, l.in_store FROM recall_lot r JOIN lot l ON l.id = r.lot_id
    WHERE r.recall_id = :recall ORDER BY l.id
    """
)


def lots_of(session: Session, recall_id: UUID) -> Sequence[Any]:
    """The lots that a recall holds."""
    return session.execute(LOTS_OF, {"recall": recall_id}).all()


def lines_of(
    session: Session, actor: Actor, recall_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[RecallLine]:
    """The lines of a recall (to a buyer its own), one more than the limit when there are more."""
    wanted = select(RecallLine).where(RecallLine.recall_id == recall_id).order_by(RecallLine.id).limit(limit + 1)
    if actor.audience is Audience.BUYER:
        wanted = wanted.where(RecallLine.buyer_id == actor.organisation_id)
    return session.scalars(wanted.where(RecallLine.id > after) if after else wanted).all()


TRACE = text(
    """
    SELECT m.line_id, m.buyer_id, o.name,
           sum(CASE m.kind WHEN 'bound' THEN m.quantity WHEN 'unbound' THEN -m.quantity ELSE 0 END)::bigint AS quantity,
           sum(CASE m.kind WHEN 'shipped' THEN m.quantity ELSE 0 END)::bigint AS shipped, max(m.at) AS last_at
    FROM lot l JOIN movement m ON m.lot_id = l.id JOIN organisation o ON o.id = m.buyer_id
    WHERE (l.id = ANY(CAST(:lots AS uuid[])) OR l.origin_id = ANY(CAST(:lots AS uuid[]))) AND m.line_id IS NOT NULL
    GROUP BY m.line_id, m.buyer_id, o.name
    HAVING sum(CASE m.kind WHEN 'bound' THEN m.quantity WHEN 'unbound' THEN -m.quantity ELSE 0 END) > 0
    ORDER BY m.line_id
    """
)


def trace(session: Session, lot_ids: Sequence[UUID]) -> Sequence[Any]:
    """Every order line and buyer that lots went to, with all that was moved elsewhere from them, in one statement.

    The caller has found the lots among the actor's own; asking so again for each movement would be dear.
    """
    with seeing_all(session):
        return session.execute(TRACE, {"lots": list(lot_ids)}).all()
