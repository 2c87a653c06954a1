"""A new password by code, by link and in person; a new phone or e-mail; sessions."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from config.settings import settings
from shop.accounts.models import Kind, LoginFailure, User
from shop.accounts.models_people import Confirmation
from shop.actor import Actor, Role
from shop.audit.models import AuditEntry
from shop.db import unit_of_work
from tests import builders as a
from tests.accounts import people
from tests.accounts.test_two_step import enrolled
from tests.builders import PASSWORD
from tests.outbox.helpers import listening, relay, work
from workers import schedule

PHONE, NEW = "+8613900139000", "a password that is new"


@pytest.fixture
def school(mailbox: Path) -> UUID:
    return people.organisation()


@pytest.fixture
def clerk(school: UUID) -> Actor:
    return people.person(school, roles=[Role.REQUESTER], phone=PHONE, email="clerk@example.com")


def ask(login: str) -> tuple[int, Any]:
    answer = people.anybody().post("/v1/auth/reset", json={"login": login})
    return answer.status_code, answer.json


def confirm(**body: str) -> tuple[int, str]:
    answer = people.anybody().post("/v1/auth/reset/confirm", json={"new_password": NEW} | body)
    return people.code(answer)


def test_a_reset_is_answered_the_same_whether_or_not_the_account_exists(mailbox: Path, clerk: Actor) -> None:
    logins = ("clerk@example.com", PHONE, "nobody@example.com", "13500135000", "neither")
    for login in logins:
        status, body = ask(login)
        assert (status, body["sent"], sorted(body)) == (202, "if_known", ["request", "sent"])
        people.sent(mailbox)
    assert [to for to, _ in people.sent(mailbox)] == ["clerk@example.com", PHONE]
    with unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(Confirmation)) == len(logins)
    for login in (PHONE, "13500135000"):
        assert confirm(login=login, code="000000") == (422, "wrong_code")


def test_a_link_resets_once_and_ends_every_session(mailbox: Path, clerk: Actor) -> None:
    me = people.client(clerk)
    ask("clerk@example.com")
    token = people.token_in(people.sent(mailbox)[-1][1])
    assert confirm(token=token, new_password="short") == (422, "weak_password")
    assert confirm(token=token, new_password="clerk@example.com") == (422, "weak_password")
    assert confirm(token=token) == (204, "")
    assert confirm(token=token) == (422, "wrong_code")
    assert people.code(me.get("/v1/me")) == (401, "unauthenticated")
    assert people.log_in(PHONE, NEW).status_code == 200


def test_a_newer_code_ends_the_older(mailbox: Path, clerk: Actor) -> None:
    ask(PHONE)
    old = people.code_in(people.sent(mailbox)[-1][1])
    ask(PHONE)
    new = people.code_in(people.sent(mailbox)[-1][1])
    if old != new:
        assert confirm(login=PHONE, code=old) == (422, "wrong_code")
    assert confirm(login="139 0013 9000", code=f" {new[:3]} {new[3:]} ") == (204, "")


def test_a_code_lives_ten_minutes(mailbox: Path, clerk: Actor) -> None:
    ask(PHONE)
    code = people.code_in(people.sent(mailbox)[-1][1])
    with unit_of_work() as session:
        lives = session.scalars(select(Confirmation.expires_at - Confirmation.created_at)).one()
        assert abs(lives - timedelta(minutes=10)).total_seconds() < 1
        session.execute(update(Confirmation).values(expires_at=func.clock_timestamp()))
    assert confirm(login=PHONE, code=code) == (422, "wrong_code")


def wrong_for(code: str) -> str:
    return "000000" if code != "000000" else "000001"


def test_guesses_of_strangers_count_as_at_log_in_and_do_not_burn_the_code_of_who_asked_for_it(
    mailbox: Path, clerk: Actor
) -> None:
    request = ask(PHONE)[1]["request"]
    code = people.code_in(people.sent(mailbox)[-1][1])
    for _ in range(5):
        assert confirm(login=PHONE, code=wrong_for(code)) == (422, "wrong_code")
    assert confirm(login=PHONE, code=code) == (429, "too_many_requests")
    ask(PHONE)  # a stranger asks too, which makes it a newer code
    code = people.code_in(people.sent(mailbox)[-1][1])
    assert confirm(login=PHONE, code=code, request=request) == (204, "")


def test_who_asked_for_a_code_tries_five_times_known_or_not(mailbox: Path, clerk: Actor) -> None:
    for login in (PHONE, "13500135000"):
        request = ask(login)[1]["request"]
        code = people.code_in(people.sent(mailbox)[-1][1])
        for _ in range(5):
            assert confirm(login=login, code=wrong_for(code), request=request) == (422, "wrong_code")
        assert confirm(login=login, code=code, request=request) == (422, "wrong_code")


def test_a_request_is_of_its_log_in_only(mailbox: Path, clerk: Actor) -> None:
    stranger = ask("13500135000")[1]["request"]
    own = ask(PHONE)[1]["request"]
    code = people.code_in(people.sent(mailbox)[-1][1])
    for request in (stranger, "made up", own + "x"):
        assert confirm(login=PHONE, code=code, request=request) == (422, "wrong_code")
    with unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(LoginFailure)) == 2 * 3  # the two that asked
        session.execute(update(Confirmation).values(expires_at=func.clock_timestamp()))
    assert confirm(login=PHONE, code=code, request=own) == (422, "wrong_code")


def test_who_asks_again_and_again_is_told_to_wait_known_or_not(clerk: Actor) -> None:
    for login in (PHONE, "13500135000"):
        assert [ask(login)[0] for _ in range(3)] == [202, 202, 429]


def ask_from(address: str, login: str = PHONE, **more: str) -> tuple[int, Any]:
    body = {"login": login} | more
    answer = people.anybody().post("/v1/auth/reset", json=body, environ_base={"REMOTE_ADDR": address})
    return answer.status_code, answer.json


def test_strangers_who_ask_for_an_account_do_not_stop_its_person(mailbox: Path, clerk: Actor) -> None:
    for stranger in range(4):
        for expected in (202, 202, 429):
            assert ask_from(f"203.0.113.{stranger}")[0] == expected
            people.sent(mailbox)
    status, body = ask_from("198.51.100.1")
    assert status == 202
    words = [words for to, words in people.sent(mailbox) if to == PHONE]
    assert len(words) == 3, "two short codes, and a long one that stands for everybody who asks then"
    (code,) = re.findall(r"[A-Z2-7]{4}-[A-Z2-7]{4}", words[-1])
    assert confirm(login=PHONE, code=people.code_in(words[1]), request=body["request"]) == (422, "wrong_code")
    ask_from("203.0.113.9")
    assert confirm(login=PHONE, code=code.lower(), request=body["request"]) == (204, "")
    assert people.log_in(PHONE, NEW).status_code == 200


def test_a_long_code_is_sent_again_when_the_one_that_stood_has_expired(mailbox: Path, clerk: Actor) -> None:
    for stranger in range(3):
        ask_from(f"203.0.113.{stranger}")
    before = len(people.sent(mailbox))
    with unit_of_work() as session:
        session.execute(update(Confirmation).values(expires_at=func.clock_timestamp()))
    ask_from("198.51.100.1")
    assert len(people.sent(mailbox)) == before + 1


def test_the_link_of_a_mail_stands_beside_the_code_of_a_text_message(mailbox: Path, clerk: Actor) -> None:
    ask(PHONE)
    code = people.code_in(people.sent(mailbox)[-1][1])
    ask_from("203.0.113.1", "clerk@example.com")
    token = people.token_in(people.sent(mailbox)[-1][1])
    assert confirm(login=PHONE, code=code) == (204, "")
    assert confirm(token=token) == (422, "wrong_code"), "a new password ends all that was asked for"


def test_a_browser_that_logged_in_before_asks_whatever_strangers_do(mailbox: Path, clerk: Actor) -> None:
    device = people.log_in(PHONE).json["device"]
    for _ in range(3):
        ask(PHONE)
    status, body = ask_from("127.0.0.1", device=device)
    assert status == 202
    (code,) = re.findall(r"[A-Z2-7]{4}-[A-Z2-7]{4}", people.sent(mailbox)[-1][1])
    assert confirm(login=PHONE, code=code, request=body["request"], device=device) == (204, "")
    assert [ask_from("127.0.0.1", device=device)[0] for _ in range(2)] == [202, 429]


def test_one_address_asks_for_many_accounts_up_to_a_limit(mailbox: Path) -> None:
    answers = [ask_from("203.0.113.1", f"1350013{number:04}")[0] for number in range(21)]
    assert answers == [202] * 20 + [429]
    assert ask_from("203.0.113.2", "13500139999")[0] == 202


def test_a_code_for_a_phone_does_not_confirm_an_e_mail_that_was_named_later(mailbox: Path, clerk: Actor) -> None:
    me = people.client(clerk)
    assert me.post("/v1/me/contact", json={"phone": "13700137000", "password": PASSWORD}).status_code == 202
    code = people.code_in(people.sent(mailbox)[-1][1])
    assert me.post("/v1/me/contact", json={"email": "x@example.com", "password": PASSWORD}).status_code == 202
    assert people.code(me.post("/v1/me/contact/confirm", json={"code": code})) == (422, "wrong_code")


def test_a_reset_names_a_link_or_a_code(clerk: Actor) -> None:
    assert confirm(code="123456") == (422, "invalid")
    assert confirm(token="x", login=PHONE, code="123456") == (422, "invalid")
    assert confirm(token="made.up") == (422, "wrong_code")


def test_a_manager_hands_over_a_code_and_never_sees_a_password(clerk: Actor, school: UUID) -> None:
    boss = people.person(school)
    me = people.client(clerk)
    path = f"/v1/me/organisation/members/mem_{clerk.membership_id.hex}/reset"
    assert people.code(me.post(path, json={"reason": "x"})) == (403, "forbidden")
    manager = people.client(boss)
    own = f"/v1/me/organisation/members/mem_{boss.membership_id.hex}/reset"
    assert people.code(manager.post(own, json={"reason": "x"})) == (404, "not_found")
    assert manager.post(path, json={}).status_code == 422
    made = manager.post(path, json={"reason": "came to the office"})
    assert made.status_code == 201, made.json
    code = made.json["code"]
    assert confirm(login=PHONE, code=code.lower()) == (204, "")
    assert confirm(login=PHONE, code=code) == (422, "wrong_code")
    assert people.log_in(PHONE, NEW).status_code == 200
    with unit_of_work() as session:
        (entry,) = session.scalars(select(AuditEntry).where(AuditEntry.action == "reset_in_person"))
        kept = " ".join(str(vars(row)) for row in session.scalars(select(AuditEntry)))
    assert (entry.user_id, entry.reason) == (boss.user_id, "came to the office")
    assert code not in kept
    assert NEW not in kept


def test_a_manager_does_not_get_hold_of_what_a_member_is_elsewhere(clerk: Actor, school: UUID) -> None:
    people.also(clerk.user_id, people.organisation(Kind.PLATFORM), roles=[Role.OPERATOR])
    manager = people.client(people.person(school))
    path = f"/v1/me/organisation/members/mem_{clerk.membership_id.hex}/reset"
    assert people.code(manager.post(path, json={"reason": "x"})) == (409, "member_elsewhere")


def test_a_county_reviewer_helps_the_cooperatives_of_the_own_counties(mailbox: Path) -> None:
    near, far = people.organisation(Kind.COOPERATIVE), people.organisation(Kind.COOPERATIVE, division_code=a.YANCHI)
    farmer, stranger = people.person(near, phone=PHONE), people.person(far)
    buyer = people.person(people.organisation(division_code=a.LUOCHUAN))
    office = people.organisation(Kind.COUNTY_REVIEWER)
    reviewer = people.client(people.person(office, roles=[Role.COUNTY_REVIEWER], regions=[a.LUOCHUAN]))
    (row,) = reviewer.get(f"/v1/admin/members?organisation_id=org_{near.hex}").json["items"]
    assert (row["membership_id"], row["phone"]) == (f"mem_{farmer.membership_id.hex}", "+86139****9000")
    assert row["email"] is None or "***@" in row["email"]
    assert reviewer.get(f"/v1/admin/members?organisation_id=org_{far.hex}").json["items"] == []
    for other in (stranger, buyer):
        answer = reviewer.post(f"/v1/admin/members/mem_{other.membership_id.hex}/reset", json={"reason": "x"})
        assert people.code(answer) == (404, "not_found")
    enrolled(people.client(farmer))
    body = {"reason": "lost the phone", "drops_two_step": True}
    code = reviewer.post(f"/v1/admin/members/{row['membership_id']}/reset", json=body).json["code"]
    assert confirm(login=PHONE, code=code) == (204, "")
    assert people.log_in(PHONE, NEW).status_code == 200, "no second step is asked for any more"


def test_a_new_contact_counts_once_it_is_confirmed(mailbox: Path, clerk: Actor) -> None:
    me = people.client(clerk)
    body = {"phone": "13700137000", "password": PASSWORD}
    assert people.code(me.post("/v1/me/contact", json=body | {"password": "not the one"})) == (422, "wrong_password")
    assert people.code(me.post("/v1/me/contact", json={"password": PASSWORD})) == (422, "invalid")
    assert me.post("/v1/me/contact", json=body).status_code == 202
    to, words = people.sent(mailbox)[-1]
    assert to == "+8613700137000"
    assert people.log_in("13700137000").status_code == 401
    assert people.code(me.post("/v1/me/contact/confirm", json={"code": "x"})) == (422, "wrong_code")
    assert people.code(me.post("/v1/me/contact/confirm", json={})) == (422, "invalid")
    assert me.post("/v1/me/contact/confirm", json={"code": people.code_in(words)}).status_code == 204
    assert people.log_in("13700137000").status_code == 200
    assert people.log_in(PHONE).status_code == 401
    assert me.post("/v1/me/contact", json={"email": "New@example.com", "password": PASSWORD}).status_code == 202
    token = people.token_in(people.sent(mailbox)[-1][1])
    other = people.client(people.person(people.organisation()))
    assert people.code(other.post("/v1/me/contact/confirm", json={"token": token})) == (422, "wrong_code")
    assert me.post("/v1/me/contact/confirm", json={"token": token}).status_code == 204
    assert people.log_in("new@example.com").status_code == 200


def test_a_contact_of_somebody_else_is_told_to_its_owner_only(mailbox: Path, clerk: Actor) -> None:
    people.person(people.organisation(), email="taken@example.com")
    me = people.client(clerk)
    assert me.post("/v1/me/contact", json={"email": "taken@example.com", "password": PASSWORD}).status_code == 202
    token = people.token_in(people.sent(mailbox)[-1][1])
    assert people.code(me.post("/v1/me/contact/confirm", json={"token": token})) == (409, "contact_taken")


def test_an_invitation_to_a_contact_goes_to_who_confirms_it(mailbox: Path, clerk: Actor) -> None:
    other = people.client(people.person(people.organisation()))
    other.post("/v1/me/organisation/invitations", json={"phone": "13700137000", "roles": ["finance"]})
    link = people.token_in(people.sent(mailbox)[-1][1])
    me = people.client(clerk)
    me.post("/v1/me/contact", json={"phone": "13700137000", "password": PASSWORD})
    work("accounts.")
    with unit_of_work() as session:
        from shop.accounts import secrets

        asked = session.scalars(select(Confirmation.id)).one()
    assert me.post("/v1/me/contact/confirm", json={"code": secrets.digits_of(asked)}).status_code == 204
    accepted = people.anybody().post("/v1/auth/invitations/accept", json={"token": link, "password": PASSWORD})
    assert accepted.status_code == 201
    assert len(me.get("/v1/me/memberships").json["items"]) == 2


def test_sessions_are_listed_and_ended_one_by_one_or_all_others(clerk: Actor) -> None:
    first, second, third = (people.client(clerk) for _ in range(3))
    listed = first.get("/v1/me/sessions").json["items"]
    assert [row["current"] for row in listed] == [False, False, True]
    assert {row["organisation_id"] for row in listed} == {f"org_{clerk.organisation_id.hex}"}
    for _ in range(2):
        assert first.post(f"/v1/me/sessions/{listed[1]['id']}/end").status_code == 204
    assert people.code(second.get("/v1/me")) == (401, "unauthenticated")
    assert first.post("/v1/me/sessions/end-others").json == {"ended": 1}
    assert people.code(third.get("/v1/me")) == (401, "unauthenticated")
    assert len(first.get("/v1/me/sessions").json["items"]) == 1


def test_a_session_tells_the_browser_in_a_few_words(clerk: Actor) -> None:
    answer = people.anybody().post(
        "/v1/auth/token",
        json={"login": PHONE, "password": PASSWORD},
        headers={"User-Agent": "Mozilla/5.0 (Windows NT 10.0) Firefox/128.0"},
    )
    (row,) = people.bearing(answer.json["token"]).get("/v1/me/sessions").json["items"]
    assert row["device"] == "Firefox, Windows"


def test_a_log_in_may_name_the_organisation(clerk: Actor) -> None:
    other = people.organisation(Kind.ENTERPRISE)
    people.also(clerk.user_id, other, roles=[Role.FINANCE])
    entered = people.log_in(PHONE, organisation_id=f"org_{other.hex}")
    assert people.bearing(entered.json["token"]).get("/v1/me").json["roles"] == ["finance"]
    nowhere = people.log_in(PHONE, organisation_id=f"org_{people.organisation().hex}")
    assert people.code(nowhere) == (404, "not_found")


def test_a_weak_new_password_changes_nothing(clerk: Actor) -> None:
    me = people.client(clerk)
    weak = me.post("/v1/me/password", json={"current": PASSWORD, "new": "13900139000"})
    assert (people.code(weak), weak.json["errors"][0]["pointer"]) == ((422, "weak_password"), "/new")
    assert me.get("/v1/me").status_code == 200


def test_text_messages_are_posted_to_the_gateway_signed_and_again_when_it_fails(
    mailbox: Path, clerk: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    import base64
    import hashlib
    import hmac
    import json

    with listening(500) as gateway:
        monkeypatch.setenv("SHOP_SMS_URL", gateway.url)
        monkeypatch.setenv("SHOP_SMS_SECRET", "shared with the gateway")
        settings.cache_clear()
        ask(PHONE)
        assert work("accounts.send_confirmation") == ["accounts.send_confirmation"]
        with unit_of_work() as session:
            from shop.outbox.models import Delivery

            delivery = session.scalars(select(Delivery)).one()
            assert (delivery.status, delivery.error) == ("waiting", "TextNotTaken: the gateway answered 500")
            delivery.due_at = func.clock_timestamp()
        relay_and_work()
    (_, first), (headers, body) = gateway.requests
    assert first == body
    assert json.loads(body)["to"] == PHONE
    signed = b".".join((headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body))
    expected = hmac.new(b"shared with the gateway", signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(expected).decode()
    assert not (mailbox / "mail").exists()


def relay_and_work() -> None:
    from workers.deliveries import run

    for event_id, consumer in relay():
        run(event_id, consumer)


def test_old_codes_and_ended_tokens_are_forgotten(clerk: Actor) -> None:
    me = people.client(clerk)
    me.post("/v1/auth/logout")
    ask(PHONE)
    with unit_of_work() as session:
        from shop.accounts.models import ApiToken

        session.execute(update(ApiToken).values(revoked_at=func.clock_timestamp() - timedelta(days=31)))
        session.execute(update(Confirmation).values(expires_at=func.clock_timestamp() - timedelta(days=2)))
        session.execute(update(LoginFailure).values(at=func.clock_timestamp() - timedelta(days=2)))
    schedule.run("forget_old")
    with unit_of_work() as session:
        counts = [session.scalar(select(func.count()).select_from(t)) for t in (ApiToken, Confirmation, LoginFailure)]
        assert (counts, session.scalar(select(func.count()).select_from(User))) == ([0, 0, 0], 1)
