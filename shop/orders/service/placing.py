"""Place an order: read what is ordered, price it, hold supply for every line and record it, or refuse the whole.

One transaction and a constant number of set-based statements, however many lines and cooperatives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shop.accounts.models_units import WHY_NOT, MandateExpired, OrganisationNotActive, UnitClosed
from shop.accounts.service.numbering import next_number
from shop.actor import Actor
from shop.catalogue.models import ListingStatus
from shop.clock import BEIJING, business_day
from shop.db import Model, Rows, insert_rows
from shop.errors import Invalid, NotFound, Refusal
from shop.facts import service as facts
from shop.facts.models import Fact, Measure
from shop.freight import service as freight
from shop.http.parsing import fault
from shop.ids import new_id
from shop.ledger import service as ledger
from shop.money import split
from shop.orders.models import Order, OrderHistory, OrderLine, Status, SupplierOrder, Terms
from shop.orders.models_budgets import BudgetEntry
from shop.orders.schemas import LineIn, OrderLineIn, PlaceOrder, wishes_of
from shop.orders.service import budgeting
from shop.outbox import service as outbox
from shop.outbox.models import Event
from shop.pricing.service import unit_price
from shop.regions.service import attribute
from shop.stock.models import Hold
from shop.stock.service import holding

PAYMENT_WINDOWS: Sequence[tuple[date, timedelta]] = ((date(1996, 1, 1), timedelta(days=30)),)
"""From which day on a prepaid order (先款后货) waits how long for its money; the last window that has begun counts."""


SPLIT_WINDOWS: Sequence[tuple[date, timedelta]] = ((date(1996, 1, 1), timedelta(days=3)),)
"""From which day on a member's orders for one unit are added up over how many days before they look like one."""


class ApprovalRequired(Refusal):
    """The order is above what this member may place alone, or still may in the window; `allowed` is that in fen."""

    code, status = "approval_required", 409
    title, title_zh = "This order needs an approval.", "该订单需要审批。"


class AboveApproval(Refusal):
    """The order costs more now than was approved; `allowed` is what was approved, in fen."""

    code, status = "above_approval", 409
    title, title_zh = "This costs more now than was approved.", "当前金额已超过审批金额，请重新提交审批。"


@dataclass(frozen=True)
class Approval:
    """What stands behind an order in the place of the member's own limit: so much was approved, goods and freight."""

    total_fen: int


class NotOrderable(Invalid):
    """A line cannot be ordered as it stands; each is named with its reason and what is allowed."""

    code, status = "not_orderable", 409
    title, title_zh = "Some lines cannot be ordered as they are.", "部分商品暂不可按此订购。"


@dataclass
class Priced:
    """A line on its way into the order."""

    id: UUID
    place: int
    listing: Any
    packs: int
    unit_fen: int
    freight_fen: int = 0

    @property
    def goods_fen(self) -> int:
        return self.packs * self.unit_fen

    @property
    def grams(self) -> int:
        return self.packs * int(self.listing.pack_grams)


@dataclass
class Part:
    """What one cooperative will fill."""

    cooperative_id: UUID
    cooperative_name: str
    id: UUID = field(default_factory=new_id)
    lines: list[Priced] = field(default_factory=list)

    @property
    def goods_fen(self) -> int:
        return sum(line.goods_fen for line in self.lines)

    @property
    def freight_fen(self) -> int:
        return sum(line.freight_fen for line in self.lines)


@dataclass(frozen=True)
class Placed:
    """The order as it was placed, ready to be shown."""

    id: UUID
    number: str
    wanted: PlaceOrder
    parts: list[Part]
    buckets: dict[str, str]
    placed_at: datetime
    approved: bool
    split_suspected: bool

    @property
    def goods_fen(self) -> int:
        return sum(part.goods_fen for part in self.parts)

    @property
    def freight_fen(self) -> int:
        return sum(part.freight_fen for part in self.parts)

    @property
    def total_fen(self) -> int:
        return self.goods_fen + self.freight_fen


@dataclass(frozen=True)
class Unit:
    """Whose budget pays. `ordered_alone_fen`: what the member ordered for it without approval in the split window."""

    id: UUID
    funding_code: str
    budget_id: UUID | None
    ordered_alone_fen: int


@dataclass(frozen=True)
class Place:
    id: UUID
    division_code: str


