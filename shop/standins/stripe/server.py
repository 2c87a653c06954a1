"""The server: a WSGI callable, and the thread that serves it on 127.0.0.1."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from wsgiref.types import StartResponse, WSGIEnvironment

from werkzeug.exceptions import HTTPException
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from shop.standins.stripe import api, methods, objects, page
from shop.standins.stripe.account import Account, Call
from shop.standins.stripe.controls import Controls
from shop.standins.stripe.errors import ApiError
from shop.standins.stripe.faults import Fault, Plan
from shop.standins.stripe.form import Tree, decode
from shop.standins.stripe.keeping import Keeper
from shop.standins.stripe.keys import Answer, Keys
from shop.standins.stripe.webhooks import RETRY_AFTER_S, Deliveries

MAX_BODY = 1_000_000


class StandIn:
    """A Stripe of one's own. As a context manager it serves on a free port; `url` is the base of its API.

    `api_key` is the only key accepted (any test key, when none is given). Without `webhook_url` no events are sent. The
    controls are at `url + "/_control"`; in the same process `account`, `plan` and `deliveries` are at hand too. With a
    `file` the account is taken up from it at the start and kept in it; without one it is gone at the end.
    """

    def __init__(
        self,
        *,
        webhook_url: str | None = None,
        webhook_secret: str | None = None,
        api_key: str | None = None,
        retry_after_s: Sequence[float] = RETRY_AFTER_S,
        file: Path | None = None,
    ) -> None:
        self.api_key = api_key
        self.deliveries = Deliveries(webhook_url, webhook_secret, retry_after_s=retry_after_s)
        self.account = Account(announce=self.deliveries.take)
        self.keys = Keys()
        self.plan = Plan()
        self.controls = Controls(self.account, self.keys, self.plan, self.deliveries)
        self.keeper = None if file is None else Keeper(file, self.account, self.keys)
        self._closing = threading.Event()
        self._server: BaseWSGIServer | None = None

    @property
    def url(self) -> str:
        return self.account.base_url

    def start(self, port: int = 0) -> str:
        """Serve in the background on 127.0.0.1 and give the base URL; port 0 takes a free one."""
        self._server = make_server("127.0.0.1", port, self, threaded=True, request_handler=_Handler)
        self.account.base_url = f"http://127.0.0.1:{self._server.server_port}"
        if self.keeper is not None:
            self.keeper.start()
        self.deliveries.start()
        threading.Thread(target=self._server.serve_forever, name="stripe-stand-in", daemon=True).start()
        return self.url

    def stop(self) -> None:
        """End the server and the sending of events."""
        self._closing.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self.deliveries.stop()
        if self.keeper is not None:
            self.keeper.stop()

    def __enter__(self) -> StandIn:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        request.max_content_length = MAX_BODY
        work = self._call
        if request.path.startswith("/_pay/"):
            work = self._pay
        elif request.path == "/_control" or request.path.startswith("/_control/"):
            work = self._control
        try:
            return work(request)(environ, start_response)
        except HTTPException as refusal:  # a body that is too long
            return refusal(environ, start_response)
        finally:
            if self.keeper is not None and request.method != "GET":
                self.keeper.changed()

    def _call(self, request: Request) -> Response:
        """One call of the API, with the fault that is planned for it."""
        request_id = objects.new_id("req")
        fault = self.plan.next(request.method, request.path)
        if fault is not None and fault.when == "before":
            if fault.how != "slow":
                return self._broken(fault, request, request_id)
            self._closing.wait(fault.seconds)
        answer, replayed = self._answer(request, request_id, kept_error=fault is not None and fault.how == "500_kept")
        if fault is not None and fault.when == "after":
            if fault.how != "slow":
                return self._broken(fault, request, request_id)
            self._closing.wait(fault.seconds)
        response = Response(answer.body, status=answer.status, mimetype="application/json")
        response.headers["Request-Id"] = request_id
        response.headers["Stripe-Version"] = request.headers.get("Stripe-Version", objects.VERSION)
        if key := request.headers.get("Idempotency-Key"):
            response.headers["Idempotency-Key"] = key
            response.headers["Original-Request"] = answer.request_id
        if replayed:
            response.headers["Idempotent-Replayed"] = "true"
        return response

    def _answer(self, request: Request, request_id: str, *, kept_error: bool) -> tuple[Answer, bool]:
        """The true answer and whether it is an earlier one said again. GET calls take no key."""
        key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
        try:
            self._allow(request)
            route, named = api.find(request.method, request.path)
            encoded = request.get_data(as_text=True) if request.method == "POST" else request.query_string.decode()
            tree = decode(encoded)
            if key:
                fingerprint = (request.method, request.path, json.dumps(tree, sort_keys=True))
                earlier = self.keys.claim(key, fingerprint)
                if earlier is not None:
                    return earlier, True
        except ApiError as error:
            return Answer(error.status, _body({"error": error.error}), request_id), False
        try:
            status, body, kept = self._perform(route, named, tree, Call(request_id, key))
        except Exception:
            self.keys.let_go(key or "")
            raise
        answer = Answer(status, body, request_id)
        if key and kept:
            self.keys.keep(key, Answer(500, _body(_SERVER_ERROR), request_id) if kept_error else answer)
        elif key:
            self.keys.let_go(key)
        return answer, False

    def _perform(self, route: api.Route, named: str, tree: Tree, call: Call) -> tuple[int, bytes, bool]:
        """Status and body, written while the account stands still, and whether a key keeps them."""
        with self.account.lock:
            try:
                return 200, _body(api.perform(self.account, route, named, tree, call)), True
            except ApiError as error:
                return error.status, _body({"error": error.error}), error.kept

    def _allow(self, request: Request) -> None:
        """Refuse what Stripe refuses before it looks at the call: the key, the version, the kind of body."""
        given = request.authorization
        key = None
        if given is not None:
            key = given.token if given.type == "bearer" else given.username
        if not key:
            raise ApiError(401, "You did not provide an API key: send it as Authorization: Bearer.")
        if key.startswith(("sk_live_", "rk_live_")) or (self.api_key is not None and key != self.api_key):
            raise ApiError(401, f"Invalid API Key provided: {key[:8]}{'*' * 8}{key[-4:]}")
        version = request.headers.get("Stripe-Version", objects.VERSION)
        if version.rpartition(".")[2] != objects.VERSION.rpartition(".")[2]:
            raise ApiError(400, f"The stand-in speaks {objects.VERSION}, not the API version {version}.")
        if request.method == "POST" and request.content_length and "form-urlencoded" not in (request.mimetype or ""):
            raise ApiError(400, "Parameters are sent as application/x-www-form-urlencoded.")

    def _broken(self, fault: Fault, request: Request, request_id: str) -> Response:
        """What the caller sees of a fault."""
        if fault.how in ("500", "500_kept"):
            return _json(_SERVER_ERROR, 500, request_id)
        if fault.how == "429":
            return _json(_TOO_MANY, 429, request_id)
        if fault.how == "timeout":
            self._closing.wait(fault.seconds)
        connection: socket.socket | None = request.environ.get("werkzeug.socket")
        if connection is not None:
            if fault.how == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            socket.close(connection.detach())
        raise ConnectionResetError("The connection is broken on purpose.")

    def _control(self, request: Request) -> Response:
        try:
            told = self.controls.handle(request.method, request.path, request.args, request.get_data())
        except ApiError as error:
            return _json({"error": error.error}, error.status, None)
        return _json(told, 200, None)

    def _pay(self, request: Request) -> Response:
        """The payer's page; who holds the client secret may pay, as with Stripe."""
        with self.account.lock:
            intent = self.account.held["payment_intent"].get(request.path.removeprefix("/_pay/"))
            if intent is None or request.values.get("client_secret") != intent["client_secret"]:
                return Response("There is no such payment.", status=404)
            action = intent["next_action"] or {}
            return_url = request.values.get("return_url") or action.get(action.get("type"), {}).get("return_url") or ""
            if return_url and urlsplit(return_url).scheme not in ("http", "https"):
                return Response("return_url is an http address.", status=400)
            if request.method == "POST":
                with contextlib.suppress(ApiError):  # a decline is shown on the page
                    self._choose(intent, request.form.get("choice", ""), return_url)
                if return_url and intent["status"] in ("succeeded", "requires_capture", "canceled"):
                    return Response(status=303, headers={"Location": page.returned(return_url, intent)})
            return Response(page.render(intent, return_url=return_url), mimetype="text/html")

    def _choose(self, intent: dict[str, Any], choice: str, return_url: str) -> None:
        call = Call()
        if intent["status"] == "requires_action":
            self.account.complete_action(intent, succeeded=choice == "approve", call=call)
            return
        chosen: dict[str, Any] = {"return_url": return_url or f"{self.url}/_pay/{intent['id']}"}
        if choice in methods.WALLETS:
            chosen["payment_method_data"] = {"type": choice}
            chosen["payment_method_options"] = {"wechat_pay": {"client": "web"}}
        else:
            chosen["payment_method"] = choice
        self.account.confirm_intent(intent, chosen, call)


_TOO_MANY = {"error": {"type": "invalid_request_error", "code": "rate_limit", "message": "Too many requests."}}
_SERVER_ERROR = {"error": {"type": "api_error", "message": "An error occurred in the stand-in, as was asked for."}}


def _body(shown: object) -> bytes:
    return json.dumps(shown, indent=2, ensure_ascii=False).encode()


def _json(shown: object, status: int, request_id: str | None) -> Response:
    response = Response(_body(shown), status=status, mimetype="application/json")
    if request_id is not None:
        response.headers["Request-Id"] = request_id
    return response


class _Handler(WSGIRequestHandler):
    """Serves without a log line per call, and lets go of a connection that was broken on purpose."""

    def log(self, *_: Any) -> None:
        return

    def handle(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().handle()
