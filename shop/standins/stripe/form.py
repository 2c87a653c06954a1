"""Stripe's way of sending parameters: form-encoded, nested by brackets, read against a small table per call."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from shop.standins.stripe.errors import invalid, missing, unknown

Tree = dict[str, Any]
Reader = Callable[[Any, str], Any]
Spec = Mapping[str, Reader]

_KEY = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")


def decode(encoded: str) -> Tree:
    """The nested parameters: `a[b]=1&c[0]=2&c[]=3` gives {"a": {"b": "1"}, "c": ["2", "3"]}. Values stay text."""
    tree: Tree = {}
    for key, value in parse_qsl(encoded, keep_blank_values=True):
        found = _KEY.match(key)
        if found is None:
            raise unknown(key)
        steps = [found[1], *re.findall(r"\[([^\[\]]*)\]", found[2])]
        here = tree
        for step, following in zip(steps, [*steps[1:], None], strict=True):
            name = step or str(len(here))
            if following is None:
                here[name] = value
            else:
                here = here.setdefault(name, {})
                if not isinstance(here, dict):
                    raise unknown(key)
    return {key: _lists(value) for key, value in tree.items()}


def _lists(value: Any) -> Any:
    """Groups whose keys are all numbers are lists."""
    if not isinstance(value, dict):
        return value
    if value and all(key.isdigit() for key in value):
        return [_lists(value[key]) for key in sorted(value, key=int)]
    return {key: _lists(inner) for key, inner in value.items()}


def read(tree: Tree, spec: Spec, *, required: tuple[str, ...] = (), within: str = "") -> Tree:
    """The parameters with their types, or the refusal that Stripe gives: unknown, missing, or not of the type."""
    for key in tree:
        if key not in spec:
            raise unknown(f"{within}[{key}]" if within else key)
    for key in required:
        if tree.get(key) in (None, ""):
            raise missing(f"{within}[{key}]" if within else key)
    return {key: spec[key](value, f"{within}[{key}]" if within else key) for key, value in tree.items()}


def text(value: Any, param: str) -> str:
    """A text of at most 5000 characters."""
    if not isinstance(value, str) or len(value) > 5000:
        raise invalid(param, f"Invalid string: {param}")
    return value


def integer(value: Any, param: str) -> int:
    """A whole number."""
    if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]{1,18}", value):
        raise invalid(param, f"Invalid integer: {value}", "parameter_invalid_integer")
    return int(value)


def amount(value: Any, param: str) -> int:
    """An amount in the smallest unit: 1 to 99999999, as Stripe takes at most eight digits."""
    number = integer(value, param)
    if number < 1:
        raise invalid(param, "This value must be greater than or equal to 1.", "parameter_invalid_integer")
    if number > 99_999_999:
        raise invalid(param, "Amount must be no more than 999,999.99.", "amount_too_large")
    return number


def boolean(value: Any, param: str) -> bool:
    """`true` or `false`."""
    if value not in ("true", "false"):
        raise invalid(param, f"Invalid boolean: {value}")
    return bool(value == "true")


def one_of(*choices: str) -> Reader:
    """One of the named values."""

    def reader(value: Any, param: str) -> str:
        if value not in choices:
            raise invalid(param, f"Invalid {param}: must be one of {', '.join(choices)}")
        return str(value)

    return reader


def several(reader: Reader) -> Reader:
    """A list of what `reader` takes."""

    def list_reader(value: Any, param: str) -> list[Any]:
        if not isinstance(value, list):
            raise invalid(param, f"Invalid array: {param}")
        return [reader(item, f"{param}[{index}]") for index, item in enumerate(value)]

    return list_reader


def group(spec: Spec, *, required: tuple[str, ...] = ()) -> Reader:
    """A nested object with its own table."""

    def group_reader(value: Any, param: str) -> Tree:
        if not isinstance(value, dict):
            raise invalid(param, f"Invalid object: {param}")
        return read(value, spec, required=required, within=param)

    return group_reader


def metadata(value: Any, param: str) -> dict[str, str]:
    """At most 50 keys of 40 characters with values of 500; the empty text clears all."""
    if value == "":
        return {}
    if not isinstance(value, dict) or not all(isinstance(inner, str) for inner in value.values()):
        raise invalid(param, "Metadata is a group of texts.")
    if len(value) > 50 or any(len(key) > 40 or len(inner) > 500 for key, inner in value.items()):
        raise invalid(param, "Metadata takes 50 keys of 40 characters with values of 500 characters.")
    return dict(value)


_RANGE = {"gt": integer, "gte": integer, "lt": integer, "lte": integer}


def moments(value: Any, param: str) -> Tree:
    """A moment, or a range of moments, in Unix seconds."""
    if isinstance(value, dict):
        return read(value, _RANGE, within=param)
    moment = integer(value, param)
    return {"gte": moment, "lte": moment}
