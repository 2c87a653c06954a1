"""Every question of the public list is answered by an index, and reads what a page is worth."""

from shop.db import engine, unit_of_work
from shop.factfile import rows
from shop.regions import importing
from tests.benchmarks.catalogue import COMMON, Shelf, plans
from tests.storefront.plans import faults


def test_no_question_scans_the_shop(committed: str) -> None:
    with unit_of_work() as session:
        importing.load_divisions(session, rows("shop.regions", "divisions.csv"))
    shelf = Shelf()
    shelf.fill(4000)
    assert plans(shelf) == ["plans at 4000 listings: every question reads what a page is worth"]


def test_a_question_without_its_index_is_found_out(committed: str) -> None:
    with unit_of_work() as session:
        importing.load_divisions(session, rows("shop.regions", "divisions.csv"))
    shelf = Shelf()
    shelf.fill(4000)
    with engine().connect() as connection:
        connection.exec_driver_sql("SET enable_indexscan = off; SET enable_bitmapscan = off")
        found = faults(
            connection, word=COMMON[0], category="fruit", county=shelf.counties[0], province="610000",
            storage="frozen", price=9000, price_per_kg=1800, best_selling=0, newest="2024-01-01T00:00:00+00:00",
        )  # fmt: skip
    assert any("Seq Scan reads" in fault for fault in found)
