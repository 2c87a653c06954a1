"""The OpenAPI 3.1 document, generated from the declared routes."""

import re
from collections.abc import Iterable
from inspect import getdoc
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from shop.actor import Audience
from shop.http.problems import MIMETYPE, Problem
from shop.http.routes import NO_KEY, REQUIRED, Operation, may_be_left_out

REFERENCE = "#/components/schemas/{model}"
KEY_PATTERN = r"^[ -~]{1,255}$"


def models_of(operation: Operation) -> Iterable[tuple[type[BaseModel], str]]:
    if operation.body:
        yield operation.body, "validation"
    for model in operation.answers.values():
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield model, "serialization"


def document(operations: Iterable[Operation], *, version: str) -> dict[str, Any]:
    """The whole document; the same code gives the same bytes."""
    operations = sorted(operations, key=lambda operation: (operation.path, operation.method))
    wanted: dict[tuple[type[BaseModel], str], None] = {(Problem, "serialization"): None}
    for operation in operations:
        wanted.update(dict.fromkeys(models_of(operation)))
    references, schemas = models_json_schema(list(wanted), ref_template=REFERENCE)  # type: ignore[arg-type]
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        path = re.sub(r"<(?:path:)?(\w+)>", r"{\1}", operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = describe(operation, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "东西部协作消费协作购销平台 Produce exchange API",
            "version": version,
            "description": "Money is integer fen, quantity packs of a listing or base units, instants RFC 3339.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A person's session, or a machine's token, which must name the `x-scope` of what it"
                    " calls and calls nothing that is `x-people-only`.",
                }
            },
        },
    }


def describe(operation: Operation, references: dict[Any, Any]) -> dict[str, Any]:
    words = (getdoc(operation.view) or "").split("\n\n", 1)
    responses: dict[str, Any] = {}
    for status, model in operation.answers.items():
        answer: dict[str, Any] = {"description": "Done." if status < 300 else "As asked."}
        if isinstance(model, str):
            answer["content"] = {kind: {"schema": {"type": "string"}} for kind in model.split(" ")}
        elif model is not None:
            answer["content"] = {"application/json": {"schema": references[model, "serialization"]}}
        responses[str(status)] = answer
    for status, codes in sorted(refusals_of(operation).items()):
        responses[str(status)] = {
            "description": "; ".join(sorted(codes)),
            "content": {MIMETYPE: {"schema": references[Problem, "serialization"]}},
        }
    found: dict[str, Any] = {
        "operationId": operation.view.__name__,
        "tags": [operation.tag],
        "summary": words[0].replace("\n", " "),
        "responses": responses,
        "security": [] if operation.policy.public else [{"token": []}],
        "x-allowed-roles": sorted(operation.policy.roles),
        "x-people-only": operation.people_only and not operation.policy.public,
        "x-scope": None if operation.policy.public or operation.people_only else operation.scope,
    }
    if len(words) > 1:
        found["description"] = words[1]
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name, schema in operation.path_schemas.items()
    ]
    if operation.query:
        schema = operation.query.model_json_schema(ref_template=REFERENCE)
        for name, part in schema.get("properties", {}).items():
            needed = name in schema.get("required", ())
            parameters.append({"name": name, "in": "query", "required": needed, "schema": inlined(part, schema)})
    if operation.key != NO_KEY:
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": operation.key == REQUIRED,
                "schema": {"type": "string", "pattern": KEY_PATTERN},
            }
        )
    if "if_match" in operation.wants:
        parameters.append({"name": "If-Match", "in": "header", "required": False, "schema": {"type": "string"}})
    if parameters:
        found["parameters"] = parameters
    if operation.body:
        found["requestBody"] = {
            "required": not may_be_left_out(operation.body),
            "content": {"application/json": {"schema": references[operation.body, "validation"]}},
        }
    elif operation.raw_body:
        found["requestBody"] = {"required": True, "content": {"application/octet-stream": {}, "application/json": {}}}
    return found


def inlined(part: Any, schema: dict[str, Any]) -> Any:
    """A parameter's schema with its references written out: parameters have no components of their own."""
    if isinstance(part, dict):
        if "$ref" in part:
            return inlined(schema["$defs"][part["$ref"].rsplit("/", 1)[1]], schema)
        return {key: inlined(value, schema) for key, value in part.items()}
    if isinstance(part, list):
        return [inlined(item, schema) for item in part]
    return part


def refusals_of(operation: Operation) -> dict[int, set[str]]:
    """The statuses this route may refuse with, and the codes of each."""
    found: dict[int, set[str]] = {429: {"too_many_requests"}, 503: {"busy"}}

    def may(status: int, code: str) -> None:
        found.setdefault(status, set()).add(code)

    if not operation.policy.public:
        may(401, "unauthenticated")
        may(403, "people_only" if operation.people_only else "scope_missing")
        if operation.policy.roles:
            may(403, "forbidden")
        if Audience.COOPERATIVE in operation.policy.audiences and operation.policy.helpers is not True:
            may(403, "helper_not_allowed")
        if operation.policy.audiences:
            may(404, "not_found")
    if operation.path_types:
        may(404, "not_found")
    if operation.query or operation.body:
        may(422, "invalid")
    if operation.body:
        may(400, "malformed_json")
        may(413, "request_entity_too_large")
        may(415, "unsupported_media_type")
    if operation.raw_body:
        may(413, "request_entity_too_large")
    if operation.key == REQUIRED:
        may(400, "idempotency_key_missing")
    if operation.key != NO_KEY:
        may(400, "idempotency_key_malformed")
        may(409, "request_in_flight")
        may(422, "idempotency_key_reused")
    for refusal in operation.refusals:
        may(refusal.status, refusal.code)
    return found
