"""Price checks, alerts and reports for the three sides, and the rules and mappings behind them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.actor import Actor, Audience, Role
from shop.catalogue import queries as catalogue
from shop.catalogue.models import WrongListingStatus
from shop.catalogue.monitoring import queries
from shop.catalogue.monitoring.models import PriceAlert, PriceReport, PriceRule, ReferenceMapping, WrongAlertStatus
from shop.catalogue.monitoring.schemas import (
    AdminAlertOut,
    AlertOut,
    AlertPage,
    AlertsQuery,
    Decide,
    EndMapping,
    Explain,
    GatheredReportOut,
    MappingOut,
    MappingPage,
    NewMapping,
    NewPriceReport,
    PriceCheckOut,
    PriceReportOut,
    PriceReportPage,
    PriceRuleIn,
    PriceRuleList,
    PriceRuleOut,
    PublicReferencesOut,
    SuggestionList,
    SuggestionOut,
    SuggestionsQuery,
    alert_fields,
    alert_row,
    mapping_out,
    price_rule_out,
    report_fields,
)
from shop.catalogue.monitoring.service import answering, checking, reporting, ruling
from shop.db import seeing_all
from shop.errors import Invalid, NotFound
from shop.files import service as files
from shop.files.models import StoredFile
from shop.http import cursors
from shop.http.routes import PUBLIC, PageQuery, Routes, audience, roles
from shop.ids import ListingId, PriceAlertId, PriceReportId, ReferenceMappingId

public = Routes("/v1/public", tag="Price monitoring")
buying = Routes("/v1/buyer", tag="Price monitoring")
selling = Routes("/v1/cooperative", tag="Price monitoring")
watching = Routes("/v1/admin", tag="Price monitoring")
buyer = audience(Audience.BUYER)
seller = audience(Audience.COOPERATIVE)
lister = roles(Role.LISTER, of=Audience.COOPERATIVE)
reviewer = roles(Role.OPERATOR, Role.COUNTY_REVIEWER, of=Audience.ADMIN)
operator = roles(Role.OPERATOR, of=Audience.ADMIN)


def links(session: Session, file_ids: list[UUID | None]) -> dict[UUID | None, str]:
    """Links to those of the files that the actor may see."""
    wanted = [file_id for file_id in file_ids if file_id is not None]
    if not wanted:
        return {}
    return {file.id: files.link(file) for file in session.scalars(select(StoredFile).where(StoredFile.id.in_(wanted)))}


def report_out(report: PriceReport, linked: dict[UUID | None, str]) -> PriceReportOut:
    return PriceReportOut(**report_fields(report, linked.get(report.file_id)))


def alerts_page(session: Session, actor: Actor, query: AlertsQuery) -> AlertPage:
    question = f"price alerts {query.status} {query.overdue} {actor.organisation_id.hex}"
    before = cursors.decode_id(question, query.cursor) if query.cursor else None
    found = queries.alerts(session, actor, status=query.status, overdue=query.overdue, before=before, limit=query.limit)
    page, following = cursors.cut(question, found, query.limit, lambda row: row[0].id)
    return AlertPage(items=[alert_row(*row) for row in page], next=following)


def parts(session: Session, actor: Actor, alert_id: UUID) -> tuple[PriceAlert, list[PriceReport], dict[str, Any]]:
    alert, listing, product = queries.alert(session, actor, alert_id)
    with seeing_all(session):  # a cooperative is shown what was seen, and not by whom
        reports = list(queries.reports_of(session, alert.id))
    file = links(session, [alert.explanation_file_id]).get(alert.explanation_file_id)
    return alert, reports, alert_fields(alert, listing, product, file=file, reports=reports)


def admin_alert(session: Session, actor: Actor, alert_id: UUID, now: datetime) -> AdminAlertOut:
    alert, reports, fields = parts(session, actor, alert_id)
    linked = links(session, [report.file_id for report in reports])
    return AdminAlertOut(
        **fields,
        reports=[
            GatheredReportOut(**report_fields(report, linked.get(report.file_id)), buyer_id=report.buyer_id)
            for report in reports
        ],
        now=checking.check(session, [alert.listing_id], now=now)[alert.listing_id],
    )


def own_alert(session: Session, actor: Actor, alert_id: UUID) -> AlertOut:
    return AlertOut(**parts(session, actor, alert_id)[2])


@public.get(
    "/listings/<listing_id>/reference-prices",
    allow=PUBLIC,
    answers={200: PublicReferencesOut},
    refusals=(NotFound,),
)
def read_reference_prices(session: Session, now: datetime, listing_id: ListingId) -> PublicReferencesOut:
    """What markets quote for such goods: the newest price of each series that fits, with place, grade and age."""
    return checking.public_references(session, listing_id, now=now)


@public.get("/price-rules", allow=PUBLIC, answers={200: PriceRuleList})
def list_price_rules(session: Session) -> PriceRuleList:
    """The rules by which prices are flagged: past, present and to come."""
    found = session.scalars(select(PriceRule).order_by(PriceRule.category, PriceRule.valid))
    return PriceRuleList(items=[price_rule_out(rule) for rule in found])


@buying.post(
    "/price-reports",
    allow=buyer,
    answers={201: PriceReportOut},
    refusals=(Invalid, NotFound, reporting.AlreadyReported),
)
def report_price(session: Session, actor: Actor, now: datetime, body: NewPriceReport) -> PriceReportOut:
    """Report that the same good is sold for less elsewhere; one report of a listing at a time."""
    made = reporting.report(session, by=actor, wanted=body, now=now)
    found = queries.own_report(session, actor, made)
    return report_out(found, links(session, [found.file_id]))


@buying.get("/price-reports", allow=buyer, answers={200: PriceReportPage})
def list_price_reports(session: Session, actor: Actor, query: PageQuery) -> PriceReportPage:
    """The buyer's reports with their states and answers, newest first."""
    question = f"price reports {actor.organisation_id.hex}"
    before = cursors.decode_id(question, query.cursor) if query.cursor else None
    found = queries.own_reports(session, actor, before=before, limit=query.limit)
    page, following = cursors.cut(question, found, query.limit)
    linked = links(session, [report.file_id for report in page])
    return PriceReportPage(items=[report_out(report, linked) for report in page], next=following)


