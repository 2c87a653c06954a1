"""The ready-made cards, and what listings are found and sorted by: written in the commit of whatever they show."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import and_, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session, aliased

from shop.accounts.models import Organisation
from shop.catalogue.models import Certificate, CertificateStatus, Listing, ListingStatus, Product
from shop.catalogue.models_search import CERTIFICATES, SearchEntry, SearchTerm
from shop.catalogue.spelling import initials, letters
from shop.catalogue.words import pieces, place_below_fit, place_of, search_text, search_words, terms
from shop.money import half_up
from shop.regions.models import Division, Level, province_of

County, Province = aliased(Division), aliased(Division)


def price_per_kg(price_fen: int, *, base_unit: str, pack_base_quantity: int, pack_grams: int) -> int:
    """Fen per kilogram, rounded half up: of the net content where it is weighed, else of the whole pack."""
    return half_up(price_fen * 1000, pack_base_quantity if base_unit == "g" else pack_grams)


def per_kg_of(row: Any) -> int:
    return price_per_kg(
        row.price_fen, base_unit=row.base_unit, pack_base_quantity=row.pack_base_quantity, pack_grams=row.pack_grams
    )


def card_of(row: Any, certificates: Sequence[Certificate]) -> str:
    """The JSON of a list item, Chinese as it is, without its closing brace; `row` as `FACTS` selects it."""
    card = {
        "id": f"lst_{row.id.hex}",
        "product": {
            "id": f"prd_{row.product_id.hex}",
            "name": row.name,
            "name_en": row.name_en,
            "variety": row.variety,
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
        "price_per_kg_fen": per_kg_of(row),
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
            Listing.status,
            Listing.listed_at,
            Product.name,
            Product.name_en,
            Product.variety,
            Product.tags,
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
    WITH w AS (
        SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS w(
            id uuid, card text, card_until date, category text, storage text, origin text, province text, per_kg bigint,
            key_county boolean, certificates smallint, search_text text, search_words text, posted text
        )
    ), carded AS (
        UPDATE listing l SET
            card = w.card, card_until = w.card_until, category = w.category, storage = w.storage,
            origin_code = w.origin, province_code = w.province
        FROM w WHERE l.id = w.id
        RETURNING l.id, l.status, l.price_fen, l.season_from, l.season_to, l.listed_at
    )
    INSERT INTO search_entry AS e (
        listing_id, shown, category, storage, county, province, key_county, certificates, season_from, season_to,
        stock_until, price_fen, price_per_kg_fen, listed_at, search_text, search_words, posted
    )
    SELECT c.id, c.status = 'listed', w.category, w.storage, w.origin, w.province, w.key_county, w.certificates,
        c.season_from, c.season_to,
        (SELECT max(s.ready_to) FROM supply s WHERE s.listing_id = c.id AND NOT s.closed AND s.open > 0),
        c.price_fen, w.per_kg, c.listed_at, w.search_text, w.search_words, w.posted
    FROM carded c JOIN w ON w.id = c.id
    ON CONFLICT (listing_id) DO UPDATE SET
        shown = excluded.shown, category = excluded.category, storage = excluded.storage, county = excluded.county,
        province = excluded.province, key_county = excluded.key_county, certificates = excluded.certificates,
        season_from = excluded.season_from, season_to = excluded.season_to, price_fen = excluded.price_fen,
        price_per_kg_fen = excluded.price_per_kg_fen, listed_at = excluded.listed_at,
        search_text = excluded.search_text, search_words = excluded.search_words, posted = excluded.posted
    """
)
POST = text(
    """
    WITH wanted AS (
        SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:words AS text[]), CAST(:places AS bigint[]))
            AS w(listing_id, word, place)
    ), gone AS (
        DELETE FROM search_posting p WHERE p.listing_id = ANY(CAST(:every AS uuid[]))
            AND NOT EXISTS (
                SELECT FROM wanted w WHERE (w.listing_id, w.word, w.place) = (p.listing_id, p.word, p.place)
            )
    )
    INSERT INTO search_posting (listing_id, word, place) SELECT * FROM wanted ORDER BY word, place, listing_id
    ON CONFLICT DO NOTHING
    """
)


KNOWN = text("SELECT text, kind FROM search_term WHERE text = ANY(:texts)")


