"""The one freight price, and the loaders of hubs and lanes."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Generic, TypeVar
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from shop.errors import Refusal
from shop.freight.models import Hub, Lane
from shop.money import half_up
from shop.regions.models import province_of

Key = TypeVar("Key", bound=Hashable)
GRAMS_PER_TONNE = 1_000_000


LANES = text(
    """
    SELECT id, from_code, storage, days, rate_fen_per_tonne, minimum_fen FROM lane
    WHERE to_code = :to AND valid @> CAST(:on AS date) AND from_code = ANY(:provinces) AND storage = ANY(:storages)
    """
)


class NoLane(Refusal):
    """Nobody drives there: no lane in force between the two provinces for this temperature class."""

    code, status = "no_lane", 409
    title, title_zh = "There is no freight lane for these goods to this place.", "该商品到此地址暂无运输线路。"


@dataclass(frozen=True)
class Parcel(Generic[Key]):
    """Goods that travel together: where from (a division), in which temperature class, how many grams."""

    key: Key
    from_code: str
    storage: str
    grams: int


@dataclass(frozen=True)
class Quote:
    """What the freight costs and how long it takes."""

    fen: int
    days: int
    lane_id: UUID


def quote(session: Session, *, parcels: Sequence[Parcel[Key]], to_code: str, on: date) -> dict[Key, Quote]:
    """The freight of every parcel to a division on a day, in one statement; NoLane when one cannot be carried.

    The rate is per tonne of the lane in force between the two provinces, rounded half up, and never below its minimum.
    """
    to_province = province_of(to_code)
    wanted = {(province_of(parcel.from_code), parcel.storage) for parcel in parcels}
    rows = session.execute(
        LANES,
        {
            "to": to_province,
            "on": on,
            "provinces": sorted({province for province, _ in wanted}),
            "storages": sorted({storage for _, storage in wanted}),
        },
    )
    lanes = {(row.from_code, row.storage): row for row in rows}
    missing = sorted(wanted - set(lanes))
    if missing:
        raise NoLane(lanes=[{"from": start, "to": to_province, "storage": storage} for start, storage in missing])
    found = {}
    for parcel in parcels:
        lane = lanes[province_of(parcel.from_code), parcel.storage]
        fen = max(lane.minimum_fen, half_up(lane.rate_fen_per_tonne * parcel.grams, GRAMS_PER_TONNE))
        found[parcel.key] = Quote(fen, lane.days, lane.id)
    return found


def load_hubs(session: Session, rows: Sequence[Mapping[str, str]]) -> int:
    """Add the hubs that are not there yet; gives how many were added."""
    known = set(session.scalars(select(Hub.code)))
    new = [row for row in rows if row["code"] not in known]
    session.add_all(
        Hub(code=row["code"], name=row["name"], kind=row["kind"], division_code=row["division_code"]) for row in new
    )
    return len(new)


def load_lanes(session: Session, rows: Sequence[Mapping[str, str]]) -> int:
    """Add the lanes (one per temperature class of each row) that are not there yet; gives how many were added."""
    known = {
        (start, end, storage, valid.lower)
        for start, end, storage, valid in session.execute(
            select(Lane.from_code, Lane.to_code, Lane.storage, Lane.valid)
        )
    }
    added = 0
    for row in rows:
        begins = date.fromisoformat(row["valid_from"])
        for storage in ("ambient", "chilled", "frozen"):
            key = (row["from_province_code"], row["to_province_code"], storage, begins)
            if key in known:
                continue
            session.add(
                Lane(
                    from_code=key[0],
                    to_code=key[1],
                    storage=storage,
                    distance_km=int(row["distance_km"]),
                    days=int(row["days"]),
                    rate_fen_per_tonne=int(row[f"rate_fen_per_tonne_{storage}"]),
                    minimum_fen=int(row["minimum_fen"]),
                    source=row["source"],
                    valid=Range(begins, None),
                )
            )
            added += 1
    return added
