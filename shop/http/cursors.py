"""Keyset cursors: an opaque word that says where the last page ended, for the same question only."""

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, TypeVar
from uuid import UUID

from shop.errors import Invalid

Row = TypeVar("Row")
VERSION = 1


def encode(question: str, place: list[Any]) -> str:
    """The cursor after `place` in the list that `question` (its filters and sort) names."""
    mark = hashlib.blake2b(question.encode(), digest_size=6).hexdigest()
    return base64.urlsafe_b64encode(json.dumps([VERSION, mark, *place]).encode()).decode().rstrip("=")


def decode(question: str, cursor: str, kinds: tuple[type, ...]) -> list[Any]:
    """The place that a cursor names, its parts of the given kinds; Invalid for one of another list or not ours."""
    mark = hashlib.blake2b(question.encode(), digest_size=6).hexdigest()
    try:
        version, found, *place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError):
        version, found, place = 0, "", []
    fits = len(place) == len(kinds) and all(type(part) is kind for part, kind in zip(place, kinds, strict=True))
    small = all(-(2**63) <= part < 2**63 for part in place if type(part) is int)
    if version != VERSION or found != mark or not fits or not small:
        raise Invalid("This cursor belongs to no such list.", pointer="/query/cursor")
    return list(place)


def decode_id(question: str, cursor: str) -> UUID:
    """The id that a cursor of one id names."""
    (word,) = decode(question, cursor, (str,))
    try:
        return UUID(hex=word)
    except ValueError as error:
        raise Invalid("This cursor belongs to no such list.", pointer="/query/cursor") from error


def cut(
    question: str, found: Sequence[Row], limit: int, id_of: Callable[[Row], UUID] = attrgetter("id")
) -> tuple[Sequence[Row], str | None]:
    """The page of `limit` rows, and the cursor behind it (for `decode_id`) when one more was found than it holds."""
    page = found[:limit]
    return page, encode(question, [id_of(page[-1]).hex]) if len(found) > limit else None
