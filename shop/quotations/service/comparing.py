"""Compare quotes by what a kilogram that is accepted comes to, delivered.

Landed price per accepted kilogram = (goods + freight of the line travelling alone) / (net kilograms × expected share).
The expected share is what buyers accepted of all that the cooperative delivered to them and they inspected, by weight,
in the time that the rule of the day looks back over; a cooperative with fewer inspected lines than the rule asks for is
expected to deliver as asked. One half-up division, so nothing is rounded twice:

    (520,000 fen + 30,000 fen) × 1,000 g × 980 kg / (1,000,000 g × 931 kg) = 578.95 → 579 fen a kilogram
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shop.clock import business_day
from shop.db import seeing_all
from shop.freight import service as freight
from shop.money import half_up
from shop.quotations import queries
from shop.quotations.models import Quotation, QuotationLine, QuotationRequest, QuotesSealed
from shop.regions.models import province_of


@dataclass(frozen=True)
class Lookback:
    """Over how many days acceptances count, and how many inspected lines are the least that say anything."""

    days: int
    least_lines: int


LOOKBACKS: Sequence[tuple[date, Lookback]] = ((date(1996, 1, 1), Lookback(days=365, least_lines=3)),)
"""From which day on what is looked back over; the last one that has begun counts."""


@dataclass(frozen=True)
class Share:
    """What was accepted of what was inspected, in grams; `lines` are the inspected lines behind it."""

    accepted_grams: int
    inspected_grams: int
    lines: int


AS_ASKED = Share(1, 1, 0)


@dataclass(frozen=True)
class Compared:
    """A quote for a line. What no lane reaches, or was never accepted yet, has no landed price and stands last."""

    quotation: Quotation
    line: QuotationLine
    goods_fen: int
    freight: freight.Quote | None
    share: Share
    per_kg_fen: int | None


SHARES = text(
    """
    SELECT s.cooperative_id, sum(a.accepted * l.pack_grams) AS accepted,
           sum((a.accepted + a.rejected + a.short) * l.pack_grams) AS inspected, count(DISTINCT l.id) AS lines
    FROM supplier_order s JOIN acceptance n ON n.supplier_order_id = s.id AND NOT n.silent AND n.at >= :since
    JOIN acceptance_line a ON a.acceptance_id = n.id JOIN order_line l ON l.id = a.line_id
    WHERE s.cooperative_id = ANY(:sellers)
    GROUP BY s.cooperative_id
    """
)


def lookback(on: date) -> Lookback:
    return [rule for begins, rule in LOOKBACKS if begins <= on][-1]


def shares_of(session: Session, sellers: Collection[UUID], now: datetime) -> dict[UUID, Share]:
    """The expected share of each; sums over all of a seller's buyers, of whom nothing else is told."""
    rule = lookback(business_day(now))
    with seeing_all(session):
        rows = session.execute(SHARES, {"sellers": list(sellers), "since": now - timedelta(days=rule.days)}).all()
    return {
        row.cooperative_id: Share(int(row.accepted), int(row.inspected), row.lines)
        for row in rows
        if row.lines >= rule.least_lines
    }


def per_kg(*, goods_fen: int, freight_fen: int, net_grams: int, share: Share) -> int | None:
    """The landed price of an accepted kilogram; None when nothing is expected to be accepted."""
    if not share.accepted_grams:
        return None
    return half_up((goods_fen + freight_fen) * 1000 * share.inspected_grams, net_grams * share.accepted_grams)


def compare(session: Session, row: QuotationRequest, *, now: datetime) -> dict[int, list[Compared]]:
    """The quotes for each line, cheapest first; QuotesSealed before the deadline."""
    if now < row.deadline:
        raise QuotesSealed(deadline=row.deadline.isoformat())
    last = {quote.cooperative_id: quote for quote in queries.versions_of(session, row.id)}
    lines = queries.quoted_lines(session, [quote.id for quote in last.values()])
    pairs = [(quote, line) for quote in last.values() for line in lines[quote.id]]
    quotes = freight_of(session, [line for _, line in pairs], to_code=row.delivery_code, on=business_day(now))
    shares = shares_of(session, last, now)
    found: dict[int, list[Compared]] = {line.place: [] for line in queries.lines_of(session, [row.id])[row.id]}
    for quote, line in pairs:
        goods, way = line.packs * line.unit_fen, quotes.get((line.quotation_id, line.place))
        share = shares.get(quote.cooperative_id, AS_ASKED)
        landed = None
        if way is not None:
            landed = per_kg(goods_fen=goods, freight_fen=way.fen, net_grams=line.net_grams, share=share)
        found[line.place].append(Compared(quote, line, goods, way, share, landed))
    for compared in found.values():
        compared.sort(key=lambda each: (each.per_kg_fen is None, each.per_kg_fen or 0, each.quotation.id))
    return found


def freight_of(
    session: Session, lines: Sequence[QuotationLine], *, to_code: str, on: date
) -> Mapping[tuple[UUID, int], freight.Quote]:
    """The freight of each line travelling alone; none of what no lane leads for."""
    parcels = [
        freight.Parcel((line.quotation_id, line.place), line.origin_code, line.storage, line.packs * line.pack_grams)
        for line in lines
    ]
    try:
        return freight.quote(session, parcels=parcels, to_code=to_code, on=on)
    except freight.NoLane as refusal:
        missing = {(lane["from"], lane["storage"]) for lane in refusal.facts["lanes"]}
    reached = [parcel for parcel in parcels if (province_of(parcel.from_code), parcel.storage) not in missing]
    return freight.quote(session, parcels=reached, to_code=to_code, on=on)
