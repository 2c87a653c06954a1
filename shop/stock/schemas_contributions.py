"""Contributions, benefits and the public trace of a lot as JSON."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from shop.http.fields import Day
from shop.http.routes import Out, Query
from shop.ids import LotId
from shop.sheets.mapping import RowError
from shop.stock.queries_contributions import FEWEST_SHOWN


class SheetQuery(Query):
    """A dry run writes nothing. `valid_rows` leaves rows with errors out instead of refusing the sheet."""

    dry_run: bool = True
    valid_rows: bool = False


class BenefitsQuery(Query):
    """From a day until (and without) another."""

    first: Day
    end: Day


class SheetErrorOut(Out):
    """What is wrong with a cell: row and title as the person sees them, the value, a stable code and the words."""

    row: int
    column: str
    title: str
    value: str
    code: str
    message: str
    message_en: str


class SheetOut(Out):
    """What a sheet did, or would do; `errors` names the first thousand, `error_count` counts all."""

    written: bool
    rows: int
    added: int
    changed: int
    unchanged: int
    error_count: int
    errors: list[SheetErrorOut]


class HouseholdOut(Out):
    """What a household brought, what it was paid and the certificates of its goods."""

    household: str
    grams: int
    paid_fen: int
    certificates: list[str]


class LotHouseholdsOut(Out):
    """The households behind a lot; `attributed_grams` is theirs, `lot_grams` what the lot weighed."""

    lot_id: LotId
    lot_grams: int
    attributed_grams: int
    paid_fen: int
    households: list[HouseholdOut]


class BenefitOut(Out):
    household: str
    lots: int
    grams: int
    paid_fen: int


class BenefitsOut(Out):
    households: list[BenefitOut]
    grams: int
    paid_fen: int


class PublicLotOut(Out):
    """What everybody may know of a lot. `households` is null where fewer than five stand behind it."""

    id: LotId
    code: str
    product: str
    product_en: str
    grade: str
    spec: str
    origin_code: str
    county: str | None
    cooperative: str
    harvested_on: date
    best_before: date
    recalled: bool
    households: int | None
    page: str


def sheet_out(trial: Any, *, written: bool) -> SheetOut:
    return SheetOut(
        written=written,
        rows=trial.rows,
        added=len(trial.change.added),
        changed=len(trial.change.changed),
        unchanged=trial.change.unchanged,
        error_count=trial.error_count,
        errors=[sheet_error_out(error) for error in trial.errors[:1000]],
    )


def sheet_error_out(error: RowError) -> SheetErrorOut:
    return SheetErrorOut(
        row=error.row,
        column=error.column,
        title=error.title,
        value=error.value,
        code=error.code,
        message=error.zh,
        message_en=error.en,
    )


def lot_households_out(lot_id: LotId, lot_grams: int, rows: Sequence[Any]) -> LotHouseholdsOut:
    return LotHouseholdsOut(
        lot_id=lot_id,
        lot_grams=lot_grams,
        attributed_grams=sum(row.grams for row in rows),
        paid_fen=sum(row.paid_fen for row in rows),
        households=[
            HouseholdOut(
                household=row.household, grams=row.grams, paid_fen=row.paid_fen, certificates=row.certificates or []
            )
            for row in rows
        ],
    )


def benefits_out(rows: Sequence[Any]) -> BenefitsOut:
    return BenefitsOut(
        households=[
            BenefitOut(household=row.household, lots=row.lots, grams=row.grams, paid_fen=row.paid_fen) for row in rows
        ],
        grams=sum(row.grams for row in rows),
        paid_fen=sum(row.paid_fen for row in rows),
    )


def public_lot_out(lot: Any) -> PublicLotOut:
    return PublicLotOut(
        id=lot.id,
        code=lot.code,
        product=lot.name,
        product_en=lot.name_en,
        grade=lot.grade,
        spec=lot.spec,
        origin_code=lot.origin_code,
        county=lot.county,
        cooperative=lot.cooperative,
        harvested_on=lot.harvested_on,
        best_before=lot.best_before,
        recalled=lot.recalled,
        households=lot.households if lot.households >= FEWEST_SHOWN else None,
        page=f"/v1/public/lots/lot_{lot.id.hex}/page",
    )
