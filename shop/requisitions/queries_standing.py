"""Which standing orders there are, which are due, and what became of their runs."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.errors import NotFound
from shop.requisitions.models_standing import StandingOrder, StandingRun, StandingRunLine


def visible_to(actor: Actor) -> Select[StandingOrder]:
    return select(StandingOrder).where(StandingOrder.organisation_id == actor.organisation_id)


def one(session: Session, actor: Actor, standing_id: UUID, *, lock: bool = False) -> StandingOrder:
    """One of the institution's standing orders, or NotFound."""
    wanted = visible_to(actor).where(StandingOrder.id == standing_id).execution_options(populate_existing=True)
    found = session.scalars(wanted.with_for_update() if lock else wanted).first()
    if found is None:
        raise NotFound("No such standing order of yours.")
    return found


def next_due(session: Session, on: date) -> StandingOrder | None:
    """The standing order that has been due for longest, locked; what another worker has in hand is left to it."""
    return session.scalars(
        select(StandingOrder)
        .where(StandingOrder.status == "active", StandingOrder.run_on <= on)
        .order_by(StandingOrder.run_on, StandingOrder.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).first()


def runs_of(standing_id: UUID) -> Select[StandingRun]:
    return select(StandingRun).where(StandingRun.standing_order_id == standing_id)


def lines_of(session: Session, run_ids: Sequence[UUID]) -> dict[UUID, list[StandingRunLine]]:
    """The lines of these runs, in one statement."""
    found: dict[UUID, list[StandingRunLine]] = {key: [] for key in run_ids}
    for line in session.scalars(
        select(StandingRunLine)
        .where(StandingRunLine.run_id.in_(run_ids))
        .order_by(StandingRunLine.run_id, StandingRunLine.place)
    ):
        found[line.run_id].append(line)
    return found
