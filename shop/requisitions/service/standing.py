"""Standing orders: make, change, pause, take up again, end."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.audit import service as audit
from shop.clock import business_day
from shop.errors import Invalid, Refusal, VersionConflict
from shop.orders.schemas import PlaceOrder
from shop.orders.service import quoting
from shop.requisitions import queries_lists
from shop.requisitions import queries_standing as queries
from shop.requisitions.models_standing import StandingOrder
from shop.requisitions.schemas_standing import StandingIn, standing_fields
from shop.requisitions.service.drafting import VersionMissing


class WrongStandingStatus(Refusal):
    code, status = "wrong_standing_status", 409
    title, title_zh = "This standing order cannot become that now.", "周期订单当前状态不允许此操作。"


def make(session: Session, *, by: Actor, wanted: StandingIn, now: datetime) -> UUID:
    """Have a list ordered again and again in the actor's name; gives the id."""
    check(session, by, wanted, now)
    made = StandingOrder(
        organisation_id=by.organisation_id, membership_id=by.membership_id, status="active", version=1, made_at=now,
        **standing_fields(wanted),
    )  # fmt: skip
    session.add(made)
    session.flush()
    note(session, made, "standing_order.made", by=by, now=now)
    return made.id


def change(
    session: Session, *, standing_id: UUID, by: Actor, wanted: StandingIn, version: str | None, now: datetime
) -> None:
    """Replace what is ordered, at the version that was read; from then on it is ordered in the actor's name."""
    if version is None:
        raise VersionMissing(pointer="/header/If-Match")
    row = queries.one(session, by, standing_id, lock=True)
    if version != str(row.version):
        raise VersionConflict(f"The standing order is at version {row.version} now.", version=row.version)
    if row.status == "ended":
        raise WrongStandingStatus(standing_status=row.status)
    check(session, by, wanted, now)
    for name, value in standing_fields(wanted).items():
        setattr(row, name, value)
    row.membership_id, row.version = by.membership_id, row.version + 1
    session.flush()
    note(session, row, "standing_order.changed", by=by, now=now)


def pause(session: Session, *, standing_id: UUID, by: Actor, now: datetime) -> None:
    """Order nothing until it is taken up again."""
    row = queries.one(session, by, standing_id, lock=True)
    if row.status != "active":
        raise WrongStandingStatus(standing_status=row.status)
    row.status = "paused"
    session.flush()
    note(session, row, "standing_order.paused", by=by, now=now)


def resume(session: Session, *, standing_id: UUID, by: Actor, now: datetime) -> None:
    """Take it up again in the actor's name; cycles whose day has passed are left out."""
    row = queries.one(session, by, standing_id, lock=True)
    if row.status != "paused":
        raise WrongStandingStatus(standing_status=row.status)
    today = business_day(now)
    late = (today - row.run_on).days
    if late > 0:
        row.run_on += timedelta(days=-(-late // row.every_days) * row.every_days)
    row.status, row.paused_because, row.membership_id = "active", None, by.membership_id
    if row.ends_on is not None and row.run_on > row.ends_on:
        row.status = "ended"
    session.flush()
    note(session, row, "standing_order.resumed", by=by, now=now)


def end(session: Session, *, standing_id: UUID, by: Actor, now: datetime) -> None:
    """Order it no more; what was ordered stays."""
    row = queries.one(session, by, standing_id, lock=True)
    if row.status == "ended":
        raise WrongStandingStatus(standing_status=row.status)
    row.status, row.paused_because = "ended", None
    session.flush()
    note(session, row, "standing_order.ended", by=by, now=now)


def check(session: Session, by: Actor, wanted: StandingIn, now: datetime) -> None:
    """What it is refused for: a list, unit or place of another, and a first day that has passed."""
    today = business_day(now)
    if wanted.run_on < today:
        raise Invalid("The first day has passed.", pointer="/run_on")
    queries_lists.one(session, by, wanted.list_id, pointer="/list_id")
    quoting.whose_and_where(
        session,
        by,
        PlaceOrder.model_construct(
            budget_unit_id=wanted.budget_unit_id,
            delivery_address_id=wanted.delivery_address_id,
            purpose=wanted.purpose,
        ),
        today,
    )


def note(session: Session, row: StandingOrder, action: str, *, by: Actor, now: datetime) -> None:
    audit.record(
        session, by=by, action=action, kind="standing_order", subject=row.id, now=now, version=row.version,
        run_on=row.run_on.isoformat(), every_days=row.every_days,
    )  # fmt: skip
