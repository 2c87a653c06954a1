"""Forget who somebody was when the written period is over: names and papers go, what was decided and done stays."""

from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from shop.accounts.models import Address
from shop.accounts.models_admission import (
    Application,
    ApplicationDocument,
    ApplicationReview,
    ApplicationStatus,
    DocumentRule,
)
from shop.db import changed
from shop.files import service as files
from shop.retention import BATCH, Personal, forget_column, kept_since


def forget(session: Session, *, now: datetime) -> int:
    """Forget a batch of each: who signed, whose papers, whom to call; gives how many rows forgot something."""
    return (
        forget_column(
            session,
            Personal.OFFICER_NAME,
            ApplicationReview.officer_name,
            since=ApplicationReview.at,
            empty="",
            now=now,
        )
        + forget_column(session, Personal.ADDRESS_CONTACT, Address.contact, since=Address.retired_at, empty="", now=now)
        + forget_papers(session, now=now)
    )


def forget_papers(session: Session, *, now: datetime) -> int:
    """The files of papers that show who somebody is; that they were there, and their hash, stays.

    A file that a newer application carried over is kept for as long as that one is.
    """
    since = kept_since(session, Personal.IDENTITY_PAPER, now=now)
    if since is None:
        return 0
    began = func.coalesce(Application.decided_at, Application.submitted_at, Application.created_at)
    personal = select(DocumentRule.kind).where(DocumentRule.personal)
    old = session.execute(
        select(ApplicationDocument.id, ApplicationDocument.file_id)
        .join(Application, Application.id == ApplicationDocument.application_id)
        .where(
            ApplicationDocument.file_id.is_not(None),
            ApplicationDocument.kind.in_(personal),
            Application.status != ApplicationStatus.SUBMITTED,
            began < since,
        )
        .order_by(ApplicationDocument.id)
        .limit(BATCH)
        .with_for_update(of=ApplicationDocument, skip_locked=True)
    ).all()
    if old:
        forgotten = update(ApplicationDocument).where(ApplicationDocument.id.in_([row.id for row in old]))
        changed(session, forgotten.values(file_id=None))
        files.let_go(session, *sorted({row.file_id for row in old}))
    return len(old)
