"""Fields that several rooms take in the same form."""

import re
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

DAY = re.compile(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", re.ASCII)


def from_iso(value: Any) -> Any:
    """The date that `2024-10-15` names; anything else is left for the strict check to refuse."""
    if isinstance(value, str) and DAY.match(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return value
    return value


INSTANT = re.compile(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})$", re.ASCII)


def from_rfc3339(value: Any) -> Any:
    """The instant that `2024-10-15T17:00:00+08:00` names; anything else is left for the strict check to refuse."""
    if isinstance(value, str) and INSTANT.match(value):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return value
    return value


Instant = Annotated[datetime, BeforeValidator(from_rfc3339), Field(strict=True)]
Day = Annotated[date, BeforeValidator(from_iso), Field(strict=True)]


def across(code: str, sentence: str, *fields: str) -> PydanticCustomError:
    """What a rule over several fields of a model raises: the problem then points at each of them."""
    return PydanticCustomError(code, sentence, {"fields": fields})
