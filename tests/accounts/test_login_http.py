"""Logging in through HTTP, where nothing is seen before somebody is known."""

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update

from shop.accounts.models import Kind, User
from shop.accounts.service import registering
from shop.actor import Role
from shop.db import unit_of_work
from tests import builders as a
from tests.application import a_client


@pytest.mark.real_hashes
def test_a_password_gives_a_token_that_knows_its_owner_until_it_is_logged_out(committed: str) -> None:
    with unit_of_work() as session:
        buyer = a.an_organisation(session, Kind.BUDGET_UNIT)
        registering.register_user(
            session, organisation=buyer, email="clerk@example.com", name="王", password="correct horse",
            roles=[Role.REQUESTER],
        )  # fmt: skip
    client = a_client()
    given = {"email": "clerk@example.com", "password": "correct horse"}
    answer = client.post("/v1/auth/token", json=given)
    assert answer.status_code == 200, answer.json
    headers = {"Authorization": f"Bearer {answer.json['token']}"}
    assert client.get("/v1/me", headers=headers).json["organisation"]["id"] == f"org_{buyer.id.hex}"
    assert client.post("/v1/auth/logout", headers=headers).status_code == 204
    assert client.get("/v1/me", headers=headers).status_code == 401
    with unit_of_work() as session:  # as one pass over the memory hashed it once
        cheap = PasswordHasher(time_cost=1, memory_cost=47_104, parallelism=1)
        session.execute(update(User).values(password_hash=cheap.hash("correct horse")))
    assert client.post("/v1/auth/token", json=given).status_code == 200
    with unit_of_work() as session:
        renewed = session.scalars(select(User.password_hash)).one()
    assert "t=2" in renewed
    assert client.post("/v1/auth/token", json=given).status_code == 200
    wrong = client.post("/v1/auth/token", json=given | {"password": "another horse"})
    assert (wrong.status_code, wrong.json["code"]) == (401, "wrong_credentials")
