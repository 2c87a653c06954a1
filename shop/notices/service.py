"""Tell organisations what happened, on the page and by mail."""

import re
import smtplib
import ssl
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from config.settings import settings
from shop.actor import Actor, Audience
from shop.ids import new_id
from shop.notices.models import Notice

TEXTS = {
    "order.placed": ("有新订单，请尽快确认接单。", "A new order is waiting for you to accept it."),
    "supplier_order.accepted": ("供应商已接单。", "The cooperative has accepted your order."),
    "supplier_order.shipped": ("订单已发货，可查看物流。", "Your order is on its way."),
    "supplier_order.delivered": ("订单已送达，请验收。", "Your order has arrived; please inspect it."),
    "supplier_order.cancelled": ("订单已取消。", "The order was cancelled."),
    "supplier_order.confirmation_due": (
        "有订单尚未确认接单，请在期限前确认。",
        "An order still waits for you to accept it; its time is almost over.",
    ),
    "supplier_order.confirmation_overdue": (
        "供应商逾期未确认接单，仍不确认的，订单将自动取消。",
        "The cooperative has not accepted the order in time; it is cancelled if that does not follow.",
    ),
    "supplier_order.shipment_due": ("订单即将到期未发货，请尽快发货。", "An order is to be shipped soon."),
    "supplier_order.shipment_late": ("订单逾期未发货。", "An order was not shipped in time."),
    "supplier_order.acceptance_due": (
        "有到货尚未验收，请在期限前验收；逾期未验收的，视为全部合格。",
        "A delivery still waits to be inspected; when its time is over, all of it counts as accepted.",
    ),
    "supplier_order.acceptance_overdue": ("到货逾期未验收。", "A delivery was not inspected in time."),
    "supplier_order.accepted_silently": (
        "到货逾期未验收，已按默示验收处理，全部计为合格。",
        "Nobody inspected the delivery in time, so all that was shipped counts as accepted.",
    ),
    "claim.raised": (
        "有售后申请，请在期限前答复；逾期未答复的，由平台裁决。",
        "A buyer claims against a delivery; answer in time, or the platform decides without you.",
    ),
    "claim.contested": ("供应商对售后申请有异议，等待平台裁决。", "A claim is contested; the platform decides it."),
    "claim.undefended": (
        "售后申请逾期未获答复，等待平台裁决。",
        "A claim was not answered in time; the platform decides it.",
    ),
    "claim.closed": ("售后申请已办结。", "A claim is closed."),
    "order_change.proposed": (
        "对方提议变更一份尚未接单的订单，请在期限前答复；答复前该订单不能接单。",
        "A change of an order is proposed; answer in time, since it is not accepted before that.",
    ),
    "order_change.agreed": ("订单变更已获同意并生效。", "A change of an order was agreed to and holds."),
    "order_change.refused": ("订单变更未获同意，订单不变。", "A change of an order was refused; it stays as it is."),
    "order_change.withdrawn": ("订单变更已撤回，订单不变。", "A change of an order was withdrawn; it stays as it is."),
    "order_change.lapsed": (
        "订单变更逾期未获答复，已失效，订单不变。",
        "A change of an order was not answered in time; it stays as it is.",
    ),
    "supplier_order.hold_lapsed": (
        "订单逾期未付款，已不再为其保留供应量；仍可付款，付款时有货即重新保留。",
        "Supply is no longer held for an order that is not paid; it can still be paid, and takes what is there then.",
    ),
    "supplier_order.supply_gone": (
        "款项已到账，但供应量已售完，请选择等待补货或退款；逾期未选择的，自动退款。",
        "Your payment came when the supply was gone: wait for more or have it back; it goes back if you do not choose.",
    ),
    "supplier_order.supply_found": (
        "等待的供应量已补足，订单继续执行。",
        "There is supply for your order; it goes on.",
    ),
    "inspection.signed": ("有验收记录等待第二人签字。", "An inspection waits for its second signature."),
    "inspection.returned": ("验收记录被退回，请重新验收。", "An inspection was not countersigned; inspect anew."),
    "inspection.lapsed": (
        "验收记录逾期无第二人签字，已失效，请重新验收。",
        "Nobody countersigned an inspection in time; inspect anew.",
    ),
    "order_photo.refused": ("照片无法处理，请重新上传。", "A photo could not be read; please upload another."),
    "recall.ordered": (
        "有批次被召回，请立即停止食用并查看召回详情。",
        "A lot is recalled: stop using it and read the recall.",
    ),
    "recall.released": ("召回已解除。", "The recall was released."),
    "supply.allocated": (
        "产量不足，已按公示规则分配，请查看贵单位所得份额及依据。",
        "A harvest fell short and was shared by the declared rule; read your share and its reason.",
    ),
    "application.returned": ("入驻申请已退回，请按意见修改。", "Your application was returned; please correct it."),
    "certificate.returned": ("证书审核未通过，请修改。", "A certificate was returned; please correct it."),
    "photo.refused": ("照片无法处理，请重新上传。", "A photo could not be read; please upload another."),
    "listing.returned": ("商品审核未通过，请按意见修改。", "A listing was returned; please correct it."),
    "listing.lapsed": (
        "商品报价已到期并下架，请更新价格。",
        "The price of a listing has run out; please name another.",
    ),
    "application.rejected": (
        "入驻申请未获通过，可按意见重新申请。",
        "Your application was rejected; the reason is with it, and you may apply again.",
    ),
    "organisation.changed": ("平台更正了贵单位的登记信息。", "The platform has corrected your organisation's record."),
    "selling_right.granted": ("已取得销售资格。", "You have the right to sell."),
    "selling_right.renewed": ("销售资格已续期。", "Your right to sell was renewed."),
    "selling_right.reminded": (
        "销售资格即将到期，请办理年度复核。",
        "Your right to sell ends soon; begin the yearly re-check.",
    ),
    "selling_right.expired": (
        "销售资格已到期，暂停接受新订单。",
        "Your right to sell has ended; new orders have stopped.",
    ),
    "selling_right.suspended": (
        "销售资格已暂停，在途订单继续履行。",
        "Your right to sell is suspended; open orders run on.",
    ),
    "selling_right.reinstated": ("销售资格已恢复。", "Your right to sell is back."),
    "selling_right.revoked": (
        "销售资格已取消，在途订单继续履行。",
        "Your right to sell was revoked; open orders run on.",
    ),
    "agent_mandate.expired": (
        "代理委托已到期，相关商品已下架。",
        "A mandate to sell as an agent has run out; what it named is off the shelves.",
    ),
    "agent_mandate.revoked": (
        "代理委托已终止，相关商品已下架。",
        "A mandate to sell as an agent was ended; what it named is off the shelves.",
    ),
    "webhook_endpoint.disabled": (
        "回调地址多次投递失败，已停用。",
        "A webhook failed too often and is disabled.",
    ),
    "registration.approved": ("注册申请已通过审核，可以下单。", "Your organisation is approved and may order."),
    "registration.returned": (
        "注册申请被退回，请修改后重新提交。",
        "Your registration was returned; please correct it.",
    ),
    "unit_link.offered": (
        "有单位邀请贵单位接受其主管，请答复。",
        "A unit offers to supervise one of yours; please answer.",
    ),
    "buying_mandate.proposed": (
        "有工会登记为贵单位所属，请确认。",
        "A union names a unit of yours; please confirm it.",
    ),
    "buying_mandate.active": ("代购授权已登记。", "A mandate to buy for a unit was recorded."),
    "order.split_suspected": (
        "同一人近日多次下单合计超过其限额，请核实是否拆单。",
        "Orders of one member add up to more than that member may order alone.",
    ),
    "requisition.submitted": ("有采购申请待审批。", "A requisition waits for an approval."),
    "requisition.approved": ("采购申请已审批通过，可以下单。", "A requisition is approved and may be placed."),
    "requisition.returned": ("采购申请被退回，请修改。", "A requisition was returned; please correct it."),
    "standing_order.ran": ("周期订单已按期执行。", "A standing order was ordered as listed."),
    "standing_order.fell_short": (
        "周期订单本期有未能订购的内容，请查看执行结果。",
        "A standing order could not order all of its list; see what became of it.",
    ),
    "agreement.proposed": (
        "对方提出了框架协议，请答复。",
        "A framework agreement is proposed to you; please answer.",
    ),
    "agreement.accepted": ("框架协议已被接受，协议价格生效。", "Your framework agreement was accepted."),
    "agreement.declined": ("框架协议提议未被接受。", "Your framework agreement was declined."),
    "agreement.withdrawn": ("对方撤回了框架协议提议。", "A proposed framework agreement was taken back."),
    "agreement.ended": (
        "框架协议已被对方终止，此后订单不再适用协议价格。",
        "A framework agreement was ended by the other side; new orders have other prices.",
    ),
    "quotation.requested": (
        "有单位向贵单位询价，请在截止时间前报价。",
        "You are asked for a quote; please answer in time.",
    ),
    "quotation.opened": (
        "询价已截止，可查看并比较报价。",
        "A deadline has passed; the quotes can be read and compared.",
    ),
    "quotation.awarded": ("贵单位的报价已中选。", "Your quote was awarded."),
    "quotation.closed": (
        "询价已结束，贵单位的报价未中选。",
        "A request for quotation ended; your quote was not chosen.",
    ),
    "quotation.cancelled": ("询价已取消。", "A request for quotation was cancelled."),
    "quota.due": ("年度预留份额尚未填报，请按期填报。", "The year's quota has not been filed; please file it in time."),
    "quota_filing.accepted": ("预留份额申报已通过。", "Your quota filing was accepted."),
    "quota_filing.returned": ("预留份额申报被退回，请修改。", "Your quota filing was returned; please correct it."),
    "price_alert.opened": (
        "商品价格高于允许范围，请说明原因或降价。",
        "A price is above what the rule allows; explain it or lower it.",
    ),
    "price_alert.explained": (
        "供应商已说明价格原因，请审核。",
        "A cooperative has explained its price; please decide.",
    ),
    "price_alert.decided": ("价格预警已处理：须按期降价。", "A price is to be lowered by a day."),
    "price_alert.closed": ("价格预警已结束。", "A price alert is closed."),
    "price_alert.overdue": ("价格预警已逾期。", "A price alert is overdue."),
    "price_report.received": ("收到价格举报。", "A price was reported."),
    "price_report.decided": ("贵单位的价格举报已有答复。", "Your report of a price has its answer."),
}
"""Which events are told, in Chinese and English."""

