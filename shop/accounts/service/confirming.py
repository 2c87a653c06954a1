"""Codes and links that prove something once: asked for, guessed at, redeemed. All their times are machine time."""

from datetime import timedelta
from hmac import compare_digest
from uuid import UUID

from sqlalchemy import Select, Uuid, func, insert, literal, select, update
from sqlalchemy.orm import Session

from shop.accounts import secrets
from shop.accounts.models_people import Channel, Confirmation, Purpose
from shop.ids import new_id

LIFE = {Channel.TEXT: timedelta(minutes=10), Channel.MAIL: timedelta(minutes=10), Channel.IN_PERSON: timedelta(hours=1)}
"""How long a code or link works; since 2024."""
TRIES = 5
"""How many wrong codes whoever asked for one may give; others are counted as they are at log-in."""


def ask(
    session: Session, *, user_id: UUID | None, purpose: Purpose, channel: Channel, drops_two_step: bool = False
) -> UUID:
    """A new confirmation in place of older ones that came the same way; gives its id."""
    session.execute(
        update(Confirmation)
        .where(
            Confirmation.user_id == literal(user_id, Uuid),
            Confirmation.purpose == purpose,
            (Confirmation.channel == Channel.IN_PERSON) == (channel is Channel.IN_PERSON),
            Confirmation.used_at.is_(None),
        )
        .values(used_at=func.clock_timestamp())
        .execution_options(synchronize_session=False)
    )
    made: UUID = session.execute(
        insert(Confirmation)
        .values(
            id=new_id(),
            user_id=user_id,
            purpose=purpose,
            channel=channel,
            drops_two_step=drops_two_step,
            tries=0,
            expires_at=func.clock_timestamp() + LIFE[channel],
        )
        .returning(Confirmation.id)
    ).scalar_one()
    return made


def still_open(purpose: Purpose) -> Select[Confirmation]:
    return select(Confirmation).where(
        Confirmation.purpose == purpose,
        Confirmation.used_at.is_(None),
        Confirmation.expires_at > func.clock_timestamp(),
        Confirmation.user_id.is_not(None),
    )


def by_link(session: Session, *, token: str, link: str, purpose: Purpose) -> Confirmation | None:
    """The open confirmation that a link is about."""
    row_id = secrets.row_of(link, token)
    wanted = still_open(purpose).where(Confirmation.id == row_id, Confirmation.channel == Channel.MAIL)
    return session.scalars(wanted).first()


def by_code(session: Session, *, user_id: UUID | None, code: str, purpose: Purpose) -> Confirmation | None:
    """The open confirmation of a person that a code is of."""
    plain = "".join(code.split()).replace("-", "").upper()
    wanted = still_open(purpose).where(
        Confirmation.user_id == literal(user_id, Uuid), Confirmation.channel != Channel.MAIL
    )
    rows = session.scalars(wanted).all()
    for row in rows:
        right = secrets.digits_of(row.id) if row.channel == Channel.TEXT else secrets.letters_of(row.id)
        if compare_digest(right.encode(), plain.encode()):
            return row
    return None


def asked(session: Session, confirmation_id: UUID | None, *, user_id: UUID | None) -> Confirmation | None:
    """What somebody asked for, held, by whom their tries are counted: until it expires or was tried too often.

    It need not be the code that they give: a stranger who asks meanwhile makes it a newer one.
    """
    return session.scalars(
        select(Confirmation)
        .where(
            Confirmation.id == confirmation_id,
            Confirmation.user_id.is_not_distinct_from(literal(user_id, Uuid)),
            Confirmation.purpose == Purpose.RESET,
            Confirmation.tries < TRIES,
            Confirmation.expires_at > func.clock_timestamp(),
        )
        .with_for_update()
    ).first()


def redeem(session: Session, confirmation_id: UUID) -> Confirmation | None:
    """Use a confirmation up; None when it was used or expired meanwhile."""
    return session.scalars(
        update(Confirmation)
        .where(
            Confirmation.id == confirmation_id,
            Confirmation.used_at.is_(None),
            Confirmation.expires_at > func.clock_timestamp(),
        )
        .values(used_at=func.clock_timestamp())
        .returning(Confirmation)
        .execution_options(populate_existing=True, synchronize_session=False)
    ).first()
