"""The second step of log-in."""

import time
from typing import Any

import pyotp
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from config.settings import settings
from shop.accounts.models import Kind
from shop.accounts.models_people import RecoveryCode, TwoStep
from shop.actor import Actor, Role
from shop.db import unit_of_work
from tests.accounts import people
from tests.builders import PASSWORD

pytestmark = pytest.mark.usefixtures("committed")


def code_of(secret: str, steps: int = 0) -> str:
    return pyotp.TOTP(secret).at(int(time.time()) + 30 * steps)


def enrolled(me: FlaskClient) -> tuple[str, list[str]]:
    """Switch the second step on; gives the key and the recovery codes. The code of the step before is used for it."""
    made = me.post("/v1/me/two-step", json={"password": PASSWORD})
    assert made.status_code == 201, made.json
    confirmed = me.post("/v1/me/two-step/confirm", json={"code": code_of(made.json["secret"], -1)})
    assert confirmed.status_code == 200, confirmed.json
    return made.json["secret"], confirmed.json["recovery_codes"]


@pytest.fixture
def clerk(committed: str) -> Actor:
    return people.person(people.organisation())


@pytest.fixture
def me(clerk: Actor) -> FlaskClient:
    return people.client(clerk)


def test_the_key_is_shown_once_and_counts_when_a_code_of_it_was_given(clerk: Actor, me: FlaskClient) -> None:
    made = me.post("/v1/me/two-step", json={"password": PASSWORD}).json
    assert made["uri"].startswith("otpauth://totp/")
    assert made["secret"] in made["uri"]
    assert me.get("/v1/me/two-step").json == {"enabled": False, "since": None, "recovery_codes_left": 0}
    assert people.log_in(people.login_of(clerk)).status_code == 200
    wrong = me.post("/v1/me/two-step/confirm", json={"code": "000000"})
    assert people.code(wrong) == (422, "wrong_code")
    secret, codes = enrolled(me)
    assert secret != made["secret"], "a key that was not confirmed is replaced"
    assert len(set(codes)) == 10
    found = me.get("/v1/me/two-step").json
    assert (found["enabled"], found["recovery_codes_left"]) == (True, 10)
    assert people.code(me.post("/v1/me/two-step", json={"password": PASSWORD})) == (409, "two_step_on")
    with unit_of_work() as session:
        rows = [str(vars(row)) for row in (*session.scalars(select(TwoStep)), *session.scalars(select(RecoveryCode)))]
    assert not any(secret in row or code in row or code.replace("-", "") in row for row in rows for code in codes)


def test_sessions_that_began_without_the_second_step_end_with_it(clerk: Actor, me: FlaskClient) -> None:
    elsewhere = [people.client(clerk), people.client(clerk)]
    secret = me.post("/v1/me/two-step", json={"password": PASSWORD}).json["secret"]
    assert elsewhere[0].get("/v1/me").status_code == 200
    confirmed = me.post("/v1/me/two-step/confirm", json={"code": code_of(secret)})
    assert (confirmed.status_code, confirmed.json["ended_sessions"]) == (200, 2)
    for other in elsewhere:
        assert people.code(other.get("/v1/me")) == (401, "unauthenticated")
    assert me.get("/v1/me").status_code == 200


def test_a_log_in_asks_for_the_code_and_takes_each_once(clerk: Actor, me: FlaskClient) -> None:
    secret, _ = enrolled(me)
    login = people.login_of(clerk)
    assert people.code(people.log_in(login)) == (401, "code_needed")
    assert people.code(people.log_in(login, "not the password", code=code_of(secret))) == (401, "wrong_credentials")
    code = code_of(secret, 1)
    assert people.log_in(login, code=code).status_code == 200
    replayed = people.log_in(login, code=code)
    assert (people.code(replayed), replayed.json["errors"][0]["pointer"]) == ((401, "code_needed"), "/code")
    assert people.code(people.log_in(login, code=code_of(secret, 0))) == (401, "code_needed"), (
        "older than the last used"
    )


