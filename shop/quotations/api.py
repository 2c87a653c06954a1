"""Requests for quotation, for those who ask, those who are asked, and those who look into it afterwards."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from shop.accounts.models_units import OrganisationNotActive
from shop.actor import Actor, Audience, Role
from shop.errors import Invalid, NotFound, VersionConflict
from shop.http import cursors
from shop.http.routes import Routes, audience, roles
from shop.ids import QuotationRequestId
from shop.quotations import queries
from shop.quotations.models import DeadlinePassed, QuotationRequest, QuotesSealed, Seen, WrongRequestStatus
from shop.quotations.schemas import (
    AskedOut,
    AskForQuotes,
    Award,
    AwardsOut,
    CancelRequest,
    ComparisonOut,
    EvidenceOut,
    RequestOut,
    RequestPage,
    RequestsQuery,
    SubmitQuote,
    awarded_out,
    comparison_out,
    evidence_out,
    quote_out,
    request_out,
)
from shop.quotations.service import asking, awarding, comparing, offering

buying = Routes("/v1/buyer", tag="Quotations", people_only=True)
selling = Routes("/v1/cooperative", tag="Quotations", people_only=True)
looking = Routes("/v1/admin", tag="Quotations", people_only=True)
buyer = audience(Audience.BUYER)
asker = roles(Role.REQUESTER, Role.APPROVER, Role.MANAGER, of=Audience.BUYER)
awarder = roles(Role.APPROVER, Role.MANAGER, of=Audience.BUYER)
seller = roles(Role.LISTER, Role.SELLER_FINANCE, Role.MANAGER, of=Audience.COOPERATIVE, helpers=False)
onlooker = roles(Role.OPERATOR, Role.AUDITOR, of=Audience.ADMIN)


def shown(session: Session, rows: Sequence[QuotationRequest], *, sellers: bool) -> list[RequestOut]:
    """Requests as JSON; `sellers`: with who is asked, which is for the asker alone."""
    ids = [row.id for row in rows]
    lines, names = queries.lines_of(session, ids), queries.invited(session, ids) if sellers else {}
    buyers = {key: queries.name_of(session, key) for key in {row.buyer_id for row in rows}}
    return [request_out(row, lines[row.id], names.get(row.id, {}), buyers[row.buyer_id]) for row in rows]


def page_of(session: Session, actor: Actor, query: RequestsQuery, *, sellers: bool) -> RequestPage:
    wanted, name = queries.visible_to(actor), f"quotation requests {query.status}"
    if query.status:
        wanted = wanted.where(QuotationRequest.status == query.status)
    if query.cursor:
        wanted = wanted.where(QuotationRequest.id < cursors.decode_id(name, query.cursor))
    found = session.scalars(wanted.order_by(QuotationRequest.id.desc()).limit(query.limit + 1)).all()
    page, following = cursors.cut(name, found, query.limit)
    return RequestPage(items=shown(session, page, sellers=sellers), next=following)


def own_shown(session: Session, actor: Actor, request_id: QuotationRequestId) -> RequestOut:
    (found,) = shown(session, [asking.own(session, actor, request_id)], sellers=True)
    return found


def awards_shown(session: Session, actor: Actor, request_id: QuotationRequestId) -> AwardsOut:
    request = own_shown(session, actor, request_id)
    return AwardsOut(request=request, awards=[awarded_out(row) for row in queries.awards_of(session, request_id)])


def asked_shown(session: Session, actor: Actor, request_id: QuotationRequestId) -> AskedOut:
    row = queries.one(session, actor, request_id)
    (request,) = shown(session, [row], sellers=False)
    quote = queries.last_of(session, row.id, actor.organisation_id)
    won = [each.place for each in queries.awards_of(session, row.id) if each.cooperative_id == actor.organisation_id]
    lines = queries.quoted_lines(session, [quote.id])[quote.id] if quote else []
    return AskedOut(request=request, quote=quote_out(quote, lines) if quote else None, awarded=won)


@buying.post(
    "/quotation-requests",
    allow=asker,
    answers={201: RequestOut},
    refusals=(NotFound, Invalid, OrganisationNotActive),
)
def ask_for_quotes(session: Session, actor: Actor, now: datetime, body: AskForQuotes) -> RequestOut:
    """Ask chosen cooperatives for their prices until a deadline, before which nobody reads them."""
    return own_shown(session, actor, asking.ask(session, by=actor, wanted=body, now=now))


@buying.get("/quotation-requests", allow=buyer, answers={200: RequestPage})
def list_quotation_requests(session: Session, actor: Actor, query: RequestsQuery) -> RequestPage:
    """The institution's requests for quotation, newest first."""
    return page_of(session, actor, query, sellers=True)


