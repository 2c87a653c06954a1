"""Every operation × every role × what is one's own, another's, or nowhere: 0 leaks, 0 changes, 0 undeclared."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session

from shop.app import operations
from shop.db import unit_of_work
from shop.http import routes as edge
from shop.http.routes import Operation
from shop.ledger.service import PLATFORM_ID
from tests.walk.bodies import BODIES, INSTEAD, NOT_REACHED, QUERIES, SHARED, WORDS
from tests.walk.sides import Person, Side, Sides, checksum

NAMES = re.compile(r"<(?:path:)?(\w+)>")
HOLE = re.compile(r"^\{(\w+)\}$")
PUBLIC_IDS = {"listing_id", "product_id", "cooperative_id", "certificate_id"}  # the catalogue's
PUBLIC_IDS |= {
    "mapping_id",
    "step_rule_id",
    "document_rule_id",
    "list_rule_id",
    "retention_rule_id",
    "order_time_rule_id",
    "hold_rule_id",
}  # the platform's policy
HELPERS_WRITE = {
    "DELETE /v1/cooperative/application/documents/<document_id>",
    "DELETE /v1/cooperative/products/<product_id>/photos/<photo_id>",
    "PATCH /v1/cooperative/application",
    "PATCH /v1/cooperative/listings/<listing_id>",
    "POST /v1/auth/logout",
    "POST /v1/cooperative/application/begin-again",
    "POST /v1/cooperative/application/documents",
    "POST /v1/cooperative/application/submit",
    "POST /v1/cooperative/certificates/<certificate_id>/replace",
    "POST /v1/cooperative/certificates/<certificate_id>/withdraw",
    "POST /v1/cooperative/products/<product_id>/certificates",
    "POST /v1/cooperative/listing-imports",
    "POST /v1/cooperative/listing-imports/<listing_import_id>/confirm",
    "PUT /v1/cooperative/listing-imports/columns",
    "POST /v1/cooperative/listings",
    "POST /v1/cooperative/listings/<listing_id>/delist",
    "POST /v1/cooperative/listings/<listing_id>/revert",
    "POST /v1/cooperative/lots",
    "POST /v1/cooperative/products/<product_id>/photos",
    "POST /v1/cooperative/price-alerts/<alert_id>/explain",
    "POST /v1/cooperative/locations",
    "POST /v1/cooperative/locations/<location_id>/close",
    "POST /v1/cooperative/lots/<lot_id>/documents",
    "POST /v1/cooperative/lots/<lot_id>/transfer",
    "POST /v1/cooperative/lots/<lot_id>/write-off",
    "POST /v1/cooperative/shipments/<shipment_id>/tracking",
    "POST /v1/cooperative/stock-takes",
    "POST /v1/cooperative/supplier-orders/<supplier_order_id>/accept",
    "POST /v1/cooperative/supplier-orders/<supplier_order_id>/changes",
    "POST /v1/cooperative/supplier-orders/<supplier_order_id>/changes/<order_change_id>/answer",
    "POST /v1/cooperative/supplier-orders/<supplier_order_id>/changes/<order_change_id>/withdraw",
    "POST /v1/cooperative/supplier-orders/<supplier_order_id>/pack",
    "POST /v1/cooperative/supplier-orders/<supplier_order_id>/photos",
    "POST /v1/cooperative/supplier-orders/<supplier_order_id>/ship",
    "POST /v1/cooperative/supplies",
    "POST /v1/cooperative/supplies/<supply_id>/withdraw",
    "POST /v1/cooperative/supplies/weeks",
    "PUT /v1/cooperative/application/capacities",
    "PUT /v1/cooperative/products/<product_id>/photos",
}
"""All that a helper may change for a cooperative: its goods, their way, and its application."""
NOT_FOR_IDS = {"token", *WORDS}  # parts of a path that name no row
OPERATIONS = [operation for operation in operations() if operation.path.startswith("/v1/")]


@pytest.fixture
def sides(committed: str) -> Sides:
    return Sides()


class Undo(Exception):
    """Carries an answer out of a transaction that is not to be kept."""


@pytest.fixture
def undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are answered, and whatever they did is undone."""

    def run(use_case: Callable[[Session], Any], *, at_edge: bool = False) -> Any:
        try:
            with unit_of_work(at_edge=at_edge) as session:
                raise Undo(use_case(session))
        except Undo as answered:
            return answered.args[0]

    monkeypatch.setattr(edge, "in_unit_of_work", run)


def path_of(operation: Operation, ids: dict[str, str], *, instead: bool = True) -> str:
    other = INSTEAD.get(operation.name, {}) if instead else {}
    ids = ids | {name: ids[taken] for name, taken in other.items() if taken in ids}
    return NAMES.sub(lambda part: ids.get(part[1]) or WORDS.get(part[1], "x" * 20), operation.path)


def ids_in(operation: Operation) -> list[str]:
    return [name for name in NAMES.findall(operation.path) if name not in NOT_FOR_IDS]


def filled(body: Any, ids: dict[str, str]) -> Any:
    match body:
        case dict():
            return {name: filled(value, ids) for name, value in body.items()}
        case list():
            return [filled(value, ids) for value in body]
        case str() if found := HOLE.match(body):
            return ids[found[1]]
        case _:
            return body


def holes(body: Any) -> set[str]:
    match body:
        case dict():
            return set().union(*map(holes, body.values()))
        case list():
            return set().union(*map(holes, body))
        case str() if found := HOLE.match(body):
            return {found[1]}
        case _:
            return set()


