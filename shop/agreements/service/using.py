"""Use negotiated quotes: each prices one line of one order."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shop.agreements.models import QuoteUsed

USE = text(
    """
    INSERT INTO negotiated_quote_use (quote_id, order_line_id, packs, at)
    SELECT quote_id, order_line_id, packs, :at
    FROM unnest(CAST(:quotes AS uuid[]), CAST(:lines AS uuid[]), CAST(:packs AS bigint[]))
         AS w(quote_id, order_line_id, packs)
    ORDER BY quote_id
    ON CONFLICT (quote_id) DO NOTHING RETURNING quote_id
    """
)


def use(session: Session, lines: Mapping[UUID, tuple[UUID, int]], *, now: datetime) -> None:
    """Use quotes for lines of an order (`line: (quote, packs)`), or refuse the whole with QuoteUsed.

    Of two orders at once one has the quote: the other waits at the key and finds it used. No statement at all where no
    quote is used. What becomes of the order afterwards does not bring a quote back.
    """
    if not lines:
        return
    quotes = [quote for quote, _ in lines.values()]
    packs = [count for _, count in lines.values()]
    used = session.scalars(USE, {"quotes": quotes, "lines": list(lines), "packs": packs, "at": now}).all()
    gone = [quote for quote in quotes if quote not in set(used)]
    if gone:
        raise QuoteUsed(lines=[{"quote_id": f"nq_{quote.hex}"} for quote in gone])