@buying.get("/price-reports/<report_id>", allow=buyer, answers={200: PriceReportOut}, refusals=(NotFound,))
def read_price_report(session: Session, actor: Actor, report_id: PriceReportId) -> PriceReportOut:
    """One report of the buyer."""
    found = queries.own_report(session, actor, report_id)
    return report_out(found, links(session, [found.file_id]))


@selling.get("/listings/<listing_id>/price-check", allow=seller, answers={200: PriceCheckOut}, refusals=(NotFound,))
def check_own_price(session: Session, actor: Actor, now: datetime, listing_id: ListingId) -> PriceCheckOut:
    """How the price of an own listing stands to references, peers and its own history today."""
    catalogue.listing(session, actor, listing_id)
    return checking.check(session, [listing_id], now=now)[listing_id]


@selling.get("/price-alerts", allow=seller, answers={200: AlertPage})
def list_own_price_alerts(session: Session, actor: Actor, query: AlertsQuery) -> AlertPage:
    """The cooperative's alerts, newest first, those that wait for something unless another status is asked for."""
    return alerts_page(session, actor, query)


@selling.get("/price-alerts/<alert_id>", allow=seller, answers={200: AlertOut}, refusals=(NotFound,))
def read_own_price_alert(session: Session, actor: Actor, alert_id: PriceAlertId) -> AlertOut:
    """One alert with its evidence; who reported is not told."""
    return own_alert(session, actor, alert_id)


@selling.post(
    "/price-alerts/<alert_id>/explain",
    allow=lister,
    answers={200: AlertOut},
    refusals=(NotFound, WrongAlertStatus),
)
def explain_price(session: Session, actor: Actor, now: datetime, alert_id: PriceAlertId, body: Explain) -> AlertOut:
    """Explain the price with words and a paper. To lower it instead, change the listing: the alert closes by itself."""
    answering.explain(session, by=actor, alert_id=alert_id, wanted=body, now=now)
    return own_alert(session, actor, alert_id)


@watching.get("/listings/<listing_id>/price-check", allow=reviewer, answers={200: PriceCheckOut}, refusals=(NotFound,))
def check_price(session: Session, actor: Actor, now: datetime, listing_id: ListingId) -> PriceCheckOut:
    """How the price of any listing stands today, such as of one that is in review."""
    catalogue.listing(session, actor, listing_id)
    return checking.check(session, [listing_id], now=now)[listing_id]