EVERYBODY = frozenset({Audience.BUYER, Audience.COOPERATIVE, Audience.ADMIN})
TOLD = {
    "order.placed": frozenset({Audience.COOPERATIVE}),
    "supplier_order.accepted": frozenset({Audience.BUYER}),
    "supplier_order.shipped": frozenset({Audience.BUYER}),
    "supplier_order.delivered": frozenset({Audience.BUYER}),
    "supplier_order.cancelled": frozenset({Audience.BUYER, Audience.COOPERATIVE}),
    "supplier_order.confirmation_due": frozenset({Audience.COOPERATIVE}),
    "supplier_order.confirmation_overdue": frozenset({Audience.BUYER, Audience.COOPERATIVE}),
    "supplier_order.shipment_due": frozenset({Audience.COOPERATIVE}),
    "supplier_order.shipment_late": frozenset({Audience.BUYER, Audience.COOPERATIVE}),
    "supplier_order.acceptance_due": frozenset({Audience.BUYER}),
    "supplier_order.acceptance_overdue": frozenset({Audience.BUYER, Audience.COOPERATIVE}),
    "supplier_order.accepted_silently": frozenset({Audience.BUYER, Audience.COOPERATIVE}),
    "claim.raised": frozenset({Audience.COOPERATIVE}),
    "claim.contested": frozenset({Audience.BUYER, Audience.ADMIN}),
    "claim.undefended": frozenset({Audience.BUYER, Audience.COOPERATIVE, Audience.ADMIN}),
    "claim.closed": frozenset({Audience.BUYER, Audience.COOPERATIVE}),
    **{
        f"supplier_order.{what}": frozenset({Audience.BUYER}) for what in ("hold_lapsed", "supply_gone", "supply_found")
    },
    **{
        f"order_change.{what}": frozenset({Audience.BUYER, Audience.COOPERATIVE})
        for what in ("proposed", "agreed", "refused", "withdrawn", "lapsed")
    },
    "inspection.signed": frozenset({Audience.BUYER}),
    "inspection.returned": frozenset({Audience.BUYER}),
    "inspection.lapsed": frozenset({Audience.BUYER}),
    "order_photo.refused": frozenset({Audience.BUYER, Audience.COOPERATIVE}),
    "recall.ordered": frozenset({Audience.BUYER, Audience.COOPERATIVE}),
    "recall.released": frozenset({Audience.BUYER, Audience.COOPERATIVE}),
    "supply.allocated": frozenset({Audience.BUYER}),
    "application.returned": frozenset({Audience.COOPERATIVE}),
    "listing.returned": frozenset({Audience.COOPERATIVE}),
    "certificate.returned": frozenset({Audience.COOPERATIVE}),
    "photo.refused": frozenset({Audience.COOPERATIVE}),
    "listing.lapsed": frozenset({Audience.COOPERATIVE}),
    "application.rejected": frozenset({Audience.COOPERATIVE}),
    "organisation.changed": frozenset({Audience.BUYER, Audience.COOPERATIVE}),
    **{
        f"selling_right.{what}": frozenset({Audience.COOPERATIVE})
        for what in ("granted", "renewed", "reminded", "expired", "suspended", "reinstated", "revoked")
    },
    "agent_mandate.expired": frozenset({Audience.COOPERATIVE}),
    "agent_mandate.revoked": frozenset({Audience.COOPERATIVE}),
    "webhook_endpoint.disabled": EVERYBODY,
    "registration.approved": frozenset({Audience.BUYER}),
    "registration.returned": frozenset({Audience.BUYER}),
    "unit_link.offered": frozenset({Audience.BUYER}),
    "buying_mandate.proposed": frozenset({Audience.BUYER}),
    "buying_mandate.active": frozenset({Audience.BUYER}),
    "order.split_suspected": frozenset({Audience.BUYER}),
    "requisition.submitted": frozenset({Audience.BUYER}),
    "requisition.approved": frozenset({Audience.BUYER}),
    "requisition.returned": frozenset({Audience.BUYER}),
    "standing_order.ran": frozenset({Audience.BUYER}),
    "standing_order.fell_short": frozenset({Audience.BUYER}),
    **{
        f"agreement.{what}": frozenset({Audience.BUYER, Audience.COOPERATIVE})
        for what in ("proposed", "accepted", "declined", "withdrawn", "ended")
    },
    "quotation.opened": frozenset({Audience.BUYER}),
    **{
        f"quotation.{what}": frozenset({Audience.COOPERATIVE})
        for what in ("requested", "awarded", "closed", "cancelled")
    },
    "quota.due": frozenset({Audience.BUYER}),
    "quota_filing.accepted": frozenset({Audience.BUYER}),
    "quota_filing.returned": frozenset({Audience.BUYER}),
    "price_alert.opened": frozenset({Audience.COOPERATIVE}),
    "price_alert.explained": frozenset({Audience.ADMIN}),
    "price_alert.decided": frozenset({Audience.COOPERATIVE}),
    "price_alert.closed": frozenset({Audience.COOPERATIVE}),
    "price_alert.overdue": frozenset({Audience.COOPERATIVE, Audience.ADMIN}),
    "price_report.received": frozenset({Audience.ADMIN}),
    "price_report.decided": frozenset({Audience.BUYER}),
}
"""Which side of those who may see an event is told of it."""

