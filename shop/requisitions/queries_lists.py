"""Which saved lists there are, and which listings a pasted code stands for."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from shop.accounts.models import Organisation
from shop.actor import Actor
from shop.catalogue.models import Listing, ListingStatus, Product
from shop.errors import NotFound
from shop.requisitions.models_lists import RequisitionList, RequisitionListLine


def visible_to(actor: Actor) -> Select[RequisitionList]:
    """The lists of the actor's institution that are in use."""
    return select(RequisitionList).where(
        RequisitionList.organisation_id == actor.organisation_id, RequisitionList.retired_at.is_(None)
    )


def one(
    session: Session, actor: Actor, list_id: UUID, *, lock: bool = False, pointer: str | None = None
) -> RequisitionList:
    """One of the institution's lists, or NotFound."""
    wanted = visible_to(actor).where(RequisitionList.id == list_id).execution_options(populate_existing=True)
    found = session.scalars(wanted.with_for_update() if lock else wanted).first()
    if found is None:
        raise NotFound("No such list of yours.", pointer=pointer)
    return found


def lines_of(session: Session, list_id: UUID) -> list[RequisitionListLine]:
    return list(
        session.scalars(
            select(RequisitionListLine)
            .where(RequisitionListLine.list_id == list_id)
            .order_by(RequisitionListLine.place)
            .execution_options(populate_existing=True)
        )
    )


def on_sale(session: Session, which: ColumnElement[bool]) -> Sequence[Any]:
    """The listings on sale of which a condition on listing or product holds, with what tells them apart."""
    return session.execute(
        select(
            Listing.id,
            Listing.pack_name,
            Listing.price_fen,
            Product.code,
            Product.name,
            Organisation.name.label("cooperative"),
        )
        .join(Product, Product.id == Listing.product_id)
        .join(Organisation, Organisation.id == Listing.cooperative_id)
        .where(Listing.status == ListingStatus.LISTED, which)
        .order_by(Listing.price_fen, Listing.id)
    ).all()


def on_sale_by_id(session: Session, listing_ids: Collection[UUID]) -> Sequence[Any]:
    return on_sale(session, Listing.id.in_(listing_ids)) if listing_ids else []


def on_sale_by_code(session: Session, codes: Collection[str]) -> Sequence[Any]:
    """Those of products with these codes, which are a seller's own: several sellers may have the same."""
    return on_sale(session, Product.code.in_(codes)) if codes else []
