"""What may be read of claims, and by whom."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Select, false, select
from sqlalchemy.orm import Session

from shop.actor import Actor, Audience
from shop.db import seeing_all
from shop.errors import NotFound
from shop.files.models import StoredFile
from shop.orders.models_claims import UNCLOSED, Claim, ClaimFile, ClaimLine, Correction, CorrectionLine

UNCLOSED_STATUSES = tuple(word for word in UNCLOSED.split("'")[1::2])


def visible_claims(actor: Actor) -> Select[Claim]:
    """The claims this actor may know of; every read starts here."""
    if actor.audience is Audience.BUYER:
        return select(Claim).where(Claim.buyer_id == actor.organisation_id)
    if actor.audience is Audience.COOPERATIVE:
        return select(Claim).where(Claim.cooperative_id == actor.organisation_id)
    if actor.reads_everything:
        return select(Claim)
    return select(Claim).where(false())


def one(session: Session, actor: Actor, claim_id: UUID) -> Claim:
    """A claim of the actor's, or NotFound."""
    found = session.scalars(
        visible_claims(actor).where(Claim.id == claim_id).execution_options(populate_existing=True)
    ).first()
    if found is None:
        raise NotFound("No such claim.")
    return found


def unclosed(session: Session, supplier_order_id: UUID) -> UUID | None:
    """The claim against a supplier order that is not closed, if there is one."""
    return session.scalar(
        select(Claim.id).where(Claim.supplier_order_id == supplier_order_id, Claim.status.in_(UNCLOSED_STATUSES))
    )


def lines_of(session: Session, claim_ids: Sequence[UUID]) -> dict[UUID, list[ClaimLine]]:
    """The lines of these claims, in one statement."""
    found: dict[UUID, list[ClaimLine]] = {key: [] for key in claim_ids}
    for line in session.scalars(select(ClaimLine).where(ClaimLine.claim_id.in_(claim_ids)).order_by(ClaimLine.id)):
        found[line.claim_id].append(line)
    return found


def claimed(session: Session, claim_id: UUID) -> dict[tuple[UUID, UUID], int]:
    """The packs that a claim is about, by line and lot."""
    return {(line.line_id, line.lot_id): line.packs for line in lines_of(session, [claim_id])[claim_id]}


def papers_of(session: Session, claim_ids: Sequence[UUID]) -> dict[UUID, list[tuple[str, StoredFile]]]:
    """The papers of these claims with the side that put each before the platform; both sides see them."""
    found: dict[UUID, list[tuple[str, StoredFile]]] = {key: [] for key in claim_ids}
    with seeing_all(session):
        rows = session.execute(
            select(ClaimFile, StoredFile)
            .join(StoredFile, StoredFile.id == ClaimFile.file_id)
            .where(ClaimFile.claim_id.in_(claim_ids))
            .order_by(ClaimFile.file_id)
        )
        for named, file in rows:
            found[named.claim_id].append((named.side, file))
    return found


def corrections_of(session: Session, claim_ids: Sequence[UUID]) -> dict[UUID, tuple[Correction, list[CorrectionLine]]]:
    """What these claims led to, by claim."""
    made = session.scalars(select(Correction).where(Correction.claim_id.in_(claim_ids))).all()
    lines: dict[UUID, list[CorrectionLine]] = {each.id: [] for each in made}
    for line in session.scalars(
        select(CorrectionLine).where(CorrectionLine.correction_id.in_(lines)).order_by(CorrectionLine.id)
    ):
        lines[line.correction_id].append(line)
    return {each.claim_id: (each, lines[each.id]) for each in made}
