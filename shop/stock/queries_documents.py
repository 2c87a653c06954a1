"""Which papers lots need and have."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from shop.stock.models_documents import LotDocument, LotDocumentRule


@dataclass(frozen=True)
class Missing:
    """A paper that a lot needs on a day and has not; its goods are not packed without it where it is `blocking`."""

    lot_id: UUID
    code: str
    kind: str
    name: str
    name_en: str
    blocking: bool


MISSING = text(
    """
    SELECT l.id, l.code, r.kind, r.name, r.name_en, r.blocking
    FROM lot l JOIN product p ON p.id = l.product_id
    JOIN lot_document_rule r ON r.category = p.category AND r.valid @> CAST(:on AS date)
    WHERE l.id = ANY(CAST(:lots AS uuid[])) AND NOT EXISTS (
        SELECT 1 FROM lot_document d
        WHERE d.lot_id = COALESCE(l.origin_id, l.id) AND d.kind = r.kind
            AND (d.valid_until IS NULL OR d.valid_until > CAST(:on AS date))
    )
    ORDER BY l.code, l.id, r.kind
    """
)


def missing(session: Session, lot_ids: Sequence[UUID], on: date) -> list[Missing]:
    """The papers that these lots need on a day and have not, in one statement."""
    return [Missing(*row) for row in session.execute(MISSING, {"lots": sorted(set(lot_ids)), "on": on})]


def rules(session: Session, on: date) -> Sequence[LotDocumentRule]:
    """What is asked for on a day."""
    wanted = select(LotDocumentRule).where(LotDocumentRule.valid.contains(on))
    return session.scalars(wanted.order_by(LotDocumentRule.category, LotDocumentRule.kind)).all()


def documents_of(session: Session, lot_id: UUID) -> Sequence[LotDocument]:
    """The papers of a lot as harvested."""
    return session.scalars(select(LotDocument).where(LotDocument.lot_id == lot_id).order_by(LotDocument.id)).all()
