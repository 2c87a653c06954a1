"""Checks, alerts, reports, rules and mappings as JSON."""

from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from shop.catalogue.models import Listing, Product
from shop.catalogue.monitoring.models import (
    AlertStatus,
    PriceAlert,
    PriceReport,
    PriceRule,
    ReferenceMapping,
    ReportStatus,
)
from shop.catalogue.schemas import Category, Name, PriceFen
from shop.http.fields import Day
from shop.http.routes import In, Out, PageQuery, Query
from shop.ids import (
    FileId,
    ListingId,
    OrganisationId,
    PriceAlertId,
    PriceReportId,
    PriceRuleId,
    ReferenceMappingId,
)

Days = Annotated[int, Field(ge=1, le=3650)]
Percent = Annotated[int, Field(ge=1, le=10_000)]
Words = Annotated[str, Field(min_length=1, max_length=2000)]


class AlertsQuery(PageQuery):
    status: Literal[
        "unsettled", "reported", "open", "explained", "lowering", "accepted", "lowered", "delisted", "dismissed"
    ] = "unsettled"
    overdue: bool = False


class PriceRuleIn(In):
    """What is flagged from a day on; an empty category is for all that have no rule of their own."""

    category: Category | Literal[""] = ""
    start: Day = Field(alias="from")
    reference_max_age_days: Days
    above_reference_percent: Percent
    above_peers_percent: Percent
    above_history_percent: Percent
    minimum_peers: Annotated[int, Field(ge=3, le=1000)]
    mad_hundredths: Annotated[int, Field(ge=1, le=10_000, description="Of the median absolute deviation.")]
    history_days: Days
    minimum_history_days: Days
    response_days: Annotated[int, Field(ge=1, le=365)]
    tolerated_days: Days


NUMBERS = (
    "reference_max_age_days", "above_reference_percent", "above_peers_percent", "above_history_percent",
    "minimum_peers", "mad_hundredths", "history_days", "minimum_history_days", "response_days", "tolerated_days",
)  # fmt: skip


class PriceRuleOut(Out):
    """A rule with the days it is for, the last one excluded."""

    model_config = ConfigDict(serialize_by_alias=True)

    id: PriceRuleId
    category: str
    start: str = Field(serialization_alias="from")
    end: str | None = Field(serialization_alias="to")
    reference_max_age_days: int
    above_reference_percent: int
    above_peers_percent: int
    above_history_percent: int
    minimum_peers: int
    mad_hundredths: int
    history_days: int
    minimum_history_days: int
    response_days: int
    tolerated_days: int


class PriceRuleList(Out):
    items: list[PriceRuleOut]


def price_rule_out(rule: PriceRule) -> PriceRuleOut:
    assert rule.valid.lower is not None
    return PriceRuleOut(
        id=rule.id,
        category=rule.category,
        start=rule.valid.lower.isoformat(),
        end=rule.valid.upper.isoformat() if rule.valid.upper else None,
        **{name: getattr(rule, name) for name in NUMBERS},
    )


class ReferenceOut(Out):
    """The newest quote of a series: where, of which grade, of which month, and how old.

    Prices are fen for a tonne or for a thousand pieces. `why` says whether it was scored, and otherwise why it is only
    shown: `stale`, `no_quote` (the series has none yet) or `other_measure` (it cannot be compared with the pack).
    """

    mapping_id: ReferenceMappingId
    market: str
    place_code: str | None
    place: str | None
    kind: str
    name: str
    grade: str
    month: str | None
    age_days: int | None
    per: str | None
    low_fen: int | None
    mean_fen: int | None
    high_fen: int | None
    quotes: int | None
    scored: bool
    why: Literal["scored", "stale", "no_quote", "other_measure"]
    unit_fen: int | None
    percent_above: int | None
    limit_fen: int | None
    above: bool | None


class PeersOut(Out):
    """Other cooperatives that sell the same good, one price of each, in fen for a tonne.

    `prices` are all of them, or the hundred around the median.
    """

    count: int
    minimum: int
    scored: bool
    why: Literal["scored", "too_few"]
    median_fen: int | None
    mad_fen: int | None
    percent_above: int | None
    limit_fen: int | None
    above: bool | None
    prices: list[int]


class SpanOut(Out):
    """A price that was asked from one instant to another, in the days that are looked at."""

    price_fen: int
    start: str
    end: str


class HistoryOut(Out):
    """What the listing itself cost before its present price, weighted by time; fen for a tonne."""

    days: int
    minimum_days: int
    on_sale_days: int
    scored: bool
    why: Literal["scored", "too_short"]
    median_fen: int | None
    percent_above: int | None
    limit_fen: int | None
    above: bool | None
    prices: list[SpanOut]


