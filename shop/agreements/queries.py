"""What may be read of agreements, and by whom."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session, aliased

from shop.accounts.models import Organisation
from shop.actor import Actor
from shop.agreements.models import (
    AgreementDrawing,
    AgreementLine,
    FrameworkAgreement,
    NegotiatedQuote,
    NegotiatedQuoteUse,
)
from shop.errors import NotFound


def visible_to(actor: Actor) -> Select[FrameworkAgreement]:
    """The agreements of the actor's organisation, on either side of them; every read starts here."""
    ours = or_(
        FrameworkAgreement.buyer_id == actor.organisation_id, FrameworkAgreement.cooperative_id == actor.organisation_id
    )
    return select(FrameworkAgreement).where(ours)


def one(session: Session, actor: Actor, agreement_id: UUID) -> FrameworkAgreement:
    """One of the actor's as it stands, or NotFound."""
    found = session.scalars(
        visible_to(actor).where(FrameworkAgreement.id == agreement_id).execution_options(populate_existing=True)
    ).first()
    if found is None:
        raise NotFound("No such agreement of yours.")
    return found


def lines_of(session: Session, ids: Collection[UUID]) -> dict[UUID, list[AgreementLine]]:
    """The lines of these agreements by agreement, in one statement."""
    found: dict[UUID, list[AgreementLine]] = {key: [] for key in ids}
    for line in session.scalars(
        select(AgreementLine)
        .where(AgreementLine.agreement_id.in_(ids))
        .order_by(AgreementLine.agreement_id, AgreementLine.place)
        .execution_options(populate_existing=True)
    ):
        found[line.agreement_id].append(line)
    return found


def names_of(session: Session, agreements: Sequence[FrameworkAgreement]) -> dict[UUID, str]:
    """The names of both sides by organisation."""
    ids = {key for row in agreements for key in (row.buyer_id, row.cooperative_id)}
    rows = session.execute(select(Organisation.id, Organisation.name).where(Organisation.id.in_(ids)))
    return {row.id: row.name for row in rows}


def quotes_of(session: Session, actor: Actor, before: UUID | None, limit: int) -> Sequence[Any]:
    """Negotiated quotes of the actor's organisation, on either side, newest first, each with its use if it has one."""
    quote, use = aliased(NegotiatedQuote), aliased(NegotiatedQuoteUse)
    wanted = (
        select(quote, use)
        .outerjoin(use, use.quote_id == quote.id)
        .where(or_(quote.buyer_id == actor.organisation_id, quote.cooperative_id == actor.organisation_id))
    )
    if before is not None:
        wanted = wanted.where(quote.id < before)
    return session.execute(wanted.order_by(quote.id.desc()).limit(limit)).all()


def drawings_of(session: Session, agreement_id: UUID, after: UUID | None, limit: int) -> Sequence[Any]:
    """The drawings of an agreement with the listing of each, oldest first."""
    line = aliased(AgreementLine)
    wanted = (
        select(AgreementDrawing, line.listing_id)
        .join(line, line.id == AgreementDrawing.agreement_line_id)
        .where(AgreementDrawing.agreement_id == agreement_id)
    )
    if after is not None:
        wanted = wanted.where(AgreementDrawing.id > after)
    return session.execute(wanted.order_by(AgreementDrawing.id).limit(limit)).all()


OFFERED = """
    offered AS MATERIALIZED (
        SELECT listing_id, json_agg(offer) AS offers FROM (
            SELECT l.listing_id, json_build_object(
                       'basis', 'agreement', 'under', a.id, 'line', l.id, 'unit_fen', l.unit_fen,
                       'pack', l.pack_base_quantity, 'packs_left', l.ceiling_packs - l.drawn_packs,
                       'fen_left', a.ceiling_fen - a.drawn_fen
                   ) AS offer
            FROM framework_agreement a JOIN agreement_line l ON l.agreement_id = a.id
            WHERE a.buyer_id = CAST(:buyer AS uuid) AND a.status = 'accepted' AND a.valid @> CAST(:on AS date)
              AND l.listing_id = ANY(:ids)
            UNION ALL
            SELECT q.listing_id, json_build_object(
                       'basis', 'quote', 'under', q.id, 'line', q.id, 'unit_fen', q.unit_fen,
                       'pack', q.pack_base_quantity, 'packs_left', q.packs, 'fen_left', NULL
                   )
            FROM negotiated_quote q
            WHERE q.buyer_id = CAST(:buyer AS uuid) AND q.valid @> CAST(:on AS date) AND q.listing_id = ANY(:ids)
              AND NOT EXISTS (SELECT 1 FROM negotiated_quote_use u WHERE u.quote_id = q.id)
        ) told GROUP BY listing_id
    )
"""
"""What a buyer's agreements and unused quotes offer on a day of these listings, as a part of a larger statement.

Read beside the listings themselves (`pricing.offers_of`), so that an order costs no further round trip for it.
"""
