"""Who is who, as far as the actor may see it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, and_, case, exists, false, func, select
from sqlalchemy.orm import Session

from shop.accounts.models import AUDIENCE, SELLERS, ApiToken, Kind, Membership, Organisation, User, may_be_entered
from shop.accounts.models_people import Invitation, RecoveryCode, TwoStep
from shop.accounts.queries_admission import of_regions
from shop.actor import Actor, Audience, Role
from shop.db import seeing_all


def in_reach(actor: Actor) -> Select[Membership]:
    """The memberships whose people the actor may help in person.

    A manager: the own organisation's; a county reviewer: the cooperatives' of the own counties; an operator: all.
    """
    found = select(Membership).join(Organisation, Organisation.id == Membership.organisation_id)
    if actor.audience is Audience.ADMIN and actor.has(Role.OPERATOR):
        return found
    if actor.audience is Audience.ADMIN and actor.has(Role.COUNTY_REVIEWER):
        return found.where(Organisation.kind.in_(SELLERS), of_regions(actor))
    if actor.has(Role.MANAGER):
        return found.where(Membership.organisation_id == actor.organisation_id)
    return found.where(false())


def acting_member(session: Session, membership_id: UUID) -> Actor | None:
    """A member as they may act now, for work that is done in their name; None when they do no more.

    That is when the membership ended, or its person or organisation is not active.
    """
    row = session.execute(
        select(Membership, Organisation.kind)
        .join(Organisation, Organisation.id == Membership.organisation_id)
        .join(User, User.id == Membership.user_id)
        .where(
            Membership.id == membership_id,
            Membership.ended_at.is_(None),
            Organisation.status == "active",
            User.status == "active",
        )
        .execution_options(populate_existing=True)
    ).first()
    if row is None:
        return None
    member, kind = row
    return Actor(
        user_id=member.user_id,
        membership_id=member.id,
        organisation_id=member.organisation_id,
        audience=AUDIENCE[Kind(kind)],
        roles=frozenset(Role(role) for role in member.roles),
        order_limit_fen=member.order_limit_fen,
        regions=tuple(member.regions),
    )


def people(memberships: Select[Membership]) -> Select[Membership, User, bool]:
    """Memberships that go on, with what their organisation may know of the person."""
    two_step = exists().where(TwoStep.user_id == User.id, TwoStep.confirmed_at.is_not(None))
    return (
        memberships.join(User, User.id == Membership.user_id)
        .where(Membership.ended_at.is_(None), User.status != "closed")
        .with_only_columns(Membership, User, two_step.label("two_step"))
    )


def members(
    session: Session, actor: Actor, *, after: UUID | None, limit: int, organisation_id: UUID | None = None
) -> Sequence[Row[Membership, User, bool]]:
    """Members of the actor's organisation, or of another one in reach, in the order in which they came."""
    if organisation_id:
        wanted = in_reach(actor).where(Membership.organisation_id == organisation_id)
    else:
        wanted = select(Membership).where(Membership.organisation_id == actor.organisation_id)
    if after:
        wanted = wanted.where(Membership.id > after)
    return session.execute(people(wanted).order_by(Membership.id).limit(limit)).all()


def member(session: Session, organisation_id: UUID, membership_id: UUID) -> Row[Membership, User, bool] | None:
    """One member of an organisation."""
    wanted = select(Membership).where(Membership.organisation_id == organisation_id, Membership.id == membership_id)
    return session.execute(people(wanted).execution_options(populate_existing=True)).first()


def invitations(
    session: Session, organisation_id: UUID, *, before: UUID | None, limit: int, only: UUID | None = None
) -> Sequence[Row[Invitation, User, str]]:
    """The organisation's invitations with their status, newest first."""
    status = case(
        (Invitation.accepted_at.is_not(None), "accepted"),
        (Invitation.expires_at <= func.clock_timestamp(), "expired"),
        (Invitation.withdrawn_at.is_not(None), "withdrawn"),
        else_="open",
    )
    wanted = (
        select(Invitation, User, status.label("status"))
        .join(User, User.id == Invitation.user_id)
        .where(Invitation.organisation_id == organisation_id)
    )
    if only:
        wanted = wanted.where(Invitation.id == only)
    if before:
        wanted = wanted.where(Invitation.id < before)
    return session.execute(wanted.order_by(Invitation.id.desc()).limit(limit)).all()


def own_memberships(session: Session, actor: Actor) -> Sequence[Row[Membership, Organisation]]:
    """The organisations that the actor's person may act for."""
    wanted = (
        select(Membership, Organisation)
        .join(Organisation, Organisation.id == Membership.organisation_id)
        .where(Membership.user_id == actor.user_id, Membership.ended_at.is_(None), may_be_entered())
        .order_by(Membership.id)
    )
    with seeing_all(session):  # one person's, of several organisations
        return session.execute(wanted).all()


def living(kind: str) -> Any:
    """A token of this kind that still holds."""
    return and_(ApiToken.kind == kind, ApiToken.revoked_at.is_(None), ApiToken.expires_at > func.clock_timestamp())


def sessions(session: Session, actor: Actor) -> Sequence[Row[ApiToken, UUID]]:
    """The sessions of the actor's person, the newest 100, with the organisation of each."""
    wanted = (
        select(ApiToken, Membership.organisation_id)
        .join(Membership, Membership.id == ApiToken.membership_id)
        .where(Membership.user_id == actor.user_id, living("session"))
        .order_by(ApiToken.id.desc())
        .limit(100)
    )
    with seeing_all(session):  # one person's, of several organisations
        return session.execute(wanted).all()


def tokens_in_sight(actor: Actor) -> Select[ApiToken]:
    """The machine tokens the actor may see and revoke: the own ones; all of the organisation for who manages it."""
    wanted = select(ApiToken).join(Membership, Membership.id == ApiToken.membership_id)
    wanted = wanted.where(Membership.organisation_id == actor.organisation_id, ApiToken.kind == "machine")
    if actor.has(Role.MANAGER, Role.OPERATOR):
        return wanted
    return wanted.where(Membership.user_id == actor.user_id)


def tokens(session: Session, actor: Actor, *, before: UUID | None, limit: int) -> Sequence[Row[ApiToken, bool]]:
    """Machine tokens in sight, newest first, and whether each still holds."""
    holds = and_(living("machine"), Membership.ended_at.is_(None))
    wanted = tokens_in_sight(actor).with_only_columns(ApiToken, holds.label("holds"))
    if before:
        wanted = wanted.where(ApiToken.id < before)
    return session.execute(wanted.order_by(ApiToken.id.desc()).limit(limit)).all()


def two_step(session: Session, actor: Actor) -> tuple[TwoStep | None, int]:
    """The actor's authenticator, and how many recovery codes are left."""
    left = (
        select(func.count())
        .select_from(RecoveryCode)
        .where(RecoveryCode.user_id == actor.user_id, RecoveryCode.used_at.is_(None))
    )
    row = session.scalars(select(TwoStep).where(TwoStep.user_id == actor.user_id)).first()
    return row, session.scalar(left) or 0
