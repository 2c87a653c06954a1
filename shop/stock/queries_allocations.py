"""Allocations: the rule of a day, and who may read which share."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import Select, false, select
from sqlalchemy.orm import Session

from shop.actor import Actor, Audience
from shop.catalogue.models import Listing
from shop.errors import NotFound
from shop.stock.models_allocations import Allocation, AllocationRule, AllocationShare, Rule


def rule_on(session: Session, cooperative_id: UUID, on: date) -> tuple[Rule, bool]:
    """The rule of a cooperative on a day, and whether it declared one; pro rata without."""
    found = session.scalar(
        select(AllocationRule.rule).where(
            AllocationRule.cooperative_id == cooperative_id, AllocationRule.valid.contains(on)
        )
    )
    return (Rule(found), True) if found else (Rule.PRO_RATA, False)


def rules(session: Session, actor: Actor) -> Sequence[AllocationRule]:
    """What the actor's cooperative declared, newest first."""
    mine = AllocationRule.cooperative_id == actor.organisation_id
    return session.scalars(select(AllocationRule).where(mine).order_by(AllocationRule.id.desc())).all()


def pack_of(session: Session, listing_id: UUID) -> int:
    """The base units of a pack of a listing."""
    return session.execute(select(Listing.pack_base_quantity).where(Listing.id == listing_id)).scalar_one()


def visible_shares(actor: Actor) -> Select[AllocationShare]:
    """The shares that an actor may know of: a buyer's own, or all of a cooperative's goods."""
    match actor.audience:
        case Audience.BUYER:
            return select(AllocationShare).where(AllocationShare.buyer_id == actor.organisation_id)
        case Audience.COOPERATIVE:
            return select(AllocationShare).where(AllocationShare.cooperative_id == actor.organisation_id)
    return select(AllocationShare).where(false())


def allocation(session: Session, actor: Actor, allocation_id: UUID) -> tuple[Allocation, Sequence[AllocationShare]]:
    """An allocation with the shares that the actor may know of, or NotFound."""
    wanted = visible_shares(actor).where(AllocationShare.allocation_id == allocation_id)
    shares: Sequence[AllocationShare] = session.scalars(wanted.order_by(AllocationShare.line_id)).all()
    if not shares:
        raise NotFound
    return session.get_one(Allocation, allocation_id), shares