@watching.get("/price-alerts", allow=reviewer, answers={200: AlertPage})
def list_price_alerts(session: Session, actor: Actor, query: AlertsQuery) -> AlertPage:
    """The queue, newest first; a county reviewer sees the listings of the reviewer's counties."""
    return alerts_page(session, actor, query)


@watching.get("/price-alerts/<alert_id>", allow=reviewer, answers={200: AdminAlertOut}, refusals=(NotFound,))
def read_price_alert(session: Session, actor: Actor, now: datetime, alert_id: PriceAlertId) -> AdminAlertOut:
    """One alert with its evidence, the answer, the reports, and the check as it would come out now."""
    return admin_alert(session, actor, alert_id, now)


@watching.post(
    "/price-alerts/<alert_id>/take-up",
    allow=operator,
    answers={200: AdminAlertOut},
    refusals=(NotFound, WrongAlertStatus),
)
def take_up_price_alert(session: Session, actor: Actor, now: datetime, alert_id: PriceAlertId) -> AdminAlertOut:
    """Look into what buyers reported: the cooperative is told, and has its days to answer."""
    answering.take_up(session, by=actor, alert_id=alert_id, now=now)
    return admin_alert(session, actor, alert_id, now)


@watching.post(
    "/price-alerts/<alert_id>/decide",
    allow=operator,
    answers={200: AdminAlertOut},
    refusals=(NotFound, WrongAlertStatus, WrongListingStatus, Invalid),
)
def decide_price_alert(
    session: Session, actor: Actor, now: datetime, alert_id: PriceAlertId, body: Decide
) -> AdminAlertOut:
    """Accept the explanation, ask for a lower price by a day, take the listing off sale, or find no ground."""
    answering.decide(session, by=actor, alert_id=alert_id, wanted=body, now=now)
    return admin_alert(session, actor, alert_id, now)


@watching.post("/price-rules", allow=operator, answers={201: PriceRuleOut}, refusals=(Invalid,))
def add_price_rule(session: Session, actor: Actor, now: datetime, body: PriceRuleIn) -> PriceRuleOut:
    """A rule from a day to come; the one that runs for the category ends there."""
    return price_rule_out(ruling.add_rule(session, by=actor, wanted=body, now=now))


@watching.get("/reference-mappings", allow=operator, answers={200: MappingPage})
def list_reference_mappings(session: Session, query: PageQuery) -> MappingPage:
    """Which series fits which goods, newest first."""
    wanted = select(ReferenceMapping).order_by(ReferenceMapping.id.desc()).limit(query.limit + 1)
    if query.cursor:
        wanted = wanted.where(ReferenceMapping.id < cursors.decode_id("reference mappings", query.cursor))
    page, following = cursors.cut("reference mappings", session.scalars(wanted).all(), query.limit)
    return MappingPage(items=[mapping_out(mapping) for mapping in page], next=following)


@watching.post("/reference-mappings", allow=operator, answers={201: MappingOut}, refusals=(Invalid,))
def approve_reference_mapping(session: Session, actor: Actor, now: datetime, body: NewMapping) -> MappingOut:
    """Approve that a market's series fits goods of a name; their prices are checked against it a moment later."""
    return mapping_out(ruling.approve_mapping(session, by=actor, wanted=body, now=now))


@watching.post(
    "/reference-mappings/<mapping_id>/end",
    allow=operator,
    answers={200: MappingOut},
    refusals=(NotFound, Invalid),
)
def end_reference_mapping(
    session: Session, actor: Actor, now: datetime, mapping_id: ReferenceMappingId, body: EndMapping
) -> MappingOut:
    """End a mapping from a day on."""
    return mapping_out(ruling.end_mapping(session, by=actor, mapping_id=mapping_id, wanted=body, now=now))


@watching.get("/reference-mappings/suggestions", allow=operator, answers={200: SuggestionList})
def suggest_reference_mappings(session: Session, query: SuggestionsQuery) -> SuggestionList:
    """Series whose name is the same, holds it or is held by it, the closest first; nothing is scored by them."""
    rows = queries.suggestions(session, queries.word_key(session, query.name), limit=query.limit)
    best = rows[0].match if rows else None
    return SuggestionList(
        ambiguous=sum(row.match == best for row in rows) > 1,
        items=[
            SuggestionOut(
                match=row.match,
                market=row.market,
                reference_kind=row.kind,
                reference_name=row.name,
                reference_grade=row.grade,
                newest_month=f"{row.newest:%Y-%m}",
            )
            for row in rows
        ],
    )
