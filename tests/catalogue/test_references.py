"""Reference prices of markets: loaded exactly, once, or not at all."""

import csv
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from shop.catalogue.models import ReferencePrice
from shop.catalogue.references import load_reference_prices
from shop.errors import Invalid
from tests import builders as a

REAL = Path(__file__).parents[3] / "shared" / "reference" / "market_prices_xinfadi_monthly.csv"
ROW = {
    "group": "fruit_aquatic", "name": "富士苹果", "spec": "普通", "unit": "元/斤", "month": "2015-03", "days": "30",
    "min_price": "2.0", "mean_price": "2.371", "max_price": "3",
}  # fmt: skip


def load(session, *rows):
    return load_reference_prices(session, rows, market="新发地", place_code="110000", now=a.NOW)[0]


def test_a_price_of_a_jin_is_kept_exactly_as_fen_of_a_tonne(session):
    load(session, ROW)
    stored = session.scalars(select(ReferencePrice)).one()
    assert (stored.low_fen, stored.mean_fen, stored.high_fen) == (400_000, 474_200, 600_000)
    assert (stored.per, stored.month, stored.quotes) == ("tonne", date(2015, 3, 1), 30)


def test_the_same_rows_again_change_nothing_and_a_corrected_one_is_corrected(session):
    other = ROW | {"month": "2015-04"}
    assert str(load(session, ROW, other)) == "2 added, 0 changed, 0 unchanged"
    assert str(load(session, ROW, other)) == "0 added, 0 changed, 2 unchanged"
    assert str(load(session, ROW | {"max_price": "3.5"}, other)) == "0 added, 1 changed, 1 unchanged"


@pytest.mark.parametrize(
    ("change", "column", "code"),
    [
        ({"unit": "元/筐"}, "unit", "bad_value"),
        ({"mean_price": "1e400"}, "mean_price", "bad_value"),
        ({"mean_price": "NaN"}, "mean_price", "bad_value"),
        ({"mean_price": ""}, "mean_price", "bad_value"),
        ({"mean_price": "2.1234567"}, "mean_price", "bad_value"),
        ({"mean_price": "9"}, "mean_price", "out_of_order"),
        ({"min_price": "-1"}, "min_price", "bad_value"),
        ({"month": "2015-13"}, "month", "bad_value"),
        ({"days": "0"}, "days", "bad_value"),
        ({"name": " "}, "name", "bad_value"),
        ({}, "name", "duplicate"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_loaded(session, change, column, code):
    with pytest.raises(Invalid) as refused:
        load(session, ROW, ROW | change)
    found = {(error["pointer"], error["code"]) for error in refused.value.errors}
    assert (f"/reference_prices/1/{column}", code) in found
    assert session.scalar(select(func.count()).select_from(ReferencePrice)) == 0


def test_a_file_without_a_column_is_refused(session):
    with pytest.raises(Invalid, match="mean_price"):
        load(session, {name: value for name, value in ROW.items() if name != "mean_price"})


def test_bad_rows_may_be_left_out_and_are_named_all_the_same(session):
    bad = ROW | {"month": "2015-04", "mean_price": "0"}
    done, faults = load_reference_prices(
        session, [bad, ROW], market="新发地", place_code="110000", now=a.NOW, only_valid=True
    )
    assert (done.added, [fault["pointer"] for fault in faults][:1]) == (1, ["/reference_prices/0/mean_price"])


@pytest.mark.skipif(not REAL.exists(), reason="the reference data is not here")
def test_the_real_series_of_a_market_is_loaded_but_for_its_faulty_rows_and_again_without_a_change(session):
    session.execute(text("SET LOCAL statement_timeout = '60s'"))
    with REAL.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    good = [
        row for row in rows if 0 < Decimal(row["min_price"]) <= Decimal(row["mean_price"]) <= Decimal(row["max_price"])
    ]
    for done in ("added", "unchanged"):
        loaded, faults = load_reference_prices(
            session, rows, market="新发地", place_code="110000", now=a.NOW, only_valid=True
        )
        assert getattr(loaded, done) == len(good)
        assert len({fault["pointer"].split("/")[2] for fault in faults}) == len(rows) - len(good)