@buying.get("/quotation-requests/<request_id>", allow=buyer, answers={200: AwardsOut}, refusals=(NotFound,))
def read_quotation_request(session: Session, actor: Actor, request_id: QuotationRequestId) -> AwardsOut:
    """One request, and to whom its lines were awarded."""
    return awards_shown(session, actor, request_id)


@buying.post(
    "/quotation-requests/<request_id>/cancel",
    allow=asker,
    answers={200: RequestOut},
    refusals=(NotFound, WrongRequestStatus),
)
def cancel_quotation_request(
    session: Session, actor: Actor, now: datetime, request_id: QuotationRequestId, body: CancelRequest
) -> RequestOut:
    """Take an open request back, with the reason."""
    asking.cancel(session, by=actor, request_id=request_id, reason=body.reason, now=now)
    return own_shown(session, actor, request_id)


@buying.get(
    "/quotation-requests/<request_id>/comparison",
    allow=buyer,
    answers={200: ComparisonOut},
    refusals=(NotFound, QuotesSealed),
)
def compare_quotes(session: Session, actor: Actor, now: datetime, request_id: QuotationRequestId) -> ComparisonOut:
    """The quotes for each line by landed price per accepted kilogram, once the deadline has passed; reads are kept."""
    row = asking.own(session, actor, request_id)
    found = comparing.compare(session, row, now=now)
    asking.note_view(session, by=actor, row=row, what=Seen.QUOTES, now=now)
    return comparison_out(found, queries.invited(session, [row.id])[row.id])


@buying.post(
    "/quotation-requests/<request_id>/award",
    allow=awarder,
    answers={200: AwardsOut},
    refusals=(NotFound, Invalid, QuotesSealed, WrongRequestStatus, OrganisationNotActive),
)
def award_quotes(
    session: Session, actor: Actor, now: datetime, request_id: QuotationRequestId, body: Award
) -> AwardsOut:
    """Award lines to cooperatives, each with the reason where another is cheaper; what it rests on is kept for good."""
    awarding.award(session, by=actor, request_id=request_id, wanted=body, now=now)
    return awards_shown(session, actor, request_id)


@buying.get("/quotation-requests/<request_id>/evidence", allow=buyer, answers={200: EvidenceOut}, refusals=(NotFound,))
def read_quotation_evidence(
    session: Session, actor: Actor, now: datetime, request_id: QuotationRequestId
) -> EvidenceOut:
    """What an award rests on: the request, every version of every quote, the comparison, and who read what when."""
    return evidence_shown(session, actor, asking.own(session, actor, request_id), now)


@looking.get("/quotation-requests/<request_id>/evidence", allow=onlooker, answers={200: EvidenceOut})
def audit_quotation_evidence(
    session: Session, actor: Actor, now: datetime, request_id: QuotationRequestId
) -> EvidenceOut:
    """The same for an auditor without named regions and for operators, after the award; that it was read is kept."""
    row = session.get(QuotationRequest, request_id) if actor.reads_everything else None
    if row is None:
        raise NotFound("No such request for quotation of yours.")
    return evidence_shown(session, actor, row, now)


def evidence_shown(session: Session, actor: Actor, row: QuotationRequest, now: datetime) -> EvidenceOut:
    kept = queries.evidence_of(session, row.id)
    if kept is None:
        raise NotFound("There is no evidence before an award.")
    asking.note_view(session, by=actor, row=row, what=Seen.EVIDENCE, now=now)
    return evidence_out(kept, queries.views_of(session, row.id))


@selling.get("/quotation-requests", allow=seller, answers={200: RequestPage})
def list_quotation_requests_to_seller(session: Session, actor: Actor, query: RequestsQuery) -> RequestPage:
    """The requests that the cooperative is asked by, newest first."""
    return page_of(session, actor, query, sellers=False)


@selling.get("/quotation-requests/<request_id>", allow=seller, answers={200: AskedOut}, refusals=(NotFound,))
def read_quotation_request_to_seller(
    session: Session, actor: Actor, now: datetime, request_id: QuotationRequestId
) -> AskedOut:
    """One request with the cooperative's own quote; that it was read is kept."""
    row = queries.one(session, actor, request_id)
    asking.note_view(session, by=actor, row=row, what=Seen.REQUEST, now=now)
    return asked_shown(session, actor, request_id)


@selling.put(
    "/quotation-requests/<request_id>/quote",
    allow=seller,
    answers={200: AskedOut},
    refusals=(NotFound, Invalid, DeadlinePassed, WrongRequestStatus, VersionConflict, OrganisationNotActive),
)
def submit_quote(
    session: Session, actor: Actor, now: datetime, request_id: QuotationRequestId, body: SubmitQuote
) -> AskedOut:
    """Quote, sealed until the deadline; a later quote replaces the one before, and one without lines takes it back."""
    offering.submit(session, by=actor, request_id=request_id, wanted=body, now=now)
    return asked_shown(session, actor, request_id)
