"""What a check reads, a statement each for any number of listings; which alerts and reports somebody may look at."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, exists, false, func, or_, select, text
from sqlalchemy.orm import Session

from shop.actor import Actor, Audience, Role
from shop.catalogue.models import Listing, ListingStatus, Product
from shop.catalogue.monitoring.models import UNSETTLED, AlertStatus, PriceAlert, PriceReport, PriceRule
from shop.errors import NotFound

GOODS = text(
    """
    SELECT l.id, l.cooperative_id, l.status, l.revision, l.origin_code, l.price_fen, l.base_unit,
           l.pack_base_quantity, l.pack_grams, p.category,
           word_key(p.name) AS name, word_key(p.spec) AS spec, word_key(p.grade) AS grade
    FROM listing l JOIN product p ON p.id = l.product_id
    WHERE l.id = ANY(:ids)
    """
)
PEERS = text(
    """
    WITH wanted AS MATERIALIZED (
        SELECT * FROM unnest(CAST(:categories AS text[]), CAST(:names AS text[]), CAST(:specs AS text[]))
            AS w(category, name, spec)
    )
    SELECT w.category, w.name, w.spec, l.cooperative_id, l.price_fen, l.base_unit, l.pack_base_quantity, l.pack_grams
    FROM wanted w
    JOIN product p ON p.category = w.category AND word_key(p.name) = w.name AND word_key(p.spec) = w.spec
    JOIN listing l ON l.product_id = p.id AND l.status = 'listed'
    """
)
REFERENCES = text(
    """
    WITH wanted AS MATERIALIZED (
        SELECT * FROM unnest(CAST(:categories AS text[]), CAST(:names AS text[])) AS w(category, name)
    )
    SELECT m.id AS mapping_id, m.category, m.name, m.spec, m.grade, m.market, m.reference_kind, m.reference_name,
           m.reference_grade, r.month, r.per, r.low_fen, r.mean_fen, r.high_fen, r.quotes, r.place_code,
           (SELECT d.name FROM division d WHERE d.code = r.place_code AND d.valid_from <= :today
                AND (d.valid_to IS NULL OR d.valid_to > :today)) AS place
    FROM wanted w
    JOIN reference_mapping m ON m.category = w.category AND m.name = w.name AND m.valid @> CAST(:today AS date)
    LEFT JOIN LATERAL (
        SELECT * FROM reference_price q
        WHERE q.market = m.market AND q.kind = m.reference_kind AND q.name = m.reference_name
          AND q.grade = m.reference_grade AND q.month <= CAST(:today AS date)
        ORDER BY q.month DESC LIMIT 1
    ) r ON true
    """
)
HISTORY = text(
    """
    SELECT * FROM (
        SELECT listing_id, revision, at, lead(at) OVER (PARTITION BY listing_id ORDER BY revision) AS until,
               content ->> 'status' AS status, (content ->> 'price_fen')::bigint AS price_fen,
               content ->> 'base_unit' AS base_unit, (content ->> 'pack_base_quantity')::bigint AS pack_base_quantity,
               (content ->> 'pack_grams')::bigint AS pack_grams
        FROM listing_revision WHERE listing_id = ANY(:ids)
    ) said
    WHERE until IS NULL OR until > :since
    ORDER BY listing_id, revision
    """
)
SUGGESTIONS = text(
    """
    SELECT q.*, CASE WHEN q.key = :name THEN 'exact' ELSE 'contained' END AS match FROM (
        SELECT market, kind, name, grade, max(month) AS newest, word_key(name) AS key
        FROM reference_price GROUP BY market, kind, name, grade
    ) q
    WHERE q.key = :name
       OR char_length(q.key) >= 2 AND position(q.key IN :name) > 0
       OR char_length(:name) >= 2 AND position(:name IN q.key) > 0
    ORDER BY q.key <> :name, abs(char_length(q.key) - char_length(:name)), q.market, q.kind, q.name, q.grade
    LIMIT :limit
    """
)


def rules_on(session: Session, today: date) -> dict[str, PriceRule]:
    """The rules of a day by category; the empty one is for the rest."""
    return {rule.category: rule for rule in session.scalars(select(PriceRule).where(PriceRule.valid.contains(today)))}


def goods(session: Session, listing_ids: Sequence[UUID]) -> Sequence[Any]:
    """Listings as they are compared."""
    return session.execute(GOODS, {"ids": list(listing_ids)}).all()


def peers(session: Session, kinds: Iterable[tuple[str, str, str]]) -> Sequence[Any]:
    """All listings on sale of these goods, each by category, name and spec."""
    wanted = sorted(set(kinds))
    categories, names, specs = (list(column) for column in zip(*wanted, strict=True)) if wanted else ([], [], [])
    return session.execute(PEERS, {"categories": categories, "names": names, "specs": specs}).all()


def references(session: Session, kinds: Iterable[tuple[str, str]], today: date) -> Sequence[Any]:
    """The mappings in force of these goods (by category and name), each with the newest price of its series."""
    wanted = sorted(set(kinds))
    categories, names = (list(column) for column in zip(*wanted, strict=True)) if wanted else ([], [])
    return session.execute(REFERENCES, {"categories": categories, "names": names, "today": today}).all()


def history(session: Session, listing_ids: Sequence[UUID], since: datetime) -> Sequence[Any]:
    """The revisions of listings that said something after `since`, each with when the next one followed it."""
    return session.execute(HISTORY, {"ids": list(listing_ids), "since": since}).all()


def tolerated(session: Session, listing_ids: Sequence[UUID], today: date) -> Mapping[UUID, int]:
    """Up to which price a listing is not flagged, where an operator accepted an explanation that still holds."""
    rows = session.execute(
        select(PriceAlert.listing_id, PriceAlert.tolerated_fen).where(
            PriceAlert.listing_id.in_(listing_ids), PriceAlert.tolerated_until > today
        )
    )
    found: dict[UUID, int] = {}
    for listing_id, fen in rows:
        found[listing_id] = max(found.get(listing_id, 0), fen or 0)
    return found


def unsettled(session: Session, listing_ids: Sequence[UUID]) -> dict[UUID, PriceAlert]:
    """The unsettled alerts of listings, locked in the order of the listings."""
    found = session.scalars(
        select(PriceAlert)
        .where(PriceAlert.listing_id.in_(listing_ids), PriceAlert.status.in_(UNSETTLED))
        .order_by(PriceAlert.listing_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {alert.listing_id: alert for alert in found}


def suggestions(session: Session, name: str, *, limit: int) -> Sequence[Any]:
    """Series whose name is this one, or holds it, or is held by it; the closest first."""
    return session.execute(SUGGESTIONS, {"name": name, "limit": limit}).all()


def word_key(session: Session, words: str) -> str:
    """Words as they are compared: NFKC, lower case, without spaces."""
    return str(session.execute(select(func.word_key(words))).scalar_one())


def of_regions(actor: Actor) -> Any:
    """Alerts of listings from what a reviewer may look into: a county, a prefecture or a province."""
    code = PriceAlert.origin_code
    return or_(
        code.in_(actor.regions),
        func.concat(func.left(code, 4), "00").in_(actor.regions),
        func.concat(func.left(code, 2), "0000").in_(actor.regions),
    )


def visible_alerts(actor: Actor) -> Select[PriceAlert, Listing, Product]:
    """Alerts with their listings and products that this actor may know of.

    A cooperative sees its own once somebody has looked at what was reported, an operator all, a county reviewer those
    of the reviewer's counties.
    """
    wanted = (
        select(PriceAlert, Listing, Product)
        .join(Listing, Listing.id == PriceAlert.listing_id)
        .join(Product, Product.id == Listing.product_id)
    )
    if actor.audience is Audience.COOPERATIVE:
        reported_only = (PriceAlert.status == AlertStatus.REPORTED) | (
            (PriceAlert.opened_by == "report") & PriceAlert.due_on.is_(None)
        )
        return wanted.where(PriceAlert.cooperative_id == actor.organisation_id, ~reported_only)
    if actor.audience is Audience.ADMIN and actor.has(Role.OPERATOR):
        return wanted
    if actor.audience is Audience.ADMIN and actor.has(Role.COUNTY_REVIEWER):
        return wanted.where(of_regions(actor))
    return wanted.where(false())


def alert(session: Session, actor: Actor, alert_id: UUID, *, lock: bool = False) -> tuple[PriceAlert, Listing, Product]:
    """One alert as it stands, kept so until the commit when it is to change; NotFound when it is another's."""
    wanted = visible_alerts(actor).where(PriceAlert.id == alert_id)
    if lock:
        wanted = wanted.with_for_update(of=PriceAlert)
    row = session.execute(wanted.execution_options(populate_existing=True)).first()
    if row is None:
        raise NotFound("No such price alert.")
    return row[0], row[1], row[2]


