"""Tokens: what a machine's may ask for, and when its use is noted."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from shop.accounts.models import ApiToken
from shop.actor import Actor
from shop.app import create_app, operations
from shop.db import unit_of_work
from tests import builders as a

TOKEN = "a-machine-of-the-buyer-0123456789"


@pytest.fixture
def buyer(committed: str) -> Actor:
    with unit_of_work() as session:
        actor = a.a_member(session, a.an_organisation(session))
        session.add(
            ApiToken(
                kind="machine", name="食堂系统", scopes=["buying:read"], membership_id=actor.membership_id,
                token_hash=hashlib.sha256(TOKEN.encode()).digest(),
                expires_at=func.clock_timestamp() + timedelta(days=30),
            )
        )  # fmt: skip
    return actor


def ask(path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": "once"}
    return create_app().test_client().open(path, method="GET" if body is None else "POST", json=body, headers=headers)


def noted() -> Any:
    with unit_of_work() as session:
        return session.scalars(select(ApiToken.last_used_at)).one()


def test_a_machine_may_ask_for_what_its_scopes_name_and_for_nothing_else(buyer: Actor) -> None:
    assert ask("/v1/buyer/orders").status_code == 200
    for path, body, wanted in (("/v1/buyer/orders", {}, "buying:write"), ("/v1/me", None, "account:read")):
        refused = ask(path, body)
        assert (refused.status_code, refused.json["code"], refused.json["wanted"]) == (403, "scope_missing", wanted)


def test_every_operation_has_a_scope_that_says_whether_it_writes() -> None:
    for operation in operations():
        part, _, deed = operation.scope.partition(":")
        assert part.isidentifier()
        assert deed == ("read" if operation.method == "GET" else "write")


def test_the_last_use_is_noted_and_not_at_every_request(buyer: Actor) -> None:
    assert noted() is None
    ask("/v1/buyer/orders")
    first = noted()
    ask("/v1/buyer/orders")
    assert noted() == first is not None
    with unit_of_work() as session:
        session.execute(update(ApiToken).values(last_used_at=ApiToken.last_used_at - timedelta(minutes=11)))
    ask("/v1/buyer/orders")
    assert noted() > first


def test_a_revoked_token_is_nobody_at_the_next_request(buyer: Actor) -> None:
    with unit_of_work() as session:
        session.execute(update(ApiToken).values(revoked_at=func.clock_timestamp()))
    assert ask("/v1/buyer/orders").status_code == 401
