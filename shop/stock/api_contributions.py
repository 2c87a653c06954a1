"""What households brought, for their cooperative; and what everybody may know of a lot."""

import io
from datetime import datetime
from html import escape
from uuid import UUID

import segno
from sqlalchemy.orm import Session

from config.settings import settings
from shop.accounts.service.importing import ImportHasErrors, TooManyRows
from shop.actor import Actor, Audience, Role
from shop.errors import NotFound
from shop.http.routes import PUBLIC, Raw, Routes, audience, roles
from shop.ids import LotId
from shop.sheets.text import SheetError
from shop.stock import queries_contributions as queries
from shop.stock import queries_recalls
from shop.stock.schemas_contributions import (
    BenefitsOut,
    BenefitsQuery,
    LotHouseholdsOut,
    PublicLotOut,
    SheetOut,
    SheetQuery,
    benefits_out,
    lot_households_out,
    public_lot_out,
    sheet_out,
)
from shop.stock.service import contributing

selling = Routes("/v1/cooperative", tag="Stock")
watching = Routes("/v1/admin", tag="Recalls")
public = Routes("/v1/public", tag="Trace")
RECALLED = "本批次已召回，请勿食用。 This lot is recalled: do not use it."
keeper = roles(Role.LISTER, Role.SELLER_FINANCE, Role.MANAGER, of=Audience.COOPERATIVE, helpers=False)


@selling.post(
    "/contributions/sheet",
    allow=keeper,
    answers={200: SheetOut},
    refusals=(SheetError, TooManyRows, ImportHasErrors),
    raw_body=True,
)
def take_contributions(session: Session, actor: Actor, now: datetime, query: SheetQuery, raw: bytes) -> SheetOut:
    """Send the monthly sheet (csv or xlsx) as it is; the same sheet again changes nothing.

    Its columns are 批次号, 农户编号, 交货日期, 重量(公斤), 已付金额(元) and 合格证编号. The answer says what it
    would do and every error; with `dry_run=false` it is done.
    """
    trial = contributing.take_in(
        session, by=actor, data=raw, dry_run=query.dry_run, valid_rows=query.valid_rows, now=now
    )
    return sheet_out(trial, written=not query.dry_run)


@selling.get("/contributions/benefits", allow=keeper, answers={200: BenefitsOut})
def read_benefits(session: Session, actor: Actor, query: BenefitsQuery) -> BenefitsOut:
    """What each household brought and was paid, and what reached all of them."""
    return benefits_out(queries.benefits(session, actor, query.first, query.end))


@selling.get("/lots/<lot_id>/households", allow=audience(Audience.COOPERATIVE), answers={200: LotHouseholdsOut})
def read_own_households(session: Session, actor: Actor, lot_id: LotId) -> LotHouseholdsOut:
    """The households behind a lot of one's own."""
    return households(session, actor, lot_id)


@watching.get(
    "/lots/<lot_id>/households",
    allow=roles(Role.OPERATOR, Role.COUNTY_REVIEWER, of=Audience.ADMIN),
    answers={200: LotHouseholdsOut},
)
def read_households(session: Session, actor: Actor, lot_id: LotId) -> LotHouseholdsOut:
    """The households behind a lot, by the codes of their cooperative."""
    return households(session, actor, lot_id)


def households(session: Session, actor: Actor, lot_id: LotId) -> LotHouseholdsOut:
    (lot,) = queries_recalls.lots(session, actor, [lot_id])
    origin = lot.origin_id or lot.id
    grams = queries.grams_of(session, [origin]).get(origin, 0)
    return lot_households_out(lot_id, grams, queries.households_of(session, lot_id))


@public.get("/lots/<lot_id>", allow=PUBLIC, answers={200: PublicLotOut}, refusals=(NotFound,))
def read_public_lot(session: Session, lot_id: LotId) -> PublicLotOut:
    """Where a lot comes from: product, county, cooperative, dates, whether it is recalled, how many households."""
    return public_lot_out(queries.public_lot(session, lot_id))


@public.get("/lots/<lot_id>/page", allow=PUBLIC, answers={200: "text/html"}, refusals=(NotFound,))
def read_public_lot_page(session: Session, lot_id: LotId) -> Raw:
    """The trace of a lot as a page; its address is what a label's QR code holds."""
    lot = public_lot_out(queries.public_lot(session, lot_id))
    rows = [
        ("产品 Product", f"{lot.product} {lot.product_en}"),
        ("等级规格 Grade", f"{lot.grade} {lot.spec}"),
        ("产地 Origin", f"{lot.county or ''} {lot.origin_code}"),
        ("供应商 Seller", lot.cooperative),
        ("批次 Lot", lot.code),
        ("采收日期 Harvested", lot.harvested_on.isoformat()),
        ("保质期至 Best before", lot.best_before.isoformat()),
        ("农户数 Households", "少于五户 fewer than five" if lot.households is None else str(lot.households)),
    ]
    warning = (
        "<p><strong>本批次已召回，请勿食用。 This lot is recalled: do not use it.</strong></p>" if lot.recalled else ""
    )
    table = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    code = label(lot_id)
    html = (
        '<!doctype html><html lang="zh"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(lot.product)} {escape(lot.code)}</title><h1>批次溯源 Trace</h1>{warning}"
        f"<table>{table}</table>{code.decode()}</html>"
    )
    return Raw(html.encode(), "text/html; charset=utf-8")


@public.get("/lots/<lot_id>/qr", allow=PUBLIC, answers={200: "image/svg+xml"}, refusals=(NotFound,))
def read_public_lot_code(session: Session, lot_id: LotId) -> Raw:
    """The QR code of a lot's trace page, for labels and papers: a picture of 30 modules that prints at any size."""
    queries.public_lot(session, lot_id)
    return Raw(label(lot_id), "image/svg+xml")


def label(lot_id: UUID) -> bytes:
    """The QR code (ISO/IEC 18004, level M: an eighth of it may be torn) of the page's address, as SVG."""
    address = f"{settings().public_url}/v1/public/lots/lot_{lot_id.hex}/page"
    picture = io.BytesIO()
    segno.make_qr(address, error="m").save(picture, kind="svg", scale=4, xmldecl=False, title="溯源码 trace")
    return picture.getvalue()
