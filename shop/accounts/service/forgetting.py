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
from shop.files import service as files
from shop.retention import BATCH, Personal, kept_since

QUIETLY = {"synchronize_session": False}


def forget(session: Session, *, now: datetime) -> int:
    """Forget a batch of each; gives how many rows forgot something."""
    return forget_officers(session, now=now) + forget_papers(session, now=now) + forget_contacts(session, now=now)


def forget_officers(session: Session, *, now: datetime) -> int:
    """Who signed the steps of applications; office, decision and reason stay."""
    since = kept_since(session, Personal.OFFICER_NAME, now=now)
    if since is None:
        return 0
    old = (
        select(ApplicationReview.id)
        .where(ApplicationReview.officer_name != "", ApplicationReview.at < since)
        .order_by(ApplicationReview.at)
        .limit(BATCH)
    )
    found = session.scalars(
        update(ApplicationReview)
        .where(ApplicationReview.id.in_(old))
        .values(officer_name="")
        .returning(ApplicationReview.id)
        .execution_options(**QUIETLY)
    )
    return len(found.all())


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
        session.execute(forgotten.values(file_id=None).execution_options(**QUIETLY))
        files.let_go(session, *sorted({row.file_id for row in old}))
    return len(old)


def forget_contacts(session: Session, *, now: datetime) -> int:
    """Whom to call at places of delivery that are out of use; the place itself stays, as orders name it."""
    since = kept_since(session, Personal.ADDRESS_CONTACT, now=now)
    if since is None:
        return 0
    old = (
        select(Address.id)
        .where(Address.contact != "", Address.retired_at < since)
        .order_by(Address.retired_at)
        .limit(BATCH)
    )
    found = session.scalars(
        update(Address).where(Address.id.in_(old)).values(contact="").returning(Address.id).execution_options(**QUIETLY)
    )
    return len(found.all())