@dataclass(frozen=True)
class Quoted:
    """An order as it would be placed: for which unit, where to, and its parts with prices and freight."""

    unit: Unit
    address: Place
    parts: list[Part]

    @property
    def total_fen(self) -> int:
        return sum(part.goods_fen + part.freight_fen for part in self.parts)


ORDERABLE = (ListingStatus.LISTED, ListingStatus.PAUSED)
"""A pause follows the seller's right a moment later; here the right itself is asked."""

LISTINGS = text(
    """
    SELECT l.id, l.status, l.revision, l.product_id, l.cooperative_id, l.pack_name, l.base_unit, l.pack_base_quantity,
           l.pack_grams, l.min_packs, l.step_packs, l.max_packs, l.tiers, l.price_from, l.price_to,
           l.season_from, l.season_to, l.category,
           l.storage, l.origin_code, p.shelf_life_days, p.name, p.name_en, p.spec, p.grade,
           o.name AS cooperative_name, o.status AS cooperative_status,
           o.selling_until,
           CASE WHEN o.kind = 'agent'
                THEN agent_mandate_of(o.id, p.mandate_id, p.name, CAST(:on AS date)) IS NULL
                ELSE false END AS unmandated
    FROM listing l JOIN product p ON p.id = l.product_id JOIN organisation o ON o.id = l.cooperative_id
    WHERE l.id = ANY(:ids)
    """
)
WHOSE_AND_WHERE = text(
    """
    SELECT u.id, u.funding_code, a.id AS address_id, a.division_code, o.status AS buyer_status, u.status AS unit_status,
           u.organisation_id = o.id OR m.in_force AS may, b.id AS budget_id,
           (
               SELECT coalesce(sum(p.total_fen), 0) FROM purchase_order p
               WHERE p.placed_by = :member AND p.budget_unit_id = u.id AND p.placed_at >= :since AND NOT p.approved
           ) AS ordered_alone_fen
    FROM organisation o
    JOIN budget_unit u ON u.id = :unit
    CROSS JOIN LATERAL (
        SELECT count(*) > 0 AS given,
               coalesce(bool_or(status = 'active' AND valid @> CAST(:on AS date)), false) AS in_force
        FROM buying_mandate
        WHERE unit_id = u.id AND organisation_id = o.id AND status IN ('active', 'ended')
    ) m
    LEFT JOIN budget b ON b.budget_unit_id = u.id AND b.year = :year AND b.purpose = :purpose
    LEFT JOIN address a ON a.id = :address AND a.retired_at IS NULL AND a.organisation_id IN (o.id, u.organisation_id)
    WHERE o.id = :buyer AND (u.organisation_id = o.id OR m.given)
    FOR KEY SHARE OF o  -- who closes a buyer counts its orders when this one is among them
    """
)


def place(
    session: Session, *, actor: Actor, wanted: PlaceOrder, now: datetime, approval: Approval | None = None
) -> Placed:
    """Place the order and announce `order.placed`; above the member's own limit it takes an approval.

    Refuses the whole with NotFound (address or budget unit of another), NotOrderable (a line's listing, season,
    minimum, step or maximum), ApprovalRequired or AboveApproval, NoLane, CreditExceeded or Shortage; and with
    OrganisationNotActive, UnitClosed or MandateExpired.
    """
    today = business_day(now)
    quoted = quote(session, actor=actor, wanted=wanted, on=today)
    unit, parts, total = quoted.unit, quoted.parts, quoted.total_fen
    lines = [line for part in parts for line in part.lines]
    if approval is not None:
        if total > approval.total_fen:
            raise AboveApproval(allowed=approval.total_fen, total_fen=total)
    else:
        require_limit(session, actor, total, now)
    attributed = attribute(
        session, funding_code=unit.funding_code, origins=[line.listing.origin_code for line in lines], on=today
    )
    if wanted.payment_terms == Terms.ON_TERMS.value:
        ledger.reserve_credit(session, actor.organisation_id, total)
    order_id = new_id()
    drawn = (
        [budgeting.draw(session, budget_id=unit.budget_id, order_id=order_id, fen=total, now=now)]
        if unit.budget_id
        else []
    )
    holds = holding.take(
        session,
        [
            holding.Want(line.id, line.listing.id, actor.organisation_id, line.packs * pack, pack)
            for line in lines
            for pack in (line.listing.pack_base_quantity,)
        ],
        now=now,
    )
    shared = {
        "funding_code": unit.funding_code,
        "buyer_id": actor.organisation_id.hex,
        "budget_unit_id": unit.id.hex,
        "purpose": wanted.purpose,
        "terms": wanted.payment_terms,
        "order_id": order_id.hex,
    }
    dimensions = {
        line.id: dimensions_of(line, part, attributed[line.listing.origin_code], shared)
        for part in parts
        for line in part.lines
    }
    number = next_number(session, actor.organisation_id, "PO", now.astimezone(BEIJING).year)
    placed = Placed(
        order_id,
        number,
        wanted,
        parts,
        {code: found.bucket for code, found in attributed.items()},
        now,
        approved=approval is not None,
        split_suspected=approval is None and unit.ordered_alone_fen + total > (actor.order_limit_fen or 0),
    )
    insert_rows(
        session,
        *rows_of(placed, actor, unit, quoted.address, dimensions),
        (Hold, holds),
        (BudgetEntry, drawn),
        (Event, events_of(placed, actor)),
    )
    return placed


