"""The fact files that come with the shop: CSV under `facts/` of a folder, read as text by column."""

import csv
from importlib.resources import files


def rows(package: str, name: str) -> list[dict[str, str]]:
    """The rows of `<package>/facts/<name>`."""
    text = (files(package) / "facts" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
