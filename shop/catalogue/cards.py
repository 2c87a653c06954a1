"""The ready-made cards, and what listings are found and sorted by: written in the commit of whatever they show."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from types import SimpleNamespace
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from shop.accounts.models import Organisation
from shop.catalogue.models import Certificate, CertificateStatus, Listing, ListingStatus, Product
from shop.catalogue.models_search import CERTIFICATES, SearchEntry, SearchTerm
from shop.catalogue.spelling import initials, letters
from shop.catalogue.words import pieces, place_below_fit, place_of, search_text, search_words, terms
from shop.db import among, insert_rows
from shop.money import half_up
from shop.regions.models import Division, Level, province_of


class Place(NamedTuple):
    """What a county and its province are called; None where no division has the code today."""

    county: str | None
    province: str | None


def price_per_kg(price_fen: int, *, base_unit: str, pack_base_quantity: int, pack_grams: int) -> int:
    """Fen per kilogram, rounded half up: of the net content where it is weighed, else of the whole pack."""
    return half_up(price_fen * 1000, pack_base_quantity if base_unit == "g" else pack_grams)


def per_kg_of(row: Any) -> int:
    return price_per_kg(
        row.price_fen, base_unit=row.base_unit, pack_base_quantity=row.pack_base_quantity, pack_grams=row.pack_grams
    )


def card_of(row: Any, product: Any, place: Place, certificates: Sequence[Any]) -> str:
    """The JSON of a list item, Chinese as it is, without its closing brace."""
    card = {
        "id": f"lst_{row.id.hex}",
        "product": {
            "id": f"prd_{row.product_id.hex}",
            "name": product.name,
            "name_en": product.name_en,
            "variety": product.variety,
            "grade": product.grade,
            "spec": product.spec,
        },
        "photo": product.photos[0]["thumb"] if product.photos else None,
        "certificates": [
            {"kind": c.kind, "number": c.number, "issuer": c.issuer, "expires_on": c.expires_on.isoformat()}
            for c in certificates
        ],
        "cooperative": {"id": f"org_{row.cooperative_id.hex}", "name": product.cooperative},
        "origin": {"code": product.origin_code, "county": place.county, "province": place.province},
        "category": product.category,
        "storage": product.storage,
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


OF_LISTING = (
    "id", "product_id", "cooperative_id", "pack_name", "base_unit", "pack_base_quantity", "pack_grams", "price_fen",
    "tiers", "min_packs", "step_packs", "max_packs", "price_from", "price_to", "season_from", "season_to", "status",
    "listed_at",
)  # fmt: skip
OF_PRODUCT = (
    "name", "name_en", "variety", "tags", "grade", "spec", "category", "storage", "origin_code", "photos",
)  # fmt: skip
# Columns and not attributes of the models: their rows cost half as much.
LISTINGS, PRODUCTS = Listing.__table__.c, Product.__table__.c
SAID_OF_PRODUCT = (*(PRODUCTS[name] for name in OF_PRODUCT), Organisation.name.label("cooperative"))


def facts(ids: Iterable[UUID]) -> Any:
    """What the cards of these listings show of them and their products."""
    return (
        select(*(LISTINGS[name] for name in OF_LISTING), *SAID_OF_PRODUCT)
        .join(Product, PRODUCTS.id == LISTINGS.product_id)
        .join(Organisation, Organisation.id == LISTINGS.cooperative_id)
        .where(among(LISTINGS.id, ids))
        .order_by(LISTINGS.id)
    )


def facts_of_products(ids: Iterable[UUID]) -> Any:
    """What the cards of all listings of these products show of the product."""
    return (
        select(PRODUCTS.id, *SAID_OF_PRODUCT)
        .join(Organisation, Organisation.id == PRODUCTS.cooperative_id)
        .where(among(PRODUCTS.id, ids))
    )


def places_of(session: Session, codes: Collection[str], on: date) -> dict[str, Place]:
    """What counties of these codes and their provinces are called on a day."""
    wanted = select(Division.code, Division.name, Division.level).where(
        among(Division.code, {*codes, *map(province_of, codes)}), Division.in_force(on)
    )
    found = {row.code: row for row in session.execute(wanted)}
    places = {}
    for code in codes:
        county, province = found.get(code), found.get(province_of(code))
        if county is not None and county.level != Level.COUNTY:
            county = None
        places[code] = Place(county and county.name, province and province.name)
    return places


def entry_of(row: Any, product: Any, place: Place, certificates: Sequence[Any]) -> dict[str, Any]:
    """What a listing is found by, and until when its card is right."""
    return {
        "card_until": min((c.expires_on for c in certificates), default=None),
        "category": product.category,
        "storage": product.storage,
        "origin": product.origin_code,
        "province": province_of(product.origin_code),
        "per_kg": per_kg_of(row),
        "key_county": "key_160" in product.tags,
        "certificates": sum({CERTIFICATES[c.kind] for c in certificates}),
        "search_text": search_text((product.name, product.variety, place.county or "")),
        "search_words": search_words(product.name_en),
    }


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


def postings_of(row: Any, county: str | None, sold_grams: int) -> dict[str, int]:
    """The pieces that a listing on sale is found by, with its place among what each finds; none of any other."""
    if row.status != ListingStatus.LISTED:
        return {}
    below = place_below_fit(sold_grams, row.listed_at)
    found = pieces(name=row.name, name_en=row.name_en, variety=row.variety, county=county or "")
    return {word: place_of(fit, below) for word, fit in found.items()}


def mark_of(postings: dict[str, int]) -> str:
    """What names a set of postings, so that it is written only when it is another."""
    if not postings:
        return ""
    return hashlib.blake2b(repr(sorted(postings.items())).encode(), digest_size=9).hexdigest()


def write_cards(session: Session, listing_ids: Iterable[UUID], *, on: date) -> int:
    """Write the cards of these listings, and what they are found by, as of a business day; eight statements at most for
    any number. The listings' rows are locked by whoever changed them."""
    session.flush()
    rows = session.execute(facts(listing_ids)).all()
    if not rows:
        return 0
    places = places_of(session, {row.origin_code for row in rows}, on)
    certificates = certificates_of(session, {row.product_id for row in rows}, on)
    shown = [certificates.get(row.product_id, []) for row in rows]
    before = {row.listing_id: row for row in session.execute(entries([row.id for row in rows]))}
    postings = {
        row.id: postings_of(row, places[row.origin_code].county, before[row.id].sold_grams if row.id in before else 0)
        for row in rows
    }
    marks = {key: mark_of(found) for key, found in postings.items()}
    session.execute(
        WRITE,
        # As JSON: in an array of cards the driver would escape each of their quotes, at ten times the cost.
        {
            "rows": msgspec.json.encode(
                [
                    {"id": row.id, "card": card_of(row, row, places[row.origin_code], held), "posted": marks[row.id]}
                    | entry_of(row, row, places[row.origin_code], held)
                    for row, held in zip(rows, shown, strict=True)
                ]
            ).decode()
        },
    )
    changed = {key for key, mark in marks.items() if mark != (before[key].posted if key in before else "")}
    post(session, {key: postings[key] for key in changed})
    learn(session, [row for row in rows if row.id in changed and postings[row.id]], places)
    return len(rows)


