"""What an import would change, field by field, before anything is written: the answer of a dry run."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shop.sheets.mapping import ParsedRow


@dataclass(frozen=True)
class Changed:
    """One known row with the fields that differ: name → (before, after)."""

    number: int
    key: Hashable
    fields: dict[str, tuple[Any, Any]]


@dataclass(frozen=True)
class Change:
    """The rows that are new, that differ, the count of those that do not, and the known keys that the file lacks."""

    added: list[ParsedRow] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)
    unchanged: int = 0
    missing: list[Hashable] = field(default_factory=list)


def diff(existing: Mapping[Any, Mapping[str, Any]], rows: Iterable[ParsedRow], *, key: Sequence[str]) -> Change:
    """Compare parsed rows with what is known, by the key columns; only columns that the file has are compared.

    `existing` is keyed by the value of the one key column, or by the tuple of them when there are several.
    """
    change = Change()
    unchanged = 0
    seen: set[Hashable] = set()
    for row in rows:
        identity = row.values[key[0]] if len(key) == 1 else tuple(row.values[name] for name in key)
        seen.add(identity)
        before = existing.get(identity)
        if before is None:
            change.added.append(row)
            continue
        fields = {
            name: (before.get(name), value)
            for name, value in row.values.items()
            if name not in key and before.get(name) != value
        }
        if fields:
            change.changed.append(Changed(row.number, identity, fields))
        else:
            unchanged += 1
    missing: list[Hashable] = [identity for identity in existing if identity not in seen]
    return Change(change.added, change.changed, unchanged, missing)
