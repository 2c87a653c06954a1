"""The right to sell: granted, renewed, suspended, reinstated, revoked, and what happens when its time passes.

`organisation.selling_until` and its status say in one place, in the same commit, whether a seller takes new orders.
What was ordered before runs to its end whatever becomes of the right.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, select, text, update
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from shop.accounts.models import SELLERS, Organisation
from shop.accounts.models_admission import (
    Application,
    DeclaredCapacity,
    SellingHistory,
    SellingRight,
    SellingSuspension,
)
from shop.accounts.service.numbering import next_number
from shop.actor import SYSTEM, Actor
from shop.audit import service as audit
from shop.audit.models import AuditEntry
from shop.clock import business_day
from shop.db import insert_rows
from shop.errors import Invalid, NotFound, Refusal
from shop.ids import new_id
from shop.ledger.service import PLATFORM_ID
from shop.outbox import service as outbox
from shop.outbox.models import Event

NO_END = date(9999, 12, 31)
TERMS: Sequence[tuple[date, int]] = ((date(1996, 1, 1), 12),)
"""From which day on a right is granted for how many months; the last term that has begun counts."""
REMINDED_BEFORE = timedelta(days=30)
AT_ONCE = 500
NUMBERED_AS = "XS"


class WrongSellingStatus(Refusal):
    code, status = "wrong_selling_status", 409
    title, title_zh = "The right to sell cannot do that now.", "该销售资格当前状态不允许此操作。"


def months_later(day: date, months: int) -> date:
    """The same day so many months later; the first of the next month where that month is too short for it."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    try:
        return date(year, month + 1, day.day)
    except ValueError:
        return date(year, month + 2, 1)


def term_of(begins: date, today: date) -> date:
    """The first day after a right that begins on a day and is given today."""
    return months_later(begins, [months for since, months in TERMS if since <= today][-1])


def give(
    session: Session,
    *,
    organisation_id: UUID,
    begins: date,
    ends: date,
    by: Actor,
    now: datetime,
    application_id: UUID | None = None,
    what: str = "granted",
) -> SellingRight:
    """A right to sell over `[begins, ends)` with its number; the organisation may sell until then."""
    right = SellingRight(
        number=next_number(session, PLATFORM_ID, NUMBERED_AS, business_day(now).year),
        organisation_id=organisation_id,
        application_id=application_id,
        valid=Range(begins, ends),
        granted_at=now,
    )
    session.add(right)
    organisation = session.get_one(Organisation, organisation_id, with_for_update=True, populate_existing=True)
    organisation.selling_until = ends
    if organisation.status == "applying":
        organisation.status = "active"
    session.flush()
    note(session, organisation_id, what, by=by, now=now, right_id=right.id, until=ends)
    return right


def grant(session: Session, *, application: Application, by: Actor, now: datetime) -> SellingRight:
    """The right that an approved application gives; a re-check's follows the one that runs, without a gap."""
    today = business_day(now)
    last = session.scalar(
        select(func.max(func.upper(SellingRight.valid))).where(
            SellingRight.organisation_id == application.organisation_id, ~func.isempty(SellingRight.valid)
        )
    )
    begins = max(today, last) if last else today
    ends = term_of(begins, today)
    session.execute(
        update(DeclaredCapacity)
        .where(DeclaredCapacity.organisation_id == application.organisation_id, DeclaredCapacity.current)
        .values(current=False)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(DeclaredCapacity)
        .where(DeclaredCapacity.application_id == application.id)
        .values(current=True)
        .execution_options(synchronize_session=False)
    )
    return give(
        session,
        organisation_id=application.organisation_id,
        begins=begins,
        ends=ends,
        by=by,
        now=now,
        application_id=application.id,
        what="renewed" if last else "granted",
    )


def note(session: Session, organisation_id: UUID, what: str, **more: Any) -> None:
    """Keep what happened to one right; `more` is what `noted` takes."""
    keep(session, [noted(organisation_id, what, **more)])


def noted(
    organisation_id: UUID,
    what: str,
    *,
    by: Actor,
    now: datetime,
    right_id: UUID | None = None,
    reason: str | None = None,
    until: date | None = None,
) -> tuple[dict[str, Any], ...]:
    """What happened to a right as rows: of its history, of the audit, and the event that others may hear."""
    history = {
        "id": new_id(),
        "organisation_id": organisation_id,
        "right_id": right_id,
        "what": what,
        "reason": reason,
        "until": until,
        "by_user_id": by.user_id,
        "at": now,
    }
    kind = f"selling_right.{what}"
    entry = audit.row_of(
        by=by, action=kind, kind="organisation", subject=organisation_id, now=now, reason=reason,
        until=until.isoformat() if until else None,
    )  # fmt: skip
    return history, entry, outbox.row_of(kind, now=now, seen_by=[organisation_id], organisation_id=organisation_id)


