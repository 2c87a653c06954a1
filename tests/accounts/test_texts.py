"""Production without a gateway for text messages: what could never arrive is refused, and an e-mail is taken."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import func, select

from config.settings import settings
from shop.actor import Role
from shop.db import unit_of_work
from shop.outbox.models import Event
from tests.accounts import people
from tests.accounts.county import County, an_application
from tests.accounts.town import Town, a_unit
from tests.builders import PASSWORD

PHONE = "13900139000"
PRODUCTION = {
    "SHOP_ENV": "production", "SHOP_SECRET_KEY": "x" * 40, "SHOP_SMTP_URL": "file:",
    "SHOP_STRIPE_SECRET_KEY": "sk_live_x", "SHOP_STRIPE_WEBHOOK_SECRET": "whsec_x",
}  # fmt: skip


@pytest.fixture
def in_production(committed: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Puts the shop into production, once the test has made what it needs."""

    def begin() -> None:
        for name, value in PRODUCTION.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("SHOP_SMS_URL", raising=False)
        settings.cache_clear()

    yield begin
    monkeypatch.undo()
    settings.cache_clear()


def asked_for() -> int:
    with unit_of_work() as session:
        kinds = ("person.invited", "confirmation.asked")
        return session.scalar(select(func.count()).select_from(Event).where(Event.kind.in_(kinds))) or 0


def refused(answer: Any) -> tuple[int, str, str, str]:
    (error,) = answer.json["errors"]
    return answer.status_code, answer.json["code"], error["pointer"], answer.json["title"]


NO = "No text messages are sent here; give an e-mail."


def test_whoever_is_not_logged_in_is_told_at_once(in_production: Callable[[], None]) -> None:
    people.person(people.organisation(), phone="+8613900139000")
    in_production()
    for login in (PHONE, "13500135000"):
        answer = people.anybody().post("/v1/auth/reset", json={"login": login})
        assert refused(answer) == (422, "no_text_messages", "/login", NO)
    assert asked_for() == 0
    assert people.anybody().post("/v1/auth/reset", json={"login": "clerk@example.com"}).status_code == 202


def test_nobody_is_invited_by_phone_and_no_phone_is_confirmed(in_production: Callable[[], None]) -> None:
    boss = people.client(people.person(people.organisation(), roles=[Role.MANAGER]))
    in_production()
    path = "/v1/me/organisation/invitations"
    answer = boss.post(path, json={"phone": PHONE, "roles": ["finance"]})
    assert refused(answer) == (422, "no_text_messages", "/phone", NO)
    contact = boss.post("/v1/me/contact", json={"phone": PHONE, "password": PASSWORD})
    assert refused(contact) == (422, "no_text_messages", "/phone", NO)
    assert asked_for() == 0
    assert boss.post(path, json={"email": "new@example.com", "roles": ["finance"]}).status_code == 201
    assert boss.post("/v1/me/contact", json={"email": "me@example.com", "password": PASSWORD}).status_code == 202


def test_nobody_registers_with_a_phone(county: County, in_production: Callable[[], None]) -> None:
    in_production()
    body = an_application()
    by_phone = body | {"member": {"contact": PHONE}}
    assert county.refused("", "POST", "/v1/public/applications", by_phone) == (
        422, "no_text_messages", ["/member/contact"],
    )  # fmt: skip
    assert county.post("", "/v1/public/applications", body)["status"] == "draft"


def test_no_buyer_registers_with_a_phone(in_production: Callable[[], None]) -> None:
    body = Town().application("bureau", budget_unit=a_unit("教育局")) | {"member": {"contact": PHONE}}
    in_production()
    answer = people.anybody().post("/v1/public/registrations", json=body)
    assert refused(answer) == (422, "no_text_messages", "/member/contact", NO)


def test_with_a_gateway_a_phone_will_do(in_production: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    in_production()
    monkeypatch.setenv("SHOP_SMS_URL", "https://sms.example.com")
    monkeypatch.setenv("SHOP_SMS_SECRET", "x" * 40)
    settings.cache_clear()
    assert people.anybody().post("/v1/auth/reset", json={"login": PHONE}).status_code == 202
