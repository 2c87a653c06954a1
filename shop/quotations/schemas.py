"""Requests for quotation, quotes and their comparison as JSON."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from shop.http.fields import Instant, across
from shop.http.routes import In, Out, PageQuery
from shop.ids import AddressId, ListingId, OrganisationId, QuotationId, QuotationRequestId, UserId
from shop.quotations.models import (
    Quotation,
    QuotationAward,
    QuotationEvidence,
    QuotationLine,
    QuotationRequest,
    QuotationView,
    RequestLine,
)

MAX_LINES, MAX_SELLERS = 200, 50
Words = Annotated[str, Field(min_length=1, max_length=500)]
Name = Annotated[str, Field(min_length=1, max_length=120)]
Place = Annotated[int, Field(ge=0, lt=MAX_LINES)]
StatusWord = Literal["open", "awarded", "cancelled"]
SeenWord = Literal["request", "quotes", "evidence"]


class RequestLineIn(In):
    """So many packs of some goods; what a pack holds is in grams or pieces."""

    name: Name
    spec: Annotated[str, Field(max_length=200)] = ""
    base_unit: Literal["g", "piece"]
    pack_base_quantity: Annotated[int, Field(ge=1, le=10**9)]
    packs: Annotated[int, Field(ge=1, le=1_000_000)]


class AskForQuotes(In):
    """What is asked for, of whom, where it is to be delivered and until when quotes are taken.

    `valid_days`: for how many days after the award it may be ordered at the awarded price.
    """

    title: Name
    delivery_address_id: AddressId
    deadline: Instant
    valid_days: Annotated[int, Field(ge=1, le=366)]
    note: Words | None = None
    cooperative_ids: Annotated[list[OrganisationId], Field(min_length=1, max_length=MAX_SELLERS)]
    lines: Annotated[list[RequestLineIn], Field(min_length=1, max_length=MAX_LINES)]

    @model_validator(mode="after")
    def asks_each_once(self) -> Self:
        if len(set(self.cooperative_ids)) < len(self.cooperative_ids):
            raise across("cooperative", "a cooperative is asked once", "cooperative_ids")
        return self


class CancelRequest(In):
    reason: Words


class QuoteLineIn(In):
    """The price of a pack of a listing of one's own for the line in this place, from 0."""

    place: Place
    listing_id: ListingId
    unit_fen: Annotated[int, Field(ge=1, le=10**9)]


class SubmitQuote(In):
    """Prices for some or all of the lines; none of them takes the quote back."""

    note: Words | None = None
    lines: Annotated[list[QuoteLineIn], Field(max_length=MAX_LINES)]


class AwardLine(In):
    """`reason`: why it is this one, where another is cheaper."""

    place: Place
    cooperative_id: OrganisationId
    reason: Words | None = None


class Award(In):
    awards: Annotated[list[AwardLine], Field(min_length=1, max_length=MAX_LINES)]


class RequestsQuery(PageQuery):
    status: StatusWord | None = None


class PartyOut(Out):
    id: OrganisationId
    name: str


class RequestLineOut(Out):
    place: int
    name: str
    spec: str
    base_unit: str
    pack_base_quantity: int
    packs: int


class RequestOut(Out):
    """`cooperatives`: who is asked, which those who are asked are not told. `reason`: why it was cancelled."""

    id: QuotationRequestId
    number: str
    title: str
    buyer: PartyOut
    delivery_code: str
    deadline: str
    valid_days: int
    note: str | None
    status: StatusWord
    made_at: str
    closed_at: str | None
    reason: str | None
    cooperatives: list[PartyOut]
    lines: list[RequestLineOut]


class RequestPage(Out):
    items: list[RequestOut]
    next: str | None


class QuoteLineOut(Out):
    """A price for a line, and the listing as it was when it was quoted; `packs` are of that listing."""

    place: int
    listing_id: ListingId
    listing_revision: int
    name: str
    spec: str
    grade: str
    pack_name: str
    pack_base_quantity: int
    packs: int
    unit_fen: int
    goods_fen: int


class QuoteOut(Out):
    """One version of a cooperative's quote."""

    id: QuotationId
    cooperative_id: OrganisationId
    version: int
    at: str
    by: UserId
    note: str | None
    lines: list[QuoteLineOut]


class AskedOut(Out):
    """A request as the cooperative that is asked sees it, with its own quote and what it was awarded (by place)."""

    request: RequestOut
    quote: QuoteOut | None
    awarded: list[int]


