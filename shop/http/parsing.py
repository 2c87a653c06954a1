"""The one JSON parser of the shop: strict where the standard library is lenient, and every no names its field."""

import json
import re
import unicodedata
from typing import Any

from shop.errors import Invalid, Refusal

MAX_BODY = 1_000_000
MAX_DEPTH = 32
WORDS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[{}\[\],:]', re.DOTALL)
"""Strings and marks. What a string has taken it keeps (`*+`), and its end is optional, so that one without an end is
read once and not from each of its quotes again."""


class Malformed(Refusal):
    """The body is not a JSON object at all."""

    code, status = "malformed_json", 400
    title, title_zh = "The body is not a JSON object.", "请求内容不是有效的 JSON 对象。"


class NotANumber:
    """Stands in the parsed tree where a literal was no number this shop could ever use."""

    def __init__(self, literal: str) -> None:
        self.literal = literal


class RepeatedKey(dict[str, Any]):
    """An object that named one key twice; `key` is the first such key."""

    key = ""


def parse_object(data: bytes) -> dict[str, Any]:
    """A JSON object from raw bytes.

    UTF-8 only; NaN, Infinity, fractions, numbers beyond 19 digits, NUL, lone surrogates, repeated keys and nesting
    deeper than 32 are refused with a JSON pointer to the place; text comes back in NFC. `1.0` counts as the whole
    number it is, as JSON Schema has it.
    """
    refuse_depth(data)
    try:
        tree = json.loads(
            data.decode("utf-8"),
            parse_constant=NotANumber,
            parse_float=whole,
            parse_int=integer,
            object_pairs_hook=object_once,
        )
    except UnicodeDecodeError as error:
        raise Malformed("The body is not UTF-8.") from error
    except (ValueError, RecursionError) as error:
        raise Malformed(f"The body is not JSON: {error}.") from error
    if not isinstance(tree, dict):
        raise Malformed("The body must be a JSON object.")
    faults: list[dict[str, Any]] = []
    cleaned = clean(tree, "", faults)
    if faults:
        raise Invalid(errors=faults)
    assert isinstance(cleaned, dict)
    return cleaned


def integer(literal: str) -> int | NotANumber:
    return int(literal) if len(literal) <= 20 else NotANumber(literal)


def whole(literal: str) -> int | NotANumber:
    """The whole number that a fractional literal stands for, when it stands for one."""
    mantissa, _, exponent = literal.lower().partition("e")
    if len(literal) <= 24 and not exponent:
        head, _, fraction = mantissa.partition(".")
        if not fraction.strip("0"):
            return integer(head)
    return NotANumber(literal)


def object_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) == len(pairs):
        return tree
    repeated = RepeatedKey(tree)
    seen: set[str] = set()
    repeated.key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return repeated


def fault(pointer: str, code: str, detail: str) -> dict[str, Any]:
    return {"pointer": pointer, "code": code, "detail": detail}


def step(pointer: str, key: str | int) -> str:
    """One step further down a JSON pointer, as RFC 6901 escapes it, with unprintable characters made visible."""
    word = str(key).replace("~", "~0").replace("/", "~1").replace("\x00", "\\0")
    return f"{pointer}/{word.encode('utf-8', 'backslashreplace').decode()[:100]}"


def text_fault(text: str) -> str | None:
    if "\x00" in text:
        return "contains a NUL character"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "contains half of a surrogate pair"
    return None


def clean(value: Any, pointer: str, faults: list[dict[str, Any]]) -> Any:
    """The tree with its text in NFC; what must not be there is told to `faults`."""
    if isinstance(value, str):
        if value.isascii() and "\x00" not in value:
            return value
        if problem := text_fault(value):
            faults.append(fault(pointer, "bad_text", problem))
            return ""
        return unicodedata.normalize("NFC", value)
    if isinstance(value, NotANumber):
        faults.append(fault(pointer, "bad_number", f"{value.literal[:40]} is not a whole number in range"))
        return 0
    if isinstance(value, list):
        return [clean(item, step(pointer, place), faults) for place, item in enumerate(value)]
    if isinstance(value, dict):
        if isinstance(value, RepeatedKey):
            faults.append(fault(step(pointer, value.key), "repeated_key", "is given twice"))
        kept = {}
        for key, item in value.items():
            if problem := text_fault(key):
                faults.append(fault(step(pointer, key), "bad_text", f"the key {problem}"))
                continue
            kept[unicodedata.normalize("NFC", key)] = clean(item, step(pointer, key), faults)
        return kept
    return value


def refuse_depth(data: bytes) -> None:
    """Refuse nesting beyond the limit before any recursive parser sees it, naming where it begins."""
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return
    path: list[str | int] = []
    key = ""
    for match in WORDS.finditer(data):
        word = match.group()
        if word[:1] == b'"':
            key = word.strip(b'"').decode("utf-8", "replace")
        elif word == b":" and path:
            path[-1] = key
        elif word == b"," and path and isinstance(path[-1], int):
            path[-1] += 1
        elif word in (b"[", b"{"):
            path.append(0 if word == b"[" else "")
            if len(path) > MAX_DEPTH:
                pointer = "".join(step("", part) for part in path[:-1] if part != "")
                shown = "/".join(pointer.split("/")[:4])
                raise Invalid(errors=[fault(shown, "too_deep", f"is nested deeper than {MAX_DEPTH} levels")])
        elif word in (b"]", b"}") and path:
            path.pop()
