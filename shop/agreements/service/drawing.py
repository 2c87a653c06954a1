"""Draw the lines of an order on the agreements that price them, and give back what is not bought after all.

An agreement is locked before its lines, and agreements in the order of their ids, by all who change them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shop.agreements.models import AgreementDrawing, AgreementDrawnOn, DrawingKind
from shop.clock import business_day
from shop.db import insert_rows
from shop.ids import new_id

DRAW_ON_AGREEMENTS = text(
    """
    WITH wanted AS (
        SELECT * FROM unnest(CAST(:agreements AS uuid[]), CAST(:fen AS bigint[])) AS w(id, fen)
    ), locked AS MATERIALIZED (
        SELECT a.id FROM framework_agreement a WHERE a.id IN (SELECT id FROM wanted) ORDER BY a.id FOR NO KEY UPDATE
    )
    UPDATE framework_agreement a SET drawn_fen = a.drawn_fen + w.fen
    FROM wanted w JOIN locked k ON k.id = w.id
    WHERE a.id = w.id AND a.status = 'accepted' AND a.valid @> CAST(:on AS date)
      AND (a.ceiling_fen IS NULL OR a.drawn_fen + w.fen <= a.ceiling_fen)
    RETURNING a.id
    """
)
DRAW_ON_LINES = text(
    """
    UPDATE agreement_line l SET drawn_packs = l.drawn_packs + w.packs
    FROM unnest(CAST(:lines AS uuid[]), CAST(:packs AS bigint[])) AS w(id, packs)
    WHERE l.id = w.id AND (l.ceiling_packs IS NULL OR l.drawn_packs + w.packs <= l.ceiling_packs)
    RETURNING l.id
    """
)
GIVE_BACK = text(
    """
    WITH due AS (
        SELECT w.id, w.packs, d.order_line_id, d.agreement_id, d.agreement_line_id, d.fen / d.packs AS unit_fen
        FROM unnest(CAST(:ids AS uuid[]), CAST(:order_lines AS uuid[]), CAST(:packs AS bigint[]))
             AS w(id, order_line_id, packs)
        JOIN agreement_drawing d ON d.order_line_id = w.order_line_id AND d.kind = 'placed'
    ), noted AS (
        INSERT INTO agreement_drawing (
            id, agreement_id, agreement_line_id, order_line_id, kind, correction_id, packs, fen, at
        )
        SELECT id, agreement_id, agreement_line_id, order_line_id, :kind, CAST(:correction AS uuid), - packs,
               - packs * unit_fen, :at
        FROM due
        ON CONFLICT DO NOTHING RETURNING agreement_id, agreement_line_id, packs, fen
    ), locked AS MATERIALIZED (
        SELECT a.id FROM framework_agreement a WHERE a.id IN (SELECT agreement_id FROM noted)
        ORDER BY a.id FOR NO KEY UPDATE
    ), lines AS (
        UPDATE agreement_line l SET drawn_packs = l.drawn_packs + n.packs
        FROM (SELECT agreement_id, agreement_line_id AS id, sum(packs) AS packs FROM noted GROUP BY 1, 2) n
        JOIN locked k ON k.id = n.agreement_id
        WHERE l.id = n.id
    )
    UPDATE framework_agreement a SET drawn_fen = a.drawn_fen + n.fen
    FROM (SELECT agreement_id AS id, sum(fen) AS fen FROM noted GROUP BY 1) n JOIN locked k ON k.id = n.id
    WHERE a.id = n.id
    """
)


@dataclass(frozen=True)
class Draw:
    """So many packs of a line of an order, at the price of a line of an agreement."""

    order_line_id: UUID
    agreement_id: UUID
    agreement_line_id: UUID
    packs: int
    fen: int


def draw(session: Session, draws: Sequence[Draw], *, now: datetime) -> None:
    """Draw on agreements, or refuse the whole with AgreementDrawnOn; as `take`, with its rows inserted."""
    insert_rows(session, (AgreementDrawing, take(session, draws, now=now)))


def take(session: Session, draws: Sequence[Draw], *, now: datetime) -> list[dict[str, Any]]:
    """Draw on agreements under their locks; gives the rows of the drawings, to be inserted by the caller.

    AgreementDrawnOn when a ceiling leaves less than that, or an agreement does not hold any more. No statement at all
    where nothing is drawn.
    """
    if not draws:
        return []
    fen: dict[UUID, int] = {}
    for each in draws:
        fen[each.agreement_id] = fen.get(each.agreement_id, 0) + each.fen
    held = session.scalars(
        DRAW_ON_AGREEMENTS, {"agreements": list(fen), "fen": list(fen.values()), "on": business_day(now)}
    ).all()
    lines = {each.agreement_line_id: each.packs for each in draws}
    drawn = session.scalars(DRAW_ON_LINES, {"lines": list(lines), "packs": list(lines.values())}).all()
    short = [each for each in draws if each.agreement_id not in held or each.agreement_line_id not in drawn]
    if short:
        raise AgreementDrawnOn(lines=[{"agreement_id": f"agr_{each.agreement_id.hex}"} for each in short])
    return [
        {
            "id": new_id(),
            "agreement_id": each.agreement_id,
            "agreement_line_id": each.agreement_line_id,
            "order_line_id": each.order_line_id,
            "kind": DrawingKind.PLACED,
            "packs": each.packs,
            "fen": each.fen,
            "at": now,
        }
        for each in draws
    ]


def give_back(
    session: Session,
    *,
    packs: Mapping[UUID, int],
    kind: DrawingKind,
    now: datetime,
    correction_id: UUID | None = None,
) -> None:
    """Give back so many packs by line of an order to whatever they were drawn on.

    Once for each line and reason, or correction.
    """
    due = {line: count for line, count in packs.items() if count}
    if due:
        session.execute(
            GIVE_BACK,
            {
                "ids": [new_id() for _ in due],
                "order_lines": list(due),
                "packs": list(due.values()),
                "kind": kind,
                "correction": correction_id,
                "at": now,
            },
        )
