"""Framework agreements, for both sides of them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from shop.accounts.models_units import OrganisationNotActive
from shop.actor import Actor, Audience, Role
from shop.agreements import queries
from shop.agreements.models import FrameworkAgreement, WrongAgreementStatus
from shop.agreements.schemas import (
    AgreementOut,
    AgreementPage,
    AgreementsQuery,
    AnswerAgreement,
    DrawingPage,
    EndAgreement,
    NegotiatedQuotePage,
    ProposeAgreement,
    ProposeToBuyer,
    agreement_out,
    drawing_out,
    negotiated_quote_out,
)
from shop.agreements.service import agreeing
from shop.errors import Invalid, NotFound
from shop.http import cursors
from shop.http.routes import PageQuery, Routes, audience, roles
from shop.ids import AgreementId

buying = Routes("/v1/buyer", tag="Agreements", people_only=True)
selling = Routes("/v1/cooperative", tag="Agreements", people_only=True)
buyer, seller = audience(Audience.BUYER), audience(Audience.COOPERATIVE, helpers=False)
buying_manager = roles(Role.MANAGER, of=Audience.BUYER)
selling_manager = roles(Role.MANAGER, of=Audience.COOPERATIVE, helpers=False)
PROPOSING = (NotFound, Invalid, OrganisationNotActive)
ANSWERING = (NotFound, WrongAgreementStatus, OrganisationNotActive)
ENDING = (NotFound, WrongAgreementStatus)


def shown(session: Session, rows: Sequence[FrameworkAgreement]) -> list[AgreementOut]:
    lines, names = queries.lines_of(session, [row.id for row in rows]), queries.names_of(session, rows)
    return [agreement_out(row, lines[row.id], names) for row in rows]


def one_shown(session: Session, actor: Actor, agreement_id: AgreementId) -> AgreementOut:
    (found,) = shown(session, [queries.one(session, actor, agreement_id)])
    return found


def page_of(session: Session, actor: Actor, query: AgreementsQuery) -> AgreementPage:
    wanted, name = queries.visible_to(actor), f"agreements {query.status}"
    if query.status:
        wanted = wanted.where(FrameworkAgreement.status == query.status)
    if query.cursor:
        wanted = wanted.where(FrameworkAgreement.id < cursors.decode_id(name, query.cursor))
    found = session.scalars(wanted.order_by(FrameworkAgreement.id.desc()).limit(query.limit + 1)).all()
    page, following = cursors.cut(name, found, query.limit)
    return AgreementPage(items=shown(session, page), next=following)


def drawings(session: Session, actor: Actor, agreement_id: AgreementId, query: PageQuery) -> DrawingPage:
    row, name = queries.one(session, actor, agreement_id), f"drawings {agreement_id.hex}"
    after = cursors.decode_id(name, query.cursor) if query.cursor else None
    found = queries.drawings_of(session, row.id, after, query.limit + 1)
    page, following = cursors.cut(name, found, query.limit, lambda pair: pair[0].id)
    return DrawingPage(items=[drawing_out(drawing, listing) for drawing, listing in page], next=following)


def quotes(session: Session, actor: Actor, query: PageQuery) -> NegotiatedQuotePage:
    name = "negotiated quotes"
    before = cursors.decode_id(name, query.cursor) if query.cursor else None
    found = queries.quotes_of(session, actor, before, query.limit + 1)
    page, following = cursors.cut(name, found, query.limit, lambda pair: pair[0].id)
    return NegotiatedQuotePage(items=[negotiated_quote_out(quote, use) for quote, use in page], next=following)


@buying.get("/negotiated-quotes", allow=buyer, answers={200: NegotiatedQuotePage})
def list_negotiated_quotes(session: Session, actor: Actor, query: PageQuery) -> NegotiatedQuotePage:
    """The prices that were awarded by the institution, newest first, and the line that was ordered at each."""
    return quotes(session, actor, query)


@selling.get("/negotiated-quotes", allow=seller, answers={200: NegotiatedQuotePage})
def list_negotiated_quotes_of_seller(session: Session, actor: Actor, query: PageQuery) -> NegotiatedQuotePage:
    """The prices that were awarded to the cooperative, newest first, and the line that was ordered at each."""
    return quotes(session, actor, query)


@buying.post("/agreements", allow=buying_manager, answers={201: AgreementOut}, refusals=PROPOSING)
def propose_agreement(session: Session, actor: Actor, now: datetime, body: ProposeAgreement) -> AgreementOut:
    """Propose prices to the cooperative of these listings; they hold when it accepts them."""
    return one_shown(session, actor, agreeing.propose(session, by=actor, wanted=body, now=now))


@buying.get("/agreements", allow=buyer, answers={200: AgreementPage})
def list_agreements(session: Session, actor: Actor, query: AgreementsQuery) -> AgreementPage:
    """The institution's framework agreements and proposals of both sides, newest first."""
    return page_of(session, actor, query)


