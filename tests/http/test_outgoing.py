import ipaddress
import socket
import ssl
import threading
import time
from contextlib import suppress

import pytest

from shop.http import outgoing
from shop.http.outgoing import Forbidden, Unreachable, post

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


class Listener:
    """A server on this machine that counts who connects, keeps what they sent and answers as told."""

    def __init__(self, answer=ANSWER, *, family=socket.AF_INET, drip=0.0, tls=None):
        self.connections, self.requests, self._answer, self._drip, self._tls = 0, [], answer, drip, tls
        self._socket = socket.socket(family)
        self._socket.bind((LOOPBACK[family], 0))
        self._socket.listen()
        self.port = self._socket.getsockname()[1]
        self._stopped = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while not self._stopped.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            try:
                self._talk(connection)
            except OSError:
                pass
            finally:
                connection.close()

    def _talk(self, connection):
        connection.settimeout(5)
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True)
        taken = b""
        while b"\r\n\r\n" not in taken:
            piece = connection.recv(65536)
            if not piece:
                break
            taken += piece
            if taken[:1] == b"\x16":  # a TLS client greets and waits
                break
        head, _, body = taken.partition(b"\r\n\r\n")
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                while len(body) < int(line.split(b":")[1]):
                    body += connection.recv(65536)
        self.requests.append((head, body) if taken[:1] != b"\x16" else (taken, b""))
        step = 1 if self._drip else 65536
        for start in range(0, len(self._answer), step):
            connection.sendall(self._answer[start : start + step])
            if self._stopped.wait(self._drip):
                return
        if self._tls is not None:
            connection.unwrap().close()

    def close(self):
        self._stopped.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # ends the accept that waits
        self._socket.close()


@pytest.fixture
def listen():
    made = []

    def start(*args, **options):
        made.append(Listener(*args, **options))
        return made[-1]

    yield start
    for listener in made:
        listener.close()


def test_a_body_is_posted_with_its_headers_and_the_answer_comes_back(listen):
    server = listen(b"HTTP/1.1 202 Accepted\r\nX-Seen: yes\r\nContent-Length: 4\r\n\r\ndone")
    answer = post(f"http://127.0.0.1:{server.port}/hooks?a=1", b'{"x":1}', {"webhook-id": "m1"}, allow_private=True)
    assert (answer.status, answer.headers["x-seen"], answer.body) == (202, "yes", b"done")
    head, body = server.requests[0]
    assert head.startswith(b"POST /hooks?a=1 HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{server.port}".encode() in head
    assert b"webhook-id: m1" in head
    assert body == b'{"x":1}'


def inner_addresses(port, port6):
    hosts = [
        "127.0.0.1", "localhost", "LOCALHOST.", "127.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001",
        "0177.0.0.1", "127.000.000.001", "0", "0.0.0.0", "①②⑦.0.0.1", "１２７.0.0.1", "127。0。0。1",
        "localhost%00.example.com",
    ]  # fmt: skip
    hosts6 = [
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::1%25lo]",
    ]
    return [f"{host}:{port}" for host in hosts] + [f"{host}:{port6}" for host in hosts6]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_form_of_an_inner_address_is_connected_to(listen, scheme):
    server, server6 = listen(), listen(family=socket.AF_INET6)
    for host in inner_addresses(server.port, server6.port):
        with pytest.raises((Forbidden, Unreachable)) as refused:
            post(f"{scheme}://{host}/", b"", allow_http=True)
        assert isinstance(refused.value, Forbidden), host
    assert server.connections == server6.connections == 0


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200",
        "168.63.129.16", "192.0.0.192", "192.0.2.1", "198.18.0.1", "203.0.113.1", "224.0.0.1", "239.1.1.1",
        "240.0.0.1", "255.255.255.255", "0.0.0.0", "0.1.2.3", "::", "::1", "::a00:1", "::ffff:10.0.0.1",
        "::ffff:0:a00:1", "64:ff9b::a00:1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:a00:1::",
        "2002:7f00:1::1", "2001:0:1::1", "2001:db8::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254",
        "fe80::1", "fec0::1", "ff02::1", "2606:4700::5efe:a00:1", "4000::1",
    ],
)  # fmt: skip
def test_a_name_that_leads_to_an_inner_address_is_refused(address, monkeypatch):
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("connected"))
    with pytest.raises(Forbidden):
        post("https://hooks.example.com/", b"", resolve=lambda host, port: [address])
    with pytest.raises(Forbidden):
        post("https://hooks.example.com/", b"", resolve=lambda host, port: ["93.184.215.14", address])


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.215.14", "223.5.5.5", "2606:4700::1111", "2400:3200::1", "64:ff9b::808:808"]
)
def test_public_addresses_are_public(address):
    assert outgoing.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "file:///etc/passwd",
        "gopher://hooks.example.com/",
        "ftp://hooks.example.com/",
        "//hooks.example.com/",
        "hooks.example.com",
        "https:///path",
        "https://user:word@hooks.example.com/",
        "https://hooks.example.com@127.0.0.1/",
        "https://hooks.example.com\\@127.0.0.1/",
        "https://hooks.example.com/\r\nX: y",
        "https://hooks.example.com /",
        "https://hooks.example.com:25/",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:99999/",
        "https://hooks..example.com/",
        "https://[::1/",
        "https://hooks.example.com/é",
        "https://hooks.example.com/" + "x" * 2_000,
        "",
    ],
)
def test_what_is_not_a_plain_https_url_is_refused_before_any_lookup(url):
    with pytest.raises(Forbidden):
        post(url, b"", resolve=lambda host, port: pytest.fail("looked up"))


