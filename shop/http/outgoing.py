"""The one client for addresses that users give, such as webhooks: it reaches the public internet and nothing else.

The name is resolved once, every address it has must be public, and the connection goes to an address that was checked,
so a name that changes its answer gains nothing. Redirects are given back, not followed, and no proxy is read from the
environment. Addresses of the host itself that happen to be public look like any other; a firewall has to guard those.
"""

import http.client
import io
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import certifi

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]

SECONDS = 5.0
MAX_BODY = 64 * 2**10

_MAX_URL = 2_000
_TRIES = 3
_NETWORKS_OF_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NOT_FOR_USERS = (
    ipaddress.ip_network("168.63.129.16/32"),  # the host's own service inside Azure, on a public address
    ipaddress.ip_network("192.0.0.0/24"),  # protocol assignments; some clouds keep their services here
    ipaddress.ip_network("192.88.99.0/24"),  # relays of 6to4, RFC 7526
    ipaddress.ip_network("2001::/23"),  # protocol assignments, among them Teredo
    ipaddress.ip_network("2001:db8::/32"),
    ipaddress.ip_network("3fff::/20"),  # documentation, RFC 9637
)


class OutgoingError(Exception):
    """The request was not answered."""


class Forbidden(OutgoingError):
    """The address is not one that the shop connects to; trying again will not help."""


class Unreachable(OutgoingError):
    """No answer came: no such name, no connection, a bad certificate, a broken answer, or not in time."""


@dataclass(frozen=True)
class Response:
    """An answer of any status; `body` has its first 64 KiB, header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str] | None = None,
    *,
    allow_http: bool = False,
    allow_private: bool = False,
    seconds: float = SECONDS,
    resolve: Resolve | None = None,
    tls: ssl.SSLContext | None = None,
) -> Response:
    """Send `body` and give back the answer, all within `seconds`; raises Forbidden or Unreachable.

    `allow_private` lets the embedded start and tests talk to this machine, over http too. Nothing else may set it.
    """
    deadline = time.monotonic() + seconds
    secure, host, port, target = _checked(url, allow_http=allow_http or allow_private, any_host=allow_private)
    addresses = _resolved(resolve or _lookup, host, port, deadline)
    if not allow_private:
        for address in addresses:
            if not is_public(address):
                raise Forbidden(f"{host} is not a public address.")
    context = (tls or _tls()) if secure else None
    failure: Exception | None = None
    for address in addresses[:_TRIES]:
        try:
            raw = socket.create_connection((str(address), port), timeout=_left(deadline))
        except OSError as error:
            failure = error
            continue
        try:
            return _exchange(raw, context, host, port, target, body, dict(headers or {}), deadline)
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{host}: {error or type(error).__name__}") from error
        except ValueError as error:  # a header that cannot be sent
            raise Forbidden(str(error)) from error
    raise Unreachable(f"{host}: {failure or 'no address'}")


def check(url: str, *, allow_private: bool = False) -> None:
    """Forbidden for an address that `post` would never call, as far as that can be told without asking for its name."""
    _, host, _, _ = _checked(url, allow_http=allow_private, any_host=allow_private)
    with suppress(ValueError):
        if not is_public(ipaddress.ip_address(host)) and not allow_private:
            raise Forbidden(f"{host} is not a public address.")


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, looking into IPv6 forms that carry an IPv4 address."""
    if isinstance(address, ipaddress.IPv6Address):
        carried = _carried(address)
        if carried is not None:
            return is_public(carried)
        if address.scope_id is not None or address not in _GLOBAL_UNICAST:
            return False
    if address.is_multicast or address.is_unspecified or address.is_reserved or not address.is_global:
        return False
    return not any(address in network for network in _NOT_FOR_USERS if network.version == address.version)


