"""Load the monthly prices of a market; the same rows again change nothing.

Rows are mappings from column to text, as `csv.DictReader` gives them: group, name, spec, unit, month, days, min_price,
mean_price, max_price. `unit` is yuan for a measure, as PER lists them; `days` says on how many days there was a quote.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.orm import Session

from shop.errors import Invalid
from shop.ids import new_id
from shop.ledger.service import PLATFORM_ID
from shop.outbox import service as outbox
from shop.regions.importing import Loaded, Reader, Row, day, present

PER: dict[str, tuple[str, int]] = {  # unit → what a price is kept for, and how many of the unit that is
    "元/斤": ("tonne", 2_000),
    "元/公斤": ("tonne", 1_000),
    "元/千克": ("tonne", 1_000),
    "元/吨": ("tonne", 1),
    "元/个": ("thousand_pieces", 1_000),
}
COLUMNS = ("group", "name", "unit", "month", "days", "min_price", "mean_price", "max_price")

STORE = text(
    """
    WITH given AS (
        SELECT * FROM jsonb_populate_recordset(NULL::reference_price, CAST(:rows AS jsonb))
    ), stored AS (
        INSERT INTO reference_price AS r SELECT * FROM given
        ON CONFLICT (market, kind, name, grade, month) DO UPDATE SET
            place_code = excluded.place_code, per = excluded.per, low_fen = excluded.low_fen,
            mean_fen = excluded.mean_fen, high_fen = excluded.high_fen, quotes = excluded.quotes
        WHERE (to_jsonb(r) - 'id') IS DISTINCT FROM (to_jsonb(excluded) - 'id')
        RETURNING xmax = 0 AS is_new
    )
    SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) FROM stored
    """
)


def load_reference_prices(
    session: Session, rows: Iterable[Row], *, market: str, place_code: str, now: datetime, only_valid: bool = False
) -> tuple[Loaded, list[dict[str, Any]]]:
    """Store what `market`, which lies in the division `place_code`, quoted; gives what was done and what was left out.

    One bad row refuses the whole with Invalid, which names every bad row and column; with `only_valid` bad rows are
    left out and named in the answer. When anything is new, `reference_prices.loaded` has the prices on sale checked.
    """
    given = list(rows)
    reader = Reader("reference_prices")
    missing = [column for column in COLUMNS if given and column not in given[0]]
    if missing:
        raise Invalid(f"The file has no column {', '.join(missing)}.", pointer=f"/reference_prices/0/{missing[0]}")
    seen: dict[tuple[str, str, str, date], int] = {}
    stored = []
    for place, row in enumerate(given):
        per, times = reader.value(place, row, "unit", unit, ("tonne", 1))
        low, mean, high = (
            reader.value(place, row, column, fen(times), 1) for column in ("min_price", "mean_price", "max_price")
        )
        month = reader.value(place, row, "month", lambda text: day(f"{text}-01"), date.min)
        if not low <= mean <= high:
            reader.wrong(place, "mean_price", "out_of_order", "is not between the lowest and the highest price")
        key = (
            reader.text(place, row, "group"),
            reader.text(place, row, "name"),
            (row.get("spec") or "").strip(),
            month,
        )
        if seen.setdefault(key, place) != place:
            reader.wrong(place, "name", "duplicate", f"is the same good and month as row {seen[key] + 1}")
        stored.append(
            {
                "id": new_id(), "market": market, "place_code": place_code, "kind": key[0], "name": key[1],
                "grade": key[2], "month": month, "per": per, "low_fen": low, "mean_fen": mean, "high_fen": high,
                "quotes": reader.value(place, row, "days", count, 1),
            }
        )  # fmt: skip
    if not only_valid:
        reader.done()
    stored = [row for place, row in enumerate(stored) if place not in reader.bad]
    added, changed = session.execute(STORE, {"rows": msgspec.json.encode(stored).decode()}).one()
    if added or changed:
        outbox.announce(session, "reference_prices.loaded", now=now, seen_by=[PLATFORM_ID], market=market)
    return Loaded(added, changed, len(stored) - added - changed), reader.faults


def unit(text: str) -> tuple[str, int]:
    if text not in PER:
        raise ValueError(f"is {text!r}, not one of {', '.join(PER)}")
    return PER[text]


def count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) < 1000:
        raise ValueError(f"{text!r} is not a number of days")
    return int(text)


def fen(times: int) -> Callable[[str], int]:
    """The reader of a price in yuan for a unit, as whole fen for so many of them."""

    def read(text: str) -> int:
        try:
            exact = Decimal(present(text)) * 100 * times
        except InvalidOperation:
            raise ValueError(f"{text!r} is not a price") from None
        if not exact.is_finite() or exact <= 0 or exact > 10**12:
            raise ValueError(f"{text!r} is not a price")
        if exact != exact.to_integral_value():
            raise ValueError(f"{text!r} has more decimals than are kept")
        return int(exact)

    return read
