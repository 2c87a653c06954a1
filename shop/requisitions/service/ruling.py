"""The rules of approval and who stands in for whom."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from shop.accounts import queries_units
from shop.accounts.models import Membership
from shop.actor import Actor, Role
from shop.audit import service as audit
from shop.clock import business_day
from shop.errors import Forbidden, Invalid, NotFound
from shop.requisitions import queries
from shop.requisitions.models import ApprovalDelegation, ApprovalRule
from shop.requisitions.schemas import NewDelegation, NewRule


class NotYourDelegation(Forbidden):
    """Members delegate their own word; only a manager does so for others."""

    code, status = "not_your_delegation", 403
    title, title_zh = "Only a manager does this for somebody else.", "仅管理员可代他人设置审批委托。"


def add_rule(session: Session, *, by: Actor, wanted: NewRule, now: datetime) -> ApprovalRule:
    """Ask for a step from an amount on. It binds what is submitted from then on, not what is on its way."""
    if wanted.budget_unit_id is not None:
        queries_units.own_unit(session, by, wanted.budget_unit_id)
    if wanted.member_id is not None:
        member = session.scalars(
            select(Membership).where(
                Membership.id == wanted.member_id,
                Membership.organisation_id == by.organisation_id,
                Membership.ended_at.is_(None),
            )
        ).first()
        if member is None:
            raise NotFound("No such member of yours.", pointer="/member_id")
        if wanted.role not in member.roles:
            raise Invalid("This member does not hold that role.", pointer="/member_id")
    rule = ApprovalRule(
        organisation_id=by.organisation_id,
        budget_unit_id=wanted.budget_unit_id,
        purpose=wanted.purpose,
        from_fen=wanted.from_fen,
        step=wanted.step,
        role=wanted.role,
        member_id=wanted.member_id,
        valid=Range(wanted.valid_from, wanted.valid_to),
        made_by=by.user_id,
        made_at=now,
    )
    session.add(rule)
    session.flush()
    audit.record(
        session, by=by, action="approval_rule.made", kind="approval_rule", subject=rule.id, now=now,
        step=rule.step, role=rule.role, from_fen=rule.from_fen, purpose=rule.purpose,
    )  # fmt: skip
    return rule


def end_rule(session: Session, *, by: Actor, rule_id: UUID, valid_to: date, now: datetime) -> ApprovalRule:
    """Let a rule end on a day from tomorrow on, so that nothing submitted today escapes it."""
    rule = session.scalars(queries.rules_of(by).where(ApprovalRule.id == rule_id).with_for_update()).first()
    if rule is None:
        raise NotFound("No such rule of yours.")
    first, last = rule.valid.lower, rule.valid.upper
    assert first is not None
    if valid_to <= business_day(now) or valid_to <= first:
        raise Invalid("A rule ends on a day to come, after the one that it begins on.", pointer="/valid_to")
    audit.record(
        session, by=by, action="approval_rule.ended", kind="approval_rule", subject=rule.id, now=now,
        before=last.isoformat() if last else None, after=valid_to.isoformat(),
    )  # fmt: skip
    rule.valid = Range(first, valid_to)
    session.flush()
    return rule


def delegate(session: Session, *, by: Actor, wanted: NewDelegation, now: datetime) -> ApprovalDelegation:
    """Let somebody decide in the place of another: members do it for themselves, managers for anybody."""
    if wanted.from_user_id != by.user_id and not by.has(Role.MANAGER):
        raise NotYourDelegation(pointer="/from_user_id")
    if wanted.valid_to <= business_day(now):
        raise Invalid("The last day has passed.", pointer="/valid_to")
    members = set(
        session.scalars(
            select(Membership.user_id).where(
                Membership.user_id.in_([wanted.from_user_id, wanted.to_user_id]),
                Membership.organisation_id == by.organisation_id,
                Membership.ended_at.is_(None),
            )
        )
    )
    for name in ("from_user_id", "to_user_id"):
        if getattr(wanted, name) not in members:
            raise NotFound("No such member of yours.", pointer=f"/{name}")
    made = ApprovalDelegation(
        organisation_id=by.organisation_id,
        from_user_id=wanted.from_user_id,
        to_user_id=wanted.to_user_id,
        valid=Range(wanted.valid_from, wanted.valid_to),
        reason=wanted.reason,
        made_by=by.user_id,
        made_at=now,
    )
    session.add(made)
    session.flush()
    audit.record(
        session, by=by, action="approval.delegated", kind="approval_delegation", subject=made.id, now=now,
        reason=wanted.reason, from_user_id=wanted.from_user_id.hex, to_user_id=wanted.to_user_id.hex,
    )  # fmt: skip
    return made


def take_back(session: Session, *, by: Actor, delegation_id: UUID, now: datetime) -> ApprovalDelegation:
    """End a delegation at once, as the one who gave it, the one who holds it, or a manager."""
    row = session.scalars(
        queries.delegations_of(by).where(ApprovalDelegation.id == delegation_id).with_for_update()
    ).first()
    if row is None:
        raise NotFound("No such delegation of yours.")
    if by.user_id not in (row.from_user_id, row.to_user_id) and not by.has(Role.MANAGER):
        raise NotYourDelegation
    if row.ended_at is None:
        row.ended_at = now
        session.flush()
        audit.record(
            session, by=by, action="approval.delegation_ended", kind="approval_delegation", subject=row.id, now=now
        )
    return row
