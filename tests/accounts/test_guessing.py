"""How often may be guessed, by whom, and how many hashes are made at once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from argon2 import Type, extract_parameters
from sqlalchemy import func, insert, select

from shop.accounts.models import LoginFailure
from shop.accounts.service import guessing, passwords
from shop.accounts.service.logging_in import look_up
from shop.actor import Actor
from shop.db import unit_of_work
from shop.ids import new_id
from tests.accounts import people

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def clerk(committed: str) -> Actor:
    return people.person(people.organisation(), phone="+8613900139000", email="clerk@example.com")


def failures(account: bytes, number: int, ago: timedelta) -> None:
    with unit_of_work() as session:
        for _ in range(number):
            session.execute(
                insert(LoginFailure).values(id=new_id(), account_hash=account, at=func.clock_timestamp() - ago)
            )


def account_of(login: str) -> bytes:
    with unit_of_work() as session:
        return look_up(session, login=login).account


def test_known_and_unknown_accounts_are_answered_alike(clerk: Actor) -> None:
    known = [people.log_in("clerk@example.com", "not the password") for _ in range(6)]
    unknown = [people.log_in("nobody@example.com", "not the password") for _ in range(6)]
    assert [answer.status_code for answer in known] == [401] * 5 + [429]
    for one, other in zip(known, unknown, strict=True):
        assert one.status_code == other.status_code
        assert {**one.json, "retry_after": 0} == {**other.json, "retry_after": 0}


def test_a_known_and_an_unknown_account_cost_one_hash_each(clerk: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []

    class Counting:
        def verify(self, hashed: str, password: str) -> bool:
            checked.append(hashed)
            return passwords.PasswordHasher().verify(hashed, password)

    passwords.decoy()
    monkeypatch.setattr(passwords, "hasher", lambda: Counting())
    for login in ("clerk@example.com", "nobody@example.com", "13500135000"):
        assert people.code(people.log_in(login, "not the password")) == (401, "wrong_credentials")
    parameters = {hashed.rpartition("$")[0].rpartition("$")[0] for hashed in checked}
    assert (len(checked), len(parameters)) == (3, 1)


def test_phone_and_mail_of_one_person_are_one_account(clerk: Actor) -> None:
    for login in ("clerk@example.com", "13900139000", "+86 139 0013 9000", "CLERK@example.com", "13900139000"):
        assert people.log_in(login, "not the password").status_code == 401
    assert people.code(people.log_in("13900139000")) == (429, "too_many_requests")


@pytest.mark.parametrize(
    ("number", "ago", "status"),
    [
        (5, timedelta(seconds=50), 429),
        (4, timedelta(seconds=50), 200),
        (5, timedelta(seconds=61), 200),
        (20, timedelta(minutes=59), 429),
        (19, timedelta(minutes=59), 200),
        (20, timedelta(minutes=61), 200),
    ],
)
def test_five_a_minute_and_twenty_an_hour(clerk: Actor, number: int, ago: timedelta, status: int) -> None:
    failures(account_of("clerk@example.com"), number, ago)
    answer = people.log_in("clerk@example.com")
    assert answer.status_code == status
    if status == 429:
        left = (timedelta(hours=1) if number == 20 else timedelta(minutes=1)) - ago
        assert 0 < answer.json["retry_after"] <= left.total_seconds() + 1
        assert answer.headers["Retry-After"] == str(answer.json["retry_after"])


def test_a_browser_that_logged_in_before_is_not_locked_out_by_strangers(clerk: Actor) -> None:
    device = people.log_in("clerk@example.com").json["device"]
    failures(account_of("clerk@example.com"), 20, timedelta(seconds=1))
    assert people.log_in("clerk@example.com").status_code == 429
    entered = people.log_in("clerk@example.com", device=device)
    assert (entered.status_code, entered.json["device"]) == (200, device)
    for _ in range(5):
        assert people.log_in("clerk@example.com", "not the password", device=device).status_code == 401
    assert people.log_in("clerk@example.com", device=device).status_code == 429


def test_a_device_of_somebody_else_or_a_made_up_one_gives_no_allowance(clerk: Actor) -> None:
    other = people.person(people.organisation())
    device = people.log_in(people.login_of(other)).json["device"]
    failures(account_of("clerk@example.com"), 5, timedelta(seconds=1))
    for given in (device, "made up", device[:-2] + "AA"):
        assert people.log_in("clerk@example.com", device=given).status_code == 429


def test_guesses_at_the_same_time_are_not_answered_more_often_than_one_by_one(clerk: Actor) -> None:
    account = account_of("clerk@example.com")

    def guess(_: int) -> int:
        try:
            with unit_of_work() as session:
                guessing.check(session, account)
            time.sleep(0.2)  # the hash, for all of them at the same time
            with unit_of_work() as session:
                guessing.settle(session, account, right=False)
        except guessing.TooMany:
            return 429
        return 401

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(guess, range(12)))
    assert answers.count(401) == 5
    with unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(LoginFailure)) == 5


def test_at_most_two_hashes_are_made_at_once_and_the_rest_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    running, most, lock = 0, 0, threading.Lock()

    class Slow:
        def hash(self, password: str) -> str:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.15)
            with lock:
                running -= 1
            return password

    monkeypatch.setattr(passwords, "hasher", lambda: Slow())
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(passwords.hash_of, ("a", "b", "c"))) == ["a", "b", "c"]
    assert most == 2


def test_who_waits_too_long_for_a_hash_is_asked_to_come_again(clerk: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "WAIT_SECONDS", 0.05)
    for _ in range(passwords.AT_ONCE):
        passwords.gate.acquire()
    try:
        answer = people.log_in("clerk@example.com")
        assert (people.code(answer), answer.json["retry_after"]) == ((429, "too_many_requests"), 1)
    finally:
        for _ in range(passwords.AT_ONCE):
            passwords.gate.release()


@pytest.mark.real_hashes
def test_a_hash_costs_the_memory_and_the_passes_that_were_measured() -> None:
    """How long that takes, `bench accounts` measures."""
    made = extract_parameters(passwords.hash_of("correct horse battery"))
    assert (made.type, made.time_cost, made.parallelism) == (Type.ID, 2, 1)
    assert made.memory_cost >= 46 * 1024


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"password": "x"}, 422, "/login"),
        ({"login": "clerk@example.com", "email": "clerk@example.com", "password": "x"}, 422, "/email"),
        ({"login": "clerk@example.com", "password": "correct horse battery", "organisation_id": "org_x"}, 422, ""),
    ],
)
def test_a_log_in_that_says_too_little_or_too_much(clerk: Actor, body: Any, status: int, pointer: str) -> None:
    answer = people.anybody().post("/v1/auth/token", json=body)
    assert answer.status_code == status
    assert any(each["pointer"].startswith(pointer) for each in answer.json["errors"])


def test_the_body_of_outside_programs_goes_on_working(clerk: Actor) -> None:
    body = {"email": "clerk@example.com", "password": people.PASSWORD}
    answer = people.anybody().post("/v1/auth/token", json=body)
    assert (answer.status_code, sorted(answer.json)) == (200, ["device", "expires_at", "token", "two_step_required"])
