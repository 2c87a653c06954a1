"""What a year's orders and promises come to beside the capacity that was declared for it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session
from sqlalchemy.types import Text

from shop.actor import Actor, Role

FLAGS = text(
    """
    SELECT * FROM (
        SELECT c.id, c.organisation_id, o.name AS cooperative, o.division_code, c.product_name, c.category,
               c.grams_per_year AS declared_grams, ordered.grams AS ordered_grams, promised.grams AS promised_grams
        FROM (
            SELECT id, organisation_id, product_name, category, grams_per_year FROM declared_capacity WHERE current
            UNION ALL
            SELECT (array_agg(p.id ORDER BY p.id))[1], p.cooperative_id, p.name, p.category, NULL
            FROM product p
            WHERE EXISTS (SELECT FROM declared_capacity d WHERE d.organisation_id = p.cooperative_id AND d.current)
                AND NOT EXISTS (
                    SELECT FROM declared_capacity d WHERE d.organisation_id = p.cooperative_id AND d.current
                        AND d.product_name = p.name AND d.category = p.category
                )
            GROUP BY p.cooperative_id, p.name, p.category
        ) c JOIN organisation o ON o.id = c.organisation_id
        CROSS JOIN LATERAL (
            SELECT COALESCE(sum(f.grams), 0)::bigint AS grams
            FROM product p JOIN fact f ON f.product_id = p.id AND f.cooperative_id = p.cooperative_id
            WHERE p.cooperative_id = c.organisation_id AND p.name = c.product_name AND p.category = c.category
                AND f.measure = 'ordered' AND f.month >= make_date(:year, 1, 1) AND f.month < make_date(:year + 1, 1, 1)
                AND f.posted_no IS NOT NULL
        ) ordered
        CROSS JOIN LATERAL (
            SELECT COALESCE(sum((s.promised - s.withdrawn) / l.pack_base_quantity * l.pack_grams), 0)::bigint AS grams
            FROM product p JOIN listing l ON l.product_id = p.id JOIN supply s ON s.listing_id = l.id
            WHERE p.cooperative_id = c.organisation_id AND p.name = c.product_name AND p.category = c.category
                AND s.ready_from >= make_date(:year, 1, 1) AND s.ready_from < make_date(:year + 1, 1, 1)
        ) promised
        WHERE (CAST(:after AS uuid) IS NULL OR c.id > CAST(:after AS uuid))
            AND (:everywhere OR o.division_code = ANY(:regions) OR left(o.division_code, 4) || '00' = ANY(:regions)
                 OR left(o.division_code, 2) || '0000' = ANY(:regions))
    ) found
    WHERE ordered_grams > COALESCE(declared_grams, 0) OR promised_grams > COALESCE(declared_grams, 0)
    ORDER BY id LIMIT :limit
    """
).bindparams(bindparam("regions", type_=ARRAY(Text)))


def capacity_flags(session: Session, actor: Actor, *, year: int, after: UUID | None, limit: int) -> Sequence[Any]:
    """The declarations in force that a year's orders or promises pass, and what their sellers sell undeclared.

    One more than the limit when there are more. Orders are summed from the numbered facts, so that cancelled ones count
    no more. A county reviewer sees those of the reviewer's counties.
    """
    return session.execute(
        FLAGS,
        {
            "year": year,
            "after": after,
            "everywhere": actor.has(Role.OPERATOR),
            "regions": list(actor.regions),
            "limit": limit + 1,
        },
    ).all()
