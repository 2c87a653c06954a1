"""Add papers to lots, and refuse to pack without those that a rule insists on."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.audit import service as audit
from shop.clock import business_day
from shop.errors import Invalid, Refusal
from shop.files import service as files
from shop.ids import new_id
from shop.stock import queries, queries_documents
from shop.stock.models import Lot
from shop.stock.models_documents import LotDocument, LotDocumentRule
from shop.stock.schemas_documents import AddDocument


class DocumentsMissing(Refusal):
    """Lots need papers before they are packed; `missing` names each lot and paper."""

    code, status = "documents_missing", 409
    title, title_zh = "Papers of these lots are missing.", "批次缺少必需的证明文件，不能装箱。"


def add(session: Session, *, by: Actor, lot_id: UUID, wanted: AddDocument, now: datetime) -> UUID:
    """Add a paper to a lot of the actor's; gives the lot as harvested. NotFound for a lot or file of another.

    The file was uploaded before (`POST /v1/me/files`) and is kept from now on.
    """
    lot = queries.own(session, Lot, by, lot_id)
    origin = lot.origin_id or lot.id
    known = select(LotDocumentRule.id).where(LotDocumentRule.kind == wanted.kind).limit(1)
    if session.scalar(known) is None:
        raise Invalid("No such kind of paper.", pointer="/kind")
    if wanted.valid_until is not None and wanted.valid_until <= business_day(now):
        raise Invalid("The paper holds no more.", pointer="/valid_until")
    files.keep(session, organisation_id=by.organisation_id, file_ids=[wanted.file_id])
    there = select(LotDocument.id).where(
        LotDocument.lot_id == origin, LotDocument.kind == wanted.kind, LotDocument.file_id == wanted.file_id
    )
    if session.scalar(there) is None:
        key = new_id()
        session.execute(
            insert(LotDocument).values(
                id=key,
                lot_id=origin,
                cooperative_id=by.organisation_id,
                kind=wanted.kind,
                number=wanted.number,
                file_id=wanted.file_id,
                valid_until=wanted.valid_until,
                added_by=by.user_id,
                added_at=now,
            )
        )
        audit.record(
            session, by=by, action="lot_document.added", kind="lot", subject=origin, now=now, document=key.hex,
            sort=wanted.kind,
        )  # fmt: skip
    return origin


def refuse_without(session: Session, lot_ids: Sequence[UUID], now: datetime) -> None:
    """DocumentsMissing when a rule of the day insists on a paper that one of these lots has not."""
    blocking = [one for one in queries_documents.missing(session, lot_ids, business_day(now)) if one.blocking]
    if blocking:
        raise DocumentsMissing(
            missing=[
                {"lot_id": f"lot_{one.lot_id.hex}", "code": one.code, "kind": one.kind, "name": one.name}
                for one in blocking
            ]
        )
