"""What the workers do about files."""

from typing import Any
from uuid import UUID

from shop.files import service as files
from shop.outbox import service as outbox


def remove(taken: outbox.Claim, *, file_id: UUID, **_newer: Any) -> None:
    """Take the bytes of a file that was dropped out of the store."""
    files.remove(file_id)
    with outbox.working(taken) as session:
        outbox.finish(session, taken)


remove.calls_out = True  # type: ignore[attr-defined]
