"""Where the parts meet: the Flask application, its routes and its answers about itself."""

import json
import re
import socket
import time
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any
from urllib.parse import urlsplit

import structlog
from flask import Flask, Response, g, request
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest
from werkzeug.middleware.proxy_fix import ProxyFix

from config.settings import settings
from shop.accounts.api import actor_of_request
from shop.audit import service as audit
from shop.clock import clock_is_moved
from shop.db import in_unit_of_work
from shop.errors import Busy
from shop.http import frontpage, openapi, problems, reading
from shop.http.again import Again
from shop.http.parsing import MAX_BODY
from shop.http.routes import Operation, Routes, mount
from shop.ids import new_id
from shop.logs import note_request, set_up_logs
from shop.outbox import service as outbox
from shop.storefront.stamps import StampNow

log = structlog.get_logger()
VERSION = "0.1.0"
ROOMS = (
    "accounts", "catalogue", "catalogue.monitoring", "agreements", "stock", "storefront", "orders", "requisitions",
    "quotations", "payments", "logistics", "reporting", "jobs", "notices", "files", "ledger", "regions", "outbox",
)  # fmt: skip
SECONDS = Histogram("shop_request_seconds", "Time to answer", ("operation",))
ANSWERS = Counter("shop_answers_total", "Answers by operation and status", ("operation", "status"))
BACKLOG = Gauge("shop_outbox_backlog", "Work waiting in the outbox", ("kind",))
PORT_OF = {"redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671}
REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}$")

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), camera=(), microphone=()",
}

API_CSS = """
body { font: 16px/1.5 system-ui, sans-serif }
main { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin: 2rem 0 0 }
table { border-collapse: collapse }
th, td { text-align: left; vertical-align: top; padding: 0.1rem 1rem 0.1rem 0; border-bottom: 1px solid #ddd }
pre { background: #f4f4f4; padding: 0.5rem; overflow: auto }
"""


def all_routes() -> list[Routes]:
    """The routes of every room, in the order of the rooms: those of its `api.py` and of every `api_*.py` beside it."""
    found: dict[int, Routes] = {}  # by identity: a module may import the routes of another
    for room in ROOMS:
        package = import_module(f"shop.{room}")
        names = sorted(module.name for module in iter_modules(package.__path__))
        for name in names:
            if name == "api" or name.startswith("api_"):
                module = import_module(f"shop.{room}.{name}")
                found |= {id(value): value for value in vars(module).values() if isinstance(value, Routes)}
    return list(found.values())


def operations() -> list[Operation]:
    return [operation for routes in all_routes() for operation in routes.operations]


def create_app() -> Flask:
    """The WSGI application; makes no connection until the first request."""
    set_up_logs()
    app = Flask("shop", static_folder=None)
    app.wsgi_app = Again(  # type: ignore[method-assign]
        app.wsgi_app, stamp_now=StampNow(), name=request_id_of, told=told
    )
    if proxies := settings().trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies)  # type: ignore[method-assign]
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.json.sort_keys = False  # type: ignore[attr-defined]
    for routes in all_routes():
        mount(app, routes, actor_of_request)
    problems.install(app)
    app.before_request(begin)
    app.after_request(end)
    about_itself(app)
    return app


def begin() -> None:
    """Name the request, for its logs and for the tasks it leads to."""
    g.request_id = request_id_of(request.environ)
    g.began = time.perf_counter()
    audit.address_of_request.set(request.remote_addr)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def request_id_of(environ: Mapping[str, Any]) -> str:
    """The id that the caller gave the request, if it is one, else a new one."""
    given = environ.get("HTTP_X_REQUEST_ID", "")
    return given if REQUEST_ID.match(given) else new_id().hex


def told(operation: str, status: int, seconds: float, request_id: str) -> None:
    """Count an answer, and note it in the access log."""
    SECONDS.labels(operation).observe(seconds)
    ANSWERS.labels(operation, status).inc()
    if settings().access_log:
        if " " not in operation:  # what tells about itself, or no route at all
            method = request.method if request.method.isalpha() else "?"
            operation = f"{method} {request.url_rule.rule if request.url_rule else 'none'}"
        note_request(operation, status, seconds * 1000, request_id)


def end(response: Response) -> Response:
    operation = request.endpoint or "none"
    request_id = g.get("request_id", "")
    spent = time.perf_counter() - g.get("began", time.perf_counter())
    told(operation, response.status_code, spent, request_id)
    response.headers["X-Request-Id"] = request_id
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    if settings().public_url.startswith("https://"):
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    if response.status_code >= 500:
        log.error("answered", status=response.status_code, operation=operation, seconds=round(spent, 4))
    return response


def about_itself(app: Flask) -> None:
    """Where things are, health, readiness, metrics and the API's document."""

    @app.get("/")
    def front() -> Response:
        wants_page = request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"
        data = frontpage.page() if wants_page else json.dumps(frontpage.PLACES, ensure_ascii=False)
        answer = Response(data, mimetype="text/html" if wants_page else "application/json")
        answer.headers["Vary"] = "Accept"
        return answer

    @app.get("/healthz")
    def healthz() -> Response:
        return Response('{"status":"ok"}', mimetype="application/json")

    @app.get("/readyz")
    def readyz() -> Response:
        parts = readiness()
        ready = all(parts[needed] == "ok" for needed in ("database", "clock"))
        body = json.dumps({"status": "ok" if ready else "not ready", "parts": parts})
        return Response(body, status=200 if ready else 503, mimetype="application/json")

    @app.get("/metrics")
    def metrics() -> Response:
        try:
            for kind, waiting in in_unit_of_work(outbox.backlog).items():
                BACKLOG.labels(kind).set(waiting)
        except Busy:
            log.warning("metrics_without_database")
        return Response(generate_latest(), mimetype=CONTENT_TYPE_LATEST)

    @app.get("/v1/openapi.json")
    def openapi_document() -> Response:
        return Response(documents()[0], mimetype="application/json")

    @app.get("/v1/docs")
    def openapi_page() -> Response:
        return Response(documents()[1], mimetype="text/html")

    @app.get("/static/api.css")
    def api_css() -> Response:
        return Response(API_CSS, mimetype="text/css")


@cache
def documents() -> tuple[str, str]:
    """The API's document as JSON and as a page, made when somebody asks for them first: it takes a while."""
    found = openapi.document(operations(), version=VERSION)
    return json.dumps(found, ensure_ascii=False, indent=1), reading.page(found)


def readiness() -> dict[str, str]:
    """Each part, and whether it answers. Without the broker the shop serves on: work waits in the outbox for it."""
    parts = {"database": "ok", "clock": "ok", "broker": "ok"}
    try:
        if in_unit_of_work(clock_is_moved) and settings().production:
            parts["clock"] = "moved"
    except Busy as error:
        parts["database"] = error.detail
    if not broker_answers():
        parts["broker"] = "away"
    return parts


def broker_answers() -> bool:
    """Whether the broker takes a connection within about a second."""
    address = urlsplit(settings().broker_url)
    at_path = address.scheme.endswith("+socket")
    try:
        with (
            socket.socket(socket.AF_UNIX)
            if at_path
            else socket.create_connection(
                (address.hostname or "localhost", address.port or PORT_OF[address.scheme.partition("+")[0]]), timeout=1
            ) as connection
        ):
            if at_path:
                connection.settimeout(1)
                connection.connect(address.path)
    except OSError:
        return False
    return True
