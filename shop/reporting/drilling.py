"""Drill tokens: which cell of which answer, for which reader, signed.

A token is the question, the place and the amount of one cell, so that the lines behind a figure can be asked for as
they were when it was shown. The format and the check are itsdangerous' own; only the key is derived once an answer and
not once a row, because an answer may have a thousand rows.
"""

import hashlib
import json
from base64 import urlsafe_b64decode
from binascii import b2a_base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec
from itsdangerous import BadSignature, Signer

from config.settings import settings
from shop.errors import Invalid, NotFound
from shop.reporting.queries import Cell, Question, Reader

VERSION = 1
FOR_ADDRESSES = bytes.maketrans(b"+/", b"-_")


@dataclass(frozen=True)
class Drill:
    """What a token says."""

    question: Question
    place: tuple[Any, ...]
    as_of: int
    scope: list[str]
    amount_fen: int
    facts: int


def signer(salt: str) -> Signer:
    return Signer(settings().secret_key, salt=salt, sep=".", digest_method=hashlib.sha256)


def base64(data: bytes) -> bytes:
    """Base64 for addresses, without padding, as itsdangerous writes it."""
    return b2a_base64(data, newline=False).translate(FOR_ADDRESSES, b"=")


def packed(value: Any) -> bytes:
    return base64(msgspec.json.encode(value))


def unpacked(word: str) -> Any:
    return json.loads(urlsafe_b64decode(word + "=" * (-len(word) % 4)))


def month_of(day: date | None) -> str | None:
    return day.isoformat()[:7] if day else None


def day_of(month: str | None) -> date | None:
    return date.fromisoformat(f"{month}-01") if month else None


def writer(question: Question, reader: Reader, as_of: int) -> Callable[[Cell], str]:
    """A function that gives the token of each cell of one answer."""
    head = [
        VERSION, question.measure, ",".join(question.group_by), month_of(question.start), month_of(question.end),
        question.bucket, as_of, reader.scope,
    ]  # fmt: skip
    begin, key = packed(head) + b".", signer("drill").derive_key()
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key.ljust(64, b"\0")) + begin)  # HMAC (RFC 2104), its two
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key.ljust(64, b"\0")))  # halves begun once for all cells
    encode = msgspec.json.encode

    def token(cell: Cell) -> str:
        value = base64(encode((cell.place, cell.amount_fen, cell.facts)))
        first, second = inner.copy(), outer.copy()
        first.update(value)
        second.update(first.digest())
        return (begin + value + b"." + base64(second.digest())).decode()

    return token


def read(token: str, reader: Reader) -> Drill:
    """What a token says; NotFound for one that is not ours or was given to a reader of another scope."""
    try:
        head, cell = signer("drill").unsign(token).decode().split(".")
        version, measure, group_by, start, end, bucket, as_of, scope = unpacked(head)
        place, amount_fen, facts = unpacked(cell)
    except (BadSignature, ValueError) as error:
        raise NotFound("This drill token is not one of ours.") from error
    if version != VERSION or scope != reader.scope:
        raise NotFound
    names = tuple(group_by.split(","))
    shaped = tuple(
        date.fromisoformat(value) if name == "month" else value for name, value in zip(names, place, strict=True)
    )
    question = Question(measure, names, day_of(start), day_of(end), bucket)
    return Drill(question, shaped, as_of, scope, amount_fen, facts)


def cursor(token: str, posted_no: int) -> str:
    """Where a page of lines ended; only a page whose cell added up gives one."""
    return f"{posted_no}.{signer('drill page').get_signature(f'{token}|{posted_no}').decode()}"


def place_of(token: str, given: str) -> int:
    """The number that a cursor of these lines names; Invalid for any other."""
    number, _, signature = given.partition(".")
    if not signer("drill page").verify_signature(f"{token}|{number}", signature):
        raise Invalid("This cursor belongs to no such list.", pointer="/query/cursor")
    return int(number)


def fingerprint(parts: Sequence[Any]) -> str:
    """The SHA-256 of an answer in its one canonical form."""
    return hashlib.sha256(json.dumps(parts, separators=(",", ":"), default=str).encode()).hexdigest()