def require_limit(session: Session, actor: Actor, total_fen: int, now: datetime) -> None:
    """ApprovalRequired unless the member may order so much alone, at once and in the window."""
    allowed = actor.order_limit_fen or 0
    if total_fen <= allowed:
        left = budgeting.left_of_window(session, actor=actor, now=now)
        allowed = allowed if left is None else min(allowed, left)
    if total_fen > allowed or actor.order_limit_fen is None:
        raise ApprovalRequired(allowed=allowed, total_fen=total_fen)


def split_window(on: date) -> timedelta:
    return [window for begins, window in SPLIT_WINDOWS if begins <= on][-1]


def events_of(placed: Placed, actor: Actor) -> list[dict[str, Any]]:
    """That it was placed, and when it looks like a part of a larger one, that too."""
    told = outbox.row_of(
        "order.placed",
        now=placed.placed_at,
        seen_by=[actor.organisation_id, *(part.cooperative_id for part in placed.parts)],
        order_id=placed.id,
        terms=placed.wanted.payment_terms,
    )
    if not placed.split_suspected:
        return [told]
    suspected = outbox.row_of(
        "order.split_suspected", now=placed.placed_at, seen_by=[actor.organisation_id], suspected_id=placed.id
    )
    return [told, suspected]


def quote(session: Session, *, actor: Actor, wanted: PlaceOrder, on: date) -> Quoted:
    """What an order would cost on a day, by cooperative; refused as placing it would be, but for supply and money."""
    unit, address = whose_and_where(session, actor, wanted, on)
    parts = by_cooperative(price(session, wanted, on))
    quote_freight(session, parts, to_code=address.division_code, on=on)
    return Quoted(unit, address, parts)


def whose_and_where(session: Session, actor: Actor, wanted: PlaceOrder, today: date) -> tuple[Any, Any]:
    """The budget unit and the address, in one statement; Invalid for a day of delivery that has passed.

    They are the buyer's own; or a unit that the buyer has a mandate for, as its caterer or union, and then a place of
    either. What was never the buyer's to name is as missing.
    """
    if wanted.deliver_on is not None and wanted.deliver_on < today:
        raise Invalid("The day of delivery has passed.", pointer="/deliver_on")
    row = session.execute(
        WHOSE_AND_WHERE,
        {
            "unit": wanted.budget_unit_id,
            "address": wanted.delivery_address_id,
            "buyer": actor.organisation_id,
            "on": today,
            "member": actor.user_id,
            "since": datetime.combine(today - split_window(today), time(), BEIJING),
            "year": today.year,
            "purpose": wanted.purpose,
        },
    ).first()
    if row is None:
        raise NotFound("No such budget unit of yours.", pointer="/budget_unit_id")
    if row.buyer_status != "active":
        raise OrganisationNotActive(WHY_NOT.get(row.buyer_status, ""), organisation_status=row.buyer_status)
    if not row.may:
        raise MandateExpired(pointer="/budget_unit_id")
    if row.address_id is None:
        raise NotFound("No such delivery address of yours.", pointer="/delivery_address_id")
    if row.unit_status != "open":
        raise UnitClosed(pointer="/budget_unit_id")
    return Unit(row.id, row.funding_code, row.budget_id, int(row.ordered_alone_fen)), Place(
        row.address_id, row.division_code
    )


def in_season(first: int, last: int, month: int) -> bool:
    """Whether a month lies in a season, which may run over the new year."""
    return first <= month <= last if first <= last else month >= first or month <= last


