"""What is read of inspections: what waits for a signature, what a draft became, photos."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.db import seeing_all
from shop.files.models import StoredFile
from shop.orders import queries
from shop.orders.models import Acceptance, SupplierOrder
from shop.orders.models_inspections import InspectionSigning, OrderPhoto, PhotoState, SigningStatus


def waiting_signing(session: Session, supplier_order_id: UUID) -> InspectionSigning | None:
    """What waits for a second signature, locked."""
    return session.scalars(
        select(InspectionSigning)
        .where(
            InspectionSigning.supplier_order_id == supplier_order_id,
            InspectionSigning.status == SigningStatus.WAITING,
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()


def became(session: Session, supplier_order_id: UUID, draft_id: UUID) -> UUID | InspectionSigning | None:
    """The note that a draft became, or the first signature under it that waits or was joined."""
    note = session.scalar(
        select(Acceptance.id).where(Acceptance.supplier_order_id == supplier_order_id, Acceptance.draft_id == draft_id)
    )
    if note is not None:
        return note
    return session.scalars(
        select(InspectionSigning).where(
            InspectionSigning.supplier_order_id == supplier_order_id,
            InspectionSigning.client_id == draft_id,
            InspectionSigning.status == SigningStatus.WAITING,
        )
    ).first()


Shown = tuple[OrderPhoto, StoredFile | None]


def own_photos(session: Session, actor: Actor, supplier_order_id: UUID) -> Sequence[Shown]:
    """The photos that the actor's organisation added to a supplier order, oldest first; NotFound for another's."""
    part = queries.supplier_order(session, actor, supplier_order_id)
    rows = session.execute(
        select(OrderPhoto, StoredFile)
        .outerjoin(StoredFile, StoredFile.id == OrderPhoto.file_id)
        .where(OrderPhoto.supplier_order_id == part.id, OrderPhoto.organisation_id == actor.organisation_id)
        .order_by(OrderPhoto.id)
        .execution_options(populate_existing=True)
    )
    return [(photo, file) for photo, file in rows]


def named_photos(session: Session, photo_ids: Collection[UUID]) -> dict[UUID, Shown]:
    """Photos that a note or a dispute names, which both sides see, whoever's files they are."""
    if not photo_ids:
        return {}
    with seeing_all(session):
        rows = session.execute(
            select(OrderPhoto, StoredFile)
            .outerjoin(StoredFile, StoredFile.id == OrderPhoto.file_id)
            .where(OrderPhoto.id.in_(photo_ids))
            .execution_options(populate_existing=True)
        )
        return {photo.id: (photo, file) for photo, file in rows}


def usable_photos(
    session: Session, part: SupplierOrder, photo_ids: Collection[UUID], *, of: UUID | None = None
) -> set[UUID]:
    """Which of these are photos of a supplier order by one of its sides (the buyer by default), not refused."""
    if not photo_ids:
        return set()
    return set(
        session.scalars(
            select(OrderPhoto.id).where(
                OrderPhoto.id.in_(photo_ids),
                OrderPhoto.supplier_order_id == part.id,
                OrderPhoto.organisation_id == (of or part.buyer_id),
                OrderPhoto.status != PhotoState.REFUSED,
            )
        )
    )
