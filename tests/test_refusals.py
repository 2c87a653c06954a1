"""The table of refusals (refusals.csv): every code the shop says no with, and the test that shows it."""

import csv
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

import shop
from shop.errors import Refusal

HERE = Path(__file__).parent
with (HERE / "refusals.csv").open(encoding="utf-8", newline="") as opened:
    TABLE = list(csv.DictReader(opened))


def refusals(of: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    for each in of.__subclasses__():
        yield each
        yield from refusals(each)


def test_every_refusal_stands_in_the_table_as_it_is() -> None:
    for module in walk_packages(shop.__path__, "shop."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    there = {
        (each.code, str(each.status), each.title, f"{each.__module__}.{each.__name__}".removeprefix("shop."))
        for each in refusals()
        if each.__module__.startswith("shop.")
    }
    written = {(row["code"], row["status"], row["title"], row["class"]) for row in TABLE}
    assert (there - written, written - there) == (set(), set())


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["class"])
def test_the_test_that_a_row_names_is_there_and_speaks_of_it(row: dict[str, str]) -> None:
    file, _, name = row["test"].partition("::")
    source = (HERE / file).read_text(encoding="utf-8")
    assert f"def {name}(" in source
    assert f'"{row["code"]}"' in source or row["class"].rpartition(".")[2] in source
