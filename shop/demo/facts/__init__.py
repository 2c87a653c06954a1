"""The demo's facts: real produce of real western counties, and plainly invented cooperatives and buyers."""

import csv
from importlib.resources import files


def rows(name: str) -> list[dict[str, str]]:
    """The rows of one file, as text by column."""
    return list(csv.DictReader((files(__name__) / name).read_text(encoding="utf-8").splitlines()))
