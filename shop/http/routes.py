"""Routes: a view names its path, body, query and answers in its signature; the edge does the rest.

```python
routes = Routes("/v1/buyer", tag="Buying")

@routes.post("/orders", allow=roles(Role.REQUESTER), answers={201: OrderOut}, refusals=(Shortage,), key=REQUIRED)
def place_order(session: Session, actor: Actor, now: datetime, body: PlaceOrder) -> OrderOut: ...
```

In this order and in one transaction: who is it, may they, is the input right, was this asked before, do it, keep the
answer, commit. The flask-openapi library was tried for this and left: it validates before anybody is authorised,
swallows what a strict parser says, and builds the JSON schema of the query anew at every request.
"""

import hashlib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, get_type_hints

import msgspec
import structlog
from flask import Flask, Response, request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from sqlalchemy.orm import Session

from shop.actor import ROLES_OF, Actor, Audience, Role
from shop.clock import business_now
from shop.db import Result, in_unit_of_work, sees
from shop.errors import Forbidden, Invalid, NotFound, Refusal, Unauthenticated
from shop.http import again, idempotency, limiting
from shop.http.parsing import MAX_BODY, clean, parse_object
from shop.http.problems import from_validation

Authenticate = Callable[[Session], tuple[Actor, datetime] | None]
"""What `accounts` gives: the actor behind the request's credential with the business time, or None without one."""


class In(BaseModel):
    """The base of every body and query: unknown names are refused, nothing is guessed from text."""

    model_config = ConfigDict(extra="forbid", strict=True, str_strip_whitespace=True)


class Query(BaseModel):
    """The base of query models: like In, but values come as text and are read as what they should be."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class PageQuery(Query):
    """One page of a list: at most so many, after the place that the cursor of the page before names."""

    limit: Annotated[int, Field(ge=1, le=100)] = 24
    cursor: Annotated[str, Field(max_length=400)] | None = None


class Out(BaseModel):
    """The base of every answer."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Policy:
    """Who may call a route. `public` asks for nobody; else the audience, and one of the roles when any are named."""

    public: bool = False
    audiences: frozenset[Audience] = frozenset()
    roles: frozenset[Role] = frozenset()
    helpers: bool | None = None

    def check(self, actor: Actor, *, writes: bool = False) -> None:
        if self.audiences and actor.audience not in self.audiences:
            raise NotFound
        if actor.mandate_id is not None and not self.open_to_helpers(actor, writes):
            raise HelperNotAllowed
        if self.roles and not actor.has(*self.roles):
            wanted = sorted(self.roles)
            raise Forbidden(f"Your role here may not do this; it takes one of: {', '.join(wanted)}.", roles=wanted)

    def open_to_helpers(self, actor: Actor, writes: bool) -> bool:
        """Unless `helpers` says it: a helper writes with the roles that were lent only, and reads what they may."""
        if self.helpers is not None:
            return self.helpers
        return actor.has(*self.roles) if self.roles else not writes


class HelperNotAllowed(Forbidden):
    """A helper who acts for a cooperative has no part in its money, its people and its settings."""

    code, status = "helper_not_allowed", 403
    title, title_zh = "A helper may not do this for the cooperative.", "协助人员不能代办此项操作。"


PUBLIC = Policy(public=True)
ANY_MEMBER = Policy()
ANYBODY_LOGGED_IN = Policy(helpers=True)


def audience(*names: Audience, helpers: bool | None = None) -> Policy:
    """Any member of an organisation of these kinds."""
    return Policy(audiences=frozenset(names), helpers=helpers)


def roles(*names: Role, of: Audience | None = None, helpers: bool | None = None) -> Policy:
    """Members who hold one of these roles; `helpers=False` where not even a lent role will do."""
    return Policy(audiences=frozenset({of} if of else ()), roles=frozenset(names), helpers=helpers)


REQUIRED, OPTIONAL, NO_KEY = "required", "optional", "none"