def enter(session: Session, listings: Sequence[Mapping[str, Any]], *, on: date) -> None:
    """Insert listings that nobody sees yet, as rows by column name, with their cards and what they are found by once
    they are on sale: five statements for any number."""
    session.flush()
    product_ids = {row["product_id"] for row in listings}
    products = {row.id: row for row in session.execute(facts_of_products(product_ids))}
    places = places_of(session, {row.origin_code for row in products.values()}, on)
    certificates = certificates_of(session, product_ids, on)
    rows: list[Mapping[str, Any]] = []
    entries: list[dict[str, Any]] = []
    for given in listings:
        row, product = SimpleNamespace(**given), products[given["product_id"]]
        place, held = places[product.origin_code], certificates.get(product.id, ())
        entry = entry_of(row, product, place, held)
        rows.append(
            {
                **given,
                "card": card_of(row, product, place, held),
                "card_until": entry.pop("card_until"),
                "category": product.category,
                "storage": product.storage,
                "origin_code": product.origin_code,
                "province_code": entry["province"],
            }
        )
        entries.append(
            {
                "listing_id": row.id,
                "shown": False,
                "county": entry.pop("origin"),
                "price_per_kg_fen": entry.pop("per_kg"),
                "season_from": row.season_from,
                "season_to": row.season_to,
                "price_fen": row.price_fen,
                "posted": "",
                **entry,
            }
        )
    insert_rows(session, (Listing, rows), (SearchEntry, entries))


def certificates_of(session: Session, product_ids: Collection[UUID], on: date) -> dict[UUID, list[Any]]:
    """The certificates that are shown of these products on a day."""
    said = Certificate.__table__.c
    found: dict[UUID, list[Any]] = {}
    for certificate in session.execute(
        select(said.product_id, said.kind, said.number, said.issuer, said.expires_on)
        .where(
            among(said.product_id, product_ids),
            said.status == CertificateStatus.APPROVED,
            said.expires_on > on,
        )
        .order_by(said.id)
    ):
        found.setdefault(certificate.product_id, []).append(certificate)
    return found


def entries(listing_ids: Sequence[UUID]) -> Any:
    """The entries of listings that are there, locked, with what their postings were made from."""
    return (
        select(SearchEntry.listing_id, SearchEntry.sold_grams, SearchEntry.listed_at, SearchEntry.posted)
        .where(among(SearchEntry.listing_id, listing_ids))
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


def learn(session: Session, rows: Sequence[Any], places: Mapping[str, Place]) -> None:
    """Keep the terms of these listings that are new."""
    found = {
        term
        for row in rows
        for term in terms(
            name=row.name, name_en=row.name_en, variety=row.variety, county=places[row.origin_code].county or ""
        )
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