def price(session: Session, wanted: PlaceOrder, today: date) -> list[Priced]:
    """The lines with their listings and unit prices; NotOrderable names every line that cannot be ordered."""
    lines, faults = judge(session, wanted.lines, today)
    if faults:
        raise NotOrderable(errors=faults)
    return lines


def judge(session: Session, wanted: Sequence[LineIn], today: date) -> tuple[list[Priced], list[dict[str, Any]]]:
    """The lines that can be ordered today, priced, and what holds the others, each with the pointer of its line."""
    return judge_by(listings_of(session, [line.listing_id for line in wanted], today), wanted, today)


def listings_of(session: Session, ids: Sequence[UUID], today: date) -> dict[UUID, Any]:
    """What orders are judged by, of these listings as they are on a day."""
    return {row.id: row for row in session.execute(LISTINGS, {"ids": ids, "on": today})}


def judge_by(
    found: Mapping[UUID, Any], wanted: Sequence[LineIn], today: date
) -> tuple[list[Priced], list[dict[str, Any]]]:
    """The same by listings that were read before."""
    lines: list[Priced] = []
    faults: list[dict[str, Any]] = []
    seen: set[UUID] = set()

    for place, line in enumerate(wanted):
        listing = found.get(line.listing_id)
        pointer = f"/lines/{place}"

        def no(name: str, code: str, detail: str, at: str = pointer, **facts: Any) -> None:
            faults.append(fault(f"{at}/{name}", code, detail) | facts)

        if listing is None or listing.status not in ORDERABLE:
            no("listing_id", "not_listed", "this listing is not on sale")
            continue
        if listing.cooperative_status != "active" or listing.selling_until is None or listing.selling_until <= today:
            no("listing_id", "not_selling", "its seller has no right to sell today")
            continue
        if listing.unmandated:
            no("listing_id", "not_selling", "no mandate in force lets its seller sell this product today")
            continue
        if line.listing_id in seen:
            no("listing_id", "repeated", "this listing is on another line already")
            continue
        seen.add(line.listing_id)
        if not in_season(listing.season_from, listing.season_to, today.month):
            no("listing_id", "out_of_season", f"sold from month {listing.season_from} to {listing.season_to}")
            continue
        if listing.price_from is not None and today < listing.price_from:
            no("listing_id", "price_not_begun", "its price holds from a later day", price_from=str(listing.price_from))
            continue
        if listing.price_to is not None and today >= listing.price_to:
            no("listing_id", "price_lapsed", "its price has run out", price_to=str(listing.price_to))
            continue
        packs, step = line.quantity, listing.step_packs
        to_keep = line.min_shelf_life_days if isinstance(line, OrderLineIn) else None
        if to_keep is not None and to_keep >= listing.shelf_life_days:
            keeps = listing.shelf_life_days
            no("min_shelf_life_days", "keeps_too_short", f"keeps for {keeps} days when fresh", allowed=keeps - 1)
        elif packs < listing.min_packs:
            no("quantity", "below_minimum", f"at least {listing.min_packs} packs", allowed=listing.min_packs)
        elif packs > listing.max_packs:
            no("quantity", "above_maximum", f"at most {listing.max_packs} packs", allowed=listing.max_packs)
        elif (packs - listing.min_packs) % step:
            no("quantity", "off_step", f"in steps of {step} packs from {listing.min_packs}", allowed=step)
        else:
            lines.append(Priced(new_id(), place, listing, packs, unit_price(listing.tiers, packs)))
    return lines, faults


def by_cooperative(lines: Sequence[Priced]) -> list[Part]:
    parts: dict[UUID, Part] = {}
    for line in lines:
        key = line.listing.cooperative_id
        parts.setdefault(key, Part(key, line.listing.cooperative_name)).lines.append(line)
    return list(parts.values())


def quote_freight(session: Session, parts: Sequence[Part], *, to_code: str, on: date) -> None:
    """One parcel per cooperative, origin province and temperature class; its freight dealt to the lines by weight."""
    parcels: dict[tuple[UUID, str, str], list[Priced]] = {}
    for part in parts:
        for line in part.lines:
            key = (part.cooperative_id, line.listing.origin_code[:2], line.listing.storage)
            parcels.setdefault(key, []).append(line)
    quotes = freight.quote(
        session,
        parcels=[
            freight.Parcel(key, lines[0].listing.origin_code, key[2], sum(line.grams for line in lines))
            for key, lines in parcels.items()
        ],
        to_code=to_code,
        on=on,
    )
    for key, lines in parcels.items():
        shares = split(quotes[key].fen, [line.grams for line in lines])
        for line, share in zip(lines, shares, strict=True):
            line.freight_fen = share


