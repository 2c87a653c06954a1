"""Hand in an inspection: by whom the unit allows, with one signature or two, once however often it is sent.

A unit may demand that two people sign and that neither is whoever ordered. Then the first signature keeps what was
found and accepts nothing; another person's records it. A first signature that nobody joins within its hours falls, and
the delivery is inspected anew.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from shop.accounts import queries_units
from shop.actor import Actor
from shop.audit import service as audit
from shop.db import insert_rows, seeing_all
from shop.errors import NotFound
from shop.orders import queries, queries_fulfilment, queries_inspections
from shop.orders.models import Order, Status, SupplierOrder, WrongStatus
from shop.orders.models_inspections import (
    InspectionDraft,
    InspectionSetting,
    InspectionSigning,
    InspectorOrdered,
    NoSignatureWaits,
    SameSigner,
    SignatureWaits,
    SigningStatus,
)
from shop.orders.models_times import Waits
from shop.orders.schemas_fulfilment import Inspect
from shop.orders.schemas_inspections import DraftIn, SetInspection
from shop.orders.service import acceptance, keeping_times
from shop.outbox import service as outbox
from shop.outbox.models import Event


def set_inspection(session: Session, *, by: Actor, wanted: SetInspection, now: datetime) -> InspectionSetting:
    """Set how deliveries for a unit are inspected; NotFound for another's unit. What waits for a signature goes on."""
    unit = queries_units.own_unit(session, by, wanted.budget_unit_id)
    values = {"two_signatures": wanted.two_signatures, "not_by_requester": wanted.not_by_requester}
    before = session.get(InspectionSetting, unit.id)
    audit.record(
        session, by=by, action="inspection_setting.set", kind="budget_unit", subject=unit.id, now=now,
        reason=wanted.reason, before={name: getattr(before, name) for name in values} if before else None, after=values,
    )  # fmt: skip
    return session.scalars(
        upsert(InspectionSetting)
        .values(budget_unit_id=unit.id, organisation_id=unit.organisation_id, **values)
        .on_conflict_do_update(index_elements=["budget_unit_id"], set_=values)
        .returning(InspectionSetting),
        execution_options={"populate_existing": True},
    ).one()


def hand_in(
    session: Session, *, actor: Actor, supplier_order_id: UUID, found: Inspect, now: datetime
) -> UUID | InspectionSigning:
    """Record an inspection, or keep it with its first signature where the unit demands two.

    Gives the id of the acceptance note, or what waits for the second signature. A draft that was sent before gives what
    it became, whatever is in it now. NotFound, WrongStatus, WrongCounts, InspectorOrdered, SignatureWaits.
    """
    part = queries_fulfilment.locked(session, actor, supplier_order_id)
    if found.draft_id is not None:
        became = queries_inspections.became(session, part.id, found.draft_id)
        if became is not None:
            return became
    setting = setting_of(session, part, actor)
    if setting is None or not setting.two_signatures:
        return acceptance.inspect(session, actor=actor, supplier_order_id=part.id, found=found, now=now)
    if part.status != Status.DELIVERED:
        raise WrongStatus(f"A supplier order that is {part.status} is not inspected.", is_now=part.status)
    acceptance.counted(session, part, found)
    lapse_signatures(session, now=now, supplier_order_id=part.id)
    waiting = queries_inspections.waiting_signing(session, part.id)
    if waiting is not None:
        raise SignatureWaits(signing_id=f"sig_{waiting.id.hex}")
    hours = keeping_times.hours_for(session, Waits.SIGNATURE, supplier_order_id=part.id, now=now)
    signing = InspectionSigning(
        supplier_order_id=part.id,
        client_id=found.draft_id,
        content=found.model_dump(mode="json"),
        status=SigningStatus.WAITING,
        first_user_id=actor.user_id,
        signed_at=now,
        lapses_at=now + timedelta(hours=hours) if hours else None,
    )
    session.add(signing)
    session.flush()
    insert_rows(session, (Event, [told("signed", signing, part, now)]))
    return signing


def setting_of(session: Session, part: SupplierOrder, actor: Actor) -> InspectionSetting | None:
    """How the unit has deliveries inspected; InspectorOrdered for whoever ordered, where it does not let them.

    The unit may be another organisation's, whose settings bind whoever buys for it.
    """
    with seeing_all(session):
        row = session.execute(
            select(InspectionSetting, Order.placed_by)
            .join(Order, Order.budget_unit_id == InspectionSetting.budget_unit_id)
            .where(Order.id == part.order_id)
        ).first()
    if row is None:
        return None
    setting: InspectionSetting = row[0]
    if setting.not_by_requester and actor.user_id == row[1]:
        raise InspectorOrdered
    return setting


