"""Approve a requisition or return it, step by step; record what was approved on paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.clock import business_day
from shop.errors import Forbidden, Invalid, Refusal, VersionConflict
from shop.files import service as files
from shop.requisitions import queries
from shop.requisitions.models import (
    Requisition,
    RequisitionDecision,
    RequisitionStatus,
    WrongRequisitionStatus,
)
from shop.requisitions.schemas import DecideOne
from shop.requisitions.service.drafting import become, tell


class OwnRequisition(Refusal):
    """Who made, changed or handed in a requisition does not approve it, nor by a delegate."""

    code, status = "own_requisition", 409
    title, title_zh = "Whoever asks does not approve.", "申请人不能审批自己的申请。"


class NotYourStep(Forbidden):
    """The next step is another's to take; `role` says whose."""

    code, status = "not_your_approval", 403
    title, title_zh = "The next step is not yours to take.", "当前审批环节不由您处理。"


def decide(
    session: Session,
    *,
    requisition_id: UUID,
    by: Actor,
    version: int,
    approve: bool,
    comment: str | None,
    now: datetime,
) -> None:
    """Take the next step of a version, for oneself or for whom one stands in; the last approval approves it.

    Refuses with VersionConflict when it is another version by now, OwnRequisition and NotYourStep. Nobody takes two
    steps of one chain.
    """
    row = waiting(session, by, requisition_id, version)
    approved = [said for said in queries.decisions_of(session, row.id) if counts(said, row)]
    if by.user_id in askers(row):
        raise OwnRequisition
    steps = row.chain or []
    step = steps[row.step]
    gave = {key for said in approved for key in (said.by_user_id, said.for_user_id) if key is not None}
    whose = queries.whose_word(
        session,
        by,
        role=step["role"],
        member=UUID(hex=step["member"]) if step["member"] else None,
        barred=sorted(gave | askers(row)),
        on=business_day(now),
    )
    if whose is None:
        raise NotYourStep(role=step["role"])
    session.add(
        decision_of(
            row, row.step, "approved" if approve else "returned", by, now, comment,
            for_user_id=None if whose == by.user_id else whose,
        )
    )  # fmt: skip
    session.flush()
    if not approve:
        become(session, row, RequisitionStatus.RETURNED)
        tell(session, row, "requisition.returned", by=by, now=now, reason=comment)
    elif row.step + 1 < len(steps):
        become(session, row, RequisitionStatus.SUBMITTED, step=row.step + 1)
        tell(session, row, "requisition.submitted", by=by, now=now, reason=comment)
    else:
        become(session, row, RequisitionStatus.APPROVED, step=len(steps))
        tell(session, row, "requisition.approved", by=by, now=now, reason=comment)


@dataclass(frozen=True)
class Outcome:
    """What became of one decision of many: done, or refused with its reason."""

    requisition_id: UUID
    refusal: Refusal | None


def decide_many(session: Session, *, decisions: Sequence[DecideOne], by: Actor, now: datetime) -> list[Outcome]:
    """Take each decision in a savepoint of its own, so that one that is refused leaves the others alone.

    Rows are locked in the order of their ids, whatever the order of the list; outcomes come in the order of the list.
    """
    outcomes: dict[UUID, Outcome] = {}
    for one in sorted(decisions, key=lambda one: one.requisition_id):
        refused = None
        try:
            with session.begin_nested():
                decide(
                    session,
                    requisition_id=one.requisition_id,
                    by=by,
                    version=one.version,
                    approve=one.decision == "approve",
                    comment=one.comment,
                    now=now,
                )
        except Refusal as refusal:
            refused = refusal
        outcomes[one.requisition_id] = Outcome(one.requisition_id, refused)
    return [outcomes[one.requisition_id] for one in decisions]


def record_paper(
    session: Session,
    *,
    requisition_id: UUID,
    by: Actor,
    version: int,
    file_id: UUID,
    signed_on: date,
    comment: str | None,
    now: datetime,
) -> None:
    """Record that the whole chain was approved elsewhere, with its scan; the steps left are marked as such.

    A manager does this, who is not the one that asked.
    """
    row = waiting(session, by, requisition_id, version)
    if by.user_id in askers(row):
        raise OwnRequisition
    if signed_on > business_day(now):
        raise Invalid("It cannot have been signed on a day to come.", pointer="/signed_on")
    files.keep(session, organisation_id=by.organisation_id, file_ids={file_id})
    steps = row.chain or []
    session.add_all(
        decision_of(row, step, "approved", by, now, comment, file_id=file_id, signed_on=signed_on)
        for step in range(row.step, len(steps))
    )
    session.flush()
    become(session, row, RequisitionStatus.APPROVED, step=len(steps))
    tell(session, row, "requisition.approved", by=by, now=now, reason=comment)


def waiting(session: Session, by: Actor, requisition_id: UUID, version: int) -> Requisition:
    """A submitted requisition at this version, locked."""
    row = queries.locked(session, by, requisition_id)
    if row.version != version:
        raise VersionConflict(f"The requisition is at version {row.version} now.", version=row.version)
    if row.status != RequisitionStatus.SUBMITTED:
        raise WrongRequisitionStatus(requisition_status=row.status)
    return row


def askers(row: Requisition) -> set[UUID]:
    return {key for key in (row.made_by, row.changed_by, row.submitted_by) if key is not None}


def counts(said: RequisitionDecision, row: Requisition) -> bool:
    return said.version == row.version and said.decision == "approved"


def decision_of(
    row: Requisition, step: int, decision: str, by: Actor, now: datetime, comment: str | None, **more: Any
) -> RequisitionDecision:
    return RequisitionDecision(
        requisition_id=row.id,
        version=row.version,
        step=step,
        decision=decision,
        by_user_id=by.user_id,
        comment=comment,
        at=now,
        **more,
    )
