"""What an order would cost: for which unit, where to, and one part for each cooperative with its freight."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shop.accounts.models_units import WHY_NOT, MandateExpired, OrganisationNotActive, UnitClosed
from shop.actor import Actor
from shop.clock import BEIJING
from shop.errors import Invalid, NotFound
from shop.freight import service as freight
from shop.ids import new_id
from shop.money import split
from shop.orders.schemas import PlaceOrder
from shop.orders.service.judging import Priced, price

SPLIT_WINDOWS: Sequence[tuple[date, timedelta]] = ((date(1996, 1, 1), timedelta(days=3)),)
"""From which day on a member's orders for one unit are added up over how many days before they look like one."""


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
class Unit:
    """Whose budget pays. `ordered_alone_fen`: what the member ordered for it without approval in the split window.

    `hold_minutes`: how long an order that is to be paid first holds its supply, from the placing on; `pay_minutes`: how
    long it waits for its money. `has_spending_limit`: what the member may order in a window is limited.
    """

    id: UUID
    funding_code: str
    budget_id: UUID | None
    ordered_alone_fen: int
    hold_minutes: int | None
    pay_minutes: int | None
    has_spending_limit: bool


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


WHOSE_AND_WHERE = text(
    """
    SELECT u.id, u.funding_code, a.id AS address_id, a.division_code, o.status AS buyer_status, u.status AS unit_status,
           u.organisation_id = o.id OR m.in_force AS may, b.id AS budget_id,
           (
               SELECT coalesce(sum(p.total_fen), 0) FROM purchase_order p
               WHERE p.placed_by = :member AND p.budget_unit_id = u.id AND p.placed_at >= :since AND NOT p.approved
           ) AS ordered_alone_fen,
           (
               SELECT minutes FROM hold_rule WHERE kind = 'bank_transfer' AND valid @> CAST(:on AS date)
           ) AS hold_minutes,
           (SELECT minutes FROM hold_rule WHERE kind = 'payment' AND valid @> CAST(:on AS date)) AS pay_minutes,
           EXISTS (SELECT FROM spending_limit WHERE membership_id = :membership) AS has_spending_limit
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


def quote(session: Session, *, actor: Actor, wanted: PlaceOrder, on: date) -> Quoted:
    """What an order would cost on a day, by cooperative; refused as placing it would be, but for supply and money."""
    unit, address = whose_and_where(session, actor, wanted, on)
    parts = by_cooperative(price(session, wanted, on, buyer=actor.organisation_id))
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
            "membership": actor.membership_id,
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
    unit = Unit(
        row.id,
        row.funding_code,
        row.budget_id,
        int(row.ordered_alone_fen),
        row.hold_minutes,
        row.pay_minutes,
        row.has_spending_limit,
    )
    return unit, Place(row.address_id, row.division_code)


def split_window(on: date) -> timedelta:
    return [window for begins, window in SPLIT_WINDOWS if begins <= on][-1]


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
