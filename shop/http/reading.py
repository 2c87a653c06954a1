"""The OpenAPI document as one readable page, without a script: who may call what, with which fields, for instance."""

import json
from collections.abc import Iterator
from html import escape
from typing import Any

LIMITS = {  # keyword → how the page says it
    "pattern": "{}", "minLength": "at least {} characters", "maxLength": "at most {} characters", "minimum": "from {}",
    "exclusiveMinimum": "above {}", "maximum": "to {}", "minItems": "at least {} items", "maxItems": "at most {} items",
}  # fmt: skip
WORDS = {"date": "2026-10-15", "date-time": "2026-10-15T09:00:00Z", "email": "someone@example.com"}
DEEPEST = 6


def page(found: dict[str, Any]) -> str:
    """The whole document."""
    parts = [
        "<!doctype html><html lang='zh'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>",
        f"<title>{escape(found['info']['title'])}</title><link rel='stylesheet' href='/static/api.css'>",
        f"<main><h1>{escape(found['info']['title'])}</h1><p>{escape(found['info']['description'])}</p>",
        "<p><a href='/v1/openapi.json'>openapi.json</a></p>",
    ]
    schemas = found["components"]["schemas"]
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            parts += section(f"{method.upper()} {path}", operation, schemas)
    return "".join(parts) + "</main></html>"


def section(name: str, operation: dict[str, Any], schemas: dict[str, Any]) -> Iterator[str]:
    roles = ", ".join(operation["x-allowed-roles"]) or ("public" if not operation["security"] else "any member")
    yield f"<section><h2><code>{escape(name)}</code></h2><p>{escape(operation['summary'])}</p>"
    yield f"<p>{escape(operation.get('description', ''))}</p><p><small>{escape(roles)}</small></p>"
    if parameters := operation.get("parameters"):
        yield table(
            (f"{p['name']} ({p['in']})", kind_of(p["schema"], schemas), p["required"], limits_of(p["schema"], schemas))
            for p in parameters
        )
    for mimetype, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"<p>Body: <code>{escape(mimetype)}</code></p>"
        if schema := content.get("schema"):
            yield table(fields_of(schema, schemas))
            example = json.dumps(example_of(schema, schemas), ensure_ascii=False, indent=1)
            yield f"<pre>{escape(example)}</pre>"
    yield "<p>"
    for status, answer in operation["responses"].items():
        yield f"<code>{status}</code> {escape(answer['description'])} "
    yield "</p></section>"


def table(rows: Any) -> str:
    lines = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(kind)}</td><td>{'required' if needed else ''}</td>"
        f"<td>{escape(limits)}</td></tr>"
        for name, kind, needed, limits in rows
    )
    return f"<table>{lines}</table>" if lines else ""


def resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """The schema behind references and beside null."""
    while True:
        if "$ref" in schema:
            schema = schemas[schema["$ref"].rpartition("/")[2]]
        elif chosen := [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]:
            schema = {key: value for key, value in schema.items() if key != "anyOf"} | chosen[0]
        elif "allOf" in schema:
            schema = {key: value for key, value in schema.items() if key != "allOf"} | schema["allOf"][0]
        else:
            return schema


def kind_of(schema: dict[str, Any], schemas: dict[str, Any]) -> str:
    null = " or null" if any(one.get("type") == "null" for one in schema.get("anyOf", ())) else ""
    plain = resolved(schema, schemas)
    if "enum" in plain:
        return "one of " + ", ".join(map(str, plain["enum"])) + null
    if "const" in plain:
        return f"{plain['const']}{null}"
    if plain.get("type") == "array":
        return f"list of {kind_of(plain.get('items', {}), schemas)}{null}"
    return f"{plain.get('format') or plain.get('type') or 'any'}{null}"


def limits_of(schema: dict[str, Any], schemas: dict[str, Any]) -> str:
    plain = resolved(schema, schemas)
    said = [words.format(plain[name]) for name, words in LIMITS.items() if name in plain]
    if plain.get("default") not in (None, [], ""):
        said.append(f"else {plain['default']}")
    if plain.get("description"):
        said.append(" ".join(str(plain["description"]).split()))
    return "; ".join(said)


def fields_of(
    schema: dict[str, Any], schemas: dict[str, Any], at: str = "", depth: int = 0
) -> Iterator[tuple[str, str, bool, str]]:
    """A row for each field of a body, those of objects within under their path (`lines[].quantity`)."""
    plain = resolved(schema, schemas)
    if depth > DEEPEST:
        return
    for name, part in plain.get("properties", {}).items():
        place = f"{at}{name}"
        yield place, kind_of(part, schemas), name in plain.get("required", ()), limits_of(part, schemas)
        inside = resolved(part, schemas)
        if inside.get("type") == "array":
            yield from fields_of(inside.get("items", {}), schemas, f"{place}[].", depth + 1)
        else:
            yield from fields_of(inside, schemas, f"{place}.", depth + 1)


def example_of(schema: dict[str, Any], schemas: dict[str, Any], depth: int = 0) -> Any:
    """A body of the right shape: the required fields, and those that have an example of their own."""
    plain = resolved(schema, schemas)
    if plain.get("examples"):
        return plain["examples"][0]
    for key in ("const", "default"):
        if plain.get(key) is not None:
            return plain[key]
    if plain.get("enum"):
        return plain["enum"][0]
    kind = plain.get("type")
    if kind == "object" or "properties" in plain:
        needed = plain.get("required", ())
        return {
            name: example_of(part, schemas, depth + 1)
            for name, part in plain.get("properties", {}).items()
            if depth <= DEEPEST and (name in needed or "examples" in part)
        }
    if kind == "array":
        return [example_of(plain.get("items", {}), schemas, depth + 1)] * max(plain.get("minItems", 1), 1)
    if kind in ("integer", "number"):
        return max(plain.get("minimum", 1), plain.get("exclusiveMinimum", 0) + 1, 1)
    if kind == "boolean":
        return True
    return text_example(plain)


def text_example(plain: dict[str, Any]) -> str:
    pattern = str(plain.get("pattern", ""))
    if pattern.endswith("_[0-9a-f]{32}$"):  # an id
        return f"{pattern[1:-13]}{'0' * 31}1"
    if "[0-9]{6}" in pattern or r"\d{6}" in pattern:  # a division
        return "610629"
    if "[0-9]{4}-[0-9]{2}" in pattern:
        return "2026-10"
    return WORDS.get(str(plain.get("format")), "…" * max(1, int(plain.get("minLength", 1))))
