"""Which households stand behind a lot, what reached them, and what everybody may see of it."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.db import seeing_all
from shop.errors import NotFound
from shop.stock.models import Lot

FEWEST_SHOWN = 5
"""Fewer households than this are not told of in public: one could be recognised among them."""

HOUSEHOLDS = text(
    """
    SELECT c.household, sum(c.grams)::bigint AS grams, sum(c.paid_fen)::bigint AS paid_fen,
           array_agg(DISTINCT c.certificate) FILTER (WHERE c.certificate IS NOT NULL) AS certificates
    FROM contribution c
    WHERE c.lot_id = (SELECT COALESCE(origin_id, id) FROM lot WHERE id = :lot)
    GROUP BY c.household ORDER BY c.household
    """
)


def households_of(session: Session, lot_id: UUID) -> Sequence[Any]:
    """The households behind a lot, wherever it lies, in one statement."""
    return session.execute(HOUSEHOLDS, {"lot": lot_id}).all()


BENEFITS = text(
    """
    SELECT household, sum(grams)::bigint AS grams, sum(paid_fen)::bigint AS paid_fen, count(DISTINCT lot_id) AS lots
    FROM contribution WHERE cooperative_id = :mine AND brought_on >= :first AND brought_on < :end
    GROUP BY household ORDER BY household
    """
)


def benefits(session: Session, actor: Actor, first: date, end: date) -> Sequence[Any]:
    """What each household of the actor's cooperative brought and was paid, from a day until (and without) another."""
    return session.execute(BENEFITS, {"mine": actor.organisation_id, "first": first, "end": end}).all()


GRAMS_OF = text(
    """
    SELECT l.id, CASE u.base_unit WHEN 'g' THEN l.received + moved.gained
                 ELSE (l.received + moved.gained) * u.pack_grams / u.pack_base_quantity END AS grams
    FROM lot l
    CROSS JOIN LATERAL (
        SELECT base_unit, pack_grams, pack_base_quantity FROM listing WHERE product_id = l.product_id LIMIT 1
    ) u
    CROSS JOIN LATERAL (
        SELECT COALESCE(sum(gained), 0)::bigint AS gained FROM lot f WHERE f.id = l.id OR f.origin_id = l.id
    ) moved
    WHERE l.id = ANY(CAST(:lots AS uuid[]))
    """
)


def grams_of(session: Session, lot_ids: Sequence[UUID]) -> dict[UUID, int]:
    """What lots weigh as harvested, with what counts found more; by the pack's weight where goods are counted."""
    return {row.id: int(row.grams) for row in session.execute(GRAMS_OF, {"lots": list(lot_ids)})}


def by_code(session: Session, actor: Actor, codes: Sequence[str]) -> dict[str, UUID]:
    """The actor's lots as harvested, by the codes that the cooperative gave them."""
    mine = Lot.cooperative_id == actor.organisation_id
    rows = session.execute(select(Lot.code, Lot.id).where(mine, Lot.origin_id.is_(None), Lot.code.in_(codes)))
    return {row.code: row.id for row in rows}


PUBLIC = text(
    """
    SELECT f.id, f.code, f.harvested_on, f.best_before, p.name, p.name_en, p.grade, p.spec, p.category, p.origin_code,
           d.name AS county, o.name AS cooperative, f.recalls > 0 AS recalled,
           (SELECT count(DISTINCT household) FROM contribution c WHERE c.lot_id = f.id) AS households
    FROM lot l JOIN lot f ON f.id = COALESCE(l.origin_id, l.id)
    JOIN product p ON p.id = f.product_id JOIN organisation o ON o.id = f.cooperative_id
    LEFT JOIN division d ON d.code = p.origin_code AND d.valid_from <= f.harvested_on
        AND (d.valid_to IS NULL OR d.valid_to > f.harvested_on)
    WHERE l.id = :lot
    """
)


def public_lot(session: Session, lot_id: UUID) -> Any:
    """What everybody may know of a lot; NotFound for none. Households are only counted, and told of when they are many.

    Contributions are the cooperative's own rows; counting them is all that is done with them here.
    """
    with seeing_all(session):
        found = session.execute(PUBLIC, {"lot": lot_id}).first()
    if found is None:
        raise NotFound
    return found
