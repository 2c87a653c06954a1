"""Requisitions from what is there already: a list and headcounts, an earlier order, pasted codes."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.clock import business_day
from shop.errors import Invalid, Refusal
from shop.ids import ListingId, PublicId
from shop.orders import queries as orders
from shop.orders.schemas import OrderLineIn
from shop.orders.service import judging
from shop.requisitions import queries, queries_lists
from shop.requisitions.schemas import RequisitionIn
from shop.requisitions.schemas_lists import (
    Candidate,
    CanteenIn,
    DrawnUp,
    DrawUp,
    PassedOver,
    Pasted,
    PastedFault,
    PastedFaultCode,
    PastedLine,
    PastedOut,
    WorkedLine,
)
from shop.requisitions.service import drafting
from shop.requisitions.service.working_out import shelf_of, work_out
from shop.sheets.text import half_width, trimmed

LISTING = next(meta for meta in ListingId.__metadata__ if isinstance(meta, PublicId))  # type: ignore[attr-defined]
MOST_ROWS, MOST_CANDIDATES = 200, 8
ROW = re.compile(r"^(?P<code>[^\s,;]+)[\s,;]+(?P<quantity>[0-9]{1,7})(?:\s*(?:件|箱|袋|盒|packs?))?$")


def draw_up(session: Session, *, list_id: UUID, by: Actor, wanted: DrawUp, now: datetime) -> list[DrawnUp]:
    """A requisition for every canteen, in one commit: all of them or, with the first fault named, none.

    Canteens take from the same supply in their order; a line that nothing can be ordered for is left out and named.
    """
    row = queries_lists.one(session, by, list_id)
    lines = queries_lists.lines_of(session, row.id)
    shelf = shelf_of(session, lines, on=business_day(now))
    made = []
    for place, canteen in enumerate(wanted.canteens):
        with named_by(f"/canteens/{place}"):
            worked = work_out(shelf, lines, heads=canteen.headcount, meals=wanted.meals)
            made.append(draw_up_one(session, by, wanted, canteen, worked, now))
    return made


def draw_up_one(
    session: Session, by: Actor, wanted: DrawUp, canteen: CanteenIn, worked: list[WorkedLine], now: datetime
) -> DrawnUp:
    lines = [
        OrderLineIn(listing_id=line.listing_id, quantity=line.quantity)
        for line in worked
        if line.listing_id is not None and line.quantity is not None
    ]
    if not lines:
        raise Invalid("Nothing of the list can be ordered now.", pointer="")
    requisition_id = drafting.make(
        session,
        by=by,
        now=now,
        wanted=RequisitionIn(
            lines=lines,
            budget_unit_id=canteen.budget_unit_id,
            delivery_address_id=canteen.delivery_address_id,
            purpose=wanted.purpose,
            payment_terms=wanted.payment_terms,
            reference=canteen.reference,
            deliver_on=wanted.deliver_on,
            note=wanted.note,
        ),
    )
    if wanted.submit:
        drafting.submit(session, requisition_id=requisition_id, by=by, now=now)
    row = queries.one(session, by, requisition_id)
    return DrawnUp(
        requisition_id=row.id,
        status=row.status,
        version=row.version,
        total_fen=row.total_fen,
        left_out=[line for line in worked if line.listing_id is None],
    )


@contextmanager
def named_by(where: str) -> Iterator[None]:
    """Refusals of one of many, with the place of that one before every pointer."""
    try:
        yield
    except Invalid as refused:
        errors = [error | {"pointer": where + error["pointer"]} for error in refused.errors]
        raise type(refused)(refused.detail, errors=errors) from None
    except Refusal as refused:
        refused.pointer = where + (refused.pointer or "")
        raise


def copy_order(session: Session, *, order_id: UUID, by: Actor, now: datetime) -> tuple[UUID, list[PassedOver]]:
    """A draft of an earlier order of the institution's, at the prices of today; gives its id and what is left out.

    NotOrderable when nothing of it is on sale any more.
    """
    order = orders.order(session, by, order_id)
    bought = [
        OrderLineIn(listing_id=line.listing_id, quantity=line.packs) for line in orders.ordered_lines(session, order.id)
    ]
    _, faults = judging.judge(session, bought, business_day(now))
    gone = {int(one["pointer"].split("/")[2]): one for one in faults if one["code"] in ("not_listed", "repeated")}
    kept = [line for n, line in enumerate(bought) if n not in gone]
    if not kept:
        raise judging.NotOrderable(errors=list(gone.values()))
    made = drafting.make(
        session,
        by=by,
        now=now,
        wanted=RequisitionIn(
            lines=kept,
            budget_unit_id=order.budget_unit_id,
            delivery_address_id=order.address_id,
            purpose=order.purpose,  # type: ignore[arg-type]
            payment_terms=order.terms,  # type: ignore[arg-type]
        ),
    )
    return made, [
        PassedOver(listing_id=bought[place].listing_id, code=one["code"], detail=one["detail"])
        for place, one in gone.items()
    ]


def read_pasted(session: Session, *, pasted: Pasted) -> PastedOut:
    """The listings and quantities that pasted rows mean, and every row that means none; three statements at most.

    A code is a listing's id or a product's code. Digits and signs may be of full width.
    """
    rows = [(n, trimmed(half_width(text))) for n, text in enumerate(pasted.text.splitlines(), 1)]
    rows = [(n, text) for n, text in rows if text]
    if len(rows) > MOST_ROWS:
        raise Invalid(f"At most {MOST_ROWS} rows.", pointer="/text")
    read = {n: found for n, text in rows if (found := ROW.match(text))}
    codes = {found["code"] for found in read.values()}
    ids = {key for code in codes if (key := listing_id_of(code))}
    sold = {(row.id, LISTING.format(row.id)): row for row in queries_lists.on_sale_by_id(session, ids)}
    sold |= {
        (row.id, row.code): row
        for row in queries_lists.on_sale_by_code(session, {code for code in codes if not listing_id_of(code)})
    }
    named: dict[str, list[Any]] = {}
    for (_, code), row in sold.items():
        named.setdefault(code, []).append(row)
    lines: dict[UUID, PastedLine] = {}
    faults: list[PastedFault] = []
    for n, text in rows:
        found = read.get(n)
        meant = named.get(found["code"], []) if found else []
        if found is None or int(found["quantity"]) < 1:
            faults.append(wrong(n, text, "unreadable", "a row is a code and a whole number of packs"))
        elif not meant:
            faults.append(wrong(n, text, "unknown_code", "nothing on sale has this code"))
        elif len(meant) > 1:
            faults.append(wrong(n, text, "ambiguous_code", f"{len(meant)} listings on sale have this code", meant))
        elif meant[0].id in lines:
            faults.append(wrong(n, text, "repeated", f"this listing stands in row {lines[meant[0].id].row}"))
        else:
            lines[meant[0].id] = PastedLine(
                row=n, listing_id=meant[0].id, quantity=int(found["quantity"]), name=meant[0].name,
                pack_name=meant[0].pack_name, cooperative=meant[0].cooperative,
            )  # fmt: skip
    return PastedOut(lines=list(lines.values()), faults=faults)


def wrong(row: int, text: str, code: PastedFaultCode, detail: str, meant: Sequence[Any] = ()) -> PastedFault:
    return PastedFault(
        row=row,
        text=text[:200],
        code=code,
        detail=detail,
        candidates=[
            Candidate(
                listing_id=one.id, name=one.name, pack_name=one.pack_name, cooperative=one.cooperative,
                price_fen=one.price_fen,
            )
            for one in meant[:MOST_CANDIDATES]
        ],
    )  # fmt: skip


def listing_id_of(code: str) -> UUID | None:
    try:
        return LISTING.parse(code)
    except ValueError:
        return None
