"""Who hears what: event → the use cases that act on it. `*` hears everything.

A consumer's name is its module and function (`orders.confirm_on_terms`); deliveries carry that name, so renaming one
leaves its open deliveries to be parked and looked at.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from workers import logistics, orders, payments

Consumer = Callable[..., Any]

SUBSCRIPTIONS: dict[str, tuple[Consumer, ...]] = {
    "order.placed": (orders.confirm_on_terms,),
    "supplier_order.inspected": (payments.after_inspection,),
    "supplier_order.cancelled": (payments.after_cancellation,),
    "charge.requested": (payments.ask_for_money,),
    "charge.succeeded": (payments.settle_what_is_paid,),
    "refund.requested": (payments.give_money_back,),
    "webhook.stored": (payments.apply_webhook,),
}


def name_of(consumer: Consumer) -> str:
    return f"{consumer.__module__.removeprefix('workers.')}.{consumer.__name__}"


@cache
def consumers() -> dict[str, Consumer]:
    """Every consumer by name."""
    found = {name_of(consumer): consumer for heard in SUBSCRIPTIONS.values() for consumer in heard}
    assert logistics is not None
    return found


@cache
def subscriptions() -> Mapping[str, Sequence[str]]:
    """Event kind → names of its consumers."""
    return {kind: tuple(name_of(consumer) for consumer in heard) for kind, heard in SUBSCRIPTIONS.items()}