MAILED = frozenset(
    {
        "order.placed",
        "supplier_order.delivered",
        "supplier_order.cancelled",
        "claim.raised",
        "claim.undefended",
        "claim.closed",
        "supplier_order.confirmation_due",
        "supplier_order.confirmation_overdue",
        "supplier_order.shipment_late",
        "supplier_order.acceptance_due",
        "supplier_order.accepted_silently",
        "supplier_order.supply_gone",
        "order_change.proposed",
        "recall.ordered",
        "recall.released",
        "supply.allocated",
        "webhook_endpoint.disabled",
        "registration.approved",
        "registration.returned",
        "standing_order.fell_short",
        "agreement.proposed",
        "agreement.accepted",
        "agreement.ended",
        "quotation.requested",
        "quotation.opened",
        "quotation.awarded",
        "quota.due",
        "quota_filing.returned",
        "application.returned",
        "listing.lapsed",
        "application.rejected",
        "agent_mandate.expired",
        "agent_mandate.revoked",
        "selling_right.granted",
        "selling_right.reminded",
        "selling_right.expired",
        "selling_right.suspended",
        "selling_right.revoked",
        "price_alert.opened",
        "price_alert.decided",
        "price_alert.overdue",
        "price_report.decided",
    }
)
SECONDS = 10