@dataclass(frozen=True)
class Answer:
    """An answer with a status or headers of its own; a view may also return its body alone."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Raw:
    """A body that is already bytes: ready-made JSON of a hot list, CSV, PDF.

    `stamp` names the state of the database that the whole of it was made from; `shop.http.again` gives it again while
    that state stands.
    """

    data: bytes
    mimetype: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    stamp: str | None = None


@dataclass
class Operation:
    """One route, as the url map, the OpenAPI document and the policy test all see it."""

    method: str
    path: str
    view: Callable[..., Any]
    policy: Policy
    tag: str
    answers: Mapping[int, Any]
    refusals: tuple[type[Refusal], ...]
    key: str
    raw_body: bool
    people_only: bool = False
    before_two_step: bool = False
    calls_out: bool = False
    max_body: int = MAX_BODY
    path_types: dict[str, TypeAdapter[Any]] = field(default_factory=dict)
    path_schemas: dict[str, Any] = field(default_factory=dict)
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    wants: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def status(self) -> int:
        return min(self.answers)

    @property
    def scope(self) -> str:
        """What a machine's token must name to call this: the part of the shop, and whether it reads or writes."""
        return f"{self.tag.lower().replace(' ', '_')}:{'read' if self.method == 'GET' else 'write'}"

    def is_open_to_machines_of(self, audience: Audience) -> bool:
        """Whether a machine's token of some member of this audience may call this."""
        policy, members = self.policy, ROLES_OF[audience]
        reached = audience in policy.audiences if policy.audiences else not policy.roles or policy.roles & members
        return bool(reached) and not policy.public and not self.people_only