class PriceCheckOut(Out):
    """A check with every number it used. `limit_fen` is everywhere the highest price of the pack within the rule.

    `score` is by how many per cent the price passes the allowed rise, of the measure where that is most; `ceiling_fen`
    is the price at which nothing is passed any more.
    """

    listing_id: ListingId
    revision: int
    checked_on: str
    price_fen: int
    base_unit: str
    pack_base_quantity: int
    pack_grams: int
    per_tonne_fen: int
    per_thousand_pieces_fen: int | None
    rule: PriceRuleOut
    verdict: Literal["above", "within", "not_scored"]
    score: int | None
    ceiling_fen: int | None
    rests_on: list[Literal["reference", "peers", "own_history"]]
    references: list[ReferenceOut]
    peers: PeersOut
    own_history: HistoryOut
    says: str
    says_en: str


class PublicReferencesOut(Out):
    """Beside the price of a listing: what markets quote for such goods, and how old that is."""

    listing_id: ListingId
    price_fen: int
    per_tonne_fen: int
    per_thousand_pieces_fen: int | None
    max_age_days: int
    items: list[ReferenceOut]


class NewPriceReport(In):
    """The same good, seen for less: so much money for so many base units (grams or pieces) of the listing.

    `place` and the price are shown to the seller, who is never told who reports. A link or a file is the evidence.
    """

    listing_id: ListingId
    seen_fen: PriceFen
    seen_quantity: Annotated[int, Field(ge=1, le=100_000_000)]
    place: Annotated[str, Field(min_length=1, max_length=200)]
    seen_on: Day
    link: Annotated[str, Field(min_length=10, max_length=1000, pattern=r"^https?://[^\s]+$")] | None = None
    file_id: FileId | None = None
    note: Annotated[str, Field(max_length=1000)] = ""

    @model_validator(mode="after")
    def has_evidence(self) -> Self:
        if self.link is None and self.file_id is None:
            raise PydanticCustomError("evidence", "give a link or a file as evidence")
        return self


class PriceReportOut(Out):
    """A report as its buyer sees it: received, under review, then upheld or rejected with the answer."""

    id: PriceReportId
    listing_id: ListingId
    status: ReportStatus
    price_fen: int
    seen_fen: int
    seen_quantity: int
    place: str
    seen_on: str
    link: str | None
    file_id: FileId | None
    file: str | None
    note: str
    received_at: str
    review_at: str | None
    answer: str | None
    decided_at: str | None


class PriceReportPage(Out):
    items: list[PriceReportOut]
    next: str | None


class GatheredReportOut(PriceReportOut):
    """A report as who decides sees it."""

    buyer_id: OrganisationId


class SeenOut(Out):
    """What was seen elsewhere, as the seller is told: not by whom."""

    seen_fen: int
    seen_quantity: int
    place: str
    seen_on: str


class AlertRow(Out):
    """An alert in a list; `due_on` is the last day to answer or to lower, `ceiling_fen` the price that closes it."""

    id: PriceAlertId
    listing_id: ListingId
    cooperative_id: OrganisationId
    product: str
    pack_name: str
    origin_code: str
    status: AlertStatus
    opened_by: Literal["check", "report"]
    opened_at: str
    price_fen: int
    current_price_fen: int
    score: int | None
    ceiling_fen: int | None
    due_on: str | None
    overdue: bool
    closed_at: str | None


class AlertPage(Out):
    items: list[AlertRow]
    next: str | None


class AlertOut(AlertRow):
    """An alert with its evidence as it was when it was opened, the answer of the cooperative and what was decided."""

    evidence: PriceCheckOut
    explanation: str | None
    explanation_file: str | None
    explained_at: str | None
    reason: str | None
    decided_at: str | None
    tolerated_until: str | None
    seen_elsewhere: list[SeenOut]


class AdminAlertOut(AlertOut):
    """An alert as who decides sees it: with the reports, and the check as it would come out now."""

    reports: list[GatheredReportOut]
    now: PriceCheckOut


class Explain(In):
    """Why the price is what it is, with a paper."""

    text: Words
    file_id: FileId | None = None


class Decide(In):
    """What an operator decides. `reason` is for the cooperative, `answer` for who reported.

    `lower` asks for a price of the pack (`lower_to_fen`, the ceiling of the alert unless given) by a day.
    """

    decision: Literal["accept", "lower", "delist", "dismiss"]
    reason: Words
    answer: Words | None = None
    lower_to_fen: PriceFen | None = None
    lower_by: Day | None = None

    @model_validator(mode="after")
    def hangs_together(self) -> Self:
        if self.decision != "lower" and (self.lower_to_fen is not None or self.lower_by is not None):
            raise PydanticCustomError("decision", "only a price that is to be lowered has a limit and a day")
        return self


