"""Keep landed prices: by the event of a listing, and by a sweep for new destinations and rates."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from shop.catalogue.models import Listing, ListingStatus
from shop.errors import Refusal
from shop.freight.service import NoLane, Parcel, Quote, quote
from shop.money import half_up
from shop.pricing.service import unit_price
from shop.regions.models import prefecture_of, province_of
from shop.storefront.models import NOWHERE, LandedDestination, LandedPrice, LossRate

BATCH = 500


class LandedPriceNotKept(Refusal):
    """No buyer has goods brought to this prefecture, so no landed prices are kept for it; or not yet."""

    code, status = "landed_price_not_kept", 409
    title, title_zh = "No landed prices are kept for this prefecture.", "暂无该地区的到货价。"


def kept_for(session: Session, code: str) -> str:
    """The prefecture of a division, when its landed prices are kept; LandedPriceNotKept otherwise."""
    prefecture = prefecture_of(code)
    found = session.scalar(select(LandedDestination.rates).where(LandedDestination.prefecture == prefecture))
    if not found:
        raise LandedPriceNotKept(prefecture=prefecture, pointer="/query/to")
    return prefecture


def follow(session: Session, listing_id: UUID, *, on: date) -> None:
    """Make the landed prices of a listing what they are now, at every destination; none of one that is off sale."""
    keep(session, [listing_id], session.scalars(select(LandedDestination.prefecture)).all(), on=on)


def keep(session: Session, listing_ids: Collection[UUID], prefectures: Sequence[str], *, on: date) -> None:
    """Make the landed prices of listings at some destinations what they are now.

    The listings are locked against change, so that what is kept last is of what stands.
    """
    listings = session.scalars(
        select(Listing)
        .where(Listing.id.in_(listing_ids), Listing.status == ListingStatus.LISTED)
        .order_by(Listing.id)
        .with_for_update(read=True)
        .execution_options(populate_existing=True)
    ).all()
    in_force = session.execute(select(LossRate.storage, LossRate.per_day).where(LossRate.valid.contains(on)))
    losses: dict[str, int] = {row.storage: row.per_day for row in in_force}
    gone = set(listing_ids) - {listing.id for listing in listings}
    if gone:
        session.execute(delete(LandedPrice).where(LandedPrice.listing_id.in_(gone)))
    rows = []
    for prefecture in sorted(prefectures):
        quotes = quotes_to(session, listings, prefecture, on)
        rows += [
            row_of(listing, prefecture, quotes.get(listing.id), losses.get(listing.storage, 0)) for listing in listings
        ]
    if rows:
        wanted = upsert(LandedPrice)
        session.execute(
            wanted.on_conflict_do_update(
                index_elements=["listing_id", "prefecture"],
                set_={name: wanted.excluded[name] for name in rows[0] if name not in ("listing_id", "prefecture")},
            ),
            rows,
        )


def quotes_to(session: Session, listings: Sequence[Listing], prefecture: str, on: date) -> dict[UUID, Quote]:
    """The freight of the least quantity of each listing; none of what no lane leads for."""
    parcels = [
        Parcel(listing.id, listing.origin_code, listing.storage, listing.min_packs * listing.pack_grams)
        for listing in listings
    ]
    try:
        return quote(session, parcels=parcels, to_code=prefecture, on=on)
    except NoLane as refusal:
        missing = {(lane["from"], lane["storage"]) for lane in refusal.facts["lanes"]}
    parcels = [parcel for parcel in parcels if (province_of(parcel.from_code), parcel.storage) not in missing]
    return quote(session, parcels=parcels, to_code=prefecture, on=on)


def row_of(listing: Listing, prefecture: str, freight: Quote | None, loss_per_day: int) -> dict[str, Any]:
    """A landed price: goods and freight, shared among the kilograms that are expected to arrive."""
    packs = listing.min_packs
    goods = packs * unit_price(listing.tiers, packs)
    row: dict[str, Any] = {
        "listing_id": listing.id, "prefecture": prefecture, "packs": packs, "goods_fen": goods,
        "freight_fen": None, "loss_fen": None, "days": None, "per_kg_fen": None, "place": NOWHERE,
    }  # fmt: skip
    if freight is None:
        return row
    loss = half_up(goods * min(loss_per_day * freight.days, 10_000), 10_000)
    grams = packs * (listing.pack_base_quantity if listing.base_unit == "g" else listing.pack_grams)
    per_kg = half_up((goods + freight.fen + loss) * 1000, grams)
    return row | {
        "freight_fen": freight.fen, "loss_fen": loss, "days": freight.days, "per_kg_fen": per_kg, "place": per_kg,
    }  # fmt: skip


WANTED = text(
    """
    INSERT INTO landed_destination (prefecture)
    SELECT DISTINCT left(division_code, 4) || '00' FROM address WHERE retired_at IS NULL
    ON CONFLICT DO NOTHING
    """
)
OUT_OF_DATE = text(
    """
    SELECT d.prefecture, now.rates, CASE WHEN d.doing = now.rates THEN d.done_through END AS done_through
    FROM landed_destination d CROSS JOIN LATERAL (
        SELECT md5(concat_ws(';',
            (SELECT string_agg(concat_ws(',', l.id, l.rate_fen_per_tonne, l.minimum_fen, l.days), ';' ORDER BY l.id)
             FROM lane l WHERE l.to_code = left(d.prefecture, 2) || '0000' AND l.valid @> CAST(:on AS date)),
            (SELECT string_agg(concat_ws(',', r.storage, r.per_day), ';' ORDER BY r.storage)
             FROM loss_rate r WHERE r.valid @> CAST(:on AS date))
        )) AS rates
    ) now
    WHERE d.rates <> now.rates ORDER BY d.prefecture LIMIT 1 FOR UPDATE OF d SKIP LOCKED
    """
)


def catch_up(session: Session, *, on: date, limit: int = BATCH) -> int:
    """Make a batch of the landed prices of a destination that is new or whose rates are others now; gives how many."""
    session.execute(WANTED)
    due = session.execute(OUT_OF_DATE, {"on": on}).first()
    if due is None:
        return 0
    wanted = select(Listing.id).where(Listing.status == ListingStatus.LISTED).order_by(Listing.id).limit(limit)
    if due.done_through is not None:
        wanted = wanted.where(Listing.id > due.done_through)
    found = session.scalars(wanted).all()
    keep(session, found, [due.prefecture], on=on)
    destination = session.get_one(LandedDestination, due.prefecture, populate_existing=True)
    destination.doing, destination.done_through = due.rates, found[-1] if found else None
    if len(found) < limit:
        destination.rates, destination.done_through = due.rates, None
    session.flush()
    return len(found) or 1
