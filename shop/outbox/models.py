"""Events, their deliveries, and the counters that number rows after commit."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as Uuid
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column


class Event(Model):
    """One announcement. `seen_by`: the organisations that may read it in the feed; `posted_no`: null until numbered."""

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_unnumbered", "id", postgresql_where=text("posted_no IS NULL")),
        Index("ix_event_seen_by", "seen_by", postgresql_using="gin"),
    )

    id: Mapped[UUID] = id_column()
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]]
    seen_by: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid(as_uuid=True)), default=list)
    at: Mapped[datetime]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    request_id: Mapped[str | None]
    posted_no: Mapped[int | None] = mapped_column(unique=True)


class DeliveryStatus(StrEnum):
    WAITING = "waiting"
    SENT = "sent"
    CLAIMED = "claimed"
    DONE = "done"
    PARKED = "parked"


OPEN = (DeliveryStatus.WAITING, DeliveryStatus.SENT, DeliveryStatus.CLAIMED)


class Delivery(Model):
    """One event for one consumer. `due_at` (machine time): when the bell rings again; a claim sets it to its lease.

    `done_for`: of a consumer with several recipients, the ids of those who have theirs (never an address).
    """

    __tablename__ = "delivery"
    __table_args__ = (
        CheckConstraint("status IN ('waiting', 'sent', 'claimed', 'done', 'parked')", name="status"),
        Index("ix_delivery_due", "due_at", postgresql_where=text("status IN ('waiting', 'sent', 'claimed')")),
        Index("ix_delivery_parked", "event_id", postgresql_where=text("status = 'parked'")),
        Index("ix_delivery_done", "done_at", postgresql_where=text("status = 'done'")),
        Index(
            "ix_delivery_parked_webhook",
            "due_at",
            postgresql_where=text("status = 'parked' AND consumer LIKE 'webhook:%'"),
        ),
        Index("ix_delivery_webhook", "consumer", "event_id", postgresql_where=text("consumer LIKE 'webhook:%'")),
    )

    event_id: Mapped[UUID] = mapped_column(ForeignKey("event.id"), primary_key=True)
    consumer: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(default=DeliveryStatus.WAITING)
    due_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    attempts: Mapped[int] = mapped_column(default=0)
    token: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None]
    done_at: Mapped[datetime | None]
    done_for: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid(as_uuid=True)), default=list, server_default=text("'{}'"))


class EndpointStatus(StrEnum):
    ACTIVE = "active"
    DISABLED = "disabled"


class WebhookEndpoint(Model):
    """An address of an organisation that hears its events. Its secret is made from its id and kept nowhere.

    `kinds` holds `*` for every kind. `failures` counts failures in a row; while they go on, no call is made before
    `rest_until` (machine time). `is_private` marks an address on this machine's own network, refused in production.
    """

    __tablename__ = "webhook_endpoint"
    __table_args__ = (
        CheckConstraint("status IN ('active', 'disabled')", name="status"),
        UniqueConstraint("organisation_id", "url"),
        Index("ix_webhook_endpoint_active", "organisation_id", postgresql_where=text("status = 'active'")),
    )

    id: Mapped[UUID] = id_column()
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    url: Mapped[str]
    kinds: Mapped[list[str]] = mapped_column(ARRAY(Text))
    status: Mapped[str] = mapped_column(default=EndpointStatus.ACTIVE)
    is_private: Mapped[bool] = mapped_column(default=False)
    failures: Mapped[int] = mapped_column(default=0)
    rest_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class Numbering(Model):
    """The last number given to a kind of row."""

    __tablename__ = "numbering"

    name: Mapped[str] = mapped_column(primary_key=True)
    last: Mapped[int] = mapped_column(default=0)
