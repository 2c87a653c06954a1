"""The settings of the embedded shop that is served from a folder, for commands that are given beside it."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

NAME = "served.json"


@contextmanager
def kept(var: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Keep the settings in the folder, for its owner only, for as long as the block lasts."""
    file = var / NAME
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(json.dumps({key: value for key, value in environment.items() if key.startswith("SHOP_")}, indent=1))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def take_up() -> bool:
    """Where no database is named, take up the settings of the shop that is served from SHOP_VAR; False if none is."""
    if os.environ.get("SHOP_DATABASE_URL"):
        return True
    file = Path(os.environ.get("SHOP_VAR") or "var") / NAME
    try:
        found: dict[str, str] = json.loads(file.read_text())
    except (OSError, ValueError):
        return False
    os.environ.update({key: value for key, value in found.items() if key not in os.environ})
    return True
