"""Change what a member may do, and end a membership."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Text, and_, any_, literal, or_, select, update
from sqlalchemy.orm import Session

from shop.accounts.models import Membership, Organisation
from shop.accounts.service.ending import end_memberships
from shop.accounts.service.inviting import check_powers
from shop.actor import Actor, Audience, Role
from shop.audit import service as audit
from shop.errors import Forbidden, NotFound, Refusal
from shop.outbox import service as outbox


class LastManager(Refusal):
    code, status = "last_manager", 409
    title, title_zh = "An organisation keeps at least one manager.", "单位至少须保留一名管理员。"


class OwnPowers(Forbidden):
    code, status = "own_powers", 403
    title, title_zh = "Nobody raises the own roles or limit.", "不能提升自己的角色或额度。"


def manager_role(by: Actor) -> Role:
    """The role that manages people in the actor's organisation."""
    return Role.OPERATOR if by.audience is Audience.ADMIN else Role.MANAGER


MANAGING = frozenset({Role.MANAGER, Role.OPERATOR})
"""The roles that manage people, of which an organisation always has one."""


def managers(session: Session, organisation_ids: Collection[UUID], *also: ColumnElement[bool]) -> Sequence[Membership]:
    """Who manages these organisations (and the memberships `also`), held: whoever takes one of them away waits, and
    decides by what is left then.
    """
    managing = or_(*(literal(str(role), Text) == any_(Membership.roles) for role in sorted(MANAGING)))
    return session.scalars(
        select(Membership)
        .where(
            Membership.ended_at.is_(None), or_(and_(Membership.organisation_id.in_(organisation_ids), managing), *also)
        )
        .order_by(Membership.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()


def locked(session: Session, organisation_id: UUID, membership_id: UUID) -> tuple[Membership, set[UUID]]:
    """A member of an organisation, and who else manages it; all held, so that two managers cannot remove each
    other at the same time. NotFound."""
    own = and_(Membership.id == membership_id, Membership.organisation_id == organisation_id)
    rows = managers(session, [organisation_id], own)
    found = next((row for row in rows if row.id == membership_id), None)
    if found is None:
        raise NotFound
    return found, {row.id for row in rows} - {membership_id}


def change(
    session: Session,
    *,
    membership_id: UUID,
    organisation_id: UUID,
    roles: Collection[Role] | None,
    order_limit_fen: int | None,
    regions: Collection[str] | None,
    fields: Collection[str],
    by: Actor,
    now: datetime,
) -> None:
    """Give a member other roles, another limit or other regions, in force at the member's next request.

    `fields` names what is to change. NotFound, Invalid, LastManager, OwnPowers.
    """
    member, other_managers = locked(session, organisation_id, membership_id)
    before: dict[str, Any] = {
        "roles": member.roles,
        "order_limit_fen": member.order_limit_fen,
        "regions": member.regions,
    }
    after: dict[str, Any] = {
        "roles": sorted(roles) if "roles" in fields and roles is not None else member.roles,
        "order_limit_fen": order_limit_fen if "order_limit_fen" in fields else member.order_limit_fen,
        "regions": sorted(set(regions)) if "regions" in fields and regions is not None else member.regions,
    }
    new_roles = {Role(role) for role in after["roles"]}
    check_powers(
        session,
        session.get_one(Organisation, organisation_id),
        roles=new_roles,
        limit=order_limit_fen if "order_limit_fen" in fields else None,
        regions=after["regions"],
    )
    if member.user_id == by.user_id and raises(before, after):
        raise OwnPowers
    if manager_role(by) in member.roles and manager_role(by) not in new_roles and not other_managers:
        raise LastManager(pointer="/roles")
    if before == after:
        return
    session.execute(update(Membership).where(Membership.id == membership_id).values(**after))
    audit.record(
        session, by=by, action="change", kind="membership", subject=membership_id, now=now, before=before, after=after
    )
    outbox.announce(session, "membership.changed", now=now, membership_id=membership_id)


def raises(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether somebody could do more after a change than before. No limit set is a limit of nothing."""
    wider = any(set(after[name]) - set(before[name]) for name in ("roles", "regions"))
    return wider or (after["order_limit_fen"] or 0) > (before["order_limit_fen"] or 0)


def end(session: Session, *, membership_id: UUID, organisation_id: UUID, reason: str, by: Actor, now: datetime) -> None:
    """End a membership: its sessions and machine tokens hold no more from the next request on, nor do its mandates.

    The invitations that this member sent and nobody accepted are withdrawn. NotFound, LastManager.
    """
    member, other_managers = locked(session, organisation_id, membership_id)
    if manager_role(by) in member.roles and not other_managers:
        raise LastManager
    audit.record(session, by=by, action="end", kind="membership", subject=membership_id, now=now, reason=reason)
    end_memberships(session, [member], by=by, reason=reason, now=now)
