"""Papers of lots as JSON."""

from datetime import date
from typing import Annotated

from pydantic import Field

from shop.http.fields import Day
from shop.http.routes import In, Out
from shop.ids import FileId, LotDocumentId, LotId
from shop.stock.models_documents import LotDocument, LotDocumentRule
from shop.stock.queries_documents import Missing


class AddDocument(In):
    """A paper that was uploaded. `valid_until`: the first day on which it holds no more, where it has one."""

    kind: Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")]
    number: Annotated[str, Field(min_length=1, max_length=100)]
    file_id: FileId
    valid_until: Day | None = None


class DocumentRuleOut(Out):
    """A paper that lots of a category need; where it is `blocking` they are not packed without it."""

    category: str
    kind: str
    name: str
    name_en: str
    blocking: bool
    source: str


class DocumentRules(Out):
    items: list[DocumentRuleOut]


class MissingOut(Out):
    """A paper that a lot needs today and has not."""

    lot_id: LotId
    code: str
    kind: str
    name: str
    name_en: str
    blocking: bool


class LotDocumentOut(Out):
    id: LotDocumentId
    kind: str
    number: str
    file_id: FileId
    valid_until: date | None


class LotDocumentsOut(Out):
    """The papers of a lot, and those that are missing today."""

    lot_id: LotId
    documents: list[LotDocumentOut]
    missing: list[MissingOut]


def rule_out(rule: LotDocumentRule) -> DocumentRuleOut:
    return DocumentRuleOut(**{name: getattr(rule, name) for name in DocumentRuleOut.model_fields})


def missing_out(missing: Missing) -> MissingOut:
    return MissingOut(**{name: getattr(missing, name) for name in MissingOut.model_fields})


def document_out(document: LotDocument) -> LotDocumentOut:
    return LotDocumentOut(**{name: getattr(document, name) for name in LotDocumentOut.model_fields})
