"""Kinds of fields that bodies of several rooms have."""

import re
from datetime import date
from typing import Annotated, Any

from pydantic import BeforeValidator

DAY = re.compile(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", re.ASCII)


def from_iso(value: Any) -> Any:
    """The date that `2024-10-15` names; anything else is left for the strict check to refuse."""
    if isinstance(value, str) and DAY.match(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return value
    return value


Day = Annotated[date, BeforeValidator(from_iso)]
