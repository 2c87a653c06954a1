"""Certificates of products: entered with their paper, reviewed, replaced, withdrawn."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.audit import service as audit
from shop.catalogue import queries
from shop.catalogue.cards import write_cards
from shop.catalogue.models import CERTIFICATE_NEXT, Certificate, CertificateStatus, Listing, Product
from shop.catalogue.schemas import CertificateIn, CertificateReviewIn
from shop.catalogue.service.products import own_product
from shop.clock import business_day
from shop.errors import Invalid, Refusal
from shop.files import service as files
from shop.outbox import service as outbox

LIVE = (CertificateStatus.IN_REVIEW, CertificateStatus.APPROVED, CertificateStatus.RETURNED)


class WrongCertificateStatus(Refusal):
    code, status = "wrong_certificate_status", 409
    title, title_zh = "This certificate cannot do that now.", "该证书当前状态不允许此操作。"


class CertificateEntered(Refusal):
    code, status = "certificate_entered", 409
    title, title_zh = "The product has a certificate of this number already.", "该产品已登记此编号的证书。"


class CertificateExpired(Refusal):
    code, status = "certificate_expired", 409
    title, title_zh = "The certificate has expired.", "该证书已过期。"


def enter(session: Session, *, by: Actor, product_id: UUID, wanted: CertificateIn, now: datetime) -> UUID:
    """Hand a certificate of the actor's product in for review; gives its id.

    NotFound for another's product or file, Invalid for one that has expired, CertificateEntered for one that is there.
    """
    product = own_product(session, by, product_id)
    return write(session, by, product, wanted, None, now)


def replace(session: Session, *, by: Actor, certificate_id: UUID, wanted: CertificateIn, now: datetime) -> UUID:
    """Hand in what follows a certificate of the actor's; gives the new one's id.

    The old one is shown until the new one is approved; one that is not shown is replaced at once.
    """
    old, product = queries.certificate(session, by, certificate_id)
    own_product(session, by, product.id)  # locked: what becomes of its certificates is decided one after the other
    session.refresh(old, with_for_update=True)
    if old.status not in LIVE:
        raise WrongCertificateStatus(certificate_status=old.status)
    if old.status != CertificateStatus.APPROVED:
        move(session, old, CertificateStatus.REPLACED)
    return write(session, by, product, wanted, old, now)


def write(
    session: Session, by: Actor, product: Product, wanted: CertificateIn, replaces: Certificate | None, now: datetime
) -> UUID:
    if wanted.expires_on <= business_day(now):
        raise Invalid("The certificate has expired.", pointer="/expires_on")
    same = select(Certificate.id).where(
        Certificate.product_id == product.id,
        Certificate.kind == wanted.kind,
        Certificate.number == wanted.number,
        Certificate.status.in_(LIVE),
    )
    if session.scalar(same) is not None:
        raise CertificateEntered(pointer="/number")
    files.keep(session, organisation_id=by.organisation_id, file_ids=[wanted.file_id])
    made = Certificate(
        product_id=product.id,
        replaces_id=replaces.id if replaces is not None else None,
        status=CertificateStatus.IN_REVIEW,
        entered_at=now,
        kind=wanted.kind,
        number=wanted.number,
        issuer=wanted.issuer,
        expires_on=wanted.expires_on,
        file_id=wanted.file_id,
    )
    session.add(made)
    session.flush()
    tell(session, "certificate.entered", made, product, by=by, now=now)
    return made.id


def withdraw(session: Session, *, by: Actor, certificate_id: UUID, now: datetime) -> None:
    """Show a certificate of the actor's no more."""
    found, product = queries.certificate(session, by, certificate_id)
    session.refresh(found, with_for_update=True)
    move(session, found, CertificateStatus.WITHDRAWN)
    tell(session, "certificate.withdrawn", found, product, by=by, now=now)
    show(session, product.id, now)


def review(session: Session, *, by: Actor, certificate_id: UUID, wanted: CertificateReviewIn, now: datetime) -> None:
    """Show a certificate in place of the one it replaces, or return it with the reason."""
    found, product = queries.certificate(session, by, certificate_id)
    session.refresh(found, with_for_update=True)
    if found.status != CertificateStatus.IN_REVIEW:
        raise WrongCertificateStatus(certificate_status=found.status)
    found.review_note, found.decided_at = wanted.note or None, now
    if wanted.decision == "return":
        move(session, found, CertificateStatus.RETURNED)
        tell(session, "certificate.returned", found, product, by=by, now=now, reason=wanted.note)
        return
    if found.expires_on <= business_day(now):
        raise CertificateExpired(expires_on=found.expires_on.isoformat())
    move(session, found, CertificateStatus.APPROVED)
    session.execute(
        update(Certificate)
        .where(Certificate.id == found.replaces_id, Certificate.status == CertificateStatus.APPROVED)
        .values(status=CertificateStatus.REPLACED)
        .execution_options(synchronize_session=False)
    )
    tell(session, "certificate.approved", found, product, by=by, now=now, reason=wanted.note or None)
    show(session, product.id, now)


def move(session: Session, certificate: Certificate, to: CertificateStatus) -> None:
    """Give a locked certificate its next status, or refuse with WrongCertificateStatus."""
    if to not in CERTIFICATE_NEXT[CertificateStatus(certificate.status)]:
        raise WrongCertificateStatus(certificate_status=certificate.status)
    certificate.status = to
    session.flush()


def tell(
    session: Session,
    kind: str,
    certificate: Certificate,
    product: Product,
    *,
    by: Actor,
    now: datetime,
    reason: str | None = None,
) -> None:
    audit.record(
        session, by=by, action=kind, kind="certificate", subject=certificate.id, now=now, reason=reason,
        number=certificate.number, product=product.id.hex,
    )  # fmt: skip
    outbox.announce(
        session, kind, now=now, seen_by=[product.cooperative_id], certificate_id=certificate.id, product_id=product.id
    )


def show(session: Session, product_id: UUID, now: datetime) -> None:
    """Write the cards of a product's listings anew."""
    found = session.scalars(
        select(Listing.id).where(Listing.product_id == product_id).order_by(Listing.id).with_for_update()
    ).all()
    write_cards(session, found, on=business_day(now))