def test_the_connection_goes_to_the_address_that_was_checked_though_the_name_changes_its_answer(listen, monkeypatch):
    inside, outside = listen(), listen()
    answers = [["93.184.215.14"], ["127.0.0.1"]]
    asked = []

    def resolve(host, port):
        asked.append(host)
        return answers[min(len(asked), 2) - 1]

    connect = socket.create_connection
    reached = []

    def to_the_world(address, timeout=None):
        reached.append(address)
        port = outside.port if address[0] == "93.184.215.14" else inside.port
        return connect(("127.0.0.1", port), timeout)

    monkeypatch.setattr(socket, "create_connection", to_the_world)
    url = f"http://hooks.example.com:{inside.port}/x"
    assert post(url, b"", allow_http=True, resolve=resolve).status == 200
    assert (asked, reached) == (["hooks.example.com"], [("93.184.215.14", inside.port)])
    assert f"Host: hooks.example.com:{inside.port}\r\n".encode() in outside.requests[0][0] + b"\r\n"
    with pytest.raises(Forbidden):
        post(url, b"", allow_http=True, resolve=resolve)
    assert (inside.connections, outside.connections) == (0, 1)


def test_a_redirect_is_given_back_and_not_followed(listen):
    inside = listen()
    answer = f"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:{inside.port}/\r\nContent-Length: 0\r\n\r\n"
    server = listen(answer.encode())
    assert post(f"http://127.0.0.1:{server.port}/", b"", allow_private=True).status == 307
    assert (server.connections, inside.connections) == (1, 0)


def test_a_proxy_of_the_environment_is_not_used(listen, monkeypatch):
    proxy, server = listen(), listen()
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    assert post(f"http://127.0.0.1:{server.port}/", b"", allow_private=True).status == 200
    assert (server.connections, proxy.connections) == (1, 0)


@pytest.mark.parametrize(
    "answer", [ANSWER, b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100, b"HTTP/1.1 100 Continue\r\n\r\n" * 100]
)
def test_an_answer_that_drips_ends_with_the_time_allowed(listen, answer):
    server = listen(answer, drip=0.05)
    started = time.monotonic()
    with pytest.raises(Unreachable):
        post(f"http://127.0.0.1:{server.port}/", b"", allow_private=True, seconds=0.4)
    assert time.monotonic() - started < 1.5


def test_a_name_server_that_does_not_answer_ends_with_the_time_allowed():
    never = threading.Event()
    started = time.monotonic()
    with pytest.raises(Unreachable):
        post("https://hooks.example.com/", b"", seconds=0.2, resolve=lambda host, port: [str(never.wait(3))])
    assert time.monotonic() - started < 1


def test_an_endless_answer_is_cut(listen):
    server = listen(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2**20)
    assert post(f"http://127.0.0.1:{server.port}/", b"", allow_private=True).body == b"x" * outgoing.MAX_BODY


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 99"])
def test_a_broken_answer_is_no_answer(listen, answer):
    with pytest.raises(Unreachable):
        post(f"http://127.0.0.1:{listen(answer).port}/", b"", allow_private=True)


def test_a_closed_port_and_an_unknown_name_are_unreachable(listen):
    server = listen()
    server.close()
    with pytest.raises(Unreachable):
        post(f"http://127.0.0.1:{server.port}/", b"", allow_private=True)

    def resolve(host, port):
        raise socket.gaierror("no such name")

    with pytest.raises(Unreachable):
        post("https://hooks.example.com/", b"", resolve=resolve)


def test_the_next_address_is_tried_when_the_first_does_not_answer(listen):
    server = listen()
    gone = listen(family=socket.AF_INET6)
    gone.close()
    url = f"http://shop.example.com:{server.port}/"
    assert post(url, b"", allow_private=True, resolve=lambda host, port: ["::1", "127.0.0.1"]).status == 200


def test_a_header_that_breaks_the_line_is_not_sent(listen):
    server = listen()
    with pytest.raises(Forbidden):
        post(f"http://127.0.0.1:{server.port}/", b"", {"x": "a\r\nHost: other"}, allow_private=True)
    assert server.requests in ([], [(b"", b"")])


def test_https_names_the_host_in_its_greeting_and_trusts_only_known_authorities(listen):
    server = listen(b"")
    url = f"https://hooks.example.com:{server.port}/"
    with pytest.raises(Unreachable):
        post(url, b"", allow_private=True, resolve=lambda host, port: ["127.0.0.1"])
    assert b"hooks.example.com" in server.requests[0][0]
    context = outgoing._tls()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.cert_store_stats()["x509_ca"] > 50


def test_a_server_that_shows_no_certificate_is_refused_and_the_exchange_over_tls_is_whole(listen):
    def without_certificate(side):
        context = ssl.SSLContext(side)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")
        return context

    server = listen(tls=without_certificate(ssl.PROTOCOL_TLS_SERVER))
    url = f"https://127.0.0.1:{server.port}/"
    with pytest.raises(Unreachable):
        post(url, b"secret", allow_private=True)
    assert server.requests == []
    answer = post(url, b"body", allow_private=True, tls=without_certificate(ssl.PROTOCOL_TLS_CLIENT))
    assert (answer.status, answer.body, server.requests[0][1]) == (200, b"ok", b"body")