def missing_ids(side: Side) -> dict[str, str]:
    return {name: value.partition("_")[0] + "_" + "f" * 32 for name, value in side.ids.items()}


def refusal(operation: Operation, person: Person) -> tuple[int, str] | None:
    """With which status and code the policy beside the route refuses this person, if it does."""
    policy, actor = operation.policy, person.actor
    if policy.audiences and actor.audience not in policy.audiences:
        return 404, "not_found"
    if actor.mandate_id and not policy.open_to_helpers(actor, operation.method != "GET"):
        return 403, "helper_not_allowed"
    return (403, "forbidden") if policy.roles and not actor.roles & policy.roles else None


def sees_both_sides(person: Person) -> bool:
    """The platform's people; those of a county office belong to one side, as everybody else."""
    return person.actor.organisation_id == PLATFORM_ID


def test_every_operation_that_names_a_row_is_walked_with_a_body():
    wanted = {o.name for o in OPERATIONS if ids_in(o) and o.body is not None}
    assert wanted - set(BODIES) == set()
    assert {*BODIES, *QUERIES, *INSTEAD} - {o.name for o in OPERATIONS} == set()


def test_nobody_without_a_credential_gets_past_a_route_that_asks_for_one(sides):
    for operation in OPERATIONS:
        if not operation.policy.public:
            for token in (None, "x" * 43):
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                answer = sides.client.open(path_of(operation, {}), method=operation.method, headers=headers)
                assert (answer.status_code, answer.mimetype) == (401, "application/problem+json"), operation.name


def test_every_role_gets_exactly_what_the_route_says(sides, undone):
    side = sides.sides[0]
    let_in: dict[str, int] = {}
    for operation in OPERATIONS:
        if operation.policy.public:
            continue
        for name, person in side.people.items():
            body = filled(BODIES.get(operation.name, {}), side.ids | {"any_listing_id": side.ids["listing_id"]})
            query = filled(QUERIES.get(operation.name), side.ids)
            answer = sides.call(operation.method, path_of(operation, side.ids), person, body, query)
            code = answer.json.get("code", "") if answer.mimetype == "application/problem+json" else ""
            if refused := refusal(operation, person):
                assert (answer.status_code, code) == refused, (operation.name, name)
                continue
            assert answer.status_code < 500, (operation.name, name, answer.json)
            assert code not in ("forbidden", "helper_not_allowed"), (operation.name, name)
            let_in[operation.name] = let_in.get(operation.name, 0) + (answer.status_code not in (401, 403, 404))
    reached_by_nobody = {name for name, times in let_in.items() if not times} | (
        {o.name for o in OPERATIONS if not o.policy.public} - set(let_in)
    )
    assert reached_by_nobody == set(NOT_REACHED)


def test_a_helper_writes_what_was_lent_and_nothing_else(sides):
    helper = sides.sides[0].people["helper"]
    writes = {o.name for o in OPERATIONS if o.method != "GET" and not o.policy.public and not refusal(o, helper)}
    assert writes == HELPERS_WRITE


def test_what_is_anothers_answers_like_what_is_nowhere_and_nothing_changes(sides):
    with unit_of_work() as session:
        before = checksum(session)
    asked = 0
    for mine, theirs in (sides.sides, sides.sides[::-1]):
        nowhere = missing_ids(mine)
        any_listing = {"any_listing_id": mine.ids["listing_id"]}
        for operation in OPERATIONS:
            if operation.policy.public or operation.name in SHARED:
                continue
            body, query = BODIES.get(operation.name), QUERIES.get(operation.name)
            for name in [*ids_in(operation), *sorted(holes([body, query]) - {"any_listing_id"})]:
                for person in mine.people.values():
                    if sees_both_sides(person) or refusal(operation, person):
                        continue
                    answers = [
                        sides.call(
                            operation.method,
                            path_of(operation, mine.ids | {name: ids[name]}, instead=False),
                            person,
                            None if body is None else filled(body, mine.ids | any_listing | {name: ids[name]}),
                            filled(query, mine.ids | {name: ids[name]}),
                        )
                        for ids in (theirs.ids, nowhere)
                    ]
                    asked += 1
                    foreign, missing = answers
                    assert foreign.status_code == missing.status_code, (operation.name, name, foreign.json)
                    assert alike(foreign, theirs.ids[name]) == alike(missing, nowhere[name]), (operation.name, name)
                    if name in ids_in(operation):
                        assert foreign.status_code == 404, (operation.name, foreign.json)
    assert asked > 50
    with unit_of_work() as session:
        assert checksum(session) == before


def alike(answer: Any, asked_for: str) -> str:
    """The answer without the id that the request itself named."""
    return str(answer.get_data(as_text=True)).replace(asked_for, "…")


def test_no_read_shows_one_side_anything_of_the_other(sides):
    reads = [o for o in OPERATIONS if o.method == "GET"]
    shown: set[str] = set()
    for mine, theirs in (sides.sides, sides.sides[::-1]):
        for operation in reads:
            for person in mine.people.values():
                if sees_both_sides(person) or (not operation.policy.public and refusal(operation, person)):
                    continue
                query = filled(QUERIES.get(operation.name), mine.ids)
                text = sides.call("GET", path_of(operation, mine.ids), person, None, query).get_data(as_text=True)
                assert theirs.canary not in text, operation.name
                private = {name: value for name, value in theirs.ids.items() if name not in PUBLIC_IDS}
                assert not {name for name, value in private.items() if value in text}, operation.name
                if mine.canary in text:
                    shown.add(operation.name)
    assert len(shown) >= 4  # the canaries do sing where they may