class NewMapping(In):
    """Which series fits goods of a name, from a day on; an empty spec or grade fits every one."""

    category: Category
    name: Name
    spec: Annotated[str, Field(max_length=200)] = ""
    grade: Annotated[str, Field(max_length=50)] = ""
    market: Name
    reference_kind: Name
    reference_name: Name
    reference_grade: Annotated[str, Field(max_length=100)] = ""
    start: Day = Field(alias="from")
    note: Annotated[str, Field(max_length=500)] = ""


class EndMapping(In):
    """From which day a mapping no longer holds."""

    end: Day = Field(alias="to")
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class MappingOut(Out):
    """A mapping; name, spec and grade as they are compared (lower case, no spaces)."""

    model_config = ConfigDict(serialize_by_alias=True)

    id: ReferenceMappingId
    category: str
    name: str
    spec: str
    grade: str
    market: str
    reference_kind: str
    reference_name: str
    reference_grade: str
    start: str = Field(serialization_alias="from")
    end: str | None = Field(serialization_alias="to")
    note: str


class MappingPage(Out):
    items: list[MappingOut]
    next: str | None


class SuggestionsQuery(Query):
    name: Name
    limit: Annotated[int, Field(ge=1, le=50)] = 20


class SuggestionOut(Out):
    """A series that might fit; nothing is scored by it until an operator approves a mapping."""

    match: Literal["exact", "contained"]
    market: str
    reference_kind: str
    reference_name: str
    reference_grade: str
    newest_month: str


class SuggestionList(Out):
    """`ambiguous`: more than one series fits as well as the best."""

    ambiguous: bool
    items: list[SuggestionOut]


def mapping_out(mapping: ReferenceMapping) -> MappingOut:
    assert mapping.valid.lower is not None
    return MappingOut(
        id=mapping.id,
        start=mapping.valid.lower.isoformat(),
        end=mapping.valid.upper.isoformat() if mapping.valid.upper else None,
        **{
            name: getattr(mapping, name)
            for name in (
                "category", "name", "spec", "grade", "market", "reference_kind", "reference_name", "reference_grade",
                "note",
            )
        },
    )  # fmt: skip


def iso(value: Any) -> str | None:
    """An instant or a day as text."""
    return None if value is None else str(value.isoformat())


def row_fields(alert: PriceAlert, listing: Listing, product: Product) -> dict[str, Any]:
    return {
        "id": alert.id, "listing_id": listing.id, "cooperative_id": alert.cooperative_id, "product": product.name,
        "pack_name": listing.pack_name, "origin_code": alert.origin_code, "status": AlertStatus(alert.status),
        "opened_by": alert.opened_by, "opened_at": iso(alert.opened_at), "price_fen": alert.price_fen,
        "current_price_fen": listing.price_fen, "score": alert.score, "ceiling_fen": alert.ceiling_fen,
        "due_on": iso(alert.due_on), "overdue": alert.overdue_at is not None and alert.closed_at is None,
        "closed_at": iso(alert.closed_at),
    }  # fmt: skip


def alert_row(alert: PriceAlert, listing: Listing, product: Product) -> AlertRow:
    return AlertRow(**row_fields(alert, listing, product))


def alert_fields(
    alert: PriceAlert, listing: Listing, product: Product, *, file: str | None, reports: list[PriceReport]
) -> dict[str, Any]:
    return row_fields(alert, listing, product) | {
        "evidence": PriceCheckOut.model_validate(alert.evidence),
        "explanation": alert.explanation, "explanation_file": file, "explained_at": iso(alert.explained_at),
        "reason": alert.reason, "decided_at": iso(alert.decided_at), "tolerated_until": iso(alert.tolerated_until),
        "seen_elsewhere": [
            SeenOut(
                seen_fen=report.seen_fen, seen_quantity=report.seen_quantity, place=report.place,
                seen_on=report.seen_on.isoformat(),
            )
            for report in reports
        ],
    }  # fmt: skip


def report_fields(report: PriceReport, file: str | None) -> dict[str, Any]:
    return {
        "id": report.id, "listing_id": report.listing_id, "status": ReportStatus(report.status),
        "price_fen": report.price_fen, "seen_fen": report.seen_fen, "seen_quantity": report.seen_quantity,
        "place": report.place, "seen_on": report.seen_on.isoformat(), "link": report.link, "file_id": report.file_id,
        "file": file, "note": report.note, "received_at": iso(report.received_at), "review_at": iso(report.review_at),
        "answer": report.answer, "decided_at": iso(report.decided_at),
    }  # fmt: skip


def last_day_of(month: date) -> date:
    """The last day of the month that a day lies in."""
    following = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    return date.fromordinal(following.toordinal() - 1)