def countersign(session: Session, *, actor: Actor, supplier_order_id: UUID, now: datetime) -> UUID:
    """Give the second signature: what the first one found is recorded; gives the id of the acceptance note.

    NotFound, NoSignatureWaits, SameSigner, InspectorOrdered, and what an inspection refuses.
    """
    part, signing = waiting(session, actor, supplier_order_id, now)
    if signing.first_user_id == actor.user_id:
        raise SameSigner
    setting_of(session, part, actor)
    note_id = acceptance.inspect(
        session,
        actor=actor,
        supplier_order_id=part.id,
        found=Inspect.model_validate(signing.content),
        now=now,
        first_signer=signing.first_user_id,
    )
    signing.status, signing.second_user_id, signing.ended_at = SigningStatus.SIGNED, actor.user_id, now
    session.flush()
    return note_id


def send_back(
    session: Session, *, actor: Actor, supplier_order_id: UUID, reason: str, now: datetime
) -> InspectionSigning:
    """Do not sign: the first signature falls, and the delivery is inspected anew. NotFound, NoSignatureWaits."""
    part, signing = waiting(session, actor, supplier_order_id, now)
    signing.status, signing.ended_at, signing.reason = SigningStatus.RETURNED, now, reason
    if signing.first_user_id != actor.user_id:
        signing.second_user_id = actor.user_id
    session.flush()
    insert_rows(session, (Event, [told("returned", signing, part, now)]))
    return signing


def waiting(
    session: Session, actor: Actor, supplier_order_id: UUID, now: datetime
) -> tuple[SupplierOrder, InspectionSigning]:
    """The supplier order and what waits for a second signature, both locked and within its hours."""
    part = queries_fulfilment.locked(session, actor, supplier_order_id)
    signing = queries_inspections.waiting_signing(session, part.id)
    if signing is None or (signing.lapses_at is not None and signing.lapses_at <= now):
        raise NoSignatureWaits
    return part, signing


def lapse_signatures(
    session: Session, *, now: datetime, supplier_order_id: UUID | None = None, limit: int = 500
) -> int:
    """Let first signatures fall whose hours are over, and tell the buyers; gives how many. One batch."""
    old = (
        select(InspectionSigning.id)
        .where(InspectionSigning.status == SigningStatus.WAITING, InspectionSigning.lapses_at <= now)
        .order_by(InspectionSigning.lapses_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    if supplier_order_id is not None:
        old = old.where(InspectionSigning.supplier_order_id == supplier_order_id)
    fallen = session.scalars(
        update(InspectionSigning)
        .where(InspectionSigning.id.in_(old))
        .values(status=SigningStatus.LAPSED, ended_at=now)
        .returning(InspectionSigning)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).all()
    parts = {
        part.id: part
        for part in session.scalars(
            select(SupplierOrder).where(SupplierOrder.id.in_([each.supplier_order_id for each in fallen]))
        )
    }
    insert_rows(session, (Event, [told("lapsed", each, parts[each.supplier_order_id], now) for each in fallen]))
    return len(fallen)


def told(what: str, signing: InspectionSigning, part: SupplierOrder, now: datetime) -> dict[str, Any]:
    """The event `inspection.<what>`, which the buyer hears."""
    return outbox.row_of(
        f"inspection.{what}", now=now, seen_by=[part.buyer_id], supplier_order_id=part.id, order_id=part.order_id,
        signing_id=signing.id,
    )  # fmt: skip


def save_draft(
    session: Session, *, actor: Actor, supplier_order_id: UUID, draft_id: UUID, wanted: DraftIn, now: datetime
) -> InspectionDraft:
    """Keep what a device has written, unless a newer version is kept; gives what is kept. NotFound for another's."""
    part = queries.supplier_order(session, actor, supplier_order_id)
    content = wanted.model_dump(mode="json", exclude={"version"})
    values = {
        "version": wanted.version, "content": content, "saved_by": actor.user_id, "saved_at": now,
        "recorded_at": func.clock_timestamp(),
    }  # fmt: skip
    session.execute(
        upsert(InspectionDraft)
        .values(id=draft_id, supplier_order_id=part.id, organisation_id=actor.organisation_id, **values)
        .on_conflict_do_update(
            index_elements=["id", "supplier_order_id"], set_=values, where=InspectionDraft.version < wanted.version
        )
    )
    return session.scalars(
        select(InspectionDraft)
        .where(InspectionDraft.id == draft_id, InspectionDraft.supplier_order_id == part.id)
        .execution_options(populate_existing=True)
    ).one()


def drafts_of(session: Session, actor: Actor, supplier_order_id: UUID) -> Sequence[InspectionDraft]:
    """The drafts that were saved of an inspection, oldest first; NotFound for another's."""
    part = queries.supplier_order(session, actor, supplier_order_id)
    return session.scalars(
        select(InspectionDraft).where(InspectionDraft.supplier_order_id == part.id).order_by(InspectionDraft.id)
    ).all()


def signings_of(session: Session, actor: Actor, supplier_order_id: UUID) -> Sequence[InspectionSigning]:
    """The inspections of a delivery that were signed once, oldest first; NotFound for another's."""
    part = queries.supplier_order(session, actor, supplier_order_id)
    if part.buyer_id != actor.organisation_id and not actor.reads_everything:
        raise NotFound
    return session.scalars(
        select(InspectionSigning)
        .where(InspectionSigning.supplier_order_id == part.id)
        .order_by(InspectionSigning.id)
        .execution_options(populate_existing=True)
    ).all()
