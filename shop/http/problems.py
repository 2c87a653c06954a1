"""Answers that say no: RFC 9457 problem documents, in the language that the caller asked for."""

import json
import re
from difflib import get_close_matches
from typing import Any

import structlog
from flask import Flask, Response, current_app, request
from pydantic import BaseModel, ConfigDict, ValidationError
from werkzeug.exceptions import HTTPException

from shop.errors import Invalid, Refusal, TooMany
from shop.http.chinese import in_chinese, of_validation
from shop.http.parsing import fault, step

log = structlog.get_logger()

MIMETYPE = "application/problem+json"


class FieldProblem(BaseModel):
    """One field at fault: where it stands in the body (RFC 6901), a stable code and a sentence."""

    pointer: str
    code: str
    detail: str


class Problem(BaseModel):
    """An RFC 9457 problem: a stable `code`, a title in the caller's language and the facts of the case."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str | None = None
    errors: list[FieldProblem] | None = None


def speaks_chinese() -> bool:
    """Chinese unless the caller prefers another language that is served (English)."""
    return request.accept_languages.best_match(["zh", "zh-CN", "en"], default="zh") != "en"


def problem(status: int, code: str, title: str, **more: Any) -> Response:
    body = {"type": f"/problems/{code}", "title": title, "status": status, "code": code}
    body |= {key: value for key, value in more.items() if value not in (None, "", [])}
    answer = Response(json.dumps(body, ensure_ascii=False, default=str), status=status, mimetype=MIMETYPE)
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Content-Language"] = "zh" if speaks_chinese() else "en"
    if status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def from_refusal(refusal: Refusal) -> Response:
    """The problem of a refusal, its title and every detail in one language."""
    title, detail, errors = refusal.title, refusal.detail, refusal.errors
    if speaks_chinese():
        title, detail = refusal.title_zh, in_chinese(detail) or ""
        errors = [
            {
                **error,
                "detail": error.get("detail_zh") or in_chinese(error["detail"]) or title,
            }
            for error in errors
        ]
    errors = [{name: value for name, value in error.items() if name != "detail_zh"} for error in errors]
    answer = problem(refusal.status, refusal.code, title, detail=detail, errors=errors, **refusal.facts)
    if isinstance(refusal, TooMany) or refusal.status == 503:
        answer.headers["Retry-After"] = str(refusal.facts.get("retry_after", 1))
    return answer


def from_validation(error: ValidationError, place: str) -> Invalid:
    """An Invalid with one entry per field that pydantic named; `place` is body, query or path.

    A rule over several fields names them as `fields` in its context, and is told at each of them.
    """
    faults = []
    for found in error.errors(include_url=False, include_input=False):
        pointer = "" if place == "body" else f"/{place}"
        for part in found["loc"]:
            pointer = step(pointer, part)
        context = found.get("ctx", {})
        for name in context.get("fields", ("",)):
            told = fault(step(pointer, name) if name else pointer, found["type"], found["msg"])
            faults.append(told | {"detail_zh": of_validation(found["type"], context, found["msg"])})
    return Invalid(errors=faults)


HTTP_TITLES_ZH = {
    400: "请求无法理解。",
    404: "没有这个地址。",
    405: "此地址不支持该请求方法。",
    413: "请求内容过大。",
}
DETAILS = {
    404: "Nothing is served at this address; see /v1/docs.",
    405: "This address is not asked with that method.",
}
DRAINED = 16_000_000
"""Bytes of a body too large that are read and dropped, so that its sender hears the answer; of more, they may not."""


def drain() -> None:
    left, stream = DRAINED, request.environ["wsgi.input"]
    left = min(left, request.content_length or 0)
    while left > 0 and (read := len(stream.read(min(left, 65_536)))):
        left -= read


def nearest() -> list[str]:
    """The addresses that look like the one that was asked for, with what their query takes."""
    operations = current_app.extensions.get("operations", ())
    known: dict[str, Any] = {
        operation.path: operation for operation in operations if operation.method == request.method
    }
    found = get_close_matches(request.path, known, n=3, cutoff=0.6)
    found += [path for path in known if path.startswith(request.path.rstrip("/") + "/") and path not in found]
    told = []
    for path in found[:5]:
        query = known[path].query
        names = ",".join(field.alias or name for name, field in query.model_fields.items()) if query else ""
        told.append(re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path) + (f"{{?{names}}}" if names else ""))
    return told


def install(app: Flask) -> None:
    """Make every error of the application a problem document."""

    @app.errorhandler(Refusal)
    def refused(refusal: Refusal) -> Response:
        return from_refusal(refusal)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        status, facts = error.code or 500, dict[str, Any]()
        detail = DETAILS.get(status, error.description or "")
        if status == 404 and request.url_rule is None:
            facts["nearest"] = nearest()
        if status == 413:
            facts["max_bytes"] = request.max_content_length
            detail = f"A body here has at most {request.max_content_length} bytes."
            drain()
        chinese = speaks_chinese()
        title = HTTP_TITLES_ZH.get(status, "请求没有成功。") if chinese else error.name
        detail = (in_chinese(detail) or "") if chinese else detail
        answer = problem(status, error.name.lower().replace(" ", "_"), title, detail=detail, **facts)
        for name, value in error.get_headers():
            if name in ("Allow", "Retry-After"):
                answer.headers[name] = value
        return answer

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        log.error("unexpected_error", path=request.path, exc_info=error)
        title = "系统出错，我们已记录。" if speaks_chinese() else "Something went wrong on our side; it is recorded."
        return problem(500, "internal_error", title)
