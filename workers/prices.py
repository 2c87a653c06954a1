"""What the workers do about prices."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from shop.catalogue.monitoring.service import watching
from shop.clock import business_now
from shop.outbox import service as outbox


def watch(session: Session, *, listing_id: UUID, **_newer: Any) -> None:
    """The price of a listing is checked when it comes on sale, changes or goes off sale."""
    watching.watch(session, [listing_id], now=business_now(session))


def watch_all(taken: outbox.Claim, *, category: str | None = None, name: str | None = None, **_newer: Any) -> None:
    """Check the prices of all listings on sale, or of one category and name, a thousand in a unit of work.

    Beginning anew after a fall does no harm: a listing has one unsettled alert.
    """
    kind = (category, name) if category is not None and name is not None else None
    after: watching.Place | None = None
    while True:
        with outbox.working(taken) as session:
            found, after = watching.next_batch(session, after, kind=kind)
            if not found:
                outbox.finish(session, taken)
                return
            watching.watch(session, found, now=business_now(session))
            outbox.renew(session, taken)


watch_all.calls_out = True  # type: ignore[attr-defined]  # it takes its time, and orders do not wait behind it
