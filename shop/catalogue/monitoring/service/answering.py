"""What both sides say to an alert: the cooperative explains, an operator takes up what was reported and decides."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.catalogue.models import ListingStatus
from shop.catalogue.monitoring import queries
from shop.catalogue.monitoring.models import (
    NEXT,
    AlertStatus,
    PriceAlert,
    PriceReport,
    ReportStatus,
    WrongAlertStatus,
)
from shop.catalogue.monitoring.schemas import Decide, Explain, PriceCheckOut
from shop.catalogue.monitoring.service.checking import check
from shop.catalogue.monitoring.service.watching import answer_reports, ask_cooperative, close, keep_word, word_of
from shop.catalogue.service.reviewing import delist
from shop.clock import business_day
from shop.errors import Invalid
from shop.files import service as files


def explain(session: Session, *, by: Actor, alert_id: UUID, wanted: Explain, now: datetime) -> None:
    """The cooperative's answer; it may be given until an operator decides, and again when it is not overdue yet."""
    alert, _, _ = queries.alert(session, by, alert_id, lock=True)
    to_become(alert, AlertStatus.EXPLAINED)
    if wanted.file_id is not None:
        files.keep(session, organisation_id=by.organisation_id, file_ids=[wanted.file_id])
    alert.explanation, alert.explanation_file_id, alert.explained_at = wanted.text, wanted.file_id, now
    alert.status, alert.overdue_at = AlertStatus.EXPLAINED, None
    session.flush()
    keep_word(session, [word_of(alert)], "explained", by=by, now=now)


def take_up(session: Session, *, by: Actor, alert_id: UUID, now: datetime) -> None:
    """Look into what buyers reported: the cooperative is told and has its days to answer."""
    alert, listing, _ = queries.alert(session, by, alert_id, lock=True)
    if alert.status != AlertStatus.REPORTED:
        raise WrongAlertStatus("Only what was reported, and nothing else, is taken up.", wanted=AlertStatus.OPEN)
    ask_cooperative(session, alert, check(session, [listing.id], now=now)[listing.id], by=by, now=now)


def decide(session: Session, *, by: Actor, alert_id: UUID, wanted: Decide, now: datetime) -> None:
    """Accept the explanation, ask for a lower price by a day, take the listing off sale, or find no ground."""
    alert, listing, _ = queries.alert(session, by, alert_id, lock=True)
    to = {
        "accept": AlertStatus.ACCEPTED,
        "lower": AlertStatus.LOWERING,
        "delist": AlertStatus.DELISTED,
        "dismiss": AlertStatus.DISMISSED,
    }[wanted.decision]
    to_become(alert, to)
    if wanted.answer is None and has_open_reports(session, alert.id):
        raise Invalid("Buyers reported this price: give them an answer.", pointer="/answer")
    answer = wanted.answer or wanted.reason
    alert.reason, alert.decided_at = wanted.reason, now
    if wanted.decision == "lower":
        require_lower(alert, listing.price_fen, wanted, now)
        session.flush()
        answer_reports(session, alert.id, answer=answer, upheld=True, now=now)
        keep_word(session, [word_of(alert)], "decided", by=by, now=now)
        return
    if wanted.decision == "delist":
        if listing.status != ListingStatus.DELISTED:
            delist(session, listing_id=listing.id, by=by, now=now, reason=wanted.reason)
    else:
        days = PriceCheckOut.model_validate(alert.evidence).rule.tolerated_days
        alert.tolerated_fen = listing.price_fen
        alert.tolerated_until = business_day(now) + timedelta(days=days)
    close(session, alert, to=to, by=by, now=now, answer=answer, upheld=wanted.decision == "delist")


def require_lower(alert: PriceAlert, price_fen: int, wanted: Decide, now: datetime) -> None:
    """Set the price and the day by which it is to be reached; Invalid for a price that asks for nothing."""
    ceiling = wanted.lower_to_fen or alert.ceiling_fen
    if ceiling is None:
        raise Invalid("Say to which price it is to be lowered.", pointer="/lower_to_fen")
    if ceiling >= price_fen:
        raise Invalid("This is not below the present price.", pointer="/lower_to_fen")
    today = business_day(now)
    days = PriceCheckOut.model_validate(alert.evidence).rule.response_days
    due_on = wanted.lower_by or today + timedelta(days=days)
    if not today <= due_on <= today + timedelta(days=365):
        raise Invalid("The day lies between today and a year ahead.", pointer="/lower_by")
    alert.status, alert.ceiling_fen, alert.due_on, alert.overdue_at = AlertStatus.LOWERING, ceiling, due_on, None


def to_become(alert: PriceAlert, to: AlertStatus) -> None:
    if to not in NEXT[AlertStatus(alert.status)]:
        raise WrongAlertStatus(f"This alert cannot become {to} now.", wanted=to)


def has_open_reports(session: Session, alert_id: UUID) -> bool:
    open_ones = (ReportStatus.RECEIVED, ReportStatus.UNDER_REVIEW)
    return bool(
        session.scalar(select(exists().where(PriceReport.alert_id == alert_id, PriceReport.status.in_(open_ones))))
    )