def postings_of(row: Any, sold_grams: int) -> dict[str, int]:
    """The pieces that a listing on sale is found by, with its place among what each finds; none of any other."""
    if row.status != ListingStatus.LISTED:
        return {}
    below = place_below_fit(sold_grams, row.listed_at)
    found = pieces(name=row.name, name_en=row.name_en, variety=row.variety, county=row.county or "")
    return {word: place_of(fit, below) for word, fit in found.items()}


def mark_of(postings: dict[str, int]) -> str:
    """What names a set of postings, so that it is written only when it is another."""
    if not postings:
        return ""
    return hashlib.blake2b(repr(sorted(postings.items())).encode(), digest_size=9).hexdigest()


def write_cards(session: Session, listing_ids: Iterable[UUID], *, on: date) -> int:
    """Write the cards of these listings, and what they are found by, as of a business day; seven statements at most for
    any number. The listings' rows are locked by whoever changed them."""
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
    before = {row.listing_id: row for row in session.execute(entries([row.id for row in rows]))}
    postings = {row.id: postings_of(row, before[row.id].sold_grams if row.id in before else 0) for row in rows}
    marks = {key: mark_of(found) for key, found in postings.items()}
    session.execute(
        WRITE,
        # As JSON: in an array of cards the driver would escape each of their quotes, at ten times the cost.
        {
            "rows": msgspec.json.encode(
                [
                    {
                        "id": row.id,
                        "card": card_of(row, held),
                        "card_until": min((c.expires_on for c in held), default=None),
                        "category": row.category,
                        "storage": row.storage,
                        "origin": row.origin_code,
                        "province": province_of(row.origin_code),
                        "per_kg": per_kg_of(row),
                        "key_county": "key_160" in row.tags,
                        "certificates": sum({CERTIFICATES[c.kind] for c in held}),
                        "search_text": search_text((row.name, row.variety, row.county or "")),
                        "search_words": search_words(row.name_en),
                        "posted": marks[row.id],
                    }
                    for row, held in zip(rows, shown, strict=True)
                ]
            ).decode()
        },
    )
    changed = {key for key, mark in marks.items() if mark != (before[key].posted if key in before else "")}
    post(session, {key: postings[key] for key in changed})
    learn(session, [row for row in rows if row.id in changed and postings[row.id]])
    return len(rows)


def entries(listing_ids: Sequence[UUID]) -> Any:
    """The entries of listings that are there, locked, with what their postings were made from."""
    return (
        select(SearchEntry.listing_id, SearchEntry.sold_grams, SearchEntry.listed_at, SearchEntry.posted)
        .where(SearchEntry.listing_id.in_(listing_ids))
        .order_by(SearchEntry.listing_id)
        .with_for_update()
    )


def post(session: Session, postings: dict[UUID, dict[str, int]]) -> None:
    """Make the postings of these listings the given ones."""
    if not postings:
        return
    wanted = [(key, word, place) for key, found in postings.items() for word, place in found.items()]
    session.execute(
        POST,
        {
            "every": sorted(postings),
            "ids": [key for key, _, _ in wanted],
            "words": [word for _, word, _ in wanted],
            "places": [place for _, _, place in wanted],
        },
    )


def learn(session: Session, rows: Sequence[Any]) -> None:
    """Keep the terms of these listings that are new."""
    found = {
        term
        for row in rows
        for term in terms(name=row.name, name_en=row.name_en, variety=row.variety, county=row.county or "")
    }
    known = {(term.text, term.kind) for term in session.execute(KNOWN, {"texts": sorted({t for t, _ in found})})}
    new = sorted(found - known)  # in one order, so that two who learn the same do not wait for each other
    if new:
        session.execute(
            upsert(SearchTerm).on_conflict_do_nothing(),
            [{"text": t, "kind": kind, "letters": letters(t), "initials": initials(t)} for t, kind in new],
        )


def write_unposted(session: Session, *, on: date, limit: int = 200) -> int:
    """Write what listings on sale are found by where a migration filled it in; gives how many."""
    found = session.scalars(
        select(Listing.id)
        .join(SearchEntry, SearchEntry.listing_id == Listing.id)
        .where(SearchEntry.shown, SearchEntry.posted == "")
        .order_by(Listing.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=Listing)
    ).all()
    return write_cards(session, found, on=on)


def rewrite(session: Session, *, cooperative_id: UUID, on: date) -> int:
    """Write all cards of a cooperative anew; gives how many."""
    found = session.scalars(
        select(Listing.id).where(Listing.cooperative_id == cooperative_id).order_by(Listing.id).with_for_update()
    ).all()
    return write_cards(session, found, on=on)


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
