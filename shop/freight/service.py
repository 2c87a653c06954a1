"""The one freight price, and the loaders of hubs and lanes."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import zip_longest
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from shop.errors import Refusal
from shop.freight.models import Hub, Lane
from shop.ids import new_id
from shop.money import half_up
from shop.regions.importing import Loaded, Reader, Row, begin, day, write
from shop.regions.models import province_of

Key = TypeVar("Key", bound=Hashable)
GRAMS_PER_TONNE = 1_000_000
STORAGES = ("ambient", "chilled", "frozen")


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


def load_hubs(session: Session, rows: Sequence[Row]) -> Loaded:
    """Load hubs by code; Invalid names every bad row and column."""
    reader = Reader("hubs")
    stored: dict[str, dict[str, Any]] = {
        found["code"]: dict(found) for found in session.execute(select(Hub.__table__)).mappings()
    }
    wanted = {}
    for place, row in enumerate(rows):
        code = reader.text(place, row, "code")
        if code in wanted:
            reader.wrong(place, "code", "repeated", f"{code} is on an earlier row already")
        wanted[code] = {
            "id": stored[code]["id"] if code in stored else new_id(),
            "code": code,
            "name": reader.text(place, row, "name"),
            "kind": reader.text(place, row, "kind"),
            "division_code": reader.code(place, row, "division_code"),
        }
    reader.done()
    return write(session, Hub, stored, wanted)


def load_lanes(session: Session, rows: Sequence[Row]) -> Loaded:
    """Load lanes, one per temperature class of each row, by their provinces and first valid day.

    A lane is in force until the next one of its key begins: a row with a later day ends the lane before it, a row with
    the same day corrects it. Invalid names every bad row and column.
    """
    begin(session)
    reader = Reader("lanes")
    stored: dict[tuple[str, str, str, date], dict[str, Any]] = {
        (found["from_code"], found["to_code"], found["storage"], found["valid"].lower): dict(found)
        for found in session.execute(select(Lane.__table__)).mappings()
    }
    wanted: dict[tuple[str, str, str, date], dict[str, Any]] = {}
    for place, row in enumerate(rows):
        codes = reader.code(place, row, "from_province_code"), reader.code(place, row, "to_province_code")
        begins = reader.value(place, row, "valid_from", day, date.min)
        shared = {
            "distance_km": reader.value(place, row, "distance_km", whole, 0),
            "days": reader.value(place, row, "days", at_least_one, 1),
            "minimum_fen": reader.value(place, row, "minimum_fen", whole, 0),
            "source": reader.text(place, row, "source"),
        }
        if (*codes, STORAGES[0], begins) in wanted:
            reader.wrong(place, "valid_from", "repeated", f"this lane of {begins} is on an earlier row already")
        for storage in STORAGES:
            key = (*codes, storage, begins)
            rate = f"rate_fen_per_tonne_{storage}"
            wanted[key] = shared | {
                "id": stored[key]["id"] if key in stored else new_id(),
                "from_code": key[0],
                "to_code": key[1],
                "storage": storage,
                "rate_fen_per_tonne": reader.value(place, row, rate, whole, 0),
            }
    reader.done()
    touched = {key[:3] for key in wanted}
    every = {key: row for key, row in {**stored, **wanted}.items() if key[:3] in touched}
    ordered = sorted(every)
    for key, following in zip_longest(ordered, ordered[1:]):
        ends = stored[key]["valid"].upper if key in stored else None
        if following is not None and following[:3] == key[:3] and (ends is None or ends > following[3]):
            ends = following[3]
        wanted.setdefault(key, {"id": stored[key]["id"]} if key in stored else {})["valid"] = Range(key[3], ends)
    return write(session, Lane, stored, wanted)


def whole(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


def at_least_one(text: str) -> int:
    number = whole(text)
    if not number:
        raise ValueError("is 0, and goods take at least a day")
    return number
