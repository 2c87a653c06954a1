"""One request, one effect: the answer to a key is kept in the transaction of its effect.

The twin of a request in flight waits on the row and then replays the answer; it gives up after the lock timeout with
409. Another body on the same key is 422. Keys belong to one organisation and one operation. Kept for 30 days.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Text, and_, delete, func, literal_column, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Mapped, Session, mapped_column

from shop.db import LOCK_NOT_AVAILABLE, Model, sqlstate
from shop.errors import Invalid, Refusal

KEPT = timedelta(days=30)
HEADER = "/header/Idempotency-Key"


class IdempotencyKey(Model):
    __tablename__ = "idempotency_key"

    organisation_id: Mapped[UUID] = mapped_column(primary_key=True)
    operation: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes]
    status: Mapped[int | None]
    body: Mapped[str | None] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp(), index=True)


class KeyMissing(Invalid):
    code, status = "idempotency_key_missing", 400
    title, title_zh = "Send an Idempotency-Key.", "请提供 Idempotency-Key。"


class KeyMalformed(Invalid):
    code, status = "idempotency_key_malformed", 400
    title = "An Idempotency-Key has 1 to 255 printable ASCII characters."
    title_zh = "Idempotency-Key 须为 1 至 255 个可打印的 ASCII 字符。"


class KeyReused(Invalid):
    code, status = "idempotency_key_reused", 422
    title, title_zh = "This Idempotency-Key was used for another request.", "该 Idempotency-Key 已用于其他请求。"


class InFlight(Refusal):
    code, status = "request_in_flight", 409
    title, title_zh = "The same request is being worked on.", "相同的请求正在处理中。"


@dataclass(frozen=True)
class Kept:
    """The answer that this key got before."""

    status: int
    body: str


@dataclass(frozen=True)
class Place:
    """Whose key it is, for which operation."""

    organisation_id: UUID
    operation: str
    key: str

    def row(self) -> ColumnElement[bool]:
        return and_(
            IdempotencyKey.organisation_id == self.organisation_id,
            IdempotencyKey.operation == self.operation,
            IdempotencyKey.key == self.key,
        )


CLAIM = text(
    """
    INSERT INTO idempotency_key (organisation_id, operation, key, fingerprint)
    VALUES (:organisation_id, :operation, :key, :fingerprint) ON CONFLICT DO NOTHING RETURNING 1
    """
)
KEEP = text(
    """
    UPDATE idempotency_key SET status = :status, body = :body
    WHERE organisation_id = :organisation_id AND operation = :operation AND key = :key
    """
)


def claim(session: Session, place: Place, *, body: bytes) -> Kept | None:
    """Take the key for this transaction, or give back the answer it got before."""
    if not (1 <= len(place.key) <= 255 and place.key.isascii() and place.key.isprintable()):
        raise KeyMalformed(pointer=HEADER)
    fingerprint = hashlib.sha256(body).digest()
    try:
        taken = session.execute(CLAIM, vars(place) | {"fingerprint": fingerprint}).first()
    except OperationalError as error:
        if sqlstate(error) == LOCK_NOT_AVAILABLE:  # the first request is still at work, and was waited for
            raise InFlight from error
        raise
    if taken:
        return None
    row = session.execute(
        select(IdempotencyKey.fingerprint, IdempotencyKey.status, IdempotencyKey.body).where(place.row())
    ).first()
    if row is None or row.status is None:
        raise InFlight
    if row.fingerprint != fingerprint:
        raise KeyReused(pointer=HEADER)
    return Kept(row.status, row.body or "")


def keep(session: Session, place: Place, *, status: int, body: str) -> None:
    """Keep the answer beside its effect."""
    session.execute(KEEP, vars(place) | {"status": status, "body": body})


def forget_old(session: Session, *, now: datetime, limit: int = 10_000) -> int:
    """Drop keys older than they are kept; returns how many."""
    row: ColumnElement[str] = literal_column("ctid")
    old = select(row).select_from(IdempotencyKey).where(IdempotencyKey.at < now - KEPT).limit(limit)
    return session.execute(delete(IdempotencyKey).where(row.in_(old))).rowcount  # type: ignore[attr-defined, no-any-return]