class Routes:
    """The routes of one room under one prefix. `people_only`: no machine's token opens them, whatever its scopes."""

    def __init__(self, prefix: str, *, tag: str, people_only: bool = False) -> None:
        self.prefix = prefix
        self.tag = tag
        self.people_only = people_only
        self.operations: list[Operation] = []

    def add(
        self,
        method: str,
        path: str,
        *,
        allow: Policy,
        answers: Mapping[int, Any],
        refusals: Iterable[type[Refusal]] = (),
        key: str | None = None,
        raw_body: bool = False,
        before_two_step: bool = False,
        calls_out: bool = False,
        max_body: int = MAX_BODY,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare a route. `key` says whether an Idempotency-Key is required, optional or not looked at.

        A kept answer is kept as it is: a route that shows a secret, or who somebody is, looks at no key.
        `before_two_step`: open to who must set up the second step of log-in before anything else.

        A view that `calls_out` (to the store of files, or to hash a password) gets no session and opens its own units
        of work (`work_of`) around that, so it must bear being asked twice without a key; its body is read when the
        caller is known, and may be larger than others (`max_body`).
        """

        def declare(view: Callable[..., Any]) -> Callable[..., Any]:
            chosen = key or (NO_KEY if method == "GET" or allow.public or calls_out else OPTIONAL)
            operation = Operation(
                method, self.prefix + path, view, allow, self.tag, answers, tuple(refusals), chosen, raw_body,
                self.people_only, before_two_step, calls_out, max_body,
            )  # fmt: skip
            hints = get_type_hints(view, include_extras=True)
            names = set(inspect.signature(view).parameters)
            for name in re.findall(r"<(?:path:)?(\w+)>", operation.path):
                operation.path_types[name] = TypeAdapter(hints[name])
                operation.path_schemas[name] = operation.path_types[name].json_schema()
            operation.query = hints.get("query")
            operation.body = hints.get("body")
            operation.wants = frozenset(names - set(operation.path_types) - {"query", "body"})
            unknown = operation.wants - {"session", "actor", "now", "raw", "if_match"}
            if unknown:
                raise TypeError(f"{operation.name}: nobody provides {sorted(unknown)}")
            if calls_out and (allow.public or "session" in operation.wants or chosen != NO_KEY):
                raise TypeError(f"{operation.name}: a view that calls out has a caller, no session and no key")
            self.operations.append(operation)
            return view

        return declare

    def get(self, path: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return self.add("GET", path, **options)

    def post(self, path: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return self.add("POST", path, **options)

    def patch(self, path: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return self.add("PATCH", path, **options)

    def put(self, path: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return self.add("PUT", path, **options)

    def delete(self, path: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return self.add("DELETE", path, **options)


def mount(app: Flask, routes: Routes, authenticate: Authenticate) -> None:
    """Serve these routes."""
    app.extensions.setdefault("operations", []).extend(routes.operations)
    for operation in routes.operations:
        app.add_url_rule(
            operation.path,
            endpoint=operation.name,
            view_func=serve(operation, authenticate),
            methods=[operation.method],
            provide_automatic_options=False,
        )


def scopes_of(app: Flask, audience: Audience) -> frozenset[str]:
    """The scopes that a machine's token may name: those of all served operations open to members of an audience."""
    served: list[Operation] = app.extensions["operations"]
    return frozenset(operation.scope for operation in served if operation.is_open_to_machines_of(audience))


def serve(operation: Operation, authenticate: Authenticate) -> Callable[..., Response]:
    """The Flask view of one operation."""

    def view(**path: str) -> Response:
        if not operation.raw_body:  # signed events come in bursts from few addresses
            limiting.count("address", request.remote_addr or "")
        if operation.calls_out:
            return outside(path)
        data = request.get_data(cache=False) if operation.method != "GET" else b""
        if needs_no_database:
            return respond(operation, operation.view(**inputs(path, data)))
        return in_unit_of_work(lambda session: answer(session, path, data), at_edge=True)

    needs_no_database = operation.policy.public and operation.wants.isdisjoint({"session", "now"})

    def inputs(path: dict[str, str], data: bytes) -> dict[str, Any]:
        given: dict[str, Any] = {name: path_value(operation, name, value) for name, value in path.items()}
        if operation.query is not None:
            given["query"] = read_query(operation.query)
        if operation.body is not None:
            given["body"] = read_body(operation.body, data)
        if "raw" in operation.wants:
            given["raw"] = data
        if "if_match" in operation.wants:
            given["if_match"] = (request.headers.get("If-Match") or "").strip('"') or None
        return given

    def let_in(session: Session, key: str | None) -> tuple[Actor, datetime]:
        found = authenticate(session)
        if found is None:
            raise Unauthenticated
        actor, now = found
        structlog.contextvars.bind_contextvars(organisation=actor.organisation_id.hex)
        limiting.count("organisation", actor.organisation_id.hex)
        if key is None and operation.key == REQUIRED:
            raise idempotency.KeyMissing(pointer=idempotency.HEADER)
        operation.policy.check(actor, writes=operation.method != "GET")
        if actor.needs_two_step and not operation.before_two_step:
            raise TwoStepRequired
        if actor.scopes is not None and operation.people_only:
            raise PeopleOnly
        if actor.scopes is not None and operation.scope not in actor.scopes:
            raise ScopeMissing(wanted=operation.scope)
        return actor, now

    def outside(path: dict[str, str]) -> Response:
        actor, now = in_unit_of_work(lambda session: let_in(session, None), at_edge=True)
        request.max_content_length = operation.max_body
        given = inputs(path, request.get_data(cache=False))
        known = {"actor": actor, "now": now}
        return respond(operation, operation.view(**given, **{k: known[k] for k in known if k in operation.wants}))

    def answer(session: Session, path: dict[str, str], data: bytes) -> Response:
        actor, now = None, None
        key = request.headers.get("Idempotency-Key") if operation.key != NO_KEY else None
        if not operation.policy.public:
            actor, now = let_in(session, key)
        given = inputs(path, data)
        if "session" in operation.wants:
            given["session"] = session
        if "actor" in operation.wants:
            given["actor"] = actor
        if "now" in operation.wants:
            given["now"] = now or business_now(session)
        if key is None or actor is None:
            return respond(operation, operation.view(**given))
        place = idempotency.Place(actor.organisation_id, f"{request.method} {request.path}", key)
        before = idempotency.claim(session, place, body=data)
        if before is not None:
            replay = Response(before.body, status=before.status, mimetype="application/json")
            replay.headers["Idempotent-Replayed"] = "true"
            return replay
        done = respond(operation, operation.view(**given))
        idempotency.keep(session, place, status=done.status_code, body=done.get_data(as_text=True))
        return done

    return view


def work_of(actor: Actor, use_case: Callable[[Session], Result]) -> Result:
    """Run a use case of a view that calls out in a unit of work of its own, which sees what the actor may see."""

    def work(session: Session) -> Result:
        sees(session, None if actor.audience is Audience.ADMIN else actor.organisation_id)
        return use_case(session)

    return in_unit_of_work(work, at_edge=True)


def path_value(operation: Operation, name: str, value: str) -> Any:
    """A part of the path as its type; what could never be an id is as missing as one that is not there."""
    try:
        return operation.path_types[name].validate_python(value)
    except ValidationError as error:
        raise NotFound from error


def read_query(model: type[BaseModel]) -> BaseModel:
    repeated = [name for name, values in request.args.lists() if len(values) > 1]
    values: dict[str, Any] = {
        name: request.args.getlist(name) if name in repeated else value for name, value in request.args.items()
    }
    faults: list[dict[str, Any]] = []
    values = clean(values, "/query", faults)
    if faults:
        raise Invalid(errors=faults)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise from_validation(error, "query") from error


def may_be_left_out(model: type[BaseModel]) -> bool:
    """Whether a body needs nothing, so that none at all is as good as an empty object."""
    return not any(field.is_required() for field in model.model_fields.values())


def read_body(model: type[BaseModel], data: bytes) -> BaseModel:
    if not data and may_be_left_out(model):
        data = b"{}"
    elif request.mimetype != "application/json":
        raise UnsupportedMedia
    try:
        return model.model_validate(parse_object(data))
    except ValidationError as error:
        raise from_validation(error, "body") from error


class ScopeMissing(Forbidden):
    """The token is a machine's and does not name this scope; `wanted` says which."""

    code, status = "scope_missing", 403
    title, title_zh = "This token does not hold the scope for that.", "该令牌没有此项权限范围。"


class PeopleOnly(Forbidden):
    """The token is a machine's, and this is for people who logged in."""

    code, status = "people_only", 403
    title, title_zh = "Only a person who logged in may do this.", "此操作仅限本人登录后进行。"


class TwoStepRequired(Forbidden):
    code, status = "two_step_required", 403
    title, title_zh = "Set up two-step log-in first.", "请先启用两步验证。"


class UnsupportedMedia(Refusal):
    code, status = "unsupported_media_type", 415
    title, title_zh = "Send application/json.", "请使用 application/json。"


def plain(value: Any) -> Any:
    raise TypeError(f"{type(value).__name__} has no place in an answer: give it through a schema")


def respond(operation: Operation, result: Any) -> Response:
    """The HTTP answer to what a view gave back; reads carry an ETag and may be 304."""
    status, headers = operation.status, dict[str, str]()
    if isinstance(result, Response):
        return result
    if isinstance(result, Answer):
        status, headers, result = result.status, dict(result.headers), result.body
    mimetype = "application/json"
    if isinstance(result, Raw):
        data, mimetype = result.data, result.mimetype
        headers |= result.headers
        if result.stamp is not None and operation.policy.public:
            request.environ[again.STAMP] = result.stamp, operation.name
    elif isinstance(result, BaseModel):
        data = result.__pydantic_serializer__.to_json(result)
    elif result is None:
        data = b""
    else:
        data = msgspec.json.encode(result, enc_hook=plain)
    response = Response(data, status=status, mimetype=mimetype, headers=headers)
    if operation.method == "GET" and status == 200 and mimetype == "application/json":
        if "ETag" not in headers:
            response.headers["ETag"] = f'"{hashlib.blake2b(data, digest_size=12).hexdigest()}"'
        response.headers.setdefault("Cache-Control", "no-cache" if operation.policy.public else "private, no-cache")
        if request.headers.get("If-None-Match") == response.headers["ETag"]:
            response.status_code = 304
            response.set_data(b"")
    return response


__all__ = [
    "ANYBODY_LOGGED_IN",
    "ANY_MEMBER",
    "MAX_BODY",
    "NO_KEY",
    "OPTIONAL",
    "PUBLIC",
    "REQUIRED",
    "Answer",
    "Authenticate",
    "In",
    "Operation",
    "Out",
    "Policy",
    "Query",
    "Raw",
    "Routes",
    "audience",
    "mount",
    "roles",
    "scopes_of",
    "work_of",
]
