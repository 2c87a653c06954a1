"""Who hears what: event → the use cases that act on it. `*` hears everything.

The webhook endpoints of organisations hear what they chose; that table is in the database (`shop.outbox.webhooks`).

A consumer's name is its module and function (`orders.confirm_on_terms`); deliveries carry that name, so renaming one
leaves its open deliveries to be parked and looked at, a day later (until then a newer worker may know it).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from shop.outbox.webhooks import CONSUMER as WEBHOOK
from workers import accounts, catalogue, files, jobs, notices, orders, payments, prices, recalls, storefront, webhooks

Consumer = Callable[..., Any]

SUBSCRIPTIONS: dict[str, tuple[Consumer, ...]] = {
    "order.placed": (orders.confirm_on_terms, notices.tell, notices.mail),
    "supplier_order.confirmed": (catalogue.add_sold,),
    "supplier_order.accepted": (notices.tell,),
    "supplier_order.shipped": (notices.tell,),
    "supplier_order.delivered": (notices.tell, notices.mail),
    "supplier_order.inspected": (payments.after_inspection,),
    "supplier_order.cancelled": (
        payments.after_cancellation,
        catalogue.take_back_sold,
        notices.tell,
        notices.mail,
    ),
    "supplier_order.confirmation_due": (notices.tell, notices.mail),
    "supplier_order.confirmation_overdue": (notices.tell, notices.mail),
    "supplier_order.shipment_due": (notices.tell,),
    "supplier_order.shipment_late": (notices.tell, notices.mail),
    "supplier_order.acceptance_due": (notices.tell, notices.mail),
    "supplier_order.acceptance_overdue": (notices.tell,),
    "supplier_order.accepted_silently": (notices.tell, notices.mail),
    "claim.raised": (notices.tell, notices.mail),
    "claim.contested": (notices.tell,),
    "claim.undefended": (notices.tell, notices.mail),
    "claim.closed": (payments.after_claim, notices.tell, notices.mail),
    "order_change.proposed": (notices.tell, notices.mail),
    "order_change.agreed": (notices.tell,),
    "order_change.refused": (notices.tell,),
    "order_change.withdrawn": (notices.tell,),
    "order_change.lapsed": (notices.tell,),
    "supplier_order.hold_lapsed": (notices.tell,),
    "supplier_order.supply_gone": (notices.tell, notices.mail),
    "supplier_order.supply_found": (notices.tell,),
    "inspection.signed": (notices.tell,),
    "inspection.returned": (notices.tell,),
    "inspection.lapsed": (notices.tell,),
    "order_photo.uploaded": (orders.make_photo,),
    "order_photo.refused": (notices.tell,),
    "application.returned": (notices.tell, notices.mail),
    "certificate.returned": (notices.tell,),
    "photo.uploaded": (catalogue.make_renditions,),
    "photo.removed": (catalogue.drop_renditions,),
    "photo.refused": (notices.tell,),
    "listing.paused": (storefront.land,),
    "listing.returned": (notices.tell,),
    "application.rejected": (notices.tell, notices.mail),
    "organisation.changed": (catalogue.follow_organisation, notices.tell),
    "organisation.closed": (catalogue.follow_right,),
    "listing.lapsed": (storefront.land, notices.tell, notices.mail),
    "selling_right.granted": (catalogue.follow_right, notices.tell, notices.mail),
    "selling_right.renewed": (
        catalogue.follow_right,
        notices.tell,
    ),
    "selling_right.reminded": (notices.tell, notices.mail),
    "selling_right.expired": (catalogue.follow_right, notices.tell, notices.mail),
    "selling_right.suspended": (catalogue.follow_right, notices.tell, notices.mail),
    "selling_right.reinstated": (
        catalogue.follow_right,
        notices.tell,
    ),
    "selling_right.revoked": (catalogue.follow_right, notices.tell, notices.mail),
    "listing.published": (prices.watch, storefront.land),
    "listing.changed": (prices.watch, storefront.land),
    "listing.resumed": (prices.watch, storefront.land),
    "listing.delisted": (prices.watch, storefront.land),
    "reference_prices.loaded": (prices.watch_all,),
    "price_mapping.changed": (prices.watch_all,),
    "prices.day_began": (prices.watch_all,),
    "price_alert.opened": (notices.tell, notices.mail),
    "price_alert.explained": (notices.tell,),
    "price_alert.decided": (notices.tell, notices.mail),
    "price_alert.closed": (notices.tell,),
    "price_alert.overdue": (notices.tell, notices.mail),
    "price_report.received": (notices.tell,),
    "price_report.decided": (notices.tell, notices.mail),
    "supply.allocated": (notices.tell, notices.mail),
    "recall.ordered": (recalls.stop_unshipped, recalls.halt_shipments, notices.tell_of_recall, notices.mail),
    "recall.released": (recalls.resume_shipments, notices.tell, notices.mail),
    "agent_mandate.registered": (catalogue.follow_mandate,),
    "agent_mandate.confirmed": (catalogue.follow_mandate,),
    "agent_mandate.began": (catalogue.follow_mandate,),
    "agent_mandate.expired": (catalogue.follow_mandate, notices.tell, notices.mail),
    "agent_mandate.revoked": (catalogue.follow_mandate, notices.tell, notices.mail),
    "charge.requested": (payments.ask_for_money,),
    "charge.succeeded": (payments.settle_what_is_paid,),
    "charge.withdrawn": (payments.end_at_gateway,),
    "charge.paid_twice": (payments.give_second_back,),
    "refund.requested": (payments.give_money_back,),
    "webhook.stored": (payments.apply_webhook,),
    "webhook_endpoint.disabled": (notices.tell, notices.mail),
    "job.requested": (jobs.run,),
    "file.dropped": (files.remove,),
    "person.invited": (accounts.send_invitation,),
    "confirmation.asked": (accounts.send_confirmation,),
    "registration.approved": (notices.tell, notices.mail),
    "registration.returned": (notices.tell, notices.mail),
    "unit_link.offered": (notices.tell,),
    "buying_mandate.proposed": (notices.tell,),
    "buying_mandate.active": (notices.tell,),
    "order.split_suspected": (notices.tell,),
    "requisition.submitted": (notices.tell,),
    "requisition.approved": (notices.tell,),
    "requisition.returned": (notices.tell,),
    "standing_order.ran": (notices.tell,),
    "standing_order.fell_short": (notices.tell, notices.mail),
    "agreement.proposed": (notices.tell, notices.mail),
    "agreement.accepted": (notices.tell, notices.mail),
    "agreement.declined": (notices.tell,),
    "agreement.withdrawn": (notices.tell,),
    "agreement.ended": (notices.tell, notices.mail),
    "quotation.requested": (notices.tell, notices.mail),
    "quotation.opened": (notices.tell, notices.mail),
    "quotation.awarded": (notices.tell, notices.mail),
    "quotation.closed": (notices.tell,),
    "quotation.cancelled": (notices.tell,),
    "quota.due": (notices.tell, notices.mail),
    "quota_filing.accepted": (notices.tell,),
    "quota_filing.returned": (notices.tell, notices.mail),
}


def name_of(consumer: Consumer) -> str:
    return f"{consumer.__module__.removeprefix('workers.')}.{consumer.__name__}"


@cache
def consumers() -> dict[str, Consumer]:
    """Every consumer by name."""
    return {name_of(consumer): consumer for heard in SUBSCRIPTIONS.values() for consumer in heard}


def consumer_of(name: str) -> Consumer:
    """The consumer of a delivery; every webhook endpoint is one, and all of them are sent by the same function."""
    return webhooks.send if name.startswith(WEBHOOK) else consumers()[name]


@cache
def calling_out() -> frozenset[str]:
    """The names of the consumers that speak to another party, who may be slow; the webhooks are others."""
    return frozenset(name for name, consumer in consumers().items() if getattr(consumer, "calls_out", False))


@cache
def subscriptions() -> Mapping[str, Sequence[str]]:
    """Event kind → names of its consumers."""
    return {kind: tuple(name_of(consumer) for consumer in heard) for kind, heard in SUBSCRIPTIONS.items()}
