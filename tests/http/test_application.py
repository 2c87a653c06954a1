"""The application around its routes: whether it is ready, and whose address a request has."""

import ast
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from html import unescape
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import pytest
from pydantic import ValidationError

import shop
from config.settings import SettingsError, read, settings
from shop import clock
from shop.app import create_app
from shop.db import unit_of_work
from shop.errors import Refusal
from shop.http import problems
from shop.http.chinese import in_chinese
from shop.orders.schemas import PlaceOrder
from shop.orders.schemas_fulfilment import Inspect

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


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == "request"]


def test_every_request_is_one_line_that_tells_nothing_of_who_asked_or_for_what(
    given: Setter, capsys: pytest.CaptureFixture[str]
) -> None:
    client = create_app().test_client()
    given(SHOP_ACCESS_LOG="on")
    headers = {"X-Request-Id": "request-0001", "Authorization": "Bearer secret-token"}
    for _ in range(2):  # the second is given again, before any routing
        client.get("/v1/public/listings?q=secret-word", headers=headers)
    client.get(f"/v1/public/listings/lst_{'0' * 32}", headers=headers)
    client.get("/nowhere/secret-word", headers=headers)
    err = capsys.readouterr().err
    assert "secret" not in err
    lines = [json.loads(line) for line in err.splitlines() if '"request"' in line]
    assert [(line["method"], line["route"], line["status"]) for line in lines] == [
        ("GET", "/v1/public/listings", 200),
        ("GET", "/v1/public/listings", 200),
        ("GET", "/v1/public/listings/<listing_id>", 404),
        ("GET", "none", 404),
    ]
    assert all(line["request_id"] == "request-0001" and 0 <= line["ms"] < 60_000 for line in lines)
    given(SHOP_ACCESS_LOG="off")
    client.get("/healthz")
    given(SHOP_ACCESS_LOG="on", SHOP_LOG_LEVEL="WARNING")
    client.get("/healthz")
    assert said(capsys) == []


def test_the_front_door_says_where_things_are_and_every_place_is_there(given: Setter) -> None:
    client = create_app().test_client()
    places = client.get("/").json
    page = client.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page.mimetype == "text/html"
    assert places["name"] in page.text
    assert places["name_en"] in page.text
    for name in ("docs", "api", "catalogue", "health"):
        assert client.get(places[name]).status_code == 200
        assert places[name] in page.text
    assert client.get(places["log_in"]).status_code == 405


def test_the_page_of_the_api_shows_the_fields_of_a_body_and_an_example_that_is_taken(given: Setter) -> None:
    client = create_app().test_client()
    order = client.get("/v1/docs").text.partition("POST /v1/buyer/orders<")[2].partition("</section>")[0]
    for field in ("lines[].listing_id", "lines[].quantity", "delivery_address_id", "payment_terms"):
        row = order.partition(f"<td><code>{field}</code></td>")[2].partition("</tr>")[0]
        assert "required" in row
    assert "on_terms" in order
    example = json.loads(unescape(order.partition("<pre>")[2].partition("</pre>")[0]))
    assert PlaceOrder.model_validate(example)


def test_an_address_that_is_not_served_names_those_that_look_like_it(given: Setter) -> None:
    client = create_app().test_client()
    found = client.get("/v1/buyer/reports", headers={"Accept-Language": "en"}).json
    assert found["code"] == "not_found"
    assert any(each.startswith("/v1/buyer/report") and "group_by" in each for each in found["nearest"])
    assert client.get("/wp-login.php").json.get("nearest") is None


def test_a_body_too_large_is_told_the_limit_in_the_language_asked_for(given: Setter) -> None:
    client = create_app().test_client()
    for language, word in (("en", "at most 1000000 bytes"), ("zh", "至多 1000000 字节")):
        answer = client.post(
            "/v1/auth/token", data=b" " * 1_000_001, content_type="application/json",
            headers={"Accept-Language": language},
        )  # fmt: skip
        assert (answer.status_code, answer.json["max_bytes"], answer.mimetype) == (413, 1_000_000, problems.MIMETYPE)
        assert word in answer.json["detail"]


CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_title_and_details_of_a_no_are_in_one_language(given: Setter, language: str) -> None:
    client = create_app().test_client()
    asked = (
        ("POST", "/v1/auth/token", {}),
        ("POST", "/v1/auth/token", {"login": "a", "email": "b@example.com", "password": "x"}),
        ("POST", "/v1/auth/token", {"login": 5, "password": "x" * 10_000, "odd": 1}),
        ("POST", "/v1/auth/token", []),
        ("GET", "/v1/public/listings?limit=0&cursor=x&odd=1", None),
        ("GET", "/v1/me", None),
        ("GET", "/nowhere", None),
        ("DELETE", "/v1/me", None),
    )
    for method, path, body in asked:
        answer = client.open(path, method=method, json=body, headers={"Accept-Language": language}).json
        told = [answer["title"], answer.get("detail", answer["title"])]
        told += [error["detail"] for error in answer.get("errors", ())]
        assert {bool(CHINESE.search(each)) for each in told} == {language != "en"}, answer


def test_a_rule_over_several_fields_points_at_each_of_them_in_both_languages() -> None:
    with pytest.raises(ValidationError) as error:
        Inspect.model_validate({})
    found = problems.from_validation(error.value, "body").errors
    assert [each["pointer"] for each in found] == ["/lines", "/accept_all"]
    assert {each["detail_zh"] for each in found} == {"lines 与 accept_all 须二选一"}


SHOP = Path(create_app.__code__.co_filename).parent


def refusal_names() -> set[str]:
    """The classes that say no, of every room."""
    for module in walk_packages(shop.__path__, "shop."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    found, left = set(), [Refusal]
    while left:
        one = left.pop()
        found.add(one.__name__)
        left += one.__subclasses__()
    return found


def sentences() -> Iterator[str]:
    """What the use cases say when they refuse, `{}` where facts stand; numbers and names stand for themselves."""
    names = refusal_names() | {"across"}
    for file in SHOP.rglob("*.py"):
        if {"standins", "cli", "demo", "sheets", "documents"} & set(file.parts):
            continue
        tree = ast.parse(file.read_text())
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = ast.unparse(node.func).rpartition(".")[2]
            if name not in names:
                continue
            said = node.args[1 if name == "across" else 0]
            for part in (said.body, said.orelse) if isinstance(said, ast.IfExp) else (said,):
                if isinstance(part, ast.Name):
                    yield str(constants.get(part.id, ""))
                elif isinstance(part, ast.Constant):
                    yield str(part.value)
                elif isinstance(part, ast.JoinedStr):
                    yield "".join(str(each.value) if isinstance(each, ast.Constant) else "{}" for each in part.values)


def test_every_sentence_of_a_no_has_its_chinese() -> None:
    told = set(sentences())
    assert len(told) > 60
    assert {each for each in told if " " in each and not in_chinese(each)} == set()
