"""Answers that this process has made, kept with the stamp of the state they were made from.

An answer is given again only when the database says that its state has the same stamp, so it is never old: what is
saved is making it, not asking.
"""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock


@dataclass(frozen=True)
class Kept:
    stamp: str
    data: bytes
    tag: str


class Memory:
    """The answers used last, a bounded number of them; safe between threads."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._lock = Lock()

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
