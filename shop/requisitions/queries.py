"""What may be read of requisitions, and by whom."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Select, or_, select, text
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.errors import NotFound
from shop.requisitions.models import (
    ApprovalDelegation,
    ApprovalRule,
    Requisition,
    RequisitionDecision,
    RequisitionLine,
    RequisitionStatus,
)

DEFAULT_CHAIN = [{"role": "approver", "member": None}]
"""What an institution without rules of its own asks for: one other person who may approve."""


def visible_to(actor: Actor) -> Select[Requisition]:
    """The requisitions of the actor's own institution; every read starts here."""
    return select(Requisition).where(Requisition.buyer_id == actor.organisation_id)


def one(session: Session, actor: Actor, requisition_id: UUID) -> Requisition:
    """One of the actor's as it stands, or NotFound."""
    found = session.scalars(
        visible_to(actor).where(Requisition.id == requisition_id).execution_options(populate_existing=True)
    ).first()
    if found is None:
        raise NotFound("No such requisition of yours.")
    return found


def locked(session: Session, actor: Actor, requisition_id: UUID) -> Requisition:
    """The same, with its row locked: what is decided about it is decided one after the other."""
    found = session.scalars(
        visible_to(actor)
        .where(Requisition.id == requisition_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()
    if found is None:
        raise NotFound("No such requisition of yours.")
    return found


def statuses(session: Session, actor: Actor, ids: Collection[UUID]) -> dict[UUID, RequisitionStatus]:
    """How those of these requisitions stand that are the actor's institution's."""
    found = visible_to(actor).where(Requisition.id.in_(ids)).with_only_columns(Requisition.id, Requisition.status)
    return {key: RequisitionStatus(status) for key, status in session.execute(found)}


def lines_of(session: Session, requisition_id: UUID) -> list[RequisitionLine]:
    return list(
        session.scalars(
            select(RequisitionLine)
            .where(RequisitionLine.requisition_id == requisition_id)
            .order_by(RequisitionLine.place)
            .execution_options(populate_existing=True)
        )
    )


def decisions_of(session: Session, requisition_id: UUID) -> list[RequisitionDecision]:
    return list(
        session.scalars(
            select(RequisitionDecision)
            .where(RequisitionDecision.requisition_id == requisition_id)
            .order_by(RequisitionDecision.id)
        )
    )


def chain(
    session: Session, *, organisation_id: UUID, budget_unit_id: UUID, purpose: str, total_fen: int, on: date
) -> list[dict[str, Any]]:
    """The steps that a requisition of this amount takes on a day: role, and the one member who may, ids in hex."""
    rules = session.scalars(
        select(ApprovalRule)
        .where(
            ApprovalRule.organisation_id == organisation_id,
            ApprovalRule.valid.contains(on),
            ApprovalRule.from_fen <= total_fen,
            or_(ApprovalRule.budget_unit_id.is_(None), ApprovalRule.budget_unit_id == budget_unit_id),
            or_(ApprovalRule.purpose.is_(None), ApprovalRule.purpose == purpose),
        )
        .order_by(ApprovalRule.step, ApprovalRule.from_fen, ApprovalRule.id)
    )
    steps: list[dict[str, Any]] = []
    for rule in rules:
        step = {"role": rule.role, "member": rule.member_id.hex if rule.member_id else None}
        if step not in steps:
            steps.append(step)
    return steps or DEFAULT_CHAIN


MAY_DECIDE = text(
    """
    SELECT m.user_id, m.user_id = :me AS own
    FROM membership m
    WHERE m.organisation_id = :organisation AND m.ended_at IS NULL
      AND (CAST(:role AS text) = ANY (m.roles) OR (CAST(:role AS text) = 'approver' AND 'manager' = ANY (m.roles)))
      AND (CAST(:member AS uuid) IS NULL OR m.id = :member)
      AND m.user_id <> ALL (CAST(:barred AS uuid[]))
      AND (m.user_id = :me OR EXISTS (
          SELECT FROM approval_delegation d
          WHERE d.organisation_id = :organisation AND d.from_user_id = m.user_id AND d.to_user_id = :me
            AND d.valid @> CAST(:on AS date) AND d.ended_at IS NULL
      ))
    ORDER BY own DESC, m.user_id
    LIMIT 1
    """
)


def whose_word(
    session: Session, actor: Actor, *, role: str, member: UUID | None, barred: Sequence[UUID], on: date
) -> UUID | None:
    """Whose word the actor gives when taking a step: the actor's own, somebody's who delegated it, or None's.

    A manager may do what an approver may. `barred` are those who may not take it, themselves or by a delegate.
    """
    if actor.user_id in barred:
        return None
    row = session.execute(
        MAY_DECIDE,
        {
            "me": actor.user_id,
            "organisation": actor.organisation_id,
            "role": role,
            "member": member,
            "barred": list(barred),
            "on": on,
        },
    ).first()
    return row.user_id if row else None


def waiting_for(wanted: Select[Requisition], actor: Actor, on: date) -> Select[Requisition]:
    """Of these requisitions the ones whose next step the actor might take, as member or as delegate."""
    return wanted.where(
        Requisition.status == "submitted",
        Requisition.made_by != actor.user_id,
        Requisition.changed_by != actor.user_id,
        Requisition.submitted_by != actor.user_id,
        MIGHT_DECIDE.bindparams(waiting_me=actor.user_id, waiting_on=on),
    )


MIGHT_DECIDE = text(
    """
    EXISTS (
        SELECT FROM membership m
        WHERE m.organisation_id = requisition.buyer_id AND m.ended_at IS NULL
          AND ((requisition.chain -> requisition.step::int ->> 'role') = ANY (m.roles)
               OR ((requisition.chain -> requisition.step::int ->> 'role') = 'approver' AND 'manager' = ANY (m.roles)))
          AND coalesce(requisition.chain -> requisition.step::int ->> 'member', replace(m.id::text, '-', ''))
              = replace(m.id::text, '-', '')
          AND m.user_id NOT IN (requisition.made_by, requisition.changed_by, requisition.submitted_by)
          AND NOT EXISTS (
              SELECT FROM requisition_decision s
              WHERE s.requisition_id = requisition.id AND s.version = requisition.version
                AND s.decision = 'approved'
                AND (s.by_user_id IN (m.user_id, :waiting_me) OR s.for_user_id IN (m.user_id, :waiting_me))
          )
          AND (m.user_id = :waiting_me OR EXISTS (
              SELECT FROM approval_delegation d
              WHERE d.organisation_id = requisition.buyer_id AND d.from_user_id = m.user_id
                AND d.to_user_id = :waiting_me AND d.valid @> CAST(:waiting_on AS date) AND d.ended_at IS NULL
          ))
    )
    """
)


def rules_of(actor: Actor) -> Select[ApprovalRule]:
    return select(ApprovalRule).where(ApprovalRule.organisation_id == actor.organisation_id)


def delegations_of(actor: Actor) -> Select[ApprovalDelegation]:
    return select(ApprovalDelegation).where(ApprovalDelegation.organisation_id == actor.organisation_id)