def test_a_recovery_code_works_once_however_it_is_written(clerk: Actor, me: FlaskClient) -> None:
    _, codes = enrolled(me)
    login = people.login_of(clerk)
    assert people.log_in(login, code=codes[0].lower().replace("-", " ")).status_code == 200
    assert people.code(people.log_in(login, code=codes[0])) == (401, "code_needed")
    assert me.get("/v1/me/two-step").json["recovery_codes_left"] == 9


def test_wrong_codes_count_as_guesses(clerk: Actor, me: FlaskClient) -> None:
    secret, _ = enrolled(me)
    login = people.login_of(clerk)
    for _ in range(5):
        assert people.log_in(login, code="AAAAA-AAAAA").status_code == 401
    assert people.code(people.log_in(login, code=code_of(secret, 1))) == (429, "too_many_requests")


def test_new_recovery_codes_end_the_old_ones(clerk: Actor, me: FlaskClient) -> None:
    secret, codes = enrolled(me)
    wrong = me.post("/v1/me/two-step/recovery-codes", json={"password": PASSWORD, "code": "AAAAA-AAAAA"})
    assert people.code(wrong) == (422, "wrong_code")
    body = {"password": PASSWORD, "code": code_of(secret, 1)}
    renewed = me.post("/v1/me/two-step/recovery-codes", json=body).json["recovery_codes"]
    assert len(renewed) == 10
    assert not set(renewed) & set(codes)
    assert people.log_in(people.login_of(clerk), code=codes[0]).status_code == 401
    assert people.log_in(people.login_of(clerk), code=renewed[0]).status_code == 200


def test_switching_it_off_takes_the_password_and_a_code(clerk: Actor, me: FlaskClient) -> None:
    body: dict[str, Any] = {"password": PASSWORD, "code": "AAAAA-AAAAA"}
    assert people.code(me.post("/v1/me/two-step/disable", json=body)) == (409, "two_step_off")
    secret, codes = enrolled(me)
    wrong = me.post("/v1/me/two-step/disable", json=body | {"password": "not the password"})
    assert people.code(wrong) == (422, "wrong_password")
    assert people.code(me.post("/v1/me/two-step/disable", json=body)) == (422, "wrong_code")
    assert me.post("/v1/me/two-step/disable", json=body | {"code": codes[3]}).status_code == 204
    assert people.log_in(people.login_of(clerk)).status_code == 200
    assert people.code(me.post("/v1/me/two-step/confirm", json={"code": code_of(secret)})) == (409, "two_step_off")


def test_in_production_an_admin_sets_it_up_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    platform = people.organisation(Kind.PLATFORM)
    operator = people.person(platform, roles=[Role.OPERATOR], order_limit_fen=None)
    clerk = people.person(people.organisation())
    for name, value in {
        "SHOP_ENV": "production",
        "SHOP_SMTP_URL": "file:",
        "SHOP_SECRET_KEY": "a key of the tests, which is long enough for production",
        "SHOP_STRIPE_SECRET_KEY": "sk_live_x",
        "SHOP_STRIPE_WEBHOOK_SECRET": "whsec_x",
    }.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    try:
        entered = people.log_in(people.login_of(operator)).json
        assert entered["two_step_required"]
        me = people.bearing(entered["token"])
        for answer in (me.get("/v1/me"), me.get("/v1/admin/listings"), me.get("/v1/me/sessions")):
            assert people.code(answer) == (403, "two_step_required")
        assert me.get("/v1/me/two-step").json["enabled"] is False
        secret, _ = enrolled(me)
        assert me.get("/v1/me").status_code == 200
        again = people.log_in(people.login_of(operator), code=code_of(secret, 1)).json
        assert not again["two_step_required"]
        assert not people.log_in(people.login_of(clerk)).json["two_step_required"], "a buyer may do without"
        other = people.bearing(people.log_in(people.login_of(people.person(platform))).json["token"])
        assert other.post("/v1/auth/logout").status_code == 204
        assert people.code(other.get("/v1/me/two-step")) == (401, "unauthenticated")
    finally:
        monkeypatch.undo()
        settings.cache_clear()
