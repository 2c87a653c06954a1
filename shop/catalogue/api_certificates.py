"""Certificates of products, and their review."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from shop.actor import Actor, Audience, Role
from shop.catalogue import queries
from shop.catalogue.schemas import (
    CertificateIn,
    CertificateOut,
    CertificatePage,
    CertificateReviewIn,
    CertificatesOut,
    CertificatesQuery,
)
from shop.catalogue.service import certificates
from shop.errors import NotFound
from shop.files import service as files
from shop.http import cursors
from shop.http.routes import Routes, audience, roles
from shop.ids import CertificateId, ProductId

selling = Routes("/v1/cooperative", tag="Selling")
reviewing = Routes("/v1/admin", tag="Review")
lister = roles(Role.LISTER, of=Audience.COOPERATIVE)
reviewer = roles(Role.OPERATOR, Role.COUNTY_REVIEWER, of=Audience.ADMIN)


def shown(row: Any) -> CertificateOut:
    certificate, product, paper = row
    return CertificateOut(
        id=certificate.id,
        product_id=product.id,
        product=product.name,
        kind=certificate.kind,
        number=certificate.number,
        issuer=certificate.issuer,
        expires_on=certificate.expires_on,
        status=certificate.status,
        replaces_id=certificate.replaces_id,
        review_note=certificate.review_note,
        paper=files.link(paper) if paper is not None else None,
    )


def one(session: Session, actor: Actor, certificate_id: UUID) -> CertificateOut:
    return shown(queries.certificates(session, actor, certificate_id=certificate_id)[0])


@selling.get(
    "/products/<product_id>/certificates",
    allow=audience(Audience.COOPERATIVE),
    answers={200: CertificatesOut},
    refusals=(NotFound,),
)
def list_certificates(session: Session, actor: Actor, product_id: ProductId) -> CertificatesOut:
    """The certificates of a product, at most a hundred, oldest first."""
    queries.own_product(session, actor, product_id)
    return CertificatesOut(
        items=[shown(row) for row in queries.certificates(session, actor, product_id=product_id)[:100]]
    )


@selling.post(
    "/products/<product_id>/certificates",
    allow=lister,
    answers={201: CertificateOut},
    refusals=(NotFound, certificates.CertificateEntered),
)
def enter_certificate(
    session: Session, actor: Actor, now: datetime, product_id: ProductId, body: CertificateIn
) -> CertificateOut:
    """Hand a certificate in for review; it is shown from its approval until it expires."""
    made = certificates.enter(session, by=actor, product_id=product_id, wanted=body, now=now)
    return one(session, actor, made)


@selling.post(
    "/certificates/<certificate_id>/replace",
    allow=lister,
    answers={201: CertificateOut},
    refusals=(NotFound, certificates.CertificateEntered, certificates.WrongCertificateStatus),
)
def replace_certificate(
    session: Session, actor: Actor, now: datetime, certificate_id: CertificateId, body: CertificateIn
) -> CertificateOut:
    """Hand in what follows a certificate; the old one is shown until the new one is approved."""
    made = certificates.replace(session, by=actor, certificate_id=certificate_id, wanted=body, now=now)
    return one(session, actor, made)


@selling.post(
    "/certificates/<certificate_id>/withdraw",
    allow=lister,
    answers={200: CertificateOut},
    refusals=(NotFound, certificates.WrongCertificateStatus),
)
def withdraw_certificate(
    session: Session, actor: Actor, now: datetime, certificate_id: CertificateId
) -> CertificateOut:
    """Show a certificate no more."""
    certificates.withdraw(session, by=actor, certificate_id=certificate_id, now=now)
    return one(session, actor, certificate_id)


@reviewing.get("/certificates", allow=reviewer, answers={200: CertificatePage})
def list_certificates_to_review(session: Session, actor: Actor, query: CertificatesQuery) -> CertificatePage:
    """Certificates by status, oldest first; a county reviewer sees those of the reviewer's counties."""
    question = f"certificates {query.status} {actor.user_id.hex}"
    after = cursors.decode_id(question, query.cursor) if query.cursor else None
    found = queries.certificates(session, actor, status=query.status, after=after, limit=query.limit)
    page, following = cursors.cut(question, found, query.limit, lambda row: row[0].id)
    return CertificatePage(items=[shown(row) for row in page], next=following)


@reviewing.post(
    "/certificates/<certificate_id>/review",
    allow=reviewer,
    answers={200: CertificateOut},
    refusals=(NotFound, certificates.WrongCertificateStatus, certificates.CertificateExpired),
)
def review_certificate(
    session: Session, actor: Actor, now: datetime, certificate_id: CertificateId, body: CertificateReviewIn
) -> CertificateOut:
    """Approve a certificate, so that it is shown, or return it with the reason."""
    certificates.review(session, by=actor, certificate_id=certificate_id, wanted=body, now=now)
    return one(session, actor, certificate_id)
