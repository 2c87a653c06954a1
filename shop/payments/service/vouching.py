"""The bank's voucher of a transfer that is on its way: the order's supply is held for longer, once."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.errors import NotFound, Refusal
from shop.files import service as files
from shop.orders.models import SupplierOrder
from shop.orders.service import holding_on
from shop.outbox import service as outbox
from shop.payments.models import Charge, ChargeStatus, Method, TransferVoucher
from shop.payments.queries import locked_parts


class VoucherNotWanted(Refusal):
    """This payment is no transfer that is waited for; `is_now` says how it stands."""

    code, status = "voucher_not_wanted", 409
    title, title_zh = "No transfer is waited for here.", "该付款单不需要汇款凭证。"


class VoucherThere(Refusal):
    """A voucher was handed in for this notice before."""

    code, status = "voucher_there", 409
    title, title_zh = "A voucher was handed in before.", "该付款单已提交过汇款凭证。"


def hand_in(session: Session, *, actor: Actor, charge_id: UUID, file_id: UUID, now: datetime) -> TransferVoucher:
    """Keep the voucher with its notice, and hold for longer what is held still.

    NotFound for what is another's, VoucherNotWanted, VoucherThere.
    It is evidence, and no money: the order goes on when the platform's bank has received it.
    """
    charge = session.scalars(
        select(Charge)
        .where(Charge.id == charge_id, Charge.buyer_id == actor.organisation_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()
    if charge is None:
        raise NotFound("No such payment of yours.")
    if charge.method != Method.BANK_TRANSFER or charge.status != ChargeStatus.PENDING:
        raise VoucherNotWanted(is_now=charge.status)
    if session.get(TransferVoucher, charge.id) is not None:
        raise VoucherThere
    files.keep(session, organisation_id=actor.organisation_id, file_ids=[file_id])
    row = TransferVoucher(
        charge_id=charge.id, buyer_id=charge.buyer_id, file_id=file_id, by_user_id=actor.user_id, at=now
    )
    session.add(row)
    session.flush()
    locked_parts(session, SupplierOrder.id.in_(charge.parts))
    holding_on.vouched(session, part_ids=charge.parts, now=now)
    outbox.announce(session, "charge.vouched", now=now, seen_by=[charge.buyer_id], charge_id=charge.id)
    return row
