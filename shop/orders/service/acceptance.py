"""The inspection of a delivery and its acceptance note (验收单): the accepted quantity settles the bill.

Goods are billed as accepted packs × the price of the line. Freight is billed in full when any pack of the supplier
order is accepted, because the vehicle came for those too, and not at all when none is. A line of which something is
accepted bears the freight it was ordered with; the freight of lines that were wholly refused is dealt to the others by
the grams accepted. So an order that is accepted in full is billed, line by line, exactly as it was ordered.

Of a delivery that nobody inspects in time all that was shipped counts as accepted, and note, lines and facts are marked
so. What was rejected or short stays `shipped` in the lot's account, as no way back for goods is kept yet.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from shop.accounts.service.numbering import next_number
from shop.actor import SYSTEM, Actor
from shop.agreements.models import DrawingKind
from shop.agreements.service import drawing
from shop.clock import business_day
from shop.errors import Invalid
from shop.facts import service as facts
from shop.facts.models import Measure
from shop.http.parsing import fault
from shop.ids import new_id
from shop.ledger import service as ledger
from shop.ledger.models import AccountKind
from shop.money import split
from shop.orders import queries, queries_fulfilment, queries_inspections
from shop.orders.models import Acceptance, AcceptanceLine, OrderLine, Status, SupplierOrder, Terms, WrongStatus
from shop.orders.models_budgets import Drawing
from shop.orders.queries_fulfilment import LotShare
from shop.orders.schemas_fulfilment import CountIn, Inspect
from shop.orders.service import budgeting
from shop.orders.service.moving import move
from shop.orders.service.recording import finished
from shop.outbox import service as outbox

NUMBERED_AS = "AN"


class WrongCounts(Invalid):
    """The counts do not tell what became of every shipped lot; each fault names its place and what was shipped."""

    code, status = "wrong_counts", 422
    title, title_zh = "The counts do not add up to what was shipped.", "验收数量与发货数量不符。"


@dataclass(frozen=True)
class Count:
    """What was found of one lot of a line, in packs; no temperature where none was taken."""

    line_id: UUID
    lot_id: UUID
    accepted: int
    rejected: int = 0
    short: int = 0
    reason: str | None = None
    photo_ids: Sequence[UUID] = ()
    temperature_tenths: int | None = None


def accept_silently(session: Session, *, supplier_order_id: UUID, now: datetime) -> UUID:
    """Count all that was shipped as accepted, because nobody inspected it in time; gives the id of the note.

    As an inspection, by nobody; `supplier_order.accepted_silently` tells both sides.
    """
    everything = Inspect(lines=[], accept_all=True)
    note_id = inspect(
        session, actor=SYSTEM, supplier_order_id=supplier_order_id, found=everything, now=now, silent=True
    )
    part = session.get_one(SupplierOrder, supplier_order_id)
    outbox.announce(
        session,
        "supplier_order.accepted_silently",
        now=now,
        seen_by=[part.buyer_id, part.cooperative_id],
        supplier_order_id=part.id,
        order_id=part.order_id,
        acceptance_id=note_id,
    )
    return note_id


def inspect(
    session: Session,
    *,
    actor: Actor,
    supplier_order_id: UUID,
    found: Inspect,
    now: datetime,
    silent: bool = False,
    first_signer: UUID | None = None,
) -> UUID:
    """Record what was found of a delivery, bill it and close the inspection; gives the id of the acceptance note.

    In one transaction: the note with its lines, what the buyer owes and the cooperative is owed, the `accepted` facts
    and the move to inspected, whose event carries `acceptance_id`. NotFound for another's, WrongStatus unless it is
    delivered, WrongCounts. With a `first_signer` the actor is who signed second.
    """
    part = queries_fulfilment.locked(session, actor, supplier_order_id)
    if part.status != Status.DELIVERED:
        raise WrongStatus(f"A supplier order that is {part.status} is not inspected.", is_now=part.status)
    lines, counts = counted(session, part, found)
    accepted = {line.id: 0 for line in lines}
    for count in counts:
        accepted[count.line_id] += count.accepted
    freight = freight_shares(lines, accepted, part.freight_to_bill)
    goods_fen, freight_fen = sum(accepted[line.id] * line.unit_fen for line in lines), sum(freight.values())
    note_id = new_id()
    session.execute(
        insert(Acceptance).values(
            id=note_id,
            supplier_order_id=part.id,
            number=next_number(session, part.buyer_id, NUMBERED_AS, business_day(now).year),
            by_user_id=first_signer or actor.user_id,
            second_user_id=actor.user_id if first_signer else None,
            draft_id=found.draft_id,
            at=now,
            goods_fen=goods_fen,
            freight_fen=freight_fen,
            note=found.note,
            silent=silent,
        )
    )
    write_lines(session, note_id, counts, {line.id: line.unit_fen for line in lines}, silent)
    session.execute(
        update(SupplierOrder)
        .where(SupplierOrder.id == part.id)
        .values(accepted_goods_fen=goods_fen, accepted_freight_fen=freight_fen)
    )
    move(
        session,
        supplier_order_id=part.id,
        to=Status.INSPECTED,
        by=actor,
        now=now,
        told={"acceptance_id": note_id},
    )
    owed = goods_fen + freight_fen
    ledger.post(
        session,
        kind="acceptance",
        source_id=note_id,
        order_id=part.order_id,
        legs=[
            ledger.Leg(part.buyer_id, AccountKind.BUYER, owed),
            ledger.Leg(part.cooperative_id, AccountKind.COOPERATIVE, -owed),
        ],
        now=now,
    )
    if queries.terms_of(session, part.order_id) == Terms.ON_TERMS:  # what was not accepted will never be owed
        ledger.release_credit(session, part.buyer_id, part.goods_fen + part.freight_fen - owed)
    budgeting.give_back(
        session,
        supplier_order_id=part.id,
        kind=Drawing.NOT_ACCEPTED,
        fen=part.goods_fen + part.freight_fen - owed,
        now=now,
    )
    drawing.give_back(
        session,
        packs={line.id: line.packs - accepted[line.id] for line in lines if line.agreement_id is not None},
        kind=DrawingKind.NOT_ACCEPTED,
        now=now,
    )
    record_facts(session, lines, accepted, freight, now, silent)
    return note_id


def counted(session: Session, part: SupplierOrder, found: Inspect) -> tuple[list[OrderLine], list[Count]]:
    """The lines of a delivery and what was found of every lot of them, or WrongCounts."""
    lines = queries.lines_of(session, [part.id])[part.id]
    sent = queries_fulfilment.shipped(session, lines)
    if found.accept_all:
        return lines, [Count(share.line_id, share.lot_id, share.packs) for share in sent]
    named = {photo_id for count in found.lines for photo_id in count.photo_ids}
    photos = queries_inspections.usable_photos(session, part, named)
    return lines, checked(sent, found.lines, photos)


def checked(sent: Sequence[LotShare], given: Sequence[CountIn], photos: Collection[UUID] = ()) -> list[Count]:
    """The counts, once every shipped lot of every line is told of exactly once and sums to what was shipped of it."""
    left = {(share.line_id, share.lot_id): share.packs for share in sent}
    known = set(left)
    faults: list[dict[str, Any]] = []
    counts = []
    for place, count in enumerate(given):
        pointer, key = f"/lines/{place}", (count.line_id, count.lot_id)
        if key not in known:
            faults.append(fault(f"{pointer}/lot_id", "not_shipped", "nothing of this lot was shipped for this line"))
            continue
        if key not in left:
            faults.append(fault(f"{pointer}/lot_id", "repeated", "this lot of this line is counted above already"))
            continue
        was = left.pop(key)
        told = count.accepted + count.rejected + count.short
        if told != was:
            detail = f"accepted, rejected and short sum to {told} packs, but {was} were shipped"
            faults.append(fault(pointer, "does_not_add_up", detail) | {"shipped": was, "counted": told})
        if count.rejected and not count.reason:
            faults.append(fault(f"{pointer}/reason", "reason_missing", "say why packs are rejected"))
        if not set(count.photo_ids) <= set(photos):
            faults.append(fault(f"{pointer}/photo_ids", "no_such_photo", "this is no photo of yours of this delivery"))
        counts.append(
            Count(
                *key, count.accepted, count.rejected, count.short, count.reason, count.photo_ids,
                count.temperature_tenths,
            )
        )  # fmt: skip
    faults += [
        fault("/lines", "not_counted", f"{packs} packs of a shipped lot are not told of")
        | {"line_id": f"line_{line_id.hex}", "lot_id": f"lot_{lot_id.hex}", "shipped": packs}
        for (line_id, lot_id), packs in left.items()
    ]
    if faults:
        raise WrongCounts(errors=faults)
    return counts


def freight_shares(lines: Sequence[OrderLine], accepted: Mapping[UUID, int], freight_fen: int) -> dict[UUID, int]:
    """The billed freight of every line: all of it among the lines of which something is accepted, or none.

    Each keeps the share that it was ordered with and gets its part of the rest by weight; where less freight was agreed
    on than those shares, all of it is dealt by weight.
    """
    kept = [line for line in lines if accepted[line.id]]
    shares = {line.id: 0 for line in lines}
    if kept:
        own = {line.id: line.freight_fen for line in kept}
        if freight_fen < sum(own.values()):
            own = dict.fromkeys(own, 0)
        dealt = split(freight_fen - sum(own.values()), [accepted[line.id] * line.pack_grams for line in kept])
        for line, share in zip(kept, dealt, strict=True):
            shares[line.id] = own[line.id] + share
    return shares


def write_lines(
    session: Session, note_id: UUID, counts: Sequence[Count], unit_fen: Mapping[UUID, int], silent: bool
) -> None:
    session.execute(
        insert(AcceptanceLine),
        [
            {
                "id": new_id(),
                "acceptance_id": note_id,
                "line_id": count.line_id,
                "lot_id": count.lot_id,
                "accepted": count.accepted,
                "rejected": count.rejected,
                "short": count.short,
                "reason": count.reason,
                "goods_fen": count.accepted * unit_fen[count.line_id],
                "silent": silent,
                "photo_ids": list(count.photo_ids),
                "temperature_tenths": count.temperature_tenths,
            }
            for count in counts
        ],
    )


def record_facts(
    session: Session,
    lines: Sequence[OrderLine],
    accepted: Mapping[UUID, int],
    freight: Mapping[UUID, int],
    now: datetime,
    silent: bool,
) -> None:
    """One `accepted` fact for every line of which something was accepted, with the dimensions of its placing."""
    facts.record(
        session,
        Measure.ACCEPTED,
        [
            finished(line.dimensions)
            | {
                "source_id": line.id,
                "goods_fen": accepted[line.id] * line.unit_fen,
                "freight_fen": freight[line.id],
                "packs": accepted[line.id],
                "grams": accepted[line.id] * line.pack_grams,
                "silent": silent,
            }
            for line in lines
            if accepted[line.id]
        ],
        now=now,
    )