class ComparedOut(Out):
    """A quote for a line. `per_kg_fen` is its landed price per accepted kilogram.

    That is goods and freight (of the line travelling alone) over the net kilograms times the expected share, which is
    `accepted_grams` of `inspected_grams`, of the cooperative's inspected deliveries to all buyers; 1 of 1 where too few
    were inspected. It is null where no lane leads to the place or nothing is expected to be accepted.
    """

    cooperative: PartyOut
    quotation_id: QuotationId
    line: QuoteLineOut
    net_grams: int
    freight_fen: int | None
    days: int | None
    accepted_grams: int
    inspected_grams: int
    inspected_lines: int
    per_kg_fen: int | None


class ComparedLine(Out):
    """The quotes for the line in this place, cheapest first."""

    place: int
    quotes: list[ComparedOut]


class ComparisonOut(Out):
    lines: list[ComparedLine]


class AwardedOut(Out):
    place: int
    cooperative_id: OrganisationId
    quotation_id: QuotationId
    cheapest: bool
    reason: str | None


class AwardsOut(Out):
    request: RequestOut
    awards: list[AwardedOut]


class ViewOut(Out):
    organisation_id: OrganisationId
    user_id: UserId
    what: SeenWord
    at: str


class EvidenceOut(Out):
    """What an award rests on, as it stood then; `sha256` is of its JSON with sorted keys and no spaces.

    `views` are those of now, who read the evidence among them.
    """

    request_id: QuotationRequestId
    at: str
    sha256: str
    content: dict[str, Any]
    views: list[ViewOut]


def request_out(
    row: QuotationRequest, lines: Sequence[RequestLine], sellers: Mapping[UUID, str], buyer: str
) -> RequestOut:
    shown: dict[str, Any] = {
        name: getattr(row, name)
        for name in ("id", "number", "title", "delivery_code", "valid_days", "note", "status", "reason")
    }
    return RequestOut(
        **shown,
        buyer=PartyOut(id=row.buyer_id, name=buyer),
        deadline=row.deadline.isoformat(),
        made_at=row.made_at.isoformat(),
        closed_at=row.closed_at.isoformat() if row.closed_at else None,
        cooperatives=[PartyOut(id=key, name=name) for key, name in sellers.items()],
        lines=[
            RequestLineOut(
                place=line.place,
                name=line.name,
                spec=line.spec,
                base_unit=line.base_unit,
                pack_base_quantity=line.pack_base_quantity,
                packs=line.packs,
            )
            for line in lines
        ],
    )


def quote_line_out(line: QuotationLine) -> QuoteLineOut:
    shown: dict[str, Any] = {name: getattr(line, name) for name in QuoteLineOut.model_fields if name != "goods_fen"}
    return QuoteLineOut(**shown, goods_fen=line.packs * line.unit_fen)


def quote_out(quote: Quotation, lines: Sequence[QuotationLine]) -> QuoteOut:
    return QuoteOut(
        id=quote.id,
        cooperative_id=quote.cooperative_id,
        version=quote.version,
        at=quote.at.isoformat(),
        by=quote.by_user_id,
        note=quote.note,
        lines=[quote_line_out(line) for line in lines],
    )


def comparison_out(compared: Mapping[int, Sequence[Any]], names: Mapping[UUID, str]) -> ComparisonOut:
    """`compared`: of each place what `comparing.compare` found."""
    return ComparisonOut(
        lines=[
            ComparedLine(
                place=place,
                quotes=[
                    ComparedOut(
                        cooperative=PartyOut(
                            id=each.quotation.cooperative_id, name=names[each.quotation.cooperative_id]
                        ),
                        quotation_id=each.quotation.id,
                        line=quote_line_out(each.line),
                        net_grams=each.line.net_grams,
                        freight_fen=each.freight.fen if each.freight else None,
                        days=each.freight.days if each.freight else None,
                        accepted_grams=each.share.accepted_grams,
                        inspected_grams=each.share.inspected_grams,
                        inspected_lines=each.share.lines,
                        per_kg_fen=each.per_kg_fen,
                    )
                    for each in quotes
                ],
            )
            for place, quotes in sorted(compared.items())
        ]
    )


def awarded_out(row: QuotationAward) -> AwardedOut:
    return AwardedOut(
        place=row.place,
        cooperative_id=row.cooperative_id,
        quotation_id=row.quotation_id,
        cheapest=row.cheapest,
        reason=row.reason,
    )


def view_out(row: QuotationView) -> ViewOut:
    what: Any = row.what
    return ViewOut(organisation_id=row.organisation_id, user_id=row.user_id, what=what, at=row.at.isoformat())


def evidence_out(row: QuotationEvidence, views: Sequence[QuotationView]) -> EvidenceOut:
    return EvidenceOut(
        request_id=row.request_id,
        at=row.at.isoformat(),
        sha256=row.sha256,
        content=row.content,
        views=[view_out(view) for view in views],
    )
