"""Numbers that people read: counted per organisation, kind of document and year, taken only at issue."""

from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shop.orders.models import OrderCounter


def next_number(session: Session, organisation_id: UUID, kind: str, year: int) -> str:
    """The next number, as `PO-2024-000123`. Holds the counter's row until the commit: take it late."""
    last = session.execute(
        insert(OrderCounter)
        .values(organisation_id=organisation_id, kind=kind, year=year, last=1)
        .on_conflict_do_update(index_elements=["organisation_id", "kind", "year"], set_={"last": OrderCounter.last + 1})
        .returning(OrderCounter.last)
    ).scalar_one()
    return f"{kind}-{year}-{last:06d}"
