"""A load generator: keep-alive connections on raw sockets in one thread, so that the client is not what is measured.

Loopback only, bounded in time.
"""

import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median


@dataclass
class Result:
    """What one burst did: answers by status, and how long each took."""

    seconds: float
    latencies: list[float] = field(repr=False)
    statuses: dict[int, int]
    last_body: bytes = field(repr=False, default=b"")

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds

    def ms(self, quantile: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * quantile))] * 1000 if ordered else 0.0


class Connection:
    """One keep-alive connection with one request on its way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        self.buffer = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def read(self) -> tuple[int, bytes] | None:
        """The answer's status and body once it is whole."""
        data = self.socket.recv(262_144)
        if not data:
            raise ConnectionError("the server closed a connection in mid-answer")
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return None
        status = int(head[9:12])
        lower = head.lower()
        place = lower.find(b"content-length:")
        if place < 0:
            if status in (204, 304):
                return status, b""
            raise ConnectionError("an answer without a length")
        end = lower.find(b"\r", place)
        length = int(lower[place + 15 : end if end >= 0 else None])
        return (status, body) if len(body) >= length or status == 304 else None


def burst(
    port: int, next_request: Callable[[int], bytes], *, connections: int = 8, seconds: float = 3.0, limit: int = 10**9
) -> Result:
    """Send requests over so many connections for so long, each connection one at a time."""
    selector = selectors.DefaultSelector()
    made = [Connection(port) for _ in range(connections)]
    latencies: list[float] = []
    statuses: dict[int, int] = {}
    last = b""
    sent = 0
    began = time.perf_counter()
    deadline = began + seconds
    for connection in made:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        if sent < limit:
            connection.send(next_request(sent))
            sent += 1
    waiting = min(connections, limit)
    while waiting:
        for key, _ in selector.select(timeout=30):
            connection = key.data
            answer = connection.read()
            if answer is None:
                continue
            now = time.perf_counter()
            latencies.append(now - connection.sent_at)
            statuses[answer[0]] = statuses.get(answer[0], 0) + 1
            last = answer[1]
            if now < deadline and sent < limit:
                connection.send(next_request(sent))
                sent += 1
            else:
                waiting -= 1
    took = time.perf_counter() - began
    for connection in made:
        connection.socket.close()
    selector.close()
    return Result(took, latencies, statuses, last)


def get(path: str, headers: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode()


def post(path: str, body: bytes, headers: str) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{headers}\r\n"
    )
    return head.encode() + body


def middle(values: list[float]) -> float:
    return median(values)