def alerts(
    session: Session, actor: Actor, *, status: str | None, overdue: bool, before: UUID | None, limit: int
) -> Sequence[Any]:
    """Alerts newest first, one more than the limit when there are more; `unsettled` is all that wait for something."""
    wanted = visible_alerts(actor).order_by(PriceAlert.id.desc()).limit(limit + 1)
    if status == "unsettled":
        wanted = wanted.where(PriceAlert.status.in_(UNSETTLED))
    elif status:
        wanted = wanted.where(PriceAlert.status == status)
    if overdue:
        wanted = wanted.where(PriceAlert.overdue_at.is_not(None), PriceAlert.status.in_(UNSETTLED))
    if before:
        wanted = wanted.where(PriceAlert.id < before)
    return session.execute(wanted).all()


def reports_of(session: Session, alert_id: UUID) -> Sequence[PriceReport]:
    """The reports that gather under an alert, in the order in which they came."""
    return session.scalars(select(PriceReport).where(PriceReport.alert_id == alert_id).order_by(PriceReport.id)).all()


def own_reports(session: Session, actor: Actor, *, before: UUID | None, limit: int) -> Sequence[PriceReport]:
    """The buyer's own reports, newest first, one more than the limit when there are more."""
    wanted = select(PriceReport).where(PriceReport.buyer_id == actor.organisation_id)
    if before:
        wanted = wanted.where(PriceReport.id < before)
    return session.scalars(wanted.order_by(PriceReport.id.desc()).limit(limit + 1)).all()


def own_report(session: Session, actor: Actor, report_id: UUID) -> PriceReport:
    """One of the buyer's own reports; NotFound for any other."""
    found = session.scalars(
        select(PriceReport).where(PriceReport.id == report_id, PriceReport.buyer_id == actor.organisation_id)
    ).first()
    if found is None:
        raise NotFound("No such report of yours.")
    return found


def on_sale(session: Session, listing_id: UUID) -> bool:
    """Whether a listing is on sale."""
    return bool(
        session.scalar(select(exists().where(Listing.id == listing_id, Listing.status == ListingStatus.LISTED)))
    )
