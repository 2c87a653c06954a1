"""Numbers that people read: counted per organisation, kind of document and year, taken only at issue."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

NEXT = text(
    """
    INSERT INTO document_counter AS c (organisation_id, kind, year, last) VALUES (:organisation, :kind, :year, 1)
    ON CONFLICT (organisation_id, kind, year) DO UPDATE SET last = c.last + 1 RETURNING last
    """
)


def next_number(session: Session, organisation_id: UUID, kind: str, year: int) -> str:
    """The next number, as `PO-2024-000123`. Holds the counter's row until the commit: take it late."""
    last = session.execute(NEXT, {"organisation": organisation_id, "kind": kind, "year": year}).scalar_one()
    return f"{kind}-{year}-{last:06d}"
