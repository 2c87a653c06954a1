"""Let another organisation buy for a unit: the caterer of its canteen, or its trade union."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from shop.accounts import queries_units as queries
from shop.accounts.models import BudgetUnit, Kind, Organisation
from shop.accounts.models_units import MANDATE_NEXT, BuyingMandate, MandateKind, MandateStatus, UnitClosed
from shop.accounts.schemas_units import NewCatererMandate, NewUnionMandate
from shop.actor import Actor
from shop.audit import service as audit
from shop.clock import business_day
from shop.db import moved, unless_taken
from shop.errors import Invalid, NotFound, Refusal
from shop.outbox import service as outbox

TAKEN = "There is a mandate for some of these days already."


class NotAUnion(Refusal):
    code, status = "not_a_trade_union", 409
    title, title_zh = "Only a trade union names the unit that it counts for.", "只有工会组织可以登记所属预算单位。"


class WrongMandateStatus(Refusal):
    """`mandate_status` says where it is."""

    code, status = "wrong_mandate_status", 409
    title, title_zh = "This mandate cannot become that now.", "该授权当前状态不允许此操作。"


def days(start: date, end: date | None) -> Range[date]:
    if end is not None and end <= start:
        raise Invalid("The mandate ends after it begins.", pointer="/to")
    return Range(start, end)


def give(session: Session, *, by: Actor, wanted: NewCatererMandate, now: datetime) -> BuyingMandate:
    """Let the caterer with this code order for a unit of the actor's, from a day to a day (half-open)."""
    queries.require_active(session, by)
    if queries.own_unit(session, by, wanted.unit_id).status != "open":
        raise UnitClosed(pointer="/unit_id")
    caterer = queries.buyer_by_code(session, wanted.uscc, kinds=[Kind.ENTERPRISE], pointer="/uscc")
    if caterer == by.organisation_id:
        raise Invalid("An organisation needs no mandate for its own units.", pointer="/uscc")
    made = BuyingMandate(
        kind=MandateKind.CATERER,
        unit_id=wanted.unit_id,
        organisation_id=caterer,
        valid=days(wanted.start, wanted.end),
        document=wanted.document,
        status=MandateStatus.ACTIVE,
        created_at=now,
    )
    return keep(session, by, made, caterer, now)


def propose(session: Session, *, by: Actor, wanted: NewUnionMandate, now: datetime) -> BuyingMandate:
    """A union names the unit that it counts for; the unit's manager confirms it before it counts."""
    queries.require_active(session, by)
    if session.scalar(select(Organisation.kind).where(Organisation.id == by.organisation_id)) != Kind.TRADE_UNION:
        raise NotAUnion
    owner = session.execute(
        select(BudgetUnit.organisation_id, BudgetUnit.status).where(BudgetUnit.id == wanted.unit_id)
    ).first()
    if owner is None:
        raise NotFound("No such budget unit.")
    if owner.status != "open":
        raise UnitClosed(pointer="/unit_id")
    if owner.organisation_id == by.organisation_id:
        raise Invalid("An organisation needs no mandate for its own units.", pointer="/unit_id")
    made = BuyingMandate(
        kind=MandateKind.UNION,
        unit_id=wanted.unit_id,
        organisation_id=by.organisation_id,
        valid=days(wanted.start, wanted.end),
        document=wanted.document,
        status=MandateStatus.PROPOSED,
        created_at=now,
    )
    return keep(session, by, made, owner.organisation_id, now)


def keep(session: Session, by: Actor, made: BuyingMandate, told: UUID, now: datetime) -> BuyingMandate:
    with unless_taken(session, Invalid(TAKEN, pointer="/from")):
        session.add(made)
    audit.record(session, by=by, action=made.status, kind="buying_mandate", subject=made.id, now=now)
    tell(session, made, told, now)
    return made


def tell(session: Session, mandate: BuyingMandate, told: UUID, now: datetime) -> None:
    outbox.announce(
        session,
        f"buying_mandate.{mandate.status}",
        now=now,
        seen_by=[told],
        mandate_id=mandate.id,
        unit_id=mandate.unit_id,
    )


def seen(session: Session, by: Actor, mandate_id: UUID) -> tuple[BuyingMandate, bool]:
    """A mandate that the actor's organisation gave or holds, and whether it is the one that has the unit."""
    row = session.execute(queries.visible_mandates(by).where(BuyingMandate.id == mandate_id)).first()
    if row is None:
        raise NotFound("No such mandate of yours.")
    mandate: BuyingMandate = row[0]
    return mandate, mandate.organisation_id != by.organisation_id


def answer(session: Session, *, by: Actor, mandate_id: UUID, accept: bool, now: datetime) -> BuyingMandate:
    """Confirm or decline what a union proposed, as the manager of the unit."""
    queries.require_active(session, by)
    mandate, has_the_unit = seen(session, by, mandate_id)
    if not has_the_unit:
        raise NotFound("No such mandate to answer.")
    become(session, by, mandate, MandateStatus.ACTIVE if accept else MandateStatus.DECLINED, now)
    if accept:
        tell(session, mandate, mandate.organisation_id, now)
    return mandate


def end(session: Session, *, by: Actor, mandate_id: UUID, now: datetime) -> BuyingMandate:
    """End a mandate from today on, as either side of it; what was ordered under it counts on.

    What a union proposed and nobody answered it withdraws by this; the unit's side declines it instead.
    """
    mandate, has_the_unit = seen(session, by, mandate_id)
    if has_the_unit and mandate.status == MandateStatus.PROPOSED:
        raise WrongMandateStatus("Decline what was proposed.", mandate_status=mandate.status)
    return become(session, by, mandate, MandateStatus.ENDED, now)


def become(session: Session, by: Actor, mandate: BuyingMandate, to: MandateStatus, now: datetime) -> BuyingMandate:
    if not moved(session, mandate, to, MANDATE_NEXT):
        raise WrongMandateStatus(mandate_status=mandate.status)
    audit.record(
        session, by=by, action=str(to), kind="buying_mandate", subject=mandate.id, now=now, on=str(business_day(now))
    )
    return mandate
