"""The relay, the workers and a signed-in client, without their processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import UUID

from flask.testing import FlaskClient

from shop.accounts.service import logging_in
from shop.actor import Actor
from shop.db import in_unit_of_work, unit_of_work
from shop.outbox import service as outbox
from tests.application import a_client
from workers.deliveries import run
from workers.relay import number_and_fan_out


def relay() -> list[tuple[UUID, str]]:
    """Number what was committed; gives the deliveries that are due, as (event, consumer)."""
    in_unit_of_work(number_and_fan_out)
    return in_unit_of_work(lambda session: list(outbox.due(session)))


def work(*consumers: str) -> list[str]:
    """One turn of the relay, then the due deliveries of these consumers (a name or its beginning), each once."""
    done = []
    for event_id, consumer in relay():
        if consumer.startswith(consumers):
            run(event_id, consumer)
            done.append(consumer)
    return done


def client_of(actor: Actor) -> FlaskClient:
    """A client whose every request carries a token of this person."""
    with unit_of_work() as session:
        token, _ = logging_in.issue_token(session, user_id=actor.user_id)
    client = a_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


class Listener(ThreadingHTTPServer):
    """A server on this machine that keeps what is posted to it and answers with the statuses it was given, then 204."""

    daemon_threads = True

    def __init__(self, *answers: int) -> None:
        super().__init__(("127.0.0.1", 0), Posted)
        self.answers = list(answers)
        self.headers: dict[str, str] = {}
        self.requests: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hear"


class Posted(BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 204)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def listening(*answers: int) -> Iterator[Listener]:
    server = Listener(*answers)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
