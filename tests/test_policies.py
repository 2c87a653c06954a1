"""Every route says who may call it, and the document, the url map and the policies tell of the same routes."""

import re

import pytest

from shop.actor import ADMIN_ROLES, BUYER_ROLES, COOPERATIVE_ROLES, Audience
from shop.app import create_app, operations
from shop.http.openapi import document

ABOUT_ITSELF = {"/", "/healthz", "/readyz", "/metrics", "/v1/openapi.json", "/v1/docs", "/static/api.css"}
BRANCHES = {
    "/v1/buyer/": Audience.BUYER,
    "/v1/cooperative/": Audience.COOPERATIVE,
    "/v1/admin/": Audience.ADMIN,
}


def test_the_url_map_holds_the_declared_routes_and_nothing_else() -> None:
    declared = {(operation.path, operation.method) for operation in operations()}
    served = {
        (rule.rule, method)
        for rule in create_app().url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule not in ABOUT_ITSELF
    }
    assert served == declared


def test_every_operation_has_a_name_of_its_own_and_stands_in_the_document() -> None:
    names = [operation.view.__name__ for operation in operations()]
    assert len(names) == len(set(names))
    paths = document(operations(), version="1")["paths"]
    found = {(path, method.upper()) for path, methods in paths.items() for method in methods}
    assert found == {(re.sub(r"<(?:path:)?(\w+)>", r"{\1}", o.path), o.method) for o in operations()}


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.name)
def test_a_branch_is_open_to_its_audience_only(operation) -> None:
    for prefix, audience in BRANCHES.items():
        if operation.path.startswith(prefix):
            roles = {"buyer": BUYER_ROLES, "cooperative": COOPERATIVE_ROLES, "admin": ADMIN_ROLES}[audience.value]
            assert operation.policy.audiences == {audience} or (
                operation.policy.roles and operation.policy.roles <= roles
            ), "a route of this branch must name its audience or roles of it"
    if operation.path.startswith("/v1/public/"):
        assert operation.policy.public


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.name)
def test_what_changes_something_is_never_public_but_for_log_in_and_signed_webhooks(operation) -> None:
    if operation.method != "GET" and operation.policy.public:
        assert operation.path in (
            "/v1/auth/token",
            "/v1/auth/invitations/accept",
            "/v1/auth/reset",
            "/v1/auth/reset/confirm",
            "/v1/public/applications",
            "/v1/public/registrations",
            "/webhooks/stripe",
        )


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.name)
def test_every_route_tells_in_a_sentence_what_the_caller_gets(operation) -> None:
    assert (operation.view.__doc__ or "").strip().endswith((".", "。"))
