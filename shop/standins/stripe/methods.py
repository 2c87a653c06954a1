"""The payment methods that exist in test mode, and what comes of paying with each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

TYPES = ("card", "alipay", "wechat_pay")
"""The types that this account has switched on, as under "payment methods" of a Stripe dashboard."""

REDIRECTING = frozenset({"alipay"})
"""Types that send the payer to another site, so that confirming needs a `return_url`."""

CAPTURED_LATER = frozenset({"card"})
"""Types that can be authorised now and captured later; the wallets take the money at once."""


class Outcome(StrEnum):
    SUCCEEDS = "succeeds"
    DECLINED = "declined"
    ASKS_THE_PAYER = "asks_the_payer"  # 3-D Secure of a card, the own page of a wallet


@dataclass(frozen=True)
class TestMethod:
    """One test payment method: its shape and its fate. Codes are those of Stripe's list of declines."""

    type: str
    outcome: Outcome
    brand: str = "visa"
    last4: str = "4242"
    country: str = "US"
    code: str = ""
    decline_code: str = ""
    message: str = ""


def _declined(last4: str, message: str, decline_code: str, code: str = "card_declined") -> TestMethod:
    return TestMethod("card", Outcome.DECLINED, last4=last4, code=code, decline_code=decline_code, message=message)


_GENERIC = _declined("0002", "Your card was declined.", "generic_decline")
_POOR = _declined("9995", "Your card has insufficient funds.", "insufficient_funds")

CARDS: dict[str, TestMethod] = {
    "pm_card_visa": TestMethod("card", Outcome.SUCCEEDS),
    "pm_card_mastercard": TestMethod("card", Outcome.SUCCEEDS, brand="mastercard", last4="4444"),
    "pm_card_unionpay": TestMethod("card", Outcome.SUCCEEDS, brand="unionpay", last4="0005", country="CN"),
    "pm_card_chargeDeclined": _GENERIC,
    "pm_card_visa_chargeDeclined": _GENERIC,
    "pm_card_chargeDeclinedInsufficientFunds": _POOR,
    "pm_card_visa_chargeDeclinedInsufficientFunds": _POOR,
    "pm_card_chargeDeclinedExpiredCard": _declined("0069", "Your card has expired.", "expired_card", "expired_card"),
    "pm_card_chargeDeclinedProcessingError": _declined(
        "0119",
        "An error occurred while processing your card. Try again in a little bit.",
        "processing_error",
        "processing_error",
    ),
    "pm_card_authenticationRequired": TestMethod("card", Outcome.ASKS_THE_PAYER, last4="3184"),
}

WALLETS: dict[str, TestMethod] = {
    "alipay": TestMethod("alipay", Outcome.ASKS_THE_PAYER),
    "wechat_pay": TestMethod("wechat_pay", Outcome.ASKS_THE_PAYER),
}
