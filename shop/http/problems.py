"""Answers that say no: RFC 9457 problem documents, in the language that the caller asked for."""

import json
from typing import Any

import structlog
from flask import Flask, Response, request
from pydantic import BaseModel, ConfigDict, ValidationError
from werkzeug.exceptions import HTTPException

from shop.errors import Invalid, Refusal, TooMany
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
    if status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def from_refusal(refusal: Refusal) -> Response:
    title = refusal.title_zh if speaks_chinese() else refusal.title
    answer = problem(refusal.status, refusal.code, title, detail=refusal.detail, errors=refusal.errors, **refusal.facts)
    if isinstance(refusal, TooMany) or refusal.status == 503:
        answer.headers["Retry-After"] = str(refusal.facts.get("retry_after", 1))
    return answer


def from_validation(error: ValidationError, place: str) -> Invalid:
    """An Invalid with one entry per field that pydantic named; `place` is body, query or path."""
    faults = []
    for found in error.errors(include_url=False, include_context=False, include_input=False):
        pointer = "" if place == "body" else f"/{place}"
        for part in found["loc"]:
            pointer = step(pointer, part)
        faults.append(fault(pointer, found["type"], found["msg"]))
    return Invalid(errors=faults)


def install(app: Flask) -> None:
    """Make every error of the application a problem document."""

    @app.errorhandler(Refusal)
    def refused(refusal: Refusal) -> Response:
        return from_refusal(refusal)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        status = error.code or 500
        answer = problem(status, error.name.lower().replace(" ", "_"), error.name, detail=error.description)
        for name, value in error.get_headers():
            if name in ("Allow", "Retry-After"):
                answer.headers[name] = value
        return answer

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        log.error("unexpected_error", path=request.path, exc_info=error)
        title = "系统出错，我们已记录。" if speaks_chinese() else "Something went wrong on our side; it is recorded."
        return problem(500, "internal_error", title)
