"""The guard: what this version of Stripe's API takes, and what it would refuse."""

from __future__ import annotations

import pytest
import stripe
from stripe._payment_intent_service import PaymentIntentService

from shop.standins import stripe_guard
from shop.standins.stripe_guard import BadParams

NOWHERE = "http://127.0.0.1:9"
"""Nobody listens here: a call that passes the guard ends as APIConnectionError."""


@pytest.fixture(autouse=True)
def guarded() -> None:
    stripe_guard.install()


@pytest.fixture
def v1():
    return stripe.StripeClient("sk_test_1", base_addresses={"api": NOWHERE}, max_network_retries=0).v1


TAKEN = {
    "a card payment that is captured later": (
        "payment_intents.create",
        [
            {
                "amount": 12345,
                "currency": "cny",
                "allowed_payment_method_types": ["card", "alipay"],
                "capture_method": "manual",
                "metadata": {"order": "1"},
            }
        ],
    ),
    "a payment left to the dashboard": (
        "payment_intents.create",
        [{"amount": 1, "currency": "cny", "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}}],
    ),
    "a confirmation": ("payment_intents.confirm", ["pi_1", {"payment_method": "pm_1", "return_url": "http://x/"}]),
    "a partial capture": ("payment_intents.capture", ["pi_1", {"amount_to_capture": 40}]),
    "a cancellation": ("payment_intents.cancel", ["pi_1", {"cancellation_reason": "requested_by_customer"}]),
    "no parameters where none are required": ("payment_intents.cancel", ["pi_1"]),
    "a list by time": ("payment_intents.list", [{"created": {"gte": 1}, "limit": 100}]),
    "a list at one moment": ("payment_intents.list", [{"created": 1}]),
    "metadata that is cleared": ("payment_intents.update", ["pi_1", {"metadata": ""}]),
    "a refund": ("refunds.create", [{"payment_intent": "pi_1", "amount": 3, "reason": "requested_by_customer"}]),
    "a transfer": ("transfers.create", [{"amount": 9, "currency": "cny", "destination": "acct_1"}]),
    "a checkout session": (
        "checkout.sessions.create",
        [
            {
                "mode": "payment",
                "success_url": "http://s",
                "line_items": [
                    {
                        "quantity": 2,
                        "price_data": {"currency": "cny", "unit_amount": 5, "product_data": {"name": "盐源苹果"}},
                    }
                ],
            }
        ],
    ),
    "an idempotency key": (
        "refunds.create",
        [{"payment_intent": "pi_1"}, {"idempotency_key": "refund-1", "max_network_retries": 2}],
    ),
}

REFUSED = {
    "types that are no longer told": (
        "payment_intents.create",
        [{"amount": 1, "currency": "cny", "payment_method_types": ["card"]}],
        "payment_method_types: unknown parameter",
    ),
    "types that are no longer told to a checkout": (
        "checkout.sessions.create",
        [{"mode": "payment", "success_url": "http://s", "payment_method_types": ["card"]}],
        "payment_method_types: unknown parameter",
    ),
    "a type that does not exist": (
        "payment_intents.create",
        [{"amount": 1, "currency": "cny", "allowed_payment_method_types": ["wechat"]}],
        "allowed_payment_method_types[0]: 'wechat' is none of",
    ),
    "a misspelt parameter": (
        "payment_intents.create",
        [{"amount": 1, "currency": "cny", "amuont": 1}],
        "amuont: unknown parameter",
    ),
    "a misspelt parameter further in": (
        "payment_intents.create",
        [{"amount": 1, "currency": "cny", "transfer_data": {"destination": "acct_1", "ammount": 3}}],
        "transfer_data.ammount: unknown parameter",
    ),
    "a missing amount": ("payment_intents.create", [{"currency": "cny"}], "amount: missing parameter"),
    "a missing destination": (
        "transfers.create",
        [{"amount": 1, "currency": "cny"}],
        "destination: missing parameter",
    ),
    "an amount as text": (
        "payment_intents.create",
        [{"amount": "12345", "currency": "cny"}],
        "amount: '12345' is not int",
    ),
    "an amount that is no whole number": (
        "payment_intents.create",
        [{"amount": 123.45, "currency": "cny"}],
        "amount: 123.45 is not int",
    ),
    "a truth value as an amount": ("refunds.create", [{"payment_intent": "pi_1", "amount": True}], "True is not int"),
    "metadata that is no text": (
        "payment_intents.create",
        [{"amount": 1, "currency": "cny", "metadata": {"order": 17}}],
        "metadata",
    ),
    "an invented capture method": (
        "payment_intents.create",
        [{"amount": 1, "currency": "cny", "capture_method": "later"}],
        "capture_method: 'later' is none of",
    ),
    "an invented reason": (
        "refunds.create",
        [{"payment_intent": "pi_1", "reason": "spoilt"}],
        "reason: 'spoilt' is none of",
    ),
    "a list by metadata": ("payment_intents.list", [{"metadata": {"a": "1"}}], "metadata: unknown parameter"),
    "the key among the parameters": (
        "refunds.create",
        [{"payment_intent": "pi_1", "idempotency_key": "refund-1"}],
        "idempotency_key: unknown parameter",
    ),
    "a misspelt option": (
        "refunds.create",
        [{"payment_intent": "pi_1"}, {"idempotence_key": "refund-1"}],
        "options.idempotence_key: unknown parameter",
    ),
}


def call(v1, path: str, arguments: list) -> None:
    method = v1
    for step in path.split("."):
        method = getattr(method, step)
    method(*arguments)


@pytest.mark.parametrize("case", TAKEN)
def test_the_guard_lets_a_right_call_go_out(v1, case):
    path, arguments = TAKEN[case]
    with pytest.raises(stripe.APIConnectionError):
        call(v1, path, arguments)


@pytest.mark.parametrize("case", REFUSED)
def test_the_guard_stops_a_wrong_call_before_it_is_sent(v1, case):
    path, arguments, because = REFUSED[case]
    with pytest.raises(BadParams) as refusal:
        call(v1, path, arguments)
    assert because in str(refusal.value)


def test_installing_twice_guards_each_method_once():
    before = PaymentIntentService.create
    assert stripe_guard.install() == stripe_guard.install() > 1000
    assert PaymentIntentService.create is before
    assert not hasattr(before.__wrapped__, stripe_guard._MARK)


def test_the_guard_finds_the_types_of_every_method():
    found = 0
    for service in stripe_guard._below(stripe_guard.StripeService):
        for method in vars(service).values():
            if hasattr(method, stripe_guard._MARK):
                name = stripe_guard._name_of_params(method.__wrapped__)
                expected = stripe_guard._params_type(service.__module__, name)
                assert expected.__name__ == name
                found += 1
    assert found == stripe_guard.install()


def test_two_services_with_calls_of_one_name_have_their_own_types():
    issuing = stripe_guard._params_type("stripe.issuing._transaction_service", "TransactionListParams")
    treasury = stripe_guard._params_type("stripe.treasury._transaction_service", "TransactionListParams")
    assert "cardholder" in stripe_guard._fields(issuing)
    assert "financial_account" in stripe_guard._fields(treasury)