def tell(session: Session, *, subjects: Mapping[UUID, str], source_id: UUID, kind: str, at: datetime) -> None:
    """Tell organisations of an event, once each; `subjects` says for each what it is about, as a public id."""
    text, text_en = TEXTS[kind]
    rows = [
        {
            "id": new_id(),
            "organisation_id": organisation,
            "source_id": source_id,
            "kind": kind,
            "subject": subject,
            "text": text,
            "text_en": text_en,
            "at": at,
        }
        for organisation, subject in sorted(subjects.items())
    ]
    if rows:
        session.execute(insert(Notice).on_conflict_do_nothing(), rows)


def mark_read(session: Session, actor: Actor, notice_ids: Sequence[UUID]) -> int:
    """Mark notices of the actor's organisation as read; gives how many were not before."""
    changed = session.scalars(
        update(Notice)
        .where(
            Notice.id.in_(notice_ids),
            Notice.organisation_id == actor.organisation_id,
            Notice.read_at.is_(None),
        )
        .values(read_at=func.clock_timestamp())
        .returning(Notice.id)
    ).all()
    return len(changed)


def of_organisation(session: Session, actor: Actor, *, before: UUID | None, limit: int) -> Sequence[Notice]:
    """The organisation's notices, newest first."""
    wanted = select(Notice).where(Notice.organisation_id == actor.organisation_id)
    if before:
        wanted = wanted.where(Notice.id < before)
    return session.scalars(wanted.order_by(Notice.id.desc()).limit(limit)).all()


