"""Take a unit of another organisation into a tree: the supervising unit offers, the other organisation answers."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from shop.accounts import queries_units as queries
from shop.accounts.models import BUYERS
from shop.accounts.models_units import LINK_NEXT, LinkStatus, UnitLink
from shop.accounts.service.managing_units import open_unit, put_below
from shop.actor import Actor
from shop.audit import service as audit
from shop.db import moved, unless_taken
from shop.errors import Invalid, NotFound, Refusal
from shop.outbox import service as outbox


class LinkAnswered(Refusal):
    """`link_status` says how."""

    code, status = "link_answered", 409
    title, title_zh = "This offer was answered or withdrawn.", "该隶属邀请已被处理。"


def offer(session: Session, *, by: Actor, parent_id: UUID, uscc: str, now: datetime) -> UnitLink:
    """Ask the organisation with this code to hang one of its units below `parent_id`."""
    queries.require_active(session, by)
    open_unit(session, by, parent_id)
    organisation_id = queries.buyer_by_code(session, uscc, kinds=BUYERS, pointer="/uscc")
    if organisation_id == by.organisation_id:
        raise Invalid("Units of your own organisation are moved, not linked.", pointer="/uscc")
    made = UnitLink(
        parent_id=parent_id, organisation_id=organisation_id, offered_by_id=by.organisation_id, offered_at=now
    )
    with unless_taken(session, Invalid("This organisation was asked already.", pointer="/uscc")):
        session.add(made)
    audit.record(session, by=by, action="offer", kind="unit_link", subject=made.id, now=now)
    outbox.announce(session, "unit_link.offered", now=now, seen_by=[organisation_id], link_id=made.id)
    return made


def answer(
    session: Session, *, by: Actor, link_id: UUID, to: LinkStatus, unit_id: UUID | None = None, now: datetime
) -> UnitLink:
    """Accept with a unit of one's own, decline, or (who offered) withdraw.

    What is accepted hangs below the parent from now on, with all that stands below it.
    """
    queries.require_active(session, by)
    row = session.execute(queries.visible_links(by).where(UnitLink.id == link_id)).first()
    if row is None:
        raise NotFound("No such offer to you.")
    link: UnitLink = row[0]
    answers_it = link.offered_by_id if to is LinkStatus.WITHDRAWN else link.organisation_id
    if answers_it != by.organisation_id:
        raise NotFound("No such offer to you.")
    if to is LinkStatus.ACCEPTED:
        if unit_id is None:
            raise Invalid("Name the unit that is to stand below.", pointer="/unit_id")
        unit = queries.own_unit(session, by, unit_id)
        if unit.parent_id is not None:
            raise Invalid("This unit has a supervising unit already.", pointer="/unit_id")
    if not moved(session, link, to, LINK_NEXT, unit_id=unit_id, answered_at=now):
        raise LinkAnswered(link_status=link.status)
    if unit_id is not None:
        queries.lock_trees(session, unit_id, link.parent_id)
        if queries.own_unit(session, by, unit_id).parent_id is not None:
            raise Invalid("This unit has a supervising unit already.", pointer="/unit_id")
        put_below(session, link.parent_id, unit_id, pointer="/unit_id")
    session.refresh(link)
    audit.record(session, by=by, action=str(to), kind="unit_link", subject=link_id, now=now)
    return link
