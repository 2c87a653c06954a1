"""The ready-made cards: the JSON of a list item, written in the commit of whatever it shows."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import and_, select, text
from sqlalchemy.orm import Session, aliased

from shop.accounts.models import Organisation
from shop.catalogue.models import Certificate, CertificateStatus, Listing, Product
from shop.catalogue.words import grams_of_names, search_text
from shop.money import half_up
from shop.regions.models import Division, Level, province_of

County, Province = aliased(Division), aliased(Division)


def price_per_kg(price_fen: int, *, base_unit: str, pack_base_quantity: int, pack_grams: int) -> int:
    """Fen per kilogram, rounded half up: of the net content where it is weighed, else of the whole pack."""
    return half_up(price_fen * 1000, pack_base_quantity if base_unit == "g" else pack_grams)


def card_of(row: Any, certificates: Sequence[Certificate]) -> str:
    """The JSON of a list item, Chinese as it is, without its closing brace; `row` as `FACTS` selects it."""
    card = {
        "id": f"lst_{row.id.hex}",
        "product": {
            "id": f"prd_{row.product_id.hex}",
            "name": row.name,
            "name_en": row.name_en,
            "grade": row.grade,
            "spec": row.spec,
        },
        "photo": row.photos[0]["thumb"] if row.photos else None,
        "certificates": [
            {"kind": c.kind, "number": c.number, "issuer": c.issuer, "expires_on": c.expires_on.isoformat()}
            for c in certificates
        ],
        "cooperative": {"id": f"org_{row.cooperative_id.hex}", "name": row.cooperative},
        "origin": {"code": row.origin_code, "county": row.county, "province": row.province},
        "category": row.category,
        "storage": row.storage,
        "pack_name": row.pack_name,
        "unit": row.pack_name,
        "base_unit": row.base_unit,
        "pack_base_quantity": row.pack_base_quantity,
        "price_fen": row.price_fen,
        "price_per_kg_fen": price_per_kg(
            row.price_fen,
            base_unit=row.base_unit,
            pack_base_quantity=row.pack_base_quantity,
            pack_grams=row.pack_grams,
        ),
        "tiers": [{"min_packs": packs, "price_fen": fen} for packs, fen in row.tiers],
        "min_packs": row.min_packs,
        "step_packs": row.step_packs,
        "max_packs": row.max_packs,
        "price_from": row.price_from,
        "price_to": row.price_to,
        "season_from": row.season_from,
        "season_to": row.season_to,
    }
    return msgspec.json.encode(card).decode()[:-1]


def facts(ids: Iterable[UUID], on: date) -> Any:
    """What the cards of these listings show, as of a business day."""
    return (
        select(
            Listing.id,
            Listing.product_id,
            Listing.cooperative_id,
            Listing.pack_name,
            Listing.base_unit,
            Listing.pack_base_quantity,
            Listing.pack_grams,
            Listing.price_fen,
            Listing.tiers,
            Listing.min_packs,
            Listing.step_packs,
            Listing.max_packs,
            Listing.price_from,
            Listing.price_to,
            Listing.season_from,
            Listing.season_to,
            Product.name,
            Product.name_en,
            Product.grade,
            Product.spec,
            Product.category,
            Product.storage,
            Product.origin_code,
            Product.photos,
            Organisation.name.label("cooperative"),
            County.name.label("county"),
            Province.name.label("province"),
        )
        .join(Product, Product.id == Listing.product_id)
        .join(Organisation, Organisation.id == Listing.cooperative_id)
        .outerjoin(County, and_(County.code == Product.origin_code, County.in_force(on), County.level == Level.COUNTY))
        .outerjoin(Province, and_(Province.code == Listing.province_code, Province.in_force(on)))
        .where(Listing.id.in_(list(ids)))
        .order_by(Listing.id)
    )


WRITE = text(
    """
    UPDATE listing l SET
        card = w.card, card_until = w.card_until, category = w.category, storage = w.storage,
        origin_code = w.origin_code, province_code = w.province_code, search_text = w.search_text,
        grams = string_to_array(w.grams, E'\\n')
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:cards AS text[]), CAST(:untils AS date[]), CAST(:categories AS text[]),
        CAST(:storages AS text[]), CAST(:origins AS text[]), CAST(:provinces AS text[]), CAST(:texts AS text[]),
        CAST(:grams AS text[])
    ) AS w(id, card, card_until, category, storage, origin_code, province_code, search_text, grams)
    WHERE l.id = w.id
    """
)


def write_cards(session: Session, listing_ids: Iterable[UUID], *, on: date) -> int:
    """Write the cards of these listings, and what they are found by, as of a business day; three statements for any
    number. The listings' rows are locked by whoever changed them."""
    session.flush()
    rows = session.execute(facts(listing_ids, on)).all()
    if not rows:
        return 0
    certificates: dict[UUID, list[Certificate]] = {}
    for certificate in session.scalars(
        select(Certificate)
        .where(
            Certificate.product_id.in_({row.product_id for row in rows}),
            Certificate.status == CertificateStatus.APPROVED,
            Certificate.expires_on > on,
        )
        .order_by(Certificate.id)
    ):
        certificates.setdefault(certificate.product_id, []).append(certificate)
    shown = [certificates.get(row.product_id, []) for row in rows]
    session.execute(
        WRITE,
        {
            "ids": [row.id for row in rows],
            "cards": [card_of(row, held) for row, held in zip(rows, shown, strict=True)],
            "untils": [min((c.expires_on for c in held), default=None) for held in shown],
            "categories": [row.category for row in rows],
            "storages": [row.storage for row in rows],
            "origins": [row.origin_code for row in rows],
            "provinces": [province_of(row.origin_code) for row in rows],
            "texts": [search_text((row.name, row.name_en)) for row in rows],
            "grams": ["\n".join(grams_of_names((row.name, row.name_en))) for row in rows],
        },
    )
    return len(rows)


def rewrite_lapsed(session: Session, *, on: date, limit: int = 500) -> int:
    """Take lapsed certificates off the cards that still show one; gives how many cards were written."""
    lapsed = session.scalars(
        select(Listing.id)
        .where(Listing.card_until <= on)
        .order_by(Listing.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    return write_cards(session, lapsed, on=on)
