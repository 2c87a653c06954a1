"""A buyer reports a price: the report has a state of its own, and gathers with others under the listing's alert."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.audit import service as audit
from shop.catalogue.monitoring import queries
from shop.catalogue.monitoring.models import AlertStatus, PriceReport, ReportStatus
from shop.catalogue.monitoring.schemas import NewPriceReport
from shop.catalogue.monitoring.service.checking import check
from shop.catalogue.monitoring.service.watching import open_alerts
from shop.clock import business_day
from shop.db import seeing_all
from shop.errors import Invalid, NotFound, Refusal
from shop.files import service as files
from shop.ids import new_id
from shop.ledger.service import PLATFORM_ID
from shop.outbox import service as outbox

SEEN_WITHIN = timedelta(days=365)


class AlreadyReported(Refusal):
    code, status = "already_reported", 409
    title, title_zh = "You have reported this price, and it is being looked into.", "贵单位已举报该价格，正在处理。"


def report(session: Session, *, by: Actor, wanted: NewPriceReport, now: datetime) -> UUID:
    """Record a report and give its id; the first of a listing opens its alert, others gather under it."""
    today = business_day(now)
    if not today - SEEN_WITHIN <= wanted.seen_on <= today:
        raise Invalid("The day lies within the last year.", pointer="/seen_on")
    if not queries.on_sale(session, wanted.listing_id):
        raise NotFound("No such listing on sale.", pointer="/listing_id")
    if wanted.file_id is not None:
        files.keep(session, organisation_id=by.organisation_id, file_ids=[wanted.file_id])
    said = check(session, [wanted.listing_id], now=now)[wanted.listing_id]
    with seeing_all(session):  # the alert is the cooperative's row
        open_alerts(session, [said], opened_by="report", by=by, now=now)
        alert = queries.unsettled(session, [wanted.listing_id])[wanted.listing_id]
    looked_at = alert.status != AlertStatus.REPORTED
    made = session.execute(
        upsert(PriceReport)
        .values(
            id=new_id(), alert_id=alert.id, buyer_id=by.organisation_id, reported_by_user_id=by.user_id,
            status=ReportStatus.UNDER_REVIEW if looked_at else ReportStatus.RECEIVED, price_fen=said.price_fen,
            received_at=now, review_at=now if looked_at else None,
            **{name: getattr(wanted, name) for name in NewPriceReport.model_fields},
        )
        .on_conflict_do_nothing()
        .returning(PriceReport.id)
    ).scalar_one_or_none()  # fmt: skip
    if made is None:
        raise AlreadyReported
    audit.record(
        session, by=by, action="price_report.received", kind="price_report", subject=made, now=now,
        listing_id=wanted.listing_id.hex, alert_id=alert.id.hex, price_fen=said.price_fen, seen_fen=wanted.seen_fen,
        seen_quantity=wanted.seen_quantity,
    )  # fmt: skip
    outbox.announce(
        session, "price_report.received", now=now, seen_by=[by.organisation_id, PLATFORM_ID], report_id=made,
        listing_id=wanted.listing_id,
    )  # fmt: skip
    return made
