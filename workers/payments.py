"""What the workers do about money."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from shop.clock import business_now
from shop.orders.models import SupplierOrder
from shop.outbox import service as outbox
from shop.payments.models import Charge, RefundReason
from shop.payments.service import charging, gateway_work, refunding, settling, webhooks


def after_inspection(
    session: Session, *, supplier_order_id: UUID, order_id: UUID, acceptance_id: UUID, **_newer: Any
) -> None:
    """Give back what was paid and not accepted, and pay the cooperative when the money is in."""
    now = business_now(session)
    refunding.after_inspection(session, supplier_order_id=supplier_order_id, acceptance_id=acceptance_id, now=now)
    settling.settle_order(session, order_id=order_id, now=now)


def after_cancellation(session: Session, *, supplier_order_id: UUID, **_newer: Any) -> None:
    """Give back what was paid for a cancelled part, and take back the notice that asks for it."""
    part = session.get_one(SupplierOrder, supplier_order_id)
    charging.withdraw_notices(session, part.order_id, "cancelled", part=part.id)
    refunding.after_cancellation(session, supplier_order_id=supplier_order_id, now=business_now(session))


def after_claim(
    session: Session, *, supplier_order_id: UUID, order_id: UUID, correction_id: UUID | None = None, **_newer: Any
) -> None:
    """Give back what was paid and is taken back, take back the notice that asks for it, and settle what waited."""
    now = business_now(session)
    if correction_id is not None:
        part = session.get_one(SupplierOrder, supplier_order_id)
        charging.withdraw_notices(session, order_id, "corrected", part=part.id)
        refunding.give_back_over(session, part, correction_id, RefundReason.CORRECTED, now)
    settling.settle_order(session, order_id=order_id, now=now)


def settle_what_is_paid(session: Session, *, charge_id: UUID, **_newer: Any) -> None:
    """Pay the cooperatives whose goods were accepted before the buyer paid."""
    charge = session.get_one(Charge, charge_id)
    settling.settle_order(session, order_id=charge.order_id, now=business_now(session))


def apply_webhook(session: Session, *, webhook: str, **_newer: Any) -> None:
    """Make of a stored event what it means to us."""
    webhooks.apply(session, webhook)


def ask_for_money(taken: outbox.Claim, *, charge_id: UUID, **_newer: Any) -> None:
    """Take the money of a charge at the gateway."""
    gateway_work.charge(charge_id)
    with outbox.working(taken) as session:
        outbox.finish(session, taken)


def end_at_gateway(taken: outbox.Claim, *, charge_id: UUID, **_newer: Any) -> None:
    """End at the gateway a charge that made way for another one."""
    gateway_work.withdraw(charge_id)
    with outbox.working(taken) as session:
        outbox.finish(session, taken)


def give_money_back(taken: outbox.Claim, *, refund_id: UUID, **_newer: Any) -> None:
    """Give the money of a refund back."""
    gateway_work.refund(refund_id)
    with outbox.working(taken) as session:
        outbox.finish(session, taken)


def give_second_back(taken: outbox.Claim, *, charge_id: UUID, payment: str, **_newer: Any) -> None:
    """Give back what was taken for a charge beside the payment that is kept for it."""
    gateway_work.give_back_second(charge_id, payment)
    with outbox.working(taken) as session:
        outbox.finish(session, taken)


ask_for_money.calls_out = True  # type: ignore[attr-defined]
end_at_gateway.calls_out = True  # type: ignore[attr-defined]
give_money_back.calls_out = True  # type: ignore[attr-defined]
give_second_back.calls_out = True  # type: ignore[attr-defined]
