"""The guard: every call to Stripe is checked against the types that Stripe ships, before it is sent.

stripe-python holds, for exactly its version of the API, a TypedDict with the parameters of each call. `install()` makes
every method of every service check its parameters against it: an unknown key, a missing one, a wrong type, or a value
that the API does not name raises BadParams. It needs no network and no description of our own: it cannot fall behind.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import re
import sys
import threading
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

import stripe
import typing_extensions
from stripe._request_options import RequestOptions
from stripe._stripe_service import StripeService

_LOCK = threading.Lock()
_MARK = "__checked_by_the_guard__"
_OPTIONS = frozenset(RequestOptions.__annotations__)
_UNIONS = (typing.Union, types.UnionType)
_LITERALS = (typing.Literal, typing_extensions.Literal)
_NOTES = (typing_extensions.NotRequired, typing_extensions.Required, typing.Annotated)


class BadParams(Exception):
    """A call with parameters that this version of Stripe's API would refuse."""


def install() -> int:
    """Put every service method under guard and give how many are; doing it again changes nothing."""
    with _LOCK:
        for module in pkgutil.walk_packages(stripe.__path__, "stripe."):
            if module.name.endswith("_service"):
                importlib.import_module(module.name)
        guarded = 0
        for service in _below(StripeService):
            for name, method in list(vars(service).items()):
                if not inspect.isfunction(method) or name.startswith("_"):
                    continue
                if not hasattr(method, _MARK) and (wanted := _name_of_params(method)) is not None:
                    setattr(service, name, _guarded(service, method, wanted))
                guarded += hasattr(vars(service)[name], _MARK)
        return guarded


def problems(params: object, expected: Any, path: str = "") -> Iterator[str]:
    """What is wrong with a value, one sentence each, against a type of `stripe.params`."""
    origin, arguments = typing_extensions.get_origin(expected), typing_extensions.get_args(expected)
    if origin in _NOTES:
        yield from problems(params, arguments[0], path)
    elif origin in _UNIONS:
        yield from _union_problems(params, arguments, path)
    elif origin in _LITERALS:
        if params not in arguments:
            yield f"{path}: {params!r} is none of {_some(arguments)}"
    elif origin is list:
        if not isinstance(params, list):
            yield f"{path}: {params!r} is not a list"
            return
        for index, item in enumerate(params):
            yield from problems(item, arguments[0], f"{path}[{index}]")
    elif origin is dict or getattr(origin, "__name__", "") == "UntypedStripeObject":
        if not isinstance(params, dict):
            yield f"{path}: {params!r} is not a group"
            return
        for key, item in params.items():
            yield from problems(item, arguments[-1], f"{path}.{key}")
    elif typing_extensions.is_typeddict(expected):
        yield from _group_problems(params, expected, path)
    elif expected in (int, str, bool, float) and not (
        type(params) is expected or (expected is float and type(params) is int)
    ):
        yield f"{path}: {params!r} is not {expected.__name__}"


def _union_problems(params: object, arguments: tuple[Any, ...], path: str) -> Iterator[str]:
    named = [
        value
        for argument in arguments
        if typing_extensions.get_origin(argument) in _LITERALS
        for value in typing_extensions.get_args(argument)
    ]
    # Stripe types an enumeration as open (its values, or any text); here it is closed. The empty text alone is no
    # enumeration: it stands for "clear this".
    if str in arguments and isinstance(params, str) and set(named) - {""}:
        if params not in named:
            yield f"{path}: {params!r} is none of {_some(tuple(named))}"
        return
    each = [list(problems(params, argument, path)) for argument in arguments if argument is not type(None)]
    if params is None and type(None) in arguments:
        return
    if all(each):
        fitting = isinstance(params, (dict, list))
        yield from min(each, key=len) if fitting else [f"{path}: {params!r} fits none of the {len(each)} types allowed"]


def _group_problems(params: object, expected: Any, path: str) -> Iterator[str]:
    if not isinstance(params, dict):
        yield f"{path or expected.__name__}: {params!r} is not a group"
        return
    fields = _fields(expected)
    for key, value in params.items():
        inner = f"{path}.{key}" if path else str(key)
        if key in fields:
            yield from problems(value, fields[key], inner)
        else:
            yield f"{inner}: unknown parameter"
    for key in sorted(expected.__required_keys__ & fields.keys() - params.keys()):
        yield f"{path}.{key}: missing parameter" if path else f"{key}: missing parameter"


@functools.cache
def _fields(expected: Any) -> dict[str, Any]:
    """The parameters with their types, without the options that travel beside them."""
    names: dict[str, Any] = {"StripeContext": str}  # imported there for type checkers only
    for parent in (*getattr(expected, "__orig_bases__", ()), expected):
        names.update(vars(sys.modules[parent.__module__]))
    hints = typing_extensions.get_type_hints(expected, localns=names, include_extras=True)
    if expected is RequestOptions:
        return hints
    return {key: hint for key, hint in hints.items() if key not in _OPTIONS}


def _below(service: type[StripeService]) -> Iterator[type[StripeService]]:
    for below in service.__subclasses__():
        yield below
        yield from _below(below)


def _name_of_params(method: Callable[..., Any]) -> str | None:
    found = re.search(r"(\w+Params)\b", str(method.__annotations__.get("params", "")))
    return found[1] if found else None


@functools.cache
def _params_type(service_module: str, name: str) -> Any:
    """The TypedDict for a service: `stripe.issuing._card_service` finds its own in `stripe.params.issuing`."""
    package = service_module.rpartition(".")[0].removeprefix("stripe").lstrip(".")
    found = getattr(importlib.import_module(f"stripe.params.{package}" if package else "stripe.params"), name, None)
    return found or getattr(stripe.OAuth, name)  # written by hand there, not generated


def _guarded(service: type[StripeService], method: Callable[..., Any], wanted: str) -> Callable[..., Any]:
    signature = inspect.signature(method)

    @functools.wraps(method)
    def checked(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        expected = _params_type(service.__module__, wanted)
        found = [
            *problems(given.get("params") or {}, expected),
            *problems(given.get("options") or {}, RequestOptions, "options"),
        ]
        if found:
            raise BadParams(f"{service.__name__}.{method.__name__}: {'; '.join(found[:5])}")
        return method(*args, **kwargs)

    setattr(checked, _MARK, True)
    return checked


def _some(values: tuple[Any, ...]) -> str:
    return ", ".join(map(repr, values[:6])) + (", …" if len(values) > 6 else "")
