"""The application around its routes: whether it is ready, and whose address a request has."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from config.settings import SettingsError, read, settings
from shop import clock
from shop.app import create_app
from shop.db import unit_of_work

Setter = Callable[..., None]


@pytest.fixture
def given(committed: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Setter]:
    """Settings of this test, by the variables that give them."""

    def give(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()

    yield give
    monkeypatch.undo()
    settings.cache_clear()


PRODUCTION = {
    "SHOP_ENV": "production", "SHOP_SECRET_KEY": "x" * 40, "SHOP_SMTP_URL": "file:",
    "SHOP_STRIPE_SECRET_KEY": "sk_live_x", "SHOP_STRIPE_WEBHOOK_SECRET": "whsec_x",
}  # fmt: skip


def test_a_broker_that_is_away_is_said_and_does_not_stop_serving(given: Setter) -> None:
    for address in ("redis://127.0.0.1:1/0", "amqp://127.0.0.1:1//", "redis+socket:///nowhere?virtual_host=0"):
        given(SHOP_BROKER_URL=address)
        answer = create_app().test_client().get("/readyz")
        assert (answer.status_code, answer.json["parts"]["broker"]) == (200, "away")


def test_production_is_not_ready_with_a_clock_that_was_moved_and_moves_none(given: Setter) -> None:
    with unit_of_work() as session:
        clock.move_to(session, clock.machine_now(session) - timedelta(days=900))
    assert create_app().test_client().get("/readyz").json["parts"]["clock"] == "ok"
    given(**PRODUCTION)
    answer = create_app().test_client().get("/readyz")
    assert (answer.status_code, answer.json["parts"]["clock"]) == (503, "moved")
    with unit_of_work() as session, pytest.raises(RuntimeError, match="not moved in production"):
        clock.move_to(session, clock.machine_now(session))


@pytest.mark.parametrize(("proxies", "counted"), [("0", "127.0.0.1"), ("1", "203.0.113.9"), ("2", "198.51.100.7")])
def test_the_callers_address_is_what_trusted_proxies_say(
    given: Setter, monkeypatch: pytest.MonkeyPatch, proxies: str, counted: str
) -> None:
    seen: list[str] = []
    monkeypatch.setattr("shop.http.limiting.count", lambda kind, who: seen.append(who))
    given(SHOP_TRUSTED_PROXIES=proxies)
    headers = {"X-Forwarded-For": "198.51.100.7, 203.0.113.9"}
    create_app().test_client().get("/v1/public/listings", headers=headers)
    assert seen == [counted]


def test_events_of_the_gateway_are_not_counted_by_address(given: Setter, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr("shop.http.limiting.count", lambda kind, who: seen.append(who))
    create_app().test_client().post("/webhooks/stripe", data=b"{}")
    assert seen == []


@pytest.mark.parametrize("missing", sorted(set(PRODUCTION) - {"SHOP_ENV"}))
def test_production_wants_its_secrets_and_a_way_to_send_mail(missing: str) -> None:
    named = {"SHOP_DATABASE_URL": "postgresql://x", "SHOP_BROKER_URL": "redis://x"} | PRODUCTION
    assert read(named).production
    with pytest.raises(SettingsError, match=missing):
        read({name: value for name, value in named.items() if name != missing})
