"""Recording facts: once a source, in the Beijing month, for ever."""

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from shop.facts import service as facts
from shop.facts.models import Fact, Measure
from shop.ids import new_id
from tests.builders import NOW
from tests.reporting.helpers import a_fact, number


def test_a_fact_keeps_its_dimensions_and_its_amount_is_goods_and_freight(session: Session) -> None:
    source = a_fact(session, Measure.PAID, goods_fen=-700, freight_fen=50, packs=-3, category="meat")
    fact = session.scalars(select(Fact)).one()
    assert (fact.source_id, fact.measure, fact.amount_fen, fact.packs) == (source, "paid", -650, -3)
    assert (fact.category, fact.grade, fact.class_, fact.posted_no) == ("meat", "A", "procured", None)


@pytest.mark.parametrize(
    ("instant", "month"),
    [
        (datetime(2024, 2, 29, 15, 59, 59, 999999, tzinfo=UTC), date(2024, 2, 1)),
        (datetime(2024, 2, 29, 16, 0, tzinfo=UTC), date(2024, 3, 1)),
        (datetime(2024, 12, 31, 15, 59, 59, 999999, tzinfo=UTC), date(2024, 12, 1)),
        (datetime(2024, 12, 31, 16, 0, tzinfo=UTC), date(2025, 1, 1)),
    ],
)
def test_the_month_is_that_of_beijing(session: Session, instant: datetime, month: date) -> None:
    a_fact(session, now=instant)
    assert session.scalars(select(Fact.month)).one() == month


def test_a_source_is_recorded_once_a_measure(session: Session) -> None:
    source = new_id()
    for measure in Measure:
        a_fact(session, measure, source_id=source)
    with pytest.raises(IntegrityError), session.begin_nested():
        a_fact(session, Measure.PAID, source_id=source)
    assert session.scalar(select(func.count()).select_from(Fact)) == len(Measure)


def test_nothing_to_record_records_nothing(session: Session) -> None:
    facts.record(session, Measure.PAID, [], now=NOW)
    assert session.scalar(select(func.count()).select_from(Fact)) == 0


@pytest.mark.parametrize(
    "change", ["UPDATE fact SET amount_fen = 0", "UPDATE fact SET posted_no = 5, packs = 9", "DELETE FROM fact"]
)
def test_a_fact_that_has_no_number_yet_may_get_one_and_nothing_else(session: Session, change: str) -> None:
    a_fact(session)
    session.flush()
    with pytest.raises(DBAPIError), session.begin_nested():
        session.execute(text(change))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE fact SET amount_fen = 0",
        "UPDATE fact SET posted_no = posted_no + 1",
        "UPDATE fact SET posted_no = NULL",
        "DELETE FROM fact",
        "TRUNCATE fact",
    ],
)
def test_a_fact_that_has_its_number_is_never_changed(session: Session, change: str) -> None:
    a_fact(session)
    number(session)
    with pytest.raises(DBAPIError), session.begin_nested():
        session.execute(text(change))