def dimensions_of(line: Priced, part: Part, found: Any, shared: dict[str, str]) -> dict[str, Any]:
    """What every fact of this line will carry, as of the placing; ids in hex."""
    return shared | {
        "scheme": found.scheme,
        "bucket": str(found.bucket),
        "pairing_id": found.pairing_id.hex if found.pairing_id else None,
        "east_province": found.east_province,
        "west_province": found.west_province,
        "origin_code": line.listing.origin_code,
        "cooperative_id": part.cooperative_id.hex,
        "product_id": line.listing.product_id.hex,
        "category": line.listing.category,
        "supplier_order_id": part.id.hex,
        "line_id": line.id.hex,
    }


def payment_window(on: date) -> timedelta:
    return [window for begins, window in PAYMENT_WINDOWS if begins <= on][-1]


def rows_of(
    placed: Placed, actor: Actor, unit: Unit, address: Place, dimensions: dict[UUID, dict[str, Any]]
) -> list[tuple[type[Model], Rows]]:
    """The rows of the order, its parts, lines, history and `ordered` facts."""
    wanted, now = placed.wanted, placed.placed_at
    lines = [(part, line) for part in placed.parts for line in part.lines]
    pay_before = now + payment_window(business_day(now))
    order = {
        "id": placed.id,
        "number": placed.number,
        "buyer_id": actor.organisation_id,
        "budget_unit_id": unit.id,
        "address_id": address.id,
        "delivery_code": address.division_code,
        "purpose": wanted.purpose,
        "terms": wanted.payment_terms,
        **wishes_of(wanted),
        "goods_fen": placed.goods_fen,
        "freight_fen": placed.freight_fen,
        "total_fen": placed.total_fen,
        "placed_by": actor.user_id,
        "placed_at": now,
        "approved": placed.approved,
        "split_suspected": placed.split_suspected,
    }
    parts = [
        {
            "id": part.id,
            "order_id": placed.id,
            "buyer_id": actor.organisation_id,
            "cooperative_id": part.cooperative_id,
            "status": Status.PLACED,
            "goods_fen": part.goods_fen,
            "freight_fen": part.freight_fen,
            "pay_before": pay_before,
        }
        for part in placed.parts
    ]
    ordered = [
        {
            "id": line.id,
            "supplier_order_id": part.id,
            "listing_id": line.listing.id,
            "listing_revision": line.listing.revision,
            "product_id": line.listing.product_id,
            "packs": line.packs,
            "pack_base_quantity": line.listing.pack_base_quantity,
            "pack_grams": line.listing.pack_grams,
            "unit_fen": line.unit_fen,
            "goods_fen": line.goods_fen,
            "freight_fen": line.freight_fen,
            "min_shelf_life_days": wanted.lines[line.place].min_shelf_life_days,
            "snapshot": {
                "name": line.listing.name,
                "name_en": line.listing.name_en,
                "spec": line.listing.spec,
                "grade": line.listing.grade,
                "pack_name": line.listing.pack_name,
                "cooperative": part.cooperative_name,
            },
            "dimensions": dimensions[line.id],
        }
        for part, line in lines
    ]
    history = [
        {
            "id": new_id(),
            "supplier_order_id": part.id,
            "step": 1,
            "status": Status.PLACED,
            "by_user_id": actor.user_id,
            "at": now,
        }
        for part in placed.parts
    ]
    recorded = facts.rows_of(
        Measure.ORDERED,
        [
            finished(dimensions[line.id])
            | {
                "source_id": line.id,
                "goods_fen": line.goods_fen,
                "freight_fen": line.freight_fen,
                "packs": line.packs,
                "grams": line.grams,
            }
            for _, line in lines
        ],
        now=now,
    )
    return [(Order, [order]), (SupplierOrder, parts), (OrderLine, ordered), (OrderHistory, history), (Fact, recorded)]


def finished(dimensions: dict[str, Any]) -> dict[str, Any]:
    """A line's dimensions as a fact takes them: ids as ids."""
    return {
        name: UUID(hex=value) if name.endswith("_id") and value is not None else value
        for name, value in dimensions.items()
    }
