"""Answers given again while nothing has changed: before any routing, and never old.

A view whose answer is made in one statement gives with it the stamp of the state that it saw (`Raw.stamp`). The whole
answer is kept in the memory of the process, and given again, as 200 or 304, when the database says that its state has
the same stamp still: a round trip of some fifty microseconds on a connection of its own. So what is saved is making the
answer, not asking; a price that was changed a moment ago, by whatever process on whatever machine, is in the next one.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from shop.errors import TooMany
from shop.http import limiting

STAMP = "shop.stamp"
"""The key of the WSGI environment under which an answer's stamp and operation go to where it is kept."""
OF_ONE_REQUEST = frozenset({"x-request-id", "content-length", "date"})
START = Callable[..., Any]


class Reader(Protocol):
    def __call__(self) -> str | None:
        """The stamp of the state now; None when it cannot be had at once."""


@dataclass(frozen=True)
class Kept:
    stamp: str
    operation: str
    data: bytes
    headers: tuple[tuple[str, str], ...]
    tag: str


class Memory:
    """The answers used last, a bounded number of them; safe between threads."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, question: str) -> Kept | None:
        with self._lock:
            found = self._kept.get(question)
            if found is not None:
                self._kept.move_to_end(question)
            return found

    def put(self, question: str, kept: Kept) -> None:
        with self._lock:
            self._kept[question] = kept
            self._kept.move_to_end(question)
            while len(self._kept) > self.size:
                self._kept.popitem(last=False)


class Again:
    """The WSGI application around another that answers what is unchanged by itself.

    `name` gives a request its id, `told` hears the operation, status, seconds and id of each answer given here.
    """

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]],
        *,
        stamp_now: Reader,
        name: Callable[[dict[str, Any]], str],
        told: Callable[[str, int, float, str], None],
        size: int = 256,
    ) -> None:
        self.app, self.stamp_now, self.name, self.told = app, stamp_now, name, told
        self.memory = Memory(size)

    def __call__(self, environ: dict[str, Any], start_response: START) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "GET":
            return self.app(environ, start_response)
        began = time.perf_counter()
        question = f"{environ['PATH_INFO']}?{environ.get('QUERY_STRING', '')}"
        kept = self.memory.get(question)
        if kept is None:
            return self.make(question, environ, start_response)
        # Asked after the request came, so that whatever was committed before it is seen.
        if self.stamp_now() != kept.stamp:
            return self.make(question, environ, start_response)
        try:
            limiting.count("address", environ.get("REMOTE_ADDR") or "")
        except TooMany:
            return self.app(environ, start_response)
        request_id = self.name(environ)
        headers = [*kept.headers, ("X-Request-Id", request_id)]
        if environ.get("HTTP_IF_NONE_MATCH") == kept.tag:
            status, data = 304, b""
            start_response("304 NOT MODIFIED", headers)
        else:
            status, data = 200, kept.data
            start_response("200 OK", [*headers, ("Content-Length", str(len(data)))])
        self.told(kept.operation, status, time.perf_counter() - began, request_id)
        return (data,)

    def make(self, question: str, environ: dict[str, Any], start_response: START) -> Iterable[bytes]:
        """Let the application answer, and keep an answer that has a stamp."""
        begun: list[tuple[str, list[tuple[str, str]]]] = []

        def note(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            begun.append((status, headers))
            return start_response(status, headers, *rest)

        parts = self.app(environ, note)
        stamp, operation = environ.get(STAMP) or (None, "")
        if stamp is None or not begun or not begun[0][0].startswith("200"):
            return parts
        data = b"".join(parts)
        headers = tuple((name, value) for name, value in begun[0][1] if name.lower() not in OF_ONE_REQUEST)
        tag = next((value for name, value in headers if name.lower() == "etag"), None)
        if tag is not None:
            self.memory.put(question, Kept(stamp, operation, data, headers, tag))
        return (data,)
