"""Read the audit trail, acknowledge it, take it along."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from shop.accounts.schemas_audit import (
    Acknowledge,
    Acknowledged,
    AuditFilter,
    AuditPage,
    AuditQuery,
    GrantMandate,
    MandateOut,
    MandatePage,
    MandatesQuery,
    RevokeMandate,
    entry_out,
    mandate_out,
)
from shop.accounts.service import auditing
from shop.actor import Actor, Audience, Role
from shop.audit import service
from shop.audit.models import AuditAcknowledgement, AuditEntry
from shop.clock import day_start
from shop.errors import NotFound, Refusal
from shop.http import cursors
from shop.http.routes import Raw, Routes, roles
from shop.ids import AuditMandateId
from shop.sheets.writer import CSV_TYPE, Out, csv_chunks

admin_routes = Routes("/v1/admin", tag="Audit")
mandate_routes = Routes("/v1/admin", tag="Audit", people_only=True)
own_routes = Routes("/v1/me", tag="Audit")
readers = roles(Role.OPERATOR, Role.AUDITOR, of=Audience.ADMIN)
operators = roles(Role.OPERATOR, of=Audience.ADMIN)
EXPORTED_AT_MOST = 50_000
BATCH = 2_000
COLUMNS = (
    Out("编号 id"), Out("时间 at", "instant"), Out("单位 organisation"), Out("人员 user"), Out("操作 action"),
    Out("对象 kind"), Out("对象编号 subject"), Out("理由 reason"), Out("变更 change"), Out("地址 address"),
    Out("请求 request"), Out("确认 acknowledged", "instant"), Out("协助人员单位 home organisation"),
    Out("协助委托 mandate"),
)  # fmt: skip


class TooMuchToExport(Refusal):
    """More entries fit than one file holds; `allowed` says how many that is."""

    code, status = "too_much_to_export", 422
    title, title_zh = "Narrow the question: one file cannot hold all of it.", "数据过多，请缩小导出范围。"


def page_of(session: Session, actor: Actor, query: AuditQuery) -> AuditPage:
    asked = days(query) | query.asked()
    question = f"audit {actor.organisation_id.hex} {sorted((name, str(value)) for name, value in asked.items())}"
    before = cursors.decode_id(question, query.cursor) if query.cursor else None
    found = service.entries(session, actor, **asked, before=before, limit=query.limit + 1)
    page, following = cursors.cut(question, found, query.limit, lambda row: row[0].id)
    return AuditPage(
        items=[entry_out(*row) for row in page],
        next=following,
    )


def days(query: AuditFilter) -> dict[str, Any]:
    return {
        "start": day_start(query.start) if query.start else None,
        "end": day_start(query.end) if query.end else None,
    }


@admin_routes.get("/audit", allow=readers, answers={200: AuditPage})
def list_audit(session: Session, actor: Actor, query: AuditQuery) -> AuditPage:
    """Who did what, newest first; an auditor whose mandate names regions reads the own acts only."""
    return page_of(session, actor, query)


@own_routes.get("/audit", allow=roles(Role.MANAGER, Role.OPERATOR), answers={200: AuditPage})
def list_own_audit(session: Session, actor: Actor, query: AuditQuery) -> AuditPage:
    """What was done in the name of the caller's organisation, newest first."""
    own = query.model_copy(update={"organisation_id": actor.organisation_id})
    return page_of(session, actor, own)


@admin_routes.post("/audit/acknowledgements", allow=operators, answers={200: Acknowledged})
def acknowledge_audit(session: Session, actor: Actor, now: datetime, body: Acknowledge) -> Acknowledged:
    """Note that entries were looked at; what was acknowledged before stays as it was."""
    done = service.acknowledge(session, by=actor, entry_ids=body.entries, note=body.note, now=now)
    return Acknowledged(acknowledged=done)


@admin_routes.get("/audit.csv", allow=readers, answers={200: "text/csv"}, refusals=(TooMuchToExport,))
def export_audit(session: Session, actor: Actor, query: AuditFilter) -> Raw:
    """The entries that fit as CSV, oldest last; at most fifty thousand, else narrow the question."""
    lines = (
        (e.id.hex, e.at, e.organisation_id.hex, e.user_id.hex, e.action, e.subject_kind, e.subject_id.hex, e.reason,
         json.dumps(e.change, ensure_ascii=False), e.address, e.request_id, known.at if known else None,
         e.home_organisation_id.hex if e.home_organisation_id else None, e.mandate_id.hex if e.mandate_id else None)
        for e, known in all_of(session, actor, query)
    )  # fmt: skip
    headers = {"Content-Disposition": "attachment; filename=audit.csv", "Cache-Control": "private, no-store"}
    return Raw(b"".join(csv_chunks(COLUMNS, lines)), CSV_TYPE, headers)


def all_of(
    session: Session, actor: Actor, query: AuditFilter
) -> Iterator[tuple[AuditEntry, AuditAcknowledgement | None]]:
    before: UUID | None = None
    count = 0
    while True:
        found = service.entries(session, actor, **days(query), **query.asked(), before=before, limit=BATCH)
        count += len(found)
        if count > EXPORTED_AT_MOST:
            raise TooMuchToExport(allowed=EXPORTED_AT_MOST)
        yield from found
        if len(found) < BATCH:
            return
        before = found[-1][0].id


@mandate_routes.post("/audit-mandates", allow=operators, answers={201: MandateOut}, refusals=(NotFound,))
def grant_audit_mandate(session: Session, actor: Actor, now: datetime, body: GrantMandate) -> MandateOut:
    """Let an auditor read, from a day to a day, by a document; without a mandate the role opens nothing."""
    made = auditing.grant_mandate(
        session, by=actor, membership_id=body.membership_id, regions=body.regions, start=body.valid_from,
        end=body.valid_to, document=body.document, now=now,
    )  # fmt: skip
    return mandate_out(made)


@mandate_routes.get("/audit-mandates", allow=operators, answers={200: MandatePage})
def list_audit_mandates(session: Session, query: MandatesQuery) -> MandatePage:
    """All mandates of auditors, newest first."""
    before = cursors.decode_id("audit mandates", query.cursor) if query.cursor else None
    found = auditing.mandates(session, before=before, limit=query.limit + 1)
    page, following = cursors.cut("audit mandates", found, query.limit)
    return MandatePage(
        items=[mandate_out(mandate) for mandate in page],
        next=following,
    )


@mandate_routes.post(
    "/audit-mandates/<mandate_id>/revoke",
    allow=operators,
    answers={200: MandateOut},
    refusals=(NotFound, auditing.MandateEnded),
)
def revoke_audit_mandate(
    session: Session, actor: Actor, now: datetime, mandate_id: AuditMandateId, body: RevokeMandate
) -> MandateOut:
    """End a mandate at once, with the reason."""
    return mandate_out(auditing.revoke_mandate(session, by=actor, mandate_id=mandate_id, reason=body.reason, now=now))
