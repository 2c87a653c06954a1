"""Keep the rollup: add the facts that got a number since the mark, exactly once."""

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shop.reporting.models import PROCUREMENT, RollupMark

BATCH = 50_000

ADD = text(
    """
    WITH batch AS MATERIALIZED (
        SELECT * FROM fact WHERE posted_no > :mark AND posted_no <= :mark + :batch
    ), summed AS (
        SELECT GROUPING(category) + GROUPING(purpose) AS grain, measure, month, scheme, bucket, east_province,
               west_province, COALESCE(replace(pairing_id::text, '-', ''), '') AS pairing_key,
               COALESCE(category, '') AS category, COALESCE(purpose, '') AS purpose,
               sum(goods_fen)::bigint AS goods_fen, sum(freight_fen)::bigint AS freight_fen,
               sum(amount_fen)::bigint AS amount_fen, sum(packs)::bigint AS packs, sum(grams)::bigint AS grams,
               count(*) AS facts
        FROM batch
        GROUP BY measure, month, scheme, bucket, east_province, west_province, pairing_id,
                 GROUPING SETS ((category, purpose), (category), ())
    ), kept AS (
        INSERT INTO rollup AS r (grain, measure, month, scheme, bucket, east_province, west_province, pairing_key,
                                 category, purpose, goods_fen, freight_fen, amount_fen, packs, grams, facts)
        SELECT * FROM summed ORDER BY grain, measure, month
        ON CONFLICT (grain, measure, month, scheme, bucket, east_province, west_province, pairing_key, category,
                     purpose)
        DO UPDATE SET goods_fen = r.goods_fen + excluded.goods_fen, freight_fen = r.freight_fen + excluded.freight_fen,
                      amount_fen = r.amount_fen + excluded.amount_fen, packs = r.packs + excluded.packs,
                      grams = r.grams + excluded.grams, facts = r.facts + excluded.facts
    ), moved AS (
        UPDATE rollup_mark m SET upto_no = b.last FROM (SELECT max(posted_no) AS last FROM batch) b
        WHERE m.name = :name AND b.last IS NOT NULL
    )
    SELECT count(*) FROM batch
    """
)


def roll_up(session: Session) -> int:
    """Add the next facts by number, at most 50,000; gives how many.

    Facts are numbered in the order of their commits, so none appears behind the mark. The mark's row is locked first:
    of two at once the second begins where the first ended, and mark and sums move in one commit.
    """
    name = {"name": PROCUREMENT}
    session.execute(insert(RollupMark).values(**name, upto_no=0).on_conflict_do_nothing())
    mark = session.scalar(select(RollupMark.upto_no).where(RollupMark.name == PROCUREMENT).with_for_update())
    return int(session.scalar(ADD, name | {"mark": mark, "batch": BATCH}) or 0)
