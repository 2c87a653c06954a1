"""Close organisations: a buyer with its units, whose successor ends what is under way, and a seller."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shop.accounts import queries_units as queries
from shop.accounts.models import BUYERS, SELLERS, BudgetUnit, Membership, Organisation
from shop.accounts.models_admission import ENDED, Application, ApplicationStatus
from shop.accounts.models_mandates import AgentMandate
from shop.accounts.service import agent_mandating, ending, granting
from shop.accounts.service.managing_units import UnitHasSubordinates
from shop.accounts.service.registering_buyers import OrganisationClosed
from shop.actor import Actor, Role
from shop.audit import service as audit
from shop.errors import Invalid, NotFound
from shop.ids import new_id
from shop.outbox import service as outbox

ENDS_WHAT_IS_UNDER_WAY = frozenset({Role.MANAGER, Role.FINANCE, Role.RECEIVER})
"""The roles that a successor's people keep in an organisation that was merged into theirs; nobody orders for it."""


def close_buyer(
    session: Session, *, by: Actor, organisation_id: UUID, successor_id: UUID | None, reason: str, now: datetime
) -> Organisation:
    """Close a buying organisation and its units; its successor, if it was merged into one, may read what it filed.

    It is never deleted. Units of others below its own are moved first. Whoever closes it looks, with its row held, for
    orders under way: a successor's people receive, inspect and pay them in its name (`hand_over`), and without a
    successor nobody would.
    """
    kinds = BUYERS
    organisation = session.scalars(
        select(Organisation).where(Organisation.id == organisation_id, Organisation.kind.in_(kinds)).with_for_update()
    ).first()
    if organisation is None:
        raise NotFound("No such buying organisation.")
    if organisation.status == "closed":
        raise OrganisationClosed
    if successor_id is not None:
        successor = session.scalar(
            select(Organisation.id).where(
                Organisation.id == successor_id,
                Organisation.id != organisation_id,
                Organisation.kind.in_(kinds),
                Organisation.status == "active",
            )
        )
        if successor is None:
            raise Invalid("The successor is another active buying organisation.", pointer="/successor_id")
    own_units = select(BudgetUnit.id).where(BudgetUnit.organisation_id == organisation_id, BudgetUnit.status == "open")
    queries.lock_trees(session, *session.scalars(own_units))
    strangers = session.scalars(
        select(BudgetUnit.id).where(
            BudgetUnit.parent_id.in_(own_units),
            BudgetUnit.status == "open",
            BudgetUnit.organisation_id != organisation_id,
        )
    ).all()
    if strangers:
        raise UnitHasSubordinates(open_units=len(strangers))
    session.execute(
        update(BudgetUnit)
        .where(BudgetUnit.organisation_id == organisation_id, BudgetUnit.status == "open")
        .values(status="closed")
        .execution_options(synchronize_session=False)
    )
    organisation.status, organisation.successor_id = "closed", successor_id
    session.flush()
    end_memberships(session, organisation_id, by=by, reason=reason, now=now)
    members = hand_over(session, organisation_id, successor_id) if successor_id else []
    audit.record(
        session,
        by=by,
        action="close",
        kind="organisation",
        subject=organisation_id,
        now=now,
        reason=reason,
        successor=successor_id.hex if successor_id else None,
        members=[membership_id.hex for membership_id in members],
    )
    tell(session, organisation_id, now)
    return organisation


def end_memberships(session: Session, organisation_id: UUID, *, by: Actor, reason: str, now: datetime) -> None:
    """Everybody's membership ends, with all that was held by it."""
    members = session.scalars(
        select(Membership)
        .where(Membership.organisation_id == organisation_id, Membership.ended_at.is_(None))
        .order_by(Membership.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    ending.end_memberships(session, members, by=by, reason=reason, now=now)


def hand_over(session: Session, organisation_id: UUID, successor_id: UUID) -> list[UUID]:
    """Make the successor's people members of an organisation that is closed, to end what is under way; gives their ids.

    They enter it by `POST /v1/auth/switch`, and its manager may invite others of them later.
    """
    rows = []
    for user_id, roles in session.execute(
        select(Membership.user_id, Membership.roles).where(
            Membership.organisation_id == successor_id, Membership.ended_at.is_(None)
        )
    ):
        kept = ENDS_WHAT_IS_UNDER_WAY.intersection(Role(role) for role in roles)
        if kept:
            rows.append(
                {
                    "id": new_id(), "user_id": user_id, "organisation_id": organisation_id, "roles": sorted(kept),
                    "regions": [], "order_limit_fen": 0,
                }
            )  # fmt: skip
    if not rows:
        return []
    adding = insert(Membership).values(rows)
    return list(
        session.scalars(
            adding.on_conflict_do_update(
                index_elements=["user_id", "organisation_id"],
                set_={"roles": adding.excluded.roles, "order_limit_fen": 0, "ended_at": None},
            ).returning(Membership.id)
        )
    )


def close_seller(session: Session, *, by: Actor, organisation_id: UUID, reason: str, now: datetime) -> Organisation:
    """Close a seller, or who applied to be one: its right, its application, its mandates and its memberships end.

    It is never deleted, and its code is free for another registration. Whoever closes it looks, with its row held, for
    orders under way.
    """
    organisation = session.scalars(
        select(Organisation)
        .where(Organisation.id == organisation_id, Organisation.kind.in_(SELLERS))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()
    if organisation is None:
        raise NotFound("No such seller.")
    if organisation.status == "closed":
        raise OrganisationClosed
    if organisation.selling_until is not None:
        granting.revoke(session, organisation_id=organisation_id, reason=reason, by=by, now=now)
    session.execute(
        update(Application)
        .where(Application.organisation_id == organisation_id, Application.status.not_in(ENDED))
        .values(status=ApplicationStatus.REJECTED, step=None, decided_at=now)
        .execution_options(synchronize_session=False)
    )
    for mandate in session.scalars(
        select(AgentMandate)
        .where(
            or_(AgentMandate.agent_id == organisation_id, AgentMandate.principal_id == organisation_id),
            AgentMandate.revoked_at.is_(None),
        )
        .order_by(AgentMandate.id)
    ).all():
        agent_mandating.moved(session, mandate, "revoked", by, now)
    organisation.status = "closed"
    session.flush()
    end_memberships(session, organisation_id, by=by, reason=reason, now=now)
    audit.record(session, by=by, action="close", kind="organisation", subject=organisation_id, now=now, reason=reason)
    tell(session, organisation_id, now)
    return organisation


def tell(session: Session, organisation_id: UUID, now: datetime) -> None:
    outbox.announce(session, "organisation.closed", now=now, seen_by=[organisation_id], organisation_id=organisation_id)
