"""No transaction is open while a password is hashed: not at the door, and not for who is inside."""

from pathlib import Path

import pytest

from shop.accounts.models import Kind, User
from shop.accounts.service import passwords
from shop.actor import Role
from shop.db import edge_engine, engine, unit_of_work
from tests.accounts import people
from tests.accounts.test_two_step import code_of, enrolled
from tests.builders import PASSWORD

NEW = "a password that is new"


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many connections the process holds whenever something is hashed."""
    held: list[int] = []
    real = passwords.hasher()

    def counted() -> int:
        return sum(each().pool.checkedout() for each in (engine, edge_engine))  # type: ignore[attr-defined]

    class Watching:
        def hash(self, password: str) -> str:
            held.append(counted())
            return real.hash(password)

        def verify(self, hashed: str, password: str) -> bool:
            held.append(counted())
            return bool(real.verify(hashed, password))

        def check_needs_rehash(self, hashed: str) -> bool:
            return True

    passwords.decoy()
    monkeypatch.setattr(passwords, "hasher", lambda: Watching())
    return held


def test_no_transaction_is_open_while_a_password_is_hashed(mailbox: Path, hashes: list[int]) -> None:
    school = people.organisation()
    boss = people.person(school, phone="+8613900139000")
    clerk = people.person(school, roles=[Role.REQUESTER])
    with unit_of_work() as session:
        session.connection()
        passwords.hash_of(NEW)
    assert hashes.pop() == 1, "a hash inside a transaction is seen"
    hashes.clear()

    def hashed(times: int) -> bool:
        made, rest = len(hashes), sum(hashes)
        hashes.clear()
        return (made, rest) == (times, 0)

    me = people.client(boss)
    assert hashed(2)  # checked, and kept at the cost of today
    code = (422, "wrong_password")
    for path, body in (
        ("/v1/me/password", {"new": NEW}),
        ("/v1/me/contact", {"email": "new@example.com"}),
        ("/v1/me/two-step", {}),
        ("/v1/me/erase", {}),
    ):
        field = "current" if path.endswith("password") else "password"
        assert people.code(me.post(path, json=body | {field: "not the one"})) == code
        assert hashed(1), path
    secret, codes = enrolled(me)
    assert hashed(1)
    assert me.post("/v1/me/two-step/recovery-codes", json={"password": PASSWORD, "code": codes[0]}).status_code == 200
    assert hashed(1)
    disabled = {"password": PASSWORD, "code": code_of(secret)}
    assert me.post("/v1/me/two-step/disable", json=disabled).status_code == 204
    assert hashed(1)
    assert me.post("/v1/me/contact", json={"email": "new@example.com", "password": PASSWORD}).status_code == 202
    assert hashed(1)
    assert me.post("/v1/me/password", json={"current": PASSWORD, "new": NEW}).status_code == 204
    assert hashed(2)
    other = people.client(clerk)
    assert hashed(2)
    assert other.post("/v1/me/erase", json={"password": PASSWORD}).status_code == 204
    assert hashed(1)
    people.anybody().post("/v1/auth/reset", json={"login": "13900139000"})
    found = people.code_in(people.sent(mailbox)[-1][1])
    reset = {"login": "13900139000", "code": found, "new_password": PASSWORD}
    assert people.anybody().post("/v1/auth/reset/confirm", json=reset).status_code == 204
    assert hashed(1)


def test_a_password_that_changed_meanwhile_proves_nothing(committed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clerk = people.person(people.organisation(Kind.ENTERPRISE))
    me = people.client(clerk)
    matches = passwords.matches

    def while_another_changes_it(password_hash: str | None, password: str) -> bool:
        right = matches(password_hash, password)
        with unit_of_work() as session:
            session.get_one(User, clerk.user_id).password_hash = "$argon2id$other"
        return right

    monkeypatch.setattr(passwords, "matches", while_another_changes_it)
    answer = me.post("/v1/me/password", json={"current": PASSWORD, "new": NEW})
    assert people.code(answer) == (422, "wrong_password")
