"""Notices on the page."""

from typing import Annotated

from pydantic import Field
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.http import cursors
from shop.http.routes import ANY_MEMBER, In, Out, PageQuery, Routes
from shop.ids import NoticeId
from shop.notices import service

routes = Routes("/v1/me", tag="Notices")


class NoticeOut(Out):
    """A notice in both languages. `subject` is the public id of what it is about: an order, its part, a webhook."""

    id: NoticeId
    kind: str
    subject: str
    text: str
    text_en: str
    at: str
    read: bool


class NoticePage(Out):
    items: list[NoticeOut]
    next: str | None


class MarkRead(In):
    ids: Annotated[list[NoticeId], Field(min_length=1, max_length=100)]


class Marked(Out):
    marked: int


@routes.get("/notices", allow=ANY_MEMBER, answers={200: NoticePage})
def list_notices(session: Session, actor: Actor, query: PageQuery) -> NoticePage:
    """What the organisation was told, newest first."""
    before = cursors.decode_id("notices", query.cursor) if query.cursor else None
    found = service.of_organisation(session, actor, before=before, limit=query.limit + 1)
    page, following = cursors.cut("notices", found, query.limit)
    return NoticePage(
        items=[
            NoticeOut(
                id=row.id,
                kind=row.kind,
                subject=row.subject,
                text=row.text,
                text_en=row.text_en,
                at=row.at.isoformat(),
                read=row.read_at is not None,
            )
            for row in page
        ],
        next=following,
    )


@routes.post("/notices/read", allow=ANY_MEMBER, answers={200: Marked})
def mark_notices(session: Session, actor: Actor, body: MarkRead) -> Marked:
    """Mark notices as read; those of others are left alone."""
    return Marked(marked=service.mark_read(session, actor, body.ids))