def mail_of(kind: str, subject: str) -> tuple[str, str]:
    """Subject line and text of the mail about an event, in both languages."""
    text, text_en = TEXTS[kind]
    return f"{text} {text_en}", f"{text}\n{text_en}\n\n{subject}\n{settings().public_url}\n"


def send_mail(*, to: str, subject: str, body: str, message_id: str, at: datetime) -> None:
    """Send one mail: by SMTP where it is set, else as a file in the folder of the embedded start.

    `message_id` names the mail, so that a mail which is sent twice is one mail to a careful reader and one file here.
    """
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = settings().mail_from, to, subject
    message["Message-ID"] = f"<{message_id}@{settings().mail_from.rpartition('@')[2]}>"
    message["Date"] = format_datetime(at)
    message.set_content(body)
    address = urlsplit(settings().smtp_url)
    if not address.hostname:
        folder = settings().var / "mail"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / (re.sub(r"[^\w.-]", "_", message_id) + ".eml")).write_bytes(message.as_bytes())
        return
    tls = ssl.create_default_context()
    if address.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(address.hostname, address.port or 465, timeout=SECONDS, context=tls)
    else:
        server = smtplib.SMTP(address.hostname, address.port or 25, timeout=SECONDS)
    with server:
        if address.username:
            if address.scheme != "smtps":
                server.starttls(context=tls)  # a password is never sent in the open
            server.login(unquote(address.username), unquote(address.password or ""))
        server.send_message(message)
