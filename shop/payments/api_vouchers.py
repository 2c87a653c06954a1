"""Vouchers of transfers that are on their way."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.actor import Actor, Audience, Role
from shop.errors import Invalid, NotFound
from shop.files import service as files
from shop.files.models import StoredFile
from shop.http import cursors
from shop.http.routes import REQUIRED, PageQuery, Routes, roles
from shop.ids import ChargeId
from shop.payments.models import Charge, ChargeStatus, TransferVoucher
from shop.payments.schemas import HandInVoucher, VoucherOut, VoucherPage
from shop.payments.service import vouching

routes = Routes("/v1", tag="Payments")


def voucher_out(voucher: TransferVoucher, charge: Charge, file: StoredFile) -> VoucherOut:
    return VoucherOut(
        charge_id=charge.id,
        order_id=charge.order_id,
        buyer_id=charge.buyer_id,
        reference=charge.reference,
        amount_fen=charge.amount_fen,
        status=charge.status,
        name=file.name,
        link=files.link(file),
        handed_in_by=voucher.by_user_id,
        handed_in_at=voucher.at.isoformat(),
    )


@routes.post(
    "/buyer/payments/<charge_id>/voucher",
    allow=roles(Role.REQUESTER, Role.FINANCE, Role.MANAGER, of=Audience.BUYER),
    answers={201: VoucherOut},
    refusals=(NotFound, vouching.VoucherNotWanted, vouching.VoucherThere),
    key=REQUIRED,
)
def hand_in_voucher(
    session: Session, actor: Actor, now: datetime, charge_id: ChargeId, body: HandInVoucher
) -> VoucherOut:
    """Hand in the bank's voucher of a transfer: the order's supply, if it is held still, is held for longer."""
    voucher = vouching.hand_in(session, actor=actor, charge_id=charge_id, file_id=body.file_id, now=now)
    return voucher_out(
        voucher, session.get_one(Charge, voucher.charge_id), session.get_one(StoredFile, voucher.file_id)
    )


@routes.get(
    "/admin/transfer-vouchers",
    allow=roles(Role.OPERATOR, of=Audience.ADMIN),
    answers={200: VoucherPage},
    refusals=(Invalid,),
)
def list_vouchers(session: Session, query: PageQuery) -> VoucherPage:
    """Vouchers of transfers that the bank has not received yet, the oldest notice first."""
    name = "transfer vouchers"
    wanted = (
        select(TransferVoucher, Charge, StoredFile)
        .join(Charge, Charge.id == TransferVoucher.charge_id)
        .join(StoredFile, StoredFile.id == TransferVoucher.file_id)
        .where(Charge.status == ChargeStatus.PENDING)
        .order_by(Charge.id)
        .limit(query.limit + 1)
    )
    if query.cursor:
        wanted = wanted.where(Charge.id > cursors.decode_id(name, query.cursor))
    found = session.execute(wanted).all()
    page, following = cursors.cut(name, found, query.limit, id_of=lambda row: row[1].id)
    return VoucherPage(items=[voucher_out(*row) for row in page], next=following)
