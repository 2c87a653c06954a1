"""Claim against what was accepted, answer, decide: one claim of a delivery at a time, and one decision of each.

A return gives goods back, a dispute says that they are less than what was accepted. The cooperative has its hours to
answer; what it agrees to is corrected at once, what it contests or leaves unanswered the platform decides. While a
claim is open the cooperative is not paid for the delivery; what was paid already is kept from what it is paid next.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from shop.accounts.service.numbering import next_number
from shop.actor import Actor
from shop.audit import service as audit
from shop.clock import business_day
from shop.db import insert_rows, moved
from shop.files import service as files
from shop.http.parsing import fault
from shop.ids import new_id
from shop.ledger.service import PLATFORM_ID
from shop.orders import queries_claims, queries_fulfilment, queries_inspections
from shop.orders.models import Status, SupplierOrder, WrongStatus
from shop.orders.models_claims import (
    NEXT,
    Claim,
    ClaimFile,
    ClaimIsOpen,
    ClaimLine,
    ClaimStatus,
    ClaimTooLate,
    WrongClaim,
    WrongClaimStatus,
)
from shop.orders.models_times import Waits
from shop.orders.schemas_claims import Decide, NewAnswer, NewClaim
from shop.orders.service import correcting, keeping_times
from shop.orders.service.correcting import Place
from shop.orders.service.moving import move
from shop.outbox import service as outbox
from shop.outbox.models import Event

NUMBERED_AS = "AS"
CLAIMABLE = (Status.INSPECTED, Status.SETTLED)


def raise_claim(session: Session, *, actor: Actor, supplier_order_id: UUID, wanted: NewClaim, now: datetime) -> UUID:
    """Claim against packs that were accepted; gives the claim's id. Unless it is settled the order is disputed.

    NotFound for another's, ClaimIsOpen, WrongStatus, ClaimTooLate, WrongClaim.
    """
    part = queries_fulfilment.locked(session, actor, supplier_order_id)
    there = queries_claims.unclosed(session, part.id)
    if there is not None:
        raise ClaimIsOpen(claim_id=f"clm_{there.hex}")
    if part.status not in CLAIMABLE:
        raise WrongStatus(f"Nothing is claimed of a supplier order that is {part.status}.", is_now=part.status)
    note, on_note = correcting.noted(session, part.id)
    hours = keeping_times.hours_for(session, Waits.CLAIM, supplier_order_id=part.id, now=now)
    if hours is not None and now > note.at + timedelta(hours=hours):
        raise ClaimTooLate(ended_at=(note.at + timedelta(hours=hours)).isoformat())
    back = correcting.taken_back(session, part.id)
    left = {place: line.accepted - back.get(place, 0) for place, line in on_note.items()}
    named = {photo_id for line in wanted.lines for photo_id in line.photo_ids}
    refuse_wrong(wanted, left, queries_inspections.usable_photos(session, part, named))
    defence = keeping_times.hours_for(session, Waits.DEFENCE, supplier_order_id=part.id, now=now)
    claim = Claim(
        number=next_number(session, part.buyer_id, NUMBERED_AS, business_day(now).year), kind=wanted.kind,
        status=ClaimStatus.OPEN, supplier_order_id=part.id, buyer_id=part.buyer_id, cooperative_id=part.cooperative_id,
        statement=wanted.statement, raised_by=actor.user_id, raised_at=now,
        defend_until=now + timedelta(hours=defence) if defence else None,
    )  # fmt: skip
    session.add(claim)
    session.flush()
    session.execute(
        insert(ClaimLine),
        [
            {
                "id": new_id(), "claim_id": claim.id, "line_id": line.line_id, "lot_id": line.lot_id,
                "packs": line.packs, "reason": line.reason, "photo_ids": line.photo_ids,
            }
            for line in wanted.lines
        ],
    )  # fmt: skip
    name_files(session, claim, wanted.file_ids, side="buyer", by=actor)
    if part.status == Status.INSPECTED:
        move(
            session, supplier_order_id=part.id, to=Status.DISPUTED, by=actor, now=now, reason=wanted.statement,
            told={"claim_id": claim.id},
        )  # fmt: skip
    insert_rows(session, (Event, [told("raised", claim, part, now)]))
    return claim.id


def refuse_wrong(wanted: NewClaim, left: dict[Place, int], photos: Collection[UUID]) -> None:
    """WrongClaim unless every line names packs that are accepted still, once, and photos of this delivery."""
    faults: list[dict[str, Any]] = []
    seen: set[Place] = set()
    for number, line in enumerate(wanted.lines):
        place, pointer = (line.line_id, line.lot_id), f"/lines/{number}"
        if place not in left:
            faults.append(fault(f"{pointer}/lot_id", "not_accepted", "nothing of this lot was accepted for this line"))
        elif place in seen:
            faults.append(fault(f"{pointer}/lot_id", "repeated", "this lot of this line is claimed above already"))
        elif line.packs > left[place]:
            detail = f"{line.packs} packs are claimed, but {left[place]} are accepted"
            faults.append(fault(f"{pointer}/packs", "more_than_accepted", detail) | {"accepted": left[place]})
        if not set(line.photo_ids) <= set(photos):
            faults.append(fault(f"{pointer}/photo_ids", "no_such_photo", "this is no photo of yours of this delivery"))
        seen.add(place)
    if faults:
        raise WrongClaim(errors=faults)


def name_files(session: Session, claim: Claim, file_ids: Sequence[UUID], *, side: str, by: Actor) -> None:
    """Keep papers as evidence of one side; NotFound for files that are not its own."""
    if not file_ids:
        return
    files.keep(session, organisation_id=by.organisation_id, file_ids=file_ids, pointer="/file_ids")
    session.execute(
        insert(ClaimFile), [{"claim_id": claim.id, "file_id": key, "side": side} for key in sorted(set(file_ids))]
    )


def answer(session: Session, *, actor: Actor, claim_id: UUID, wanted: NewAnswer, now: datetime) -> Claim:
    """The cooperative agrees, and what is claimed is corrected, or contests it; NotFound, WrongClaimStatus, WrongClaim.

    It contests once and within its hours; it may agree until the platform has decided.
    """
    part, claim = locked(session, actor, claim_id)
    photos = queries_inspections.usable_photos(session, part, set(wanted.photo_ids), of=part.cooperative_id)
    if not set(wanted.photo_ids) <= photos:
        detail = "this is no photo of yours of this delivery"
        raise WrongClaim(errors=[fault("/photo_ids", "no_such_photo", detail)])
    late = claim.defend_until is not None and claim.defend_until <= now
    if not wanted.agree and late:
        raise WrongClaimStatus("The time to answer is over.", is_now=claim.status)
    to = ClaimStatus.AGREED if wanted.agree else ClaimStatus.CONTESTED
    become(
        session, claim, to, answer=wanted.statement, answered_by=actor.user_id, answered_at=now,
        answer_photo_ids=sorted(set(wanted.photo_ids)), **({"closed_at": now} if wanted.agree else {}),
    )  # fmt: skip
    name_files(session, claim, wanted.file_ids, side="cooperative", by=actor)
    if wanted.agree:
        close(session, part, claim, queries_claims.claimed(session, claim.id), by=actor, now=now)
    else:
        insert_rows(session, (Event, [told("contested", claim, part, now)]))
    return claim


def decide(session: Session, *, by: Actor, claim_id: UUID, wanted: Decide, now: datetime) -> Claim:
    """The platform's decision, once: so many packs of what is claimed are taken back, or none.

    NotFound, WrongClaimStatus before the cooperative has answered or its time is over, WrongClaim.
    """
    part, claim = locked(session, by, claim_id)
    pass_defence(session, now=now, claim_id=claim.id)
    session.refresh(claim)
    claimed = queries_claims.claimed(session, claim.id)
    faults, packs = [], {}
    for number, grant in enumerate(wanted.grants):
        place = (grant.line_id, grant.lot_id)
        if place in packs or grant.packs > claimed.get(place, 0):
            detail = f"{claimed.get(place, 0)} packs of this lot of this line are claimed"
            faults.append(fault(f"/grants/{number}", "more_than_claimed", detail))
        packs[place] = grant.packs
    if faults:
        raise WrongClaim(errors=faults)
    become(session, claim, ClaimStatus.DECIDED, decision=wanted.reason, decided_by=by.user_id, closed_at=now)
    audit.record(
        session, by=by, action="claim.decided", kind="claim", subject=claim.id, now=now, reason=wanted.reason,
        packs=sum(packs.values()),
    )  # fmt: skip
    close(session, part, claim, {place: number for place, number in packs.items() if number}, by=by, now=now)
    return claim


def withdraw(session: Session, *, actor: Actor, claim_id: UUID, now: datetime) -> Claim:
    """The buyer takes a claim back that is not closed; NotFound, WrongClaimStatus."""
    part, claim = locked(session, actor, claim_id)
    become(session, claim, ClaimStatus.WITHDRAWN, closed_at=now)
    close(session, part, claim, {}, by=actor, now=now)
    return claim


def locked(session: Session, actor: Actor, claim_id: UUID) -> tuple[SupplierOrder, Claim]:
    """A claim that the actor may know of with its supplier order, which is locked first, as its moves lock it."""
    claim = queries_claims.one(session, actor, claim_id)
    part = queries_fulfilment.locked(session, actor, claim.supplier_order_id)
    session.refresh(claim)
    return part, claim


def become(session: Session, claim: Claim, to: ClaimStatus, **values: Any) -> None:
    """Give a claim its next status, or refuse with WrongClaimStatus."""
    if not moved(session, claim, to, NEXT, **values):
        raise WrongClaimStatus(f"A claim that is {claim.status} cannot become {to}.", is_now=claim.status)


def close(
    session: Session, part: SupplierOrder, claim: Claim, packs: dict[Place, int], *, by: Actor, now: datetime
) -> None:
    """Correct what was agreed or granted and let the supplier order go on; `claim.closed` says so to both sides."""
    correction = correcting.apply(session, part=part, claim_id=claim.id, packs=packs, by=by, now=now) if packs else None
    if part.status == Status.DISPUTED:
        move(
            session, supplier_order_id=part.id, to=Status.INSPECTED, by=by, now=now, called="claim_closed",
            told={"claim_id": claim.id},
        )  # fmt: skip
    more = {"correction_id": correction} if correction else {}
    insert_rows(session, (Event, [told("closed", claim, part, now, **more)]))


def pass_defence(session: Session, *, now: datetime, claim_id: UUID | None = None, limit: int = 500) -> int:
    """Note the claims that a cooperative did not answer in its hours, and tell the platform; gives how many."""
    due = (
        select(Claim.id)
        .where(Claim.status == ClaimStatus.OPEN, Claim.defend_until <= now)
        .order_by(Claim.defend_until)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    if claim_id is not None:
        due = due.where(Claim.id == claim_id)
    late = session.scalars(
        update(Claim)
        .where(Claim.id.in_(due))
        .values(status=ClaimStatus.UNDEFENDED)
        .returning(Claim)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).all()
    parts = {
        part.id: part
        for part in session.scalars(
            select(SupplierOrder).where(SupplierOrder.id.in_([claim.supplier_order_id for claim in late]))
        )
    }
    insert_rows(session, (Event, [told("undefended", claim, parts[claim.supplier_order_id], now) for claim in late]))
    return len(late)


def told(what: str, claim: Claim, part: SupplierOrder, now: datetime, **more: Any) -> dict[str, Any]:
    """The event `claim.<what>`: both sides hear it, and the platform where it has to decide."""
    waits = [PLATFORM_ID] if what in ("contested", "undefended") else []
    return outbox.row_of(
        f"claim.{what}", now=now, seen_by=[part.buyer_id, part.cooperative_id, *waits], claim_id=claim.id,
        supplier_order_id=part.id, order_id=part.order_id, status=claim.status, **more,
    )  # fmt: skip
