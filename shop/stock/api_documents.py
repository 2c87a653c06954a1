"""Papers of lots, for cooperatives; and for everybody, which are asked for."""

from datetime import datetime

from sqlalchemy.orm import Session

from shop.actor import Actor, Audience, Role
from shop.clock import business_day
from shop.errors import NotFound
from shop.http.routes import PUBLIC, REQUIRED, Routes, audience, roles
from shop.ids import LotId
from shop.stock import queries
from shop.stock import queries_documents as papers
from shop.stock.models import Lot
from shop.stock.schemas_documents import (
    AddDocument,
    DocumentRules,
    LotDocumentsOut,
    document_out,
    missing_out,
    rule_out,
)
from shop.stock.service import documenting

routes = Routes("/v1/cooperative", tag="Stock")
public = Routes("/v1/public", tag="Trace")
storekeeper = roles(Role.LISTER, Role.SHIPPER, of=Audience.COOPERATIVE)


@public.get("/lot-documents", allow=PUBLIC, answers={200: DocumentRules})
def list_lot_document_rules(session: Session, now: datetime) -> DocumentRules:
    """Which papers lots of each category need today."""
    return DocumentRules(items=[rule_out(rule) for rule in papers.rules(session, business_day(now))])


@routes.post(
    "/lots/<lot_id>/documents", allow=storekeeper, answers={201: LotDocumentsOut}, refusals=(NotFound,), key=REQUIRED
)
def add_lot_document(
    session: Session, actor: Actor, now: datetime, lot_id: LotId, body: AddDocument
) -> LotDocumentsOut:
    """Add a paper that was uploaded to a lot; the answer says which are missing still."""
    documenting.add(session, by=actor, lot_id=lot_id, wanted=body, now=now)
    return papers_of(session, actor, lot_id, now)


@routes.get("/lots/<lot_id>/documents", allow=audience(Audience.COOPERATIVE), answers={200: LotDocumentsOut})
def list_lot_documents(session: Session, actor: Actor, now: datetime, lot_id: LotId) -> LotDocumentsOut:
    """The papers of a lot, and those that are missing today."""
    return papers_of(session, actor, lot_id, now)


def papers_of(session: Session, actor: Actor, lot_id: LotId, now: datetime) -> LotDocumentsOut:
    lot = queries.own(session, Lot, actor, lot_id)
    return LotDocumentsOut(
        lot_id=lot_id,
        documents=[document_out(one) for one in papers.documents_of(session, lot.origin_id or lot.id)],
        missing=[missing_out(one) for one in papers.missing(session, [lot_id], business_day(now))],
    )
