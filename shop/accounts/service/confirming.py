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
    session: Session,
    *,
    user_id: UUID | None,
    purpose: Purpose,
    channel: Channel,
    drops_two_step: bool = False,
    letters: bool = False,
    keeps_open: bool = False,
) -> UUID:
    """A new confirmation in place of older ones that came the same way; gives its id.

    `letters`: its code is a long one that any number of tries will not find. `keeps_open`: while such a one is open it
    stands, and the new one is used up already: nothing is sent for it.
    """
    open_one = still_open(purpose).where(
        Confirmation.user_id == literal(user_id, Uuid),
        Confirmation.channel == channel,
        Confirmation.letters == letters,
    )
    stands = session.scalars(open_one.limit(1)).first() is not None and keeps_open
    end(session, user_id=user_id, purpose=purpose, channel=channel, keeps=stands)
    made: UUID = session.execute(
        insert(Confirmation)
        .values(
            id=new_id(),
            user_id=user_id,
            purpose=purpose,
            channel=channel,
            drops_two_step=drops_two_step,
            letters=letters,
            tries=0,
            used_at=func.clock_timestamp() if stands else None,
            expires_at=func.clock_timestamp() + LIFE[channel],
        )
        .returning(Confirmation.id)
    ).scalar_one()
    return made


def end(
    session: Session, *, user_id: UUID | None, purpose: Purpose, channel: Channel | None = None, keeps: bool = False
) -> None:
    """End what is open of a person's confirmations, those of one channel or all; with `keeps`, do no more than ask."""
    ended = update(Confirmation).where(
        literal(not keeps),
        Confirmation.user_id == literal(user_id, Uuid),
        Confirmation.purpose == purpose,
        Confirmation.used_at.is_(None),
    )
    if channel is not None:
        ended = ended.where(Confirmation.channel == channel)
    session.execute(ended.values(used_at=func.clock_timestamp()).execution_options(synchronize_session=False))


def code_of(confirmation: Confirmation) -> str:
    """The code that was sent or handed over: digits, or two groups of letters."""
    if confirmation.channel == Channel.TEXT and not confirmation.letters:
        return secrets.digits_of(confirmation.id)
    letters = secrets.letters_of(confirmation.id)
    return f"{letters[:4]}-{letters[4:]}"


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
        if compare_digest(code_of(row).replace("-", "").encode(), plain.encode()):
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