@buying.get("/agreements/<agreement_id>", allow=buyer, answers={200: AgreementOut}, refusals=(NotFound,))
def read_agreement(session: Session, actor: Actor, agreement_id: AgreementId) -> AgreementOut:
    """One agreement with its lines and what was drawn on each."""
    return one_shown(session, actor, agreement_id)


@buying.post("/agreements/<agreement_id>/answer", allow=buying_manager, answers={200: AgreementOut}, refusals=ANSWERING)
def answer_agreement(
    session: Session, actor: Actor, now: datetime, agreement_id: AgreementId, body: AnswerAgreement
) -> AgreementOut:
    """Accept or decline what a cooperative proposed."""
    agreeing.answer(session, by=actor, agreement_id=agreement_id, accept=body.accept, reason=body.reason, now=now)
    return one_shown(session, actor, agreement_id)


@buying.post("/agreements/<agreement_id>/end", allow=buying_manager, answers={200: AgreementOut}, refusals=ENDING)
def end_agreement(
    session: Session, actor: Actor, now: datetime, agreement_id: AgreementId, body: EndAgreement
) -> AgreementOut:
    """Take back one's own proposal, or end what was agreed; orders placed before keep their prices."""
    agreeing.end(session, by=actor, agreement_id=agreement_id, reason=body.reason, now=now)
    return one_shown(session, actor, agreement_id)


@buying.get("/agreements/<agreement_id>/drawings", allow=buyer, answers={200: DrawingPage}, refusals=(NotFound,))
def list_agreement_drawings(session: Session, actor: Actor, agreement_id: AgreementId, query: PageQuery) -> DrawingPage:
    """What lines of orders drew on an agreement and gave back, oldest first; their sum is `drawn_fen`."""
    return drawings(session, actor, agreement_id, query)


@selling.post("/agreements", allow=selling_manager, answers={201: AgreementOut}, refusals=PROPOSING)
def propose_agreement_to_buyer(session: Session, actor: Actor, now: datetime, body: ProposeToBuyer) -> AgreementOut:
    """Propose prices of one's own listings to a buyer; they hold when it accepts them."""
    return one_shown(session, actor, agreeing.propose(session, by=actor, wanted=body, now=now))


@selling.get("/agreements", allow=seller, answers={200: AgreementPage})
def list_agreements_of_seller(session: Session, actor: Actor, query: AgreementsQuery) -> AgreementPage:
    """The cooperative's framework agreements and proposals of both sides, newest first."""
    return page_of(session, actor, query)


@selling.get("/agreements/<agreement_id>", allow=seller, answers={200: AgreementOut}, refusals=(NotFound,))
def read_agreement_of_seller(session: Session, actor: Actor, agreement_id: AgreementId) -> AgreementOut:
    """One agreement with its lines and what was drawn on each."""
    return one_shown(session, actor, agreement_id)


@selling.post(
    "/agreements/<agreement_id>/answer", allow=selling_manager, answers={200: AgreementOut}, refusals=ANSWERING
)
def answer_agreement_as_seller(
    session: Session, actor: Actor, now: datetime, agreement_id: AgreementId, body: AnswerAgreement
) -> AgreementOut:
    """Accept or decline what a buyer proposed."""
    agreeing.answer(session, by=actor, agreement_id=agreement_id, accept=body.accept, reason=body.reason, now=now)
    return one_shown(session, actor, agreement_id)


@selling.post("/agreements/<agreement_id>/end", allow=selling_manager, answers={200: AgreementOut}, refusals=ENDING)
def end_agreement_as_seller(
    session: Session, actor: Actor, now: datetime, agreement_id: AgreementId, body: EndAgreement
) -> AgreementOut:
    """Take back one's own proposal, or end what was agreed; orders placed before keep their prices."""
    agreeing.end(session, by=actor, agreement_id=agreement_id, reason=body.reason, now=now)
    return one_shown(session, actor, agreement_id)


@selling.get("/agreements/<agreement_id>/drawings", allow=seller, answers={200: DrawingPage}, refusals=(NotFound,))
def list_agreement_drawings_of_seller(
    session: Session, actor: Actor, agreement_id: AgreementId, query: PageQuery
) -> DrawingPage:
    """What lines of orders drew on an agreement and gave back, oldest first; their sum is `drawn_fen`."""
    return drawings(session, actor, agreement_id, query)
