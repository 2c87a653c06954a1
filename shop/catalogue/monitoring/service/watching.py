"""Watch listings: open an alert where a check says so, close it when the price has come down, note what is overdue."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from shop.actor import SYSTEM, Actor
from shop.audit import service as audit
from shop.audit.models import AuditEntry
from shop.catalogue.models import Listing, ListingStatus, Product
from shop.catalogue.monitoring import queries
from shop.catalogue.monitoring.models import (
    NEXT,
    AlertStatus,
    PriceAlert,
    PriceReport,
    ReportStatus,
)
from shop.catalogue.monitoring.schemas import PriceCheckOut
from shop.catalogue.monitoring.service.checking import check
from shop.clock import business_day
from shop.db import insert_rows
from shop.ids import new_id
from shop.ledger.service import PLATFORM_ID
from shop.outbox import service as outbox
from shop.outbox.models import Event

BATCH = 1000
LOWERED = "卖方已降价。The seller has lowered the price."
OFF_SALE = "该商品已下架。The listing is no longer on sale."


def watch(session: Session, listing_ids: Sequence[UUID], *, now: datetime) -> int:
    """Check listings that are on sale, and do what follows; gives how many alerts were opened.

    Opens an alert, or has a cooperative answer what buyers only reported so far; closes one whose listing costs at most
    its ceiling or is off sale. What an operator accepted is left alone until its day, or a higher price.
    """
    alerts = queries.unsettled(session, listing_ids)
    checks = check(session, listing_ids, now=now)
    found = session.execute(select(Listing.id, Listing.status).where(Listing.id.in_(listing_ids)))
    status = {row.id: row.status for row in found}
    accepted = queries.tolerated(session, listing_ids, business_day(now))
    flagged = []
    closing: list[tuple[PriceAlert, AlertStatus, str]] = []
    asked: list[PriceAlert] = []
    for listing_id, said in checks.items():
        alert = alerts.get(listing_id)
        if alert is not None and status[listing_id] == ListingStatus.DELISTED:
            closing.append((alert, AlertStatus.DELISTED, OFF_SALE))
        if status[listing_id] != ListingStatus.LISTED:
            continue
        if alert is None and said.verdict == "above" and said.price_fen > accepted.get(listing_id, 0):
            flagged.append(said)
        elif alert is not None and alert.status == AlertStatus.REPORTED and said.verdict == "above":
            asked.append(alert)
        elif alert is not None and may_close(alert, said):
            closing.append((alert, AlertStatus.LOWERED, LOWERED))
    for alert in asked:
        ask_cooperative(session, alert, checks[alert.listing_id], by=SYSTEM, now=now)
    for alert, to, answer in closing:
        close(session, alert, to=to, by=SYSTEM, now=now, answer=answer, upheld=True)
    return len(open_alerts(session, flagged, opened_by="check", by=SYSTEM, now=now))


def may_close(alert: PriceAlert, said: PriceCheckOut) -> bool:
    """Whether the price has come down to the ceiling that the alert names."""
    return (
        AlertStatus.LOWERED in NEXT[AlertStatus(alert.status)]
        and alert.ceiling_fen is not None
        and said.price_fen <= alert.ceiling_fen
    )


def open_alerts(
    session: Session, said: Sequence[PriceCheckOut], *, opened_by: str, by: Actor, now: datetime
) -> list[UUID]:
    """Open an alert for each check whose listing has none unsettled; gives the ids of those that were made.

    One that a check opens asks the cooperative at once; one that a buyer's report opens waits for somebody to look.
    """
    if not said:
        return []
    listed = {
        row.id: row
        for row in session.execute(
            select(Listing.id, Listing.cooperative_id, Listing.origin_code).where(
                Listing.id.in_([each.listing_id for each in said])
            )
        )
    }
    asks = opened_by == "check"
    rows = []
    for each in sorted(said, key=lambda each: each.listing_id):
        listing = listed[each.listing_id]
        rows.append(
            {
                "id": new_id(), "listing_id": listing.id, "cooperative_id": listing.cooperative_id,
                "origin_code": listing.origin_code,
                "status": AlertStatus.OPEN if asks else AlertStatus.REPORTED, "opened_by": opened_by,
                "opened_at": now, "price_fen": each.price_fen, "score": each.score,
                "evidence": each.model_dump(mode="json", by_alias=False), "ceiling_fen": each.ceiling_fen,
                "due_on": business_day(now) + timedelta(days=each.rule.response_days) if asks else None,
            }
        )  # fmt: skip
    made = session.execute(upsert(PriceAlert).on_conflict_do_nothing().returning(PriceAlert.id), rows).scalars()
    opened = set(made)
    keep_word(session, [row for row in rows if row["id"] in opened], "opened", by=by, now=now, told=asks)
    return sorted(opened)


def keep_word(
    session: Session, rows: Sequence[dict[str, Any]], what: str, *, by: Actor, now: datetime, told: bool = True
) -> None:
    """The audit entries of alerts, and the events that tell their cooperatives and the platform."""
    entries = [
        audit.row_of(
            by=by, action=f"price_alert.{what}", kind="price_alert", subject=row["id"], now=now,
            reason=row.get("reason"), status=str(row["status"]), listing_id=row["listing_id"].hex,
            price_fen=row["price_fen"], ceiling_fen=row["ceiling_fen"],
        )
        for row in rows
    ]  # fmt: skip
    events = [
        outbox.row_of(
            f"price_alert.{what}", now=now, seen_by=[row["cooperative_id"], PLATFORM_ID], alert_id=row["id"],
            listing_id=row["listing_id"], status=str(row["status"]),
        )
        for row in rows
        if told
    ]  # fmt: skip
    insert_rows(session, (AuditEntry, entries), (Event, events))


def word_of(alert: PriceAlert) -> dict[str, Any]:
    """What is kept of an alert wherever it moves."""
    return {
        "id": alert.id, "listing_id": alert.listing_id, "cooperative_id": alert.cooperative_id,
        "status": alert.status, "price_fen": alert.price_fen, "ceiling_fen": alert.ceiling_fen,
        "reason": alert.reason,
    }  # fmt: skip


def ask_cooperative(session: Session, alert: PriceAlert, said: PriceCheckOut, *, by: Actor, now: datetime) -> None:
    """Ask the cooperative to answer what was reported: it is told, and the reports are under review."""
    alert.status = AlertStatus.OPEN
    alert.due_on = business_day(now) + timedelta(days=said.rule.response_days)
    alert.ceiling_fen = alert.ceiling_fen if alert.ceiling_fen is not None else said.ceiling_fen
    session.flush()
    session.execute(
        update(PriceReport)
        .where(PriceReport.alert_id == alert.id, PriceReport.status == ReportStatus.RECEIVED)
        .values(status=ReportStatus.UNDER_REVIEW, review_at=now)
        .execution_options(synchronize_session=False)
    )
    keep_word(session, [word_of(alert)], "opened", by=by, now=now)


def close(
    session: Session, alert: PriceAlert, *, to: AlertStatus, by: Actor, now: datetime, answer: str, upheld: bool
) -> None:
    """End an alert, and answer the reports that gather under it."""
    hidden = alert.status == AlertStatus.REPORTED  # its cooperative was never asked
    alert.status, alert.closed_at, alert.overdue_at = to, now, None
    session.flush()
    answer_reports(session, alert.id, answer=answer, upheld=upheld, now=now)
    keep_word(session, [word_of(alert)], "closed", by=by, now=now, told=not hidden)


def answer_reports(session: Session, alert_id: UUID, *, answer: str, upheld: bool, now: datetime) -> None:
    """Uphold or reject the reports of an alert that have no answer yet, and tell who sent them."""
    answered = session.execute(
        update(PriceReport)
        .where(
            PriceReport.alert_id == alert_id,
            PriceReport.status.in_((ReportStatus.RECEIVED, ReportStatus.UNDER_REVIEW)),
        )
        .values(
            status=ReportStatus.UPHELD if upheld else ReportStatus.REJECTED,
            answer=answer,
            decided_at=now,
            review_at=func.coalesce(PriceReport.review_at, now),
        )
        .returning(PriceReport.id, PriceReport.buyer_id)
        .execution_options(synchronize_session=False)
    ).all()
    events = [
        outbox.row_of("price_report.decided", now=now, seen_by=[buyer_id], report_id=report_id)
        for report_id, buyer_id in answered
    ]
    insert_rows(session, (Event, events))


Place = tuple[str, str, str, UUID]
"""Where a batch ended: category, name and spec of the good, and the listing."""


def next_batch(
    session: Session, after: Place | None, *, kind: tuple[str, str] | None = None
) -> tuple[list[UUID], Place | None]:
    """The next thousand listings on sale, of one category and name or of all, and the place behind them.

    They come good by good, so that the peers of a good are read about once and not with every batch.
    """
    name, spec = func.word_key(Product.name), func.word_key(Product.spec)
    place = (Product.category, name, spec, Listing.id)
    wanted = (
        select(*place)
        .join(Product, Product.id == Listing.product_id)
        .where(Listing.status == ListingStatus.LISTED)
        .order_by(*place)
        .limit(BATCH)
    )
    if kind:
        wanted = wanted.where(Product.category == kind[0], name == kind[1])
    if after:
        wanted = wanted.where(tuple_(*place) > tuple_(*after))
    rows = session.execute(wanted).all()
    return [row[3] for row in rows], (rows[-1][0], rows[-1][1], rows[-1][2], rows[-1][3]) if rows else None


def pass_deadlines(session: Session, *, now: datetime, limit: int = 500) -> int:
    """Note the alerts whose day to answer or to lower has passed, and tell both sides, once each; gives how many."""
    due = (
        select(PriceAlert.id)
        .where(
            or_(PriceAlert.status == AlertStatus.OPEN, PriceAlert.status == AlertStatus.LOWERING),
            PriceAlert.overdue_at.is_(None),
            PriceAlert.due_on < business_day(now),
        )
        .order_by(PriceAlert.due_on, PriceAlert.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    late = session.scalars(
        update(PriceAlert)
        .where(PriceAlert.id.in_(due))
        .values(overdue_at=now)
        .returning(PriceAlert)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).all()
    keep_word(session, [word_of(alert) for alert in late], "overdue", by=SYSTEM, now=now)
    return len(late)
