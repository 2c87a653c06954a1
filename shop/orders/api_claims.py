"""Returns and disputes: the buyer claims, the cooperative answers, the platform decides."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from shop.actor import Actor, Audience, Role
from shop.errors import NotFound
from shop.files import service as files
from shop.http import cursors
from shop.http.routes import REQUIRED, Routes, audience, roles
from shop.ids import ClaimId, SupplierOrderId
from shop.orders import queries_claims, queries_inspections
from shop.orders.models import WrongStatus
from shop.orders.models_claims import Claim, ClaimIsOpen, ClaimTooLate, WrongClaim, WrongClaimStatus
from shop.orders.schemas_claims import (
    ClaimLineOut,
    ClaimOut,
    ClaimPage,
    ClaimsQuery,
    CorrectionOut,
    Decide,
    NewAnswer,
    NewClaim,
    PaperOut,
)
from shop.orders.schemas_fulfilment import photo_out
from shop.orders.service import claiming

buying = Routes("/v1/buyer", tag="Buying")
selling = Routes("/v1/cooperative", tag="Selling")
deciding = Routes("/v1/admin", tag="Claims", people_only=True)
claimer = roles(Role.RECEIVER, Role.MANAGER, Role.REQUESTER, of=Audience.BUYER)
officer = roles(Role.OPERATOR, Role.AUDITOR, of=Audience.ADMIN)


def claims_out(session: Session, claims: Sequence[Claim]) -> list[ClaimOut]:
    """Claims as JSON, in a number of statements that does not grow with them."""
    keys = [claim.id for claim in claims]
    lines, papers = queries_claims.lines_of(session, keys), queries_claims.papers_of(session, keys)
    corrections = queries_claims.corrections_of(session, keys)
    named = {photo for claim in claims for photo in claim.answer_photo_ids}
    named |= {photo for own in lines.values() for line in own for photo in line.photo_ids}
    photos = queries_inspections.named_photos(session, named)
    found = []
    for claim in claims:
        correction, taken = corrections.get(claim.id, (None, []))
        granted = {(line.line_id, line.lot_id): line.packs for line in taken}
        found.append(
            ClaimOut(
                id=claim.id,
                number=claim.number,
                kind=claim.kind,
                status=claim.status,
                supplier_order_id=claim.supplier_order_id,
                buyer_id=claim.buyer_id,
                cooperative_id=claim.cooperative_id,
                statement=claim.statement,
                raised_by=claim.raised_by,
                raised_at=claim.raised_at.isoformat(),
                defend_until=claim.defend_until.isoformat() if claim.defend_until else None,
                answer=claim.answer,
                answered_at=claim.answered_at.isoformat() if claim.answered_at else None,
                answer_photos=[photo_out(*photos[key]) for key in claim.answer_photo_ids if key in photos],
                decision=claim.decision,
                closed_at=claim.closed_at.isoformat() if claim.closed_at else None,
                lines=[
                    ClaimLineOut(
                        line_id=line.line_id,
                        lot_id=line.lot_id,
                        packs=line.packs,
                        granted=granted.get((line.line_id, line.lot_id), 0) if claim.closed_at else None,
                        reason=line.reason,
                        photos=[photo_out(*photos[key]) for key in line.photo_ids if key in photos],
                    )
                    for line in lines[claim.id]
                ],
                papers=[
                    PaperOut(side=side, name=file.name, media_type=file.media_type, link=files.link(file))
                    for side, file in papers[claim.id]
                ],
                correction=CorrectionOut(
                    id=correction.id,
                    number=correction.number,
                    at=correction.at.isoformat(),
                    goods_fen=correction.goods_fen,
                    freight_fen=correction.freight_fen,
                    total_fen=correction.goods_fen + correction.freight_fen,
                )
                if correction
                else None,
            )
        )
    return found


def claim_out(session: Session, actor: Actor, claim_id: ClaimId) -> ClaimOut:
    return claims_out(session, [queries_claims.one(session, actor, claim_id)])[0]


def page(session: Session, actor: Actor, query: ClaimsQuery) -> ClaimPage:
    name = f"claims {query.status or ''}"
    wanted = queries_claims.visible_claims(actor).order_by(Claim.id.desc()).limit(query.limit + 1)
    if query.status:
        wanted = wanted.where(Claim.status == query.status)
    if query.cursor:
        wanted = wanted.where(Claim.id < cursors.decode_id(name, query.cursor))
    found, following = cursors.cut(name, session.scalars(wanted).all(), query.limit)
    return ClaimPage(items=claims_out(session, found), next=following)


@buying.post(
    "/supplier-orders/<supplier_order_id>/claims",
    allow=claimer,
    answers={201: ClaimOut},
    refusals=(NotFound, WrongStatus, ClaimIsOpen, ClaimTooLate, WrongClaim),
    key=REQUIRED,
)
def raise_claim(
    session: Session, actor: Actor, now: datetime, supplier_order_id: SupplierOrderId, body: NewClaim
) -> ClaimOut:
    """Claim against packs that were accepted, by inspection or by silence, with photos and papers.

    The cooperative answers within its hours; until the claim is closed it is not paid for this delivery.
    """
    key = claiming.raise_claim(session, actor=actor, supplier_order_id=supplier_order_id, wanted=body, now=now)
    return claim_out(session, actor, key)


@buying.get("/claims", allow=audience(Audience.BUYER), answers={200: ClaimPage})
def list_own_claims(session: Session, actor: Actor, query: ClaimsQuery) -> ClaimPage:
    """The claims of the institution, newest first."""
    return page(session, actor, query)


@buying.get("/claims/<claim_id>", allow=audience(Audience.BUYER), answers={200: ClaimOut}, refusals=(NotFound,))
def read_own_claim(session: Session, actor: Actor, claim_id: ClaimId) -> ClaimOut:
    """One claim with its evidence, answer and outcome."""
    return claim_out(session, actor, claim_id)


@buying.post(
    "/claims/<claim_id>/withdraw",
    allow=claimer,
    answers={200: ClaimOut},
    refusals=(NotFound, WrongClaimStatus),
    key=REQUIRED,
)
def withdraw_claim(session: Session, actor: Actor, now: datetime, claim_id: ClaimId) -> ClaimOut:
    """Take a claim back that is not closed."""
    claiming.withdraw(session, actor=actor, claim_id=claim_id, now=now)
    return claim_out(session, actor, claim_id)


@selling.get("/claims", allow=audience(Audience.COOPERATIVE), answers={200: ClaimPage})
def list_received_claims(session: Session, actor: Actor, query: ClaimsQuery) -> ClaimPage:
    """The claims against deliveries of the cooperative, newest first."""
    return page(session, actor, query)


@selling.get("/claims/<claim_id>", allow=audience(Audience.COOPERATIVE), answers={200: ClaimOut}, refusals=(NotFound,))
def read_received_claim(session: Session, actor: Actor, claim_id: ClaimId) -> ClaimOut:
    """One claim with its evidence, answer and outcome."""
    return claim_out(session, actor, claim_id)


@selling.post(
    "/claims/<claim_id>/answer",
    allow=roles(Role.SELLER_FINANCE, Role.MANAGER, of=Audience.COOPERATIVE),
    answers={200: ClaimOut},
    refusals=(NotFound, WrongClaimStatus, WrongClaim),
    key=REQUIRED,
)
def answer_claim(session: Session, actor: Actor, now: datetime, claim_id: ClaimId, body: NewAnswer) -> ClaimOut:
    """Agree, and what is claimed is taken back at once, or contest it for the platform to decide.

    What the cooperative was paid for already is kept from what it is paid next.
    """
    claiming.answer(session, actor=actor, claim_id=claim_id, wanted=body, now=now)
    return claim_out(session, actor, claim_id)


@deciding.get("/claims", allow=officer, answers={200: ClaimPage})
def list_claims(session: Session, actor: Actor, query: ClaimsQuery) -> ClaimPage:
    """The claims of everybody, newest first; `contested` and `undefended` wait for a decision."""
    return page(session, actor, query)


@deciding.get("/claims/<claim_id>", allow=officer, answers={200: ClaimOut}, refusals=(NotFound,))
def read_claim(session: Session, actor: Actor, claim_id: ClaimId) -> ClaimOut:
    """One claim with the evidence of both sides."""
    return claim_out(session, actor, claim_id)


@deciding.post(
    "/claims/<claim_id>/decide",
    allow=roles(Role.OPERATOR, of=Audience.ADMIN),
    answers={200: ClaimOut},
    refusals=(NotFound, WrongClaimStatus, WrongClaim),
    key=REQUIRED,
)
def decide_claim(session: Session, actor: Actor, now: datetime, claim_id: ClaimId, body: Decide) -> ClaimOut:
    """Decide a claim that was contested or not answered in time; there is one decision, and it is final here."""
    claiming.decide(session, by=actor, claim_id=claim_id, wanted=body, now=now)
    return claim_out(session, actor, claim_id)
