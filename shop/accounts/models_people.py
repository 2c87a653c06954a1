"""What brings people in and proves who they are: invitations, confirmations, the second step of log-in.

No row here holds a secret. The token of a link, the digits of a code and the key of an authenticator are made from the
row's id with the shop's secret key whenever they are needed (`shop.accounts.secrets`); who reads the table has nothing.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, LargeBinary, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Model, id_column


class Channel(StrEnum):
    """How somebody is reached."""

    MAIL = "mail"
    TEXT = "text"
    IN_PERSON = "in_person"


class Purpose(StrEnum):
    """What a confirmation allows."""

    RESET = "reset"
    CONTACT = "contact"


class Invitation(Model):
    """A person is asked to act for an organisation; used once, before it expires. All its instants are machine time.

    `inviter_id`: the membership that asked, null for the shop itself.
    """

    __tablename__ = "invitation"
    __table_args__ = (
        CheckConstraint("channel IN ('mail', 'text')", name="channel"),
        CheckConstraint("accepted_at IS NULL OR withdrawn_at IS NULL", name="one_end"),
        Index(
            "ix_invitation_open",
            "organisation_id",
            "user_id",
            unique=True,
            postgresql_where=text("accepted_at IS NULL AND withdrawn_at IS NULL"),
        ),
        Index("ix_invitation_organisation", "organisation_id", "id"),
    )

    id: Mapped[UUID] = id_column()
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"), index=True)
    inviter_id: Mapped[UUID | None] = mapped_column(ForeignKey("membership.id"), index=True)
    channel: Mapped[str]
    roles: Mapped[list[str]] = mapped_column(ARRAY(Text))
    regions: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list)
    order_limit_fen: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    expires_at: Mapped[datetime] = mapped_column(index=True)
    accepted_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]


class Confirmation(Model):
    """A proof that was asked for: a code or a link for one purpose, used once, before it expires or is guessed at.

    `user_id` is null where nobody has the log-in that was named: the same row is written, so that nothing tells.
    `letters`: its code is a long one. `drops_two_step`: a reset in person that takes the second step away too.
    """

    __tablename__ = "confirmation"
    __table_args__ = (
        CheckConstraint("channel IN ('mail', 'text', 'in_person')", name="channel"),
        CheckConstraint("purpose IN ('reset', 'contact')", name="purpose"),
    )

    id: Mapped[UUID] = id_column()
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"), index=True)
    purpose: Mapped[str]
    channel: Mapped[str]
    letters: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    drops_two_step: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    expires_at: Mapped[datetime] = mapped_column(index=True)
    tries: Mapped[int] = mapped_column(default=0)
    used_at: Mapped[datetime | None]


class TwoStep(Model):
    """A person's authenticator, in force once confirmed. `last_counter`: the step whose code was used last."""

    __tablename__ = "two_step"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"), primary_key=True)
    enrolment_id: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    confirmed_at: Mapped[datetime | None]
    last_counter: Mapped[int] = mapped_column(default=0)


class RecoveryCode(Model):
    """A code for the day the authenticator is lost, used once; only a keyed hash of it is kept."""

    __tablename__ = "recovery_code"
    __table_args__ = (Index("ix_recovery_code_used_at", "used_at", postgresql_where=text("used_at IS NOT NULL")),)

    id: Mapped[UUID] = id_column()
    user_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"), index=True)
    code_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    used_at: Mapped[datetime | None]