def _carried(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    number = int(address)
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if any(address in network for network in _NETWORKS_OF_NAT64):
        return ipaddress.IPv4Address(number & 0xFFFFFFFF)
    if (number >> 32) & 0xFFFFFFFF in (0x00005EFE, 0x02005EFE):  # ISATAP
        return ipaddress.IPv4Address(number & 0xFFFFFFFF)
    return None


def _checked(url: str, *, allow_http: bool, any_host: bool) -> tuple[bool, str, int, str]:
    """(over TLS?, host in ASCII, port, path with query), or Forbidden."""
    if len(url) > _MAX_URL or not url.isprintable() or "\\" in url or " " in url:
        raise Forbidden("The address is not a plain URL.")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").rstrip(".")
        host = host if ":" in host else host.encode("idna").decode("ascii")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        target.encode("ascii")
    except ValueError as error:
        raise Forbidden("The address is not a plain URL.") from error
    if parts.scheme not in (("https", "http") if allow_http else ("https",)):
        raise Forbidden("Only https addresses are called.")
    if parts.username is not None or parts.password is not None:
        raise Forbidden("The address must not hold a user name.")
    if not host or "%" in host:
        raise Forbidden("The address names no host.")
    if _is_disguised(host):
        raise Forbidden("Write the host as a name or as a plain IP address.")
    if port is None:
        port = 443 if parts.scheme == "https" else 80
    if not any_host and (port == 0 or (port < 1024 and port not in (80, 443))):
        raise Forbidden(f"Port {port} belongs to another service.")
    return parts.scheme == "https", host, port, target


def _is_disguised(host: str) -> bool:
    """Whether a host ends in a number and is no plain dotted address: 2130706433, 0x7f.1, 0177.0.0.1, 127.1."""
    last = host.rpartition(".")[2].lower()
    if not (last.isdecimal() or last.startswith("0x")):
        return False
    with suppress(ValueError):
        return str(ipaddress.IPv4Address(host)) != host
    return True


def _resolved(resolve: Resolve, host: str, port: int, deadline: float) -> list[Address]:
    with suppress(ValueError):
        return [ipaddress.ip_address(host)]
    answer: list[list[str] | Exception] = []

    def ask() -> None:
        try:
            answer.append(resolve(host, port))
        except (OSError, UnicodeError) as error:
            answer.append(error)

    asking = threading.Thread(target=ask, daemon=True)  # the system's resolver has no time limit of its own
    asking.start()
    asking.join(max(0.0, deadline - time.monotonic()))
    if not answer:
        raise Unreachable(f"{host}: the name was not resolved in time")
    if isinstance(answer[0], Exception):
        raise Unreachable(f"{host}: {answer[0]}")
    try:
        return [ipaddress.ip_address(address) for address in dict.fromkeys(answer[0])]
    except ValueError as error:
        raise Forbidden(f"{host} is not a public address.") from error


def _lookup(host: str, port: int) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@cache
def _tls() -> ssl.SSLContext:
    """The authorities of the system and those of certifi, for machines that have none."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no answer within the time allowed")
    return left


class _Timed(io.RawIOBase):
    """Reads a socket until the deadline of the whole exchange, however slowly the other side drips."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection, self._deadline = connection, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(_left(self._deadline))
        return self._connection.recv_into(buffer)


class _Wire:
    """What http.client needs of a socket, each step within the deadline."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection, self._deadline = connection, deadline

    def sendall(self, data: bytes) -> None:
        self._connection.settimeout(_left(self._deadline))
        self._connection.sendall(data)

    def makefile(self, mode: str = "rb", buffering: int = -1) -> io.BufferedReader:
        del mode, buffering
        return io.BufferedReader(_Timed(self._connection, self._deadline))

    def close(self) -> None:
        """The socket is closed by whoever opened it."""


def _exchange(
    raw: socket.socket,
    context: ssl.SSLContext | None,
    host: str,
    port: int,
    target: str,
    body: bytes,
    headers: dict[str, str],
    deadline: float,
) -> Response:
    with closing(raw):
        connection = raw
        if context is not None:
            raw.settimeout(_left(deadline))
            connection = context.wrap_socket(raw, server_hostname=host)
        with closing(connection):
            client = http.client.HTTPConnection(host, port)
            client.default_port = 443 if context is not None else 80  # or the Host header would name the port
            client.sock = _Wire(connection, deadline)
            client.request("POST", target, body, {"User-Agent": "produce-exchange", **headers, "Connection": "close"})
            answer = client.getresponse()
            taken = bytearray()
            while len(taken) < MAX_BODY and (piece := answer.read1(MAX_BODY - len(taken))):
                taken += piece
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Response(answer.status, named, bytes(taken))