def keep(session: Session, rows: Sequence[tuple[dict[str, Any], ...]]) -> None:
    """Insert what was noted of any number of rights in one statement."""
    session.flush()  # the rights that the history names
    if rows:
        history, entries, events = zip(*rows, strict=True)
        insert_rows(session, (SellingHistory, history), (AuditEntry, entries), (Event, events))


def moved(session: Session, organisation_id: UUID, *conditions: Any, **values: Any) -> None:
    """Change a seller by one conditional UPDATE: NotFound for what is no seller, else WrongSellingStatus."""
    done = session.execute(
        update(Organisation)
        .where(Organisation.id == organisation_id, Organisation.kind.in_(SELLERS), *conditions)
        .values(**values)
        .returning(Organisation.id)
        .execution_options(synchronize_session="fetch")
    ).first()
    if done is not None:
        return
    seller = session.execute(
        select(Organisation.status).where(Organisation.id == organisation_id, Organisation.kind.in_(SELLERS))
    ).scalar_one_or_none()
    if seller is None:
        raise NotFound("No such seller.")
    raise WrongSellingStatus(status_now=seller)


def suspend(
    session: Session, *, organisation_id: UUID, reason: str, until: date | None, by: Actor, now: datetime
) -> None:
    """Stop new orders of a seller, until a day or until it is lifted; orders under way run on."""
    if until is not None and until <= business_day(now):
        raise Invalid("The suspension ends before it begins.", pointer="/until")
    moved(session, organisation_id, Organisation.status == "active", status="suspended")
    session.add(SellingSuspension(organisation_id=organisation_id, reason=reason, until=until, began_at=now))
    note(session, organisation_id, "suspended", by=by, now=now, reason=reason, until=until)


def reinstate(session: Session, *, organisation_id: UUID, reason: str | None, by: Actor, now: datetime) -> None:
    """Let a suspended seller sell again, as long as the right itself still runs."""
    moved(session, organisation_id, Organisation.status == "suspended", status="active")
    session.execute(
        update(SellingSuspension)
        .where(SellingSuspension.organisation_id == organisation_id, SellingSuspension.ended_at.is_(None))
        .values(ended_at=now)
        .execution_options(synchronize_session=False)
    )
    note(session, organisation_id, "reinstated", by=by, now=now, reason=reason)


def revoke(session: Session, *, organisation_id: UUID, reason: str, by: Actor, now: datetime) -> None:
    """Take the right away for good; to sell again the seller applies anew."""
    today = business_day(now)
    moved(
        session,
        organisation_id,
        Organisation.selling_until.is_not(None),
        selling_until=None,
        status=case((Organisation.status == "suspended", "active"), else_=Organisation.status),
    )
    session.execute(
        update(SellingSuspension)
        .where(SellingSuspension.organisation_id == organisation_id, SellingSuspension.ended_at.is_(None))
        .values(ended_at=now)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        text(
            "UPDATE selling_right SET ended_at = :now, valid = valid * daterange(NULL, :today)"
            " WHERE organisation_id = :organisation AND ended_at IS NULL"
        ),
        {"now": now, "today": today, "organisation": organisation_id},
    )
    note(session, organisation_id, "revoked", by=by, now=now, reason=reason)


DUE = text(
    """
    SELECT r.id, r.organisation_id, upper(r.valid) AS ends, o.selling_until
    FROM selling_right r JOIN organisation o ON o.id = r.organisation_id
    WHERE r.ended_at IS NULL AND upper(r.valid) <= :by AND (upper(r.valid) <= :today OR r.reminded_at IS NULL)
    ORDER BY upper(r.valid), r.id LIMIT :limit FOR UPDATE OF r SKIP LOCKED
    """
)


def pass_time(session: Session, *, now: datetime) -> int:
    """Do what is due: lift suspensions whose end has come, remind of rights that end in 30 days, end those that did.

    A right that another one follows ends without a word. Gives how many were done.
    """
    today = business_day(now)
    over = session.scalars(
        select(SellingSuspension)
        .where(SellingSuspension.ended_at.is_(None), SellingSuspension.until <= today)
        .order_by(SellingSuspension.id)
        .limit(AT_ONCE)
        .with_for_update(skip_locked=True)
    ).all()
    for suspension in over:
        try:
            reinstate(session, organisation_id=suspension.organisation_id, reason=None, by=SYSTEM, now=now)
        except WrongSellingStatus:  # the seller was closed meanwhile
            suspension.ended_at = now
    session.flush()
    due = session.execute(DUE, {"by": today + REMINDED_BEFORE, "today": today, "limit": AT_ONCE}).all()
    for what, column in (("expired", "ended_at"), ("reminded", "reminded_at")):
        rows = [row for row in due if (row.ends <= today) == (what == "expired")]
        session.execute(
            update(SellingRight)
            .where(SellingRight.id.in_([row.id for row in rows]))
            .values(**{column: now})
            .execution_options(synchronize_session=False)
        )
        keep(
            session,
            [
                noted(row.organisation_id, what, by=SYSTEM, now=now, right_id=row.id, until=row.ends)
                for row in rows
                if row.selling_until == row.ends
            ],
        )
    return len(over) + len(due)
